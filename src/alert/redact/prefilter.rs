//! One pass over a text that tells what may be in it: most texts hold nothing, and nothing else reads those.
//!
//! All words that the searches cannot do without stand in one automaton, by their first bytes, so that it is small and
//! soon built. Where one is found, and goes on as it should, its gate looks at the bytes around it: `ey` stands in every `key`, but ten letters and a dot follow it in tokens only. A gate may let through what
//! is no secret, never hold back what is one: a test compares it with a run of all patterns.

use super::keys;
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use core::ops::Range;
use std::sync::OnceLock;

/// Whether what stands around a needle is worth the run of its pattern: the text, where the needle stands in it (whatever
/// its case), and the needle as it is written.
pub type Gate = fn(&[u8], Range<usize>, &[u8]) -> bool;

/// So much of each word stands in the automaton; the rest is compared where it is found.
const WORD_BYTES: usize = 4;

/// Marks of key material, see [`super::key_material`].
const KEY_MARKS: [&str; 2] = ["-----BEGIN ", "Private-Lines:"];

#[derive(Debug, Clone)]
pub struct Prefilter {
    /// A quarter of a MiB, made for the first text: on most hosts hours pass without an alert.
    words: OnceLock<AhoCorasick>,
    /// Each word, and what it is for.
    searches: Vec<(&'static str, Search)>,
}

#[derive(Debug, Clone, Copy)]
enum Search {
    /// A pattern, by its number.
    Pattern(u32, Gate),
    Stem,
    KeyMark,
}

/// What may be in a text.
#[derive(Debug, Default)]
pub struct Clues {
    patterns: u64,
    /// Where keys of secret values may stand, in order, apart.
    pub stems: Vec<Range<usize>>,
    pub key_marks: bool,
}

impl Clues {
    /// The pattern may match.
    pub fn hint_at(&self, pattern: u32) -> bool {
        self.patterns & 1 << pattern != 0
    }
}

impl Prefilter {
    /// At most 64 patterns, each with its needles; `keyed`: keys of secret values and key material are looked for too.
    pub fn new(patterns: &[(&'static [&'static str], Gate)], keyed: bool) -> Self {
        assert!(patterns.len() <= 64, "built-in patterns are few");
        let mut searches = Vec::new();
        for (number, (needles, gate)) in (0..).zip(patterns) {
            searches.extend(needles.iter().map(|needle| (*needle, Search::Pattern(number, *gate))));
        }
        if keyed {
            let stems = keys::STEMS.iter().chain(&keys::FOREIGN);
            searches.extend(stems.map(|stem| (*stem, Search::Stem)));
            searches.extend(KEY_MARKS.map(|mark| (mark, Search::KeyMark)));
        }
        Self {
            words: OnceLock::new(),
            searches,
        }
    }

    fn words(&self) -> &AhoCorasick {
        let begin = |(word, _): &(&'static str, Search)| &word.as_bytes()[..word.len().min(WORD_BYTES)];
        self.words.get_or_init(|| {
            let words = AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .kind(Some(AhoCorasickKind::DFA))
                .build(self.searches.iter().map(begin));
            words.expect("some hundred words make an automaton")
        })
    }

    pub fn read(&self, text: &str) -> Clues {
        let bytes = text.as_bytes();
        let mut clues = Clues::default();
        for begin in self.words().find_overlapping_iter(text) {
            let (word, search) = self.searches[begin.pattern().as_usize()];
            let range = begin.start()..begin.start() + word.len();
            if !bytes
                .get(range.clone())
                .is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
            {
                continue;
            }
            match search {
                Search::Pattern(number, gate) => {
                    if !clues.hint_at(number) && gate(bytes, range, word.as_bytes()) {
                        clues.patterns |= 1 << number;
                    }
                }
                Search::Stem => clues.stems.push(range),
                Search::KeyMark => clues.key_marks = true,
            }
        }
        leave_the_longest(&mut clues.stems);
        clues
    }
}

/// Of stems that overlap the first, of those that begin together the longest.
fn leave_the_longest(stems: &mut Vec<Range<usize>>) {
    stems.sort_unstable_by_key(|stem| (stem.start, core::cmp::Reverse(stem.end)));
    let mut taken_to = 0;
    stems.retain(|stem| {
        let apart = stem.start >= taken_to;
        if apart {
            taken_to = stem.end;
        }
        apart
    });
}

pub mod gates {
    //! Necessary conditions that are cheap to look at.

    use core::ops::Range;

    pub fn open(_: &[u8], _: Range<usize>, _: &[u8]) -> bool {
        true
    }

    /// Written as it is, not within a word, with ten letters of a token behind it.
    pub fn prefix(text: &[u8], at: Range<usize>, needle: &[u8]) -> bool {
        let letter = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let of_token = |b: &u8| b.is_ascii_alphanumeric() || b"_.=+/~-".contains(b);
        text[at.clone()] == *needle
            && !text[..at.start].last().is_some_and(letter)
            && text[at.end..].iter().take(10).filter(|b| of_token(b)).count() == 10
    }

    /// The header of a JSON Web Token: a word of ten letters and more, and a dot.
    pub fn web_token(text: &[u8], at: Range<usize>, needle: &[u8]) -> bool {
        let of_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let starts = !text[..at.start]
            .last()
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        text[at.clone()] == *needle && starts && text[at.end..].iter().take(8).filter(|b| of_word(b)).count() == 8
    }

    /// `SK`, `-us` and hex digits.
    pub fn hex_beside(text: &[u8], at: Range<usize>, needle: &[u8]) -> bool {
        let hex = |b: &&u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        match needle {
            b"SK" => text[at.end..].iter().take(32).take_while(hex).count() == 32,
            b"-us" => text[..at.start].iter().rev().take(32).take_while(hex).count() == 32,
            _ => true,
        }
    }

    /// `@` before the next blank or quote, or neither for long.
    pub fn at_sign_follows(text: &[u8], at: Range<usize>, _: &[u8]) -> bool {
        let ahead = text[at.end..].iter().take(256);
        let ends = |b: &u8| matches!(b, b'@' | b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'');
        let end = ahead.clone().find(|b| ends(b));
        end.map_or(ahead.len() == 256, |end| *end == b'@')
    }

    pub fn digit_before(text: &[u8], at: Range<usize>, _: &[u8]) -> bool {
        let digit = |b: &u8| b.is_ascii_digit() || !b.is_ascii();
        text[..at.start].last().is_some_and(digit)
    }

    /// Blanks of any script: those beyond ASCII are left to the pattern.
    fn is_blank(byte: &u8) -> bool {
        byte.is_ascii_whitespace() || *byte == 0x0b || !byte.is_ascii()
    }

    pub fn blank_before(text: &[u8], at: Range<usize>, _: &[u8]) -> bool {
        text[..at.start].last().is_some_and(is_blank)
    }

    pub fn blank_follows(text: &[u8], at: Range<usize>, _: &[u8]) -> bool {
        text.get(at.end).is_some_and(is_blank)
    }

    pub fn quoted(text: &[u8], at: Range<usize>, _: &[u8]) -> bool {
        text.get(at.end) == Some(&b'"')
    }
}
