//! Standard input as a source: lines as they come, until its end. At most once: what was read before a kill and was not
//! committed yet nobody can read again.

use super::{Event, Line, Piped, READ_BYTES, Stopped, chunk, count};
use crate::collector::lines::{self, Limits};
use crate::collector::{FileKey, FileState};
use std::io::stdin;
use std::time::Duration;

/// Nothing is due while nothing comes.
const WAIT: Duration = Duration::from_secs(3600);

pub(super) struct Reader<'a> {
    line: &'a Line,
    file: FileKey,
    limits: Limits,
    state: FileState,
    offset: u64,
    /// Read and not handed on.
    held: Vec<u8>,
    /// The rest of a line that was cut is being skipped.
    skipping: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(piped: &'a Piped) -> Self {
        Self {
            line: &piped.line,
            file: piped.opened.file,
            limits: Limits {
                newline: piped.source.newline,
                max_line_bytes: piped.source.max_line_bytes,
            },
            state: piped.opened.file_state.clone(),
            offset: piped.opened.resume.offset,
            held: Vec::new(),
            skipping: false,
        }
    }

    pub(super) fn run(mut self) -> Result<(), Stopped> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.line.wait(stdin(), WAIT)?;
            let ended = match rustix::io::read(stdin(), &mut buffer) {
                Ok(0) => true,
                Ok(read) => {
                    self.held.extend_from_slice(&buffer[..read]);
                    false
                }
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => false,
                Err(error) => {
                    log::warn!("reading standard input: {error}; it is taken as ended");
                    true
                }
            };
            while self.hand_on(ended)? {}
            if ended {
                let file_state = Box::new(self.state.clone());
                return self.line.send(Event::Closed {
                    file: self.file,
                    file_state,
                });
            }
        }
    }

    /// Whether there may be more.
    fn hand_on(&mut self, ended: bool) -> Result<bool, Stopped> {
        let cut = lines::cut(&self.held, self.limits, self.skipping, ended);
        if cut.next == 0 {
            return Ok(false);
        }
        let mut chunk = chunk(
            self.file,
            self.offset + cut.start as u64,
            self.held[cut.start..cut.end].to_vec(),
            &self.state,
        );
        self.offset += cut.next as u64;
        count(&mut self.state, self.offset);
        (chunk.newline, chunk.end_offset, chunk.cut) = (self.limits.newline, self.offset, cut.cut);
        chunk.file_state = Some(Box::new(self.state.clone()));
        self.skipping = cut.skipping;
        self.held.drain(..cut.next);
        self.line.send(Event::Chunk(chunk))?;
        Ok(true)
    }
}
