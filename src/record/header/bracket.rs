//! What a bracket of a head holds: a stamp, a level, both with a thread or a logger between them.

use super::token;
use crate::record::level::{self, Case, Level};
use crate::record::timestamp::{self, Stamp};

/// What a bracket of a head holds.
#[derive(Debug, Default)]
pub(super) struct Bracket {
    pub stamp: Option<(Stamp, usize)>,
    pub level: Option<Level>,
}

/// Reads what stands between `open` and its counterpart.
pub(super) fn read(inner: &[u8], open: u8) -> Bracket {
    let inner = inner.trim_ascii();
    if inner.is_empty() {
        return Bracket::default();
    }
    if open == b'(' {
        // X.Org.
        let level = match inner {
            b"EE" => Some(Level::Error),
            b"WW" => Some(Level::Warn),
            b"II" => Some(Level::Info),
            [b'0', b'x', ..] => from_mask(inner),
            _ if Case::of(inner) == Case::Upper => level::from_word(inner),
            _ => None,
        };
        return Bracket {
            stamp: timestamp::scan(inner),
            level,
        };
    }
    let level = if inner[0].is_ascii_digit() { None } else { whole(inner) };
    if level.is_some() {
        return Bracket { stamp: None, level };
    }
    if let Some((stamp, len)) = timestamp::scan(inner) {
        // `[12:00:00 INF]`, `[2026-11-23 06:00:01,123: ERROR/MainProcess]`, `[2026-11-23T06:00:01Z ERROR app]`.
        let rest = inner[len..].trim_ascii_start();
        let rest = rest
            .strip_prefix(b":")
            .or_else(|| rest.strip_prefix(b","))
            .or_else(|| rest.strip_prefix(b"|"))
            .unwrap_or(rest)
            .trim_ascii_start();
        return Bracket {
            stamp: Some((stamp, len)),
            level: first_word(rest, true).or_else(|| word_among(rest)),
        };
    }
    // `[INFO 2026-11-23 06:00:01 main]`, `[ns_server:info,2026-11-23T06:00:01Z,…]`.
    let word_end = inner
        .iter()
        .take(40)
        .take_while(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b':'))
        .count();
    let sign = inner.get(word_end).copied();
    let lead = &inner[..word_end];
    if let Some(sign @ (b' ' | b',' | b'|' | b'-' | b'/')) = sign {
        let lead = lead.strip_suffix(b":").unwrap_or(lead);
        let word = memchr::memrchr(b':', lead).map_or(lead, |colon| &lead[colon + 1..]);
        let rest = inner[word_end + 1..].trim_ascii_start();
        let letter = || {
            if let [letter] = word {
                level::from_letter(*letter)
            } else {
                None
            }
        };
        if let Some(level) = level::from_word(word).or_else(letter) {
            let stamp = timestamp::scan(rest);
            if stamp.is_some() || (sign == b'/' && Case::of(word) == Case::Upper) {
                return Bracket {
                    stamp,
                    level: Some(level),
                };
            }
        }
    }
    Bracket::default()
}

/// A bracket that holds nothing but a level, with or without its module: `error`, `core:error`, `E`.
fn whole(inner: &[u8]) -> Option<Level> {
    if let [letter] = inner {
        return if b"VTDIWEFC".contains(letter) {
            level::from_letter(*letter)
        } else {
            None
        };
    }
    if inner.len() <= 13
        && let Some(level) = level::from_word(inner)
    {
        return Some(level);
    }
    if let Some((level, len)) = level::from_chinese(inner)
        && len == inner.len()
    {
        return Some(level);
    }
    // Apache: module and level. `[pid 1:tid 2]`, `[client ::1:5]` have blanks or digits.
    let colon = memchr::memchr(b':', inner)?;
    let (module, word) = (&inner[..colon], &inner[colon + 1..]);
    let named = !module.is_empty() && module.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    // Apache's trace1…trace8.
    let word = match word {
        [head @ .., b'1'..=b'8'] if head == b"trace" => head,
        _ => word,
    };
    if named { level::from_word(word) } else { None }
}

/// The first word, if it is a level: `ERROR/MainProcess`, `INF`, `ERROR app::db`.
fn first_word(rest: &[u8], any_case: bool) -> Option<Level> {
    let len = token::word_len(rest);
    let ends = matches!(
        rest.get(len),
        None | Some(b' ' | b'/' | b']' | b',' | b':' | b'|' | b'\t')
    );
    let word = &rest[..len];
    if let ([letter], true) = (word, ends && rest.len() == 1) {
        return level::from_letter(*letter);
    }
    let fits = any_case || Case::of(word) == Case::Upper;
    if ends && fits { level::from_word(word) } else { None }
}

/// A level behind the thread's name: `tomcat-http--188   ERROR com.acme.App`, `F5A5AB90 info 'App' opID=1`.
pub(super) fn word_among(text: &[u8]) -> Option<Level> {
    let mut words = text.split(|b| *b == b' ').filter(|word| !word.is_empty());
    words.next()?;
    for _ in 0..2 {
        let word = words.next()?;
        let fits = match Case::of(word) {
            Case::Upper => is_name_or_end(words.clone().next()),
            Case::Lower => matches!(words.clone().next(), Some([b'\'', ..])),
            Case::Title | Case::Mixed => false,
        };
        if let Some(level) = level::from_word(word).filter(|_| fits) {
            return Some(level);
        }
    }
    None
}

/// What stands behind a level inside of a bracket: nothing, or a logger's name.
fn is_name_or_end(word: Option<&[u8]>) -> bool {
    word.is_none_or(|word| word.contains(&b'.'))
}

/// sssd's level, a bit mask in a bracket of its own: `(0x0020): `.
fn from_mask(inner: &[u8]) -> Option<Level> {
    Some(match inner {
        b"0x0010" | b"0x0020" => Level::Fatal,
        b"0x0040" => Level::Error,
        b"0x0080" => Level::Warn,
        b"0x0100" => Level::Info,
        b"0x0200" | b"0x0400" | b"0x1000" | b"0x2000" => Level::Debug,
        b"0x4000" => Level::Trace,
        _ => return None,
    })
}
