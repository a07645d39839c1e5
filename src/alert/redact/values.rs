//! Where a value begins and ends, and whether it is one: `password: required` and `token = get_token()` hold none.

use super::SEAM_MARK;
use super::keys::Kind;
use core::ops::Range;

/// A value that is refused is at most so long: what is longer is taken for a secret, and not looked at again.
const REFUSED_MAX_BYTES: usize = 512;
/// A word that stands where a secret would, or nothing.
pub fn is_empty_word(word: &str) -> bool {
    word.trim().is_empty() || WORDS.contains(&word.trim().to_ascii_lowercase().as_str())
}

/// Random enough for a key that says little.
const SHAPED_MIN_BYTES: usize = 16;
const LIST_MAX: usize = 64;
/// What opens a text, and what closes it.
const QUOTES: [(&str, &str); 10] = [
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("&quot;", "&quot;"),
    ("&#34;", "&#34;"),
    ("&#39;", "&#39;"),
    ("%22", "%22"),
    ("\\u0022", "\\u0022"),
    ("\u{201c}", "\u{201d}"),
    ("\u{300c}", "\u{300d}"),
];
/// Before the credentials of a header; they stay.
const SCHEMES: [&str; 10] = [
    "bearer",
    "basic",
    "token",
    "digest",
    "apikey",
    "negotiate",
    "aws4-hmac-sha256",
    "splunk",
    "geniekey",
    "ssws",
];
/// What people write where a secret would stand.
const WORDS: [&str; 62] = [
    "null",
    "nil",
    "none",
    "undefined",
    "true",
    "false",
    "yes",
    "no",
    "ok",
    "on",
    "off",
    "required",
    "missing",
    "invalid",
    "expired",
    "wrong",
    "incorrect",
    "failed",
    "failure",
    "not",
    "is",
    "was",
    "are",
    "must",
    "cannot",
    "can't",
    "unknown",
    "changed",
    "reset",
    "empty",
    "too",
    "the",
    "a",
    "an",
    "at",
    "for",
    "from",
    "has",
    "with",
    "mismatch",
    "denied",
    "error",
    "enabled",
    "disabled",
    "user",
    "does",
    "should",
    "could",
    "unable",
    "bad",
    "found",
    "accepted",
    "rejected",
    "refused",
    "updated",
    "revoked",
    "rotated",
    "set",
    "unset",
    "hidden",
    "filtered",
    "redacted",
];
/// How expressions in the source lines of a trace begin.
const CODE: [&str; 10] = [
    "self.",
    "this.",
    "os.",
    "settings.",
    "config.",
    "request.",
    "req.",
    "process.env",
    "env.",
    "params",
];
/// Before `token`, where a parser speaks.
const PARSERS: [&str; 8] = [
    "unexpected",
    "expected",
    "next",
    "illegal",
    "bad",
    "current",
    "near",
    "unrecognized",
];

/// Line breaks and indentation, also over a seam.
pub fn is_break(c: char) -> bool {
    c.is_whitespace() || c == SEAM_MARK
}

