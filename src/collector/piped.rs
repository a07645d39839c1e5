//! Sources that are streams and no files: the systemd journal, and standard input. One thread each.
//!
//! They give the analyzers what files give them: `Opened`, then chunks of complete lines with a checkpoint. Offsets count
//! the bytes that were handed on. The journal can be read again from a cursor, so that it has the same promise as files;
//! what was read of standard input before its commit is gone with a kill.

mod entry;
mod journald;
mod stdin;

pub use journald::Mark;

use super::{Chunk, Event, FileKey, FileState, Opened, Resume, Resumed, Waker};
use crate::alert::id;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Offsets begin here: lines of a stream have no numbers, which reading from 0 would give them.
const FIRST_OFFSET: u64 = 1;
/// What is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Where a source's lines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Files,
    /// These units; none: all.
    Journald {
        units: Vec<String>,
    },
    Stdin,
}

/// What a stream is made of.
#[derive(Debug)]
pub struct Parts {
    pub source: super::Source,
    pub input: Input,
    /// What the last process left of it.
    pub resumed: Option<Resumed>,
    pub host_id: String,
    /// Counts the streams: keys of theirs do not meet those of files.
    pub number: u32,
    /// All analyzers.
    pub events: Vec<Sender<Event>>,
    /// Read what is there, and end.
    pub once: bool,
    /// An open record is closed after this much silence.
    pub flush_after: Duration,
}

/// A stream before its thread runs.
#[derive(Debug)]
pub struct Piped {
    source: super::Source,
    input: Input,
    opened: Opened,
    line: Line,
    once: bool,
    flush_after: Duration,
}

/// Ends the thread of a stream. Dropped, it does so as soon as something comes.
#[derive(Debug)]
pub struct PipedStop {
    control: Sender<()>,
    waker: Waker,
}

impl PipedStop {
    pub fn stop(self) {
        let Self { control, waker } = self;
        drop(control);
        waker.wake();
    }
}

/// The way to the analyzer, and the ear for a stop.
#[derive(Debug)]
struct Line {
    events: Sender<Event>,
    control: Receiver<()>,
    waker: Waker,
}

/// The service stops, or the analyzers are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stopped;

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    Readable,
    Silence,
}

impl Piped {
    /// # Errors
    ///
    /// No file descriptor left.
    pub fn new(parts: Parts) -> std::io::Result<(Self, PipedStop)> {
        let Parts {
            source,
            input,
            resumed,
            host_id,
            number,
            events,
            once,
            flush_after,
        } = parts;
        let key = FileKey(u32::MAX - number);
        let name = match &input {
            Input::Files | Input::Stdin => "stdin",
            Input::Journald { .. } => "journald",
        };
        let row = resumed.as_ref().map(|resumed| resumed.row);
        let going_on = resumed.filter(|_| matches!(input, Input::Journald { .. }));
        let (resume, file_state) = match going_on {
            Some(Resumed { resume, file_state, .. }) => (resume, file_state),
            None => (
                Resume {
                    offset: FIRST_OFFSET,
                    committed_to: FIRST_OFFSET,
                    ..Resume::default()
                },
                FileState {
                    // Offsets of standard input begin anew each time: so must the ids.
                    id: Some(id::of_news(&[
                        name.as_bytes(),
                        host_id.as_bytes(),
                        source.name.as_bytes(),
                        &random(),
                    ])),
                    size_seen: FIRST_OFFSET,
                    marks: journald::first_mark(&input, &source).into_iter().collect(),
                    ..FileState::default()
                },
            ),
        };
        let opened = Opened {
            file: key,
            row,
            source: source.name.clone(),
            path: PathBuf::from(name),
            resume,
            file_state,
            last_write: None,
        };
        let waker = Waker::new()?;
        let (control, ear) = bounded(0);
        let line = Line {
            events: events[key.0 as usize % events.len()].clone(),
            control: ear,
            waker: waker.clone(),
        };
        let piped = Self {
            source,
            input,
            opened,
            line,
            once,
            flush_after,
        };
        Ok((piped, PipedStop { control, waker }))
    }

    /// What must be committed before [`Piped::run`].
    pub fn first_sight(&self) -> Opened {
        self.opened.clone()
    }

    /// Reads until it is stopped or has come to its end.
    pub fn run(self) {
        let opened = Box::new(self.opened.clone());
        if self.line.send(Event::Opened(opened)).is_err() {
            return;
        }
        // Whoever is stopped has nothing left to say.
        match &self.input {
            Input::Files => Ok(()),
            Input::Journald { units } => journald::Reader::new(&self, units).run(),
            Input::Stdin => stdin::Reader::new(&self).run(),
        }
        .ok();
    }
}

impl Line {
    fn send(&self, event: Event) -> Result<(), Stopped> {
        select! {
            send(self.events, event) -> sent => sent.map_err(|_| Stopped),
            recv(self.control) -> _ => Err(Stopped),
        }
    }

    /// Waits until `input` can be read, for so long at most.
    fn wait(&self, input: impl AsFd, longest: Duration) -> Result<Woken, Stopped> {
        let timeout = Timespec::try_from(longest).ok();
        let mut fds = [
            PollFd::new(&input, PollFlags::IN),
            PollFd::from_borrowed_fd(self.waker.as_fd(), PollFlags::IN),
        ];
        let polled = poll(&mut fds, timeout.as_ref());
        if !fds[1].revents().is_empty() {
            return Err(Stopped);
        }
        match polled {
            Ok(0) => Ok(Woken::Silence),
            // An interrupted wait is tried again by who reads.
            Ok(_) | Err(_) => Ok(Woken::Readable),
        }
    }

    /// Waits for nothing but a stop.
    fn pause(&self, longest: Duration) -> Result<(), Stopped> {
        match self.control.recv_timeout(longest) {
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }
}

/// Complete lines that were read at `offset`.
fn chunk(file: FileKey, offset: u64, bytes: Vec<u8>, state: &FileState) -> Chunk {
    let end_offset = offset + bytes.len() as u64;
    Chunk {
        file,
        offset,
        bytes,
        newline: super::lines::Newline::Byte,
        end_offset,
        cut: false,
        lag_bytes: 0,
        file_state: Some(Box::new(state.clone())),
    }
}

/// Counts bytes that are handed on, each once.
fn count(state: &mut FileState, to: u64) {
    state.ledger.handed_on += to.saturating_sub(state.size_seen);
    state.size_seen = state.size_seen.max(to);
}

fn random() -> [u8; 16] {
    std::array::from_fn(|_| fastrand::u8(..))
}

/// One source at the most reads standard input.
pub fn is_stdin(input: &Input) -> bool {
    matches!(input, Input::Stdin)
}

/// A name for its thread.
pub fn thread_name(source: &Arc<str>) -> String {
    format!("stream {source}")
}

#[cfg(test)]
mod tests;
