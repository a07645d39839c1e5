//! What outlives the process: where reading of a file goes on, what makes it the same file, and its ledger.

use super::ledger::Ledger;
use super::lines::{Limits, Newline};
use crate::analyzer::Resume;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// What the last process left: one file's committed state.
#[derive(Debug, Clone)]
pub struct Resumed {
    pub source: Arc<str>,
    pub path: PathBuf,
    pub resume: Resume,
    pub file_state: FileState,
    /// The row's id in the state.
    pub row: i64,
}

/// The collector's half of a checkpoint: what makes the file the same file after a restart, and its ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileState {
    pub identity: Identity,
    /// Made of host id, inode, first line and truncation ordinal when the first line is known; never changes after.
    pub id: Option<String>,
    /// How often this inode was truncated while we knew it.
    pub truncations: u32,
    /// Largest size seen of this incarnation.
    pub size_seen: u64,
    pub ledger: Ledger,
    /// It was renamed or deleted and read to its end: kept only to recognise it (and its archive) again.
    pub finished: bool,
    /// It ended by being truncated or rewritten in place: copies of it may turn up.
    pub truncated: bool,
    /// At this offset the rest of a line that was cut goes on: it is skipped up to its newline.
    pub cut_at: Option<u64>,
    /// What its byte order mark says; none: it has none, and its source's encoding holds.
    pub marked: Option<Newline>,
    /// Of a journal: cursors from which it can be read on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<super::piped::Mark>,
}

impl FileState {
    /// How this file is split, in a source of these limits; `read`: what it holds at `offset`.
    pub(super) fn limits(&mut self, limits: Limits, offset: u64, read: &[u8]) -> Limits {
        if offset == 0 {
            self.marked = Newline::marked_by(read);
        }
        Limits {
            newline: self.marked.unwrap_or(limits.newline),
            ..limits
        }
    }
}

/// What makes a file the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    pub dev: u64,
    pub ino: u64,
    /// Hash of the first `head_len` bytes (at most 1 KiB).
    pub head_hash: u64,
    pub head_len: u32,
    /// Hash of the `tail_len` bytes just before `tail_end`, the end of the last chunk (the committed-to offset).
    pub tail_hash: u64,
    pub tail_len: u32,
    pub tail_end: u64,
    /// The same of the ends of a few chunks before, oldest first: a copy may have been made there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Tail>,
}

/// The hash of the `len` bytes before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u32, u64)", into = "(u64, u32, u64)")]
pub struct Tail {
    pub end: u64,
    pub len: u32,
    pub hash: u64,
}

impl From<(u64, u32, u64)> for Tail {
    fn from((end, len, hash): (u64, u32, u64)) -> Self {
        Self { end, len, hash }
    }
}

impl From<Tail> for (u64, u32, u64) {
    fn from(Tail { end, len, hash }: Tail) -> Self {
        (end, len, hash)
    }
}
