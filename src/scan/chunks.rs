//! Cuts what a scan reads into chunks of whole lines, as the collector does.

use crate::collector::lines::{self, Cut, Limits, Newline};
use crate::collector::{Chunk, FileKey};
use crate::record;
use std::io::{self, Read};

/// Read at once.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// So much of a file's end is looked at for its last time stamp.
const TAIL_BYTES: usize = 8 * 1024;

pub fn limits_of(settings: &record::Settings) -> Limits {
    let newline = match settings.encodings.first() {
        Some(&encoding) if encoding == encoding_rs::UTF_16LE => Newline::Utf16Le,
        Some(&encoding) if encoding == encoding_rs::UTF_16BE => Newline::Utf16Be,
        Some(_) | None => Newline::Byte,
    };
    Limits {
        newline,
        max_line_bytes: settings.max_record_bytes,
    }
}

pub fn chunk_of(bytes: Vec<u8>, newline: Newline, offset: u64, cut: bool) -> Chunk {
    Chunk {
        file: FileKey(0),
        offset,
        end_offset: offset + bytes.len() as u64,
        bytes,
        newline,
        cut,
        lag_bytes: 0,
        file_state: None,
    }
}

/// Cuts what is read into chunks of whole lines, as the collector does.
#[derive(Debug)]
pub struct Chunks<R> {
    reader: R,
    limits: Limits,
    /// What was read and not handed on yet, `filled` bytes, and room for more.
    buffer: Vec<u8>,
    filled: usize,
    /// Of the buffer's first byte.
    offset: u64,
    /// The buffer begins within the rest of a line that was cut.
    skipping: bool,
    ended: bool,
    spare: Vec<u8>,
    tail: Vec<u8>,
}

impl<R: Read> Chunks<R> {
    pub fn new(reader: R, limits: Limits) -> Self {
        Self::at(0, reader, limits)
    }

    /// The reader begins at an offset of its file, with a line.
    pub fn at(offset: u64, reader: R, limits: Limits) -> Self {
        Self {
            reader,
            limits,
            buffer: Vec::new(),
            filled: 0,
            offset,
            skipping: false,
            ended: false,
            spare: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// The next run of whole lines; the last one of a file may lack its newline. None: the end.
    pub fn read(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            let found = lines::cut(&self.buffer[..self.filled], self.limits, self.skipping, self.ended);
            self.skipping = found.skipping;
            if found.start < found.end {
                return Ok(Some(self.hand_on(found)));
            }
            self.drop_front(found.next);
            if !self.ended {
                self.read_more()?;
            } else if found.next == 0 {
                return Ok(None);
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let capacity = CHUNK_BYTES.max(self.limits.window_bytes());
        if self.filled >= capacity {
            // All of it is NULs (anything else would have been cut): what a power cut or a truncation left.
            self.drop_front(self.filled - self.filled % self.limits.newline.width());
        }
        // Of a buffer that came back only what was cut off of it.
        self.buffer.resize(capacity, 0);
        let read = self.reader.read(&mut self.buffer[self.filled..]);
        self.filled += read.as_ref().map_or(0, |&more| more);
        match read {
            Ok(more) => self.ended = more == 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn drop_front(&mut self, length: usize) {
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
        self.offset += length as u64;
    }

    fn hand_on(&mut self, found: Cut) -> Chunk {
        let mut bytes = std::mem::replace(&mut self.buffer, std::mem::take(&mut self.spare));
        let rest = &bytes[found.next..self.filled];
        self.filled = rest.len();
        self.buffer.resize(self.buffer.len().max(rest.len()), 0);
        self.buffer[..rest.len()].copy_from_slice(rest);
        bytes.truncate(found.end);
        bytes.drain(..found.start);
        let chunk = Chunk {
            end_offset: self.offset + found.next as u64,
            ..chunk_of(bytes, self.limits.newline, self.offset + found.start as u64, found.cut)
        };
        self.offset = chunk.end_offset;
        chunk
    }

    /// Up to where chunks have been handed on.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes a chunk's buffer back.
    pub fn recycle(&mut self, chunk: Chunk) {
        self.tail.clear();
        self.tail
            .extend_from_slice(&chunk.bytes[chunk.bytes.len().saturating_sub(TAIL_BYTES)..]);
        self.spare = chunk.bytes;
    }

    /// Whole lines at the end of what was read.
    pub fn tail(&self) -> &[u8] {
        match self.limits.newline.first_end(&self.tail) {
            Some(end) if self.tail.len() >= TAIL_BYTES => &self.tail[end..],
            Some(_) | None => &self.tail,
        }
    }
}
