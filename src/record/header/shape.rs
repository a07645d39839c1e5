//! Heads that begin with a tag of their own: glog and klog, logcat, Rails, CUPS, logrus, npm, PHP, Erlang, Cisco,
//! dmesg with facilities, WebLogic, vdsm. Each is decided by its first bytes.

use super::Header;
use super::token;
use crate::record::level::{self, Case, Level};
use crate::record::timestamp::{self, Civil, Day, Stamp};

/// Reads the tag at `at`; none: an ordinary head.
pub(super) fn at_start(head: &[u8], at: usize) -> Option<Header> {
    let rest = &head[at..];
    match *rest.first()? {
        b'=' => erlang(rest, at),
        b'#' => weblogic(rest, at),
        b'%' => cisco(rest, at),
        b'k' | b'd' | b'u' | b's' | b'a' | b'l' | b'm' if at == 0 => dmesg_decoded(rest),
        b'n' if rest.starts_with(b"npm ") => npm(rest, at),
        b'P' if rest.starts_with(b"PHP ") => php(rest, at),
        b'A'..=b'Z' => lettered(rest, at)
            .or_else(|| colons(rest, at))
            .or_else(|| logrus(rest, at)),
        _ => None,
    }
}

fn found(level: Level, stamp: Option<Stamp>, len: usize) -> Option<Header> {
    Some(Header {
        level: Some(level),
        stamp,
        headed: true,
        len,
    })
}

/// A capital and something that makes it a tag.
fn lettered(rest: &[u8], at: usize) -> Option<Header> {
    let level = level::from_letter(rest[0])?;
    match *rest.get(1)? {
        b'0'..=b'9' => glog(rest, at, level),
        b'/' if b"VDIWEF".contains(&rest[0]) => {
            let len = token::logcat_tag_len(&rest[2..])?;
            found(level, None, at + 2 + len)
        }
        // logcat's process format: `D(  123) message`.
        b'(' if rest.get(2..)?.trim_ascii_start().first()?.is_ascii_digit() => {
            let close = token::closing(&rest[1..], b'(', 12)?;
            found(level, None, at + (close + 3).min(rest.len()))
        }
        // CUPS: `E [23/Nov/2026:06:00:01 +0000] message`.
        b' ' if rest.get(2) == Some(&b'[') => {
            let (stamp, len) = timestamp::scan(&rest[3..])?;
            let end = 3 + len + usize::from(rest.get(3 + len) == Some(&b']'));
            found(level, Some(stamp), token::after_stamp(rest, end) + at)
        }
        // Ruby's logger: `E, [2026-11-23T06:00:01.123456 #123] ERROR -- : message`.
        b',' if rest.get(1..4) == Some(b", [") => {
            let (stamp, _) = timestamp::scan(&rest[4..])?;
            let dashes = memchr::memmem::find(rest, b" -- ")? + 4;
            let colon = memchr::memchr(b':', &rest[dashes..]).map_or(dashes, |colon| dashes + colon + 1);
            found(
                level,
                Some(stamp),
                at + colon + usize::from(rest.get(colon) == Some(&b' ')),
            )
        }
        // apt: `E: Unable to locate package`.
        b':' if rest.get(2) == Some(&b' ') && b"EWIN".contains(&rest[0]) => Some(Header {
            level: Some(level),
            stamp: None,
            headed: false,
            len: at + 3,
        }),
        _ => None,
    }
}

