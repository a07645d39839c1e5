//! All that is familiar of one source: its templates, how far it has learned, and which masks belong to which template.
//!
//! Driven by the keeper in `run` and inline in `scan`: records whose mask nobody knew come in, in order, with what was
//! counted between them; out comes what is news, and the [`Known`] that the analyzers look into. Pure.

use super::novelty::{At, Learner, Opinion, Phase, Settings};
use super::rarity;
use super::template::{self, Learned, Template, Templates};
use crate::analyzer::template::{ByMask, Counts, Known, MASKS_MAX, Unknown};
use crate::analyzer::{AnalyzerKind, Finding};
use std::collections::HashMap;
use std::sync::Arc;

/// Name of the finding of a rare template.
pub const RARE: &str = "rare";
/// How often rare templates are looked for.
const RARE_EVERY_MS: i64 = 3_600_000;
/// Masks that were counted and may still be weighed.
const EARLY_MAX: usize = 4096;

#[derive(Debug, Default)]
pub struct Familiar {
    pub templates: Templates,
    pub learner: Learner,
    places: ByMask<Place>,
    /// What every record of a subject is to bring along.
    notes: HashMap<u64, Arc<Finding>>,
    known: Arc<Known>,
    /// When rare templates were looked for last, and which were found.
    rare_at_ms: Option<i64>,
    rare: Vec<u64>,
    /// `known` differs from what was handed out last.
    fresh: bool,
    /// Records that were counted before the first one with their mask was weighed: it waited for its context.
    early: ByMask<u32>,
    /// Records of the current batch that the learner knows of.
    counted: u64,
}

/// Where a mask belongs.
#[derive(Debug, Clone, Copy)]
struct Place {
    template: Option<u32>,
    subject: u64,
}

/// What a record with an unknown mask is.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    /// None: its template could not be made, the table is full.
    pub template: Option<u32>,
    /// What verdicts on it are about: its template, else its mask; with `scope: line` the line.
    pub subject: u64,
    /// The text of that.
    pub text: String,
    /// What is known about the subject.
    pub noted: Option<Arc<Finding>>,
    /// Records with this mask that were counted already.
    pub early: u64,
    pub new: bool,
    pub opinion: Opinion,
    /// The table has just become full.
    pub filled: bool,
}

/// A record with an unknown mask.
#[derive(Debug, Clone, Copy)]
pub struct Newcomer<'a> {
    pub unknown: Unknown,
    /// Its masked message, redacted.
    pub mask: &'a str,
    pub fingerprint: &'a str,
    /// What a digest would call it, redacted.
    pub title: &'a str,
    /// With `scope: line`: the message itself, redacted.
    pub line: Option<&'a str>,
    /// Somebody has found it exceptional already.
    pub found: bool,
}

impl Familiar {
    /// `known` says how masks are looked up; it knows nothing yet.
    pub fn new(stored: impl IntoIterator<Item = Template>, learner: Learner, known: Arc<Known>) -> Self {
        Self {
            known,
            templates: Templates::new(stored),
            learner,
            ..Self::default()
        }
    }

    /// Finds out what a record with an unknown mask is.
    pub fn weigh(&mut self, newcomer: &Newcomer<'_>, at: At, settings: &Settings) -> Weighed {
        let Newcomer { unknown, found, .. } = *newcomer;
        self.learner.saw(unknown.number.saturating_sub(self.counted), at);
        self.counted = self.counted.max(unknown.number);
        let was_full = self.templates.is_full();
        let text = template::learnable(newcomer.mask);
        let learned = self.templates.learn(&text, newcomer.fingerprint, at.arrived_ms);
        let mut weighed = Weighed {
            template: None,
            subject: 0,
            text: String::new(),
            noted: None,
            early: self.early.remove(&unknown.hash).map_or(0, u64::from),
            new: false,
            opinion: Opinion::Quiet,
            filled: !was_full && self.templates.is_full() && self.learner.table_full(),
        };
        match learned {
            Learned::Known(id) => weighed.template = Some(id),
            Learned::Merged { into, from } => {
                weighed.template = Some(into);
                self.move_masks(&from, into, newcomer.line.is_none());
            }
            Learned::New(id) => {
                weighed.template = Some(id);
                weighed.opinion = match (settings.enabled, found) {
                    (false, _) => Opinion::Quiet,
                    (true, false) => self.learner.new_template(at, settings, newcomer.title),
                    (true, true) => self.learner.new_template_found_by_others(at, settings),
                };
                weighed.new = true;
            }
            Learned::Full => {}
        }
        let template = weighed.template.and_then(|id| self.templates.get(id));
        weighed.text = match (newcomer.line, template) {
            (Some(line), _) => line.to_owned(),
            (None, Some(template)) => template.text.clone(),
            (None, None) => text,
        };
        if let (Some(id), 1..) = (weighed.template, weighed.early) {
            self.templates.count(id, weighed.early, at.arrived_ms);
        }
        weighed.subject = template::subject_of(&weighed.text);
        weighed.noted = self.notes.get(&weighed.subject).cloned();
        if self.places.len() >= MASKS_MAX {
            self.places.clear();
        }
        let place = Place {
            template: weighed.template,
            subject: weighed.subject,
        };
        self.places.insert(unknown.hash, place);
        let full = self.templates.is_full();
        let noted = weighed.noted.clone();
        let known = self.change_known();
        known.insert(unknown.hash, noted);
        // With `scope: line` there is always something new to be judged.
        if full && newcomer.line.is_none() {
            known.close();
        }
        weighed
    }

