//! How rare a template is, by pairs of neighbouring words. Pure.
//!
//! The score of a template is the mean, over its pairs of neighbouring words (with marks for its two ends), of −ln(share of
//! all records that hold this pair), in nats: 0 for a source that says one thing only, 9.2 where each pair is in one of
//! 10,000 records. Counts of pairs are those of the templates that hold them, so nothing is kept besides the templates.
//! In the trials on labelled logs this count found as much as small neural models did.

use super::template::Template;
use std::collections::HashMap;

/// Known templates are rare if together they make up at most one in so many records.
pub const RECORDS_PER_RARE: u64 = 10_000;
/// … and came so often at most: what comes regularly, if seldom, is no news.
const RARE_COUNT_MAX: u64 = 3;

/// The score of each template.
pub fn scores<'a>(templates: impl Iterator<Item = &'a Template> + Clone) -> Vec<(&'a Template, f64)> {
    let records: u64 = templates.clone().map(|template| template.count.max(1)).sum();
    let mut counts: HashMap<(&str, &str), u64> = HashMap::new();
    for template in templates.clone() {
        for pair in pairs(&template.text) {
            *counts.entry(pair).or_default() += template.count.max(1);
        }
    }
    let score = |template: &'a Template| {
        let (mut sum, mut number) = (0.0, 0.0);
        for pair in pairs(&template.text) {
            // A pair that stands twice in one template is counted twice per record.
            let count = counts.get(&pair).copied().unwrap_or(1).min(records);
            sum -= (count as f64 / records as f64).ln();
            number += 1.0;
        }
        (template, sum / f64::max(number, 1.0))
    };
    templates.map(score).collect()
}

/// The rare ones among them with their scores, the rarest first.
pub fn rare<'a>(templates: impl Iterator<Item = &'a Template> + Clone) -> Vec<(&'a Template, f64)> {
    let mut room = templates.clone().map(|template| template.count).sum::<u64>() / RECORDS_PER_RARE;
    let mut scored = scores(templates);
    scored.retain(|(template, _)| (1..=RARE_COUNT_MAX).contains(&template.count));
    scored.sort_by(|(a, one), (b, other)| other.total_cmp(one).then(a.id.cmp(&b.id)));
    let fits = |(template, _): &(&Template, f64)| {
        let fits = template.count <= room;
        room = room.saturating_sub(template.count);
        fits
    };
    scored.into_iter().take_while(fits).collect()
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    // Marks that no mask holds.
    let words = || std::iter::once("\u{2}").chain(text.split(' ')).chain(["\u{3}"]);
    words().zip(words().skip(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(id: u32, text: &str, count: u64) -> Template {
        Template {
            id,
            text: text.to_owned(),
            fingerprint: String::new(),
            count,
            first_seen_ms: 0,
            last_seen_ms: 0,
        }
    }

    #[test]
    fn unusual_words_are_rarer_than_usual_ones_in_a_new_order() {
        let all = [
            template(1, "request <num> done", 50_000),
            template(2, "request <num> failed", 50_000),
            template(3, "request <num> done twice", 1),
            template(4, "parity error in bank", 1),
        ];
        let score = |id: u32| {
            let scores = scores(all.iter());
            scores.iter().find(|(template, _)| template.id == id).unwrap().1
        };
        assert!(score(4) > score(3) && score(3) > score(1), "{:?}", scores(all.iter()));
        // Each of its five pairs is in one of 100,002 records: -ln(1/100,002).
        assert!((score(4) - 11.512_945).abs() < 1e-6, "{}", score(4));
        let rare: Vec<u32> = rare(all.iter()).iter().map(|(template, _)| template.id).collect();
        assert_eq!(rare, [4, 3], "100,002 records have room for ten rare ones");
    }

    #[test]
    fn few_records_have_nothing_rare() {
        let all = [template(1, "a b", 9_000), template(2, "c d", 1)];
        assert!(rare(all.iter()).is_empty());
    }
}
