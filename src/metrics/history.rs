//! The course of the last hour, a sample a minute: what the status page draws.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const MINUTE_SECONDS: u64 = 60;
/// An hour.
const MINUTES_MAX: usize = 60;

/// What one minute brought (or, as a total, all minutes so far).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    pub read_bytes: u64,
    pub records: u64,
    pub exceptional: u64,
    pub alerts: u64,
}

impl Minute {
    /// A source that is gone takes its counts with it: nothing is less than nothing.
    fn since(self, before: Self) -> Self {
        Self {
            read_bytes: self.read_bytes.saturating_sub(before.read_bytes),
            records: self.records.saturating_sub(before.records),
            exceptional: self.exceptional.saturating_sub(before.exceptional),
            alerts: self.alerts.saturating_sub(before.alerts),
        }
    }
}

/// Bounded by [`MINUTES_MAX`].
#[derive(Debug, Default)]
pub struct History {
    minutes: VecDeque<Minute>,
    sampled: u64,
    total: Minute,
}

impl History {
    /// `total` at `now` (seconds of any monotonic clock that begins at 0 with the counts). Minutes nobody sampled were
    /// slept through by the host: they count as empty, and what came with them as of the last one.
    pub fn sample(&mut self, now: u64, total: Minute) {
        let passed = now.saturating_sub(self.sampled) / MINUTE_SECONDS;
        if passed == 0 {
            return;
        }
        for _ in 1..passed.min(MINUTES_MAX as u64) {
            self.push(Minute::default());
        }
        self.push(total.since(self.total));
        self.sampled += passed * MINUTE_SECONDS;
        self.total = total;
    }

    pub fn minutes(&self) -> Vec<Minute> {
        self.minutes.iter().copied().collect()
    }

    fn push(&mut self, minute: Minute) {
        if self.minutes.len() == MINUTES_MAX {
            self.minutes.pop_front();
        }
        self.minutes.push_back(minute);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(read_bytes: u64) -> Minute {
        Minute {
            read_bytes,
            ..Minute::default()
        }
    }

    fn bytes(history: &History) -> Vec<u64> {
        history.minutes().iter().map(|minute| minute.read_bytes).collect()
    }

    #[test]
    fn a_minute_holds_what_came_since_the_last() {
        let mut history = History::default();
        history.sample(59, total(5));
        assert!(history.minutes().is_empty());
        history.sample(61, total(10));
        history.sample(62, total(11));
        history.sample(120, total(30));
        assert_eq!(bytes(&history), [10, 20]);
    }

    #[test]
    fn minutes_slept_through_are_empty_and_an_hour_is_kept() {
        let mut history = History::default();
        history.sample(60, total(1));
        history.sample(240, total(7));
        assert_eq!(bytes(&history), [1, 0, 0, 6]);
        history.sample(1_000_000, total(8));
        assert_eq!(history.minutes().len(), MINUTES_MAX);
        assert_eq!(bytes(&history).last(), Some(&1));
    }

    #[test]
    fn a_source_that_is_gone_takes_nothing_from_the_others() {
        let mut history = History::default();
        history.sample(60, total(100));
        history.sample(120, total(40));
        history.sample(180, total(50));
        assert_eq!(bytes(&history), [100, 0, 10]);
    }
}
