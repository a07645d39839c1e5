//! Open files: each followed file holds a descriptor, so that it can be read to its end when it has been renamed or
//! deleted; but no more than the process may have.
//!
//! Beyond that the file that was read longest ago is closed, and opened again, if it is still the same file, when
//! something happens to it. What is deleted in the very moment in which it is written to may then be lost, which is
//! counted as a possible loss.

use super::FileKey;
use super::files::Files;
use super::follow::Life;
use super::origin::open_same;
use super::tracked::Refusal;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

/// Descriptors left to the state, the alerters and their connections.
const RESERVED: usize = 256;

/// Which files are open, in the order in which they were read.
#[derive(Debug)]
pub struct OpenFiles {
    pub max: usize,
    by_turn: BTreeMap<u64, FileKey>,
    next_turn: u64,
}

impl OpenFiles {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            by_turn: BTreeMap::new(),
            next_turn: 0,
        }
    }
}

/// Raises the limit of descriptors as far as may be; how many of them followed files may have.
pub fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Without the right to raise it the old limit holds.
    setrlimit(Resource::Nofile, raised).ok();
    let may_have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let may_have = usize::try_from(may_have).unwrap_or(usize::MAX);
    may_have.saturating_sub(RESERVED).max(may_have / 2)
}

impl Files {
    /// This file was read, or opened, just now; if too many are open, others are closed.
    pub fn note_open(&mut self, key: FileKey) {
        let Some(file) = self.files.get_mut(&key) else { return };
        if let Some(turn) = file.turn.take() {
            self.open.by_turn.remove(&turn);
        }
        if file.file().is_none() {
            return;
        }
        file.turn = Some(self.open.next_turn);
        self.open.by_turn.insert(self.open.next_turn, key);
        self.open.next_turn += 1;
        while self.open.by_turn.len() > self.open.max && self.close_longest_silent(key) {}
    }

    /// It is not open any more, or no longer followed.
    pub fn forget_turn(&mut self, turn: Option<u64>) {
        if let Some(turn) = turn {
            self.open.by_turn.remove(&turn);
        }
    }

    /// False: all others are needed, because they have no name by which they could be opened again.
    fn close_longest_silent(&mut self, but: FileKey) -> bool {
        let can_wait = |key: &FileKey| {
            let file = self.files.get(key);
            *key != but && file.is_none_or(|file| file.life == Life::Named && file.renamed.is_none())
        };
        let longest = self.open.by_turn.iter().find(|(_, key)| can_wait(key));
        let Some((turn, key)) = longest.map(|(turn, key)| (*turn, *key)) else {
            return false;
        };
        self.open.by_turn.remove(&turn);
        if let Some(file) = self.files.get_mut(&key) {
            file.turn = None;
            file.close();
        }
        true
    }

    /// Opens a file again that was closed to spare descriptors; false: it is not there any more, or may not be read.
    pub fn ensure_open(&mut self, key: FileKey) -> bool {
        let Some(file) = self.files.get_mut(&key) else {
            return false;
        };
        if !file.is_closed() || file.state.finished {
            return !file.is_closed();
        }
        let inode = (file.state.identity.dev, file.state.identity.ino);
        match open_same(&file.path, inode).or_else(|error| open_by_inode(&file.path, inode).ok_or(error)) {
            Ok(open) => {
                file.reopen(open);
                self.note_open(key);
                true
            }
            Err(error) => {
                let path = file.path.clone();
                match error.kind() {
                    io::ErrorKind::NotFound => {}
                    io::ErrorKind::PermissionDenied => self.refuse(&path, Refusal::Permission),
                    _ => self.refuse(&path, Refusal::Error(error.to_string())),
                }
                false
            }
        }
    }
}

/// The file of this inode beside `path`: it was renamed to what no glob matches.
fn open_by_inode(path: &Path, inode: (u64, u64)) -> Option<File> {
    let entries = std::fs::read_dir(path.parent()?).ok()?.flatten();
    let mut same = entries.filter(|entry| entry.ino() == inode.1);
    same.find_map(|entry| open_same(&entry.path(), inode).ok())
}
