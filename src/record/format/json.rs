//! JSON lines: the level by a light scanner that builds nothing, everything else by serde_json when a record is kept.
//!
//! Knows the keys of bunyan, pino, zap, logrus, slog, tracing, Serilog, monolog, structlog, log4j2, ECS, GELF,
//! MongoDB, journald, Nextcloud, OpenTelemetry. Levels are looked for at the top, and in `log.level`.

use super::Details;
use super::detail;
use crate::record::level::{self, Level, Scale};
use serde_json::{Map, Value};

/// The line is a JSON object as far as the scanner looked; its level if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scan {
    pub level: Option<Level>,
}

/// What a level key says of its number's scale.
fn level_key(key: &[u8]) -> Option<Scale> {
    const KEYS: [&[u8]; 14] = [
        b"level",
        b"severity",
        b"lvl",
        b"loglevel",
        b"log_level",
        b"log.level",
        b"levelname",
        b"level_name",
        b"@level",
        b"@l",
        b"severitytext",
        b"severity_text",
        b"priority",
        b"syslog.severity.name",
    ];
    if KEYS.iter().any(|k| k.eq_ignore_ascii_case(key)) {
        return Some(Scale::Guess);
    }
    match key {
        b"levelno" => Some(Scale::Python),
        b"severityNumber" | b"severity_number" | b"SeverityNumber" => Some(Scale::OpenTelemetry),
        _ => None,
    }
}

/// Scans up to the level; none: not a JSON object.
pub(super) fn scan(line: &[u8]) -> Option<Scan> {
    let line = line.trim_ascii();
    if line.last() != Some(&b'}') {
        return None;
    }
    let mut level = None;
    let mut mongo = false;
    let mut nextcloud = false;
    let mut compact = false;
    members(line, |key, value| {
        if let Some(scale) = level_key(key) {
            let scale = if nextcloud && scale == Scale::Guess {
                Scale::ZeroToFour
            } else {
                scale
            };
            level = level::from_value(unquote(value), scale);
        } else {
            match key {
                b"s" if mongo => level = level::from_value(unquote(value), Scale::Guess),
                b"t" => mongo = value.first() == Some(&b'{'),
                b"reqId" => nextcloud = true,
                b"@mt" | b"@m" => compact = true,
                b"log" if value.first() == Some(&b'{') => level = scan(value)?.level,
                _ => {}
            }
        }
        level.is_none().then_some(())
    })?;
    // Serilog's compact form leaves the level out where it is Information.
    Some(Scan {
        level: level.or(compact.then_some(Level::Info)),
    })
}

