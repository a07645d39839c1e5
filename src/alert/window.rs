//! Thresholds of rules: `at_least` matches `within` a window, counted per value of a capture or together. Pure.
//!
//! A match below its threshold is no finding; from the one that reaches it on each is, until the rate falls. What a rule
//! with a threshold finds is one alert per rule and value, whatever the messages say. Time is the log's own, by
//! [`FileClock`]; values are kept as hashes only, keyed by the host; the values that were not seen for longest are
//! forgotten above [`VALUES_MAX`], and counted.

use super::id;
use crate::analyzer::{AnalyzerKind, Counted, Exceptional, Finding, Rule, Threshold};
use crate::record::Level;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Values of captures whose matches are counted, over all rules.
pub const VALUES_MAX: usize = 10_000;
/// Lines of several threads of one program come in such disorder.
const DISORDER_MS: i64 = 60_000;
/// A stamp that is further ahead of its arrival is not believed.
const AHEAD_MS: i64 = 60_000;

/// The time of one file's records, which never goes back. A log whose clock is set back (by hand, or by the end of summer
/// time) goes on from where it was: its records keep their distances.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileClock {
    latest_ms: i64,
    /// What stamps before `latest_ms` are behind.
    shift_ms: i64,
}

impl FileClock {
    /// The time of the next record, in Unix milliseconds: its own `stamp`, else its arrival.
    pub fn tick(&mut self, stamp: Option<jiff::Timestamp>, arrival: jiff::Timestamp) -> i64 {
        let arrival_ms = arrival.as_millisecond();
        let stamp_ms = stamp.map(jiff::Timestamp::as_millisecond);
        let own_ms = stamp_ms.filter(|ms| *ms <= arrival_ms + AHEAD_MS).unwrap_or(arrival_ms);
        if own_ms < self.latest_ms - DISORDER_MS {
            if own_ms + self.shift_ms < self.latest_ms - DISORDER_MS {
                self.shift_ms = self.latest_ms - own_ms;
            }
            self.latest_ms = self.latest_ms.max(own_ms + self.shift_ms);
        }
        self.latest_ms = self.latest_ms.max(own_ms);
        self.latest_ms
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub rule: Arc<str>,
    /// Of the capture's value.
    pub hash: String,
}

/// Times of the newest matches of one rule and value, ascending, in Unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    times_ms: Vec<i64>,
    /// When it was touched last, among all.
    turn: u64,
}

/// What a record with matches of such rules comes to.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once; a box would cost every finding one"
)]
pub enum Judged {
    /// All its matches are below their thresholds.
    Below,
    /// None of its findings is of such a rule.
    Plain(Exceptional),
    Reached {
        /// The record with all that was found in it.
        whole: Box<Exceptional>,
        /// It without what is below, if there is anything else.
        plain: Option<Box<Exceptional>>,
        /// One for each threshold reached.
        alerts: Vec<Reached>,
    },
}

#[derive(Debug, Clone)]
pub struct Reached {
    pub found: Exceptional,
    pub matches: u64,
    /// When the first of them was.
    pub since: jiff::Timestamp,
}

/// All windows of all rules.
#[derive(Debug, Default)]
pub struct Windows {
    host_id: String,
    rules: BTreeMap<Arc<str>, Rule>,
    windows: HashMap<Key, Window>,
    /// Which was touched when.
    turns: BTreeMap<u64, Key>,
    turn: u64,
    dirty: BTreeSet<Key>,
    forgotten: BTreeSet<Key>,
    evicted: u64,
}

impl Windows {
    /// `stored` are those of the state; those of rules that have no threshold any more are forgotten.
    pub fn new(rules: &[Rule], host_id: &str, stored: impl IntoIterator<Item = (Key, Window)>) -> Self {
        let mut windows = Self {
            host_id: host_id.to_owned(),
            ..Self::default()
        };
        windows.set_rules(rules);
        for (key, window) in stored {
            if windows.threshold(&key.rule).is_some() {
                windows.put(key, window);
            } else {
                windows.forgotten.insert(key);
            }
        }
        windows.dirty.clear();
        windows
    }