/// `E1123 06:00:01.123456   123 file.cc:12] message`, also with the year (glog since 0.5).
fn glog(rest: &[u8], at: usize, level: Level) -> Option<Header> {
    let digits = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    let number = |from: usize, len: usize| {
        rest[from..from + len]
            .iter()
            .fold(0_i16, |n, d| n * 10 + i16::from(d - b'0'))
    };
    let year = match digits {
        4 => None,
        8 => Some(number(1, 4)),
        _ => return None,
    };
    let days_at = digits - 3;
    let (month, day) = (number(days_at, 2) as i8, number(days_at + 2, 2) as i8);
    if rest.get(digits + 1) != Some(&b' ') || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (stamp, len) = timestamp::scan(&rest[digits + 2..])?;
    let Stamp::Civil(Civil {
        day: Day::TimeOnly,
        time,
        offset,
    }) = stamp
    else {
        return None;
    };
    let day = match year {
        Some(year) => Day::Full { year, month, day },
        None => Day::NoYear { month, day },
    };
    let end = digits + 2 + len;
    let message = memchr::memmem::find(&rest[end..], b"] ").map_or(end, |close| end + close + 2);
    found(level, Some(Stamp::Civil(Civil { day, time, offset })), at + message)
}

/// vdsm: `MainThread::ERROR::2026-11-23 06:00:01,123::vdsm::…`.
fn colons(rest: &[u8], at: usize) -> Option<Header> {
    let name = rest
        .iter()
        .take(64)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        .count();
    let behind = rest.get(name..)?.strip_prefix(b"::")?;
    let len = token::word_len(behind);
    let level = level::from_word(&behind[..len]).filter(|_| Case::of(&behind[..len]) == Case::Upper)?;
    let stamped = behind[len..].strip_prefix(b"::")?;
    let (stamp, stamp_len) = timestamp::scan(stamped)?;
    let end = name + 2 + len + 2 + stamp_len;
    let message = memchr::memmem::find(&rest[end..], b") ").map_or(end, |close| end + close + 2);
    found(level, Some(stamp), at + message)
}

/// logrus on a terminal: `ERRO[0012] message`.
fn logrus(rest: &[u8], at: usize) -> Option<Header> {
    let level = match rest.get(..5)? {
        b"TRAC[" => Level::Trace,
        b"DEBU[" => Level::Debug,
        b"INFO[" => Level::Info,
        b"WARN[" => Level::Warn,
        b"ERRO[" => Level::Error,
        b"FATA[" | b"PANI[" => Level::Fatal,
        _ => return None,
    };
    let close = token::closing(&rest[4..], b'[', 40)?;
    let inner = &rest[5..4 + close];
    let stamp = timestamp::scan(inner).map(|(stamp, _)| stamp);
    if stamp.is_none() && !inner.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let end = 5 + close;
    found(level, stamp, at + end + usize::from(rest.get(end) == Some(&b' ')))
}

fn npm(rest: &[u8], at: usize) -> Option<Header> {
    let behind = &rest[4..];
    let (level, len) = if behind.starts_with(b"ERR!") {
        (Level::Error, 4)
    } else {
        let len = token::word_len(behind);
        (
            level::from_word(&behind[..len]).filter(|_| behind.get(len) == Some(&b' '))?,
            len,
        )
    };
    let end = 4 + len;
    Some(Header {
        level: Some(level),
        stamp: None,
        headed: false,
        len: at + end + usize::from(rest.get(end) == Some(&b' ')),
    })
}

/// `PHP Fatal error:  message`, also behind a stamp.
pub(super) fn php(rest: &[u8], at: usize) -> Option<Header> {
    const KINDS: [(&[u8], Level); 12] = [
        (b"Fatal error", Level::Fatal),
        (b"Parse error", Level::Fatal),
        (b"Compile Error", Level::Fatal),
        (b"Core Error", Level::Fatal),
        (b"Recoverable fatal error", Level::Error),
        (b"Catchable fatal error", Level::Error),
        (b"Warning", Level::Warn),
        (b"Core Warning", Level::Warn),
        (b"Compile Warning", Level::Warn),
        (b"Notice", Level::Info),
        (b"Deprecated", Level::Info),
        (b"Strict Standards", Level::Info),
    ];
    let behind = rest.strip_prefix(b"PHP ")?;
    let (kind, level) = KINDS
        .iter()
        .find(|(kind, _)| behind.starts_with(kind) && behind.get(kind.len()) == Some(&b':'))?;
    let end = 4 + kind.len() + 1;
    let blanks = rest[end..].iter().take_while(|b| **b == b' ').count();
    Some(Header {
        level: Some(*level),
        stamp: None,
        headed: false,
        len: at + end + blanks,
    })
}

