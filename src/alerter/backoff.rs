//! Back-off between tries: 1 s, doubling to 5 min, with jitter.
//!
//! The jitter is "equal jitter": between half of the step and all of it. A site whose uplink comes back has many agents
//! that failed at the same moment; full jitter would let some of them try at once, and again.

use std::time::Duration;

pub const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, and the pace of what is blocked or parked.
pub const CAP: Duration = Duration::from_secs(300);

/// How long to wait after so many failures in a row; `jitter` in 0…1.
pub fn after(failures: u32, jitter: f64) -> Duration {
    // 2^9 s is over the cap already: the shift cannot overflow.
    let step = (FIRST * (1 << failures.saturating_sub(1).min(9))).min(CAP);
    step.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second_to_five_minutes() {
        let waits: Vec<u64> = (1..=11).map(|n| after(n, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(after(u32::MAX, 1.0), CAP);
        assert_eq!(after(0, 1.0), FIRST);
    }

    #[test]
    fn jitter_never_halves_more_than_once() {
        assert_eq!(after(3, 0.0), Duration::from_secs(2));
        assert_eq!(after(3, 7.0), Duration::from_secs(4));
    }
}
