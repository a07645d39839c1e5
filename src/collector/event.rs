//! What the collector tells the analyzers, in order, file by file.

use super::Answer;
use super::checkpoint::FileState;
use super::lines::Newline;
use crate::analyzer::{Resume, Run};
use std::path::PathBuf;
use std::sync::Arc;

/// A file that is being read, for as long as this process lives. What outlives the process is [`Identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey(pub u32);

/// A run of complete lines of one file. The buffer comes from a pool and goes back to it when the chunk is dropped.
#[derive(Debug)]
pub struct Chunk {
    pub file: FileKey,
    /// Raw offset of the first byte.
    pub offset: u64,
    /// Complete lines, newlines included (the last one may lack it when the file has ended, the line was cut, or NULs
    /// follow). May be empty: then only `end_offset` has moved.
    pub bytes: Vec<u8>,
    /// How its lines end: its source's encoding says it, or the file's byte order mark.
    pub newline: Newline,
    /// Raw offset behind this chunk: beyond `offset + bytes.len()` where the rest of a line was skipped (`cut`) or a hole
    /// of NULs was.
    pub end_offset: u64,
    /// The last line was longer than `max_line_bytes`: its rest was skipped.
    pub cut: bool,
    /// Bytes that the file holds beyond this chunk, as last seen.
    pub lag_bytes: u64,
    /// The collector's half of the checkpoint at `end_offset`: committed together with it.
    pub file_state: Option<Box<FileState>>,
}

impl Chunk {
    /// What the core is to see of it.
    pub fn run(&self) -> Run<'_> {
        Run {
            offset: self.offset,
            bytes: &self.bytes,
            newline: self.newline,
            end_offset: self.end_offset,
            cut: self.cut,
        }
    }
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
    /// Nothing will ever need this file's state again: its row may be deleted.
    Forgotten(Row),
    /// What comes from here on is judged by the new settings, which main has left for this analyzer.
    Reload(usize),
    /// Does this analyzer answer?
    Ping(usize, Answer),
}

/// Which state is meant: of a file of this process, or a row that was resumed and not opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Row {
    File(FileKey),
    Stored(i64),
}

#[derive(Debug, Clone)]
pub struct Opened {
    pub file: FileKey,
    /// The row of the state that goes on in this file.
    pub row: Option<i64>,
    pub source: Arc<str>,
    pub path: PathBuf,
    /// Where reading goes on, and what the record assembler left open there.
    pub resume: Resume,
    pub file_state: FileState,
    /// Silence of records left open is counted from here.
    pub last_write: Option<LastWrite>,
}

/// When a file was written to last, and how long it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWrite {
    pub at: std::time::SystemTime,
    pub size_bytes: u64,
}

impl Opened {
    /// What lies before the reader, as far as the file system tells.
    pub fn unread_bytes(&self) -> u64 {
        let size = self.last_write.map_or(0, |last| last.size_bytes);
        size.saturating_sub(self.resume.offset)
    }
}

impl Row {
    pub fn stored(self) -> Option<i64> {
        match self {
            Row::Stored(row) => Some(row),
            Row::File(_) => None,
        }
    }
}

impl Event {
    /// The file it is about, if it is a file of this process.
    pub fn file(&self) -> Option<FileKey> {
        match self {
            Event::Opened(opened) => Some(opened.file),
            Event::Chunk(chunk) => Some(chunk.file),
            Event::Changed { file, .. } | Event::Closed { file, .. } | Event::Forgotten(Row::File(file)) => Some(*file),
            Event::Forgotten(Row::Stored(_)) | Event::Reload(_) | Event::Ping(..) => None,
        }
    }

    /// Which of so many analyzers it is for: one file always goes to the same.
    pub fn analyzer(&self, analyzers: usize) -> usize {
        match self {
            Event::Reload(analyzer) | Event::Ping(analyzer, _) => *analyzer,
            Event::Opened(_) | Event::Chunk(_) | Event::Changed { .. } | Event::Closed { .. } | Event::Forgotten(_) => {
                self.file().map_or(0, |FileKey(number)| number as usize % analyzers)
            }
        }
    }
}
