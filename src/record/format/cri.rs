//! CRI: how containerd and CRI-O write container logs (`kubernetes/kubernetes`, KEP "CRI log format").
//!
//! `2026-11-23T06:00:01.123456789Z stderr P text`: stamp, stream, tags (`F` the line is whole, `P` it goes on), text.

use crate::record::timestamp;

/// The parts of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cri<'a> {
    pub stamp: &'a [u8],
    pub stream: &'static str,
    pub partial: bool,
    pub body: &'a [u8],
}

/// Peels a line; none: it is not of this form.
pub(super) fn parse(line: &[u8]) -> Option<Cri<'_>> {
    // The shortest stamp, `2026-11-23T06:00:01Z`, ends at 20; nanoseconds and offset at 35.
    if line.get(10) != Some(&b'T') || !line[0].is_ascii_digit() {
        return None;
    }
    let end = 19 + line.get(19..36.min(line.len()))?.iter().position(|b| *b == b' ')?;
    let (stamp, rest) = (&line[..end], &line[end + 1..]);
    let stream = match rest.get(..7)? {
        b"stdout " => "stdout",
        b"stderr " => "stderr",
        _ => return None,
    };
    let rest = &rest[7..];
    let partial = match rest.first()? {
        b'F' => false,
        b'P' => true,
        _ => return None,
    };
    // More tags may follow behind colons.
    let tags = rest.iter().take(64).take_while(|b| **b != b' ').count();
    if tags > 1 && rest[1] != b':' {
        return None;
    }
    let (_, len) = timestamp::scan(stamp)?;
    let body = rest.get(tags + 1..).unwrap_or(&[]);
    (len == stamp.len()).then_some(Cri {
        stamp,
        stream,
        partial,
        body,
    })
}
