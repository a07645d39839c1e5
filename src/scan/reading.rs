//! One part of one input through the core: opened, decompressed, cut into chunks, judged. What was found of each chunk is
//! a [`Pass`]; what it means beside other records and files is [`super::visit`]'s.
//!
//! Nothing here is shared, so that many threads may read at once. Who begins within a file reads on from a little before,
//! and says where it [`Standing`]s at the beginning of its part: where that is how the part before ended, it has read
//! what one reader of the whole file would have.

use super::chunks::{Chunks, limits_of};
use super::input::{self, Input, InputPlace, SAMPLE_BYTES};
use super::plan::Plan;
use super::unit::Part;
use crate::alert::id;
use crate::analyzer::stream::{Seen, Standing, Stream, keep};
use crate::analyzer::template::{Counts, Known};
use crate::analyzer::{Exceptional, Sign};
use crate::collector::lines::Limits;
use crate::collector::{Chunk, Resume, archive};
use crate::record::{self, Level};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many lines of an input are looked at for its first time stamp.
const HEAD_LINES: u64 = 50;

/// What one chunk gave.
#[derive(Debug, Default)]
pub struct Pass {
    pub notes: Vec<Note>,
    pub counts: Counts,
    pub signs: Vec<Sign>,
    /// No record with a lower order is still to come.
    pub next_order: u64,
    pub format: &'static str,
    pub lines: u64,
    /// Bytes of the input, decompressed and as it lies there, up to its end.
    pub end_offset: u64,
    pub raw_bytes: u64,
    /// Of what was known when it was read.
    pub generation: Option<u64>,
    /// The last lines of it, if it ends the input.
    pub tail: Vec<u8>,
}

/// One record, in the order in which they were complete.
#[derive(Debug)]
pub enum Note {
    /// Somebody found something in it, or its mask is new.
    Found(Box<Exceptional>),
    /// Only with `all`: nobody did.
    Unremarkable(Box<Exceptional>),
    /// The time of one of the first records.
    Head(jiff::Timestamp),
}

/// What is known of an input when it is opened.
#[derive(Debug)]
pub struct Head {
    pub file_id: String,
    /// Its modification time: the year of stamps that lack it, and the time of records that have none at all.
    pub modified: jiff::Timestamp,
    pub settings: record::Settings,
}

/// A part while it is read.
#[expect(missing_debug_implementations, reason = "reads from whatever it was given")]
pub struct Reading {
    pub stream: Stream,
    chunks: Chunks<Box<dyn Read + Send>>,
    part: Part,
    limits: Limits,
    now: jiff::Timestamp,
    all: bool,
    raw_bytes: Arc<AtomicU64>,
}

impl Reading {
    /// Opens an input at its beginning. None: it holds no text, and was not named.
    pub fn open(input: &Input, plan: &Plan, part: Part) -> io::Result<Option<(Head, Self)>> {
        let raw_bytes = Arc::new(AtomicU64::new(0));
        let raw = input::open(&input.place)?;
        let raw = Counted {
            raw,
            raw_bytes: raw_bytes.clone(),
        };
        let (_, mut reader) = archive::decoded(Box::new(raw))?;
        let mut sample = vec![0; SAMPLE_BYTES];
        let length = match input.place {
            // Who types, or follows a log, wants to see what comes when it comes.
            InputPlace::Stdin => reader.read(&mut sample),
            InputPlace::File(_) => archive::read_full(&mut reader, &mut sample),
        }?;
        sample.truncate(length);
        if !input.named && !input::looks_like_text(&sample) {
            return Ok(None);
        }
        let head = head(input, plan, &sample);
        let whole = io::Cursor::new(sample).chain(reader);
        let reader: Box<dyn Read + Send> = match part.to {
            Some(to) => Box::new(whole.take(to)),
            None => Box::new(whole),
        };
        let mut reading = Self::new(input, plan, part, &head, 0, reader);
        reading.raw_bytes = raw_bytes;
        Ok(Some((head, reading)))
    }

