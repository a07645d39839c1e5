//! Ids: made from what was read, never from a clock or a counter, so that the same stretch of log, read again after a
//! crash, gives the same id.
//!
//! An id is the base32 form (RFC 4648 alphabet in lower case, no padding) of the first 100 bits of a SHA-256 over its
//! parts, each preceded by its length, so that no two lists of parts can be confused.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LENGTH_CHARS: usize = 20;
/// How much of a first line enters an id.
pub const FIRST_LINE_MAX_BYTES: usize = 1024;

/// A file: host id, inode, first line and how often the inode was truncated while we knew it.
pub fn of_file(host_id: &str, ino: u64, first_line: &[u8], truncations: u32) -> String {
    let first_line = &first_line[..first_line.len().min(FIRST_LINE_MAX_BYTES)];
    of(
        "file",
        &[
            host_id.as_bytes(),
            &ino.to_le_bytes(),
            first_line,
            &truncations.to_le_bytes(),
        ],
    )
}

/// A firing: where its record stands, its first raw line, and who found it.
pub fn of_firing<'a>(file: &str, offset: u64, first_line: &[u8], detectors: impl Iterator<Item = &'a str>) -> String {
    let detectors = detectors.collect::<Vec<_>>().join("\n");
    let offset = offset.to_le_bytes();
    of(
        "firing",
        &[
            file.as_bytes(),
            &offset,
            &first_line[..first_line.len().min(FIRST_LINE_MAX_BYTES)],
            detectors.as_bytes(),
        ],
    )
}

/// A later message about a firing: repeated or resolved, with an ordinal kept in the group's row.
pub fn of_sequel(firing: &str, status: &str, ordinal: u32) -> String {
    of(
        "sequel",
        &[firing.as_bytes(), status.as_bytes(), &ordinal.to_le_bytes()],
    )
}

/// Anything else that has a name of its own (a test alert, the agent's own news).
pub fn of_news(parts: &[&[u8]]) -> String {
    of("news", parts)
}

/// 16 hex digits over parts: the fingerprint of what has no record to take it from.
pub fn fingerprint(parts: &[&[u8]]) -> String {
    digest("fingerprint", parts)[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn of(domain: &str, parts: &[&[u8]]) -> String {
    base32(&digest(domain, parts))
}

fn digest(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(LENGTH_CHARS);
    for chars in bytes.chunks_exact(5).take(LENGTH_CHARS / 8 + 1) {
        let bits = chars.iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        text.extend(
            (0..8)
                .rev()
                .map(|n| char::from(ALPHABET[(bits >> (5 * n) & 31) as usize])),
        );
    }
    text.truncate(LENGTH_CHARS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        // RFC 4648, section 10: BASE32("fooba") = "MZXW6YTB".
        assert_eq!(base32(b"fooba"), "mzxw6ytb");
        assert_eq!(base32(&[0xff; 32]), "7".repeat(LENGTH_CHARS));
    }

    #[test]
    fn the_same_stretch_has_the_same_id_and_any_other_another() {
        let file = of_file("host", 7, b"first line", 0);
        let id = of_firing(&file, 100, b"ERROR x", ["level"].into_iter());
        assert_eq!(
            id,
            of_firing(
                &of_file("host", 7, b"first line", 0),
                100,
                b"ERROR x",
                ["level"].into_iter()
            )
        );
        assert_eq!(id.len(), LENGTH_CHARS);
        let others = [
            of_firing(&file, 101, b"ERROR x", ["level"].into_iter()),
            of_firing(&file, 100, b"ERROR y", ["level"].into_iter()),
            of_firing(&file, 100, b"ERROR x", ["rule:x"].into_iter()),
            of_firing(
                &of_file("host", 7, b"first line", 1),
                100,
                b"ERROR x",
                ["level"].into_iter(),
            ),
            of_firing(
                &of_file("host2", 7, b"first line", 0),
                100,
                b"ERROR x",
                ["level"].into_iter(),
            ),
            of_sequel(&id, "repeated", 1),
        ];
        assert!(others.iter().all(|other| *other != id), "{others:?}");
    }
}
