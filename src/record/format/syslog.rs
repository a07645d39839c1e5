//! Syslog as it stands in files: RFC 5424 with structured data, and RFC 3164 as loosely as devices and daemons write it.
//!
//! Priority, host and tag may be missing; stamps may be BSD's or ISO's. Structured data is kept as it is written, its
//! escapes too: `{"id": [["name", "value"], …]}`. What is neither form is plain text; a priority is believed all the same.

use super::detail;
use crate::record::level::{self, Level};
use crate::record::timestamp;
use serde_json::{Map, Value};
use std::ops::Range;

/// The parts of a line. Empty: missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Syslog<'a> {
    pub priority: Option<u8>,
    pub stamp: &'a [u8],
    pub host: &'a [u8],
    pub app: &'a [u8],
    pub procid: &'a [u8],
    pub msgid: &'a [u8],
    pub structured_data: &'a [u8],
    pub body: &'a [u8],
}

/// How much a line must show to be taken for syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// The format is configured.
    Configured,
    /// The lines before were syslog.
    Expected,
    /// Nothing is known of the file.
    Unknown,
}

impl Syslog<'_> {
    pub fn level(&self) -> Option<Level> {
        self.priority.map(|priority| level::from_syslog(priority % 8))
    }

    /// A hash of host and tag: lines of one process follow each other, those of others come between. Never 0.
    pub fn stream(&self) -> u64 {
        const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut hash = MULTIPLIER;
        for part in [self.host, self.app, self.procid] {
            for chunk in part.chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                hash = (hash ^ u64::from_le_bytes(word))
                    .wrapping_mul(MULTIPLIER)
                    .rotate_left(29);
            }
            hash = hash.wrapping_add(part.len() as u64 + 1).wrapping_mul(MULTIPLIER);
        }
        (hash ^ (hash >> 32)) | 1
    }

    pub fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let parts = [
            ("host", self.host),
            ("app", self.app),
            ("procid", self.procid),
            ("msgid", self.msgid),
        ];
        for (name, value) in parts {
            if !value.is_empty() {
                fields.insert(name.to_owned(), Value::String(detail::lossy(value)));
            }
        }
        if let Some(priority) = self.priority {
            fields.insert("facility".to_owned(), Value::String(facility(priority / 8).to_owned()));
        }
        let mut data = elements(self.structured_data);
        // Our own, of the journal: plain fields.
        let of_journal = data.remove("journald");
        for pair in of_journal.as_ref().and_then(Value::as_array).into_iter().flatten() {
            if let (Some(name), Some(value)) = (pair[0].as_str(), pair.get(1)) {
                fields.insert(name.to_owned(), value.clone());
            }
        }
        if !data.is_empty() {
            fields.insert("structured_data".to_owned(), Value::Object(data));
        }
        fields
    }
}

fn facility(code: u8) -> &'static str {
    const NAMES: [&str; 24] = [
        "kern",
        "user",
        "mail",
        "daemon",
        "auth",
        "syslog",
        "lpr",
        "news",
        "uucp",
        "cron",
        "authpriv",
        "ftp",
        "ntp",
        "security",
        "console",
        "solaris-cron",
        "local0",
        "local1",
        "local2",
        "local3",
        "local4",
        "local5",
        "local6",
        "local7",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("unknown")
}

/// Peels a line; none: it is not syslog.
pub(super) fn parse(line: &[u8], strictness: Strictness) -> Option<Syslog<'_>> {
    let (priority, rest) = match priority(line) {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, line),
    };
    if priority.is_none() && strictness != Strictness::Configured && !may_be_rfc3164(rest) {
        return None;
    }
    if priority.is_some()
        && let Some(parsed) = rfc5424(rest).or_else(|| versionless(rest))
    {
        return Some(Syslog { priority, ..parsed });
    }
    let parsed = match rfc3164(rest, priority.is_some(), strictness) {
        Some(parsed) => parsed,
        None if priority.is_some() => Syslog {
            body: rest,
            ..Syslog::default()
        },
        None => return None,
    };
    Some(Syslog { priority, ..parsed })
}

