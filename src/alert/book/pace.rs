//! How often a group's records come, and whether they come far more often than usual. By the records' own times, minute
//! by minute, so that reading on after an outage is no spike; where records have no time nothing is said.

use serde::{Deserialize, Serialize};

/// So many minutes are looked at before anything is usual.
const KNOWN_MIN: u32 = 10;
/// Fewer records in a minute are no spike, whatever is usual.
const RECORDS_MIN: u64 = 10;
/// A spike is so many times the usual rate.
const TIMES_USUAL: u64 = 10;
/// The next spike of a group is told after so long.
const REST_MINUTES: i64 = 60;
/// After so long a silence nothing is left of what was usual.
const FORGOTTEN_MINUTES: i64 = 120;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Since 1970: the one that is counted.
    minute: i64,
    count: u64,
    /// Records in 1,000 minutes: a moving average, of which each minute is an eighth.
    usual: u64,
    minutes: u32,
    spiked: i64,
}

impl Pace {
    /// Counts a record of this time; whether a spike begins with it.
    pub fn spikes(&mut self, at: jiff::Timestamp) -> bool {
        let minute = at.as_second().div_euclid(60);
        if self.minutes == 0 && self.count == 0 {
            self.minute = minute;
        } else if minute > self.minute {
            self.close_minute();
            let silent = (minute - self.minute - 1).min(FORGOTTEN_MINUTES);
            (0..silent).for_each(|_| self.close_minute());
            self.minute = minute;
        }
        self.count += 1;
        let far_above = self.count >= RECORDS_MIN && self.count * 1000 >= self.usual * TIMES_USUAL;
        let begins = far_above && self.minutes >= KNOWN_MIN && self.minute - self.spiked >= REST_MINUTES;
        if begins {
            self.spiked = self.minute;
        }
        begins
    }

    fn close_minute(&mut self) {
        self.usual = self.usual / 8 * 7 + self.count * 1000 / 8;
        self.minutes = self.minutes.saturating_add(1);
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes at which a spike begins, of so many records in each.
    fn spikes(per_minute: &[u64]) -> Vec<usize> {
        let mut pace = Pace::default();
        let at = |minute: usize| jiff::Timestamp::from_second(1_795_000_020 + 60 * minute as i64).unwrap();
        pace.spikes(at(0));
        let minutes = per_minute.iter().enumerate();
        let told = minutes.flat_map(|(minute, records)| (0..*records).map(move |_| minute));
        told.filter(|minute| pace.spikes(at(minute + 1))).collect()
    }

    #[test]
    fn a_rate_far_above_the_usual_is_told_once_an_hour() {
        let mut minutes = vec![2; 30];
        minutes.extend([60; 5]);
        assert_eq!(spikes(&minutes), [30]);
        minutes.extend(vec![2; 60]);
        minutes.push(60);
        assert_eq!(spikes(&minutes), [30, 95]);
    }

    #[test]
    fn a_busy_group_and_a_young_one_do_not_spike() {
        assert_eq!(spikes(&[100; 60]), [0; 0]);
        assert_eq!(spikes(&[1, 1, 1, 500]), [0; 0], "nothing is usual yet");
        assert_eq!(
            spikes(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]),
            [0; 0],
            "nine are no storm"
        );
    }
}
