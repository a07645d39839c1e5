//! What was read and ended: incarnations that may turn up again under another name, as a copy, or compressed.
//!
//! A copy-and-truncate rotation leaves what we had not read yet in the copy; a compressing one in the archive; and what
//! the last process left may have been renamed meanwhile. An incarnation that ended with unread bytes waits here for a
//! while before they count as lost.

use super::identity::{self, HEAD_BYTES, Match};
use super::{FileKey, FileState, Resume, Resumed, Row, discover};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::Hash;
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
    /// The name under which it was found first, where that is another.
    pub first_name: Option<OsString>,
    pub resume: Resume,
    pub state: FileState,
    pub row: Row,
    /// Its key, while the analyzer still waits for its end.
    pub open: Option<FileKey>,
    /// Until then its unread bytes may turn up; none: there are none, or they have been given up.
    pub until: Option<Instant>,
    /// How often its directory was searched for what it left.
    pub searches: u8,
}

/// Whether the host was started again since the state was committed.
#[derive(Debug, Clone, Copy)]
pub enum Boot<'a> {
    Same,
    Changed { host_id: &'a str },
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

/// All of them, oldest first; found by row, inode and file name, as after a start there is one for each file.
#[derive(Debug, Default)]
pub struct Pasts {
    list: BTreeMap<u64, Past>,
    by_row: HashMap<Row, u64>,
    by_inode: HashMap<u64, BTreeSet<u64>>,
    by_name: HashMap<OsString, BTreeSet<u64>>,
    /// Those whose unread bytes may still turn up.
    waiting: BTreeSet<u64>,
    next: u64,
}

impl Pasts {
    pub fn push(&mut self, past: Past) {
        let number = self.next;
        self.next += 1;
        self.by_row.insert(past.row, number);
        self.by_inode.entry(past.state.identity.ino).or_default().insert(number);
        for name in past.names() {
            self.by_name.entry(name.to_owned()).or_default().insert(number);
        }
        if past.until.is_some() {
            self.waiting.insert(number);
        }
        self.list.insert(number, past);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Past> {
        self.list.values()
    }

    pub fn get(&self, row: Row) -> Option<&Past> {
        self.list.get(self.by_row.get(&row)?)
    }

    /// Those that have this inode number, oldest first.
    pub fn of_inode(&self, inode: u64) -> impl Iterator<Item = &Past> {
        let numbers = self.by_inode.get(&inode).into_iter().flatten();
        numbers.filter_map(|number| self.list.get(number))
    }

    /// Those whose unread bytes may still turn up.
    pub fn waiting(&self) -> impl Iterator<Item = &Past> {
        self.waiting.iter().filter_map(|number| self.list.get(number))
    }

    pub fn is_anything_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// It has been searched for once more; until then its unread bytes may still turn up.
    pub fn wait_on(&mut self, row: Row, until: Instant) {
        if let Some(past) = self.by_row.get(&row).and_then(|number| self.list.get_mut(number)) {
            (past.searches, past.until) = (past.searches + 1, Some(until));
        }
    }

    /// Its inode holds something else now.
    pub fn note_truncated(&mut self, row: Row) {
        if let Some(past) = self.by_row.get(&row).and_then(|number| self.list.get_mut(number)) {
            past.state.truncated = true;
        }
    }

    pub fn take(&mut self, row: Row) -> Option<Past> {
        let number = *self.by_row.get(&row)?;
        self.remove(number)
    }

    /// Drops the oldest finished ones above the bound.
    pub fn take_surplus(&mut self) -> Option<Past> {
        if self.list.len() <= PAST_MAX {
            return None;
        }
        let oldest = self.list.keys().find(|number| !self.waiting.contains(number));
        oldest.copied().and_then(|number| self.remove(number))
    }

    fn remove(&mut self, number: u64) -> Option<Past> {
        let past = self.list.remove(&number)?;
        self.by_row.remove(&past.row);
        self.waiting.remove(&number);
        take_from(&mut self.by_inode, &past.state.identity.ino, number);
        for name in past.names() {
            take_from(&mut self.by_name, name, number);
        }
        Some(past)
    }

    /// Those whose name the file called `name` may have had.
    fn named<'a>(&'a self, name: &'a OsStr) -> impl Iterator<Item = &'a Past> {
        let originals = name.to_str().map(discover::originals).unwrap_or_default();
        let names = originals.into_iter().map(OsString::from).chain([name.to_owned()]);
        let numbers: BTreeSet<u64> = names
            .filter_map(|name| self.by_name.get(&name))
            .flatten()
            .copied()
            .collect();
        numbers.into_iter().filter_map(|number| self.list.get(&number))
    }

    /// The incarnation that this file goes on, if any: by inode, then by path, then by name and content.
    pub fn recognise(
        &self,
        source: usize,
        path: &Path,
        file: &File,
        boot: Boot<'_>,
    ) -> io::Result<Option<(Row, Recognised)>> {
        let found = Candidate::new(path, file, boot)?;
        let mut best: Option<(u8, Row, Recognised)> = None;
        for past in self.of_inode(found.inode.1).filter(|past| past.source == source) {
            found.compare(past, &mut best)?;
        }
        // Nothing of another inode comes nearer. There may be ten thousand of one name, one in each directory.
        if best.is_none_or(|(rank, ..)| rank < RANK_OF_ITSELF) {
            let head = identity::read_at(file, 0, HEAD_BYTES)?;
            let others = self.named(found.name).filter(|past| {
                past.source == source && past.state.identity.ino != found.inode.1 && past.may_begin_with(&head)
            });
            for past in others {
                found.compare(past, &mut best)?;
            }
        }
        Ok(best.map(|(_, row, recognised)| (row, recognised)))
    }
}

/// The rank of the very file is at least that, of a file of another inode it is lower.
const RANK_OF_ITSELF: u8 = 6;

/// A file that may go on what was read before.
struct Candidate<'a> {
    path: &'a Path,
    name: &'a OsStr,
    file: &'a File,
    inode: (u64, u64),
    size: u64,
    boot: Boot<'a>,
}

impl<'a> Candidate<'a> {
    fn new(path: &'a Path, file: &'a File, boot: Boot<'a>) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self {
            path,
            name: path.file_name().unwrap_or_default(),
            file,
            inode: (stat.st_dev, stat.st_ino),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            boot,
        })
    }

    /// How near it is to what was read: 4 is the very file.
    fn nearness_to(&self, past: &Past) -> Option<u8> {
        let known = &past.state.identity;
        if (known.dev, known.ino) == self.inode {
            Some(4)
        } else if past.is_of(self.inode, self.path) {
            Some(3)
        } else if known.tail_end == 0 {
            // Nothing was read of it: nothing to go on with in another file.
            None
        } else if past.path == self.path {
            Some(2)
        } else {
            past.names()
                .any(|past| discover::is_generation(self.name, past))
                .then_some(1)
        }
    }

    /// Takes `past` for the best if the file goes it on, and nothing nearer was found.
    fn compare(&self, past: &Past, best: &mut Option<(u8, Row, Recognised)>) -> io::Result<()> {
        let known = &past.state.identity;
        if known.tail_end == 0 && (past.state.finished || self.size < past.state.size_seen) {
            // Nothing was read of it, and what it held is gone: nothing to go on with.
            return Ok(());
        }
        let Some(nearness) = self.nearness_to(past) else {
            return Ok(());
        };
        let content = known.holds(self.size, |offset, length| identity::read_at(self.file, offset, length))?;
        let recognised = match content {
            Match::Same => Recognised::Same,
            Match::Shorter { head_known, .. }
                if nearness >= 3 && past.may_be_cut(head_known, self.file, self.boot)? =>
            {
                Recognised::PowerCut
            }
            Match::Shorter { is_prefix: true, .. } if nearness == 1 && past.was_truncated_in_place() => {
                Recognised::PartialCopy
            }
            Match::Shorter { .. } | Match::Differs => return Ok(()),
        };
        // Of two of the same inode the one that is still being read, and of those the one that was read further.
        let rank = match recognised {
            Recognised::Same | Recognised::PowerCut => nearness * 2 + u8::from(!past.state.finished),
            Recognised::PartialCopy => 0,
        };
        if best.is_none_or(|(best, ..)| rank > best) {
            *best = Some((rank, past.row, recognised));
        }
        Ok(())
    }
}