    /// New rules from here on (reload).
    pub fn set_rules(&mut self, rules: &[Rule]) {
        self.rules = rules.iter().map(|rule| (rule.name.clone(), rule.clone())).collect();
    }

    /// Counts the matches of one record, whose time is `at_ms`.
    pub fn judge(&mut self, mut found: Exceptional, at_ms: i64) -> Judged {
        if !found
            .findings
            .iter()
            .any(|finding| self.threshold_of(finding).is_some())
        {
            return Judged::Plain(found);
        }
        let (mut others, mut reached) = (Vec::new(), Vec::new());
        for mut finding in std::mem::take(&mut found.findings) {
            let Some((rule, threshold)) = self.threshold_of(&finding) else {
                others.push(finding);
                continue;
            };
            let value = capture(&finding, threshold.per.as_deref());
            let (matches, since_ms) = self.count(&rule, &threshold, &value, at_ms);
            if matches >= u64::from(threshold.at_least) {
                finding.counted = Some(Counted {
                    matches,
                    at_least: threshold.at_least,
                    within_ms: millis(threshold.within).unsigned_abs(),
                    per: threshold.per,
                });
                let fingerprint = id::fingerprint(&[b"threshold", rule.as_bytes(), value.as_bytes()]);
                reached.push((finding, fingerprint, since_ms));
            }
        }
        self.sorted_out(found, others, reached)
    }

    fn sorted_out(&self, found: Exceptional, others: Vec<Finding>, reached: Vec<(Finding, String, i64)>) -> Judged {
        let with = |findings: Vec<Finding>| {
            let severity = self.severity(&findings)?;
            let found = found.clone();
            Some(Exceptional {
                findings,
                severity,
                ..found
            })
        };
        let plain = with(others.clone()).map(Box::new);
        if reached.is_empty() {
            return plain.map_or(Judged::Below, |plain| Judged::Plain(*plain));
        }
        let all = others
            .into_iter()
            .chain(reached.iter().map(|(finding, ..)| finding.clone()));
        let Some(mut whole) = with(all.collect()).map(Box::new) else {
            return Judged::Below;
        };
        if plain.is_none() {
            whole.fingerprint.clone_from(&reached[0].1);
        }
        let alerts = reached.into_iter().filter_map(|(finding, fingerprint, since_ms)| {
            let matches = finding.counted.as_ref().map_or(1, |counted| counted.matches);
            let found = with(vec![finding])?;
            Some(Reached {
                found: Exceptional { fingerprint, ..found },
                matches,
                since: jiff::Timestamp::from_millisecond(since_ms).unwrap_or_default(),
            })
        });
        Judged::Reached {
            whole,
            plain,
            alerts: alerts.collect(),
        }
    }

    /// As the analyzers come to it: the highest, or what an overriding rule says.
    fn severity(&self, findings: &[Finding]) -> Option<Level> {
        let overrides = |finding: &&Finding| {
            let rule = finding.name.as_deref().and_then(|name| self.rules.get(name));
            finding.analyzer == AnalyzerKind::Rule && rule.is_some_and(|rule| rule.overrides)
        };
        let overriding = findings.iter().filter(overrides).map(|finding| finding.severity).max();
        overriding.or_else(|| findings.iter().map(|finding| finding.severity).max())
    }

    fn threshold(&self, rule: &str) -> Option<&Threshold> {
        self.rules.get(rule)?.threshold.as_ref()
    }

    /// A match that alone is nothing: its rule has a threshold.
    pub fn only_counts(&self, finding: &Finding) -> bool {
        self.threshold_of(finding).is_some()
    }

    fn threshold_of(&self, finding: &Finding) -> Option<(Arc<str>, Threshold)> {
        let name = finding
            .name
            .as_deref()
            .filter(|_| finding.analyzer == AnalyzerKind::Rule)?;
        let rule = self.rules.get(name)?;
        Some((rule.name.clone(), rule.threshold.clone()?))
    }