    /// Opens a file at a part within it, and reads what comes before.
    pub fn open_within(input: &Input, plan: &Plan, part: Part, known: Option<Arc<Known>>) -> io::Result<Self> {
        let ahead = range(&input.place, part.ahead_from, Some(part.from))?;
        let head = head(input, plan, &[]);
        let mut reading = Self::new(input, plan, part, &head, part.ahead_from, ahead);
        while reading.next(known.clone())?.is_some() {}
        reading.stream.forget_found();
        reading.chunks = Chunks::at(part.from, range(&input.place, part.from, part.to)?, reading.limits);
        Ok(reading)
    }

    /// The part behind the one that has been read.
    pub fn go_on(&mut self, input: &Input, part: Part) -> io::Result<()> {
        self.chunks = Chunks::at(part.from, range(&input.place, part.from, part.to)?, self.limits);
        self.part = part;
        Ok(())
    }

    fn new(input: &Input, plan: &Plan, part: Part, head: &Head, offset: u64, reader: Box<dyn Read + Send>) -> Self {
        let source = plan.source_of(&input.place);
        let limits = limits_of(&head.settings);
        let resume = Resume {
            offset,
            ..from_beginning("")
        };
        let mut stream = Stream::new(source.analyzers.clone(), head.settings.clone(), &resume);
        if let InputPlace::File(_) = input.place {
            // All of it is there: what is found at the end of a chunk waits for the next one.
            stream = stream.waiting_for_context(Duration::MAX);
        }
        Self {
            stream,
            chunks: Chunks::at(offset, reader, limits),
            part,
            limits,
            now: head.modified,
            all: plan.all,
            raw_bytes: Arc::default(),
        }
    }

    /// The next chunk, with what is known by now (none: nobody asks what is new).
    pub fn next(&mut self, known: Option<Arc<Known>>) -> io::Result<Option<Pass>> {
        let Some(chunk) = self.chunks.read()? else {
            return Ok(None);
        };
        let generation = known.as_ref().map(|known| known.generation());
        known.into_iter().for_each(|known| self.stream.look_up(known));
        let first_line = self.stream.next_line();
        let mut pass = Pass {
            end_offset: chunk.end_offset,
            generation,
            ..Pass::default()
        };
        self.drive(&mut pass, |stream, now, sink| stream.feed(chunk.run(), 0, now, sink));
        pass.lines = self.stream.next_line() - first_line;
        self.chunks.recycle(chunk);
        Ok(Some(pass))
    }

    /// The end of the part. What is found waits for the lines after it no longer than to the next part; what is open
    /// stays so, but at the end of the input.
    pub fn finish(&mut self, input: &Input) -> io::Result<Pass> {
        let mut pass = Pass {
            end_offset: self.chunks.offset(),
            ..Pass::default()
        };
        match self.part.to {
            Some(to) => {
                let next = self.chunk_at(input, to)?;
                self.drive(&mut pass, |stream, _, sink| stream.look_ahead(next.run(), sink));
            }
            None => {
                self.drive(&mut pass, |stream, _, sink| stream.close_all(sink));
                pass.next_order = u64::MAX;
                pass.tail = self.chunks.tail().to_vec();
            }
        }
        Ok(pass)
    }

    fn chunk_at(&self, input: &Input, offset: u64) -> io::Result<Chunk> {
        let mut chunks = Chunks::at(offset, range(&input.place, offset, None)?, self.limits);
        let none = || super::chunks::chunk_of(Vec::new(), self.limits.newline, offset, false);
        Ok(chunks.read()?.unwrap_or_else(none))
    }