/// Sorts out most lines that are not syslog by a few bytes: `Nov 23 06:00:01 `, or `2026-11-23T06:00:01… host tag`.
fn may_be_rfc3164(line: &[u8]) -> bool {
    let Some(lead) = line.first_chunk::<20>() else {
        return false;
    };
    if lead[0].is_ascii_uppercase() {
        return lead[3] == b' ' && lead[9] == b':' && lead[12] == b':';
    }
    if lead[10] != b'T' || lead[13] != b':' {
        return false;
    }
    let Some(space) = memchr::memchr(b' ', &line[19..line.len().min(40)]) else {
        return false;
    };
    // A host, not a level, a bracket or more blanks.
    let (host, behind) = word(&line[19 + space + 1..]);
    matches!(behind.first(), Some(b) if !matches!(b, b' ' | b'[' | b'-')) && is_host(host)
}

/// `<34>`: facility × 8 + severity, at most 191.
fn priority(line: &[u8]) -> Option<(u8, &[u8])> {
    let digits = line.strip_prefix(b"<")?;
    let len = digits.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    if len == 0 || len > 3 || digits.get(len) != Some(&b'>') {
        return None;
    }
    let number = digits[..len].iter().fold(0_u16, |n, d| n * 10 + u16::from(d - b'0'));
    u8::try_from(number)
        .ok()
        .filter(|number| *number <= 191)
        .map(|number| (number, &digits[len + 1..]))
}

/// The next run without blanks, and what is behind its one blank.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

fn nil(text: &[u8]) -> &[u8] {
    if text == b"-" { &[] } else { text }
}

/// Behind the priority: version, stamp, host, app, procid, msgid, structured data, message (RFC 5424, 6).
fn rfc5424(rest: &[u8]) -> Option<Syslog<'_>> {
    let (version, rest) = word(rest);
    if version.is_empty() || version.len() > 3 || version[0] == b'0' || !version.iter().all(u8::is_ascii_digit) {
        return None;
    }
    fields_of_rfc5424(rest)
}

/// Junos writes RFC 5424 without its version: `2026-11-23T06:00:01.250Z host app 6589 - - text`. A process id, a nil
/// and data or another nil in their places tell it from a message.
fn versionless(rest: &[u8]) -> Option<Syslog<'_>> {
    if rest.get(10) != Some(&b'T') {
        return None;
    }
    let parsed = fields_of_rfc5424(rest)?;
    let numbered = !parsed.procid.is_empty() && parsed.procid.iter().all(u8::is_ascii_digit);
    (numbered && !parsed.stamp.is_empty() && !parsed.app.ends_with(b":")).then_some(parsed)
}

fn fields_of_rfc5424(rest: &[u8]) -> Option<Syslog<'_>> {
    let (stamp, rest) = word(rest);
    let stamp = nil(stamp);
    if !stamp.is_empty() && timestamp::scan(stamp).is_none_or(|(_, len)| len != stamp.len()) {
        return None;
    }
    let (host, rest) = word(rest);
    let (app, rest) = word(rest);
    let (procid, rest) = word(rest);
    let (msgid, rest) = word(rest);
    // The RFC's own limits.
    if host.is_empty()
        || app.is_empty()
        || procid.is_empty()
        || msgid.is_empty()
        || host.len() > 255
        || procid.len() > 128
    {
        return None;
    }
    let (structured_data, body) = if rest.first() == Some(&b'[') {
        let len = elements_len(rest)?;
        (&rest[..len], &rest[len..])
    } else {
        (&rest[..0], rest.strip_prefix(b"-")?)
    };
    let body = match body.first() {
        None => body,
        Some(b' ') => &body[1..],
        Some(_) => return None,
    };
    Some(Syslog {
        priority: None,
        stamp,
        host: nil(host),
        app: nil(app),
        procid: nil(procid),
        msgid: nil(msgid),
        structured_data,
        body,
    })
}

