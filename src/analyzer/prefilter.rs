//! What every match of a pattern must contain: literals, found in one pass over many records at once.
//!
//! A regular expression that runs over each record costs some 2 CPU s/GiB; a packed search for the literals of all rules
//! costs a tenth. [`required`] derives from a pattern's syntax tree a small set of literals of which each match contains
//! at least one; [`Prefilter`] looks for all of them. It may say "perhaps" where nothing matches, never "no" where
//! something does.

use aho_corasick::{AhoCorasick, packed};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};
use std::collections::BTreeSet;

/// A pattern that needs more literals than this is better searched for as it is.
const LITERALS_MAX: usize = 16;
/// The vector search takes so many literals of all patterns; more are looked for by an automaton.
const PACKED_MAX: usize = 64;
/// A shorter literal stands in too many lines.
const LITERAL_MIN_BYTES: usize = 2;

/// Literals of one pattern: a match contains at least one of them.
type Literals = BTreeSet<Vec<u8>>;

/// Finds places where one of several patterns may match.
#[derive(Debug, Clone)]
pub struct Prefilter(Search);

#[derive(Debug, Clone)]
enum Search {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Prefilter {
    /// None: there is nothing to look for, or it could not be built (then patterns run by themselves).
    pub fn new(literals: &BTreeSet<Vec<u8>>) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        // A literal that contains another one adds nothing: the shorter is found wherever the longer is.
        let shortest: Vec<&[u8]> = literals
            .iter()
            .map(Vec::as_slice)
            .filter(|literal| {
                !literals
                    .iter()
                    .any(|other| other.as_slice() != *literal && contains(literal, other))
            })
            .collect();
        let packed = (shortest.len() <= PACKED_MAX)
            .then(|| packed::Config::new().builder().extend(&shortest).build())
            .flatten();
        let search = match packed {
            Some(searcher) => Search::Packed(searcher),
            None => Search::Automaton(AhoCorasick::new(&shortest).ok()?),
        };
        Some(Self(search))
    }

    /// Where the first literal at or behind `from` begins.
    pub fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let span = aho_corasick::Span::from(from..text.len());
        let found = match &self.0 {
            Search::Packed(searcher) => searcher.find_in(text, span),
            Search::Automaton(automaton) => automaton.find(aho_corasick::Input::new(text).span(span)),
        };
        found.map(|found| found.start())
    }
}

/// The literals that a match of `pattern` cannot do without. None: there are no such, or too many.
///
/// `pattern` is read as rules are: `(?m)`, over bytes.
pub fn required(pattern: &str) -> Option<BTreeSet<Vec<u8>>> {
    let mut parser = ParserBuilder::new().multi_line(true).utf8(false).build();
    let literals = of(&parser.parse(pattern).ok()?)?;
    (shortest(&literals) >= LITERAL_MIN_BYTES).then_some(literals)
}

fn of(hir: &Hir) -> Option<Literals> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => None,
        HirKind::Literal(literal) => Some(Literals::from([literal.0.to_vec()])),
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Repetition(repetition) => (repetition.min > 0).then(|| of(&repetition.sub)).flatten(),
        HirKind::Alternation(branches) => {
            let mut all = Literals::new();
            for branch in branches {
                all.extend(of(branch)?);
            }
            (all.len() <= LITERALS_MAX).then_some(all)
        }
        HirKind::Concat(parts) => of_sequence(parts),
    }
}

/// The best of what parts need one by one and of what neighbours that are known exactly spell together.
fn of_sequence(parts: &[Hir]) -> Option<Literals> {
    let mut best: Option<Literals> = None;
    let mut run = Literals::from([Vec::new()]);
    for part in parts {
        let joined = exactly(part).and_then(|next| product(&run, &next));
        run = match joined {
            Some(joined) => {
                keep_better(&mut best, joined.clone());
                joined
            }
            None => exactly(part).unwrap_or_else(|| Literals::from([Vec::new()])),
        };
        keep_better(&mut best, run.clone());
        if let Some(own) = of(part) {
            keep_better(&mut best, own);
        }
    }
    best
}

fn keep_better(best: &mut Option<Literals>, candidate: Literals) {
    if shortest(&candidate) > 0 && best.as_ref().is_none_or(|best| worth(&candidate) > worth(best)) {
        *best = Some(candidate);
    }
}

/// Long literals are rare in a log, few of them are found fast: a byte more outweighs twice as many, a bit.
fn worth(literals: &Literals) -> usize {
    3 * shortest(literals).min(16) + 2 * (LITERALS_MAX.ilog2() - literals.len().ilog2()) as usize
}

/// All strings that `hir` matches, if they are few. An assertion matches the empty one.
fn exactly(hir: &Hir) -> Option<Literals> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(Literals::from([Vec::new()])),
        HirKind::Literal(literal) => Some(Literals::from([literal.0.to_vec()])),
        HirKind::Capture(capture) => exactly(&capture.sub),
        HirKind::Class(class) => members(class),
        HirKind::Repetition(_) => None,
        HirKind::Alternation(branches) => {
            let mut all = Literals::new();
            for branch in branches {
                all.extend(exactly(branch)?);
            }
            (all.len() <= LITERALS_MAX).then_some(all)
        }
        HirKind::Concat(parts) => parts
            .iter()
            .try_fold(Literals::from([Vec::new()]), |run, part| product(&run, &exactly(part)?)),
    }
}

