//! All files that are followed: which are due to be read, and what their names lead to now.
//!
//! Deterministic and without a thread: it is told of news, asked for the next step, and puts events into `out`.
//! Promises: each (source, inode) is read once, whatever paths lead to it; reading is fair, one step a file; a file that
//! was renamed or deleted is read to its end before it is let go.

use super::compressed::is_known_archive;
use super::descriptors::OpenFiles;
use super::discover::Found;
use super::follow::{Followed, Life, Step};
use super::past::Pasts;
use super::suspects::Suspect;
use super::tracked::{CLOCK_TICKS, Refusal, Tracked};
use super::{Appetite, Event, FileKey, FirstLook, ledger};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// So long after its rename and last byte, a last line without newline is complete.
pub const UNFINISHED_QUIET: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Files {
    pub tracked: Vec<Tracked>,
    pub files: BTreeMap<FileKey, Box<Followed>>,
    pub by_inode: HashMap<(usize, u64, u64), FileKey>,
    pub by_path: HashMap<(usize, PathBuf), FileKey>,
    /// Files that were renamed, by the name that they had first.
    pub by_first_name: HashMap<(usize, OsString), BTreeSet<FileKey>>,
    /// Where links lead: news of the target is news of the link.
    pub aliases: HashMap<PathBuf, BTreeSet<PathBuf>>,
    /// Inodes of files that go on in copies since the start, with how often they were truncated: they are not new.
    pub left_by_copies: HashMap<(usize, u64), u32>,
    pub suspects: Vec<Suspect>,
    pub pasts: Pasts,
    pub refused: HashMap<PathBuf, Refusal>,
    pub out: VecDeque<Event>,
    queue: VecDeque<FileKey>,
    pub queued: BTreeSet<FileKey>,
    /// Renamed or deleted: looked at every now and then until they are let go.
    pub held: BTreeSet<FileKey>,
    pub host_id: Arc<str>,
    pub appetite: Arc<Appetite>,
    pub boot_changed: bool,
    pub first_look: FirstLook,
    /// Since then all changes are heard of.
    pub began: SystemTime,
    pub open: OpenFiles,
    /// Paths that are never read: our state, our log.
    pub own: Vec<PathBuf>,
    next_key: u32,
}

impl Files {
    pub fn new(tracked: Vec<Tracked>, host_id: Arc<str>, own: Vec<PathBuf>) -> Self {
        Self {
            tracked,
            files: BTreeMap::new(),
            by_inode: HashMap::new(),
            by_path: HashMap::new(),
            by_first_name: HashMap::new(),
            aliases: HashMap::new(),
            left_by_copies: HashMap::new(),
            suspects: Vec::new(),
            pasts: Pasts::default(),
            refused: HashMap::new(),
            out: VecDeque::new(),
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
            held: BTreeSet::new(),
            host_id,
            appetite: Arc::default(),
            boot_changed: false,
            first_look: FirstLook::default(),
            began: SystemTime::now() - CLOCK_TICKS,
            open: OpenFiles::new(usize::MAX),
            own,
            next_key: 0,
        }
    }

    pub fn new_key(&mut self) -> FileKey {
        self.next_key += 1;
        FileKey(self.next_key)
    }

    /// This file may have something to read.
    pub fn enqueue(&mut self, key: FileKey) {
        if self.queued.insert(key) {
            self.queue.push_back(key);
        }
    }

    pub fn is_queued(&self, key: FileKey) -> bool {
        self.queued.contains(&key)
    }

    /// Takes a file into the set; its `Opened` goes out first.
    pub fn insert(&mut self, file: Followed) {
        let (key, source) = (file.key, file.source);
        let identity = &file.state.identity;
        self.by_inode.insert((source, identity.dev, identity.ino), key);
        self.by_path.insert((source, file.path.clone()), key);
        if let Some(name) = &file.first_name {
            self.by_first_name
                .entry((source, name.clone()))
                .or_default()
                .insert(key);
        }
        if file.life != Life::Named || file.renamed.is_some() {
            self.held.insert(key);
        }
        let is_read = file.read_at.is_some();
        self.files.insert(key, Box::new(file));
        self.note_open(key);
        if !is_read {
            self.enqueue(key);
        }
    }

    /// News of a path: was it written to, or does it lead elsewhere now?
    pub fn note(&mut self, path: &Path, moved: bool, now: Instant) {
        let mut paths = vec![path.to_owned()];
        paths.extend(self.aliases.get(path).into_iter().flatten().cloned());
        for path in paths {
            for source in 0..self.tracked.len() {
                let known = self.by_path.get(&(source, path.clone())).copied();
                match known {
                    Some(key) if !moved => self.enqueue(key),
                    _ if known.is_some() || self.tracked[source].globs.matches(&path) => {
                        self.look(source, &path, now);
                    }
                    _ if moved => self.look_at_generation(source, &path, now),
                    _ => {}
                }
            }
        }
    }

