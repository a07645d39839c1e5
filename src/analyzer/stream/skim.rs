//! Lines that need not be looked at: where literals stand that every finding needs, the lines between them are left out.

use super::super::prefilter::Prefilter;
use std::ops::Range;

/// Leaves out lines in which nothing stands that the prefilter looks for: `take` gets the number of lines left out, and
/// where the next one to be looked at stands (nowhere, behind the last).
pub(super) fn skim(bytes: &[u8], prefilter: &Prefilter, mut take: impl FnMut(u64, Range<usize>)) {
    let lines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count() as u64;
    let mut from = 0;
    while let Some(hit) = prefilter.find(bytes, from) {
        let start = memchr::memrchr(b'\n', &bytes[from..hit]).map_or(from, |at| from + at + 1);
        let end = memchr::memchr(b'\n', &bytes[hit..]).map_or(bytes.len(), |at| hit + at + 1);
        take(lines(&bytes[from..start]), start..end);
        from = end;
    }
    let rest = &bytes[from..];
    let unended = rest.last().is_some_and(|&last| last != b'\n');
    take(lines(rest) + u64::from(unended), bytes.len()..bytes.len());
}
