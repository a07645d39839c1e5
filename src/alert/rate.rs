//! How many messages people are sent: `max_per_minute` and `max_per_hour` of one alerter. Pure; time is an argument.
//!
//! Within any minute (hour) not more than so many messages go out; what is above is held back for a digest. Fatal alerts
//! are counted among themselves only: no storm of errors holds one back.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// None: as many as there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub per_minute: Option<u32>,
    pub per_hour: Option<u32>,
}

/// When the messages of the last hour were sent, by the wall clock: kept over restarts. A clock that jumps back makes
/// nobody wait longer than from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    sent: VecDeque<Sent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    at_ms: i64,
    fatal: bool,
}

impl Limits {
    fn windows(self) -> impl Iterator<Item = (i64, usize)> {
        let minute = self.per_minute.map(|max| (MINUTE_MS, max as usize));
        minute
            .into_iter()
            .chain(self.per_hour.map(|max| (HOUR_MS, max as usize)))
    }

    pub fn are_none(self) -> bool {
        self.per_minute.is_none() && self.per_hour.is_none()
    }
}

impl Rate {
    /// Whether one more message may go now; then it is counted.
    pub fn take(&mut self, limits: Limits, now_ms: i64, fatal: bool) -> bool {
        if limits.are_none() {
            return true;
        }
        if self.wait_ms(limits, now_ms, fatal) > 0 {
            return false;
        }
        self.sent.push_back(Sent { at_ms: now_ms, fatal });
        true
    }

    /// How long until one more may go.
    pub fn wait_ms(&mut self, limits: Limits, now_ms: i64, fatal: bool) -> i64 {
        self.sent
            .iter_mut()
            .for_each(|sent| sent.at_ms = sent.at_ms.min(now_ms));
        while self.sent.front().is_some_and(|sent| sent.at_ms <= now_ms - HOUR_MS) {
            self.sent.pop_front();
        }
        let waits = limits.windows().filter_map(|(window_ms, max)| {
            let counted = self.sent.iter().rev().filter(|sent| !fatal || sent.fatal);
            // The one that has to leave the window first.
            let blocking = counted
                .take_while(|sent| sent.at_ms > now_ms - window_ms)
                .nth(max.saturating_sub(1))?;
            Some(blocking.at_ms + window_ms - now_ms)
        });
        waits.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        per_minute: Some(3),
        per_hour: Some(5),
    };

    #[test]
    fn within_any_minute_and_any_hour_not_more_go_out() {
        let mut rate = Rate::default();
        let mut sent_at = Vec::new();
        for second in 0..2 * 3600 {
            if rate.take(LIMITS, second * 1000, false) {
                sent_at.push(second);
            }
        }
        assert_eq!(sent_at, [0, 1, 2, 60, 61, 3600, 3601, 3602, 3660, 3661]);
    }

    #[test]
    fn a_storm_of_errors_holds_back_no_fatal_one() {
        let mut rate = Rate::default();
        let errors = (0..10).filter(|_| rate.take(LIMITS, 0, false)).count();
        let fatal = (0..10).filter(|_| rate.take(LIMITS, 0, true)).count();
        assert_eq!((errors, fatal), (3, 3));
        assert_eq!(rate.wait_ms(LIMITS, 0, true), MINUTE_MS);
    }

    #[test]
    fn a_clock_that_jumps_back_holds_nothing_back_for_long() {
        let mut rate = Rate::default();
        (0..3).for_each(|_| assert!(rate.take(LIMITS, 90 * 24 * HOUR_MS, false)));
        assert_eq!(rate.wait_ms(LIMITS, 0, false), MINUTE_MS);
        assert!(rate.take(LIMITS, MINUTE_MS, false));
    }

    #[test]
    fn it_goes_on_after_a_restart() {
        let mut rate = Rate::default();
        (0..3).for_each(|_| assert!(rate.take(LIMITS, 0, false)));
        let text = serde_json::to_string(&rate).unwrap();
        let mut rate: Rate = serde_json::from_str(&text).unwrap();
        assert!(!rate.take(LIMITS, 1000, false));
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let mut rate = Rate::default();
        (0..100).for_each(|_| assert!(rate.take(Limits::default(), 0, false)));
        assert_eq!(rate, Rate::default());
    }
}