    /// What does this path lead to now?
    pub fn look(&mut self, source: usize, path: &Path, now: Instant) {
        let known = self.by_path.get(&(source, path.to_owned())).copied();
        match std::fs::metadata(path) {
            Ok(metadata) => {
                let key = self.by_inode.get(&(source, metadata.dev(), metadata.ino())).copied();
                let key = key.filter(|key| !self.let_go_if_it_lost_its_inode(*key, path, &metadata));
                if let Some(old) = known.filter(|old| Some(*old) != key) {
                    // Read first what was there before.
                    self.enqueue(old);
                }
                match key {
                    Some(key) => self.seen(key, path, &metadata),
                    None => self.admit(source, path, &metadata, now),
                }
                if let Some(old) = known.filter(|old| Some(*old) != key) {
                    self.check_name(old, now);
                    self.find_between(old, path, now);
                }
            }
            Err(error) => {
                if let Some(old) = known {
                    self.check_name(old, now);
                } else if error.kind() == std::io::ErrorKind::PermissionDenied {
                    self.refuse(path, Refusal::Permission);
                }
            }
        }
    }

    /// Closes a file that is not open, as a known archive is, if `path` leads to another one under its inode; true: so it was.
    /// What is deleted while nobody has it open gives its inode away at once.
    fn let_go_if_it_lost_its_inode(&mut self, key: FileKey, path: &Path, metadata: &Metadata) -> bool {
        let Some(file) = self.files.get_mut(&key) else {
            return false;
        };
        if !file.is_closed() || !file.state.finished || file.read_at == Some(seen_as(metadata)) {
            return false;
        }
        let Ok(open) = super::origin::open(path) else {
            return false;
        };
        if is_known_archive(&file.state, &open, metadata.size()) {
            file.read_at = Some(seen_as(metadata));
            return false;
        }
        self.close(key, None);
        true
    }

    /// A followed file was found under `path`.
    fn seen(&mut self, key: FileKey, path: &Path, metadata: &Metadata) {
        let Some(file) = self.files.get_mut(&key) else { return };
        let changed = file.read_at != Some(seen_as(metadata));
        let leads_here = |path: &Path| {
            std::fs::metadata(path).is_ok_and(|other| (other.dev(), other.ino()) == (metadata.dev(), metadata.ino()))
        };
        if file.path != path && !leads_here(&file.path) {
            self.by_path.remove(&(file.source, file.path.clone()));
            file.renamed = Some(Instant::now());
            let before = std::mem::replace(&mut file.path, path.to_owned());
            let first_name = file.first_name.get_or_insert_with(|| name_of(&before)).clone();
            let named = self.by_first_name.entry((file.source, first_name));
            named.or_default().insert(key);
            file.life = Life::Named;
            self.held.insert(key);
            self.by_path.insert((file.source, file.path.clone()), key);
            self.out.push_back(Event::Changed {
                file: key,
                file_state: Box::new(file.state.clone()),
            });
        } else if file.life != Life::Named {
            file.life = Life::Named;
            file.path = path.to_owned();
            self.by_path.insert((file.source, file.path.clone()), key);
        }
        if changed {
            self.enqueue(key);
        }
    }

    /// Its path does not lead to it any more, or no longer exists: was it renamed or deleted?
    pub fn check_name(&mut self, key: FileKey, now: Instant) {
        let Some(file) = self.files.get(&key) else { return };
        let identity = (file.state.identity.dev, file.state.identity.ino);
        if std::fs::metadata(&file.path).is_ok_and(|found| (found.dev(), found.ino()) == identity) {
            return;
        }
        // Before it is gone for good.
        self.ensure_open(key);
        let Some(file) = self.files.get_mut(&key) else { return };
        if self.by_path.get(&(file.source, file.path.clone())) == Some(&key) {
            self.by_path.remove(&(file.source, file.path.clone()));
        }
        // Copies of it may turn up.
        let first_name = file.first_name.get_or_insert_with(|| name_of(&file.path)).clone();
        let named = self.by_first_name.entry((file.source, first_name));
        named.or_default().insert(key);
        let links = file.links();
        file.life = match file.life {
            Life::Named | Life::Rotated(_) if links == 0 => Life::Deleted(now),
            Life::Named => Life::Rotated(now),
            life @ (Life::Rotated(_) | Life::Deleted(_)) => life,
        };
        file.renamed.get_or_insert(now);
        self.held.insert(key);
        self.enqueue(key);
    }

    /// Compares everything that a walk found with what is followed.
    pub fn reconcile(&mut self, found: &[Found], now: Instant) {
        for (source, found) in found.iter().enumerate() {
            for path in &found.paths {
                self.look(source, path, now);
            }
        }
        let keys: Vec<FileKey> = self.files.keys().copied().collect();
        for key in keys {
            self.check_name(key, now);
        }
    }

    /// Looks at the files whose end is near, and at what is undecided.
    pub fn tick(&mut self, now: Instant) {
        for key in self.held.clone() {
            self.look_at_held(key, now);
        }
        self.resolve_suspects(now);
        self.settle_pasts(now);
    }

