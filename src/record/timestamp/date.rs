//! The forms of date and time, by their first bytes. Nothing here looks further than it must: every line passes.

use super::clock::{nanos, time, zone};
use super::cursor::{Cursor, month};
use super::{Civil, Day, Stamp, Time};

/// Years of two digits: 1970–2069.
fn century(year: i8) -> i16 {
    i16::from(year) + if year >= 70 { 1900 } else { 2000 }
}

/// Stamps that begin with a digit.
pub(super) fn from_digit(bytes: &[u8]) -> Option<(Stamp, usize)> {
    if let Some(found) = iso(bytes) {
        return Some(found);
    }
    let run = bytes.iter().take(20).take_while(|b| b.is_ascii_digit()).count();
    let mut cursor = Cursor { bytes, at: 0 };
    let day = match (run, bytes.get(run)) {
        (4, Some(b'-' | b'/' | b'.')) => year_first(&mut cursor)?,
        (4, Some(0xE5)) => chinese(&mut cursor)?,
        (4, Some(b' ')) => year_and_name(&mut cursor)?,
        (8, Some(_)) | (14, _) => compact(&mut cursor, run)?,
        (6, Some(b' ')) => short_compact(&mut cursor)?,
        (10 | 13 | 16 | 19, _) => return epoch(bytes, run),
        (1 | 2, Some(b':')) => {
            let (time, offset) = time(&mut cursor, b':')?;
            // `10:30` alone is rarely a stamp; `10:30:00` and `10:30AM` are.
            return finish(Day::TimeOnly, time, offset, cursor);
        }
        (1 | 2, Some(b'/')) => slashed(&mut cursor)?,
        (1 | 2, Some(b'-')) => dashed(&mut cursor)?,
        (1 | 2, Some(b'.')) => numbers(&mut cursor, b'.')?,
        (1 | 2, Some(b' ')) => day_first(&mut cursor, b' ')?,
        _ => return None,
    };
    with_time(day, cursor)
}

