//! The stateless mask: numbers, hex, UUIDs, addresses, paths, quoted values and durations replaced by place holders.
//!
//! One pass of a byte machine, no table of the past: the same message has the same mask on every host. [`mask`] writes
//! it out, [`hash`] folds it without allocating. Looks at the first [`MASK_BYTES`] only. What it cannot know to vary
//! (user names and the like) is left to the templates of `alert`.

mod token;

use std::ops::Range;
use token::{Kinds, find, kinds, number_end, port, whole, whole_part};

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
        Piece::Text([]) => {}
        Piece::Text(bytes) => state = fold_bytes(state, bytes),
        Piece::Hole(name) => state = fold(state, name_as_word(name)),
    });
    finish(state)
}

/// `<num>` as a number.
fn name_as_word(name: &str) -> u64 {
    name.bytes().fold(0, |word, byte| word << 8 | u64::from(byte))
}

/// The best bits of a product are its highest, and maps look at the lowest.
fn finish(state: u64) -> u64 {
    state ^ state >> 32
}

/// The same of the message as it stands.
pub fn hash_as_it_stands(text: &[u8]) -> u64 {
    finish(fold_bytes(0, head(text)))
}

/// The step of wyhash: both halves of a product. With its lower half alone (FxHash) digits at the end of a word reach few
/// bits: `took 1000 ms` and `took 1085 ms` as they stand were one.
fn fold(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
    (product >> 64) as u64 ^ product as u64
}

/// Eight bytes at a time, the last eight (some of them twice) with the length: no bytes are moved for it, which cost as
/// much as all else for texts of a few bytes.
fn fold_bytes(state: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64;
    let Some(last) = bytes.last_chunk::<8>() else {
        let word = bytes.iter().fold(length, |word, byte| word << 8 | u64::from(*byte));
        return fold(state, word);
    };
    let (words, _) = bytes.as_chunks::<8>();
    let state = words
        .iter()
        .fold(state, |state, word| fold(state, u64::from_le_bytes(*word)));
    fold(fold(state, u64::from_le_bytes(*last)), length)
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
            literal = mask_token(text, start..token.end, token.kinds, &mut emit);
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
    let other = if quote == b'`' { b'\'' } else { quote };
    let mut from = at + 1;
    while let Some(end) = memchr::memchr3(quote, other, b'\\', text.get(from..)?) {
        let end = from + end;
        let inside_word = text[end] == b'\'' && text.get(end + 1).is_some_and(|next| class(*next) == Class::Letter);
        if text[end] != b'\\' && !inside_word {
            return Some(end);
        }
        from = end + 1 + usize::from(text[end] == b'\\');
    }
    None
}

struct Token {
    end: usize,
    kinds: Kinds,
    /// It holds something that may have to be masked.
    varies: bool,
}

fn token_end(text: &[u8], start: usize) -> Token {
    let mut end = start;
    let mut kinds = Kinds::default();
    let (mut slashes, mut at_sign) = (0, false);
    while end < text.len() {
        match class(text[end]) {
            Class::Letter | Class::Digit => {}
            Class::Joiner => {
                slashes += u32::from(matches!(text[end], b'/' | b'\\'));
                at_sign |= text[end] == b'@';
                let opens_path = end == start && matches!(text[end], b'/' | b'~' | b'.');
                let next = text.get(end + 1).map_or(Class::Break, |next| class(*next));
                if matches!(next, Class::Break | Class::Quote) && !(opens_path && slashes > 1) {
                    break;
                }
            }
            Class::Break | Class::Quote => break,
        }
        kinds = kinds.and(Kinds::of(text[end]));
        end += 1;
    }
    let path = slashes > 1 || (slashes == 1 && text[start] == b'/' && end > start + 1);
    Token {
        end: end.max(start + 1),
        kinds,
        varies: path || at_sign || kinds.any(Kinds::DIGIT),
    }
}

/// Masks the token at `range`; returns where literal text goes on.
fn mask_token(text: &[u8], range: Range<usize>, seen: Kinds, emit: &mut impl FnMut(Piece<'_>)) -> usize {
    let token = &text[range.clone()];
    if seen == Kinds::DIGIT {
        emit(Piece::Hole("<num>"));
        return range.end;
    }
    if seen.any(Kinds::COLON)
        && let Some(scheme) = find(token, b"://")
    {
        emit(Piece::Hole("<url>"));
        return url_end(text, range.start + scheme + 3, range.end);
    }
    if let Some(name) = whole(token, seen) {
        emit(Piece::Hole(name));
        return range.end;
    }
    if seen.any(Kinds::COLON)
        && let Some(colon) = port(token)
        && let Some(name) = whole(&token[..colon], kinds(&token[..colon]))
    {
        emit(Piece::Hole(name));
        emit(Piece::Text(b":"));
        return mask_parts(text, range.start + colon + 1..range.end, emit);
    }
    mask_parts(text, range, emit)
}

/// Where an address ends whose scheme ends at `from`, and which is a token up to `token_end`.
fn url_end(text: &[u8], from: usize, token_end: usize) -> usize {
    let within = |byte: &&u8| {
        !matches!(
            byte,
            b' ' | b'\t' | b'"' | b'\'' | b'<' | b'>' | b')' | b']' | b'}' | b'|'
        )
    };
    let mut end = from + text[from..].iter().take_while(within).count();
    // A sentence's own comma or stop is no part of it.
    while end > token_end && matches!(text[end - 1], b',' | b';' | b'.' | b':') {
        end -= 1;
    }
    end
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
        if let Some(name) = whole_part(part, kinds(part)) {
            emit(Piece::Text(&text[literal..at]));
            emit(Piece::Hole(name));
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

#[cfg(test)]
mod tests;
