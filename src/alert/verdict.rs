//! Verdicts of a model on what a source says, and when they speak. Pure.
//!
//! A verdict is on a subject: a template, or with `scope: line` a line. It is kept per subject and model. What a person has
//! said about a template stands above it.

use super::template::{self, VARIABLE};
use crate::analyzer::{AnalyzerKind, Finding};
use crate::record::Level;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Records among which the share of abnormal ones is watched.
const WATCHED_RECORDS: u64 = 10_000;
/// So many must have counted before anything is said of the share.
const COUNTED_MIN: u64 = 100;
/// As in the calibration: one burst must not decide.
const OF_EACH_MAX: u64 = 5;
/// A share so many times above the calibrated rate, and above `DRIFT_SHARE_MIN`, means that the model does not know this
/// log: normal lines are found abnormal, and what it says is worth nothing.
const DRIFT_FACTOR: f64 = 10.0;
const DRIFT_SHARE_MIN: f64 = 0.3;

/// What a model said of one subject.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub abnormal: bool,
    pub score: Option<f64>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    pub threshold: Option<f64>,
}

impl Verdict {
    /// Abnormal, and sure enough; a missing confidence passes.
    pub fn speaks(&self, min_confidence: f64) -> bool {
        self.abnormal && self.confidence.is_none_or(|confidence| confidence >= min_confidence)
    }

    /// As it stands among the detectors; `judge` is the engine's name.
    pub fn finding(&self, judge: &str, model: &str, severity: Level) -> Finding {
        Finding {
            name: Some(judge.to_owned()),
            score: self.score,
            confidence: self.confidence,
            threshold: self.threshold,
            model: Some(model.to_owned()),
            ..Finding::new(AnalyzerKind::Ai, severity)
        }
    }
}

/// How much of what came lately is abnormal. Not how many of the verdicts: once a source is known, only what is new is
/// judged, and that most of it is abnormal says nothing against the model.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    records: Share,
    /// Of the same, each subject [`OF_EACH_MAX`] times at most.
    counted: Share,
    of_each: HashMap<u64, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    all: u64,
    abnormal: u64,
}

impl Share {
    fn add(&mut self, records: u64, abnormal: bool) {
        self.all += records;
        self.abnormal += if abnormal { records } else { 0 };
    }

    fn exceeds(self, limit: f64) -> bool {
        self.abnormal as f64 > limit * self.all as f64
    }
}

impl Watch {
    /// So many records of a subject with this verdict came.
    pub fn saw(&mut self, subject: u64, records: u64, abnormal: bool) {
        if self.records.all >= WATCHED_RECORDS {
            *self = Self::default();
        }
        self.records.add(records, abnormal);
        let of_this = self.of_each.entry(subject).or_default();
        let counts = records.min(OF_EACH_MAX - *of_this);
        *of_this += counts;
        self.counted.add(counts, abnormal);
    }

    /// Whether the model has lost touch with this log; `rate` is the share it was calibrated to. An incident of many kinds
    /// is a small share of the records, a storm of one kind a small share of the kinds: neither is meant.
    pub fn drifts(&self, rate: f64) -> bool {
        let limit = (DRIFT_FACTOR * rate).max(DRIFT_SHARE_MIN);
        self.counted.all >= COUNTED_MIN && self.counted.exceeds(limit) && self.records.exceeds(limit)
    }
}

/// What people have said, by the text of the template.
#[derive(Debug, Clone, Default)]
pub struct Words {
    by_subject: HashMap<u64, bool>,
    /// Those with variables, which other hosts may have learned otherwise.
    patterns: Vec<(String, bool)>,
}

impl Words {
    pub fn new(words: impl IntoIterator<Item = (String, bool)>) -> Self {
        let mut all = Self::default();
        for (text, abnormal) in words {
            all.by_subject.insert(template::subject_of(&text), abnormal);
            if text.split(' ').any(|word| word == VARIABLE) {
                all.patterns.push((text, abnormal));
            }
        }
        all
    }

    /// Whether somebody has said that this (a template, or a masked message) is abnormal; none: nobody has said anything.
    pub fn about(&self, text: &str) -> Option<bool> {
        let exact = self.by_subject.get(&template::subject_of(text)).copied();
        exact.or_else(|| {
            let covering = self
                .patterns
                .iter()
                .find(|(pattern, _)| template::covers(pattern, text));
            covering.map(|(_, abnormal)| *abnormal)
        })
    }

    pub fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_confidence_passes_and_a_low_one_does_not() {
        let verdict = |abnormal, confidence| Verdict {
            abnormal,
            score: None,
            confidence,
            threshold: None,
        };
        assert!(verdict(true, None).speaks(0.9) && verdict(true, Some(0.9)).speaks(0.9));
        assert!(!verdict(true, Some(0.8)).speaks(0.9) && !verdict(false, Some(1.0)).speaks(0.0));
    }

    /// The record, from 1, at which the model is found to have lost touch.
    fn drifts_at(rate: f64, records: impl Iterator<Item = (u64, bool)>) -> Option<usize> {
        let mut watch = Watch::default();
        records.enumerate().find_map(|(number, (subject, abnormal))| {
            watch.saw(subject, 1, abnormal);
            watch.drifts(rate).then_some(number + 1)
        })
    }

    #[test]
    fn a_model_that_finds_every_third_message_abnormal_is_to_be_trained_anew() {
        let every = |nth: u64| (0..9_000).map(move |subject| (subject, subject % nth == 0));
        assert_eq!(drifts_at(0.01, every(2)), Some(COUNTED_MIN as usize));
        assert_eq!(drifts_at(0.01, every(10)), None, "one in ten is no drift");
        assert_eq!(drifts_at(0.2, every(2)), None, "it was calibrated so");
    }

    #[test]
    fn what_is_new_or_comes_in_a_burst_says_nothing_against_a_model_that_knows_the_rest() {
        let usual = |record: u64| (record % 40, false);
        let news = (0..9_000).map(|record| match record {
            1_000..1_060 => (record, true),
            _ => usual(record),
        });
        assert_eq!(drifts_at(0.01, news), None, "sixty new kinds beside forty known ones");
        let burst = (0..9_000).map(|record| match record {
            1_000.. => (7_777, true),
            _ => usual(record),
        });
        assert_eq!(drifts_at(0.01, burst), None);
        let incident = (0..9_000).map(|record| match record % 10 {
            0 if record > 4_000 => (100_000 + record, true),
            _ => usual(record),
        });
        assert_eq!(drifts_at(0.01, incident), None, "five hundred kinds, one record in ten");
        let spread = (0..90_000).map(|record| match record % 1_000 {
            0 => (100_000 + record, true),
            _ => usual(record),
        });
        assert_eq!(drifts_at(0.01, spread), None, "old news are forgotten");
    }

    #[test]
    fn a_word_about_a_template_counts_for_the_messages_that_it_covers() {
        let words = Words::new([("user <*> came in".to_owned(), false), ("disk failed".to_owned(), true)]);
        assert_eq!(words.about("user bob came in"), Some(false));
        assert_eq!(words.about("user <*> came in"), Some(false));
        assert_eq!(words.about("disk failed"), Some(true));
        assert_eq!(words.about("disk failed again"), None);
    }
}
