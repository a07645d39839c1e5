//! The book of groups: the life of an alert, from its first firing to its end. Pure; time is an argument.
//!
//! A group is what one source says with one fingerprint. Its first record fires at once; the next ones are counted; an
//! alert that goes on is said again after `repeat_after`; after `resolve_after` of silence (never before twice the usual
//! gap between its records) it is resolved; after that a record fires again. A rise in severity is said at once, and so is a
//! rate far above the usual.

mod pace;
mod withheld;

pub use withheld::Withheld;

use super::{Alert, Reason, Settings, Status, absence, clock, id};
use crate::record::Level;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Groups kept; beyond it the group that was silent for longest is forgotten (and would fire as new).
pub const GROUPS_MAX: usize = 10_000;

/// Ten years: longer than any timer.
pub const BEFORE_BOOT_MS: u64 = 10 * 365 * 24 * 3600 * 1000;
/// While a source lags, its groups are looked at so often.
const LOOK_AGAIN_MS: u64 = 1000;

/// The two clocks of an alert's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// CLOCK_BOOTTIME in milliseconds: counts while the host sleeps, never jumps. Counted from [`BEFORE_BOOT_MS`] before
    /// the boot, so that what was seen before it has a time too.
    pub boot_ms: u64,
    pub wall: jiff::Timestamp,
}

/// What a group is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub source: Arc<str>,
    pub fingerprint: Arc<str>,
}

/// The life of one group, as it is kept in the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Id of the firing that began this life.
    pub firing_id: String,
    pub firing: bool,
    pub severity: Level,
    /// Since it fired.
    pub count: u64,
    /// Since something was said last.
    pub unsaid: u64,
    /// Since when `unsaid` is counted; nought: an earlier version did not say.
    #[serde(default)]
    pub unsaid_since_ms: u64,
    /// How many messages followed the firing.
    pub ordinal: u32,
    pub first_seen: jiff::Timestamp,
    pub last_seen: jiff::Timestamp,
    /// On CLOCK_BOOTTIME of the boot that wrote it, in milliseconds.
    pub last_said_ms: u64,
    pub last_seen_ms: u64,
    /// The usual gap between two records: a moving average, in milliseconds.
    pub gap_ms: u64,
    #[serde(default)]
    pub pace: pace::Pace,
    /// What of it nobody heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
}

/// What the keeper has to do about a record or a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub key: Key,
    pub id: String,
    /// Where it is not this one.
    pub firing_id: Option<String>,
    pub status: Status,
    pub reason: Reason,
    pub severity: Level,
    /// Since the last message.
    pub count: u64,
    /// Since it fired.
    pub total: u64,
    /// In which `count` came; none: with the firing.
    pub period_ms: Option<u64>,
    pub first_seen: jiff::Timestamp,
    pub last_seen: jiff::Timestamp,
}

#[derive(Debug, Default)]
pub struct Book {
    groups: BTreeMap<Key, Group>,
    /// Groups by the moment at which something may have to be said of them.
    timers: BTreeSet<(u64, Key)>,
    /// Nothing is due before: a source lags.
    look_again_ms: u64,
    repeat_after_ms: u64,
    resolve_after_ms: u64,
    /// Groups of which something was withheld.
    withheld: BTreeSet<Key>,
    dirty: BTreeSet<Key>,
    forgotten: Vec<Key>,
}

/// What of a record enters the life of its group.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    pub fingerprint: &'a str,
    pub id: &'a str,
    pub severity: Level,
    pub count: u64,
    pub timestamp: Option<jiff::Timestamp>,
    pub first_seen: jiff::Timestamp,
    pub last_seen: jiff::Timestamp,
}

impl<'a> From<&'a Alert> for Turn<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            fingerprint: &alert.fingerprint,
            id: &alert.id,
            severity: alert.severity,
            count: alert.count,
            timestamp: alert.timestamp,
            first_seen: alert.first_seen,
            last_seen: alert.last_seen,
        }
    }
}

impl Book {
    /// `groups` are those of the state; their clock readings have been carried over to this boot by [`CarryOver`].
    pub fn new(settings: &Settings, groups: impl IntoIterator<Item = (Key, Group)>) -> Self {
        let mut book = Self::default();
        book.set_timing(settings);
        for (key, group) in groups {
            book.timers.insert((book.next_ms(&group), key.clone()));
            if group.withheld.is_some() {
                book.withheld.insert(key.clone());
            }
            book.groups.insert(key, group);
        }
        book
    }

    /// New timing from here on (reload).
    pub fn set_timing(&mut self, settings: &Settings) {
        self.repeat_after_ms = millis(settings.repeat_after);
        self.resolve_after_ms = millis(settings.resolve_after);
        self.timers = self
            .groups
            .iter()
            .map(|(key, group)| (self.next_ms(group), key.clone()))
            .collect();
    }

