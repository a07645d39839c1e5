//! What a [`Stream`](super::Stream) is fed with, and what it leaves behind for the next start.

use crate::collector::lines::Newline;

/// A run of complete lines of one file; the collector's chunk, as the core sees it.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Raw offset of the first byte.
    pub offset: u64,
    /// Complete lines, newlines included. May be empty: then only `end_offset` has moved.
    pub bytes: &'a [u8],
    pub newline: Newline,
    /// Raw offset behind it: beyond the bytes where something was skipped.
    pub end_offset: u64,
    /// The last line was too long: its rest was skipped.
    pub cut: bool,
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