/// Bytes of one or more `[id name="value" …]` at the beginning of `text`.
fn elements_len(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while text.get(at) == Some(&b'[') {
        at += 1;
        let id = text[at..]
            .iter()
            .take_while(|b| !matches!(b, b' ' | b']' | b'"' | b'='))
            .count();
        if id == 0 {
            return None;
        }
        at += id;
        loop {
            match text.get(at)? {
                b']' => break at += 1,
                b' ' => at += 1,
                b'"' => {
                    at += 1;
                    loop {
                        at += memchr::memchr3(b'"', b'\\', b']', text.get(at..)?)?;
                        match text[at] {
                            b'"' => break at += 1,
                            b'\\' => at += 2,
                            // A bracket inside a value has to be escaped.
                            _ => return None,
                        }
                    }
                    if !matches!(text.get(at), Some(b' ' | b']')) {
                        return None;
                    }
                }
                _ => at += 1,
            }
        }
    }
    (at > 0).then_some(at)
}

/// `{"id": [["name", "value"], …]}`, values as they are written. Elements with a broken parameter are left out.
fn elements(text: &[u8]) -> Map<String, Value> {
    let mut map = Map::new();
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix(b"[") {
        let id_len = inner.iter().take_while(|b| !matches!(b, b' ' | b']')).count();
        let id = detail::lossy(&inner[..id_len]);
        let mut parameters = Vec::new();
        let mut sound = !inner[..id_len].iter().any(|b| matches!(b, b'=' | b'"'));
        let mut at = id_len;
        while inner.get(at) == Some(&b' ') {
            at += 1;
            let name_len = inner[at..]
                .iter()
                .take_while(|b| !matches!(b, b'=' | b' ' | b']' | b'"'))
                .count();
            let name = &inner[at..at + name_len];
            at += name_len;
            let Some(value) = quoted(&inner[at..]) else {
                sound &= name.is_empty() && inner.get(at) == Some(&b']');
                at += inner[at..].iter().take_while(|b| !matches!(b, b' ' | b']')).count();
                continue;
            };
            parameters.push(Value::Array(vec![
                Value::String(detail::lossy(name)),
                Value::String(detail::lossy(&inner[at + value.start..at + value.end])),
            ]));
            at += value.end + 1;
        }
        if sound {
            map.insert(id, Value::Array(parameters));
        }
        rest = inner.get(at + 1..).unwrap_or(&[]);
    }
    map
}

/// Where in `="value"` at the beginning of `text` the value stands; some senders write a blank behind the sign.
fn quoted(text: &[u8]) -> Option<Range<usize>> {
    let behind = text.strip_prefix(b"=")?.trim_ascii_start();
    let start = text.len() - behind.strip_prefix(b"\"")?.len();
    let mut at = start;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(start..at);
        }
        at += 2;
    }
}

/// Stamp, host, tag, message: each but the message may be missing.
fn rfc3164(rest: &[u8], prioritised: bool, strictness: Strictness) -> Option<Syslog<'_>> {
    let bsd = rest.first()?.is_ascii_uppercase();
    let (_, len) = match timestamp::scan(rest) {
        Some(found) => found,
        None if !prioritised => return None,
        None => {
            let Some((host, timed)) = behind_count(rest) else {
                return Some(untimed(rest));
            };
            let parsed = rfc3164(timed, prioritised, strictness)?;
            let host = if parsed.host.is_empty() { host } else { parsed.host };
            return Some(Syslog { host, ..parsed });
        }
    };
    let stamp = &rest[..len];
    let behind = &rest[len..];
    let behind = behind.strip_prefix(b":").unwrap_or(behind);
    let behind = behind.strip_prefix(b" ")?.trim_ascii_start();
    let (first, after) = word(behind);
    if first.is_empty() {
        return None;
    }
    // The host is missing where the tag follows the stamp.
    let direct = tag(behind);
    let (host, tagged) = match direct {
        Some(found) if prioritised || found.1.is_some() => (&behind[..0], Some(found)),
        _ if is_host(first) => (first, tag(after)),
        _ => (&behind[..0], None),
    };
    let sure = match strictness {
        Strictness::Configured => true,
        Strictness::Expected => prioritised || !host.is_empty() || tagged.is_some(),
        Strictness::Unknown => {
            prioritised
                || (!host.is_empty()
                    && tagged.is_some_and(|(_, procid, _)| bsd || (procid.is_some() && stamp.contains(&b'T'))))
        }
    };
    if !sure {
        return None;
    }
    let message = if host.is_empty() { behind } else { after };
    let (app, procid, body) = match tagged {
        Some((app, procid, body)) => (app, procid.unwrap_or(&[]), body),
        None => (&message[..0], &message[..0], message),
    };
    Some(with_leading_data(Syslog {
        stamp,
        host,
        app,
        procid,
        body,
        ..Syslog::default()
    }))
}

