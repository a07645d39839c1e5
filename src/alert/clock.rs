//! Whether the host's clock can be right. Pure.
//!
//! Boards without a battery begin in 1970, or where they were switched off, and jump when the network tells them the
//! time. No timer of ours follows the wall clock while a boot lasts, so that a jump starts no false alert; what is told
//! meanwhile says that its times are not to be trusted (`clock_suspect`).

use super::book::Now;

/// No host's clock is before this: when this program was built, where the build says so.
const EARLIEST_SECONDS: i64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => match i64::from_str_radix(text, 10) {
        Ok(seconds) => seconds,
        Err(_) => RELEASED_SECONDS,
    },
    None => RELEASED_SECONDS,
};
/// 2026-09-01, before this version was begun.
const RELEASED_SECONDS: i64 = 1_788_220_800;
/// Records are not written so long after they are read.
const AHEAD_MS: i64 = 24 * 3600 * 1000;
/// Network time moves a clock by less; a larger step is a jump.
const STEP_MS: i64 = 60_000;
/// So long after a jump times are doubted.
const DOUBT_MS: u64 = 5 * 60_000;

/// Whether a wall clock may show this.
pub fn is_possible(wall: jiff::Timestamp) -> bool {
    wall.as_second() >= EARLIEST_SECONDS
}

/// The wall clock as seen beside the clock of the boot.
#[derive(Debug, Default)]
pub struct WallClock {
    seen: Option<Now>,
    doubted_until_ms: u64,
}

impl WallClock {
    /// Looks at both clocks; by how many milliseconds the wall clock has jumped since the last look.
    pub fn look(&mut self, now: Now) -> Option<i64> {
        let before = self.seen.replace(now)?;
        let by_boot_ms = i64::try_from(now.boot_ms.saturating_sub(before.boot_ms)).unwrap_or(i64::MAX);
        let by_wall_ms = now.wall.as_millisecond() - before.wall.as_millisecond();
        let jump_ms = by_wall_ms.saturating_sub(by_boot_ms);
        if jump_ms.abs() <= STEP_MS {
            return None;
        }
        self.doubted_until_ms = now.boot_ms + DOUBT_MS;
        Some(jump_ms)
    }

    /// Whether times of what is told now are doubtful; `stamp` is the record's own.
    pub fn is_suspect(&self, now: Now, stamp: Option<jiff::Timestamp>) -> bool {
        let ahead = stamp.is_some_and(|stamp| stamp.as_millisecond() - now.wall.as_millisecond() > AHEAD_MS);
        ahead || !is_possible(now.wall) || now.boot_ms < self.doubted_until_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(boot_ms: u64, wall: &str) -> Now {
        Now {
            boot_ms,
            wall: wall.parse().unwrap(),
        }
    }

    #[test]
    fn a_board_without_a_clock_is_suspect_until_the_network_tells_the_time() {
        let mut clock = WallClock::default();
        let (booted, told) = (now(0, "1970-01-01T00:00:10Z"), now(90_000, "2026-11-23T06:00:00Z"));
        assert_eq!(clock.look(booted), None, "nothing to compare with yet");
        assert!(clock.is_suspect(booted, None));
        let jump_ms = clock.look(told).expect("it jumped");
        assert!(jump_ms > 50 * 365 * AHEAD_MS, "{jump_ms}");
        assert!(clock.is_suspect(told, None), "doubted for a while");
        let later = now(90_000 + DOUBT_MS, "2026-11-23T06:05:00Z");
        assert_eq!(clock.look(later), None);
        assert!(!clock.is_suspect(later, None));
    }

    #[test]
    fn small_steps_are_no_jumps_and_large_ones_back_are() {
        let mut clock = WallClock::default();
        clock.look(now(0, "2026-11-23T06:00:00Z"));
        assert_eq!(clock.look(now(10_000, "2026-11-23T06:00:55Z")), None);
        assert_eq!(clock.look(now(20_000, "2026-11-23T05:00:55Z")), Some(-3_610_000));
        assert!(clock.is_suspect(now(20_000, "2026-11-23T05:00:55Z"), None));
    }

    #[test]
    fn records_from_the_future_show_that_the_host_is_behind() {
        let clock = WallClock::default();
        let at = now(0, "2026-11-23T06:00:00Z");
        assert!(clock.is_suspect(at, "2026-11-25T06:00:00Z".parse().ok()));
        let zone_apart = "2026-11-23T14:00:00Z".parse().ok();
        assert!(
            !clock.is_suspect(at, zone_apart),
            "a zone that was not written is no wrong clock"
        );
        assert!(!clock.is_suspect(at, "2020-01-01T00:00:00Z".parse().ok()), "an old log");
    }
}
