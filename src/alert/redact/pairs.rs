//! Values behind keys that name a secret, in the ways in which logs write such pairs: `key=value`, JSON (also escaped, once
//! or several times), headers, URLs, XML, command lines, YAML blocks, form data, debug output of several languages.
//!
//! A search for the stems of such keys finds the candidates; from there the text is read by hand. Each byte is looked at
//! a bounded number of times: a value that is refused is short, one that is long is taken and passed over.

use super::keys::{self, Kind};
use super::values;
use core::ops::Range;

const KEY_MAX_BYTES: usize = 64;
/// Attributes between the name of an XML element and its text.
const ATTRIBUTES_MAX_BYTES: usize = 256;
/// What may stand between key and separator, and is passed over.
const CLOSERS: [&str; 12] = [
    "\\", "\"", "'", "`", "]", ")", "*", "%22", "%27", "&quot;", "\u{201d}", "\u{2019}",
];
const ESCAPED_BLANK_LINE: &str = "\\r\\n\\r\\n";
/// Longest first.
const SEPARATORS: [&str; 14] = [
    "=>", ":=", "->", "==", "::", "%3D", "%3d", "%3A", "%3a", "=", ":", "\u{ff1a}", "\u{ff1d}", "\u{2192}",
];

/// Adds where secret values stand, in order. `stems`: where those of their keys do, in order, apart.
pub fn find(text: &str, stems: &[Range<usize>], found: &mut Vec<Range<usize>>) {
    let mut read_to = 0;
    for stem in stems {
        if stem.start >= read_to {
            read_to = pair(text, stem.clone(), found);
        }
    }
}

/// The pair whose key holds `stem`; returns up to where the text is done with.
fn pair(text: &str, stem: Range<usize>, found: &mut Vec<Range<usize>>) -> usize {
    let (key, kind) = match keys::FOREIGN.contains(&&text[stem.clone()]) {
        true => (stem.clone(), Some(Kind::Password)),
        false => {
            let key = key_around(text, stem);
            (key.clone(), kind_of(text, &key))
        }
    };
    let Some(kind) = kind else { return key.end };
    let begun = found.len();
    match separator(text, &key) {
        Some((at, true)) => values::element(text, at, found),
        Some((at, false)) => values::all(text, &key, at, kind, found),
        None => values::without_separator(text, &key, kind, found),
    }
    found
        .get(begun..)
        .and_then(<[_]>::last)
        .map_or(key.end, |range| range.end)
}

/// The run of letters, digits, `_`, `-` and `.` around a stem.
fn key_around(text: &str, stem: Range<usize>) -> Range<usize> {
    let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let bytes = text.as_bytes();
    let before = bytes[..stem.start]
        .iter()
        .rev()
        .take(KEY_MAX_BYTES)
        .take_while(|b| is_key(b))
        .count();
    let after = bytes[stem.end..]
        .iter()
        .take(KEY_MAX_BYTES)
        .take_while(|b| is_key(b))
        .count();
    stem.start - before..stem.end + after
}

/// By the key; where that is the end of several words (`API key: …`), by these.
fn kind_of(text: &str, key: &Range<usize>) -> Option<Kind> {
    // `\npassword` in an escaped text: the letter belongs to the escape.
    let mut word = &text[key.clone()];
    if text[..key.start].ends_with('\\') && word.starts_with(['n', 'r', 't']) && keys::kind(word).is_none() {
        word = &word[1..];
    }
    keys::kind(word).or_else(|| {
        if !["key", "id", "code"].iter().any(|last| word.eq_ignore_ascii_case(last)) {
            return None;
        }
        let line = text[..key.start].strip_suffix(' ')?;
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'_');
        let length = line.bytes().rev().take(32).take_while(|b| is_word(b)).count();
        keys::kind(&text[key.start - 1 - length..key.end])
    })
}

/// Where what follows the separator begins, and whether it is the text of an XML element.
fn separator(text: &str, key: &Range<usize>) -> Option<(usize, bool)> {
    let mut at = key.end;
    let opened = &text.as_bytes()[key.start.saturating_sub(KEY_MAX_BYTES)..key.start];
    let name = opened
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b':')
        .count();
    if opened[..opened.len() - name].ends_with(b"<") {
        let rest = text.as_bytes()[at..].iter().take(ATTRIBUTES_MAX_BYTES);
        let end = rest.take_while(|b| !matches!(b, b'<' | b'>' | b'\n')).count();
        if text.as_bytes().get(at + end) == Some(&b'>') {
            return Some((at + end + 1, true));
        }
    }
    while let Some(closer) = CLOSERS.iter().find(|closer| text[at..].starts_with(**closer)) {
        at += closer.len();
        // The escape of a quote, not of what follows it.
        if *closer == "\\" && text[at..].starts_with("u0022") {
            at += 5;
        }
    }
    let quoted = at > key.end;
    at += values::blanks(&text[at..]);
    let rest = &text[at..];
    if quoted {
        // <add key="password" value="…"/>, <entry key="password">…</entry>, name="password"\r\n\r\n…
        if let Some(value) = ["value=", "Value="].iter().find(|value| rest.starts_with(**value)) {
            return Some((at + value.len(), false));
        }
        if rest.starts_with('>') {
            return Some((at + 1, true));
        }
        if let Some(escaped) = rest.strip_prefix(ESCAPED_BLANK_LINE) {
            return Some((text.len() - escaped.len(), false));
        }
        let below = rest.trim_start_matches(values::is_break);
        if rest[..rest.len() - below.len()].matches('\n').count() > 1 {
            return Some((text.len() - below.len(), false));
        }
    }
    let separator = SEPARATORS.iter().find(|separator| rest.starts_with(**separator))?;
    Some((at + separator.len(), false))
}