/// Cisco counts its messages, may name its host behind that, and marks a clock that is not set: `25: core-1: *Mar  1 …`.
/// Gives the host and what begins with the stamp.
fn behind_count(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = rest.iter().take(10).take_while(|b| b.is_ascii_digit()).count();
    let counted = rest[digits..].strip_prefix(b": ")?;
    let timed = |text: &'_ [u8]| {
        let unmarked = usize::from(matches!(text.first(), Some(b'*' | b'.')));
        timestamp::scan(&text[unmarked..]).map(|_| unmarked)
    };
    if let Some(unmarked) = timed(counted) {
        return Some((&rest[..0], &counted[unmarked..]));
    }
    let (first, after) = word(counted);
    let host = first.strip_suffix(b":").filter(|host| is_host(host))?;
    timed(after).map(|unmarked| (host, &after[unmarked..]))
}

/// A line with a priority and no stamp: a tag at most.
fn untimed(rest: &[u8]) -> Syslog<'_> {
    match tag(rest) {
        Some((app, procid, body)) => Syslog {
            app,
            procid: procid.unwrap_or(&[]),
            body,
            ..Syslog::default()
        },
        None => Syslog {
            body: rest,
            ..Syslog::default()
        },
    }
}

fn is_host(text: &[u8]) -> bool {
    let shaped = text
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'/' | b'@'));
    shaped
        && text.len() <= 255
        && text.last() != Some(&b':')
        && !level::is_plain_level_word(text)
        && !text.contains(&b'(')
}

/// Name, process id, message.
type Tag<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

/// `app: `, `app[123]: `, `app[123] `: name, process id, message (one blank behind the colon is not part of it).
fn tag(text: &[u8]) -> Option<Tag<'_>> {
    let len = text
        .iter()
        .take(64)
        .take_while(|b| !matches!(b, b' ' | b'[' | b':' | b'"' | b'=' | b'{' | b'<'))
        .count();
    let app = &text[..len];
    if app.is_empty() || !app[0].is_ascii_alphanumeric() && !matches!(app[0], b'/' | b'_' | b'-' | b'(' | b'.') {
        return None;
    }
    let (procid, rest) = match text.get(len)? {
        b'[' => {
            let close = text[len..].iter().take(40).position(|b| *b == b']')?;
            let procid = &text[len + 1..len + close];
            if procid.contains(&b' ') {
                return None;
            }
            let rest = &text[len + close + 1..];
            (
                Some(procid),
                rest.strip_prefix(b":")
                    .or_else(|| rest.starts_with(b" ").then_some(rest))?,
            )
        }
        b':' => (None, &text[len + 1..]),
        _ => return None,
    };
    // `12:30`, `::1`, `http://…` are no tags; nor is a level.
    if matches!(rest.first(), Some(b':' | b'/' | b'0'..=b'9')) && procid.is_none() || level::is_plain_level_word(app) {
        return None;
    }
    Some((app, procid, rest.strip_prefix(b" ").unwrap_or(rest)))
}

/// rsyslog writes structured data before the message of RFC 3164 too: `[origin software="rsyslogd" …] start`.
fn with_leading_data(parsed: Syslog<'_>) -> Syslog<'_> {
    let text = parsed.body.trim_ascii_start();
    if text.first() != Some(&b'[') {
        return parsed;
    }
    let Some(len) = elements_len(text) else {
        return parsed;
    };
    let filled = memchr::memmem::find(&text[..len], b"=\"").is_some();
    if !filled || !matches!(text.get(len), None | Some(b' ')) {
        return parsed;
    }
    let body = text[len..].strip_prefix(b" ").unwrap_or(&text[len..]);
    Syslog {
        structured_data: &text[..len],
        body,
        ..parsed
    }
}
