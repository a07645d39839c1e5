//! The systemd journal, read by `journalctl -o json --follow`: a child that is started again when it ends or hangs.
//!
//! Promises: after a kill it is read on from the cursor that was committed with the findings, so that nothing is lost or
//! told twice as long as the journal still has it. What this program itself says is never read.

use super::entry::{Entry, FIELDS};
use super::{Event, FIRST_OFFSET, Input, Line, Piped, READ_BYTES, Stopped, Woken, chunk, count};
use crate::collector::{FileKey, FileState, ReadFrom, Source};
use serde::{Deserialize, Serialize};
use std::io::Read as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that says nothing for so long may hang: another one goes on at the cursor. With nothing to say that costs one
/// start of journalctl.
const SILENCE_MAX: Duration = Duration::from_secs(600);
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A longer entry is passed over: journald's own limit for a field is 768 KiB, in JSON up to six times that.
const ENTRY_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Lines of at most so many bytes are handed on at once, so that what is found in them is bounded.
const CHUNK_BYTES: usize = 32 * 1024;
/// Places from which reading can go on; the open records of a checkpoint begin behind one of them.
const MARKS_MAX: usize = 16;
/// What is told of its complaints.
const COMPLAINT_MAX_BYTES: u64 = 1024;

/// From `offset` on, what comes after `cursor` was handed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub offset: u64,
    /// `@seconds` where there is no entry yet; empty: the beginning of the journal.
    pub cursor: String,
}

/// Where a source that was never read begins.
pub(super) fn first_mark(input: &Input, source: &Source) -> Option<Mark> {
    match input {
        Input::Files | Input::Stdin => return None,
        Input::Journald { .. } => {}
    }
    let now = jiff::Timestamp::now();
    let since = match (source.read_from, source.ignore_older) {
        (ReadFrom::End, _) => Some(now),
        (ReadFrom::Beginning, Some(older)) => now.checked_sub(older).ok(),
        (ReadFrom::Beginning, None) => None,
    };
    let cursor = since.map_or_else(String::new, |since| {
        format!("@{:.6}", since.as_microsecond() as f64 / 1e6)
    });
    Some(Mark {
        offset: FIRST_OFFSET,
        cursor,
    })
}

pub(super) struct Reader<'a> {
    line: &'a Line,
    file: FileKey,
    name: &'a str,
    units: &'a [String],
    once: bool,
    /// Marks lie so far apart.
    spacing: Duration,
    state: FileState,
    offset: u64,
    marked: Instant,
    /// Bytes of entries that are not complete yet.
    held: Vec<u8>,
    told: bool,
}

/// How a child ended.
#[derive(Debug)]
enum Ended {
    /// It said all that there was.
    Well,
    Badly(String),
}

impl<'a> Reader<'a> {
    pub(super) fn new(piped: &'a Piped, units: &'a [String]) -> Self {
        let mut state = piped.opened.file_state.clone();
        let resume = &piped.opened.resume;
        // What is open must be read again from its beginning.
        let from = state
            .marks
            .iter()
            .rposition(|mark| mark.offset <= resume.offset)
            .unwrap_or(0);
        state.marks.truncate(from + 1);
        let offset = state.marks.last().map_or(resume.offset, |mark| mark.offset);
        Self {
            line: &piped.line,
            file: piped.opened.file,
            name: &piped.source.name,
            units,
            once: piped.once,
            spacing: piped.flush_after / 4,
            state,
            offset,
            marked: Instant::now(),
            held: Vec::new(),
            told: false,
        }
    }

