//! Watching: one inotify instance and one eventfd in one poll.
//!
//! Directories are watched, not files; a file is watched itself only where its directory does not tell of it (links,
//! bind mounts). Promises: nothing is missed silently: an overflow, a limit that is reached and a missing inotify turn
//! into [`News::Everything`] or into [`Watcher::must_poll`], and the sysctl to raise is named once.

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Room for about a thousand events with names of usual length.
const EVENT_BUFFER_BYTES: usize = 64 * 1024;

/// Wakes the collector's thread out of its poll: after a message was sent, or the control channel was closed.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Waker {
    /// # Errors
    ///
    /// Out of file descriptors.
    pub fn new() -> io::Result<Self> {
        let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(eventfd)))
    }

    pub fn wake(&self) {
        // The only error is a full counter: then the thread is woken anyway.
        rustix::io::write(&*self.0, &1u64.to_ne_bytes()).ok();
    }

    fn reset(&self) {
        // The only error is an empty counter: nothing to reset.
        rustix::io::read(&*self.0, &mut [0u8; 8]).ok();
    }
}

/// What the kernel told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Something was written to this path.
    Written(PathBuf),
    /// This path may lead to something else now: created, renamed, deleted, or its permissions changed.
    Moved(PathBuf),
    /// A directory came or went, or events were lost: look at everything.
    Everything,
}

#[derive(Debug)]
pub struct Watcher {
    inotify: Option<Inotify>,
    paths: HashMap<WatchDescriptor, (PathBuf, Kind)>,
    watched: HashMap<PathBuf, WatchDescriptor>,
    /// Directories that could not be watched, for want of watches.
    unwatched: BTreeSet<PathBuf>,
    told: bool,
    waker: Waker,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
}

impl Watcher {
    pub fn new(waker: Waker) -> Self {
        let inotify = match Inotify::init() {
            Ok(inotify) => Some(inotify),
            Err(error) => {
                log::warn!(
                    "inotify is not available ({error}): files are polled every second; \
                     if instances ran out, raise fs.inotify.max_user_instances"
                );
                None
            }
        };
        Self {
            inotify,
            paths: HashMap::new(),
            watched: HashMap::new(),
            unwatched: BTreeSet::new(),
            told: false,
            waker,
            buffer: vec![0; EVENT_BUFFER_BYTES],
        }
    }

    /// Without inotify at all: every change has to be polled for.
    #[cfg(test)]
    pub fn polling(waker: Waker) -> Self {
        Self {
            inotify: None,
            ..Self::new(waker)
        }
    }

    /// Whether something has to be polled for because it cannot be watched.
    pub fn must_poll(&self) -> bool {
        self.inotify.is_none() || !self.unwatched.is_empty()
    }

    /// Watches exactly these directories and these single files from now on; true: some of them are new, and what
    /// happened in them before was not heard.
    pub fn watch_all(&mut self, directories: &BTreeSet<PathBuf>, files: &BTreeSet<PathBuf>) -> bool {
        let gone: Vec<PathBuf> = self
            .watched
            .keys()
            .filter(|path| !directories.contains(*path) && !files.contains(*path))
            .cloned()
            .collect();
        for path in gone {
            self.unwatch(&path);
        }
        self.unwatched.clear();
        let mut new = false;
        for directory in directories {
            new |= self.watch(directory, Kind::Directory);
        }
        for file in files.iter().filter(|file| !directories.contains(*file)) {
            new |= self.watch(file, Kind::File);
        }
        new
    }

