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
        return fold(state, short_word(bytes) ^ length << 56);
    };
    let (words, _) = bytes.as_chunks::<8>();
    let state = words
        .iter()
        .fold(state, |state, word| fold(state, u64::from_le_bytes(*word)));
    fold(fold(state, u64::from_le_bytes(*last)), length)
}

/// Up to seven bytes as a number, without a loop: two halves that may overlap.
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 24;
    }
    match *bytes {
        [] => 0,
        [one] => u64::from(one),
        [first, .., last] => u64::from(first) | u64::from(bytes[1]) << 8 | u64::from(last) << 16,
    }
}

enum Piece<'a> {
    Text(&'a [u8]),
    Hole(&'static str),
}

fn scan(text: &[u8], mut emit: impl FnMut(Piece<'_>)) {
    let text = head(text);
    // Literal text that is not handed on yet begins here.
    let mut literal = 0;
    let mut at = 0;
    // Most bytes are those of words in which nothing varies: they are passed in a loop of one look-up each.
    while let Some(stop) = text[at..].iter().position(|byte| Kinds::of(*byte).any(STOPS)) {
        let stop = at + stop;
        if Kinds::of(text[stop]).any(Kinds::QUOTE) {
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
        let (token, kinds) = token_around(text, literal, stop);
        if !varies(text, token.clone(), kinds) {
            at = token.end.max(stop + 1);
            continue;
        }
        emit(Piece::Text(&text[literal..token.start]));
        literal = mask_token(text, token, kinds, &mut emit);
        at = literal;
    }
    emit(Piece::Text(&text[literal..]));
}

/// Without these nothing of a token varies.
const VARYING: Kinds = Kinds::DIGIT.and(Kinds::AT).and(Kinds::SLASH).and(Kinds::BACKSLASH);

/// Where something may have to be masked.
const STOPS: Kinds = VARYING.and(Kinds::QUOTE);

/// The token of which `stop` is the first byte that varies, no farther back than `floor`: letters, digits, and joiners in
/// front of one of them.
fn token_around(text: &[u8], floor: usize, stop: usize) -> (Range<usize>, Kinds) {
    let mut kinds = Kinds::default();
    let mut start = stop;
    while start > floor && !Kinds::of(text[start - 1]).any(BETWEEN_TOKENS) {
        start -= 1;
        kinds = kinds.and(Kinds::of(text[start]));
    }
    let mut end = stop;
    while let Some(byte) = text.get(end) {
        let kind = Kinds::of(*byte);
        if kind.any(BETWEEN_TOKENS) {
            break;
        }
        if kind.any(Kinds::JOINER) {
            let next = text.get(end + 1).map_or(Kinds::BREAK, |next| Kinds::of(*next));
            if next.any(BETWEEN_TOKENS) {
                break;
            }
        }
        kinds = kinds.and(kind);
        end += 1;
    }
    (start..end, kinds)
}

const BETWEEN_TOKENS: Kinds = Kinds::BREAK.and(Kinds::QUOTE);

/// Whether a token has to be looked at: for a number, an address, a path. The joiner behind it counts too.
fn varies(text: &[u8], range: Range<usize>, kinds: Kinds) -> bool {
    if kinds.any(Kinds::DIGIT.and(Kinds::AT)) {
        return true;
    }
    if range.is_empty() {
        return false;
    }
    let with_joiner = &text[range.start..text.len().min(range.end + 1)];
    let is_slash = |byte: &&u8| matches!(byte, b'/' | b'\\');
    let slashes = with_joiner.iter().filter(is_slash).count();
    let rooted = text[range.start] == b'/' && range.len() > 1;
    slashes > 1 || (slashes == 1 && rooted) || with_joiner.last() == Some(&b'@')
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
    if quote == b'\'' && at > 0 && Kinds::of(text[at - 1]).any(Kinds::LETTERS) {
        return None;
    }
    // Ruby and GNU open with a backquote and close with a quote.
    let other = if quote == b'`' { b'\'' } else { quote };
    let mut from = at + 1;
    while let Some(end) = memchr::memchr3(quote, other, b'\\', text.get(from..)?) {
        let end = from + end;
        let inside_word = text[end] == b'\''
            && text
                .get(end + 1)
                .is_some_and(|next| Kinds::of(*next).any(Kinds::LETTERS));
        if text[end] != b'\\' && !inside_word {
            return Some(end);
        }
        from = end + 1 + usize::from(text[end] == b'\\');
    }
    None
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
    let mut literal = range.start;
    let mut at = range.start;
    while at < range.end {
        let start = at;
        let mut kinds = Kinds::default();
        while at < range.end && !Kinds::of(text[at]).any(Kinds::JOINER) {
            kinds = kinds.and(Kinds::of(text[at]));
            at += 1;
        }
        if kinds.any(Kinds::DIGIT) {
            let part = start..at;
            if let Some(name) = whole_part(&text[part.clone()], kinds) {
                emit(Piece::Text(&text[literal..start]));
                emit(Piece::Hole(name));
                literal = at;
            } else {
                literal = mask_numbers(text, part, &range, literal, emit);
                at = at.max(literal);
            }
        } else {
            at += 1;
        }
    }
    emit(Piece::Text(&text[literal..range.end]));
    range.end
}

/// Masks the numbers of one part of the token at `range`, each with its sign and its decimals, which may stand in the
/// next part. `literal`: where text begins that is not handed on yet; returns where it does from here on.
fn mask_numbers(
    text: &[u8],
    part: Range<usize>,
    range: &Range<usize>,
    mut literal: usize,
    emit: &mut impl FnMut(Piece<'_>),
) -> usize {
    let mut at = part.start;
    while at < part.end {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let sign = at > literal
            && text[at - 1] == b'-'
            && (at - 1 == range.start || Kinds::of(text[at - 2]).any(Kinds::JOINER));
        emit(Piece::Text(&text[literal..at - usize::from(sign)]));
        emit(Piece::Hole("<num>"));
        at = number_end(text, at, range.end);
        literal = at;
    }
    literal
}

#[cfg(test)]
mod tests;
