//! Where a word or a letter is a level: what stands before and behind it, and how it is written.

use super::{Before, Walk, token};
use crate::record::level::{self, Case, Level};

impl Walk<'_> {
    /// Whether a level word is one here. `after` begins with `next`.
    pub(super) fn accepts(&self, word: &[u8], next: Option<u8>, after: &[u8]) -> bool {
        let strong = match next {
            Some(b':') => after.get(1) != Some(&b':') && after.get(1).is_none_or(|b| !b.is_ascii_digit()),
            Some(b']' | b'|' | b'>' | b')' | b'\t' | b';' | 0x1B | 0xEF) => true,
            Some(b'[') => after.get(1).is_some_and(u8::is_ascii_digit),
            // `WARN574240[Thread-35] - `.
            Some(b'0'..=b'9') => {
                let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
                digits >= 3 && after.get(digits) == Some(&b'[')
            }
            _ => false,
        };
        let blank = matches!(next, None | Some(b' '));
        if !strong && !blank && next != Some(b',') {
            return false;
        }
        let padded = after.starts_with(b"  ");
        let headed = self.stamp.is_some();
        match Case::of(word) {
            Case::Upper => match self.before {
                Before::Start => {
                    strong
                        || (blank && !self.indented && level::is_plain_level_word(word))
                        || (blank && self.gap == 1 && level::is_plain_level_word(word))
                }
                Before::Stamp | Before::Separator | Before::Opaque => {
                    headed || strong || level::is_plain_level_word(word)
                }
                Before::Colon => strong || padded || (headed && level::is_plain_level_word(word)),
                Before::Word => headed || strong,
            },
            Case::Lower | Case::Title => match self.before {
                Before::Start => next == Some(b':') && matches!(after.get(1), None | Some(b' ')) || next == Some(b'\t'),
                Before::Stamp => strong || level::is_plain_level_word(word),
                Before::Separator if headed => {
                    strong
                        || level::is_plain_level_word(word)
                            && (padded || token::separator_follows(after) || self.tokens <= 2)
                }
                Before::Opaque | Before::Separator => strong || (headed && padded && level::is_plain_level_word(word)),
                Before::Colon => strong,
                // `spid51      Error: 18456, …`: a column of its own.
                Before::Word => strong && headed && (next != Some(b':') || self.gap >= 2),
            },
            Case::Mixed => false,
        }
    }

    /// One letter behind a stamp: logcat, MongoDB, etcd, WebSphere, SAP HANA.
    pub(super) fn letter(&self, letter: u8, rest: &[u8]) -> Option<Level> {
        let after = &rest[1..];
        if letter.is_ascii_lowercase() {
            let named = matches!(after, [b' ', b'A'..=b'Z' | b'a'..=b'z', ..]);
            let padded = named
                && after
                    .iter()
                    .skip(1)
                    .skip_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
                    .take(2)
                    .eq(b"  ");
            return (padded && b"iwefd".contains(&letter)).then(|| level::from_letter(letter.to_ascii_uppercase()))?;
        }
        if after.first() == Some(&b'/') {
            return token::logcat_tag_len(&after[1..])
                .is_some()
                .then(|| level::from_letter(letter))?;
        }
        let blank = matches!(after.first(), None | Some(b' ' | b'\t'));
        let signed = after.starts_with(b" | ") || after.starts_with(b"  ");
        let capitals = matches!(after, [b' ', b'A'..=b'Z' | b'-', b'A'..=b'Z' | b' ', ..]);
        // `D t0 pollable.cc:47 message`.
        let named =
            || self.before == Before::Stamp && token::kind(&after[1..][..token::len(&after[1..])]) == token::Kind::Id;
        let fits = blank && (self.numbers >= 1 || signed || capitals || (after.len() > 1 && named()));
        if fits { level::from_letter(letter) } else { None }
    }
}