    fn watch(&mut self, path: &Path, kind: Kind) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let changes = WatchMask::MODIFY | WatchMask::ATTRIB | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF;
        let mask = match kind {
            Kind::Directory => changes | WatchMask::CREATE | WatchMask::DELETE | WatchMask::MOVE | WatchMask::ONLYDIR,
            Kind::File => changes,
        };
        // Added anew even when known: another directory may stand under this name, and the kernel gives the same
        // descriptor where it does not.
        match inotify.watches().add(path, mask) {
            Ok(descriptor) => {
                let old = self.watched.insert(path.to_owned(), descriptor.clone());
                let is_new = old.as_ref() != Some(&descriptor);
                if let Some(old) = old.filter(|old| *old != descriptor) {
                    self.paths.remove(&old);
                    // It went with its directory.
                    inotify.watches().remove(old).ok();
                }
                self.paths.insert(descriptor, (path.to_owned(), kind));
                return is_new;
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()) => {
                self.unwatched.insert(path.to_owned());
                if !std::mem::replace(&mut self.told, true) {
                    log::warn!(
                        "watching {}: no inotify watches left, raise fs.inotify.max_user_watches; \
                         until then files are polled every second",
                        path.display()
                    );
                }
            }
            // Gone, or not ours to watch: found again by the next look at everything.
            Err(error) => log::debug!("watching {}: {error}", path.display()),
        }
        false
    }

    fn unwatch(&mut self, path: &Path) {
        if let (Some(descriptor), Some(inotify)) = (self.watched.remove(path), &self.inotify) {
            self.paths.remove(&descriptor);
            // It may have gone with its directory already.
            inotify.watches().remove(descriptor).ok();
        }
    }

    /// Sleeps until there is news, the waker was used, or `timeout` has passed. `quiet`: do not wake for news.
    pub fn wait(&mut self, timeout: Duration, quiet: bool) {
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let mut fds = vec![PollFd::from_borrowed_fd(self.waker.0.as_fd(), PollFlags::IN)];
        let inotify_fd: Option<BorrowedFd<'_>> = self.inotify.as_ref().map(AsFd::as_fd);
        if let (Some(fd), false) = (inotify_fd, quiet) {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        // An interrupted poll is as good as a wake-up.
        rustix::event::poll(&mut fds, Some(&timeout)).ok();
        // A wake-up in a quiet wait is kept for the next one, before which nobody looks for messages: taken here, a stop or
        // a reload would be slept through until the next look at everything.
        if !quiet {
            self.waker.reset();
        }
    }

    /// All that is new, each path once in order of its first event.
    pub fn news(&mut self) -> Vec<News> {
        let mut news: Vec<News> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut gone = Vec::new();
        if let Some(inotify) = &mut self.inotify {
            // Not endless: under a storm of events the files are read in between.
            for _ in 0..16 {
                let Ok(events) = inotify.read_events(&mut self.buffer) else {
                    break;
                };
                for event in events {
                    let watch = self.paths.get(&event.wd);
                    let item = translate(event.mask, watch, event.name.map(OsString::from));
                    if event.mask.contains(EventMask::IGNORED) {
                        gone.push(event.wd);
                    }
                    if let Some(item) = item.filter(|item| seen.insert(item.clone())) {
                        news.push(item);
                    }
                }
            }
        }
        for descriptor in gone {
            if let Some((path, _)) = self.paths.remove(&descriptor)
                && self.watched.get(&path) == Some(&descriptor)
            {
                self.watched.remove(&path);
            }
        }
        news
    }
}

impl std::hash::Hash for News {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            News::Written(path) => (0, path).hash(state),
            News::Moved(path) => (1, path).hash(state),
            News::Everything => 2.hash(state),
        }
    }
}

fn translate(mask: EventMask, watch: Option<&(PathBuf, Kind)>, name: Option<OsString>) -> Option<News> {
    if mask.contains(EventMask::Q_OVERFLOW) {
        log::warn!("the kernel's queue of file events overflowed: all files are looked at; nothing is lost");
        return Some(News::Everything);
    }
    let (path, kind) = watch?;
    let here = EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::UNMOUNT;
    let path = match (kind, name) {
        (Kind::Directory, None) => return mask.intersects(here).then_some(News::Everything),
        (Kind::Directory, Some(_)) if mask.contains(EventMask::ISDIR) => {
            let came_or_went = EventMask::CREATE | EventMask::DELETE | EventMask::MOVED_FROM | EventMask::MOVED_TO;
            return mask
                .intersects(came_or_went | EventMask::ATTRIB)
                .then_some(News::Everything);
        }
        (Kind::Directory, Some(name)) => path.join(name),
        (Kind::File, _) => path.clone(),
    };
    if mask.contains(EventMask::IGNORED) {
        return None;
    }
    Some(if mask.contains(EventMask::MODIFY) {
        News::Written(path)
    } else {
        News::Moved(path)
    })
}