/// The commonest form at once: `2026-11-23T06:00:01` with any of its separators, then fraction and zone.
fn iso(bytes: &[u8]) -> Option<(Stamp, usize)> {
    let b = bytes.first_chunk::<19>()?;
    let dated = matches!((b[4], b[7]), (b'-', b'-') | (b'/', b'/'));
    if !dated || !matches!(b[10], b'T' | b' ') || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let pair = |at: usize| {
        let (tens, ones) = (b[at].wrapping_sub(b'0'), b[at + 1].wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then(|| (tens * 10 + ones) as i8)
    };
    let (century, year) = (pair(0)?, pair(2)?);
    let (month, day) = (pair(5)?, pair(8)?);
    let (hour, minute, second) = (pair(11)?, pair(14)?, pair(17)?);
    let ranged = (19..=21).contains(&century) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !ranged || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut cursor = Cursor { bytes, at: 19 };
    if !matches!(bytes.get(19), Some(b'.' | b',' | b'Z' | b'+' | b'-' | b']')) {
        // AM and PM, zone names, milliseconds behind a colon: the long way knows them.
        return None;
    }
    let mut time = Time {
        hour,
        minute,
        second: second.min(59),
        nanos: 0,
    };
    if matches!(bytes[19], b'.' | b',') {
        if !bytes.get(20).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        cursor.at = 20;
        time.nanos = nanos(&mut cursor);
    }
    let next = cursor.peek();
    let offset = match (next, bytes.get(cursor.at + 1)) {
        (Some(b'Z'), behind) if behind.is_none_or(|b| !b.is_ascii_alphanumeric()) => {
            cursor.at += 1;
            Some(0)
        }
        (Some(b' '), Some(b'A' | b'a' | b'P' | b'p')) => return None,
        (Some(b' ' | b'+' | b'-' | b'A'..=b'Z'), _) => zone(&mut cursor),
        _ => None,
    };
    let day = Day::Full {
        year: i16::from(century) * 100 + i16::from(year),
        month,
        day,
    };
    Some((Stamp::Civil(Civil { day, time, offset }), cursor.at))
}

/// Syslog's form at once: `Nov 23 06:00:01 host`, where neither year nor zone nor fraction can follow.
fn bsd(bytes: &[u8]) -> Option<(Stamp, usize)> {
    let b = bytes.first_chunk::<17>()?;
    if b[3] != b' ' || b[6] != b' ' || b[9] != b':' || b[12] != b':' || b[15] != b' ' || !b[16].is_ascii_lowercase() {
        return None;
    }
    let pair = |at: usize| {
        let (tens, ones) = (b[at].wrapping_sub(b'0'), b[at + 1].wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then_some((tens * 10 + ones) as i8)
    };
    let month = month(&b[..3])?;
    let day = if b[4] == b' ' {
        (b[5].is_ascii_digit()).then(|| (b[5] - b'0') as i8)?
    } else {
        pair(4)?
    };
    let (hour, minute, second) = (pair(7)?, pair(10)?, pair(13)?);
    if !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // `06:00:01 am`.
    if matches!(&b[16..], b"a" | b"p") && matches!(bytes.get(17), Some(b'm')) {
        return None;
    }
    let time = Time {
        hour,
        minute,
        second: second.min(59),
        nanos: 0,
    };
    Some((
        Stamp::Civil(Civil {
            day: Day::NoYear { month, day },
            time,
            offset: None,
        }),
        15,
    ))
}

/// Stamps that begin with the name of a month or a weekday.
pub(super) fn from_name(bytes: &[u8]) -> Option<(Stamp, usize)> {
    if let Some(found) = bsd(bytes) {
        return Some(found);
    }
    let mut cursor = Cursor { bytes, at: 0 };
    if !matches!(bytes.get(3), Some(b' ' | b',' | b'-')) {
        return None;
    }
    if matches!(
        &bytes[..3],
        b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun"
    ) {
        cursor.at = 3;
        if cursor.peek() == Some(b',') {
            cursor.at += 1;
        }
        cursor.eat_spaces();
        if cursor.peek()?.is_ascii_digit() {
            let day = day_first(&mut cursor, b' ').or_else(|| {
                cursor.at = 0;
                None
            })?;
            return with_time(day, cursor);
        }
    }
    let month = cursor.month_name()?;
    if cursor.eat(b'-').is_none() && cursor.eat_spaces() == 0 {
        return None;
    }
    let day = cursor.small(1, 31)?;
    // `Nov 23, 2026`, `Nov 23 2026 10:00:00`, else `Nov 23 10:00:00` with the year behind or nowhere.
    let mut ahead = cursor;
    if ahead.peek() == Some(b',') {
        ahead.at += 1;
    }
    if ahead.eat_spaces() > 0
        && let Some(year) = ahead.year()
        && matches!(ahead.peek(), Some(b' ' | b','))
    {
        return with_time(Day::Full { year, month, day }, ahead);
    }
    with_time(Day::NoYear { month, day }, cursor)
}

/// `2026-11-23`, `2026/11/23`, `2026.11.23`.
fn year_first(cursor: &mut Cursor<'_>) -> Option<Day> {
    let year = cursor.year()?;
    let separator = cursor.peek()?;
    cursor.at += 1;
    let month = cursor.small(1, 12)?;
    cursor.eat(separator)?;
    let day = cursor.small(1, 31)?;
    Some(Day::Full { year, month, day })
}

/// `2026 Nov 23`, as switches write it.
fn year_and_name(cursor: &mut Cursor<'_>) -> Option<Day> {
    let year = cursor.year()?;
    cursor.eat_spaces();
    let month = cursor.month_name()?;
    let spaces = cursor.eat_spaces();
    let day = cursor.small(1, 31)?;
    (spaces > 0).then_some(Day::Full { year, month, day })
}

/// `2026年11月23日`.
fn chinese(cursor: &mut Cursor<'_>) -> Option<Day> {
    let year = cursor.year()?;
    let eat = |cursor: &mut Cursor<'_>, sign: &str| {
        cursor.bytes[cursor.at..]
            .starts_with(sign.as_bytes())
            .then(|| cursor.at += sign.len())
    };
    eat(cursor, "年")?;
    let month = cursor.small(1, 12)?;
    eat(cursor, "月")?;
    let day = cursor.small(1, 31)?;
    eat(cursor, "日")?;
    Some(Day::Full { year, month, day })
}

/// `20261123` before a time, or `20261123100000`.
fn compact(cursor: &mut Cursor<'_>, run: usize) -> Option<Day> {
    let year = cursor.year().filter(|year| *year >= 1980)?;
    let (month, day) = (cursor.small(1, 12)?, cursor.small(1, 31)?);
    if run == 8 && !matches!(cursor.peek(), Some(b'T' | b' ' | b'-' | b'_')) {
        return None;
    }
    Some(Day::Full { year, month, day })
}

/// `261123 100000` (HDFS), `261123 10:00:00` (MySQL).
fn short_compact(cursor: &mut Cursor<'_>) -> Option<Day> {
    let year = century(cursor.small(0, 99)?);
    Some(Day::Full {
        year,
        month: cursor.small(1, 12)?,
        day: cursor.small(1, 31)?,
    })
}

/// `23/Nov/2026`, `26/11/23`, `11/23/2026`, `23/11/2026`, `11/23/26`.
fn slashed(cursor: &mut Cursor<'_>) -> Option<Day> {
    let mut named = *cursor;
    if let Some(day) = day_first(&mut named, b'/') {
        *cursor = named;
        return Some(day);
    }
    let from = cursor.at;
    let first = cursor.small(0, 99)?;
    let first_len = cursor.at - from;
    cursor.eat(b'/')?;
    let second = cursor.small(1, 31)?;
    cursor.eat(b'/')?;
    let mut with_century = *cursor;
    if let Some(year) = with_century.year() {
        *cursor = with_century;
        return day_and_month(year, first, second);
    }
    let third = cursor.small(0, 99)?;
    if first_len == 2 && second <= 12 && (1..=31).contains(&third) {
        return Some(Day::Full {
            year: century(first),
            month: second,
            day: third,
        });
    }
    day_and_month(century(third), first, second)
}

/// Day and month in either order: the American one, unless it cannot be.
fn day_and_month(year: i16, first: i8, second: i8) -> Option<Day> {
    match (first, second) {
        (1..=12, 1..=31) => Some(Day::Full {
            year,
            month: first,
            day: second,
        }),
        (13..=31, 1..=12) => Some(Day::Full {
            year,
            month: second,
            day: first,
        }),
        _ => None,
    }
}

/// `11-23 10:00:00.000` (logcat), `23-Nov-2026`, `23-11-2026`.
fn dashed(cursor: &mut Cursor<'_>) -> Option<Day> {
    let mut named = *cursor;
    if let Some(day) = day_first(&mut named, b'-') {
        *cursor = named;
        return Some(day);
    }
    numbers(cursor, b'-')
}

/// `23.11.2026`, `11.23 10:00:00`: day and month in either order with a year behind them, or month and day and a blank.
fn numbers(cursor: &mut Cursor<'_>, separator: u8) -> Option<Day> {
    let first = cursor.small(1, 31)?;
    cursor.eat(separator)?;
    let second = cursor.small(1, 31)?;
    if cursor.eat(separator).is_some() {
        let year = cursor.year()?;
        return match (first, second) {
            (_, 1..=12) => Some(Day::Full {
                year,
                month: second,
                day: first,
            }),
            _ => day_and_month(year, first, second),
        };
    }
    ((1..=12).contains(&first) && cursor.peek() == Some(b' ')).then_some(Day::NoYear {
        month: first,
        day: second,
    })
}

/// Day, name of the month, year, with the same separator.
fn day_first(cursor: &mut Cursor<'_>, separator: u8) -> Option<Day> {
    let day = cursor.small(1, 31)?;
    cursor.eat(separator)?;
    let month = cursor.month_name()?;
    cursor.eat(separator)?;
    let year = cursor.year()?;
    Some(Day::Full { year, month, day })
}

/// Seconds, milli-, micro- or nanoseconds since 1970, by the number of digits; years 2001–2100.
fn epoch(bytes: &[u8], run: usize) -> Option<(Stamp, usize)> {
    let mut cursor = Cursor { bytes, at: 0 };
    let seconds = cursor
        .exactly(10, 4_200_000_000)
        .filter(|seconds| *seconds >= 1_000_000_000)?;
    if run == 10 {
        let mut fraction = cursor;
        if fraction.eat(b'.').is_some() && fraction.peek().is_some_and(|b| b.is_ascii_digit()) {
            cursor.at += 1;
        }
    }
    let nanos = nanos(&mut cursor);
    if cursor
        .peek()
        .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/' | b'.'))
    {
        return None;
    }
    let seconds = i64::try_from(seconds).ok()?;
    Some((
        Stamp::Epoch {
            seconds,
            nanos: u32::try_from(nanos).ok()?,
        },
        cursor.at,
    ))
}

/// What stands between day and time, then the time.
fn with_time(day: Day, mut cursor: Cursor<'_>) -> Option<(Stamp, usize)> {
    let mut separator = b':';
    match cursor.peek()? {
        b'T' | b't' | b'_' | b':' => cursor.at += 1,
        b'-' => {
            cursor.at += 1;
            separator = b'.';
        }
        b',' => {
            cursor.at += 1;
            cursor.eat_spaces();
        }
        b' ' => {
            cursor.eat_spaces();
        }
        // `20261123060001`; the day sign of Chinese needs no blank behind it.
        b'0'..=b'9' => {}
        _ => return None,
    }
    let (time, offset) = time(&mut cursor, separator)?;
    finish(day, time, offset, cursor)
}

fn finish(day: Day, time: Time, offset: Option<i32>, mut cursor: Cursor<'_>) -> Option<(Stamp, usize)> {
    let mut day = day;
    if let Day::NoYear { month, day: of_month } = day {
        // ctime and Cisco: the year stands behind the time.
        let mut ahead = cursor;
        if ahead.eat_spaces() == 1
            && let Some(year) = ahead.year()
            && matches!(ahead.peek(), None | Some(b' ' | b']' | b')' | b':' | b','))
        {
            day = Day::Full {
                year,
                month,
                day: of_month,
            };
            cursor = ahead;
        }
    }
    Some((Stamp::Civil(Civil { day, time, offset }), cursor.at))
}
