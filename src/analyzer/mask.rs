//! The stateless mask: numbers, hex, UUIDs, addresses, paths, quoted values and durations replaced by place holders.
//!
//! One pass of a byte machine, no table of the past: the same message has the same mask on every host. [`mask`] writes
//! it out, [`hash`] folds it without allocating. Looks at the first [`MASK_BYTES`] only. What it cannot know to vary
//! (user names and the like) is left to the templates of `alert`.

use std::ops::Range;

/// So much of a message is masked; what differs only behind it is the same.
pub const MASK_BYTES: usize = 1024;

/// The masked message.
pub fn mask(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len().min(MASK_BYTES));
    scan(text, |piece| match piece {
        Piece::Text(bytes) => out.extend_from_slice(bytes),
        Piece::Hole(name) => out.extend_from_slice(name.as_bytes()),
    });
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A hash of the masked message: for look-ups in this process, not for storing. Where the text between two holes is cut
/// enters it, so that the same mask may, rarely, have two.
pub fn hash(text: &[u8]) -> u64 {
    let mut state = 0u64;
    scan(text, |piece| match piece {
        Piece::Text(bytes) => state = fold_bytes(state, bytes),
        Piece::Hole(name) => {
            state = fold(
                state,
                name.as_bytes()
                    .iter()
                    .fold(0, |word, byte| word << 8 | u64::from(*byte)),
            )
        }
    });
    state
}

/// The same of the message as it stands.
pub fn hash_as_it_stands(text: &[u8]) -> u64 {
    fold_bytes(0, head(text))
}

/// The step of wyhash: both halves of a product. With its lower half alone (FxHash) digits at the end of a word reach few
/// bits: `took 1000 ms` and `took 1085 ms` as they stand were one.
fn fold(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
    (product >> 64) as u64 ^ product as u64
}

/// Eight bytes at a time; the last ones with their number.
fn fold_bytes(state: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let state = words
        .iter()
        .fold(state, |state, word| fold(state, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = rest.len() as u8;
    fold(state, u64::from_le_bytes(last))
}

enum Piece<'a> {
    Text(&'a [u8]),
    Hole(&'static str),
}

/// What a byte is to a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Break,
    Letter,
    Digit,
    /// Joins parts of a token where a letter or digit follows: `. - : / @ + % \ # $ _`.
    Joiner,
    Quote,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Break; 256];
    let mut byte = 0usize;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'z' | b'A'..=b'Z' | 0x80..=0xFF => Class::Letter,
            b'.' | b'-' | b':' | b'/' | b'@' | b'+' | b'%' | b'\\' | b'#' | b'$' | b'_' | b'~' => Class::Joiner,
            b'"' | b'\'' | b'`' => Class::Quote,
            _ => Class::Break,
        };
        byte += 1;
    }
    classes
};

/// Bytes at which something may have to be masked.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut byte = 0usize;
    while byte < 256 {
        stops[byte] = matches!(CLASSES[byte], Class::Digit | Class::Joiner | Class::Quote);
        byte += 1;
    }
    stops
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