    /// Once an hour, when the source has learned: records of rare templates bring along that they are rare.
    pub fn look_for_rare(&mut self, at: At, settings: &Settings) {
        let is_due = self.rare_at_ms.is_none_or(|last| at.arrived_ms - last >= RARE_EVERY_MS);
        if !settings.enabled || !is_due || self.phase(at, settings) != Phase::Learned {
            return;
        }
        self.rare_at_ms = Some(at.arrived_ms);
        for subject in std::mem::take(&mut self.rare) {
            if self
                .notes
                .get(&subject)
                .is_some_and(|noted| noted.analyzer == AnalyzerKind::Novelty)
            {
                self.note(subject, None);
            }
        }
        let rare = rarity::rare(self.templates.iter());
        let rare: Vec<(u64, f64)> = rare
            .iter()
            .map(|(template, score)| (template::subject_of(&template.text), *score))
            .collect();
        for (subject, score) in rare {
            if !self.notes.contains_key(&subject) {
                let mut finding = Finding::new(AnalyzerKind::Novelty, settings.severity);
                finding.name = Some(RARE.to_owned());
                finding.score = Some(score);
                self.note(subject, Some(&Arc::new(finding)));
                self.rare.push(subject);
            }
        }
    }

    /// From now on every record of a subject brings `finding` along (none: nothing).
    pub fn note(&mut self, subject: u64, finding: Option<&Arc<Finding>>) {
        match finding {
            Some(finding) => self.notes.insert(subject, finding.clone()),
            None => self.notes.remove(&subject),
        };
        let masks: Vec<u64> = self
            .places
            .iter()
            .filter(|(_, place)| place.subject == subject)
            .map(|(mask, _)| *mask)
            .collect();
        let known = self.change_known();
        masks.into_iter().for_each(|mask| known.insert(mask, finding.cloned()));
    }

    /// Every mask is to be weighed again, without notes: who judges has changed.
    pub fn forget_notes(&mut self) {
        self.notes.clear();
        (self.rare, self.rare_at_ms) = (Vec::new(), None);
        self.places.clear();
        self.change_known().clear();
    }

    /// This mask is to be brought again: there was no room for what it asks for.
    pub fn ask_again(&mut self, mask: u64) {
        self.change_known().remove(mask);
    }

    fn move_masks(&mut self, from: &[u32], into: u32, by_template: bool) {
        let text = self.templates.get(into).map_or("", |template| template.text.as_str());
        let subject = template::subject_of(text);
        let mut noted = self.notes.get(&subject).cloned();
        for (mask, place) in &mut self.places {
            if place.template.is_some_and(|id| from.contains(&id)) {
                place.template = Some(into);
                if by_template {
                    // What was abnormal as a template of its own stays so until the larger one is judged.
                    noted = noted.or_else(|| self.notes.get(&place.subject).cloned());
                    place.subject = subject;
                    self.fresh = true;
                    Arc::make_mut(&mut self.known).insert(*mask, noted.clone());
                }
            }
        }
        if let Some(noted) = noted.filter(|_| by_template) {
            self.notes.insert(subject, noted);
        }
    }

    /// What one batch has counted; its newcomers have been weighed.
    pub fn count(&mut self, counts: &Counts, at: At) {
        self.learner.saw(counts.records.saturating_sub(self.counted), at);
        self.counted = 0;
        for (mask, records) in &counts.by_mask {
            let Some(place) = self.places.get(mask) else {
                if self.early.len() >= EARLY_MAX {
                    self.early.clear();
                }
                *self.early.entry(*mask).or_default() += *records;
                continue;
            };
            if let Some(id) = place.template {
                self.templates.count(id, u64::from(*records), at.arrived_ms);
            }
        }
    }

