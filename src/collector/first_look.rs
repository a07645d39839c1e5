//! What there was when the program was started, for sources that are read from the end.
//!
//! Deciding where thousands of files begin takes a while (each is opened, its head and tail are hashed); a line that is
//! written meanwhile is no old one. So all sizes are taken first, by one quick walk, before a state is made; and where
//! something was written between the start and that walk, the last line is that.

use super::{Globs, ReadFrom, Source};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

/// Files by device and inode.
#[derive(Debug)]
pub struct FirstLook {
    /// When the program was started.
    pub began: SystemTime,
    seen: HashMap<(u64, u64), Seen>,
    taken: bool,
}

/// A file that was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub size: u64,
    /// It was written to since the start.
    pub written: bool,
}

impl FirstLook {
    /// Nothing has been looked at yet.
    pub fn began(began: SystemTime) -> Self {
        Self {
            began,
            seen: HashMap::new(),
            taken: false,
        }
    }

    /// Looks at these sources, unless it has looked before. A file that is not there, or a glob that is none, is somebody
    /// else's question.
    pub fn take<'a>(&mut self, sources: impl Iterator<Item = &'a Source>) {
        if std::mem::replace(&mut self.taken, true) {
            return;
        }
        for source in sources.filter(|source| source.read_from == ReadFrom::End) {
            let Ok(globs) = Globs::new(&source.paths, &source.exclude) else {
                continue;
            };
            let mut found = super::discover::Found::default();
            globs.walk(&mut found);
            for metadata in found.paths.iter().filter_map(|path| path.metadata().ok()) {
                let seen = Seen {
                    size: metadata.size(),
                    // The clock of file systems is late by a tick: never early.
                    written: metadata.modified().is_ok_and(|written| written >= self.began),
                };
                self.seen.insert((metadata.dev(), metadata.ino()), seen);
            }
        }
    }

    /// This file as it was then; none: it was not there.
    pub fn of(&self, inode: (u64, u64)) -> Option<Seen> {
        self.seen.get(&inode).copied()
    }

    /// From now on whatever is found was not there.
    pub fn forget(&mut self) {
        self.seen = HashMap::new();
    }
}

impl Default for FirstLook {
    fn default() -> Self {
        Self::began(SystemTime::UNIX_EPOCH)
    }
}