    /// Whether [`Files::tick`] has something to do before long.
    pub fn needs_tick(&self) -> bool {
        !self.held.is_empty() || !self.suspects.is_empty() || self.pasts.is_anything_waiting()
    }

    /// Takes a file out of the set, without a word.
    pub fn remove(&mut self, key: FileKey) -> Option<Followed> {
        let file = self.files.remove(&key)?;
        let inode = (file.source, file.state.identity.dev, file.state.identity.ino);
        if self.by_inode.get(&inode) == Some(&key) {
            self.by_inode.remove(&inode);
        }
        let path = (file.source, file.path.clone());
        if self.by_path.get(&path) == Some(&key) {
            self.by_path.remove(&path);
        }
        if let Some(name) = &file.first_name
            && let Entry::Occupied(mut entry) = self.by_first_name.entry((file.source, name.clone()))
        {
            entry.get_mut().remove(&key);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
        self.held.remove(&key);
        self.forget_turn(file.turn);
        Some(*file)
    }

    /// The file whose turn it is; none: nothing to read now, or `Err`: not before so long.
    pub fn next_due(&mut self, now: Instant) -> Result<Option<FileKey>, Duration> {
        let mut shortest: Option<Duration> = None;
        for _ in 0..self.queue.len() {
            let Some(key) = self.queue.pop_front() else { break };
            let source = self.files.get(&key).map(|file| file.source);
            let wait = source.and_then(|source| self.tracked[source].wait(now));
            if let Some(wait) = wait {
                shortest = Some(shortest.map_or(wait, |shortest| shortest.min(wait)));
                self.queue.push_back(key);
                continue;
            }
            self.queued.remove(&key);
            if source.is_some() {
                return Ok(Some(key));
            }
        }
        shortest.map_or(Ok(None), Err)
    }

    /// Reads one step of a file; events go to `out`. True: the buffer went with a chunk.
    pub fn read(&mut self, key: FileKey, buffer: &mut Vec<u8>, now: Instant) -> bool {
        let Some(file) = self.files.get(&key) else { return false };
        let complete = file
            .renamed
            .is_some_and(|since| now.saturating_duration_since(since.max(file.last_data)) >= UNFINISHED_QUIET);
        match self.step(key, buffer, complete) {
            Some(Step::Chunk(chunk)) => {
                let file = self.files.get(&key);
                let is_done = file.is_some_and(|file| file.is_read_whole());
                if let Some(source) = file.map(|file| file.source) {
                    let read = chunk.end_offset.saturating_sub(chunk.offset) as f64;
                    self.tracked[source].tokens -= read;
                }
                self.out.push_back(Event::Chunk(chunk));
                if !is_done {
                    self.enqueue(key);
                }
                return true;
            }
            Some(Step::Idle) => match self.files.get(&key).filter(|file| file.is_archive()) {
                Some(file) if file.is_exhausted() => self.close(key, None),
                Some(_) => self.enqueue(key),
                None => {}
            },
            Some(Step::Restarted) => self.restart(key, now),
            Some(Step::Compressed) => self.reclassify(key, now),
            None => {}
        }
        false
    }

    pub fn step(&mut self, key: FileKey, buffer: &mut Vec<u8>, ended: bool) -> Option<Step> {
        if self.ensure_open(key) {
            self.note_open(key);
        }
        let file = self.files.get_mut(&key)?;
        let limits = self.tracked[file.source].limits();
        file.chunk_bytes = self.appetite.chunk_bytes();
        match file.step(buffer, limits, &self.host_id, ended) {
            Ok(step) => Some(step),
            Err(error) => {
                let path = file.path.clone();
                let torn = file.is_archive();
                self.refuse(&path, Refusal::Error(error.to_string()));
                if torn {
                    self.close(key, Some(ledger::lost::UNREADABLE));
                }
                None
            }
        }
    }

    /// Whether something may still be read without a new event: a copy or an archive that may still grow.
    pub fn is_undecided(&self) -> bool {
        !self.suspects.is_empty() || !self.queue.is_empty() || self.pasts.is_anything_waiting()
    }

    /// How long until a throttled file may be read; none: nothing waits.
    pub fn next_due_in(&mut self, now: Instant) -> Option<Duration> {
        let queue = &self.queue;
        let waiting: BTreeSet<usize> = queue
            .iter()
            .filter_map(|key| Some(self.files.get(key)?.source))
            .collect();
        waiting
            .into_iter()
            .map(|source| self.tracked[source].wait(now).unwrap_or_default())
            .min()
    }
}

/// By what it is seen that a file was written to: its size, and when it was modified.
pub fn seen_as(metadata: &Metadata) -> (u64, i64, u32) {
    (metadata.size(), metadata.mtime(), metadata.mtime_nsec() as u32)
}

pub fn name_of(path: &Path) -> OsString {
    path.file_name().unwrap_or_default().to_owned()
}