fn members(class: &Class) -> Option<Literals> {
    let few = |length: Option<usize>| length.is_some_and(|length| length <= LITERALS_MAX);
    match class {
        Class::Unicode(class) => {
            let ranges = class.ranges();
            few(ranges.iter().try_fold(0, |sum, range| Some(sum + range.len()))).then(|| {
                let chars = ranges.iter().flat_map(|range| range.start()..=range.end());
                chars.map(|member| member.to_string().into_bytes()).collect()
            })
        }
        Class::Bytes(class) => {
            let ranges = class.ranges();
            few(ranges.iter().try_fold(0, |sum, range| Some(sum + range.len()))).then(|| {
                let bytes = ranges.iter().flat_map(|range| range.start()..=range.end());
                bytes.map(|member| vec![member]).collect()
            })
        }
    }
}

fn product(heads: &Literals, tails: &Literals) -> Option<Literals> {
    (heads.len() * tails.len() <= LITERALS_MAX).then(|| {
        let joined = heads
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| [&head[..], tail].concat()));
        joined.collect()
    })
}

fn shortest(literals: &Literals) -> usize {
    literals.iter().map(Vec::len).min().unwrap_or(0)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn literals(pattern: &str) -> Option<Vec<String>> {
        let found = required(pattern)?;
        Some(
            found
                .into_iter()
                .map(|bytes| String::from_utf8(bytes).unwrap())
                .collect(),
        )
    }

    fn some(expected: &[&str]) -> Option<Vec<String>> {
        Some(expected.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn the_longest_literal_that_a_match_needs_is_found() {
        assert_eq!(literals("(ERROR|WARN|FATAL)"), some(&["ERROR", "FATAL", "WARN"]));
        assert_eq!(
            literals(r"[A-Za-z.]+(Exception|Error): "),
            some(&["Error: ", "Exception: "])
        );
        assert_eq!(literals(r"(^|[^A-Za-z])WARN(ING)?([^A-Za-z]|$)"), some(&["WARN"]));
        assert_eq!(literals(r"status=5[0-9][0-9]"), some(&["status=5"]));
        assert_eq!(
            literals(r"Out of memory: Killed process (?P<pid>\d+) \("),
            some(&["Out of memory: Killed process "])
        );
        assert_eq!(
            literals("connection (timed out|refused)"),
            some(&["connection refused", "connection timed out"])
        );
    }

    #[test]
    fn where_letters_may_be_of_any_case_some_of_them_are_spelled_out() {
        let found = literals("(?i)panic: ").unwrap();
        assert!(
            found.len() <= LITERALS_MAX && found.iter().all(|literal| literal.len() >= 3),
            "{found:?}"
        );
        assert!(
            found.iter().all(|literal| "panic: ".contains(&literal.to_lowercase())),
            "{found:?}"
        );
    }

    #[test]
    fn a_pattern_that_needs_nothing_certain_has_no_literals() {
        for pattern in ["", r"\d+", "(error)?", "a|b", "error|.*", "[0-9]{3}", "^$"] {
            assert_eq!(literals(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn a_literal_within_another_one_is_found_in_both() {
        let prefilter =
            Prefilter::new(&["connection refused", "refused"].map(|l| l.as_bytes().to_vec()).into()).unwrap();
        assert_eq!(prefilter.find(b"connection refused", 0), Some(11));
        assert_eq!(prefilter.find(b"refused, refused", 1), Some(9));
        assert_eq!(prefilter.find(b"accepted", 0), None);
    }

    #[test]
    fn more_literals_than_vectors_take_are_found_too() {
        let many: BTreeSet<Vec<u8>> = (0..500).map(|n| format!("word{n:03}").into_bytes()).collect();
        let prefilter = Prefilter::new(&many).unwrap();
        assert_eq!(prefilter.find(b"a word499 here", 0), Some(2));
        assert_eq!(prefilter.find(b"a word500 here", 0), None);
    }

    const PIECES: [&str; 14] = [
        "error",
        "(warn|fatal)",
        "[ab]",
        "(?i:ok)",
        "x*",
        "(yes)+",
        "(no)?",
        "^",
        "$",
        r"\d",
        "é",
        "(?:a|bc)",
        ".",
        "5[0-9]",
    ];

    proptest! {
        /// Whatever matches contains one of the literals.
        #[test]
        fn no_match_is_ever_missed(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 1..6),
            words in prop::collection::vec(
                prop::sample::select(&["error", "warn", "fatal", "a", "b", "bc", "OK", "ok", "Ok", "x", "yes", "no", "7", "é", "50", " "][..]),
                0..8,
            ),
        ) {
            let (pattern, text) = (pieces.concat(), words.concat());
            if let Some(literals) = required(&pattern) {
                let prefilter = Prefilter::new(&literals).unwrap();
                let regex = regex::bytes::RegexBuilder::new(&pattern).multi_line(true).build().unwrap();
                if regex.is_match(text.as_bytes()) {
                    prop_assert!(prefilter.find(text.as_bytes(), 0).is_some(), "{} in {:?}: {:?}", pattern, text, literals);
                }
            }
        }
    }
}
