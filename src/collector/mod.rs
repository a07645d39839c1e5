//! The collector: follows files by inotify and hands on chunks of complete lines.
//!
//! Promises: each byte of each file is handed on once, in order, whatever happens to the file; what cannot be is counted
//! in the ledger. A file always goes to the same analyzer. Decoding and joining of lines is left to `record`.
//!
//! One [`FileKey`] is one incarnation of a file: a file that is truncated or rewritten in place ends, and another begins
//! under a new key. This file knows the thread and its channels; the rest of the module is driven by it step by step:
//! `watch` says that something happened, `discover` what the globs name, `files` (with `origin`, `suspects`, `past` and
//! `ends`) which file each path is, `follow` reads one of them, `lines` says what of the bytes may be handed on.

mod appetite;
pub mod archive;
mod checkpoint;
mod compressed;
mod descriptors;
mod discover;
mod ends;
mod event;
mod files;
mod first_look;
mod follow;
mod identity;
mod inline;
pub mod ledger;
mod origin;
mod past;
pub mod piped;
mod reload;
mod suspects;
mod tracked;
mod unread;
mod watch;

pub use crate::analyzer::Resume;
pub use appetite::Appetite;
pub use checkpoint::{FileState, Identity, Resumed, Tail};
pub use discover::Globs;
pub use elc_core::collector::lines;
pub use event::{Chunk, Event, FileKey, LastWrite, Opened, Row};
pub use first_look::FirstLook;
pub use ledger::Ledger;
pub use reload::Reload;
pub use watch::Waker;

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvError, Sender, TryRecvError, TrySendError, bounded, select};
use discover::Found;
use files::Files;
use past::Past;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracked::{Refusal, Tracked};
use watch::{News, Watcher};

/// Everything is looked at so often even where inotify tells of changes: it is not told of all.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(60);
/// The same on network file systems, which tell of their own host's changes only.
const NETWORK_INTERVAL: Duration = Duration::from_secs(2);
/// The same where inotify cannot be used.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Two looks at everything are at least so far apart, however many directories come and go.
const RECONCILE_PAUSE: Duration = Duration::from_millis(100);
/// Files whose end is near are looked at so often.
const TICK_INTERVAL: Duration = Duration::from_millis(500);
/// Paths that could not be read are tried again so often.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// While files are written to faster than this, news is gathered for as long, not taken one by one.
const GATHER: Duration = Duration::from_millis(2);
/// The last reading at a stop takes so long at most; what is left is read after the next start.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How long `run --once` waits for what cannot be decided at once: a copy or an archive that may still grow.
const ONCE_WAIT_MAX: Duration = Duration::from_secs(8);
/// Messages to the thread are rare: pings and reloads.
const CONTROL_MESSAGES: usize = 8;
/// The kernel's queue is emptied at least so often while much is read.
const NEWS_INTERVAL: Duration = Duration::from_millis(50);

/// What the collector has to know of one source.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: Arc<str>,
    /// Globs, `**` too; absolute, or relative to the working directory.
    pub paths: Vec<String>,
    pub exclude: Vec<String>,
    pub read_from: ReadFrom,
    /// Files not written for so long are not opened at first sight.
    pub ignore_older: Option<Duration>,
    /// Bytes per second while catching up; 0: unlimited.
    pub read_rate: u64,
    /// Width and byte order of the newline.
    pub newline: lines::Newline,
    /// Longer lines are cut here.
    pub max_line_bytes: usize,
}

/// Where reading begins in files born before their source's first start. Later ones are read from their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    End,
    Beginning,
}

