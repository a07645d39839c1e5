//! Rules with `absent_for`: a match that should come again and again, and does not. Pure; time is an argument.
//!
//! Silence counts from the last match (from the first start, where there was none), on the clock of the boot, and is told
//! only once all that has been written is read. It is told again while it lasts, and is over with the next match.

use super::book::{self, Now};
use super::{Reason, Status, id};
use crate::analyzer::Rule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// While a source lags, its silence is looked at so often.
const LOOK_AGAIN_MS: u64 = 1000;

/// Where and when a rule matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    pub file_id: String,
    pub source: String,
    pub path: String,
    pub offset: u64,
    pub end_offset: u64,
    /// The record's own time, else that of its arrival.
    pub at: jiff::Timestamp,
}

/// What is kept of one rule in the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    pub last: Option<Match>,
    /// On CLOCK_BOOTTIME of the boot that wrote it.
    pub last_seen_ms: u64,
    pub last_said_ms: u64,
    /// Messages since the last match; none: it is not absent.
    pub ordinal: u32,
    pub firing_id: Option<String>,
    /// When it was said first that it is absent, last.
    pub said_at: Option<jiff::Timestamp>,
}

/// What has to be told of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub rule: Arc<str>,
    pub id: String,
    pub firing_id: Option<String>,
    pub status: Status,
    pub reason: Reason,
    /// Before the silence: of what is resolved too.
    pub last: Option<Match>,
    pub silence: Duration,
    pub since: Option<jiff::Timestamp>,
}

#[derive(Debug)]
struct Watch {
    rule: Rule,
    absent_for_ms: u64,
    life: Life,
    dirty: bool,
}

#[derive(Debug, Default)]
pub struct Absences {
    host_id: String,
    watches: BTreeMap<Arc<str>, Watch>,
    forgotten: Vec<Arc<str>>,
    repeat_after_ms: u64,
    look_again_ms: u64,
}

impl Absences {
    /// `stored` are the lives of the state, carried over to this boot; of rules that are new silence counts from `now`.
    pub fn new(
        rules: &[Rule],
        repeat_after: Duration,
        host_id: &str,
        stored: BTreeMap<String, Life>,
        now: Now,
    ) -> Self {
        let mut absences = Self {
            host_id: host_id.to_owned(),
            ..Self::default()
        };
        let watched = |name: &String| {
            rules
                .iter()
                .any(|rule| rule.absent_for.is_some() && *rule.name == **name)
        };
        absences.forgotten = stored
            .keys()
            .filter(|name| !watched(name))
            .map(|name| name.as_str().into())
            .collect();
        absences.set_rules(rules, repeat_after, stored, now);
        absences
    }

