//! Originals that are still to be read, or being read, when an archive is compared with what was read.
//!
//! Of what was not read yet nothing can be compared: its archive would be taken for one of what was never seen, and each
//! line be read twice. And an archive that is said to be known while its original is being read would, if this process
//! was killed, take the rest along. So both wait, until the original was read, or is gone: no longer than it has its turn,
//! and than a last line may take to be finished.

use super::compressed::{Proof, archive_head};
use super::discover;
use super::files::{Files, UNFINISHED_QUIET};
use super::identity::{self, HEAD_BYTES};
use super::suspects::{Kind, Suspect};
use super::{FileKey, Row};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

/// An unfinished last line has been handed on by then; what is still left after it (NULs) never will be.
const LEFT_UNREAD: u32 = 2;

impl Files {
    /// Whether something of which nothing was read yet may be what this archive was made of.
    pub fn has_unread_original(&mut self, suspect: &Suspect, file: &File, now: Instant) -> bool {
        if self.is_original_suspected(suspect) {
            return true;
        }
        let mut keys = self.originals_of(suspect.source, &suspect.path, suspect.inode);
        keys.retain(|key| self.files.get(key).is_some_and(|file| file.position == 0));
        if keys.is_empty() {
            return false;
        }
        let head = archive_head(file).unwrap_or_default();
        keys.into_iter()
            .any(|key| self.begins_alike(key, &head) && self.is_being_read(key, 1, now))
    }

    /// It is not known yet what the file is of which this may be the archive: a copy that is being written.
    fn is_original_suspected(&self, suspect: &Suspect) -> bool {
        let Some(name) = suspect.path.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        let paths = discover::originals(name);
        let paths: Vec<PathBuf> = paths.iter().map(|name| suspect.path.with_file_name(name)).collect();
        let is_theirs = |other: &Suspect| other.source == suspect.source && paths.contains(&other.path);
        self.suspects
            .iter()
            .any(|other| other.kind != Kind::Archive && is_theirs(other))
    }

    /// Whether a file of which nothing was read begins as an archive does. One that cannot be opened any more does not:
    /// there is nothing to read twice.
    fn begins_alike(&mut self, key: FileKey, head: &[u8]) -> bool {
        self.ensure_open(key);
        let open = self.files.get(&key).and_then(|file| file.file());
        let begun = open.and_then(|open| identity::read_at(open, 0, HEAD_BYTES).ok());
        let begun = begun.unwrap_or_default();
        let length = begun.len().min(head.len());
        length > 0 && begun[..length] == head[..length]
    }

    /// How long a followed file is now: so far it was compressed at most.
    pub fn length_of(&mut self, key: FileKey) -> u64 {
        self.ensure_open(key);
        let Some(file) = self.files.get(&key) else { return 0 };
        if file.is_closed() && !file.state.finished {
            // Deleted before it could be opened again: nobody saw how long it was. It is let go soon.
            return u64::MAX;
        }
        let metadata = file.file().and_then(|open| open.metadata().ok());
        metadata.map_or(0, |metadata| metadata.size()).max(file.state.size_seen)
    }

    /// Whether this file was not read up to `to` yet, but will be.
    pub fn is_being_read(&self, key: FileKey, to: u64, now: Instant) -> bool {
        let file = self.files.get(&key);
        let Some(file) = file.filter(|file| file.position < to && !self.refused.contains_key(&file.path)) else {
            return false;
        };
        let stat = file.file().and_then(|open| rustix::fs::fstat(open).ok());
        let seen = stat.map(|stat| {
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            (size, stat.st_mtime, stat.st_mtime_nsec as u32)
        });
        let is_held = self.held.contains(&key);
        if seen.is_none() || file.read_at != seen {
            return is_held || self.is_queued(key);
        }
        // What is left is no whole line: it is read when nobody has gone on with it for a while.
        let silent_since = file.renamed.map(|renamed| renamed.max(file.last_data));
        let may_end = |since| now.saturating_duration_since(since) < LEFT_UNREAD * UNFINISHED_QUIET;
        is_held && silent_since.is_some_and(may_end)
    }

    /// The file of which an archive of what was never seen is, if one is gone of which nothing was read: by its name, and
    /// because it is not longer. All of the archive is read anyway; but nothing is told to be lost that is read.
    pub fn unread_original(&self, suspect: &Suspect, length: Option<u64>) -> Option<Row> {
        let name = suspect.path.file_name()?;
        let unread = self
            .pasts
            .waiting()
            .filter(|past| past.source == suspect.source && past.is_unread() && !past.is_at_its_path());
        let may_be_its = unread.filter(|past| {
            let is_longer = length.is_some_and(|length| length < past.state.size_seen);
            !is_longer && past.names().any(|original| discover::is_generation(name, original))
        });
        // Of several the one whose length is the nearest.
        may_be_its.max_by_key(|past| past.state.size_seen).map(|past| past.row)
    }

    /// Whether an archive holds what one of the files that it is called after begins with: it was made while that one went
    /// on being written (`gzip -c app.log > app.log.gz`).
    pub fn is_of_what_grew(&mut self, suspect: &Suspect, file: &File, proof: &Proof) -> bool {
        let Some((length, tail)) = proof.end() else {
            return false;
        };
        let head = archive_head(file).unwrap_or_default();
        let begins_at = length - tail.len() as u64;
        let keys = self.originals_of(suspect.source, &suspect.path, suspect.inode);
        keys.into_iter().any(|key| {
            let begins_alike = self.begins_alike(key, &head);
            let open = self.files.get(&key).and_then(|file| file.file());
            let there = open.and_then(|open| identity::read_at(open, begins_at, tail.len()).ok());
            begins_alike && there.is_some_and(|there| there == tail)
        })
    }

    /// Whether the archive that is known may hold what was not read of a file that is gone: the last process may have
    /// been killed after it had committed the one, and before the other.
    pub fn may_end_a_past(&self, suspect: &Suspect) -> bool {
        let name = suspect.path.file_name().unwrap_or_default();
        self.pasts.waiting().any(|past| {
            let is_theirs = past.source == suspect.source && !past.is_of(suspect.inode, &suspect.path);
            is_theirs && past.names().any(|original| discover::is_generation(name, original))
        })
    }
}
