//! Private keys over several lines: PEM (RFC 7468), OpenSSH, PGP, PuTTY; whole, escaped into one line, or cut at either
//! end, as the lines around a record cut them. Certificates and public keys are no secrets and stay.

use core::ops::Range;

const BEGIN: &str = "-----BEGIN ";
/// RFC 7468 breaks lines at 64 characters, OpenSSH at 70, PGP and older tools at 76.
const LINE_BYTES: core::ops::RangeInclusive<usize> = 60..=76;
/// More of these than chance puts into so many letters of base64 are a path.
const SLASHES_MAX: usize = 8;

/// Adds where key material stands, in order. `marked`: a mark of it (where a key begins) stands somewhere.
pub fn find(text: &str, marked: bool, found: &mut Vec<Range<usize>>) {
    if !marked {
        return lines(text, 0..text.len(), found);
    }
    let mut at = 0;
    let mut public_to = 0;
    while let Some(begin) = text[at..].find(BEGIN).map(|begin| at + begin + BEGIN.len()) {
        let label_end = text[begin..].find("-----").map_or(text.len(), |length| begin + length);
        let label = &text[begin..label_end];
        at = (label_end + 5).min(text.len());
        let end = text[at..].find("-----END").map_or(text.len(), |length| at + length);
        if label.contains("PRIVATE KEY") || label.contains("PGP MESSAGE") || label.contains("SECRET") {
            lines(text, public_to..begin, found);
            public_to = end;
            if end > at {
                found.push(at..end);
            }
        } else if label.len() < 64 {
            lines(text, public_to..begin, found);
            public_to = end;
        }
        at = end.max(at);
    }
    lines(text, public_to..text.len(), found);
    if let Some(begin) = text.find("Private-Lines:") {
        let end = text[begin..]
            .find("Private-MAC:")
            .map_or(text.len(), |length| begin + length);
        found.push(begin + "Private-Lines:".len()..end);
    }
}

/// Lines that end with a run of base64 of a key's length: the middle of a key whose begin was cut off. What ends as a
/// certificate is none.
fn lines(text: &str, within: Range<usize>, found: &mut Vec<Range<usize>>) {
    if within.len() < *LINE_BYTES.start() {
        return;
    }
    let part = &text[within.clone()];
    // Looked for when there is a line that may be of a key: there is none as a rule.
    let mut public: Option<Option<usize>> = None;
    let mut at = within.start;
    let mut last: Option<Range<usize>> = None;
    for line in part.split_inclusive('\n') {
        let body = line.trim_end();
        let start = word_start(body);
        let word = &body[start..];
        let range = at + start..at + body.len();
        // The rest of the last line belongs to the ones before it.
        let follows = |last: &Range<usize>| text[last.end..range.start].trim().is_empty();
        let is_tail = || word.len() >= 4 && is_base64(word) && last.as_ref().is_some_and(follows);
        if is_key_line(word) || is_tail() {
            let public = *public.get_or_insert_with(|| public_end(part));
            if public.is_none_or(|end| at > within.start + end) {
                found.push(range.clone());
                last = Some(range);
            }
        }
        at += line.len();
    }
}

/// Where the last word of a line begins.
fn word_start(line: &str) -> usize {
    let gap = |b: &u8| matches!(b, b' ' | b'\t' | b'|' | b'>');
    line.bytes().rposition(|b| gap(&b)).map_or(0, |gap| gap + 1)
}

/// Up to where all is public.
fn public_end(part: &str) -> Option<usize> {
    part.find("-----END CERTIFICATE")
        .or_else(|| part.find("-----END PUBLIC"))
}

fn is_key_line(word: &str) -> bool {
    let any = |test: fn(&u8) -> bool| word.bytes().any(|b| test(&b));
    LINE_BYTES.contains(&word.len())
        && is_base64(word)
        && any(u8::is_ascii_uppercase)
        && any(u8::is_ascii_lowercase)
        && any(u8::is_ascii_digit)
        && word.bytes().filter(|b| matches!(b, b'/' | b'+')).count() <= SLASHES_MAX
}

fn is_base64(word: &str) -> bool {
    let word = word.trim_end_matches('=');
    word.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+'))
}
