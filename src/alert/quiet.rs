//! Maintenance windows (`alerts.quiet`): times at which alerts below a severity are held back and told afterwards. Pure.
//!
//! By the clock on the wall of the people who read (`alerts.time_zone`): from 22:00 to 06:00 is eight hours in most
//! nights, seven or nine in two of the year. A window over midnight belongs to the day on which it begins.

use crate::record::Level;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// Of its beginnings; none: every day.
    pub days: Vec<Weekday>,
    /// Minutes after midnight: 0 to [`DAY_MINUTES`]. Where `to` is not after `from`, it ends on the next day.
    pub from: u16,
    pub to: u16,
    /// What is as bad as this, or worse, is told.
    pub below: Level,
}

impl Quiet {
    /// Whether an alert of this severity is held back at this time.
    pub fn holds(&self, severity: Level, at: Timestamp, zone: &TimeZone) -> bool {
        severity < self.below && self.is_on(at, zone)
    }

    pub fn is_on(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let here = at.to_zoned_datetime(zone.clone());
        let minute = u16::try_from(here.hour()).unwrap_or(0) * 60 + u16::try_from(here.minute()).unwrap_or(0);
        let today = here.date();
        let on_day = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.to > self.from {
            return on_day(today.weekday()) && (self.from..self.to).contains(&minute);
        }
        let yesterday = today.checked_sub(1.day()).unwrap_or(today);
        minute >= self.from && on_day(today.weekday()) || minute < self.to && on_day(yesterday.weekday())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(quiet: &Quiet, at: &str, zone: &TimeZone) -> bool {
        quiet.holds(Level::Error, at.parse().unwrap(), zone)
    }

    #[test]
    fn days_times_and_severities() {
        let weekend = Quiet {
            days: vec![Weekday::Saturday, Weekday::Sunday],
            from: 0,
            to: DAY_MINUTES,
            below: Level::Fatal,
        };
        let utc = TimeZone::UTC;
        // 2026-11-21 is a Saturday.
        assert!(!held(&weekend, "2026-11-20T23:59:59Z", &utc));
        assert!(held(&weekend, "2026-11-21T00:00:00Z", &utc));
        assert!(held(&weekend, "2026-11-22T23:59:59Z", &utc));
        assert!(!held(&weekend, "2026-11-23T00:00:00Z", &utc));
        assert!(!weekend.holds(Level::Fatal, "2026-11-21T00:00:00Z".parse().unwrap(), &utc));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_of_its_beginning() {
        let friday_night = Quiet {
            days: vec![Weekday::Friday],
            from: 22 * 60,
            to: 6 * 60,
            below: Level::Fatal,
        };
        let shanghai = TimeZone::fixed(jiff::tz::offset(8));
        let on = ["2026-11-20T14:00:00Z", "2026-11-20T21:59:00Z"];
        let off = [
            "2026-11-20T13:59:00Z",
            "2026-11-20T22:00:00Z",
            "2026-11-19T21:00:00Z",
            "2026-11-21T15:00:00Z",
        ];
        assert!(on.iter().all(|at| held(&friday_night, at, &shanghai)));
        assert!(off.iter().all(|at| !held(&friday_night, at, &shanghai)));
    }

    #[test]
    fn the_end_of_summer_time_makes_a_night_longer() {
        // CET/CEST as POSIX has it: no zone data is needed.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let night = Quiet {
            days: Vec::new(),
            from: 2 * 60,
            to: 3 * 60,
            below: Level::Fatal,
        };
        let minutes = |day: &str| {
            let midnight: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
            let at = |minute: i64| midnight.checked_add(minute.minutes()).unwrap();
            (0..1440)
                .filter(|minute| night.holds(Level::Warn, at(*minute), &zone))
                .count()
        };
        assert_eq!(minutes("2026-10-25"), 120, "the hour comes twice");
        assert_eq!(minutes("2026-03-29"), 0, "the hour is left out");
        assert_eq!(minutes("2026-11-01"), 60);
    }
}
