//! The tokens of a head: how long they are and what they look like. No state.

use crate::record::level::{self, Case, Level};

/// What a word that is no level looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It ends with a colon: a program, a tag.
    Colon,
    /// It holds a digit, a dot, a dash, …: a host, a logger, a thread, `key=value`.
    Id,
    Capitals,
    /// It could begin a sentence.
    Plain,
}

pub(super) fn kind(text: &[u8]) -> Kind {
    if text.last() == Some(&b':') {
        return Kind::Colon;
    }
    let sentence_end = matches!(text.last(), Some(b'.' | b',' | b'!' | b'?'));
    let is_id =
        |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'=' | b'@' | b'$' | b'#' | b'-' | b'[' | b'/' | b':');
    if !sentence_end && text.iter().any(is_id) {
        return Kind::Id;
    }
    if text.len() >= 2 && text.iter().all(u8::is_ascii_uppercase) {
        return Kind::Capitals;
    }
    Kind::Plain
}

/// Up to the next blank or pipe.
pub(super) fn len(text: &[u8]) -> usize {
    text.iter()
        .take(128)
        .take_while(|b| !matches!(b, b' ' | b'\t' | b'|' | 0x1B))
        .count()
}

/// ESXi's `cpu1:1234)` stands before the rest without a blank.
pub(super) fn cpu_len(text: &[u8]) -> Option<usize> {
    let close = memchr::memchr(b')', text)?;
    (close + 1 < text.len() && text.starts_with(b"cpu") && !text[..close].contains(&b'(')).then_some(close + 1)
}

/// Letters, and the digit of `DEBUG1`.
pub(super) fn word_len(text: &[u8]) -> usize {
    let len = text.iter().take(24).take_while(|b| b.is_ascii_alphabetic()).count();
    if len == 5 && matches!(text.get(5), Some(b'1'..=b'5')) && text[..5].eq_ignore_ascii_case(b"debug") {
        return 6;
    }
    len
}

/// The length of an ANSI colour (CSI … m) at the beginning of `text`.
pub(super) fn ansi_len(text: &[u8]) -> Option<usize> {
    let parameters = text.strip_prefix(b"\x1B[")?;
    let len = parameters
        .iter()
        .take(24)
        .take_while(|b| b.is_ascii_digit() || matches!(b, b';' | b':'))
        .count();
    parameters
        .get(len)
        .is_some_and(u8::is_ascii_alphabetic)
        .then_some(2 + len + 1)
}

/// Programs name themselves shortly before `error:`; sentences and class names do not look so.
pub(super) fn is_program(text: &[u8]) -> bool {
    text.len() <= 48
        && text.iter().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'_' | b'-' | b'/' | b'.' | b'[' | b']' | b'(' | b')' | b':' | b'+')
        })
}

pub(super) fn is_http_method(text: &[u8]) -> bool {
    matches!(
        text,
        b"GET" | b"POST" | b"PUT" | b"DELETE" | b"HEAD" | b"PATCH" | b"OPTIONS" | b"CONNECT" | b"HTTP"
    )
}

/// ` - `, ` | `, `|`: a field ends here.
pub(super) fn separator_follows(text: &[u8]) -> bool {
    let blanks = text.iter().take(40).take_while(|b| matches!(b, b' ' | b'\t')).count();
    match text.get(blanks) {
        Some(b'|') => true,
        Some(b'-') => blanks > 0 && text.get(blanks + 1) == Some(&b' '),
        _ => false,
    }
}

pub(super) fn pipe_follows(text: &[u8]) -> bool {
    let blanks = text.iter().take(40).take_while(|b| **b == b' ').count();
    text.get(blanks) == Some(&b'|')
}

/// A level in capitals comes next, set apart by padding or a sign, as in `root         ERROR    message`.
pub(super) fn level_field_follows(text: &[u8]) -> bool {
    let blanks = text.iter().take(40).take_while(|b| matches!(b, b' ' | b'\t')).count();
    let rest = &text[blanks..];
    let len = word_len(rest);
    let word = &rest[..len];
    if Case::of(word) != Case::Upper || level::from_word(word).is_none() {
        // `root [error] …`, `name (INFO) …`.
        return rest.first() == Some(&b'[')
            && closing(rest, b'[', 16).is_some_and(|close| level::from_word(rest[1..close].trim_ascii()).is_some());
    }
    let after = &rest[len..];
    blanks >= 2
        || matches!(
            after,
            [b':' | b']' | b'|' | b'\t', ..] | [b' ', b' ' | b'-' | b'[' | b'|' | b'(', ..]
        )
}

/// Two numbers come next: process and thread behind the user's name, in some logcats.
pub(super) fn ids_follow(text: &[u8]) -> bool {
    let mut words = text.split(|b| *b == b' ').filter(|word| !word.is_empty()).take(2);
    let number = |word: Option<&[u8]>| word.is_some_and(|word| word.iter().all(u8::is_ascii_digit));
    number(words.next()) && number(words.next())
}

