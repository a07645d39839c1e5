//! Patterns of the configuration: compiled within a size limit, and told apart by what they cost.

use super::Inputs;
use crate::config::tree::NodeId;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A compiled pattern larger than this is a mistake (`\w{1000}` …), and would cost a small host its memory.
const PATTERN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Shorter literals do not keep a rule from being tried on most lines.
const LITERAL_LETTERS_MIN: usize = 3;

/// A pattern over bytes of records, with `(?m)`.
pub fn bytes(at: NodeId, pattern: &str, inputs: &mut Inputs) -> Option<regex::bytes::Regex> {
    explain(at, pattern, inputs)?;
    let built = regex::bytes::RegexBuilder::new(pattern)
        .multi_line(true)
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    built.map_err(|_| too_large(at, inputs)).ok()
}

/// A pattern over the text of a field.
pub fn text(at: NodeId, pattern: &str, inputs: &mut Inputs) -> Option<regex::Regex> {
    explain(at, pattern, inputs)?;
    let built = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|_| too_large(at, inputs)).ok()
}

/// Warns of patterns that match everything, or that every record must be tried against.
pub fn warn_of_cost(at: NodeId, pattern: &regex::bytes::Regex, inputs: &mut Inputs) {
    if pattern.is_match(b"") {
        inputs.warn(at, "this pattern matches every record", "it matches even an empty text");
        return;
    }
    let Ok(hir) = parser().parse(pattern.as_str()) else {
        return;
    };
    if literal_letters(&hir) < LITERAL_LETTERS_MIN {
        let what = "this pattern requires no text of 3 letters or more: it is tried on every record, which costs time";
        inputs.warn(at, what, "add a word that every match contains");
    }
}

fn parser() -> regex_syntax::Parser {
    regex_syntax::ParserBuilder::new().multi_line(true).utf8(false).build()
}

fn too_large(at: NodeId, inputs: &mut Inputs) {
    inputs.fault(
        at,
        "the pattern is too large when compiled",
        "lower its repetitions, such as {1,1000}",
    );
}

/// Reports what is wrong with a pattern, and where in it.
fn explain(at: NodeId, pattern: &str, inputs: &mut Inputs) -> Option<()> {
    if pattern.is_empty() {
        inputs.fault(at, "the pattern is empty", "an empty pattern matches everything");
        return None;
    }
    let (column, kind) = match parser().parse(pattern) {
        Ok(_) => return Some(()),
        Err(regex_syntax::Error::Parse(error)) => (error.span().start.column, error.kind().to_string()),
        Err(regex_syntax::Error::Translate(error)) => (error.span().start.column, error.kind().to_string()),
        Err(other) => (1, other.to_string()),
    };
    let hint = if kind.contains("look-around") || kind.contains("backreference") {
        "patterns run in linear time, without look-around and backreferences"
    } else {
        ""
    };
    inputs.fault(
        at,
        format!("not a valid pattern, at its character {column}: {kind}"),
        hint,
    );
    None
}

/// The longest run of letters that every match contains. A letter in both cases counts.
fn literal_letters(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Capture(capture) => literal_letters(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => literal_letters(&repetition.sub),
        HirKind::Alternation(branches) => branches.iter().map(literal_letters).min().unwrap_or(0),
        HirKind::Concat(parts) => {
            let mut longest = 0;
            let mut run = 0;
            for part in parts {
                run = match part.kind() {
                    HirKind::Literal(literal) => run + literal.0.len(),
                    HirKind::Class(class) if is_one_letter(class) => run + 1,
                    HirKind::Look(_) => run,
                    HirKind::Empty
                    | HirKind::Class(_)
                    | HirKind::Repetition(_)
                    | HirKind::Capture(_)
                    | HirKind::Concat(_)
                    | HirKind::Alternation(_) => {
                        longest = longest.max(literal_letters(part));
                        0
                    }
                };
                longest = longest.max(run);
            }
            longest
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => 0,
    }
}

fn is_one_letter(class: &Class) -> bool {
    // `(?i)k` has three members: k, K and the Kelvin sign.
    const CASES_MAX: usize = 3;
    match class {
        Class::Unicode(class) => {
            class
                .ranges()
                .iter()
                .map(|range| range.end() as usize - range.start() as usize + 1)
                .sum::<usize>()
                <= CASES_MAX
        }
        Class::Bytes(class) => class.ranges().iter().map(|range| range.len()).sum::<usize>() <= CASES_MAX,
    }
}