    /// Counts a record (or so many as it counts); tells what is to be said of it, if anything.
    pub fn observe<'a>(&mut self, source: &Arc<str>, turn: impl Into<Turn<'a>>, now: Now) -> Option<Said> {
        let turn = &turn.into();
        let key = Key {
            source: source.clone(),
            fingerprint: turn.fingerprint.into(),
        };
        let group = self.groups.remove(&key);
        if let Some(group) = &group {
            self.timers.remove(&(self.next_ms(group), key.clone()));
        }
        let (group, said) = match group {
            Some(group) if group.firing => self.go_on(group, turn, now),
            Some(group) => (
                fire(turn, now, group.gap_ms),
                Some(Told::firing(turn.count, turn.id.to_owned(), Reason::Again)),
            ),
            None => (
                fire(turn, now, 0),
                Some(Told::firing(turn.count, turn.id.to_owned(), Reason::New)),
            ),
        };
        let said = said.map(|said| say(&key, &group, said));
        self.put(key, group);
        self.forget_excess();
        said
    }

    /// What has to be said by `now` because time has passed. `caught_up` tells whether a source is read to its end:
    /// silence only counts then.
    pub fn due(&mut self, now: Now, caught_up: &dyn Fn(&str) -> bool) -> Vec<Said> {
        let mut said = Vec::new();
        if now.boot_ms < self.look_again_ms {
            return said;
        }
        let due: Vec<_> = self
            .timers
            .iter()
            .take_while(|(at, _)| *at <= now.boot_ms)
            .cloned()
            .collect();
        for (at, key) in due {
            self.timers.remove(&(at, key.clone()));
            let Some(mut group) = self.groups.remove(&key) else {
                continue;
            };
            if !caught_up(&key.source) {
                // Nothing is known about silence yet: look again in a while, as if the record had just been seen.
                group.last_seen_ms = now.boot_ms;
                self.look_again_ms = now.boot_ms + LOOK_AGAIN_MS;
            } else if let Some(message) = self.time_passed(&key, &mut group, now) {
                said.push(message);
            }
            self.put(key, group);
        }
        said
    }

    /// When [`Book::due`] has something to do next, on CLOCK_BOOTTIME.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.timers
            .first()
            .map(|(at, _)| *at)
            .filter(|at| *at != u64::MAX)
            .map(|at| at.max(self.look_again_ms))
    }

    /// Groups that changed and keys that were forgotten since the last call: what the next commit writes.
    pub fn take_changes(&mut self) -> (Vec<(Key, Group)>, Vec<Key>) {
        let dirty = std::mem::take(&mut self.dirty);
        let changed = dirty
            .into_iter()
            .filter_map(|key| self.groups.get(&key).cloned().map(|group| (key, group)));
        (changed.collect(), std::mem::take(&mut self.forgotten))
    }

    /// All groups are written by the next commit: their times were carried over.
    pub fn touch_all(&mut self) {
        self.dirty = self.groups.keys().cloned().collect();
    }

    /// The commit failed: these changes are to be written by the next one.
    pub fn put_back_changes(&mut self, changed: impl Iterator<Item = Key>, forgotten: Vec<Key>) {
        self.dirty.extend(changed);
        self.forgotten.extend(forgotten);
    }

    pub fn group(&self, key: &Key) -> Option<&Group> {
        self.groups.get(key)
    }

    pub fn groups(&self) -> impl Iterator<Item = (&Key, &Group)> {
        self.groups.iter()
    }

    /// One more record of a group that fires already.
    fn go_on(&self, mut group: Group, turn: &Turn<'_>, now: Now) -> (Group, Option<Told>) {
        let gap = now.boot_ms.saturating_sub(group.last_seen_ms);
        // An eighth of the newest gap: one pause among a hundred records does not move it far.
        group.gap_ms = if group.gap_ms == 0 {
            gap
        } else {
            group.gap_ms - group.gap_ms / 8 + gap / 8
        };
        group.count += turn.count;
        group.unsaid += turn.count;
        group.last_seen_ms = now.boot_ms;
        group.last_seen = group.last_seen.max(turn.last_seen);
        let worse = turn.severity > group.severity;
        let spikes = turn.timestamp.is_some_and(|at| group.pace.spikes(at));
        group.severity = group.severity.max(turn.severity);
        let said = (worse || spikes).then(|| sequel(&mut group, Status::Repeated, Reason::Spiking, now));
        (group, said)
    }

    /// A timer of a group has run out: repeated, resolved, or not yet.
    fn time_passed(&self, key: &Key, group: &mut Group, now: Now) -> Option<Said> {
        if !group.firing {
            return None;
        }
        let (status, reason) = if now.boot_ms >= self.resolve_at_ms(group) {
            (Status::Resolved, Reason::Quiet)
        } else if group.unsaid > 0 && now.boot_ms >= group.last_said_ms.saturating_add(self.repeat_after_ms) {
            (Status::Repeated, Reason::Ongoing)
        } else {
            return None;
        };
        let told = sequel(group, status, reason, now);
        Some(say(key, group, told))
    }

    fn resolve_at_ms(&self, group: &Group) -> u64 {
        group
            .last_seen_ms
            .saturating_add(self.resolve_after_ms.max(group.gap_ms.saturating_mul(2)))
    }

    /// When something may have to be said of a group; never, once it is resolved.
    fn next_ms(&self, group: &Group) -> u64 {
        match (group.firing, group.unsaid) {
            (false, _) => u64::MAX,
            (true, 0) => self.resolve_at_ms(group),
            (true, _) => self
                .resolve_at_ms(group)
                .min(group.last_said_ms.saturating_add(self.repeat_after_ms)),
        }
    }

    fn put(&mut self, key: Key, group: Group) {
        self.timers.insert((self.next_ms(&group), key.clone()));
        self.dirty.insert(key.clone());
        self.groups.insert(key, group);
    }

    fn forget_excess(&mut self) {
        if self.groups.len() <= GROUPS_MAX {
            return;
        }
        let Some(key) = self
            .groups
            .iter()
            .min_by_key(|(_, group)| (group.firing, group.last_seen_ms))
            .map(|(key, _)| key.clone())
        else {
            return;
        };
        if let Some(group) = self.groups.remove(&key) {
            self.timers.remove(&(self.next_ms(&group), key.clone()));
            self.dirty.remove(&key);
            self.forgotten.push(key);
        }
    }
}