/// Blanks and tabs.
pub fn blanks(text: &str) -> usize {
    text.bytes().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// The text of an XML element.
pub fn element(text: &str, at: usize, found: &mut Vec<Range<usize>>) {
    let at = at
        + if text[at..].starts_with("<![CDATA[") {
            "<![CDATA[".len()
        } else {
            0
        };
    let end = text[at..].find(['<', '\n']).map_or(text.len(), |length| at + length);
    let end = end - if text[at..end].ends_with("]]>") { 3 } else { 0 };
    if !text[at..end].trim().is_empty() {
        found.push(at..end);
    }
}

/// The value behind the separator at `at`, or each of a list.
pub fn all(text: &str, key: &Range<usize>, at: usize, kind: Kind, found: &mut Vec<Range<usize>>) {
    let mut at = at + blanks(&text[at..]);
    match block(text, at) {
        Some(block) if !matches!(kind, Kind::Shaped) => return found.push(block),
        Some(_) | None => {}
    }
    // PHP's var_dump.
    let below = text[at..].trim_start_matches(is_break);
    if text[at..].starts_with('\n') && below.starts_with("string(") {
        at = text.len() - below.len();
    }
    let list = text[at..].starts_with(['[', '(']);
    if list {
        at += 1;
        at += blanks(&text[at..]);
    }
    for _ in 0..LIST_MAX {
        let Some((value, next, quoted)) = one(text, key, at, kind) else {
            return;
        };
        if is_secret(text, key, &value, kind, quoted) {
            found.push(value);
        }
        let rest = &text[next..];
        let comma = blanks(rest);
        if !list || !rest[comma..].starts_with(',') {
            return;
        }
        at = next + comma + 1;
        at += blanks(&text[at..]);
    }
}

/// `--password x`, `password 'x'`, `the password is x7`.
pub fn without_separator(text: &str, key: &Range<usize>, kind: Kind, found: &mut Vec<Range<usize>>) {
    let call = ["('", "(\""].iter().any(|open| text[key.end..].starts_with(open));
    let blank = blanks(&text[key.end..]) + usize::from(call);
    if blank == 0 || matches!(kind, Kind::Line | Kind::Shaped) {
        return;
    }
    let mut at = key.end + blank;
    let option = text[key.clone()].starts_with('-');
    let said = ["is ", "was "].iter().find(|word| text[at..].starts_with(**word));
    at += said.map_or(0, |word| word.len());
    let Some((value, _, quoted)) = one(text, key, at, kind) else {
        return;
    };
    let word = &text[value.clone()];
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let taken = match kind {
        _ if option => !word.starts_with('-'),
        // `secret "db" not found` names one; `password "x"` is one.
        Kind::Password => quoted || said.is_some() && digits > 0,
        Kind::Line | Kind::Token | Kind::Tokens | Kind::Shaped => said.is_some() && digits > 0 && word.len() >= 8,
    };
    if taken && is_secret(text, key, &value, kind, quoted) {
        found.push(value);
    }
}

/// A YAML block: `password: |` and the lines under it, or one word alone on the next line.
fn block(text: &str, at: usize) -> Option<Range<usize>> {
    let (line, below) = text[at..].split_once('\n')?;
    let mark = line.trim_end();
    if !matches!(mark, "" | "|" | ">" | "|-" | ">-" | "|+" | ">+") {
        return None;
    }
    let seam = if below.starts_with(SEAM_MARK) {
        SEAM_MARK.len_utf8() + 1
    } else {
        0
    };
    let start = at + line.len() + 1 + seam;
    let below = below.get(seam..)?;
    let indent = blanks(below);
    if indent == 0 {
        return None;
    }
    let mut end = start;
    for line in below.split_inclusive('\n') {
        if blanks(line) < indent && line.trim_end() != SEAM_MARK.to_string() {
            break;
        }
        end += line.len();
        if mark.is_empty() {
            break;
        }
    }
    let value = text[start..end].trim();
    let plain = !mark.is_empty() || !value.contains([':', ' ', '=', '(']) && value.bytes().any(|b| b.is_ascii_digit());
    (plain && !value.is_empty()).then(|| start + indent..start + text[start..end].trim_end().len())
}

/// The value at `at`, where what follows it begins, and whether it was quoted.
fn one(text: &str, key: &Range<usize>, at: usize, kind: Kind) -> Option<(Range<usize>, usize, bool)> {
    let mut at = at + wrapper(text, at);
    if let Some((open, close)) = quote(text, at) {
        at += open;
        let (mut value, next) = quoted(text, at, &close);
        value.start += scheme(&text[value.clone()], kind);
        return (!value.is_empty()).then_some((value, next, true));
    }
    at += scheme(&text[at..], kind);
    let end = match kind {
        Kind::Line => {
            // A header within quotes: curl -H 'Authorization: …'.
            let end = line_end(text, at);
            let within = text[..key.start]
                .chars()
                .next_back()
                .filter(|c| matches!(c, '"' | '\''));
            within
                .and_then(|quote| text[at..end].find(quote))
                .map_or(end, |length| at + length)
        }
        Kind::Password | Kind::Token | Kind::Tokens | Kind::Shaped => bare_end(text, at),
    };
    (end > at).then_some((at..end, end, false))
}

/// `Some("x")`, `b'x'`, `string(7) "x"`: what stands before the quote.
fn wrapper(text: &str, at: usize) -> usize {
    let bytes = &text.as_bytes()[at..];
    let word = bytes
        .iter()
        .take(24)
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
        .count();
    let is_quote = |at: usize| bytes.get(at).is_some_and(|b| matches!(b, b'"' | b'\''));
    if (1..=2).contains(&word) && is_quote(word) {
        return word;
    }
    if word > 0 && bytes.get(word) == Some(&b'(') {
        let number = bytes[word + 1..]
            .iter()
            .take(9)
            .take_while(|b| b.is_ascii_digit())
            .count();
        let behind = if number > 0 { word + 1 + number + 2 } else { word + 1 };
        if is_quote(behind) {
            return behind;
        }
    }
    0
}

/// The length of what opens a quoted text, and what closes it: with as many backslashes as opened it.
fn quote(text: &str, at: usize) -> Option<(usize, String)> {
    let rest = &text[at..];
    if let Some((open, close)) = QUOTES.iter().find(|(open, _)| rest.starts_with(*open)) {
        return Some((open.len(), (*close).to_owned()));
    }
    let escapes = rest.bytes().take(16).take_while(|b| *b == b'\\').count();
    let open = rest[escapes..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
    (escapes > 0).then(|| (escapes + 1, rest[..escapes + open.len_utf8()].to_owned()))
}

/// From behind the opening quote to the closing one; to the end of the line where that is missing.
fn quoted(text: &str, at: usize, close: &str) -> (Range<usize>, usize) {
    let bytes = text.as_bytes();
    if close.len() > 1 {
        let line = line_end(text, at);
        return match text[at..line].find(close) {
            Some(length) => (at..at + length, at + length + close.len()),
            None => (at..line, line),
        };
    }
    let close = close.as_bytes()[0];
    let mut end = at;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            b'\n' => break,
            b'\\' if end + 1 < bytes.len() && bytes[end + 1] != b'\n' => end += 2,
            // '' is a quote in SQL.
            _ if byte == close && close == b'\'' && bytes.get(end + 1) == Some(&close) && end > at => end += 2,
            _ if byte == close => return (at..end, end + 1),
            _ => end += 1,
        }
    }
    let mut end = end.min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    (at..end, end)
}

