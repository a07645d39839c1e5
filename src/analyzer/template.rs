//! The hot path's half of templates: is the mask of this message known, and is something known about it?
//!
//! [`Known`] is what the keeper has published of one source: hashes of masked messages, some with a [`Finding`] that
//! every record with this mask brings along (an abnormal verdict, a rare template). [`Tally`] looks records up in it,
//! counts, and picks the ones whose mask nobody knows: each once per published `Known`. Whether such a record is news is
//! decided where the templates are, in `alert`; here nothing is remembered that a restart would miss.

use super::{Finding, mask};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Records with an unknown mask that one chunk hands on; what is left out (counted) is asked again when it comes again.
pub const UNKNOWN_PER_CHUNK_MAX: usize = 256;
/// The same, where no template can be made any more: only what a known one covers is of use.
const UNKNOWN_PER_CHUNK_CLOSED: usize = 8;
/// So many more, where what is known may be stale.
const UNKNOWN_STALE_MAX: usize = 64;
/// Masks known of one source; beyond it all are forgotten and found to be known again, one by one.
pub const MASKS_MAX: usize = 20_000;

/// Masks are hashes already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

pub type ByMask<T> = HashMap<u64, T, BuildHasherDefault<Identity>>;

/// What is known of the masks of one source.
#[derive(Debug, Clone, Default)]
pub struct Known {
    masks: ByMask<Option<Arc<Finding>>>,
    /// No template can be made any more.
    closed: bool,
    /// Looked up by the line as it stands, not by its mask (`scope: line`).
    by_line: bool,
    /// Tells one published version from the next.
    version: u64,
    /// Tells how often all were forgotten.
    generation: u64,
}

/// A mask that nobody knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown {
    pub hash: u64,
    /// It is so manieth of the records that are counted together, from 1.
    pub number: u64,
}

impl Known {
    /// From now on this mask is known; records with it bring `finding` along.
    pub fn insert(&mut self, hash: u64, finding: Option<Arc<Finding>>) {
        if self.masks.len() >= MASKS_MAX && !self.masks.contains_key(&hash) {
            self.masks.clear();
            self.generation += 1;
        }
        self.masks.insert(hash, finding);
        self.version += 1;
    }

    /// Nothing is known yet, and it is looked up by the line as it stands.
    pub fn by_line() -> Self {
        Self {
            by_line: true,
            ..Self::default()
        }
    }

    pub fn knows(&self, hash: u64) -> bool {
        self.masks.contains_key(&hash)
    }

    /// So many records with unknown masks are weighed of one chunk.
    pub fn room(&self) -> usize {
        if self.by_line {
            // Each line is wanted; what follows is cut into smaller chunks where nearly all of them are new.
            usize::MAX
        } else if self.closed {
            UNKNOWN_PER_CHUNK_CLOSED
        } else {
            UNKNOWN_PER_CHUNK_MAX
        }
    }

    /// What was known once is known still, unless this has changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn remove(&mut self, hash: u64) {
        self.masks.remove(&hash);
        self.version += 1;
    }

    /// The table of templates is full.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Nothing is known any more: what is known about templates has changed.
    pub fn clear(&mut self) {
        self.masks.clear();
        self.version += 1;
        self.generation += 1;
    }
}

/// What was seen since the last [`Tally::take`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were looked up.
    pub records: u64,
    /// Records by the hash of their mask.
    pub by_mask: Vec<(u64, u32)>,
    /// Records with an unknown mask that found no room.
    pub left_out: u64,
}

/// What the look-up of one record gave.
#[derive(Debug)]
pub enum Look {
    Familiar,
    /// Everyone with this mask is to bring this finding along.
    Noted(Arc<Finding>),
    /// Nobody knows this mask: the keeper has to see the record.
    Unknown(Unknown),
}

/// The look-ups of one file.
#[derive(Debug, Default)]
pub struct Tally {
    known: Arc<Known>,
    /// Unknown ones that were handed on since this `known` was published.
    asked: HashSet<u64, BuildHasherDefault<Identity>>,
    counts: ByMask<u32>,
    unknown: usize,
    records: u64,
    left_out: u64,
    /// What was asked in the last chunk is asked again: see [`Self::ask_in_each_chunk`].
    asks_again: bool,
}