fn scan(text: &[u8], mut emit: impl FnMut(Piece<'_>)) {
    let text = head(text);
    // Literal text that is not handed on yet begins here.
    let mut literal = 0;
    let mut at = 0;
    // Most bytes are letters of words in which nothing varies: they are passed in a loop of one look-up each.
    while let Some(stop) = text[at..].iter().position(|byte| STOPS[usize::from(*byte)]) {
        let stop = at + stop;
        if class(text[stop]) == Class::Quote {
            at = match closing_quote(text, stop) {
                Some(end) => {
                    emit(Piece::Text(&text[literal..stop]));
                    emit(Piece::Hole("<str>"));
                    literal = end + 1;
                    end + 1
                }
                None => stop + 1,
            };
            continue;
        }
        // The token that the digit or joiner belongs to begins behind the last break.
        let letters = text[at..stop]
            .iter()
            .rev()
            .take_while(|byte| class(**byte) == Class::Letter);
        let start = stop - letters.count();
        let token = token_end(text, start);
        at = token.end;
        if token.varies {
            emit(Piece::Text(&text[literal..start]));
            literal = mask_token(text, start..token.end, &mut emit);
            at = literal;
        }
    }
    emit(Piece::Text(&text[literal..]));
}

/// The first bytes, up to the border of a character.
fn head(text: &[u8]) -> &[u8] {
    if text.len() <= MASK_BYTES {
        return text;
    }
    let mut end = MASK_BYTES;
    while end > 0 && text[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

/// Where a quoted value ends; none where the quote is an apostrophe, or nothing closes it.
fn closing_quote(text: &[u8], at: usize) -> Option<usize> {
    let quote = text[at];
    if quote == b'\'' && at > 0 && class(text[at - 1]) == Class::Letter {
        return None;
    }
    // Ruby and GNU open with a backquote and close with a quote.
    let closes = |byte: u8| byte == quote || (quote == b'`' && byte == b'\'');
    let mut end = at + 1;
    while end < text.len() {
        if text[end] == b'\\' {
            end += 2;
            continue;
        }
        let inside_word = text[end] == b'\'' && text.get(end + 1).is_some_and(|next| class(*next) == Class::Letter);
        if closes(text[end]) && !inside_word {
            return Some(end);
        }
        end += 1;
    }
    None
}

struct Token {
    end: usize,
    /// It holds something that may have to be masked.
    varies: bool,
}

fn token_end(text: &[u8], start: usize) -> Token {
    let mut end = start;
    let mut varies = false;
    let mut slashes = 0;
    while end < text.len() {
        match class(text[end]) {
            Class::Letter => {}
            Class::Digit => varies = true,
            Class::Joiner => {
                match text[end] {
                    b'@' => varies = true,
                    b'/' | b'\\' => slashes += 1,
                    _ => {}
                }
                let opens_path = end == start && matches!(text[end], b'/' | b'~' | b'.');
                let next = text.get(end + 1).map_or(Class::Break, |next| class(*next));
                if matches!(next, Class::Break | Class::Quote) && !(opens_path && slashes > 1) {
                    break;
                }
            }
            Class::Break | Class::Quote => break,
        }
        end += 1;
    }
    let path = slashes > 1 || (slashes == 1 && text[start] == b'/' && end > start + 1);
    Token {
        end: end.max(start + 1),
        varies: varies || path,
    }
}

/// Masks the token at `range`; returns where literal text goes on.
fn mask_token(text: &[u8], range: Range<usize>, emit: &mut impl FnMut(Piece<'_>)) -> usize {
    let token = &text[range.clone()];
    if let Some(scheme) = find(token, b"://") {
        emit(Piece::Hole("<url>"));
        let mut end = range.start + scheme + 3;
        while end < text.len()
            && !matches!(
                text[end],
                b' ' | b'\t' | b'"' | b'\'' | b'<' | b'>' | b')' | b']' | b'}' | b'|'
            )
        {
            end += 1;
        }
        // A sentence's own comma or stop is no part of it.
        while end > range.end && matches!(text[end - 1], b',' | b';' | b'.' | b':') {
            end -= 1;
        }
        return end;
    }
    if let Some(name) = whole(token) {
        emit(Piece::Hole(name));
        return range.end;
    }
    if let Some(colon) = port(token)
        && let Some(name) = whole(&token[..colon])
    {
        emit(Piece::Hole(name));
        emit(Piece::Text(b":"));
        return mask_parts(text, range.start + colon + 1..range.end, emit);
    }
    mask_parts(text, range, emit)
}

/// What a whole token is, if it is one thing.
fn whole(token: &[u8]) -> Option<&'static str> {
    if token.is_empty() {
        return None;
    }
    if is_uuid(token) {
        return Some("<uuid>");
    }
    if is_mac(token) {
        return Some("<mac>");
    }
    if is_time(token) {
        return Some("<time>");
    }
    if is_ip(token) {
        return Some("<ip>");
    }
    if is_email(token) {
        return Some("<email>");
    }
    if is_path(token) {
        return Some("<path>");
    }
    if is_duration(token) {
        return Some("<dur>");
    }
    if is_hex(token) {
        return Some("<hex>");
    }
    is_id(token).then_some("<id>")
}

/// Masks the numbers, hex runs and ids between the joiners of a token.
fn mask_parts(text: &[u8], range: Range<usize>, emit: &mut impl FnMut(Piece<'_>)) -> usize {
    let mut at = range.start;
    let mut literal = at;
    while at < range.end {
        if class(text[at]) == Class::Joiner {
            at += 1;
            continue;
        }
        let mut end = at;
        while end < range.end && class(text[end]) != Class::Joiner {
            end += 1;
        }
        let part = &text[at..end];
        if is_hex(part) || is_id(part) {
            emit(Piece::Text(&text[literal..at]));
            emit(Piece::Hole(if is_hex(part) { "<hex>" } else { "<id>" }));
            literal = end;
            at = end;
            continue;
        }
        while at < end {
            if class(text[at]) != Class::Digit {
                at += 1;
                continue;
            }
            let sign =
                at > literal && text[at - 1] == b'-' && (at - 1 == range.start || class(text[at - 2]) == Class::Joiner);
            emit(Piece::Text(&text[literal..at - usize::from(sign)]));
            emit(Piece::Hole("<num>"));
            at = number_end(text, at, range.end);
            literal = at;
        }
        at = at.max(end);
    }
    emit(Piece::Text(&text[literal..range.end]));
    range.end
}

/// Behind a number with its decimals: `1.5`, `1.2.3`.
fn number_end(text: &[u8], at: usize, limit: usize) -> usize {
    let mut end = at;
    while end < limit {
        let digit_follows = text.get(end + 1).is_some_and(u8::is_ascii_digit);
        match text[end] {
            b'0'..=b'9' => end += 1,
            b'.' if digit_follows => end += 1,
            _ => break,
        }
    }
    end
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The colon before a port, or before a line number.
fn port(token: &[u8]) -> Option<usize> {
    let colon = token.iter().rposition(|byte| *byte == b':')?;
    let digits = &token[colon + 1..];
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(colon)
}

fn is_uuid(token: &[u8]) -> bool {
    token.len() == 36
        && token.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_mac(token: &[u8]) -> bool {
    token.len() == 17
        && token.iter().enumerate().all(|(at, byte)| match at % 3 {
            2 => matches!(byte, b':' | b'-'),
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Dates and clock times: digits between `- : . / T Z +`, with two dashes or slashes or a colon between digits.
fn is_time(token: &[u8]) -> bool {
    let shaped = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'/' | b'T' | b'Z' | b'+');
    if token.len() < 5 || !token[0].is_ascii_digit() || !token.iter().all(shaped) {
        return false;
    }
    let (mut colons, mut dashes, mut run, mut longest) = (0, 0, 0, 0);
    for byte in token {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        longest = longest.max(run);
        colons += u32::from(*byte == b':');
        dashes += u32::from(matches!(byte, b'-' | b'/'));
    }
    let two_first = token.get(2) == Some(&b':') && token.get(5).is_none_or(|byte| !byte.is_ascii_digit());
    longest <= 9 && ((dashes == 2 && longest >= 2) || (colons >= 1 && dashes >= 2) || (colons >= 1 && two_first))
}

fn is_ip(token: &[u8]) -> bool {
    let address = match token.iter().position(|byte| matches!(byte, b'/' | b'%')) {
        Some(0) => return false,
        Some(end) => &token[..end],
        None => token,
    };
    let shaped = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    if !(3..=45).contains(&address.len()) || !address.iter().all(shaped) {
        return false;
    }
    std::str::from_utf8(address).is_ok_and(|text| {
        let v4 = text.parse::<core::net::Ipv4Addr>().is_ok();
        v4 || (text.contains(':') && text.parse::<core::net::Ipv6Addr>().is_ok())
    })
}

fn is_email(token: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', token) else {
        return false;
    };
    let host = &token[at + 1..];
    at > 0 && memchr::memchr(b'.', host).is_some() && !token.iter().any(|byte| matches!(byte, b'/' | b':' | b'#'))
}

fn is_path(token: &[u8]) -> bool {
    let slashes = token.iter().filter(|byte| matches!(byte, b'/' | b'\\')).count();
    let rooted = matches!(token, [b'/', next, ..] if *next != b'/');
    (rooted && !token.contains(&b':'))
        || (slashes > 1
            && (token.get(1) != Some(&b':') || token.get(2) == Some(&b'\\'))
            && !token[2.min(token.len())..].contains(&b':'))
}

const UNITS: [&[u8]; 13] = [
    b"ns",
    b"us",
    "µs".as_bytes(),
    "μs".as_bytes(),
    b"ms",
    b"s",
    b"sec",
    b"secs",
    b"m",
    b"min",
    b"mins",
    b"h",
    b"d",
];

/// Numbers, each with its unit of time: `30s`, `1.5h`, `47s730ms`.
fn is_duration(token: &[u8]) -> bool {
    let mut rest = token;
    while rest.first().is_some_and(u8::is_ascii_digit) {
        let unit = &rest[number_end(rest, 0, rest.len())..];
        let unit_end = unit.iter().position(u8::is_ascii_digit).unwrap_or(unit.len());
        if !UNITS.contains(&&unit[..unit_end]) {
            return false;
        }
        rest = &unit[unit_end..];
        if rest.is_empty() {
            return true;
        }
    }
    false
}

fn is_hex(token: &[u8]) -> bool {
    if let Some(digits) = token.strip_prefix(b"0x").or_else(|| token.strip_prefix(b"0X")) {
        return !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    }
    token.len() >= 8
        && token.iter().all(u8::is_ascii_hexdigit)
        && token.iter().any(u8::is_ascii_digit)
        && !token.iter().all(u8::is_ascii_digit)
}

/// Letters and digits that change places three times: nobody's word.
fn is_id(token: &[u8]) -> bool {
    if token.len() < 8 || !token.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let turns = token
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    turns >= 3
}

#[cfg(test)]
mod tests;