/// Where the bracket that opens `text` is closed, if within `max` bytes; brackets of its kind may nest.
pub(super) fn closing(text: &[u8], open: u8, max: usize) -> Option<usize> {
    let close = match open {
        b'[' => b']',
        b'(' => b')',
        b'<' => b'>',
        _ => b'}',
    };
    let inner = text[..text.len().min(max)].get(1..)?;
    let first = memchr::memchr2(close, open, inner)? + 1;
    if text[first] == close {
        return Some(first);
    }
    let mut depth = 0_usize;
    for (at, byte) in text.iter().take(max).enumerate() {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// A level inside the first token: `local.ERROR:`, `util.py[DEBUG]:`, `Db(167)`, `level=error`. Gives its length too.
pub(super) fn inside(rest: &[u8], headed: bool) -> Option<(Level, usize)> {
    let len = len(rest);
    let text = &rest[..len];
    if let Some(equals) = memchr::memchr(b'=', text) {
        const KEYS: [&[u8]; 5] = [b"level", b"lvl", b"severity", b"loglevel", b"log.level"];
        let key = &text[..equals];
        if !KEYS.iter().any(|k| k.eq_ignore_ascii_case(key)) {
            return None;
        }
        let value = text[equals + 1..].trim_ascii_end();
        let value = value.strip_suffix(b",").unwrap_or(value);
        let value = value
            .strip_prefix(b"\"")
            .and_then(|v| v.strip_suffix(b"\""))
            .unwrap_or(value);
        return Some((level::from_value(value, level::Scale::Guess)?, len));
    }
    if !headed {
        return None;
    }
    // ESXi and vCenter: `In(166)`, two letters and the syslog priority; `[+]` marks a line that goes on.
    let unmarked = text.strip_suffix(b"[+]").unwrap_or(text);
    if let [a, b, b'(', digits @ .., b')'] = unmarked
        && (1..=3).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && matches!(&[*a, *b], b"Em" | b"Al" | b"Cr" | b"Er" | b"Wa" | b"No" | b"In" | b"Db")
    {
        let priority = digits.iter().fold(0_u16, |n, d| n * 10 + u16::from(d - b'0'));
        return Some((level::from_syslog((priority % 8) as u8), len));
    }
    if let Some(level) = last_field(text) {
        return Some((level, len));
    }
    let colon = memchr::memchr(b':', text)?;
    let named = &text[..colon];
    // cloud-init.
    if let Some(bracket) = named.strip_suffix(b"]").and_then(|n| memchr::memrchr(b'[', n)) {
        let word = &named[bracket + 1..named.len() - 1];
        return (Case::of(word) == Case::Upper)
            .then(|| level::from_word(word))
            .flatten()
            .map(|level| (level, colon + 1));
    }
    // monolog: channel and level.
    let dot = memchr::memrchr(b'.', named)?;
    let word = &named[dot + 1..];
    let ends = text.get(colon + 1).is_none();
    (ends && dot > 0 && Case::of(word) == Case::Upper)
        .then(|| level::from_word(word))
        .flatten()
        .map(|level| (level, colon + 1))
}

/// The level at the end of a token of fields: `10.0.0.1(5432):amy@shop:[123]:ERROR:`, as PostgreSQL writes on RDS.
pub(super) fn last_field(text: &[u8]) -> Option<Level> {
    let fields = text.strip_suffix(b":")?;
    let bracket = memchr::memmem::rfind(fields, b"]:")?;
    let word = &fields[bracket + 2..];
    (Case::of(word) == Case::Upper).then(|| level::from_word(word))?
}

/// Bytes of logcat's `Tag(123): `, `Tag  ( 123): `, `Tag: `; an indentation behind it belongs to the message.
pub(super) fn logcat_tag_len(text: &[u8]) -> Option<usize> {
    let is_name = |b: &u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'$' | b'/' | b'*' | b'#' | b'@' | b'[' | b']')
    };
    let mut at = text.iter().take(64).take_while(|b| is_name(b)).count();
    if at == 0 {
        return None;
    }
    at += blanks(&text[at..]);
    if text.get(at) == Some(&b'(') {
        at += 1;
        at += blanks(&text[at..]);
        let digits = text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        at += digits;
        if digits == 0 || text.get(at) != Some(&b')') {
            return None;
        }
        at += 1;
    }
    if text.get(at) != Some(&b':') {
        return None;
    }
    match text.get(at + 1) {
        None => Some(at + 1),
        Some(b' ') => Some(at + 2),
        Some(_) => None,
    }
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|b| **b == b' ').count()
}

/// WebSphere: the component is followed by a letter in a column of its own.
pub(super) fn letter_follows(text: &[u8]) -> bool {
    let at = blanks(text);
    matches!(text.get(at..at + 3), Some([b'A'..=b'Z', b' ', b' ']))
}