    pub(super) fn run(mut self) -> Result<(), Stopped> {
        let mut backoff = BACKOFF_MIN;
        loop {
            let before = self.offset;
            let ended = match self.start() {
                Ok(mut child) => {
                    let ended = self.follow(&mut child);
                    // It may have ended already; a zombie is waited for either way.
                    child.kill().ok();
                    child.wait().ok();
                    ended?
                }
                Err(error) => Ended::Badly(format!("starting journalctl: {error}")),
            };
            match ended {
                Ended::Well if self.once => return Ok(()),
                Ended::Well => {}
                Ended::Badly(why) if self.once => {
                    log::error!("source {}: {why}; the next run tries again", self.name);
                    return Ok(());
                }
                Ended::Badly(why) if !self.told => {
                    log::error!("source {}: {why}; it is tried again", self.name);
                    self.told = true;
                }
                Ended::Badly(why) => log::debug!("source {}: {why}", self.name),
            }
            if self.offset > before {
                backoff = BACKOFF_MIN;
            }
            self.line.pause(backoff)?;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn start(&mut self) -> std::io::Result<Child> {
        self.held.clear();
        let mut command = Command::new("journalctl");
        command.args(["--output=json", "--all", "--quiet", "--no-pager", "--no-tail"]);
        command.arg(format!("--output-fields={FIELDS}"));
        if !self.once {
            command.arg("--follow");
        }
        command.args(self.units.iter().map(|unit| format!("--unit={unit}")));
        match self.state.marks.last().map(|mark| mark.cursor.as_str()) {
            None | Some("") => {}
            Some(since) if since.starts_with('@') => drop(command.arg(format!("--since={since}"))),
            Some(cursor) => drop(command.arg(format!("--after-cursor={cursor}"))),
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn()
    }

    fn follow(&mut self, child: &mut Child) -> Result<Ended, Stopped> {
        let Some(mut output) = child.stdout.take() else {
            return Ok(Ended::Badly("journalctl has no output".to_owned()));
        };
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if self.line.wait(&output, SILENCE_MAX)? == Woken::Silence {
                // Quiet or hung: nobody can tell, and a new one costs little.
                return Ok(Ended::Well);
            }
            match read(&mut output, &mut buffer) {
                Ok(0) => return Ok(self.end_of(child)),
                Ok(read) => self.take(&buffer[..read])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Ended::Badly(format!("reading from journalctl: {error}"))),
            }
        }
    }

    fn end_of(&self, child: &mut Child) -> Ended {
        let mut complaint = String::new();
        if let Some(errors) = child.stderr.take() {
            // What cannot be read is no reason of its own.
            errors.take(COMPLAINT_MAX_BYTES).read_to_string(&mut complaint).ok();
        }
        match child.wait() {
            Ok(status) if status.success() && self.once => Ended::Well,
            Ok(status) => {
                let hint = match complaint.contains("permission") {
                    true => "; add the user to the group systemd-journal (usermod -aG systemd-journal USER)",
                    false => "",
                };
                Ended::Badly(format!("journalctl ended ({status}) {}{hint}", complaint.trim()))
            }
            Err(error) => Ended::Badly(format!("journalctl: {error}")),
        }
    }

    /// Hands on the entries that are complete.
    fn take(&mut self, read: &[u8]) -> Result<(), Stopped> {
        self.held.extend_from_slice(read);
        let held = std::mem::take(&mut self.held);
        let mut rest = &held[..];
        let (mut lines, mut cursor) = (Vec::new(), None);
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (entry, after) = rest.split_at(end + 1);
            rest = after;
            let Some(entry) = Entry::parse(entry) else { continue };
            if !entry.is_own(std::process::id()) {
                entry.write(&mut lines);
            }
            cursor = entry.cursor().map(str::to_owned).or(cursor);
            if lines.len() >= CHUNK_BYTES {
                self.hand_on(std::mem::take(&mut lines), cursor.take())?;
            }
        }
        if rest.len() > ENTRY_MAX_BYTES {
            log::warn!(
                "source {}: an entry of more than {ENTRY_MAX_BYTES} bytes is passed over",
                self.name
            );
            self.state.ledger.possible_losses += 1;
            rest = &[];
        }
        self.held = rest.to_vec();
        if cursor.is_some() {
            self.hand_on(lines, cursor)?;
        }
        Ok(())
    }

    /// Lines, and the cursor of the entry that the last one belongs to.
    fn hand_on(&mut self, lines: Vec<u8>, cursor: Option<String>) -> Result<(), Stopped> {
        if std::mem::take(&mut self.told) {
            log::info!("source {}: the journal is read again", self.name);
        }
        let from = self.offset;
        self.offset += lines.len() as u64;
        count(&mut self.state, self.offset);
        if let Some(cursor) = cursor {
            self.mark(cursor);
        }
        self.line.send(Event::Chunk(chunk(self.file, from, lines, &self.state)))
    }

    /// The newest mark is where a restart goes on when nothing is open; older ones are kept for what is.
    fn mark(&mut self, cursor: String) {
        let marks = &mut self.state.marks;
        if marks.len() > 1 && self.marked.elapsed() < self.spacing {
            marks.pop();
        } else {
            self.marked = Instant::now();
        }
        if marks.len() >= MARKS_MAX {
            marks.remove(0);
        }
        marks.push(Mark {
            offset: self.offset,
            cursor,
        });
    }
}

fn read(output: &mut ChildStdout, buffer: &mut [u8]) -> std::io::Result<usize> {
    output.read(buffer)
}
