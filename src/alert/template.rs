//! Templates: what one source says again and again, learned from its masked messages. Pure.
//!
//! Drain-like (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017): templates of as many
//! words are compared word by word. Two things differ, because here a template decides whether something is news. A
//! template that covers a message always has it, so what was known stays known. And a word becomes a variable `<*>` only
//! when [`VALUES_TO_VARY`] values of it were seen: `check passed` and `check failed` stay two templates, user names merge.
//! Bounded by [`TEMPLATES_MAX`]; nothing is ever evicted.

use crate::analyzer::mask;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};

/// Templates of one source.
pub const TEMPLATES_MAX: usize = 5_000;
/// Words of a template; what differs behind them only is the same.
const WORDS_MAX: usize = 100;
/// Bytes of a template's text.
const TEXT_MAX_BYTES: usize = 1024;
/// So many messages that differ in the same words make these words a variable.
const VALUES_TO_VARY: usize = 4;
/// Stands for a word that varies.
pub const VARIABLE: &str = "<*>";

/// One template, and how often it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    pub id: u32,
    /// Words joined by single blanks.
    pub text: String,
    /// Of the first message that it was learned from.
    pub fingerprint: String,
    pub count: u64,
    pub first_seen_ms: i64,
    pub last_seen_ms: i64,
}

impl Template {
    /// 16 hex digits of the text: the same on every host.
    pub fn hash(&self) -> String {
        hash_of(subject_of(&self.text))
    }
}

/// What verdicts are about: the first 64 bits of a SHA-256 over a template's text (or a line). The same on every host.
pub fn subject_of(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    digest
        .iter()
        .take(8)
        .fold(0, |subject, byte| subject << 8 | u64::from(*byte))
}

/// The name of a subject: 16 hex digits.
pub fn hash_of(subject: u64) -> String {
    format!("{subject:016x}")
}

