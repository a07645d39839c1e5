//! One file that is being followed: reading it step by step, and noticing that it is no longer what it was.
//!
//! An unfinished line is not kept in memory but read again from its beginning, so that ten thousand files cost no
//! buffers. Before bytes are handed on, the bytes before the offset are compared with what was read: a file that was
//! truncated and filled again past the offset is seen, whatever its size. Whether its name still leads to it is the
//! business of `files`.

use super::appetite::CHUNK_MAX_BYTES;
use super::compressed::begins_like_archive;
use super::identity::{self, TAIL_BYTES};
use super::ledger::skipped;
use super::lines::{self, Cut, Limits};
use super::{Chunk, FileKey, FileState, LastWrite, Opened, Resume};
use rustix::fs::SeekFrom;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What may have been written to a file since it was asked for its size.
const READ_AHEAD_BYTES: usize = 8 * 1024;
/// So many buffers full of NULs are looked through in one step.
const NUL_BUFFERS_PER_STEP: usize = 16;

/// Whether the file's name still leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Named,
    /// It has a name that no glob matches, since then.
    Rotated(Instant),
    /// It has no name any more.
    Deleted(Instant),
}

#[derive(Debug)]
pub struct Followed {
    pub key: FileKey,
    /// The row of the state that goes on here.
    pub row: Option<i64>,
    /// Index of its source.
    pub source: usize,
    pub path: PathBuf,
    pub state: FileState,
    pub resume: Resume,
    pub life: Life,
    /// When its name was taken by another file: then its last line may be complete without a newline.
    pub renamed: Option<Instant>,
    /// The name under which it was found, where that is not its name any more: its copies are called after it.
    pub first_name: Option<OsString>,
    pub last_data: Instant,
    pub chunk_bytes: usize,
    /// The next byte to hand on; always the beginning of a line but for `state.cut_at`.
    pub position: u64,
    /// The size and modification time at which it was last read to its end.
    pub read_at: Option<(u64, i64, u32)>,
    content: Content,
    /// Its turn among the open files.
    pub turn: Option<u64>,
    /// Below this offset everything is in the ledger already.
    counted_to: u64,
    /// From `position` to here are only NULs.
    nul_to: u64,
}

/// Where the bytes come from.
pub enum Content {
    File(File),
    Archive(Archive),
    /// Closed to spare descriptors; opened again by its path.
    Closed,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Content::File(_) => "File",
            Content::Archive(_) => "Archive",
            Content::Closed => "Closed",
        })
    }
}

/// A compressed file: it can only be read once, from the beginning.
pub struct Archive {
    pub reader: Box<dyn io::Read + Send>,
    /// Decompressed bytes read and not handed on yet; they begin at `at`.
    pub carry: Vec<u8>,
    pub at: u64,
    pub ended: bool,
}

impl Archive {
    pub fn new(reader: Box<dyn io::Read + Send>) -> Self {
        Self {
            reader,
            carry: Vec::new(),
            at: 0,
            ended: false,
        }
    }
}

/// What one step gave.
#[derive(Debug)]
pub enum Step {
    Chunk(Chunk),
    /// Nothing to hand on now.
    Idle,
    /// It was truncated, or its bytes before the offset changed: this incarnation has ended.
    Restarted,
    /// It is an archive under a name that does not say so; nothing of it was read.
    Compressed,
}

impl Followed {
    /// Reads on at `resume.offset`.
    pub fn new(key: FileKey, source: usize, path: PathBuf, content: Content, resume: Resume, state: FileState) -> Self {
        Self {
            key,
            row: None,
            source,
            path,
            life: Life::Named,
            renamed: None,
            first_name: None,
            last_data: Instant::now(),
            chunk_bytes: CHUNK_MAX_BYTES,
            position: resume.offset,
            read_at: None,
            content,
            turn: None,
            counted_to: resume.committed_to.max(resume.offset),
            nul_to: 0,
            state,
            resume,
        }
    }

