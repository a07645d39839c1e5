//! What is remembered over aborts: which files do not get on, and what was being read when the process ended.
//!
//! One JSON value in the state's `meta`, written at a start that follows an abort; a run that ends in order removes it. The
//! step at hand is noted before each line, in a small file beside the state (see [`Note`]).

use crate::state::checkpoints::Checkpoint;
use crate::state::{Durability, State};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

/// The key in `meta`.
pub const KEY: &str = "careful";
/// A file that so many runs in a row left where they found it, and did not end in order, is read carefully by the third.
const RUNS_MAX: u32 = 2;
/// What was being judged when the process ended so often is skipped: once may have been somebody's `kill -9`.
const STRIKES_MAX: u32 = 2;

/// Bytes of one file, by its row in the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub row: i64,
    pub from: u64,
    pub to: u64,
}

impl Span {
    pub fn overlaps(&self, row: i64, from: u64, to: u64) -> bool {
        self.row == row && self.from < to && from < self.to
    }
}

/// What is being done with a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A chunk as a whole.
    Chunk,
    /// A chunk line by line, before its first line or after its last.
    Lines,
    /// A single record or line.
    Record,
}

/// A file that does not get on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stuck {
    offset: u64,
    /// Runs in a row that found it there and did not end in order.
    runs: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    stuck: BTreeMap<i64, Stuck>,
    /// Known to hold a record that aborts: read line by line.
    narrow: Vec<Span>,
    /// Spans at which the process ended, and how often.
    strikes: Vec<(Span, u32)>,
}

impl Memory {
    /// What the last runs left behind. A value of another version is nothing.
    pub fn load(state: &State) -> Result<Self> {
        let value = state.meta(KEY)?;
        Ok(value
            .and_then(|value| serde_json::from_str(&value).ok())
            .unwrap_or_default())
    }

    pub fn save(&self, state: &mut State) -> Result<()> {
        if *self == Self::default() {
            return state.remove_meta(KEY);
        }
        state.set_meta(Durability::Full, KEY, &self.to_json())
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Counts a run that did not end in order: the files that it left where it found them.
    pub fn count(&mut self, files: &[(i64, Checkpoint)]) {
        let mut before = std::mem::take(&mut self.stuck);
        for (row, known) in files.iter().filter(|(_, known)| has_unread(known)) {
            let offset = known.resume.offset;
            let runs = before
                .remove(row)
                .filter(|stuck| stuck.offset == offset)
                .map_or(0, |stuck| stuck.runs);
            self.stuck.insert(*row, Stuck { offset, runs: runs + 1 });
        }
    }

    /// Concludes from the step at which the process ended.
    pub fn conclude(&mut self, step: Option<(Step, Span)>) {
        match step {
            None => {}
            Some((Step::Chunk, span)) => self.narrow.push(span),
            Some((Step::Lines, span)) => {
                log::error!(
                    "no single record of the bytes {} to {} makes the process abort, but all of them do: they are read as usual",
                    span.from,
                    span.to
                );
                self.done_with(span.row);
            }
            Some((Step::Record, span)) => match self.strikes.iter_mut().find(|(known, _)| *known == span) {
                Some((_, strikes)) => *strikes += 1,
                None => self.strikes.push((span, 1)),
            },
        }
    }

    /// Rows of the files to be read carefully.
    pub fn suspects(&self) -> Vec<i64> {
        let stuck = self.stuck.iter().filter(|(_, stuck)| stuck.runs >= RUNS_MAX);
        let noted = self.narrow.iter().chain(self.strikes.iter().map(|(span, _)| span));
        let mut rows: Vec<i64> = stuck.map(|(row, _)| *row).chain(noted.map(|span| span.row)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The file has got on.
    pub fn done_with(&mut self, row: i64) {
        self.stuck.remove(&row);
        self.narrow.retain(|span| span.row != row);
        self.strikes.retain(|(span, _)| span.row != row);
    }

    /// Whether a chunk is read line by line.
    pub fn is_narrow(&self, row: i64, from: u64, to: u64) -> bool {
        let struck = self.strikes.iter().map(|(span, _)| span);
        self.narrow
            .iter()
            .chain(struck)
            .any(|span| span.overlaps(row, from, to))
    }

    /// What is to be skipped of a chunk.
    pub fn poison(&self, row: i64, from: u64, to: u64) -> Vec<Span> {
        let guilty = self.strikes.iter().filter(|(_, strikes)| *strikes >= STRIKES_MAX);
        guilty
            .map(|(span, _)| span)
            .filter(|span| span.overlaps(row, from, to))
            .cloned()
            .collect()
    }
}

/// The step that was begun last, in a file of its own: what was written to it is there after an abort and after a kill, and
/// costs a microsecond. As commits to the state, a few for each line, the notes made careful reading slower than a busy log
/// is written: after three kills in a row it never came to an end.
#[derive(Debug)]
pub struct Note {
    path: PathBuf,
    file: Option<File>,
}

impl Note {
    /// Longer than any step is in JSON; the rest are blanks, so that each is written over the one before.
    const BYTES: usize = 128;

    pub fn beside(state: &State) -> Self {
        Self {
            path: state.directory().join(KEY),
            file: None,
        }
    }

    /// What the last process left behind.
    pub fn read(&self) -> Option<(Step, Span)> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        serde_json::from_str(text.trim_end()).ok().flatten()
    }

    /// None: what was begun is done.
    pub fn write(&mut self, step: Option<(Step, Span)>) -> io::Result<()> {
        let text = serde_json::to_string(&step)?;
        let file = match &mut self.file {
            Some(file) => file,
            none @ None => none.insert(File::create(&self.path)?),
        };
        file.write_all_at(format!("{text:width$}", width = Self::BYTES).as_bytes(), 0)
    }

    pub fn remove(self) {
        // There is none after most runs.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Whether there may be something to read: what stands idle is not stuck.
fn has_unread(known: &Checkpoint) -> bool {
    let (offset, state) = (known.resume.offset, &known.file_state);
    if state.finished || !known.path.is_absolute() {
        return false;
    }
    let elsewhere = |found: std::fs::Metadata| found.ino() != state.identity.ino || found.len() > offset;
    state.size_seen > offset || std::fs::metadata(&known.path).map_or(true, elsewhere)
}