/// Whether the template `text` has the message `words` of: word by word, variables have any.
pub fn covers(text: &str, other: &str) -> bool {
    let (mut words, mut others) = (text.split(' '), other.split(' '));
    loop {
        match (words.next(), others.next()) {
            (None, None) => return true,
            (Some(word), Some(other)) if word == other || word == VARIABLE => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

/// The form in which a masked message, redacted, is learned. Masked once more: what redaction put in is the same on every
/// host then.
pub fn learnable(mask: &str) -> String {
    normal_form(&mask::mask(mask.as_bytes()))
}

/// Blanks made single, and cut to the bounds: the form in which masks are compared.
pub fn normal_form(mask: &str) -> String {
    let mut text = String::with_capacity(mask.len().min(TEXT_MAX_BYTES));
    for word in mask.split_ascii_whitespace().take(WORDS_MAX) {
        if text.len() + word.len() + 1 > TEXT_MAX_BYTES {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    if text.is_empty() {
        // One word longer than all that is kept.
        let word = mask.trim();
        let end = (0..=word.len().min(TEXT_MAX_BYTES))
            .rev()
            .find(|&end| word.is_char_boundary(end));
        text.push_str(&word[..end.unwrap_or(0)]);
    }
    text
}

/// What became of a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learned {
    /// It is one of this template's.
    Known(u32),
    /// Nothing like it was there.
    New(u32),
    /// It was one value too many: its template was made of these.
    Merged { into: u32, from: Vec<u32> },
    /// Nothing like it was there, and there is no room.
    Full,
}

/// The templates of one source.
#[derive(Debug, Default)]
pub struct Templates {
    entries: HashMap<u32, Entry>,
    /// Ids by number of words, the oldest first.
    by_length: HashMap<usize, Vec<u32>>,
    next_id: u32,
    changed: BTreeSet<u32>,
    removed: BTreeSet<u32>,
}

#[derive(Debug)]
struct Entry {
    template: Template,
    /// Hash of each word; a variable has none.
    words: Vec<Option<u64>>,
}

impl Templates {
    /// Those of the state.
    pub fn new(stored: impl IntoIterator<Item = Template>) -> Self {
        let mut templates = Self::default();
        for template in stored {
            templates.next_id = templates.next_id.max(template.id.saturating_add(1));
            templates.put(template);
        }
        templates.changed.clear();
        templates
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.entries.len() >= TEMPLATES_MAX
    }

    pub fn get(&self, id: u32) -> Option<&Template> {
        self.entries.get(&id).map(|entry| &entry.template)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Template> + Clone {
        self.entries.values().map(|entry| &entry.template)
    }

    /// Finds the template of a mask in [`normal_form`], or makes one. Counts nothing.
    pub fn learn(&mut self, mask: &str, fingerprint: &str, at_ms: i64) -> Learned {
        let words = words_of(mask);
        let ids = self.by_length.get(&words.len()).map_or(&[][..], Vec::as_slice);
        // Of the templates that differ in the same words, those that differ in the fewest.
        let mut alike: HashMap<u128, Vec<u32>> = HashMap::new();
        for id in ids {
            let Some(entry) = self.entries.get(id) else { continue };
            let (differing, variables) = entry.compare(&words);
            if differing == 0 {
                return Learned::Known(*id);
            }
            let varying = (differing | variables).count_ones() as usize;
            if 2 * varying <= words.len() {
                alike.entry(differing).or_default().push(*id);
            }
        }
        let merge = alike
            .into_iter()
            .filter(|(_, ids)| ids.len() + 1 >= VALUES_TO_VARY)
            .min_by_key(|(differing, _)| (differing.count_ones(), *differing));
        if let Some((differing, from)) = merge
            && let Some(into) = self.merge(mask, differing, &from)
        {
            return Learned::Merged { into, from };
        }
        if self.is_full() {
            return Learned::Full;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.put(Template {
            id,
            text: mask.to_owned(),
            fingerprint: fingerprint.to_owned(),
            count: 0,
            first_seen_ms: at_ms,
            last_seen_ms: at_ms,
        });
        Learned::New(id)
    }

    /// So many more records of a template.
    pub fn count(&mut self, id: u32, records: u64, at_ms: i64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.template.count += records;
            entry.template.last_seen_ms = entry.template.last_seen_ms.max(at_ms);
            self.changed.insert(id);
        }
    }

    /// Templates to be written and ids to be removed since [`Self::written`].
    pub fn changes(&self) -> (impl Iterator<Item = &Template>, impl Iterator<Item = u32>) {
        let changed = self.changed.iter().filter_map(|id| self.get(*id));
        (changed, self.removed.iter().copied())
    }

    /// All changes are on disk.
    pub fn written(&mut self) {
        self.changed.clear();
        self.removed.clear();
    }

    /// One template of `mask` and all of `from`: the words that differ, and those that were variables, are variables.
    fn merge(&mut self, mask: &str, differing: u128, from: &[u32]) -> Option<u32> {
        let variables = from
            .iter()
            .filter_map(|id| self.entries.get(id))
            .fold(differing, |all, entry| all | entry.variables());
        let words: Vec<&str> = mask
            .split(' ')
            .enumerate()
            .map(|(at, word)| if variables >> at & 1 == 1 { VARIABLE } else { word })
            .collect();
        if 2 * variables.count_ones() as usize > words.len() {
            return None;
        }
        let text = words.join(" ");
        let mut merged: Option<Template> = None;
        for id in from {
            let Some(old) = self.remove(*id) else { continue };
            let kept = merged.get_or_insert_with(|| Template {
                text: text.clone(),
                count: 0,
                ..old.clone()
            });
            kept.count += old.count;
            kept.first_seen_ms = kept.first_seen_ms.min(old.first_seen_ms);
            kept.last_seen_ms = kept.last_seen_ms.max(old.last_seen_ms);
        }
        let merged = merged?;
        let id = merged.id;
        self.removed.remove(&id);
        self.put(merged);
        Some(id)
    }

    fn put(&mut self, template: Template) {
        let words = words_of(&template.text);
        self.by_length.entry(words.len()).or_default().push(template.id);
        self.changed.insert(template.id);
        self.entries.insert(template.id, Entry { template, words });
    }

    fn remove(&mut self, id: u32) -> Option<Template> {
        let entry = self.entries.remove(&id)?;
        if let Some(ids) = self.by_length.get_mut(&entry.words.len()) {
            ids.retain(|other| *other != id);
        }
        self.changed.remove(&id);
        self.removed.insert(id);
        Some(entry.template)
    }
}

impl Entry {
    /// The words (as bits) that differ from `words`, and those that are variables.
    fn compare(&self, words: &[Option<u64>]) -> (u128, u128) {
        let (mut differing, mut variables) = (0, 0);
        for (at, (own, other)) in self.words.iter().zip(words).enumerate() {
            match own {
                None => variables |= 1 << at,
                Some(_) if own == other => {}
                Some(_) => differing |= 1 << at,
            }
        }
        (differing, variables)
    }

    fn variables(&self) -> u128 {
        self.compare(&self.words).1
    }
}

fn words_of(text: &str) -> Vec<Option<u64>> {
    let hash = |word: &str| {
        // FNV-1a (Fowler, Noll, Vo), 64 bits.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        word.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
    };
    text.split(' ')
        .take(WORDS_MAX)
        .map(|word| (word != VARIABLE).then(|| hash(word)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(templates: &mut Templates, mask: &str) -> Learned {
        templates.learn(mask, "f", 0)
    }

    fn texts(templates: &Templates) -> Vec<String> {
        let mut texts: Vec<String> = templates.iter().map(|template| template.text.clone()).collect();
        texts.sort();
        texts
    }

    #[test]
    fn a_word_with_few_values_is_kept_one_with_many_becomes_a_variable() {
        let mut templates = Templates::default();
        for outcome in ["passed", "failed"] {
            assert!(matches!(
                learn(&mut templates, &format!("disk check {outcome}")),
                Learned::New(_)
            ));
        }
        for user in ["alice", "bob", "carol"] {
            assert!(matches!(
                learn(&mut templates, &format!("user {user} logged in")),
                Learned::New(_)
            ));
        }
        let merged = learn(&mut templates, "user dave logged in");
        assert!(
            matches!(&merged, Learned::Merged { from, .. } if from.len() == 3),
            "{merged:?}"
        );
        assert_eq!(
            texts(&templates),
            ["disk check failed", "disk check passed", "user <*> logged in"]
        );
        assert!(
            matches!(learn(&mut templates, "user erin logged in"), Learned::Known(_)),
            "covered from now on"
        );
        assert!(
            matches!(learn(&mut templates, "user alice logged out"), Learned::New(_)),
            "another message"
        );
    }

    #[test]
    fn what_was_known_stays_known_after_a_merge_and_after_a_restart() {
        let mut templates = Templates::default();
        let masks: Vec<String> = ["a", "b", "c", "d", "e"]
            .iter()
            .flat_map(|user| ["x", "y"].map(|room| format!("user {user} entered room {room} at <time>")))
            .collect();
        for mask in &masks {
            if let Learned::New(id) | Learned::Known(id) | Learned::Merged { into: id, .. } =
                learn(&mut templates, mask)
            {
                templates.count(id, 1, 7);
            }
        }
        let restarted = Templates::new(templates.iter().cloned());
        for mut templates in [templates, restarted] {
            let total: u64 = templates.iter().map(|template| template.count).sum();
            assert_eq!(total, masks.len() as u64, "no record is lost in a merge");
            for mask in &masks {
                assert!(matches!(learn(&mut templates, mask), Learned::Known(_)), "{mask}");
            }
        }
    }

    #[test]
    fn changes_tell_exactly_what_differs_from_the_disk() {
        let mut templates = Templates::default();
        let mut disk: HashMap<u32, Template> = HashMap::new();
        let word = |n: usize| char::from(b'a' + n as u8);
        for n in 0..20 {
            let mask = format!("{} did {} to us", word(n % 7), word(n % 5));
            if let Learned::New(id) | Learned::Known(id) | Learned::Merged { into: id, .. } =
                learn(&mut templates, &mask)
            {
                templates.count(id, 1, n as i64);
            }
            let (changed, removed) = templates.changes();
            removed.for_each(|id| drop(disk.remove(&id)));
            changed.for_each(|template| drop(disk.insert(template.id, template.clone())));
            templates.written();
            let memory: HashMap<u32, Template> = templates.iter().map(|t| (t.id, t.clone())).collect();
            assert_eq!(disk, memory, "after {mask}");
        }
    }

    #[test]
    fn a_full_table_takes_nothing_more_and_keeps_what_it_has() {
        let mut templates = Templates::default();
        let word = |n: usize| format!("{}-{}", ["x", "y", "z"][n % 3], n);
        for n in 0..TEMPLATES_MAX {
            // One word each: one word is never a variable.
            assert!(matches!(learn(&mut templates, &word(n)), Learned::New(_)));
        }
        assert_eq!(learn(&mut templates, "one-more"), Learned::Full);
        assert!(matches!(learn(&mut templates, &word(0)), Learned::Known(_)));
    }

    #[test]
    fn long_messages_are_cut_to_a_normal_form() {
        assert_eq!(normal_form("  two \t words "), "two words");
        assert_eq!(
            normal_form(&"w ".repeat(5000)).split(' ').count(),
            WORDS_MAX,
            "so many words fit"
        );
        let long = normal_form(&"ü".repeat(5000));
        assert!(!long.is_empty() && long.len() <= TEXT_MAX_BYTES);
        assert!(covers("user <*> in", "user bob in") && !covers("user bob in", "user <*> in"));
    }
}