impl Tally {
    /// The newest that was published.
    pub fn set_known(&mut self, known: Arc<Known>) {
        if self.known.version != known.version {
            self.asked.clear();
        }
        self.known = known;
    }

    /// From now on unknown masks are handed on in each chunk, and a few more of them: `known` may be older than what
    /// will have been found by then.
    pub fn ask_in_each_chunk(&mut self) {
        self.asks_again = true;
    }

    /// Looks a message up. Nothing is said of an empty one.
    pub fn look(&mut self, message: &[u8]) -> Look {
        if message.is_empty() {
            return Look::Familiar;
        }
        let hash = if self.known.by_line {
            mask::hash_as_it_stands(message)
        } else {
            mask::hash(message)
        };
        self.records += 1;
        *self.counts.entry(hash).or_insert(0) += 1;
        match self.known.masks.get(&hash) {
            Some(None) => Look::Familiar,
            Some(Some(finding)) => Look::Noted(finding.clone()),
            None if self.asked.contains(&hash) => Look::Familiar,
            None if self.unknown >= self.room() => {
                self.left_out += 1;
                Look::Familiar
            }
            None => {
                self.unknown += 1;
                self.asked.insert(hash);
                Look::Unknown(Unknown {
                    hash,
                    number: self.records,
                })
            }
        }
    }

    fn room(&self) -> usize {
        let more = if self.asks_again { UNKNOWN_STALE_MAX } else { 0 };
        self.known.room().saturating_add(more)
    }

    /// Hands over what was counted.
    pub fn take(&mut self) -> Counts {
        self.unknown = 0;
        if self.asks_again {
            self.asked.clear();
        }
        let mut by_mask: Vec<(u64, u32)> = self.counts.drain().collect();
        by_mask.sort_unstable();
        Counts {
            records: std::mem::take(&mut self.records),
            by_mask,
            left_out: std::mem::take(&mut self.left_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_mask_is_handed_on_once_until_something_new_is_published() {
        let mut tally = Tally::default();
        assert!(matches!(tally.look(b"took 35 ms"), Look::Unknown(_)));
        assert!(
            matches!(tally.look(b"took 77 ms"), Look::Familiar),
            "the same mask is asked once"
        );
        let mut known = Known::default();
        known.insert(mask::hash(b"other"), None);
        tally.set_known(Arc::new(known.clone()));
        let Look::Unknown(Unknown { hash, .. }) = tally.look(b"took 1 ms") else {
            panic!("nobody has answered: it is asked again")
        };
        known.insert(hash, None);
        tally.set_known(Arc::new(known));
        assert!(matches!(tally.look(b"took 9 ms"), Look::Familiar));
        let counts = tally.take();
        assert_eq!(
            (counts.records, counts.by_mask, counts.left_out),
            (4, vec![(hash, 4)], 0)
        );
        assert_eq!(tally.take(), Counts::default());
    }

    #[test]
    fn a_flood_of_unknown_masks_is_cut_and_counted() {
        let mut tally = Tally::default();
        let word = |n: usize| [b'a' + (n / 26) as u8, b'a' + (n % 26) as u8];
        let looks = (0..UNKNOWN_PER_CHUNK_MAX + 5).map(|n| tally.look(&word(n)));
        let unknown = looks.filter(|look| matches!(look, Look::Unknown(_))).count();
        assert_eq!((unknown, tally.take().left_out), (UNKNOWN_PER_CHUNK_MAX, 5));
        assert!(
            matches!(tally.look(b"zz"), Look::Unknown(_)),
            "the next chunk has room again"
        );
    }

    #[test]
    fn where_each_line_is_wanted_none_is_left_out() {
        let mut tally = Tally::default();
        tally.set_known(Arc::new(Known::by_line()));
        for n in 0..50_000 {
            let line = format!("took {n} ms");
            let look = tally.look(line.as_bytes());
            assert!(matches!(look, Look::Unknown(_)), "{line} is taken for another one");
        }
        assert_eq!(tally.take().left_out, 0);
    }

    #[test]
    fn known_masks_are_bounded() {
        let mut known = Known::default();
        (0..3 * MASKS_MAX as u64).for_each(|hash| known.insert(hash, None));
        assert!(known.masks.len() <= MASKS_MAX);
    }
}
