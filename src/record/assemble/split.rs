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
        let end = newline
            .first_end(&bytes[start..])
            .map_or(bytes.len(), |len| start + len);
        let mut text = newline.trim_end(&bytes[start..end]);
        if offset == 0 && start == 0 {
            text = text.strip_prefix(newline.byte_order_mark()).unwrap_or(text);
        }
        let raw = Raw { start, end, text };
        start = end;
        Some(raw)
    })
}