/// All that a collector begins with.
#[derive(Debug)]
pub struct Parts {
    pub sources: Vec<Source>,
    /// All files that the state knows, finished ones too.
    pub resumed: Vec<Resumed>,
    /// When each source was first started, in milliseconds since 1970; a source that is missing starts now.
    pub first_starts: BTreeMap<String, i64>,
    pub host_id: String,
    /// Taken as soon as the program started; none where all sources were started before.
    pub first_look: FirstLook,
    /// Never read.
    pub state_dir: PathBuf,
    /// One per analyzer: a file goes to `file % events.len()`.
    pub events: Vec<Sender<Event>>,
    /// Buffers that the analyzers have used up.
    pub spent: Receiver<Vec<u8>>,
    /// Read what is there to its end, and return.
    pub once: bool,
}

/// Everything that can wake the collector besides the files. The channel's closing is the stop: everything is read once
/// more, then the thread returns. After a message or the closing, [`Waker::wake`] must be called.
#[derive(Debug)]
pub enum Inbox {
    /// Answered when the thread gets to it, and by each analyzer when it gets to it behind the data.
    Ping(Answer, Vec<Answer>),
    Reload(Reload),
}

/// Where a ping is answered.
pub type Answer = Sender<()>;

/// Stops the collector, and tells it things meanwhile. Dropped, it stops it too, as soon as it wakes.
#[derive(Debug)]
pub struct Stop {
    control: Sender<Inbox>,
    waker: Waker,
}

impl Stop {
    /// Everything is read once more, for a limited time, then the thread returns.
    pub fn stop(self) {
        let Self { control, waker } = self;
        drop(control);
        waker.wake();
    }

    /// The same without waiting for room; a message that finds none is dropped.
    pub fn try_tell(&self, message: Inbox) {
        self.control.try_send(message).ok();
        self.waker.wake();
    }

    /// False: the thread has ended.
    pub fn tell(&self, message: Inbox) -> bool {
        let sent = self.control.send(message).is_ok();
        self.waker.wake();
        sent
    }
}

/// The collector: made, asked for its [`Collector::first_sight`], and run by a thread of its own.
#[derive(Debug)]
pub struct Collector {
    files: Files,
    watcher: Watcher,
    events: Vec<Sender<Event>>,
    spent: Receiver<Vec<u8>>,
    control: Receiver<Inbox>,
    once: bool,
    reconcile_due: Instant,
    retry_due: Instant,
    reconciled: Instant,
    on_network: bool,
    stopping: Option<Instant>,
    reload: Option<Reload>,
}

impl Collector {
    /// # Errors
    ///
    /// A glob that is none, or no file descriptor left.
    pub fn new(parts: Parts) -> anyhow::Result<(Self, Stop)> {
        let open_max = descriptors::raise_limit();
        let waker = Waker::new().context("making an eventfd")?;
        let mut tracked = Vec::new();
        for source in parts.sources {
            let globs = Globs::new(&source.paths, &source.exclude).map_err(anyhow::Error::msg)?;
            let first_start = tracked::first_start(&parts.first_starts, &source.name);
            tracked.push(Tracked::new(source, globs, first_start));
        }
        let own = vec![parts.state_dir.canonicalize().unwrap_or(parts.state_dir)];
        let mut files = Files::new(tracked, parts.host_id.into(), own);
        files.open.max = open_max;
        files.first_look = parts.first_look;
        let now = Instant::now();
        for resumed in parts.resumed {
            let source = files
                .tracked
                .iter()
                .position(|tracked| tracked.source.name == resumed.source);
            // The state of a source that is configured no longer is kept, in case it comes back.
            let Some(source) = source else { continue };
            files.pasts.push(Past::resumed(source, resumed, now + ends::COPY_GRACE));
        }
        let (control, inbox) = bounded(CONTROL_MESSAGES);
        let collector = Self {
            files,
            watcher: Watcher::new(waker.clone()),
            events: parts.events,
            spent: parts.spent,
            control: inbox,
            once: parts.once,
            reconcile_due: now,
            retry_due: now,
            reconciled: now,
            on_network: false,
            stopping: None,
            reload: None,
        };
        Ok((collector, Stop { control, waker }))
    }

    /// The host was started again since the state was committed: a file that is shorter than it was lost its tail with
    /// the power.
    pub fn boot_changed(&mut self) {
        self.files.boot_changed = true;
    }

