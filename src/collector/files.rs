//! All files that are followed: which are due to be read, and what their names lead to now.
//!
//! Deterministic and without a thread: it is told of news, asked for the next step, and puts events into `out`.
//! Promises: each (source, inode) is read once, whatever paths lead to it; reading is fair, one step a file; a file that
//! was renamed or deleted is read to its end before it is let go.

use super::discover::{Found, Globs};
use super::follow::{Content, Followed, Life, Step};
use super::lines::Limits;
use super::origin::Suspect;
use super::past::{Past, Pasts};
use super::{Event, FileKey, Row, Source, ledger};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A deleted file is let go when it has been silent for so long: its disk space is waited for.
const DELETED_QUIET: Duration = Duration::from_secs(2);
/// A renamed file may be written to until its writer is told: some take minutes.
const ROTATED_QUIET: Duration = Duration::from_secs(300);
/// So long after its rename and last byte, a last line without newline is complete.
const UNFINISHED_QUIET: Duration = Duration::from_secs(5);
/// Unread bytes of a truncated file may turn up in a copy for so long.
pub const COPY_GRACE: Duration = Duration::from_secs(5);

/// A source as it is being followed.
#[derive(Debug)]
pub struct Tracked {
    pub source: Source,
    pub globs: Globs,
    /// Files born before are read from where `read_from` says.
    pub first_start: SystemTime,
    /// Bytes that may be read now, at `read_rate`.
    tokens: f64,
    refilled: Instant,
}

/// Why a path is not read; told once, until it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Permission,
    NoRegularFile,
    OurOwn,
    UnreadableArchive,
    Error(String),
}

#[derive(Debug)]
pub struct Files {
    pub tracked: Vec<Tracked>,
    pub files: BTreeMap<FileKey, Followed>,
    pub by_inode: HashMap<(usize, u64, u64), FileKey>,
    pub by_path: HashMap<(usize, PathBuf), FileKey>,
    /// Where links lead: news of the target is news of the link.
    pub aliases: HashMap<PathBuf, BTreeSet<PathBuf>>,
    pub suspects: Vec<Suspect>,
    pub pasts: Pasts,
    pub refused: HashMap<PathBuf, Refusal>,
    pub out: VecDeque<Event>,
    queue: VecDeque<FileKey>,
    queued: BTreeSet<FileKey>,
    /// Renamed or deleted: looked at every now and then until they are let go.
    held: BTreeSet<FileKey>,
    pub host_id: Arc<str>,
    pub boot_changed: bool,
    /// Paths that are never read: our state, our log.
    pub own: Vec<PathBuf>,
    next_key: u32,
}

impl Tracked {
    pub fn new(source: Source, globs: Globs, first_start: SystemTime) -> Self {
        Self {
            source,
            globs,
            first_start,
            tokens: 0.0,
            refilled: Instant::now(),
        }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            newline: self.source.newline,
            max_line_bytes: self.source.max_line_bytes,
        }
    }

    /// What its globs name now.
    pub fn walked(&self) -> Found {
        let mut found = Found::default();
        self.globs.walk(&mut found);
        found
    }

    /// How long to wait until the source may read again.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        if self.source.read_rate == 0 {
            return None;
        }
        let rate = self.source.read_rate as f64;
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        // A second's worth may be saved up.
        self.tokens = (self.tokens + elapsed * rate).min(rate);
        (self.tokens < 0.0).then(|| Duration::from_secs_f64((-self.tokens / rate).min(60.0)))
    }
}

impl Refusal {
    /// Whether it is worth trying again by the clock.
    pub fn is_passing(&self) -> bool {
        match self {
            Refusal::Permission | Refusal::Error(_) => true,
            Refusal::NoRegularFile | Refusal::OurOwn | Refusal::UnreadableArchive => false,
        }
    }
}