    /// The subject of a mask, if it was weighed.
    pub fn subject_of(&self, mask: u64) -> Option<u64> {
        self.places.get(&mask).map(|place| place.subject)
    }

    /// What the analyzers are to know.
    pub fn known(&self) -> Arc<Known> {
        self.known.clone()
    }

    /// The same, if it has changed since the last call.
    pub fn take_known(&mut self) -> Option<Arc<Known>> {
        std::mem::take(&mut self.fresh).then(|| self.known.clone())
    }

    pub fn phase(&mut self, at: At, settings: &Settings) -> Phase {
        self.learner.phase(at, settings)
    }

    fn change_known(&mut self) -> &mut Known {
        self.fresh = true;
        Arc::make_mut(&mut self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::mask::mask;
    use crate::analyzer::template::{Look, Tally};

    /// Looks a message up as an analyzer would, and weighs it where nobody knows it.
    fn see(familiar: &mut Familiar, tally: &mut Tally, message: &str, minute: i64) -> Option<Weighed> {
        let at = At {
            arrived_ms: minute * 60_000,
            stamp_ms: None,
        };
        let weighed = match tally.look(message.as_bytes()) {
            Look::Unknown(unknown) => {
                let mask = mask(message.as_bytes());
                let newcomer = Newcomer {
                    unknown,
                    mask: &mask,
                    fingerprint: "f",
                    title: message,
                    line: None,
                    found: false,
                };
                Some(familiar.weigh(&newcomer, at, &Settings::default()))
            }
            Look::Familiar | Look::Noted(_) => None,
        };
        familiar.count(&tally.take(), at);
        familiar
            .take_known()
            .into_iter()
            .for_each(|known| tally.set_known(known));
        weighed
    }

    #[test]
    fn every_record_is_counted_once_whoever_counts_it() {
        let (mut familiar, mut tally) = (Familiar::default(), Tally::default());
        for n in 0..100 {
            see(&mut familiar, &mut tally, &format!("took {n} ms"), 0);
            see(&mut familiar, &mut tally, ["up", "down"][n % 2], 0);
        }
        let mut counts: Vec<u64> = familiar.templates.iter().map(|template| template.count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [50, 50, 100]);
    }

    #[test]
    fn names_that_merged_after_they_were_published_are_counted_in_their_template() {
        let (mut familiar, mut tally) = (Familiar::default(), Tally::default());
        for user in ["ann", "bob", "cid", "dan", "ann", "bob"] {
            see(&mut familiar, &mut tally, &format!("user {user} came in"), 0);
        }
        let all: Vec<_> = familiar.templates.iter().map(|t| (t.text.as_str(), t.count)).collect();
        assert_eq!(all, [("user <*> came in", 6)]);
    }

    #[test]
    fn a_new_message_of_a_source_that_has_learned_is_news_once() {
        let (mut familiar, mut tally) = (Familiar::default(), Tally::default());
        for minute in 0..20_000 {
            let weighed = see(&mut familiar, &mut tally, &format!("took {minute} ms"), minute);
            assert!(weighed.is_none_or(|weighed| weighed.opinion == Opinion::Quiet));
        }
        let first = see(&mut familiar, &mut tally, "disk sda is failing", 20_001).unwrap();
        assert_eq!((first.new, first.opinion), (true, Opinion::News));
        assert_eq!(see(&mut familiar, &mut tally, "disk sda is failing", 20_002), None);
    }

    #[test]
    fn a_rare_message_of_a_source_that_has_learned_is_noted_as_rare() {
        let (mut familiar, mut tally) = (Familiar::default(), Tally::default());
        see(&mut familiar, &mut tally, "parity error in bank", 0);
        for minute in 0..20_000 {
            see(&mut familiar, &mut tally, &format!("took {minute} ms"), minute);
        }
        let at = At {
            arrived_ms: 20_001 * 60_000,
            stamp_ms: None,
        };
        familiar.look_for_rare(at, &Settings::default());
        tally.set_known(familiar.known());
        let Look::Noted(noted) = tally.look(b"parity error in bank") else {
            panic!("it came once in 20,001 records")
        };
        assert_eq!(
            (noted.analyzer, noted.name.as_deref()),
            (AnalyzerKind::Novelty, Some(RARE))
        );
        assert!(matches!(tally.look(b"took 7 ms"), Look::Familiar));
        let (mut learner, settings) = (familiar.learner.clone(), Settings::default());
        let told = (0..100).filter(|_| learner.tells_rare(at, &settings, "x")).count();
        assert_eq!(told, 10, "no more than max_per_hour");
    }
}