    /// For the analyzers, who tell what they make of the chunks.
    pub fn appetite(&self) -> Arc<Appetite> {
        self.files.appetite.clone()
    }

    /// Paths besides the state that this program writes: its own log.
    pub fn never_read(&mut self, path: &Path) {
        self.files
            .own
            .push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    }

    /// Finds all files and decides where each is read from, without reading on. What it returns must be committed before
    /// [`Collector::run`]: else a crash would decide anew. The same are sent again as events by `run`.
    pub fn first_sight(&mut self) -> Vec<Opened> {
        self.reconcile();
        let rows: Vec<Row> = self.files.pasts.waiting().map(|past| past.row).collect();
        for row in rows {
            self.files.find_elsewhere(row, Instant::now());
        }
        self.files.first_look.forget();
        self.files.left_by_copies.clear();
        let opened = self.files.out.iter().filter_map(|event| match event {
            Event::Opened(opened) => Some((**opened).clone()),
            Event::Chunk(_)
            | Event::Changed { .. }
            | Event::Closed { .. }
            | Event::Forgotten(_)
            | Event::Reload(_)
            | Event::Ping(..) => None,
        });
        opened.collect()
    }

    /// Follows the files until the control channel is closed (or, `Once`, until all is read). Returns early if the
    /// analyzers are gone.
    pub fn run(mut self) {
        let begun = Instant::now();
        let mut slept_until = begun;
        loop {
            self.take_messages();
            if self.stopping.is_some() {
                return self.drain();
            }
            self.take_news();
            if !self.read_due() {
                return;
            }
            let now = Instant::now();
            if self.once && (!self.files.is_undecided() || now - begun > ONCE_WAIT_MAX) {
                return;
            }
            if now - slept_until < GATHER {
                self.watcher.wait(GATHER, true);
            }
            let idle = self.next_wake(Instant::now());
            self.watcher.wait(idle, false);
            slept_until = Instant::now();
        }
    }

    /// Reads once more what there is, for a limited time.
    fn drain(&mut self) {
        self.take_news();
        self.reconcile();
        self.read_due();
    }

    fn take_messages(&mut self) {
        loop {
            match self.control.try_recv() {
                Ok(message) => self.handle(Ok(message)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return self.handle(Err(RecvError)),
            }
        }
        if let Some(reload) = self.reload.take() {
            self.reload(reload);
        }
    }

    fn handle(&mut self, message: Result<Inbox, RecvError>) {
        match message {
            Ok(Inbox::Ping(answer, analyzers)) => {
                // Who asked may have gone.
                answer.try_send(()).ok();
                let pings = analyzers.into_iter().enumerate();
                self.files
                    .out
                    .extend(pings.map(|(analyzer, answer)| Event::Ping(analyzer, answer)));
            }
            Ok(Inbox::Reload(reload)) => self.reload = Some(reload),
            Err(RecvError) => {
                self.stopping.get_or_insert(Instant::now() + DRAIN_MAX);
            }
        }
    }

    fn take_news(&mut self) {
        let now = Instant::now();
        for news in self.watcher.news() {
            match news {
                News::Written(path) => self.files.note(&path, false, now),
                News::Moved(path) => {
                    // A link, or a file of several names, is watched in its own right: that takes a look at everything.
                    let is_odd = path
                        .symlink_metadata()
                        .is_ok_and(|found| found.is_symlink() || found.nlink() > 1);
                    if is_odd {
                        self.reconcile_due = self.reconcile_due.min(self.reconciled + RECONCILE_PAUSE);
                    }
                    self.files.note(&path, true, now);
                }
                News::Everything => {
                    self.reconcile_due = self.reconcile_due.min(self.reconciled + RECONCILE_PAUSE);
                }
            }
        }
        if now >= self.reconcile_due {
            self.reconcile();
        } else if now >= self.retry_due {
            self.retry_due = now + RETRY_INTERVAL;
            self.files.retry_refused(now);
        }
        self.files.tick(now);
    }

    /// Walks all globs, watches what has to be watched, and compares what is there with what is followed.
    fn reconcile(&mut self) {
        /// Directories that appear while we look are looked at again so often.
        const ROUNDS_MAX: usize = 4;
        let mut found: Vec<Found> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            found = self.files.tracked.iter().map(|tracked| tracked.walked()).collect();
            let mut directories: BTreeSet<PathBuf> = found.iter().flat_map(|found| found.directories.clone()).collect();
            let mut single = BTreeSet::new();
            self.files.aliases.clear();
            for path in found.iter().flat_map(|found| &found.paths) {
                if let Some(target) = discover::link_target(path) {
                    directories.extend(target.parent().map(PathBuf::from));
                    self.files.aliases.entry(target).or_default().insert(path.clone());
                } else if identity::is_told_of_elsewhere(path) {
                    single.insert(path.clone());
                }
            }
            self.on_network = directories.iter().any(|directory| identity::is_network(directory));
            if !self.watcher.watch_all(&directories, &single) {
                break;
            }
        }
        let now = Instant::now();
        self.files.reconcile(&found, now);
        self.reconciled = now;
        let interval = match (self.watcher.must_poll(), self.on_network) {
            (true, _) => POLL_INTERVAL,
            (false, true) => NETWORK_INTERVAL,
            (false, false) => RECONCILE_INTERVAL,
        };
        self.reconcile_due = now + interval;
    }

