//! docker's json-file: `{"log":"text\n","stream":"stderr","time":"2026-11-23T06:00:01.123456789Z"}`.
//!
//! A line without the final `\n` goes on in the next one of its stream (docker cuts at 16 KiB).

use super::json;
use std::borrow::Cow;

/// The parts of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Docker<'a> {
    pub time: &'a [u8],
    pub stream: Option<&'a [u8]>,
    pub partial: bool,
    pub body: Cow<'a, [u8]>,
    /// `attrs`: the labels that the logging driver was asked for.
    pub attrs: Option<&'a [u8]>,
}

/// Whether a line begins as docker writes it.
pub(super) fn is_probable(line: &[u8]) -> bool {
    line.starts_with(b"{\"log\":")
}

/// Peels a line; none: it is not of this form.
pub(super) fn parse(line: &[u8]) -> Option<Docker<'_>> {
    let (mut log, mut stream, mut time, mut attrs) = (None, None, None, None);
    let mut well_formed = true;
    json::members(line, |key, value| {
        let text = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
        match key {
            b"log" => log = Some(text?),
            b"stream" => stream = Some(text?),
            b"time" => time = Some(text?),
            b"attrs" => attrs = Some(value),
            _ => well_formed = false,
        }
        Some(())
    })?;
    let (log, time) = (log?, time?);
    if !well_formed {
        return None;
    }
    let (log, partial) = match line_end(log) {
        Some(log) => (log, false),
        None => (log, true),
    };
    let body = match memchr::memchr(b'\\', log) {
        None => Cow::Borrowed(log),
        Some(_) => Cow::Owned(json::unescape(log)),
    };
    Some(Docker {
        time,
        stream,
        partial,
        body,
        attrs,
    })
}

/// The escaped text without its final newline; none: it has none.
fn line_end(log: &[u8]) -> Option<&[u8]> {
    let rest = log.strip_suffix(b"\\n")?;
    let escapes = rest.iter().rev().take_while(|b| **b == b'\\').count();
    if escapes % 2 == 1 {
        return None;
    }
    Some(
        rest.strip_suffix(b"\\r")
            .filter(|r| r.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0)
            .unwrap_or(rest),
    )
}
