//! What is wrong with a configuration, and where: one line `FILE:LINE:COLUMN: key.path: what is wrong` each, with a
//! hint under it.
//!
//! All problems of a configuration are collected and shown at once, at most [`PROBLEMS_MAX`]. Texts never hold the value
//! of a secret. A [`Warning`] has the same shape, and does not keep the program from starting.

use std::fmt;
use std::path::PathBuf;

/// More problems than a person reads in one go are counted, not shown.
pub const PROBLEMS_MAX: usize = 100;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A place in a file, both numbers from 1; the column counts characters.
    File { path: PathBuf, line: usize, column: usize },
    /// A file as a whole: it cannot be read, or something is missing from all of it.
    Whole { path: PathBuf },
    /// A variable of the environment, by name.
    Environment(String),
    /// A `--set` of the command line, its key.
    Set(String),
    /// Another option of the command line, with its dashes.
    Option(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Whole { path } => write!(f, "{}", path.display()),
            Place::Environment(name) => write!(f, "environment {name}"),
            Place::Set(key) => write!(f, "--set {key}"),
            Place::Option(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub place: Place,
    /// Path of the key, as `--set` takes it: `sources.app.read_from`; empty for a file as a whole.
    pub key: String,
    pub what: String,
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Something that is allowed, and that its writer hardly wants.
pub type Warning = Problem;

/// Every problem of a configuration, in the order of the files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// At most [`PROBLEMS_MAX`].
    pub shown: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

impl Problems {
    pub fn new(mut all: Vec<Problem>) -> Self {
        all.sort();
        all.dedup();
        let more = all.len().saturating_sub(PROBLEMS_MAX);
        all.truncate(PROBLEMS_MAX);
        Self { shown: all, more }
    }

    pub(super) fn one(place: Place, what: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        Self {
            shown: vec![Problem {
                place,
                key: String::new(),
                what: what.into(),
                hint,
            }],
            more: 0,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.shown.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// The nearest of the known words, when it is near enough to be what was meant: a few slips (`sorces`), or one word the
/// beginning of the other (`warning`, `err`).
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const PREFIX_CHARS_MIN: usize = 3;
    let lower = word.to_lowercase().replace('-', "_");
    let begins = |candidate: &str| {
        candidate.len().min(lower.len()) >= PREFIX_CHARS_MIN
            && (lower.starts_with(candidate) || candidate.starts_with(&lower))
    };
    let distance = |candidate: &'a str| match begins(candidate) {
        true => (1, candidate),
        false => (strsim::damerau_levenshtein(&lower, candidate), candidate),
    };
    let near = |(distance, candidate): &(usize, &str)| *distance <= 1 + candidate.len().min(word.len()) / 4;
    let nearest = known
        .into_iter()
        .map(distance)
        .filter(near)
        .min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, candidate)| candidate)
}
