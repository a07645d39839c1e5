//! The collector: follows files by inotify and hands on chunks of complete lines.
//!
//! Promises: each byte of each file is handed on once, in order, whatever happens to the file; what cannot be is counted
//! in the ledger. A file always goes to the same analyzer. Decoding and joining of lines is left to `record`.

pub mod archive;
pub mod lines;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the collector has to know of one source.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: Arc<str>,
    /// Globs, `**` too; absolute, or relative to the working directory.
    pub paths: Vec<String>,
    pub exclude: Vec<String>,
    pub read_from: ReadFrom,
    /// Files not written for so long are not opened at first sight.
    pub ignore_older: Option<Duration>,
    /// Bytes per second while catching up; 0: unlimited.
    pub read_rate: u64,
    /// Width and byte order of the newline.
    pub newline: lines::Newline,
    /// Longer lines are cut here.
    pub max_line_bytes: usize,
}

/// Where reading begins in files born before their source's first start. Later ones are read from their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    End,
    Beginning,
}

/// A file that is being read, for as long as this process lives. What outlives the process is [`Identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey(pub u32);

/// A run of complete lines of one file. The buffer comes from a pool and goes back to it when the chunk is dropped.
#[derive(Debug)]
pub struct Chunk {
    pub file: FileKey,
    /// Raw offset of the first byte.
    pub offset: u64,
    /// Complete lines, newlines included (the last one may lack it when the file has ended or the line was cut).
    pub bytes: Vec<u8>,
    /// Raw offset behind this chunk: beyond `offset + bytes.len()` where the rest of a line was skipped (`cut`) or a hole
    /// of NULs was.
    pub end_offset: u64,
    /// The last line was longer than `max_line_bytes`: its rest was skipped.
    pub cut: bool,
    /// Bytes that the file holds beyond this chunk, as last seen.
    pub lag_bytes: u64,
    /// The collector's half of the checkpoint behind this chunk, where it has changed (size seen, tail hash, ledger).
    pub file_state: Option<Box<FileState>>,
}

/// What the collector tells the analyzer of one file, in order.
#[derive(Debug)]
pub enum Event {
    /// A file is read from now on. Comes before all else of this key.
    Opened(Box<Opened>),
    Chunk(Chunk),
    /// The ledger or the identity has changed without data (for example bytes lost, skipped, or a new path).
    Changed {
        file: FileKey,
        file_state: Box<FileState>,
    },
    /// No more data of this file will come: open records are closed.
    Closed {
        file: FileKey,
        file_state: Box<FileState>,
    },
}

#[derive(Debug)]
pub struct Opened {
    pub file: FileKey,
    pub source: Arc<str>,
    pub path: PathBuf,
    /// Its row in the state, if it was known there.
    pub row: Option<i64>,
    /// Where reading goes on, and what the record assembler left open there.
    pub resume: Resume,
    pub file_state: FileState,
    /// The file's modification time: silence of records left open is counted from here.
    pub mtime: Option<std::time::SystemTime>,
}

/// The analyzer's half of a checkpoint: where to go on, and what was already said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resume {
    /// Reading goes on here: the lowest start of an open record, else `committed_to`.
    pub offset: u64,
    /// Everything below was judged; a record that starts below and is not in `open_starts` is not reported again.
    pub committed_to: u64,
    pub open_starts: Vec<u64>,
    /// Number of the line at `offset` (1-based); none where reading did not begin at the file's beginning.
    pub line: Option<u64>,
    /// Name of the format in use, for `auto`.
    pub format: String,
}

/// The collector's half of a checkpoint: what makes the file the same file after a restart, and its ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// What makes a file the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub dev: u64,
    pub ino: u64,
    /// Hash of the first `head_len` bytes (at most 1 KiB).
    pub head_hash: u64,
    pub head_len: u32,
    /// Hash of the `tail_len` bytes just before the committed-to offset.
    pub tail_hash: u64,
    pub tail_len: u32,
}

/// Where the bytes of one incarnation of a file went: largest size seen = judged + skipped + lost + pending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Bytes not read on purpose, by reason (`read_from_end`, `ignore_older`, `cut`, `nul`, `hole`, `archive_known`).
    pub skipped: BTreeMap<String, u64>,
    /// Bytes that could not be read, by reason (`deleted`, `truncated`, `power_cut`, `poison`).
    pub lost: BTreeMap<String, u64>,
    /// Moments at which lines may have been lost that nobody could see (between copy and truncate).
    pub possible_losses: u64,
}