/// `=ERROR REPORT==== 23-Nov-2026::06:00:01 ===`.
fn erlang(rest: &[u8], at: usize) -> Option<Header> {
    let name = rest.strip_prefix(b"=")?;
    let end = memchr::memmem::find(name, b" REPORT====")?;
    let level = match &name[..end] {
        b"ERROR" | b"CRASH" | b"SUPERVISOR" => Level::Error,
        b"WARNING" => Level::Warn,
        b"INFO" | b"PROGRESS" | b"NOTICE" => Level::Info,
        b"CRITICAL" | b"ALERT" | b"EMERGENCY" => Level::Fatal,
        b"DEBUG" => Level::Debug,
        _ => return None,
    };
    let behind = name[end + 11..].trim_ascii_start();
    let day_end = memchr::memmem::find(behind, b"::");
    let stamp = day_end.and_then(|end| {
        let mut joined = [b' '; 32];
        let time = behind.get(end + 2..)?;
        let len = (end + 1 + time.len()).min(joined.len());
        joined.get_mut(..end)?.copy_from_slice(&behind[..end]);
        let room = joined.get_mut(end + 1..len)?;
        room.copy_from_slice(&time[..room.len()]);
        timestamp::scan(&joined[..len])
    });
    found(level, stamp.map(|(stamp, _)| stamp), at)
}

/// `####<Nov 23, 2026 6:00:01 AM UTC> <Error> <Subsystem> …`.
fn weblogic(rest: &[u8], at: usize) -> Option<Header> {
    let behind = rest.strip_prefix(b"####<")?;
    let (stamp, _) = timestamp::scan(behind)?;
    let close = memchr::memmem::find(behind, b"> <")?;
    let word = &behind[close + 3..];
    let len = token::word_len(word);
    let level = level::from_word(&word[..len]).filter(|_| word.get(len) == Some(&b'>'))?;
    found(level, Some(stamp), at + 5 + close + 3 + len + 1)
}

/// `%LINK-3-UPDOWN: message`; the digit is syslog's severity.
pub(super) fn cisco(rest: &[u8], at: usize) -> Option<Header> {
    let text = rest.strip_prefix(b"%")?;
    let colon = text.iter().take(64).position(|b| *b == b':')?;
    let mut parts = text[..colon].rsplit(|b| *b == b'-');
    let (mnemonic, severity, facility) = (parts.next()?, parts.next()?, parts.next()?);
    let named = |part: &[u8]| {
        !part.is_empty()
            && part
                .iter()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    };
    let [digit @ b'0'..=b'7'] = severity else {
        return None;
    };
    if !named(mnemonic) || !named(facility) {
        return None;
    }
    let end = 1 + colon + 1;
    Some(Header {
        level: Some(level::from_syslog(digit - b'0')),
        stamp: None,
        headed: false,
        len: at + end + usize::from(rest.get(end) == Some(&b' ')),
    })
}

/// `dmesg -x`: `kern  :warn  : [    1.234567] message`.
fn dmesg_decoded(rest: &[u8]) -> Option<Header> {
    const FACILITIES: [&[u8]; 8] = [
        b"kern", b"user", b"mail", b"daemon", b"auth", b"syslog", b"lpr", b"news",
    ];
    let name = rest.iter().take(8).take_while(|b| b.is_ascii_lowercase()).count();
    if !FACILITIES.contains(&&rest[..name]) {
        return None;
    }
    let behind = rest[name..].trim_ascii_start().strip_prefix(b":")?;
    let len = token::word_len(behind);
    let level = level::from_word(&behind[..len])?;
    let tail = behind[len..].trim_ascii_start().strip_prefix(b":")?;
    tail.trim_ascii_start().starts_with(b"[").then_some(())?;
    let end = rest.len() - tail.len();
    Some(Header {
        level: Some(level),
        stamp: None,
        headed: false,
        len: end + usize::from(tail.first() == Some(&b' ')),
    })
}