/// How clock readings of an earlier boot are carried over to this one: by the wall clock, if it was and is possible;
/// else timers start again now.
#[derive(Debug, Clone, Copy)]
pub struct CarryOver {
    pub written: Now,
    pub now: Now,
}

impl CarryOver {
    /// A reading of that boot as one of this.
    pub fn reading(&self, then_ms: u64) -> u64 {
        let Self { written, now } = self;
        if !clock::is_possible(written.wall) || !clock::is_possible(now.wall) {
            return now.boot_ms;
        }
        let away_ms = now.wall.as_millisecond() - written.wall.as_millisecond();
        let away_ms = u64::try_from(away_ms).unwrap_or(0);
        now.boot_ms
            .saturating_sub(written.boot_ms.saturating_sub(then_ms).saturating_add(away_ms))
    }

    pub fn group(&self, group: &mut Group) {
        group.last_said_ms = self.reading(group.last_said_ms);
        if group.unsaid_since_ms > 0 {
            group.unsaid_since_ms = self.reading(group.unsaid_since_ms);
        }
        group.last_seen_ms = self.reading(group.last_seen_ms);
    }

    pub fn absence(&self, life: &mut absence::Life) {
        life.last_said_ms = self.reading(life.last_said_ms);
        life.last_seen_ms = self.reading(life.last_seen_ms);
    }
}

fn fire(turn: &Turn<'_>, now: Now, gap_ms: u64) -> Group {
    Group {
        firing_id: turn.id.to_owned(),
        firing: true,
        severity: turn.severity,
        count: turn.count,
        unsaid: 0,
        unsaid_since_ms: now.boot_ms,
        ordinal: 0,
        first_seen: turn.first_seen,
        last_seen: turn.last_seen,
        last_said_ms: now.boot_ms,
        last_seen_ms: now.boot_ms,
        gap_ms,
        pace: pace::Pace::default(),
        withheld: None,
    }
}

/// What a message says besides its group.
struct Told {
    id: String,
    status: Status,
    reason: Reason,
    count: u64,
    period_ms: Option<u64>,
}

impl Told {
    fn firing(count: u64, id: String, reason: Reason) -> Self {
        Self {
            id,
            status: Status::Firing,
            reason,
            count,
            period_ms: None,
        }
    }
}

/// The message that follows those that were said; counting begins anew with it.
fn sequel(group: &mut Group, status: Status, reason: Reason, now: Now) -> Told {
    group.ordinal += 1;
    group.last_said_ms = now.boot_ms;
    group.firing = status != Status::Resolved;
    let since_ms = std::mem::replace(&mut group.unsaid_since_ms, now.boot_ms);
    Told {
        id: id::of_sequel(&group.firing_id, status.as_str(), group.ordinal),
        status,
        reason,
        count: std::mem::take(&mut group.unsaid),
        period_ms: (since_ms > 0).then(|| now.boot_ms.saturating_sub(since_ms)),
    }
}

fn say(key: &Key, group: &Group, told: Told) -> Said {
    let Told {
        id,
        status,
        reason,
        count,
        period_ms,
    } = told;
    Said {
        key: key.clone(),
        firing_id: (group.firing_id != id).then(|| group.firing_id.clone()),
        id,
        status,
        reason,
        severity: group.severity,
        count,
        total: group.count,
        period_ms,
        first_seen: group.first_seen,
        last_seen: group.last_seen,
    }
}

impl Said {
    /// Makes `alert` (the sample of the group, or the record that caused this) the message that this is.
    pub fn put_into(&self, alert: &mut Alert, observed_at: jiff::Timestamp) {
        alert.id.clone_from(&self.id);
        alert.firing_id.clone_from(&self.firing_id);
        alert.status = self.status;
        alert.reason = self.reason;
        alert.severity = self.severity;
        alert.count = self.count;
        alert.total = (self.status != Status::Firing).then_some(self.total);
        alert.period_ms = self.period_ms;
        alert.first_seen = self.first_seen;
        alert.last_seen = self.last_seen;
        alert.observed_at = observed_at;
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
