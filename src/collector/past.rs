//! What was read and ended: incarnations that may turn up again under another name, as a copy, or compressed.
//!
//! A copy-and-truncate rotation leaves what we had not read yet in the copy; a compressing one in the archive; and what
//! the last process left may have been renamed meanwhile. An incarnation that ended with unread bytes waits here for a
//! while before they count as lost.

use super::identity::{self, Match};
use super::{FileKey, FileState, Resume, Row, discover};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Finished incarnations kept to recognise their copies and archives; older ones are forgotten.
pub const PAST_MAX: usize = 4096;

#[derive(Debug)]
pub struct Past {
    pub source: usize,
    pub path: PathBuf,
    pub resume: Resume,
    pub state: FileState,
    pub row: Row,
    /// Its key, while the analyzer still waits for its end.
    pub open: Option<FileKey>,
    /// Until then its unread bytes may turn up; none: there are none, or they have been given up.
    pub until: Option<Instant>,
    /// Its directory was searched for what it left; once is enough.
    pub searched: bool,
}

/// How a file goes on what was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognised {
    /// The very file, or one that holds all that was read.
    Same,
    /// The very file, but its tail went with the power.
    PowerCut,
    /// A copy of what it held before it was truncated in place, made when we had read further already.
    PartialCopy,
}

#[derive(Debug, Default)]
pub struct Pasts {
    list: VecDeque<Past>,
}

impl Pasts {
    pub fn push(&mut self, past: Past) {
        self.list.push_back(past);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Past> {
        self.list.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Past> {
        self.list.iter_mut()
    }

    pub fn take(&mut self, row: Row) -> Option<Past> {
        let at = self.list.iter().position(|past| past.row == row)?;
        self.list.remove(at)
    }

    /// Drops the oldest finished ones above the bound.
    pub fn take_surplus(&mut self) -> Option<Past> {
        if self.list.len() <= PAST_MAX {
            return None;
        }
        let at = self.list.iter().position(|past| past.until.is_none())?;
        self.list.remove(at)
    }

    /// The incarnation that this file goes on, if any: by inode, then by path, then by name and content.
    pub fn recognise(
        &self,
        source: usize,
        path: &Path,
        file: &File,
        boot_changed: bool,
    ) -> io::Result<Option<(Row, Recognised)>> {
        let stat = rustix::fs::fstat(file)?;
        let (device, inode) = (stat.st_dev, stat.st_ino);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mut best: Option<(u8, Row, Recognised)> = None;
        for past in self.list.iter().filter(|past| past.source == source) {
            let known = &past.state.identity;
            let name = path.file_name().unwrap_or_default();
            let is_generation = past
                .path
                .file_name()
                .is_some_and(|past| discover::is_generation(name, past));
            let nearness = if known.ino == inode && known.dev == device {
                4
            } else if known.ino == inode && (past.path == path || identity::is_network(path)) {
                3
            } else if known.tail_end == 0 {
                // Nothing was read of it: nothing to go on with in another file.
                continue;
            } else if past.path == path {
                2
            } else if is_generation {
                1
            } else {
                continue;
            };
            let content = known.holds(size, |offset, length| identity::read_at(file, offset, length))?;
            let recognised = match content {
                Match::Same => Recognised::Same,
                Match::Shorter { head_known: true } if boot_changed && nearness >= 3 && known.head_len > 0 => {
                    Recognised::PowerCut
                }
                Match::Shorter { head_known: true } if nearness == 1 && past.was_truncated_in_place() => {
                    Recognised::PartialCopy
                }
                Match::Shorter { .. } | Match::Differs => continue,
            };
            // Of two of the same inode the one that is still being read, and of those the one that was read further.
            let rank = match recognised {
                Recognised::Same | Recognised::PowerCut => nearness * 2 + u8::from(!past.state.finished),
                Recognised::PartialCopy => 0,
            };
            if best.is_none_or(|(best, ..)| rank > best) {
                best = Some((rank, past.row, recognised));
            }
        }
        Ok(best.map(|(_, row, recognised)| (row, recognised)))
    }
}

impl Past {
    /// Only then a shorter file that begins alike is a copy: a file that was renamed leaves none behind.
    fn was_truncated_in_place(&self) -> bool {
        let known = &self.state.identity;
        let its_name_leads_to_it = || std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == known.ino);
        known.head_len > 0 && (self.open.is_some() || its_name_leads_to_it())
    }

    /// Looks beside its last path for the file itself under a name that no glob matches, and for copies of it.
    pub fn candidates(&self) -> Vec<PathBuf> {
        let target = discover::link_target(&self.path);
        let parents = [Some(self.path.as_path()), target.as_deref()];
        let mut found = Vec::new();
        for path in parents.into_iter().flatten() {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
                use std::os::unix::fs::DirEntryExt;
                let itself = entry.ino() == self.state.identity.ino;
                if itself || discover::is_generation(&entry.file_name(), name) {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}