fn take_from<K, Q>(index: &mut HashMap<K, BTreeSet<u64>>, key: &Q, number: u64)
where
    K: Hash + Eq + Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    if let Some(numbers) = index.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            index.remove(key);
        }
    }
}

impl Past {
    /// What the state knows of a file, at the start.
    pub fn resumed(source: usize, resumed: Resumed, until: Instant) -> Self {
        Self {
            source,
            path: resumed.path,
            first_name: None,
            until: (!resumed.file_state.finished).then_some(until),
            resume: resumed.resume,
            state: resumed.file_state,
            row: Row::Stored(resumed.row),
            open: None,
            searches: 0,
        }
    }

    /// Its name, and the one that it had first.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        let name = self.path.file_name().unwrap_or_default();
        [Some(name), self.first_name.as_deref()].into_iter().flatten()
    }

    /// No source wanted it: neither ended nor given up.
    pub fn is_set_aside(&self) -> bool {
        self.open.is_some() && self.until.is_none() && !self.state.finished
    }

    /// Whether a file that begins with `head` may hold what was read; if it is shorter than what is known, it may.
    fn may_begin_with(&self, head: &[u8]) -> bool {
        let known = &self.state.identity;
        let length = known.head_len as usize;
        let begins_alike = length > head.len() || identity::content_hash(&head[..length]) == known.head_hash;
        begins_alike || head.iter().all(|byte| *byte == 0)
    }

    /// It was seen before it went, but nothing of it was read.
    pub fn is_unread(&self) -> bool {
        self.until.is_some() && self.state.identity.tail_end == 0
    }

    /// Whether its inode is the one that `path` leads to. Device numbers of network file systems change at mount.
    pub fn is_of(&self, (device, inode): (u64, u64), path: &Path) -> bool {
        let known = &self.state.identity;
        known.ino == inode && (known.dev == device || self.path == path || identity::is_network(path))
    }

    /// Whether its path still leads to its inode.
    pub fn is_at_its_path(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.state.identity.ino)
    }

    /// Whether its tail may have gone with the power: its head is there, or its first line at least.
    fn may_be_cut(&self, head_known: bool, file: &File, boot: Boot<'_>) -> io::Result<bool> {
        let Boot::Changed { host_id } = boot else {
            return Ok(false);
        };
        if head_known && self.state.identity.head_len > 0 {
            return Ok(true);
        }
        let head = identity::read_at(file, 0, identity::HEAD_BYTES)?;
        Ok(self.state.is_named_by(host_id, &head))
    }

    /// Only then a shorter file that begins alike is a copy: a file that was renamed leaves none behind.
    pub fn was_truncated_in_place(&self) -> bool {
        let was_truncated = self.state.truncated || self.is_at_its_path();
        self.state.identity.head_len > 0 && was_truncated
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
            let names = [Some(name), self.first_name.as_deref()];
            for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
                use std::os::unix::fs::DirEntryExt;
                let itself = entry.ino() == self.state.identity.ino;
                let is_generation = |name: &OsStr| discover::is_generation(&entry.file_name(), name);
                if itself || names.into_iter().flatten().any(is_generation) {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}
