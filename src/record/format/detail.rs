//! What all formats need to tell the details of a record: moments from text, lossy strings, the first line.

pub(super) use crate::record::lossy;
use crate::record::timestamp::{self, Moment};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Turns stamps into moments, in the source's zone, as seen at `now`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments<'a> {
    pub zone: &'a TimeZone,
    pub now: Timestamp,
}

impl Moments<'_> {
    /// The stamp that `text` begins with.
    pub fn of(&self, text: &[u8]) -> Option<Moment> {
        let (stamp, _) = timestamp::scan(text)?;
        stamp.resolve(self.zone, self.now)
    }
}

/// Up to the first newline, without a carriage return.
pub(super) fn first_line(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let line = &text[..end];
    line.strip_suffix(b"\r").unwrap_or(line)
}
