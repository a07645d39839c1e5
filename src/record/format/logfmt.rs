//! logfmt: `time=… level=info msg="two words" key=value bare`.
//!
//! The grammar is go-logfmt's: keys hold no blank, `=`, `"` or control character; values are bare or quoted as in JSON.
//! What breaks it is plain text; no field is invented.

use super::{Details, detail, json};
use crate::record::level::{self, Level, Scale};
use serde_json::{Map, Value};

/// One `key=value`; a bare key has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
    /// The value was quoted; escapes are still in it.
    pub quoted: bool,
}

/// Walks the pairs of a line; the item is an error where the grammar is broken.
struct Pairs<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.text.get(self.at).is_some_and(|b| *b <= b' ') {
            self.at += 1;
        }
        self.text.get(self.at)?;
        let pair = self.pair();
        if pair.is_none() {
            self.at = self.text.len();
        }
        Some(pair.ok_or(()))
    }
}

impl<'a> Pairs<'a> {
    fn pair(&mut self) -> Option<Pair<'a>> {
        let from = self.at;
        self.run()?;
        let key = &self.text[from..self.at];
        if key.is_empty() {
            return None;
        }
        if self.text.get(self.at) != Some(&b'=') {
            return Some(Pair {
                key,
                value: None,
                quoted: false,
            });
        }
        self.at += 1;
        if self.text.get(self.at) == Some(&b'"') {
            let from = self.at + 1;
            let mut at = from;
            loop {
                at += memchr::memchr2(b'"', b'\\', self.text.get(at..)?)?;
                if self.text[at] == b'"' {
                    break;
                }
                at += 2;
            }
            self.at = at + 1;
            return Some(Pair {
                key,
                value: Some(&self.text[from..at]),
                quoted: true,
            });
        }
        let from = self.at;
        self.run()?;
        // `a==`, `k=b=ar`.
        if self.text.get(self.at) == Some(&b'=') {
            return None;
        }
        Some(Pair {
            key,
            value: Some(&self.text[from..self.at]),
            quoted: false,
        })
    }

    /// Up to a blank or `=`; none at a quote, which may stand only behind `=`.
    fn run(&mut self) -> Option<()> {
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                0..=b' ' | b'=' => break,
                b'"' => return None,
                _ => self.at += 1,
            }
        }
        Some(())
    }
}

fn pairs(text: &[u8]) -> Pairs<'_> {
    Pairs { text, at: 0 }
}

fn is_level_key(key: &[u8]) -> bool {
    const KEYS: [&[u8]; 8] = [
        b"level",
        b"lvl",
        b"severity",
        b"loglevel",
        b"log_level",
        b"log.level",
        b"levelname",
        b"log-level",
    ];
    KEYS.iter().any(|k| k.eq_ignore_ascii_case(key))
}

/// Whether a line of an unknown format begins as loggers begin logfmt.
pub(super) fn is_probable(line: &[u8]) -> bool {
    const FIRST: [&[u8]; 18] = [
        b"time",
        b"ts",
        b"t",
        b"timestamp",
        b"@timestamp",
        b"datetime",
        b"date",
        b"level",
        b"lvl",
        b"severity",
        b"msg",
        b"message",
        b"at",
        b"logger",
        b"caller",
        b"source",
        b"app",
        b"component",
    ];
    let Some(first) = line.first() else {
        return false;
    };
    if !first.is_ascii_lowercase() && *first != b'@' {
        return false;
    }
    let key = line
        .iter()
        .take(16)
        .take_while(|b| !matches!(b, 0..=b' ' | b'=' | b'"'))
        .count();
    if line.get(key) != Some(&b'=') || !FIRST.contains(&&line[..key]) {
        return false;
    }
    let mut count = 0;
    for pair in pairs(line).take(3) {
        match pair {
            Ok(Pair { value: Some(_), .. }) => count += 1,
            Ok(_) | Err(()) => return false,
        }
    }
    count >= 2
}

/// The level of a line; the outer none: it is not logfmt.
pub(super) fn scan(line: &[u8]) -> Option<Option<Level>> {
    let mut at_level = None;
    let mut valued = 0_usize;
    let mut bare = 0_usize;
    for pair in pairs(line) {
        let Pair { key, value, .. } = pair.ok()?;
        match value {
            Some(value) if is_level_key(key) => {
                if let Some(level) = level::from_value(value, Scale::Guess) {
                    return Some(Some(level));
                }
                valued += 1;
            }
            Some(value) => {
                valued += 1;
                // Heroku's router.
                if key == b"at" {
                    at_level = level::from_word(value);
                }
            }
            None => bare += 1,
        }
    }
    is_logfmt(valued, bare).then_some(at_level)
}

/// A sentence is all bare keys; so is `a b` in a logfmt file, which does no harm.
fn is_logfmt(valued: usize, bare: usize) -> bool {
    if valued == 0 { bare <= 3 } else { bare <= 2 * valued + 2 }
}

/// The value that [`details`] takes for the message, escapes in place; none: there is none.
pub(super) fn raw_message(line: &[u8]) -> Option<&[u8]> {
    pairs(line)
        .map_while(Result::ok)
        .find(|pair| matches!(pair.key, b"msg" | b"message"))
        .and_then(|pair| pair.value)
}

/// All pairs of a line; none: it is not logfmt.
pub(super) fn details(line: &[u8], moments: &detail::Moments<'_>) -> Option<Details> {
    let mut details = Details::default();
    let mut fields = Map::new();
    let (mut valued, mut bare) = (0, 0);
    let mut message = None;
    for pair in pairs(line) {
        let Pair { key, value, quoted } = pair.ok()?;
        if std::str::from_utf8(key).is_ok_and(|key| key.contains('\u{FFFD}')) || std::str::from_utf8(key).is_err() {
            return None;
        }
        let Some(value) = value else {
            bare += 1;
            fields.insert(detail::lossy(key), Value::Bool(true));
            continue;
        };
        valued += 1;
        let text = if quoted {
            detail::lossy(&json::unescape(value))
        } else {
            detail::lossy(value)
        };
        match key {
            b"msg" | b"message" if message.is_none() => message = Some(text),
            b"time" | b"ts" | b"timestamp" | b"t" | b"@timestamp" | b"datetime" | b"date"
                if details.timestamp.is_none() =>
            {
                match moments.of(text.as_bytes()) {
                    Some(moment) => {
                        details.timestamp = Some(moment.timestamp);
                        details.timestamp_guessed = moment.guessed;
                    }
                    None => {
                        fields.insert(detail::lossy(key), Value::String(text));
                    }
                }
            }
            _ if is_level_key(key) && level::from_value(text.as_bytes(), Scale::Guess).is_some() => {}
            _ => {
                fields.insert(detail::lossy(key), Value::String(text));
            }
        }
    }
    if !is_logfmt(valued, bare) {
        return None;
    }
    details.message = message.unwrap_or_else(|| detail::lossy(line));
    details.fields = fields;
    Some(details)
}