/// `Bearer ` before what it announces.
fn scheme(value: &str, kind: Kind) -> usize {
    let Some((word, rest)) = value.split_once(' ') else {
        return 0;
    };
    let known = SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
    if known && !matches!(kind, Kind::Password) {
        word.len() + 1 + blanks(rest)
    } else {
        0
    }
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find(['\r', '\n']).map_or(text.len(), |length| at + length)
}

/// An unquoted value: to a blank or a mark that separates; brackets that it did not open are not its own.
fn bare_end(text: &str, at: usize) -> usize {
    let stops = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | '|' | '"' | '\'' | '`' | '<' | '>');
    let mut end = text[at..].find(stops).map_or(text.len(), |length| at + length);
    if let Some(length) = ["%26", "%22", "\\n", "\\r", "\\u0026"]
        .iter()
        .filter_map(|mark| text[at..end].find(mark))
        .min()
    {
        end = at + length;
    }
    let value = text[at..end].trim_end_matches(['.', '\\', ':', '!', '?']);
    let opens = value.contains(['(', '[', '{']);
    let value = if opens {
        value
    } else {
        value.trim_end_matches([')', ']', '}'])
    };
    at + value.len()
}

/// Whether a value may be what its key promises.
fn is_secret(text: &str, key: &Range<usize>, value: &Range<usize>, kind: Kind, quoted: bool) -> bool {
    let word = text[value.clone()].trim();
    if word.len() > REFUSED_MAX_BYTES {
        return true;
    }
    let lower = word.to_ascii_lowercase();
    let is_word = WORDS.contains(&lower.trim_end_matches([',', '.']));
    let shape = |test: fn(char) -> bool| word.chars().all(test);
    let masked = shape(|c| matches!(c, '*' | '•' | 'x' | 'X' | '.' | '-' | '_' | '#')) || word.starts_with("***");
    if word.len() < 2 || is_word || masked || is_placeholder(word) || !quoted && is_code(word, &lower) {
        return false;
    }
    let name = text[key.clone()].to_ascii_lowercase();
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let number = digits == word.len();
    match kind {
        Kind::Line => true,
        // The directory of a shell; results of tests.
        Kind::Password if matches!(name.as_str(), "pwd" | "oldpwd") => !word.starts_with('/'),
        Kind::Password if name == "pass" => {
            let given = quoted || digits > 0 || text[key.end..value.start].contains('=');
            given && !(number && word.len() < 6)
        }
        Kind::Password => !is_path(word),
        Kind::Tokens
            if number
                || word
                    .split([',', ' '])
                    .all(|part| part.bytes().all(|b| b.is_ascii_digit())) =>
        {
            false
        }
        Kind::Token | Kind::Tokens => {
            let letters = word.chars().all(|c| c.is_ascii_alphabetic());
            let prose = !quoted && letters && word.len() < 16 && follows_prose(text, key, value);
            !(number && word.len() < 6 || prose || is_path(word) || is_parser(text, key))
        }
        Kind::Shaped => {
            let random =
                |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '.' | '%' | '~');
            let windows_sid = word.starts_with("S-1-");
            let letters = word.bytes().any(|b| b.is_ascii_alphabetic());
            let long = word.len() >= SHAPED_MIN_BYTES || name.contains("sess") && word.len() >= 8;
            long && digits > 0 && letters && shape(random) && !windows_sid && !is_path(word)
        }
    }
}

