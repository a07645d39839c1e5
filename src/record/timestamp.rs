//! Time stamps as logs really write them, and the zone of those that name none.
//!
//! [`scan`] recognises a stamp at the beginning of some bytes and reads its numbers; it is cheap enough for every line.
//! [`Stamp::resolve`] makes it a moment, and is asked only for records that are kept. A year that is not written
//! (RFC 3164, logcat, glog) or a day (`12:00:01 INF`) is guessed from the time of reading: never far in its future.

mod clock;
mod cursor;
mod date;
mod zone_name;

use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The zone of time stamps without one.
#[derive(Debug, Clone, Default)]
pub enum Zone {
    #[default]
    Local,
    Named(TimeZone),
}

impl Zone {
    /// The zone's rules; the system's are looked up by jiff once per process.
    pub fn rules(&self) -> TimeZone {
        match self {
            Zone::Local => TimeZone::system(),
            Zone::Named(zone) => zone.clone(),
        }
    }
}

/// A stamp as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Since 1970 in UTC.
    Epoch {
        seconds: i64,
        nanos: u32,
    },
    Civil(Civil),
}

/// A stamp made of a calendar day and a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub day: Day,
    pub time: Time,
    /// Seconds east of UTC; none: the source's zone.
    pub offset: Option<i32>,
}

/// As much of the day as is written. Months and days are within 1–12 and 1–31, not more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    Full { year: i16, month: i8, day: i8 },
    NoYear { month: i8, day: i8 },
    TimeOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    pub hour: i8,
    pub minute: i8,
    pub second: i8,
    pub nanos: i32,
}

/// A moment, and whether the year or the day was guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub timestamp: Timestamp,
    pub guessed: bool,
}

/// Clocks of writer and reader may differ so much before a guess goes back by a year or a day.
const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_hours(25);
const FUTURE_TOLERANCE_OF_TIME: SignedDuration = SignedDuration::from_mins(30);

/// Recognises a stamp at the beginning of `bytes`; gives it and its length, zone included.
#[inline]
pub fn scan(bytes: &[u8]) -> Option<(Stamp, usize)> {
    match bytes.first()? {
        b'0'..=b'9' => date::from_digit(bytes),
        b'A'..=b'Z' => date::from_name(bytes),
        _ => None,
    }
}

impl Stamp {
    /// Whether the stamp alone says which moment it is.
    pub fn is_absolute(&self) -> bool {
        match self {
            Stamp::Epoch { .. } => true,
            Stamp::Civil(civil) => civil.offset.is_some() && matches!(civil.day, Day::Full { .. }),
        }
    }

    /// The moment it means; none for days that do not exist (31 February).
    pub fn resolve(&self, zone: &TimeZone, now: Timestamp) -> Option<Moment> {
        match *self {
            Stamp::Epoch { seconds, nanos } => {
                let timestamp = Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()?;
                Some(Moment {
                    timestamp,
                    guessed: false,
                })
            }
            Stamp::Civil(civil) => civil.resolve(zone, now),
        }
    }
}

impl Civil {
    fn resolve(&self, zone: &TimeZone, now: Timestamp) -> Option<Moment> {
        match self.day {
            Day::Full { year, month, day } => {
                let date = civil::Date::new(year, month, day).ok()?;
                Some(Moment {
                    timestamp: self.on(date, zone)?,
                    guessed: false,
                })
            }
            Day::NoYear { month, day } => {
                let this_year = self.today(zone, now).year().checked_add(1)?;
                // Back to a leap year at most: 29 February stands in every eighth year even across 1900 and 2100.
                let latest = now.checked_add(FUTURE_TOLERANCE).ok()?;
                let timestamp = (0..=9)
                    .filter_map(|back| civil::Date::new(this_year - back, month, day).ok())
                    .filter_map(|date| self.on(date, zone))
                    .find(|timestamp| *timestamp <= latest)?;
                Some(Moment {
                    timestamp,
                    guessed: true,
                })
            }
            Day::TimeOnly => {
                let today = self.today(zone, now);
                let latest = now.checked_add(FUTURE_TOLERANCE_OF_TIME).ok()?;
                let timestamp = [today.tomorrow().ok(), Some(today), today.yesterday().ok()]
                    .into_iter()
                    .flatten()
                    .filter_map(|date| self.on(date, zone))
                    .find(|timestamp| *timestamp <= latest)?;
                Some(Moment {
                    timestamp,
                    guessed: true,
                })
            }
        }
    }

    fn today(&self, zone: &TimeZone, now: Timestamp) -> civil::Date {
        match self
            .offset
            .and_then(|seconds| jiff::tz::Offset::from_seconds(seconds).ok())
        {
            Some(offset) => offset.to_datetime(now).date(),
            None => zone.to_datetime(now).date(),
        }
    }

    fn on(&self, date: civil::Date, zone: &TimeZone) -> Option<Timestamp> {
        let Time {
            hour,
            minute,
            second,
            nanos,
        } = self.time;
        let local = date.at(hour, minute, second, nanos);
        match self.offset {
            Some(seconds) => jiff::tz::Offset::from_seconds(seconds).ok()?.to_timestamp(local).ok(),
            None => zone.to_timestamp(local).ok(),
        }
    }
}

#[cfg(test)]
mod tests;