/// Where the message begins behind a stamp without level.
pub(super) fn after_stamp(line: &[u8], at: usize) -> usize {
    let mut at = at;
    if matches!(line.get(at), Some(b':' | b',' | b'|')) {
        at += 1;
    }
    at += line[at..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    at + apple_process_len(&line[at..]).unwrap_or(0)
}

/// NSLog's `MyApp[123:4567] `: process and thread.
fn apple_process_len(text: &[u8]) -> Option<usize> {
    let name = text
        .iter()
        .take(40)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        .count();
    let ids = text.get(name..)?.strip_prefix(b"[")?;
    let close = memchr::memchr(b']', &ids[..ids.len().min(24)])?;
    let colon = memchr::memchr(b':', &ids[..close])?;
    let hex = |id: &[u8]| !id.is_empty() && id.iter().all(u8::is_ascii_hexdigit);
    let named = name > 0 && hex(&ids[..colon]) && hex(&ids[colon + 1..close]);
    (named && ids.get(close + 1) == Some(&b' ')).then_some(name + 1 + close + 2)
}

/// Where the message begins behind a level: without thread, logger and separators.
pub(super) fn message_start(line: &[u8], level_end: usize) -> usize {
    let mut at = level_end;
    let end = line.len();
    while let Some(b']' | b')' | b'>' | b'|' | b',' | b';') = line.get(at) {
        at += 1;
    }
    let mut best = skip_signs(line, at);
    best += spring_pid_len(&line[best..]).unwrap_or(0);
    at = best;
    for _ in 0..6 {
        let rest = &line[at..end];
        let next = match rest.first() {
            Some(b'[') => match closing(rest, b'[', 96) {
                Some(close) => at + close + 1,
                None => break,
            },
            Some(b'0'..=b'9') if rest.contains(&b'#') => {
                // nginx: `29060#29060:`.
                let len = rest.iter().take_while(|b| b.is_ascii_digit() || **b == b'#').count();
                if rest.get(len) != Some(&b':') {
                    break;
                }
                at + len
            }
            Some(b) if b.is_ascii_alphanumeric() => match logger_len(rest) {
                Some(len) => {
                    best = skip_signs(line, at + len);
                    break;
                }
                None => break,
            },
            _ => break,
        };
        let next = skip_signs(line, next);
        if next >= end {
            break;
        }
        at = next;
        best = next;
    }
    best
}

/// Blanks and the separators ` - `, `: `, ` | `, ANSI colours; an indentation behind `: ` is kept.
fn skip_signs(line: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        match line.get(at) {
            Some(b' ') => at += 1,
            Some(b'\t') if at == from => at += 1,
            Some(b':') if at == from || line.get(at - 1) == Some(&b' ') || line.get(at - 1) == Some(&b']') => {
                at += 1;
                if line.get(at) == Some(&b' ') {
                    at += 1;
                }
                return at;
            }
            Some(b'-' | b'|') if matches!(line.get(at + 1), Some(b' ' | b'-')) || at + 1 == line.len() => at += 1,
            Some(0x1B) => match ansi_len(&line[at..]) {
                Some(len) => at += len,
                None => return at,
            },
            _ => return at,
        }
    }
}

/// What a byte is in a logger's name, as bits: part of it, a sign that sentences lack, a capital, a small letter.
const NAME: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'.' | b'_' | b'$' | b':' | b'/' => IN_NAME | SIGN,
            b'A'..=b'Z' => IN_NAME | CAPITAL,
            b'a'..=b'z' => IN_NAME | SMALL,
            b'0'..=b'9' | b'-' | b'@' | b'[' | b']' => IN_NAME,
            _ => 0,
        };
        byte += 1;
    }
    table
};
const IN_NAME: u8 = 1;
const SIGN: u8 = 2;
const CAPITAL: u8 = 4;
const SMALL: u8 = 8;

/// `2217 --- `: the process id of Spring Boot, before `[thread] logger : `.
fn spring_pid_len(rest: &[u8]) -> Option<usize> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest[digits..].starts_with(b" --- [").then_some(digits + " --- ".len())
}

/// `com.acme.Checkout - `, `c.a.Checkout   : `, `app::db: `: a name as loggers have them, and its separator.
fn logger_len(rest: &[u8]) -> Option<usize> {
    let (first, behind) = rest.split_first()?;
    let mut seen = NAME[usize::from(*first)] & SMALL;
    let mut len = 1;
    let mut last = 0;
    for byte in behind.iter().take(120) {
        let bits = NAME[usize::from(*byte)];
        if bits & IN_NAME == 0 {
            break;
        }
        // A colon at the end is no sign of a name.
        seen |= last;
        last = bits;
        len += 1;
    }
    let colon = rest[len - 1] == b':';
    if !colon {
        seen |= last;
    }
    let at = len + blanks(&rest[len..]);
    let dashed = at > len && rest[at..].starts_with(b"- ");
    let padded = at > len && rest[at..].starts_with(b": ");
    if !(dashed || padded || colon && at > len) {
        return None;
    }
    // `payment - refused` and `refused: why` are messages.
    let camel = seen & CAPITAL != 0 && seen & SMALL != 0;
    (seen & SIGN != 0 || dashed && camel).then_some(if dashed || padded { at } else { len - 1 })
}