    /// Matches within the window that ends at `at_ms`, this one among them, and the time of the first.
    fn count(&mut self, rule: &Arc<str>, threshold: &Threshold, value: &str, at_ms: i64) -> (u64, i64) {
        let parts: [&[u8]; 4] = [b"window", self.host_id.as_bytes(), rule.as_bytes(), value.as_bytes()];
        let key = Key {
            rule: rule.clone(),
            hash: id::of_news(&parts),
        };
        let mut window = self.windows.remove(&key).unwrap_or_default();
        self.turns.remove(&window.turn);
        // Twice as many as are needed: where a file that catches up and one that is followed feed one window, neither
        // pushes the other out.
        let counted = window.add(at_ms, millis(threshold.within), threshold.at_least as usize * 2);
        self.put(key, window);
        counted
    }

    fn put(&mut self, key: Key, mut window: Window) {
        self.turn += 1;
        window.turn = self.turn;
        self.turns.insert(self.turn, key.clone());
        self.dirty.insert(key.clone());
        self.forgotten.remove(&key);
        self.windows.insert(key, window);
        if self.windows.len() > VALUES_MAX
            && let Some((_, oldest)) = self.turns.pop_first()
        {
            self.windows.remove(&oldest);
            self.dirty.remove(&oldest);
            self.forgotten.insert(oldest);
            self.evicted += 1;
        }
    }

    /// Windows that changed and keys that were forgotten since the last call: what the next commit writes.
    pub fn take_changes(&mut self) -> Changes {
        let dirty = std::mem::take(&mut self.dirty);
        let changed = dirty.into_iter().filter_map(|key| {
            let window = self.windows.get(&key)?.clone();
            Some((key, window))
        });
        Changes {
            changed: changed.collect(),
            forgotten: std::mem::take(&mut self.forgotten).into_iter().collect(),
        }
    }

    /// The commit failed: these changes are to be written by the next one.
    pub fn put_back(&mut self, changes: Changes) {
        self.dirty.extend(changes.changed.into_iter().map(|(key, _)| key));
        let gone = changes
            .forgotten
            .into_iter()
            .filter(|key| !self.windows.contains_key(key));
        self.forgotten.extend(gone);
    }

    /// Values that were forgotten because there were too many, since the last call.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }
}

#[derive(Debug, Default)]
pub struct Changes {
    pub changed: Vec<(Key, Window)>,
    pub forgotten: Vec<Key>,
}

impl Window {
    fn add(&mut self, at_ms: i64, within_ms: i64, times_max: usize) -> (u64, i64) {
        let times = &mut self.times_ms;
        times.insert(times.partition_point(|time| *time <= at_ms), at_ms);
        while times.len() > times_max {
            // Of the two ends the one that is farther from now.
            let (first, last) = (times[0], times[times.len() - 1]);
            if at_ms - first >= last - at_ms {
                times.remove(0);
            } else {
                times.pop();
            }
        }
        let within = times
            .iter()
            .filter(|time| **time > at_ms - within_ms && **time <= at_ms);
        let since_ms = within.clone().next().copied().unwrap_or(at_ms);
        (within.count() as u64, since_ms)
    }

    /// The first time, then what each next one is later.
    pub fn to_steps(&self) -> Vec<i64> {
        let mut before = 0;
        let steps = self
            .times_ms
            .iter()
            .map(|time| time - std::mem::replace(&mut before, *time));
        steps.collect()
    }

    pub fn of_steps(steps: &[i64]) -> Self {
        let mut at = 0_i64;
        let times = steps.iter().map(|step| {
            at = at.saturating_add(*step);
            at
        });
        let mut times_ms: Vec<i64> = times.collect();
        times_ms.sort_unstable();
        Self { times_ms, turn: 0 }
    }
}

fn capture(finding: &Finding, per: Option<&str>) -> String {
    let value = per.and_then(|per| finding.captures.get(per));
    value.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