/// `${DB_PASSWORD}`, `%s`, `<your token>`: stands for a value.
fn is_placeholder(word: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.' | '}' | '{' | ')' | ']' | '>');
    let variable = |rest: &str| rest.chars().all(name) && rest.chars().any(|c| c.is_ascii_uppercase() || c == '}');
    let framed = |open, close| {
        word.strip_prefix(open)
            .is_some_and(|w: &str| w.ends_with(close) && w.chars().all(name))
    };
    matches!(word, "%s" | "%d" | "%v" | "%r" | "{}" | "?" | "()" | "[]")
        || word.strip_prefix('$').is_some_and(variable)
        || word.starts_with("{{")
        || framed("<", ">") && !word.contains(|c: char| c.is_ascii_digit())
        || framed("[", "]") && !word.contains(|c: char| c.is_ascii_digit())
}

/// An expression in a source line of a trace.
fn is_code(word: &str, lower: &str) -> bool {
    let name = word
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
        .count();
    let call = name > 0 && word.as_bytes().get(name).is_some_and(|b| matches!(b, b'(' | b'['));
    let is_name = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && call;
    is_name || CODE.iter().any(|begin| lower.starts_with(begin)) && word.len() > 5
}

fn is_path(word: &str) -> bool {
    let rooted = ["/", "./", "../", "~/"].iter().any(|root| word.starts_with(root)) || word.get(1..3) == Some(":\\");
    let random = word.bytes().any(|b| b.is_ascii_uppercase()) && word.bytes().any(|b| b.is_ascii_digit());
    rooted && word.len() > 3 && (word.contains('.') || !random) && !word.contains(['+', '='])
}

/// `AccessToken : refresh failed` is a logger and what it says.
fn follows_prose(text: &str, key: &Range<usize>, value: &Range<usize>) -> bool {
    let says = text[key.end..value.start].ends_with(": ");
    says && text[value.end..].starts_with([' ', '.'])
        && text[value.end + 1..].starts_with(|c: char| c.is_alphanumeric())
}

fn is_parser(text: &str, key: &Range<usize>) -> bool {
    let before = &text.as_bytes()[key.start.saturating_sub(16)..key.start];
    let before = String::from_utf8_lossy(before).to_ascii_lowercase();
    let last = before.trim_end().rsplit([' ', '\t']).next().unwrap_or("");
    PARSERS.iter().any(|word| last.ends_with(word))
}
