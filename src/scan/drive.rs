//! One file through the core: opened, decompressed, cut into chunks, judged, and each alert handed on in file order.
//!
//! Pure in its file: nothing is shared between files but the [`Plan`], so that several may be scanned at once. In `scan`
//! time is the log's: a record without a time of its own has that of its neighbours, and the file's only where these
//! have none either.

use super::across::Across;
use super::chunks::{Chunks, chunk_of, limits_of};
use super::input::{self, Input, InputPlace, SAMPLE_BYTES};
use super::plan::{Plan, PlannedSource};
use super::report::Span;
use crate::alert::window::FileClock;
use crate::alert::{Alert, Origin, absence, id};
use crate::analyzer::stream::{Analyzers, Seen, Stream, keep};
use crate::analyzer::{Exceptional, Sign};
use crate::collector::{Resume, archive};
use crate::record::{self, Level};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many records of a file's beginning are looked at for its first time stamp.
const HEAD_RECORDS: u32 = 50;

/// So many items wait for earlier records of other streams (two daemons in one syslog); then they are handed on.
const MAX_WAITING: usize = 4096;

/// What came of one record.
#[derive(Debug)]
pub enum Item {
    Exceptional(Box<Alert>),
    /// Only with `all`: an alert that nobody would hear of.
    Unremarkable(Box<Alert>),
}

/// What was read of one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileTotals {
    pub lines: u64,
    pub bytes: u64,
    pub span: Span,
    /// It holds no text and was not named: nothing was read.
    pub skipped: bool,
}

/// Why a file was not scanned to its end.
#[derive(Debug)]
pub enum Interrupted {
    Reading(io::Error),
    /// Nobody takes our results: the whole scan ends.
    Writing(io::Error),
}

/// Takes what a scan finds.
pub trait Sink {
    /// One record, in file order.
    ///
    /// # Errors
    /// It could not be passed on: the scan ends.
    fn take(&mut self, item: Item) -> io::Result<()>;

    /// A chunk is done; so many raw bytes of this input have been read by now.
    ///
    /// # Errors
    /// As `take`.
    fn chunk_done(&mut self, raw_bytes: u64) -> io::Result<()>;
}

/// Scans one input from its beginning to its end.
///
/// # Errors
/// What broke it off: reading (what was found before has been handed on), or the sink.
pub fn scan(input: &Input, plan: &Plan, across: &mut Across, sink: &mut dyn Sink) -> Result<FileTotals, Interrupted> {
    let read_bytes = Arc::new(AtomicU64::new(0));
    let raw = input::open(&input.place).map_err(Interrupted::Reading)?;
    let raw = Counted {
        raw,
        read_bytes: read_bytes.clone(),
    };
    let (_, mut reader) = archive::decoded(Box::new(raw)).map_err(Interrupted::Reading)?;
    let mut sample = vec![0; SAMPLE_BYTES];
    let length = match input.place {
        // Who types, or follows a log, wants to see what comes when it comes.
        InputPlace::Stdin => reader.read(&mut sample),
        InputPlace::File(_) => archive::read_full(&mut reader, &mut sample),
    };
    sample.truncate(length.map_err(Interrupted::Reading)?);
    if !input.named && !input::looks_like_text(&sample) {
        return Ok(FileTotals {
            skipped: true,
            ..FileTotals::default()
        });
    }
    let source = plan.source_of(&input.place);
    let settings = with_byte_order_mark(&source.record, &sample);
    let mut chunks = Chunks::new(io::Cursor::new(sample.clone()).chain(reader), limits_of(&settings));
    let mut stream = Stream::new(source.analyzers.clone(), settings.clone(), &from_beginning(""));
    across
        .novelty
        .known(&source.name)
        .into_iter()
        .for_each(|known| stream.set_known(known));
    if let InputPlace::File(_) = input.place {
        // All of it is there: what is found at the end of a chunk waits for the next one.
        stream = stream.waiting_for_context(Duration::MAX);
    }
    let mut visit = Visit::new(input, plan, source, settings, &sample, across, sink);
    while let Some(chunk) = chunks.read().map_err(Interrupted::Reading)? {
        visit.totals.bytes = chunk.end_offset;
        visit.totals.lines += memchr::memchr_iter(b'\n', &chunk.bytes).count() as u64;
        visit.totals.lines += u64::from(!chunk.bytes.ends_with(b"\n"));
        let now = visit.now;
        stream.feed(&chunk, 0, now, |seen| visit.see(seen));
        visit.note_signs(stream.take_signs());
        visit.format = stream.resume().format;
        visit.count(&mut stream);
        visit.hand_on(stream.next_order());
        visit.check()?;
        visit
            .sink
            .chunk_done(read_bytes.load(Ordering::Relaxed))
            .map_err(Interrupted::Writing)?;
        chunks.recycle(chunk);
    }
    stream.close_all(|seen| visit.see(seen));
    visit.count(&mut stream);
    visit.note_signs(stream.take_signs());
    visit.hand_on(u64::MAX);
    visit.check()?;
    if let Some(last) = visit.last_stamp(chunks.tail()) {
        visit.totals.span.add(last);
    }
    visit.across.has_read(&visit.source.name, visit.totals.span);
    Ok(visit.totals)
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
    read_bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.raw.read(buffer)?;
        self.read_bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Follows the records of one file: gives them a time, and hands on what is wanted.
struct Visit<'a> {
    plan: &'a Plan,
    source: &'a PlannedSource,
    settings: record::Settings,
    path: Arc<str>,
    file_id: String,
    /// The file's modification time: the year of stamps that lack it, and the time of records that have none at all.
    now: jiff::Timestamp,
    format: String,
    totals: FileTotals,
    head_records: u32,
    latest: Option<jiff::Timestamp>,
    /// Found, with the order of their records: where streams interleave, an earlier record may still be open.
    waiting: Vec<(u64, Item)>,
    failed: Option<io::Error>,
    clock: FileClock,
    across: &'a mut Across,
    sink: &'a mut dyn Sink,
}