    /// Reads one step of each file in turn until nothing is due; false: the thread must end.
    fn read_due(&mut self) -> bool {
        let mut news_due = Instant::now() + NEWS_INTERVAL;
        let mut spare: Option<Vec<u8>> = None;
        loop {
            if !self.send_out() {
                return false;
            }
            let now = Instant::now();
            if self.stopping.is_some_and(|deadline| now >= deadline) {
                return false;
            }
            let Ok(Some(key)) = self.files.next_due(now) else {
                return self.send_out();
            };
            // The channels bound how many buffers are on their way.
            let mut buffer = spare.take().or_else(|| self.spent.try_recv().ok()).unwrap_or_default();
            if !self.files.read(key, &mut buffer, now) {
                spare = Some(buffer);
            }
            if now >= news_due && self.stopping.is_none() {
                news_due = now + NEWS_INTERVAL;
                self.take_messages();
                self.take_news();
            }
        }
    }

    /// Sends what is due to the analyzers; false: they are gone, or it took too long at a stop.
    fn send_out(&mut self) -> bool {
        while let Some(event) = self.files.out.pop_front() {
            let analyzer = self.events[event.analyzer(self.events.len())].clone();
            let mut unsent = Some(event);
            while let Some(event) = unsent.take() {
                if let Some(deadline) = self.stopping {
                    if analyzer.send_deadline(event, deadline).is_err() {
                        return false;
                    }
                    continue;
                }
                let event = match analyzer.try_send(event) {
                    Ok(()) => continue,
                    Err(TrySendError::Disconnected(_)) => return false,
                    Err(TrySendError::Full(event)) => event,
                };
                select! {
                    send(analyzer, event) -> sent => if sent.is_err() {
                        return false;
                    },
                    recv(self.control) -> message => {
                        unsent = Some(event);
                        self.handle(message);
                    }
                }
            }
        }
        true
    }

    /// How long nothing has to be done unless there is news.
    fn next_wake(&mut self, now: Instant) -> Duration {
        if self.files.is_proving() {
            return Duration::ZERO;
        }
        let mut wake = self.reconcile_due;
        if self.files.refused.values().any(Refusal::is_passing) {
            wake = wake.min(self.retry_due);
        }
        if self.files.needs_tick() {
            wake = wake.min(now + TICK_INTERVAL);
        }
        let throttled = match self.files.next_due_in(now) {
            Some(wait) => now + wait,
            None => wake,
        };
        wake.min(throttled).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests;