impl Files {
    pub fn new(tracked: Vec<Tracked>, host_id: Arc<str>, own: Vec<PathBuf>) -> Self {
        Self {
            tracked,
            files: BTreeMap::new(),
            by_inode: HashMap::new(),
            by_path: HashMap::new(),
            aliases: HashMap::new(),
            suspects: Vec::new(),
            pasts: Pasts::default(),
            refused: HashMap::new(),
            out: VecDeque::new(),
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
            held: BTreeSet::new(),
            host_id,
            boot_changed: false,
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
        if file.life != Life::Named {
            self.held.insert(key);
        }
        self.files.insert(key, file);
        self.enqueue(key);
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
                if key.is_none() || known != key {
                    if let Some(old) = known {
                        // Read first what was there before.
                        self.enqueue(old);
                    }
                }
                match key {
                    Some(key) => self.seen(key, path, &metadata),
                    None => self.admit(source, path, &metadata, now),
                }
                if let Some(old) = known.filter(|old| Some(*old) != key) {
                    self.check_name(old, now);
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

    /// A followed file was found under `path`.
    fn seen(&mut self, key: FileKey, path: &Path, metadata: &Metadata) {
        let Some(file) = self.files.get_mut(&key) else { return };
        let changed = file.read_at != Some((metadata.size(), metadata.mtime(), metadata.mtime_nsec() as u32));
        let leads_here = |path: &Path| {
            std::fs::metadata(path).is_ok_and(|other| (other.dev(), other.ino()) == (metadata.dev(), metadata.ino()))
        };
        if file.path != path && !leads_here(&file.path) {
            self.by_path.remove(&(file.source, file.path.clone()));
            file.renamed = Some(Instant::now());
            file.path = path.to_owned();
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
        let Some(file) = self.files.get_mut(&key) else { return };
        let identity = (file.state.identity.dev, file.state.identity.ino);
        if std::fs::metadata(&file.path).is_ok_and(|found| (found.dev(), found.ino()) == identity) {
            return;
        }
        if self.by_path.get(&(file.source, file.path.clone())) == Some(&key) {
            self.by_path.remove(&(file.source, file.path.clone()));
        }
        let links = match file.file() {
            Some(open) => rustix::fs::fstat(open).map_or(0, |stat| stat.st_nlink),
            None => 0,
        };
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
        !self.held.is_empty() || !self.suspects.is_empty() || self.pasts.iter().any(|past| past.until.is_some())
    }

    fn look_at_held(&mut self, key: FileKey, now: Instant) {
        let Some(file) = self.files.get_mut(&key) else {
            self.held.remove(&key);
            return;
        };
        let stat = file.file().and_then(|open| rustix::fs::fstat(open).ok());
        let size = stat.as_ref().map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
        let read_at = stat
            .as_ref()
            .map(|stat| (size, stat.st_mtime, stat.st_mtime_nsec as u32));
        if (read_at.is_some() && file.read_at != read_at) || self.queued.contains(&key) {
            self.enqueue(key);
            return;
        }
        if stat.is_some_and(|stat| stat.st_nlink == 0) && !matches!(file.life, Life::Deleted(_)) {
            file.life = Life::Deleted(now);
        }
        let quiet = |since: Instant, long: Duration| now.saturating_duration_since(since.max(file.last_data)) >= long;
        let unfinished = size > file.position;
        match file.life {
            Life::Deleted(since) if quiet(since, DELETED_QUIET) => self.let_go(key),
            Life::Rotated(since) if quiet(since, ROTATED_QUIET) => self.let_go(key),
            Life::Named | Life::Rotated(_) | Life::Deleted(_) => {
                let complete = file.renamed.is_some_and(|since| quiet(since, UNFINISHED_QUIET));
                if complete && unfinished {
                    // The step sees that it has been renamed long enough.
                    self.enqueue(key);
                } else if complete && file.life == Life::Named {
                    self.held.remove(&key);
                }
            }
        }
    }

    /// A held file is read to its end, unfinished line and all, and closed.
    fn let_go(&mut self, key: FileKey) {
        let mut buffer = Vec::new();
        while let Some(Step::Chunk(chunk)) = self.step(key, &mut buffer, true) {
            self.out.push_back(Event::Chunk(chunk));
        }
        self.close(key, None);
    }

    /// No more data of this file will come; what is unread is lost for `reason`.
    pub fn close(&mut self, key: FileKey, reason: Option<&'static str>) {
        let Some(mut file) = self.remove(key) else { return };
        file.state.finished = true;
        file.state
            .ledger
            .lose(reason.unwrap_or(ledger::lost::DELETED), file.unread_bytes());
        let file_state = Box::new(file.state.clone());
        self.out.push_back(Event::Closed { file: key, file_state });
        self.pasts.push(past_of(file, None, None));
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
        self.held.remove(&key);
        Some(file)
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
                if let Some(file) = self.files.get(&key) {
                    let read = chunk.end_offset.saturating_sub(chunk.offset) as f64;
                    self.tracked[file.source].tokens -= read;
                }
                self.out.push_back(Event::Chunk(chunk));
                self.enqueue(key);
                return true;
            }
            Some(Step::Idle) => match self.files.get(&key).filter(|file| file.is_archive()) {
                Some(file) if file.is_exhausted() => self.close(key, None),
                Some(_) => self.enqueue(key),
                None => {}
            },
            Some(Step::Restarted) => self.restart(key, now),
            None => {}
        }
        false
    }

    fn step(&mut self, key: FileKey, buffer: &mut Vec<u8>, ended: bool) -> Option<Step> {
        let file = self.files.get_mut(&key)?;
        let limits = self.tracked[file.source].limits();
        if file.is_closed() && !file.state.finished {
            match std::fs::File::open(&file.path) {
                Ok(open) => file.set_content(Content::File(open)),
                Err(error) => log::debug!("opening {} again: {error}", file.path.display()),
            }
        }
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

    /// The file was truncated or rewritten in place: this incarnation waits for a copy to turn up, the next one begins.
    fn restart(&mut self, key: FileKey, now: Instant) {
        let Some(mut file) = self.remove(key) else { return };
        if file.is_archive() {
            // It is no archive of what it was taken for.
            file.state.finished = true;
            self.out.push_back(Event::Closed {
                file: key,
                file_state: Box::new(file.state),
            });
            return;
        }
        log::info!(
            "{}: truncated or rewritten; reading from its beginning",
            file.path.display()
        );
        file.state.truncations += 1;
        let truncations = file.state.truncations;
        file.state.ledger.possible_losses += 1;
        let Some(open) = file.file().and_then(|open| open.try_clone().ok()) else {
            return;
        };
        let (source, path, life, identity) = (file.source, file.path.clone(), file.life, file.state.identity.clone());
        let old = past_of(file, Some(key), Some(now + COPY_GRACE));
        self.pasts.push(old);
        let new = self.new_key();
        let mut next = super::origin::fresh(new, source, path, Content::File(open), (identity.dev, identity.ino));
        next.state.truncations = truncations;
        next.life = life;
        self.out
            .push_back(Event::Opened(Box::new(next.opened(&self.tracked[source].source.name))));
        self.insert(next);
        self.find_elsewhere(Row::File(key), now);
    }

    /// Tries again what could not be read.
    pub fn retry_refused(&mut self, now: Instant) {
        let paths = self
            .refused
            .iter()
            .filter(|(_, refusal)| refusal.is_passing())
            .map(|(path, _)| path.clone());
        for path in paths.collect::<Vec<_>>() {
            if path.symlink_metadata().is_err() {
                self.refused.remove(&path);
            }
            self.note(&path, true, now);
        }
    }

    /// Whether something may still be read without a new event: a copy or an archive that may still grow.
    pub fn is_undecided(&self) -> bool {
        !self.suspects.is_empty() || !self.queue.is_empty() || self.pasts.iter().any(|past| past.until.is_some())
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

    /// Takes over changed sources; files of those that are gone are closed.
    pub fn change_sources(&mut self, sources: Vec<Source>) -> Result<(), String> {
        let compiled = sources
            .into_iter()
            .map(|source| Ok((Globs::new(&source.paths, &source.exclude)?, source)));
        let mut compiled: Vec<(Globs, Source)> = compiled.collect::<Result<_, String>>()?;
        let mut gone = BTreeSet::new();
        for (index, tracked) in self.tracked.iter_mut().enumerate() {
            match compiled
                .iter()
                .position(|(_, source)| source.name == tracked.source.name)
            {
                Some(at) => (tracked.globs, tracked.source) = compiled.swap_remove(at),
                None => {
                    tracked.globs = Globs::new(&[], &[])?;
                    gone.insert(index);
                }
            }
        }
        for (globs, source) in compiled {
            self.tracked.push(Tracked::new(source, globs, SystemTime::now()));
        }
        let closed: Vec<FileKey> = self
            .files
            .values()
            .filter(|file| gone.contains(&file.source))
            .map(|file| file.key)
            .collect();
        for key in closed {
            if let Some(file) = self.remove(key) {
                self.out.push_back(Event::Closed {
                    file: key,
                    file_state: Box::new(file.state),
                });
            }
        }
        Ok(())
    }

    /// Says once why a path is not read.
    pub fn refuse(&mut self, path: &Path, refusal: Refusal) {
        if self.refused.get(path) == Some(&refusal) {
            return;
        }
        let path_text = path.display();
        match &refusal {
            Refusal::Permission => log::warn!(
                "reading {path_text}: permission denied; add the user to the group that may read it \
                 (often: usermod -aG adm USER); it is tried again"
            ),
            Refusal::NoRegularFile => {
                log::warn!("{path_text} is not followed: not a regular file (FIFO, socket or device)")
            }
            Refusal::OurOwn => log::warn!("{path_text} is not followed: it is written by this program"),
            Refusal::UnreadableArchive => log::info!("{path_text} is not read: only .gz and .zst can be decompressed"),
            Refusal::Error(error) => log::warn!("reading {path_text}: {error}; it is tried again"),
        }
        self.refused.insert(path.to_owned(), refusal);
    }
}

/// What is left of a file that is no longer read.
pub fn past_of(file: Followed, open: Option<FileKey>, until: Option<Instant>) -> Past {
    let resume = super::Resume {
        offset: file.position,
        committed_to: file.position,
        ..file.resume.clone()
    };
    Past {
        source: file.source,
        row: Row::File(file.key),
        path: file.path,
        resume,
        state: file.state,
        open,
        until,
    }
}