impl<'a> Visit<'a> {
    fn new(
        input: &Input,
        plan: &'a Plan,
        source: &'a PlannedSource,
        settings: record::Settings,
        sample: &[u8],
        across: &'a mut Across,
        sink: &'a mut dyn Sink,
    ) -> Self {
        let metadata = match &input.place {
            InputPlace::Stdin => None,
            InputPlace::File(path) => std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file),
        };
        let modified = metadata
            .as_ref()
            .and_then(|metadata| jiff::Timestamp::try_from(metadata.modified().ok()?).ok());
        let first_line = sample.split(|&byte| byte == b'\n').next().unwrap_or_default();
        Self {
            plan,
            source,
            settings,
            path: input.place.display().into(),
            file_id: id::of_file("", metadata.map_or(0, |metadata| metadata.ino()), first_line, 0),
            now: modified.unwrap_or(plan.now),
            format: String::new(),
            totals: FileTotals::default(),
            head_records: 0,
            latest: None,
            waiting: Vec::new(),
            failed: None,
            clock: FileClock::default(),
            across,
            sink,
        }
    }

    fn see(&mut self, seen: Seen<'_>) {
        if self.failed.is_some() {
            return;
        }
        match seen {
            Seen::Exceptional(found) | Seen::Unfamiliar(found) => {
                let at = self.time_of(&found);
                let Some((found, exceptional)) = self.weigh(*found, at) else {
                    return;
                };
                let (severity, order) = (exceptional.then_some(found.severity), found.place.order);
                let alert = self.compose(found, at);
                let item = match severity {
                    Some(_) => Item::Exceptional,
                    None => Item::Unremarkable,
                };
                if self.plan.wants(severity, at) {
                    self.waiting.push((order, item(Box::new(alert))));
                }
            }
            Seen::Skipped(_) => {}
            Seen::Unremarkable {
                record,
                details,
                ignored: _,
            } => {
                let looking = self.totals.span.0.is_none() && self.head_records < HEAD_RECORDS;
                if looking {
                    self.head_records += 1;
                    details().timestamp.into_iter().for_each(|at| self.totals.span.add(at));
                }
                if self.plan.all {
                    let kept = keep(record, details(), Vec::new(), Level::Info);
                    let at = self.time_of(&kept);
                    let alert = self.compose(kept, at);
                    if self.plan.wants(None, at) {
                        let order = record.place.order;
                        self.waiting.push((order, Item::Unremarkable(Box::new(alert))));
                    }
                }
            }
        }
    }

    /// Hands on, in order, what no record that is still to come precedes.
    fn hand_on(&mut self, next_order: u64) {
        self.waiting.sort_by_key(|(order, _)| *order);
        let ready = self.waiting.partition_point(|(order, _)| *order < next_order);
        let ready = ready.max(self.waiting.len().saturating_sub(MAX_WAITING));
        for (_, item) in self.waiting.drain(..ready) {
            if self.failed.is_none() {
                self.failed = self.sink.take(item).err();
            }
        }
    }

    /// Its own stamp, else that of its neighbours, else the file's time.
    fn time_of(&mut self, found: &Exceptional) -> jiff::Timestamp {
        match found.details.timestamp {
            Some(at) => {
                self.totals.span.add(at);
                self.latest = Some(at);
                at
            }
            None => self.neighbours_stamp(&found.before).or(self.latest).unwrap_or(self.now),
        }
    }

    /// What was looked up since the last chunk is counted, and the next one knows more.
    fn count(&mut self, stream: &mut Stream) {
        let at = self.latest.unwrap_or(self.now);
        let known = self.across.novelty.count(&self.source.name, &stream.take_counts(), at);
        known.into_iter().for_each(|known| stream.set_known(known));
    }

    /// What of a record counts, and whether it is exceptional by it; none: it is not wanted.
    fn weigh(&mut self, mut found: Exceptional, at: jiff::Timestamp) -> Option<(Exceptional, bool)> {
        let (source, path) = (&self.source.name, &self.path);
        let redactor = &self.plan.composer.redactor;
        let exceptional = self.across.novelty.weigh(source, path, &mut found, at, redactor);
        if !exceptional {
            return self.plan.all.then_some((found, false));
        }
        let at_ms = self.clock.tick(Some(at), at);
        let found = self.across.judge(found, at_ms)?;
        Some((found, true))
    }

    fn note_signs(&mut self, signs: Vec<Sign>) {
        for sign in signs {
            let Some(at) = sign.timestamp.or(self.latest) else {
                continue;
            };
            let last = absence::Match {
                file_id: self.file_id.clone(),
                source: self.source.name.to_string(),
                path: self.path.to_string(),
                offset: sign.offset,
                end_offset: sign.end_offset,
                at,
            };
            self.across.matched(&sign.rule, sign.since.unwrap_or(at), last);
        }
    }

    fn compose(&self, found: Exceptional, at: jiff::Timestamp) -> Alert {
        let origin = Origin {
            source: &self.source.name,
            path: &self.path,
            file_id: &self.file_id,
            labels: &self.source.labels,
        };
        let mut alert = self.plan.composer.compose(found, origin, self.plan.now);
        (alert.first_seen, alert.last_seen) = (at, at);
        alert
    }

    fn neighbours_stamp(&self, lines: &[String]) -> Option<jiff::Timestamp> {
        let mut settings = self.settings.clone();
        // They have been decoded.
        settings.encodings = vec![encoding_rs::UTF_8];
        self.latest_in(settings, lines.join("\n").as_bytes())
    }

    fn last_stamp(&self, tail: &[u8]) -> Option<jiff::Timestamp> {
        self.latest_in(self.settings.clone(), tail)
    }

    /// The latest time stamp within a few lines.
    fn latest_in(&self, settings: record::Settings, lines: &[u8]) -> Option<jiff::Timestamp> {
        let nobody = Arc::new(Analyzers::new(&crate::analyzer::Settings::default(), "", None, 0, 0));
        let mut latest = None;
        let mut see = |seen: Seen<'_>| {
            latest = latest.max(match seen {
                Seen::Exceptional(found) | Seen::Unfamiliar(found) => found.details.timestamp,
                Seen::Unremarkable { details, .. } => details().timestamp,
                Seen::Skipped(_) => None,
            });
        };
        let newline = limits_of(&settings).newline;
        let mut stream = Stream::new(nobody, settings, &from_beginning(&self.format));
        stream.feed(&chunk_of(lines.to_vec(), newline, 0, false), 0, self.now, &mut see);
        stream.close_all(&mut see);
        latest
    }

    fn check(&mut self) -> Result<(), Interrupted> {
        self.failed
            .take()
            .map_or(Ok(()), |error| Err(Interrupted::Writing(error)))
    }
}

#[cfg(test)]
mod tests;
