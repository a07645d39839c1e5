//! WordPiece: words to the numbers of their pieces in the model's vocabulary, the longest piece first.
//!
//! As in BERT (Wu et al. 2016, arXiv:1609.08144): a piece that continues a word is written `##piece`; a word that the
//! vocabulary cannot spell is `[UNK]` as a whole. The vocabulary comes with the model, pinned.

use super::ModelError;
use std::collections::HashMap;

/// Longer words are not spelt: `[UNK]`.
const WORD_BYTES_MAX: usize = 100;

/// The pieces by their text.
#[derive(Debug)]
pub struct Vocabulary {
    begins: HashMap<Box<str>, u32>,
    /// Without the `##`.
    continues: HashMap<Box<str>, u32>,
    unknown: u32,
    begin_of_text: u32,
    end_of_text: u32,
}

impl Vocabulary {
    /// `pieces`: one a line; the number of a piece is its line, from 0.
    ///
    /// # Errors
    /// A piece that stands twice, and special pieces that are missing.
    pub fn new(pieces: &str) -> Result<Self, ModelError> {
        let (mut begins, mut continues) = (HashMap::new(), HashMap::new());
        for (number, piece) in (0u32..).zip(pieces.split('\n')) {
            let (table, text) = match piece.strip_prefix("##") {
                Some(text) if !text.is_empty() => (&mut continues, text),
                Some(_) | None => (&mut begins, piece),
            };
            if table.insert(text.into(), number).is_some() {
                return Err(ModelError::new(format!("vocabulary: {piece:?} stands there twice")));
            }
        }
        let special = |name: &str| {
            let number = begins.get(name).copied();
            number.ok_or_else(|| ModelError::new(format!("vocabulary: no {name}")))
        };
        Ok(Self {
            unknown: special("[UNK]")?,
            begin_of_text: special("[CLS]")?,
            end_of_text: special("[SEP]")?,
            begins,
            continues,
        })
    }

    pub fn len(&self) -> usize {
        self.begins.len() + self.continues.len()
    }

    /// The pieces of `text` between `[CLS]` and `[SEP]`, at most `limit` numbers in all.
    pub fn encode(&self, text: &str, limit: usize, out: &mut Vec<u32>) {
        out.clear();
        out.push(self.begin_of_text);
        super::normalise::words(text, |word| {
            if out.len() < limit {
                self.spell(word, out);
            }
        });
        out.truncate(limit.saturating_sub(1));
        out.push(self.end_of_text);
    }

    fn spell(&self, word: &str, out: &mut Vec<u32>) {
        let before = out.len();
        if word.len() > WORD_BYTES_MAX {
            out.push(self.unknown);
            return;
        }
        let mut rest = word;
        while !rest.is_empty() {
            let table = if rest.len() == word.len() {
                &self.begins
            } else {
                &self.continues
            };
            let ends = (1..=rest.len()).rev().filter(|end| rest.is_char_boundary(*end));
            let Some((end, number)) = ends.into_iter().find_map(|end| Some((end, *table.get(&rest[..end])?))) else {
                out.truncate(before);
                out.push(self.unknown);
                return;
            };
            out.push(number);
            rest = &rest[end..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n<num>\ncore\ngen\n##er\n##ating\n##e";

    fn encoded(text: &str, limit: usize) -> Vec<u32> {
        let mut out = vec![99];
        Vocabulary::new(PIECES).expect("valid").encode(text, limit, &mut out);
        out
    }

    #[test]
    fn the_longest_piece_comes_first_and_what_cannot_be_spelt_is_unknown() {
        assert_eq!(encoded("generating core.2112", 9), [2, 7, 8, 9, 6, 5, 3]);
        assert_eq!(encoded("generic core", 9), [2, 1, 6, 3]);
        assert_eq!(encoded("", 9), [2, 3]);
        assert_eq!(encoded(&"e".repeat(101), 9), [2, 1, 3]);
    }

    #[test]
    fn a_long_text_keeps_its_end_mark() {
        assert_eq!(encoded("generating core.2112", 5), [2, 7, 8, 9, 3]);
    }

    #[test]
    fn a_vocabulary_that_cannot_be_used_is_an_error() {
        for (pieces, want) in [
            ("[UNK]\n[CLS]\n[SEP]\na\na", "\"a\" stands there twice"),
            ("[UNK]\n[CLS]\na", "no [SEP]"),
        ] {
            let error = Vocabulary::new(pieces).expect_err(pieces).to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
