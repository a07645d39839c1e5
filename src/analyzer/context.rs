//! The lines around a record, cut out of its chunk and of the tail of what came before. They are context: what of them
//! has left the window is missing, nothing waits for it here.

use crate::record::lossy;
use std::collections::VecDeque;

/// What is kept of the bytes before a chunk, so that context can be cut out of it.
const HISTORY_MAX_BYTES: usize = 8 * 1024;
/// A line of context is cut here.
const LINE_MAX_BYTES: usize = 2 * 1024;

/// Keeps the end of what went by, for the context of what comes.
pub fn keep_tail(history: &mut VecDeque<u8>, bytes: &[u8]) {
    let tail = &bytes[bytes.len().saturating_sub(HISTORY_MAX_BYTES)..];
    let excess = (history.len() + tail.len()).saturating_sub(HISTORY_MAX_BYTES);
    history.drain(..excess.min(history.len()));
    history.extend(tail);
}

/// The bytes around a record: those of its chunk, which begins at `offset`, and the tail of what came before.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    pub history: &'a [u8],
    pub offset: u64,
    pub bytes: &'a [u8],
}

impl<'a> Window<'a> {
    /// Up to `count` lines before `offset`, oldest first.
    pub fn before(&self, offset: u64, count: usize) -> Vec<String> {
        let (older, newer) = self.split(offset);
        let mut lines: Vec<String> = lines_backwards(newer).take(count).map(line).collect();
        let missing = count - lines.len();
        lines.extend(lines_backwards(older).take(missing).map(line));
        lines.reverse();
        lines
    }

    /// Up to `count` lines from `offset` on, as far as they have come.
    pub fn after(&self, offset: u64, count: usize) -> Vec<String> {
        let (older, newer) = self.split(offset);
        let (older, newer) = (&self.history[older.len()..], &self.bytes[newer.len()..]);
        let known = self.offset.saturating_sub(offset) <= self.history.len() as u64;
        let older = if known { older } else { &[][..] };
        lines(older).chain(lines(newer)).take(count).map(line).collect()
    }

    /// The first lines of the chunk.
    pub fn first(&self, count: usize) -> impl Iterator<Item = String> + use<'a> {
        lines(self.bytes).take(count).map(line)
    }

    /// What stands before `offset`, in the history and in the chunk.
    fn split(&self, offset: u64) -> (&'a [u8], &'a [u8]) {
        match offset.checked_sub(self.offset) {
            Some(within) => {
                let end = usize::try_from(within).unwrap_or(usize::MAX).min(self.bytes.len());
                (self.history, &self.bytes[..end])
            }
            None => {
                let missing = usize::try_from(self.offset - offset).unwrap_or(usize::MAX);
                (&self.history[..self.history.len().saturating_sub(missing)], &[])
            }
        }
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, behind) = rest.split_at_checked(end).filter(|(line, _)| !line.is_empty())?;
        rest = behind;
        Some(line)
    })
}

pub(super) fn lines_backwards(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        rest = rest.strip_suffix(b"\n").unwrap_or(rest);
        let start = memchr::memrchr(b'\n', rest).map_or(0, |at| at + 1);
        let (before, line) = rest.split_at(start);
        rest = before;
        Some(line)
    })
}

fn line(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    lossy(&line[..line.len().min(LINE_MAX_BYTES)])
}
