//! The time of day, AM and PM, and the zone behind it.

use super::cursor::Cursor;
use super::{Time, zone_name};

/// `10:00:00.123`, `10.00.00.123`, `100000`, with AM or PM and a zone.
pub(super) fn time(cursor: &mut Cursor<'_>, separator: u8) -> Option<(Time, Option<i32>)> {
    let hour = cursor.small(0, 23)?;
    let mut time = Time {
        hour,
        ..Time::default()
    };
    let mut seconds = false;
    match cursor.peek()? {
        byte if byte == separator || byte == b':' => {
            cursor.at += 1;
            time.minute = two(cursor, 59)?;
            if cursor.peek() == Some(byte) {
                cursor.at += 1;
                time.second = two(cursor, 60)?.min(59);
                seconds = true;
            }
        }
        b'0'..=b'9' => {
            time.minute = two(cursor, 59)?;
            time.second = two(cursor, 60)?.min(59);
            seconds = true;
        }
        _ => return None,
    }
    // A colon before milliseconds: WebSphere, HealthApp.
    if seconds
        && matches!(cursor.peek(), Some(b'.' | b',' | b':'))
        && cursor.bytes.get(cursor.at + 1).is_some_and(u8::is_ascii_digit)
    {
        cursor.at += 1;
        time.nanos = nanos(cursor);
    }
    let halved = am_pm(cursor, &mut time);
    if !seconds && !halved && cursor.bytes.len() > cursor.at && cursor.at <= 5 {
        return None;
    }
    if cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        return None;
    }
    let offset = zone(cursor);
    Some((time, offset))
}

fn two(cursor: &mut Cursor<'_>, limit: u64) -> Option<i8> {
    cursor.exactly(2, limit).and_then(|number| i8::try_from(number).ok())
}

fn am_pm(cursor: &mut Cursor<'_>, time: &mut Time) -> bool {
    let at = cursor.at + usize::from(cursor.peek() == Some(b' '));
    let afternoon = match cursor.bytes.get(at..at + 2) {
        Some(b"AM" | b"am") => false,
        Some(b"PM" | b"pm") => true,
        _ => return false,
    };
    if time.hour > 12 || cursor.bytes.get(at + 2).is_some_and(u8::is_ascii_alphanumeric) {
        return false;
    }
    cursor.at = at + 2;
    time.hour = time.hour % 12 + if afternoon { 12 } else { 0 };
    true
}

/// `Z`, `+02:00`, `+0200`, `+02`, ` +0200`, ` UTC`.
pub(super) fn zone(cursor: &mut Cursor<'_>) -> Option<i32> {
    let spaced = cursor.peek() == Some(b' ');
    let at = cursor.at + usize::from(spaced);
    match cursor.bytes.get(at)? {
        sign @ (b'+' | b'-') => {
            let mut ahead = Cursor {
                bytes: cursor.bytes,
                at: at + 1,
            };
            let hours = ahead.exactly(2, 23)?;
            let colon = ahead.eat(b':').is_some();
            let minutes = match ahead.exactly(2, 59) {
                Some(minutes) => minutes,
                None if colon || spaced || ahead.bytes.get(at + 3).is_some_and(u8::is_ascii_digit) => return None,
                None => 0,
            };
            if ahead.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return None;
            }
            cursor.at = ahead.at;
            let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        b'A'..=b'Z' => {
            let (offset, len) = zone_name::scan(&cursor.bytes[at..])?;
            cursor.at = at + len;
            offset
        }
        _ => None,
    }
}

/// A fraction of a second of any length, cut to nanoseconds.
pub(super) fn nanos(cursor: &mut Cursor<'_>) -> i32 {
    const SCALE: [u64; 10] = [
        1_000_000_000,
        100_000_000,
        10_000_000,
        1_000_000,
        100_000,
        10_000,
        1_000,
        100,
        10,
        1,
    ];
    let (number, count) = cursor.digits(9);
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        cursor.at += 1;
    }
    i32::try_from(number * SCALE[count.min(9)]).unwrap_or(0)
}