    pub fn opened(&self, source: &Arc<str>) -> Opened {
        let metadata = self.file().and_then(|file| file.metadata().ok());
        let last_write = metadata.and_then(|metadata| {
            let (at, size_bytes) = (metadata.modified().ok()?, metadata.len());
            Some(LastWrite { at, size_bytes })
        });
        Opened {
            file: self.key,
            row: self.row,
            source: source.clone(),
            path: self.path.clone(),
            resume: self.resume.clone(),
            file_state: self.state.clone(),
            last_write,
        }
    }

    pub fn file(&self) -> Option<&File> {
        match &self.content {
            Content::File(file) => Some(file),
            Content::Archive(_) | Content::Closed => None,
        }
    }

    /// How many names it has; none where it is not open.
    pub fn links(&self) -> u64 {
        let metadata = self.file().and_then(|open| open.metadata().ok());
        metadata.map_or(0, |metadata| metadata.nlink())
    }

    pub fn is_archive(&self) -> bool {
        matches!(self.content, Content::Archive(_))
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.content, Content::Closed)
    }

    /// Spares its descriptor; what was seen of it is still true.
    pub fn close(&mut self) {
        self.content = Content::Closed;
    }

    /// The last step read all that there was.
    pub fn is_read_whole(&self) -> bool {
        self.read_at.is_some_and(|(size, ..)| size == self.position)
    }

    /// Goes on in the same file.
    pub fn reopen(&mut self, file: File) {
        self.content = Content::File(file);
    }

    pub fn set_content(&mut self, content: Content) {
        self.content = content;
        self.read_at = None;
    }

    /// Bytes of the file that were seen and not handed on or counted.
    pub fn unread_bytes(&self) -> u64 {
        self.state.size_seen.saturating_sub(self.counted_to)
    }

    /// Notes that the file was seen with this size.
    pub fn saw_size(&mut self, size: u64) {
        self.state.size_seen = self.state.size_seen.max(size);
    }

    /// Skips what lies before `to` at first sight, for `reason`.
    pub fn begin_at(&mut self, to: u64, reason: &'static str) -> io::Result<()> {
        self.saw_size(to);
        self.count(self.position, to, Fate::Skipped(reason));
        self.position = to;
        self.resume = Resume {
            offset: to,
            committed_to: to,
            ..Resume::default()
        };
        if let Content::File(file) = &self.content {
            let from = to.saturating_sub(TAIL_BYTES as u64);
            let before = identity::read_at(file, from, (to - from) as usize)?;
            self.state.identity.set_tail(to, &before);
        }
        Ok(())
    }

    /// Goes on at `position`, the end of a file that has become shorter by `gone` bytes that were read.
    pub fn resume_at(&mut self, position: u64, reason: &'static str, gone: u64) {
        self.position = position;
        self.counted_to = position;
        self.state.cut_at = None;
        // What went had been judged: it is lost in the file, not to us. The ledger keeps the balance.
        self.state.size_seen = position;
        let ledger = &mut self.state.ledger;
        ledger.handed_on = ledger.handed_on.saturating_sub(gone);
        ledger.lose(reason, gone);
        if let Content::File(file) = &self.content {
            let from = position.saturating_sub(TAIL_BYTES as u64);
            let before = identity::read_at(file, from, (position - from) as usize).unwrap_or_default();
            self.state.identity.set_tail(position, &before);
        }
    }

    /// Reads one run of complete lines into `buffer`, which goes away with the chunk if there is one. `ended`: nobody will
    /// write to it again, so its last line is complete as it is.
    ///
    /// # Errors
    ///
    /// Those of reading; the position stays.
    pub fn step(&mut self, buffer: &mut Vec<u8>, limits: Limits, host_id: &str, ended: bool) -> io::Result<Step> {
        buffer.clear();
        match std::mem::replace(&mut self.content, Content::Closed) {
            Content::File(file) => {
                let step = self.step_file(&file, buffer, limits, host_id, ended);
                self.content = Content::File(file);
                step
            }
            Content::Archive(mut archive) => {
                let step = self.step_archive(&mut archive, buffer, limits, host_id);
                self.content = Content::Archive(archive);
                step
            }
            Content::Closed => Ok(Step::Idle),
        }
    }

    fn step_file(
        &mut self,
        file: &File,
        buffer: &mut Vec<u8>,
        limits: Limits,
        host_id: &str,
        ended: bool,
    ) -> io::Result<Step> {
        let stat = rustix::fs::fstat(file)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size < self.position.max(self.state.identity.tail_end) {
            return Ok(Step::Restarted);
        }
        self.saw_size(size);
        let from = self.position;
        // One more: a byte order mark may show that newlines are wider than thought.
        let most = CHUNK_MAX_BYTES.max(limits.window_bytes() + 1);
        // Large buffers are mapped and unmapped by the allocator, which costs more than to read a few lines into them.
        let there = usize::try_from(size - from).unwrap_or(usize::MAX);
        buffer.reserve_exact(most.min(there.saturating_add(READ_AHEAD_BYTES)));
        let read = rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), from)?;
        // After the read: what was truncated before it is noticed here, and what is truncated later does no harm.
        let Some(before) = self.verified_tail(file)? else {
            return Ok(Step::Restarted);
        };
        if from == 0 && begins_like_archive(buffer) {
            return Ok(Step::Compressed);
        }
        let limits = self.state.limits(limits, from, buffer);
        self.saw_size(from + read as u64);
        let skipping = self.state.cut_at == Some(from);
        let offered = self.offered(buffer, limits);
        let whole = offered.len() == buffer.len() && from + read as u64 >= self.state.size_seen;
        let mut cut = lines::cut(offered, limits, skipping, ended && whole);
        if cut.next == 0 {
            let nul = buffer.iter().all(|byte| *byte == 0) && read > 0;
            let after = if nul {
                self.end_of_nuls(file, limits, from)?
            } else {
                None
            };
            let Some(after) = after else {
                self.read_at = Some((size, stat.st_mtime, stat.st_mtime_nsec as u32));
                return Ok(Step::Idle);
            };
            let length = (after - from) as usize;
            cut = Cut {
                start: length,
                end: length,
                next: length,
                ..Cut::default()
            };
            buffer.clear();
        }
        let next = from + cut.next as u64;
        self.state.identity.grow_head(file, size)?;
        if self.state.id.is_none() {
            let head = identity::read_at(file, 0, identity::HEAD_BYTES)?;
            self.state.name_by(host_id, &head, limits.newline, ended);
        }
        self.note_tail(file, from, &buffer[..cut.next.min(buffer.len())], next, &before)?;
        if next == size && from + read as u64 == size {
            // All that was there: what is written from now on is seen by its size.
            self.read_at = Some((size, stat.st_mtime, stat.st_mtime_nsec as u32));
        }
        Ok(Step::Chunk(self.chunk(std::mem::take(buffer), cut, limits, size)))
    }

    /// Takes the hash of the bytes before `next`, as far as they were read (`read`, from `from` on, and `before` it).
    fn note_tail(&mut self, file: &File, from: u64, read: &[u8], next: u64, before: &[u8]) -> io::Result<()> {
        let known = &mut self.state.identity;
        if next <= known.tail_end {
            return Ok(());
        }
        let is_whole = from + read.len() as u64 == next;
        if is_whole && read.len() >= TAIL_BYTES {
            known.move_tail(next, read);
        } else if is_whole && known.tail_end == from {
            known.move_tail(next, &[before, read].concat());
        } else {
            let begin = next.saturating_sub(TAIL_BYTES as u64);
            known.move_tail(next, &identity::read_at(file, begin, (next - begin) as usize)?);
        }
        Ok(())
    }

    /// As many lines as one chunk may hold, but at least one.
    fn offered<'a>(&self, read: &'a [u8], limits: Limits) -> &'a [u8] {
        let end = read
            .get(..self.chunk_bytes)
            .and_then(|wanted| limits.newline.last_end(wanted));
        &read[..end.unwrap_or(read.len())]
    }

    /// Makes the chunk of `buffer`, which was read at the position, and moves the position behind it.
    fn chunk(&mut self, mut buffer: Vec<u8>, cut: Cut, limits: Limits, size: u64) -> Chunk {
        let base = self.position;
        let at = |index: usize| base + index as u64;
        self.count(base, at(cut.rest), Fate::Skipped(skipped::CUT));
        self.count(at(cut.rest), at(cut.start), Fate::Skipped(skipped::NUL));
        self.count(at(cut.start), at(cut.end), Fate::HandedOn);
        self.count(at(cut.end), at(cut.next), Fate::Skipped(skipped::CUT));
        self.position = at(cut.next);
        self.state.cut_at = cut.skipping.then_some(self.position);
        self.last_data = Instant::now();
        self.nul_to = 0;
        if cut.start < cut.end {
            buffer.truncate(cut.end);
            buffer.drain(..cut.start);
        } else {
            buffer.clear();
        }
        Chunk {
            file: self.key,
            offset: at(cut.start),
            bytes: buffer,
            newline: limits.newline,
            end_offset: self.position,
            cut: cut.cut,
            lag_bytes: size.saturating_sub(self.position),
            file_state: Some(Box::new(self.state.clone())),
        }
    }

    /// The bytes before the last known offset if they are what they were, else none.
    fn verified_tail(&self, file: &File) -> io::Result<Option<Vec<u8>>> {
        let known = &self.state.identity;
        let length = known.tail_len as usize;
        let before = identity::read_at(file, known.tail_end - u64::from(known.tail_len), length)?;
        let same = before.len() == length && identity::content_hash(&before) == known.tail_hash;
        Ok((length == 0 || same).then_some(before))
    }

    /// Whether the file still holds what was read, when nothing seems to have been added.
    pub fn is_intact(&self) -> io::Result<bool> {
        match self.file() {
            Some(file) => {
                let size = u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0);
                let long_enough = size >= self.position.max(self.state.identity.tail_end);
                Ok(long_enough && self.verified_tail(file)?.is_some())
            }
            None => Ok(true),
        }
    }

    /// `from` begins a run of NULs: the unit at which something else begins, if there is one.
    fn end_of_nuls(&mut self, file: &File, limits: Limits, from: u64) -> io::Result<Option<u64>> {
        let width = limits.newline.width() as u64;
        let mut at = self.nul_to.max(from);
        for _ in 0..NUL_BUFFERS_PER_STEP {
            at = match rustix::fs::seek(file, SeekFrom::Data(at)) {
                Ok(data) => data.max(at),
                // A hole up to the end: it may still be filled.
                Err(rustix::io::Errno::NXIO) => return Ok(None),
                // A file system that knows no holes: read through.
                Err(_) => at,
            };
            let bytes = identity::read_at(file, at, CHUNK_MAX_BYTES)?;
            if let Some(text) = bytes.iter().position(|byte| *byte != 0) {
                let text = at + text as u64;
                return Ok(Some(text - (text - from) % width).filter(|end| *end > from));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            at += bytes.len() as u64;
            self.nul_to = at;
        }
        Ok(None)
    }

    /// Whether an archive was read to its end.
    pub fn is_exhausted(&self) -> bool {
        match &self.content {
            Content::Archive(archive) => archive.ended && archive.carry.is_empty(),
            Content::File(_) | Content::Closed => false,
        }
    }

    fn count(&mut self, from: u64, to: u64, fate: Fate) {
        let bytes = to.saturating_sub(from.max(self.counted_to));
        self.counted_to = self.counted_to.max(to);
        match fate {
            Fate::HandedOn => self.state.ledger.handed_on += bytes,
            Fate::Skipped(reason) => self.state.ledger.skip(reason, bytes),
        }
    }
}

mod archived;

enum Fate {
    HandedOn,
    Skipped(&'static str),
}
