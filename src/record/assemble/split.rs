//! Raw lines of a chunk: where each begins and ends, without newline, carriage return, and byte order mark.

use crate::collector::lines::Newline;

/// A raw line within its chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub start: usize,
    /// Behind the newline.
    pub end: usize,
    pub text: &'a [u8],
}

/// The lines of a chunk that stands at `offset` of its file.
pub(super) fn lines(bytes: &[u8], newline: Newline, offset: u64) -> impl Iterator<Item = Raw<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= bytes.len() {
            return None;
        }
        let end = next_end(&bytes[start..], newline).map_or(bytes.len(), |len| start + len);
        let mut text = without_end(&bytes[start..end], newline);
        if offset == 0 && start == 0 {
            let mark: &[u8] = match newline {
                Newline::Byte => b"\xEF\xBB\xBF",
                Newline::Utf16Le => b"\xFF\xFE",
                Newline::Utf16Be => b"\xFE\xFF",
            };
            text = text.strip_prefix(mark).unwrap_or(text);
        }
        let raw = Raw { start, end, text };
        start = end;
        Some(raw)
    })
}

/// Behind the first newline; units of UTF-16 are aligned to the chunk, which begins at the border of a line.
fn next_end(bytes: &[u8], newline: Newline) -> Option<usize> {
    match newline {
        Newline::Byte => memchr::memchr(b'\n', bytes).map(|at| at + 1),
        Newline::Utf16Le => memchr::memchr_iter(b'\n', bytes)
            .find(|at| at % 2 == 0 && bytes.get(at + 1) == Some(&0))
            .map(|at| at + 2),
        Newline::Utf16Be => memchr::memchr_iter(b'\n', bytes)
            .find(|at| at % 2 == 1 && bytes[at - 1] == 0)
            .map(|at| at + 1),
    }
}

fn without_end(line: &[u8], newline: Newline) -> &[u8] {
    let (feed, carriage_return): (&[u8], &[u8]) = match newline {
        Newline::Byte => (b"\n", b"\r"),
        Newline::Utf16Le => (b"\n\0", b"\r\0"),
        Newline::Utf16Be => (b"\0\n", b"\0\r"),
    };
    let line = line.strip_suffix(feed).unwrap_or(line);
    line.strip_suffix(carriage_return).unwrap_or(line)
}