    /// New rules from here on; those that go on keep their lives.
    pub fn set_rules(&mut self, rules: &[Rule], repeat_after: Duration, stored: BTreeMap<String, Life>, now: Now) {
        self.repeat_after_ms = book::millis(repeat_after);
        let mut known = std::mem::take(&mut self.watches);
        for rule in rules {
            let Some(absent_for) = rule.absent_for else { continue };
            let kept = known.remove(&rule.name).map(|watch| (watch.life, watch.dirty));
            let kept = kept.or_else(|| stored.get(&*rule.name).map(|life| (life.clone(), false)));
            let (life, dirty) = kept.unwrap_or_else(|| (Life::begun(now), true));
            let absent_for_ms = book::millis(absent_for);
            let rule = rule.clone();
            let watch = Watch {
                absent_for_ms,
                life,
                dirty,
                rule,
            };
            self.watches.insert(watch.rule.name.clone(), watch);
        }
        self.forgotten.extend(known.into_keys());
    }

    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.watches.get(name).map(|watch| &watch.rule)
    }

    /// A rule has matched; what is over by it.
    pub fn matched(&mut self, rule: &str, last: Match, now: Now) -> Option<Said> {
        let watch = self.watches.get_mut(rule)?;
        let before = std::mem::replace(&mut watch.life, Life::begun(now));
        watch.dirty = true;
        let at = last.at;
        watch.life.last = Some(last);
        let firing_id = before.firing_id?;
        let silence_ms = match &before.last {
            Some(before) => at.as_millisecond().saturating_sub(before.at.as_millisecond()),
            None => 0,
        };
        let by_clock_ms = now.boot_ms.saturating_sub(before.last_seen_ms);
        Some(Said {
            rule: watch.rule.name.clone(),
            id: id::of_sequel(&firing_id, Status::Resolved.as_str(), before.ordinal),
            firing_id: Some(firing_id),
            status: Status::Resolved,
            reason: Reason::Quiet,
            silence: Duration::from_millis(u64::try_from(silence_ms).unwrap_or(0).max(by_clock_ms)),
            since: before.said_at,
            last: before.last,
        })
    }

    /// What has to be said by `now`. `caught_up` tells whether all sources of a rule are read to their ends.
    pub fn due(&mut self, now: Now, caught_up: &dyn Fn(&[Arc<str>]) -> bool) -> Vec<Said> {
        let mut said = Vec::new();
        if now.boot_ms < self.look_again_ms {
            return said;
        }
        for watch in self.watches.values_mut() {
            if watch.next_ms(self.repeat_after_ms) > now.boot_ms {
                continue;
            }
            if !caught_up(&watch.rule.sources) {
                self.look_again_ms = now.boot_ms + LOOK_AGAIN_MS;
                continue;
            }
            said.push(watch.say(&self.host_id, now));
        }
        said
    }

    /// When [`Absences::due`] has something to do next.
    pub fn next_due_ms(&self) -> Option<u64> {
        let next = self
            .watches
            .values()
            .map(|watch| watch.next_ms(self.repeat_after_ms))
            .min();
        next.map(|at| at.max(self.look_again_ms))
    }

    /// Lives that changed, and rules that are gone, since the last call.
    pub fn take_changes(&mut self) -> Changes {
        let dirty = self.watches.values_mut().filter(|watch| watch.dirty);
        let changed = dirty.map(|watch| {
            watch.dirty = false;
            (watch.rule.name.clone(), watch.life.clone())
        });
        Changes {
            changed: changed.collect(),
            forgotten: std::mem::take(&mut self.forgotten),
        }
    }

    /// The commit failed: these changes are to be written by the next one.
    pub fn put_back(&mut self, changes: Changes) {
        for (rule, _) in changes.changed {
            if let Some(watch) = self.watches.get_mut(&rule) {
                watch.dirty = true;
            }
        }
        self.forgotten.extend(changes.forgotten);
    }

    /// Times were carried over from another boot: all are written again.
    pub fn touch_all(&mut self) {
        self.watches.values_mut().for_each(|watch| watch.dirty = true);
    }
}

#[derive(Debug, Default)]
pub struct Changes {
    pub changed: Vec<(Arc<str>, Life)>,
    pub forgotten: Vec<Arc<str>>,
}

impl Watch {
    fn next_ms(&self, repeat_after_ms: u64) -> u64 {
        match self.life.ordinal {
            0 => self.life.last_seen_ms.saturating_add(self.absent_for_ms),
            _ => self.life.last_said_ms.saturating_add(repeat_after_ms),
        }
    }

    fn say(&mut self, host_id: &str, now: Now) -> Said {
        let life = &mut self.life;
        let ordinal = life.ordinal;
        life.ordinal += 1;
        life.last_said_ms = now.boot_ms;
        self.dirty = true;
        let since = *life.said_at.get_or_insert(now.wall);
        let (id, firing_id, status, reason) = match &life.firing_id {
            Some(firing) => {
                let id = id::of_sequel(firing, Status::Repeated.as_str(), ordinal);
                (id, Some(firing.clone()), Status::Repeated, Reason::Ongoing)
            }
            None => {
                let last = life
                    .last
                    .as_ref()
                    .map(|last| (last.file_id.as_bytes(), last.offset.to_le_bytes()));
                let (file, offset) = last.unwrap_or((b"", [0; 8]));
                let id = id::of_news(&[b"absence", host_id.as_bytes(), self.rule.name.as_bytes(), file, &offset]);
                life.firing_id = Some(id.clone());
                (id, None, Status::Firing, Reason::New)
            }
        };
        Said {
            rule: self.rule.name.clone(),
            id,
            firing_id,
            status,
            reason,
            last: life.last.clone(),
            silence: Duration::from_millis(now.boot_ms.saturating_sub(life.last_seen_ms)),
            since: Some(since),
        }
    }
}

impl Life {
    fn begun(now: Now) -> Self {
        Self {
            last: None,
            last_seen_ms: now.boot_ms,
            last_said_ms: 0,
            ordinal: 0,
            firing_id: None,
            said_at: None,
        }
    }
}

#[cfg(test)]
mod tests;
