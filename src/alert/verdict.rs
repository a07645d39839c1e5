//! Verdicts of a model on what a source says, and when they speak. Pure.
//!
//! A verdict is on a subject: a template, or with `scope: line` a line. It is kept per subject and model. What a person has
//! said about a template stands above it.

use super::template::{self, VARIABLE};
use crate::analyzer::{AnalyzerKind, Finding};
use crate::record::Level;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// The last verdicts whose share of abnormal ones is watched …
const WATCHED: usize = 100;
/// … from so many on.
const WATCHED_MIN: usize = 40;
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

/// The share of abnormal verdicts among the newest.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    newest: VecDeque<bool>,
}

impl Watch {
    /// Whether the model has lost touch with this log; `rate` is the share it was calibrated to.
    pub fn drifts(&mut self, abnormal: bool, rate: f64) -> bool {
        if self.newest.len() >= WATCHED {
            self.newest.pop_front();
        }
        self.newest.push_back(abnormal);
        let share = self.newest.iter().filter(|abnormal| **abnormal).count() as f64 / self.newest.len() as f64;
        self.newest.len() >= WATCHED_MIN && share > (DRIFT_FACTOR * rate).max(DRIFT_SHARE_MIN)
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

    #[test]
    fn a_model_that_finds_every_third_message_abnormal_is_to_be_trained_anew() {
        let mut watch = Watch::default();
        let first = (0..1000).position(|n| watch.drifts(n % 2 == 0, 0.01));
        assert_eq!(first, Some(WATCHED_MIN - 1));
        let mut watch = Watch::default();
        assert!(
            !(0..1000).any(|n| watch.drifts(n % 10 == 0, 0.01)),
            "one in ten is no drift"
        );
        let mut watch = Watch::default();
        assert!(
            !(0..1000).any(|n| watch.drifts(n % 2 == 0, 0.2)),
            "it was calibrated so"
        );
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