    fn drive(&mut self, pass: &mut Pass, drive: impl FnOnce(&mut Stream, jiff::Timestamp, &mut dyn FnMut(Seen<'_>))) {
        let all = self.all;
        let notes = &mut pass.notes;
        let is_head = |line: u64| self.part.from == 0 && line <= HEAD_LINES;
        drive(&mut self.stream, self.now, &mut |seen| match seen {
            Seen::Exceptional(found) | Seen::Unfamiliar(found) => {
                if is_head(found.place.first_line) {
                    notes.extend(found.details.timestamp.map(Note::Head));
                }
                notes.push(Note::Found(found));
            }
            Seen::Skipped(_) => {}
            Seen::Unremarkable { record, details, .. } => {
                if is_head(record.place.first_line) {
                    notes.extend(details().timestamp.map(Note::Head));
                }
                if all {
                    let kept = keep(record, details(), Vec::new(), Level::Info);
                    notes.push(Note::Unremarkable(Box::new(kept)));
                }
            }
        });
        pass.counts = self.stream.take_counts();
        pass.signs = self.stream.take_signs();
        pass.next_order = self.stream.next_order();
        pass.format = self.stream.format_name();
        pass.raw_bytes = match self.part.from {
            0 => self.raw_bytes.load(Ordering::Relaxed),
            _ => pass.end_offset,
        };
    }

    pub fn standing(&self) -> Standing {
        self.stream.standing()
    }
}

impl Pass {
    /// Its lines are numbered from a later one on.
    pub fn shift_lines(&mut self, by: u64) {
        for note in &mut self.notes {
            match note {
                Note::Found(found) | Note::Unremarkable(found) => found.place.shift_lines(by),
                Note::Head(_) => {}
            }
        }
        if self.next_order != u64::MAX {
            self.next_order = self.next_order.wrapping_add(by);
        }
    }

    /// About so many bytes are held by it.
    pub fn weight(&self) -> usize {
        let weigh = |note: &Note| match note {
            Note::Found(found) | Note::Unremarkable(found) => {
                let lines = found.before.iter().chain(&found.after);
                1024 + 2 * found.text.len() + lines.map(String::len).sum::<usize>()
            }
            Note::Head(_) => 0,
        };
        self.notes.iter().map(weigh).sum()
    }
}

fn head(input: &Input, plan: &Plan, sample: &[u8]) -> Head {
    let metadata = match &input.place {
        InputPlace::Stdin => None,
        InputPlace::File(path) => std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file),
    };
    let modified = metadata
        .as_ref()
        .and_then(|metadata| jiff::Timestamp::try_from(metadata.modified().ok()?).ok());
    let first_line = sample.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Head {
        file_id: id::of_file("", metadata.map_or(0, |metadata| metadata.ino()), first_line, 0),
        modified: modified.unwrap_or(plan.now),
        settings: with_byte_order_mark(&plan.source_of(&input.place).record, sample),
    }
}

/// The bytes of a file from … to.
fn range(place: &InputPlace, from: u64, to: Option<u64>) -> io::Result<Box<dyn Read + Send>> {
    let InputPlace::File(path) = place else {
        return Ok(Box::new(io::empty()));
    };
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    Ok(match to {
        Some(to) => Box::new(file.take(to.saturating_sub(from))),
        None => Box::new(file),
    })
}

pub fn from_beginning(format: &str) -> Resume {
    Resume {
        line: Some(1),
        format: format.to_owned(),
        ..Resume::default()
    }
}

/// UTF-16 with a byte order mark needs no `--encoding`.
pub fn with_byte_order_mark(settings: &record::Settings, sample: &[u8]) -> record::Settings {
    let mut settings = settings.clone();
    if let Some((encoding, _)) = encoding_rs::Encoding::for_bom(sample)
        && encoding != encoding_rs::UTF_8
    {
        settings.encodings = vec![encoding];
    }
    settings
}

/// Counts what is read through it.
struct Counted {
    raw: Box<dyn Read + Send>,
    raw_bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.raw.read(buffer)?;
        self.raw_bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