/// The text between the quotes of a string, else the value itself.
fn unquote(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// Walks the top-level members (raw keys and values, escapes in place) until `visit` gives none; none: malformed.
pub(super) fn members<'a>(text: &'a [u8], mut visit: impl FnMut(&'a [u8], &'a [u8]) -> Option<()>) -> Option<()> {
    let mut at = skip_space(text, 0);
    if text.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_space(text, at + 1);
    if text.get(at) == Some(&b'}') {
        return Some(());
    }
    loop {
        let key_end = string_end(text, at)?;
        let key = &text[at + 1..key_end - 1];
        at = skip_space(text, key_end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(text, at + 1);
        let value_end = value_end(text, at)?;
        if visit(key, &text[at..value_end]).is_none() {
            return Some(());
        }
        at = skip_space(text, value_end);
        match text.get(at) {
            Some(b',') => at = skip_space(text, at + 1),
            Some(b'}') => return Some(()),
            _ => return None,
        }
    }
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Behind the closing quote of the string that opens at `at`.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            let mut at = at;
            loop {
                match text.get(at)? {
                    b'"' => {
                        at = string_end(text, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => {
            let len = text[at..]
                .iter()
                .take_while(|b| !matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
                .count();
            (len > 0).then_some(at + len)
        }
    }
}

/// The text of a JSON string's inside, escapes resolved; what is no escape stays as it stands.
pub(super) fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&sign, behind)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = behind;
        match sign {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => {
                let (sign, len) = code_point(rest);
                out.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[len..];
            }
            b'"' | b'\\' | b'/' => out.push(sign),
            _ => out.extend_from_slice(&[b'\\', sign]),
        }
    }
    out.extend_from_slice(rest);
    out
}

/// What `\u` means with the digits at the beginning of `rest`, surrogate pairs joined; and how many bytes that took.
fn code_point(rest: &[u8]) -> (char, usize) {
    let unit = |bytes: Option<&[u8]>| {
        let digits = bytes.filter(|b| b.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(first) = unit(rest.get(..4)) else {
        return (char::REPLACEMENT_CHARACTER, 0);
    };
    if (0xD800..0xDC00).contains(&first)
        && rest.get(4..6) == Some(b"\\u")
        && let Some(second) = unit(rest.get(6..10)).filter(|unit| (0xDC00..0xE000).contains(unit))
    {
        let joined = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

/// Keys under which writers put what they say, the most certain first.
const MESSAGE_KEYS: [&str; 13] = [
    "message",
    "msg",
    "MESSAGE",
    "Message",
    "@m",
    "RenderedMessage",
    "@mt",
    "short_message",
    "log",
    "event",
    "body",
    "text",
    "error",
];
const TIME_KEYS: [&str; 18] = [
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "t",
    "@t",
    "datetime",
    "Timestamp",
    "eventTime",
    "date",
    "asctime",
    "timeMillis",
    "instant",
    "timeUnixNano",
    "__REALTIME_TIMESTAMP",
    "_SOURCE_REALTIME_TIMESTAMP",
    "created",
    "logTime",
];

/// Reads a whole object; none: it is not valid JSON after all.
pub(super) fn details(body: &[u8], moments: &detail::Moments<'_>) -> Option<Details> {
    let mut fields: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(fields) => fields,
        Err(_) => serde_json::from_str(&String::from_utf8_lossy(body)).ok()?,
    };
    let mut details = Details {
        message: take_message(&mut fields).unwrap_or_default(),
        ..Details::default()
    };
    for key in TIME_KEYS {
        let Some(moment) = fields.get(key).and_then(|value| moment(value, moments)) else {
            continue;
        };
        details.timestamp = Some(moment.timestamp);
        details.timestamp_guessed = moment.guessed;
        fields.shift_remove(key);
        break;
    }
    let nextcloud = fields.contains_key("reqId");
    let mongo = details.timestamp.is_some() && fields.contains_key("ctx");
    let is_level = |key: &str, value: &Value| match value {
        Value::String(text) => {
            (level_key(key.as_bytes()).is_some() || (mongo && key == "s"))
                && level::from_value(text.as_bytes(), Scale::Guess).is_some()
        }
        Value::Number(_) => level_key(key.as_bytes()).is_some() || nextcloud && key == "level",
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    };
    fields.retain(|key, value| !is_level(key, value));
    details.fields = fields;
    Some(details)
}

/// What stands between the quotes of the string that [`details`] takes for the message, escapes in place; none: there is
/// none. Builds nothing.
pub(super) fn raw_message(body: &[u8]) -> Option<&[u8]> {
    let text = |value: &[u8]| value.len() > 2 && value.first() == Some(&b'"');
    let mut best: Option<(usize, &[u8])> = None;
    let mut nested = None;
    members(body, |key, value| {
        if text(value) {
            let rank = MESSAGE_KEYS.iter().position(|known| known.as_bytes() == key);
            if let Some(rank) = rank.filter(|rank| best.is_none_or(|(known, _)| *rank < known)) {
                best = Some((rank, value));
            }
        } else if value.first() == Some(&b'{') && matches!(key, b"fields" | b"body" | b"error" | b"err") {
            members(value, |inner, value| {
                if text(value) && matches!(inner, b"message" | b"stringValue") {
                    nested.get_or_insert(value);
                }
                Some(())
            });
        }
        // The first key of the list is as certain as it gets.
        (best.is_none_or(|(rank, _)| rank > 0)).then_some(())
    });
    best.map(|(_, value)| value).or(nested).map(unquote)
}

fn take_message(fields: &mut Map<String, Value>) -> Option<String> {
    for key in MESSAGE_KEYS {
        if fields.get(key).is_some_and(Value::is_string)
            && let Some(Value::String(message)) = fields.shift_remove(key)
        {
            return Some(message);
        }
    }
    // tracing keeps the message among the fields; OpenTelemetry wraps the body.
    for (outer, inner) in [
        ("fields", "message"),
        ("body", "stringValue"),
        ("error", "message"),
        ("err", "message"),
    ] {
        let Some(Value::Object(map)) = fields.get_mut(outer) else {
            continue;
        };
        let keep = outer.starts_with("err");
        if map.get(inner).is_some_and(Value::is_string) {
            let found = if keep {
                map.get(inner).cloned()
            } else {
                map.shift_remove(inner)
            };
            if map.is_empty() {
                fields.shift_remove(outer);
            }
            if let Some(Value::String(message)) = found {
                return Some(message);
            }
        }
    }
    None
}

fn moment(value: &Value, moments: &detail::Moments<'_>) -> Option<crate::record::timestamp::Moment> {
    match value {
        Value::String(text) => moments.of(text.trim().as_bytes()),
        Value::Number(number) => match number.as_u64() {
            Some(whole) => moments.of(whole.to_string().as_bytes()),
            None => moments.of(format!("{:.6}", number.as_f64()?).as_bytes()),
        },
        Value::Object(map) => match (map.get("$date"), map.get("epochSecond")) {
            (Some(date @ Value::String(_)), _) => moment(date, moments),
            (_, Some(seconds)) => {
                let nanos = map.get("nanoOfSecond").and_then(Value::as_u64).unwrap_or(0);
                moments.of(format!("{}.{nanos:09}", seconds.as_u64()?).as_bytes())
            }
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests;
