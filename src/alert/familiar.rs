//! All that is familiar of one source: its templates, how far it has learned, and which masks belong to which template.
//!
//! Driven by the keeper in `run` and inline in `scan`: records whose mask nobody knew come in, in order, with what was
//! counted between them; out comes what is news, and the [`Known`] that the analyzers look into. Pure.

use super::novelty::{At, Learner, Opinion, Phase, Settings};
use super::template::{Learned, Template, Templates, normal_form};
use crate::analyzer::mask::mask;
use crate::analyzer::template::{ByMask, Counts, Known, MASKS_MAX, Unknown};
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Familiar {
    pub templates: Templates,
    pub learner: Learner,
    ids: ByMask<u32>,
    known: Arc<Known>,
    /// `known` differs from what was handed out last.
    fresh: bool,
    /// Records of the current batch that the learner knows of.
    counted: u64,
}

/// What a record with an unknown mask is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// None: its template could not be made, the table is full.
    pub template: Option<u32>,
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
    /// Somebody has found it exceptional already.
    pub found: bool,
}

impl Familiar {
    pub fn new(stored: impl IntoIterator<Item = Template>, learner: Learner) -> Self {
        Self {
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
        // Masked once more: what redaction put in is the same on every host then.
        let text = normal_form(&mask(newcomer.mask.as_bytes()));
        let learned = self.templates.learn(&text, newcomer.fingerprint, at.arrived_ms);
        let mut weighed = Weighed {
            template: None,
            new: false,
            opinion: Opinion::Quiet,
            filled: !was_full && self.templates.is_full() && self.learner.table_full(),
        };
        match learned {
            Learned::Known(id) => weighed.template = Some(id),
            Learned::Merged { into, from } => {
                weighed.template = Some(into);
                self.ids
                    .values_mut()
                    .filter(|id| from.contains(id))
                    .for_each(|id| *id = into);
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
        if let Some(id) = weighed.template {
            if self.ids.len() >= MASKS_MAX {
                self.ids.clear();
            }
            self.ids.insert(unknown.hash, id);
        }
        let full = self.templates.is_full();
        let known = self.change_known();
        known.insert(unknown.hash, None);
        if full {
            known.close();
        }
        weighed
    }

    /// What one batch has counted; its newcomers have been weighed.
    pub fn count(&mut self, counts: &Counts, at: At) {
        self.learner.saw(counts.records.saturating_sub(self.counted), at);
        self.counted = 0;
        for (mask, records) in &counts.by_mask {
            if let Some(id) = self.ids.get(mask) {
                self.templates.count(*id, u64::from(*records), at.arrived_ms);
            }
        }
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
}
