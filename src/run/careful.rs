//! Careful reading: finds the record that makes the process abort again and again, and skips it.
//!
//! A file that two runs in a row left where they found it, neither of which ended in order, is read here first, inline,
//! before a thread starts: chunk by chunk, with a note beside the state before each. A chunk at which the process ends is read
//! line by line by the next start; a record at which it ends twice is blanked out, counted as `lost(poison)`, and told.
//! Reading carefully finds what the service finds and commits it as the service does, so that starting it needlessly
//! (after three times `kill -9`) costs some milliseconds and nothing else. The usual path pays one row per run.

mod memory;

use super::build;
use super::worker::SourceParts;
use crate::alert::Composer;
use crate::alerter::courier;
use crate::analyzer::Exceptional;
use crate::analyzer::stream::{Seen, Stream};
use crate::cli::RunOptions;
use crate::collector::ledger::lost;
use crate::collector::lines::Newline;
use crate::collector::{Chunk, Collector, FileState, FirstLook, Opened, Resume};
use crate::config::Settings;
use crate::keeper::{Batch, Keeper};
use crate::metrics::Metrics;
use crate::state::{RUNNING, State, checkpoints};
use anyhow::{Context, Result};
use crossbeam_channel::bounded;
use memory::{Memory, Note, Span, Step};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The longest that a start reads carefully: supervisors give it 90 s. What is left is left to the service or, since
/// something was committed, to the next start.
const READ_MAX: Duration = Duration::from_secs(20);
/// A record that is open is judged ahead while it is at most so long: it stays below any `max_record` in use.
const OPEN_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Reads what earlier runs did not get over, if there is such; gives the state back. `stop`: somebody wants us to end.
pub fn read(
    mut state: State,
    settings: &Settings,
    options: &RunOptions,
    metrics: &Arc<Metrics>,
    stop: &dyn Fn() -> bool,
) -> Result<State> {
    let mut memory = Memory::load(&state)?;
    let note = Note::beside(&state);
    if state.meta(RUNNING)?.is_none() {
        // The last run ended in order: whatever was is over.
        Memory::default().save(&mut state)?;
        note.remove();
        return Ok(state);
    }
    memory.conclude(note.read());
    memory.count(&checkpoints::load(state.connection())?);
    memory.save(&mut state)?;
    let suspects = memory.suspects();
    if suspects.is_empty() {
        note.remove();
        return Ok(state);
    }
    log::warn!(
        "the last runs ended by an abort or a kill, and {} files did not get on: they are read carefully",
        suspects.len()
    );
    let composer = build::composer(&build::identity(&mut state)?, settings);
    let (events, _never_read) = bounded(1);
    let (_spent, spent) = bounded(1);
    let first_look = FirstLook::began(SystemTime::now());
    let (mut collector, _stop) = build::collector(
        &mut state,
        settings,
        options,
        &composer.host,
        (first_look, vec![events], spent),
    )?;
    let mut keeper = keeper(state, composer, settings, metrics)?;
    let mut found = collector.first_sight();
    found.retain(|opened| opened.row.is_some_and(|row| suspects.contains(&row)));
    keeper.adopt(found.clone(), &[])?;
    let sources = build::source_parts(settings);
    let mut reading = Reading {
        keeper,
        collector,
        memory,
        note,
        until: Instant::now() + READ_MAX,
        stop,
    };
    for opened in found {
        if let (Some(parts), Some(row)) = (sources.get(&opened.source), opened.row) {
            let new = |resume: &Resume| new_stream(settings, parts, resume);
            reading.file(row, &opened, &new)?;
        }
    }
    let Reading {
        keeper, memory, note, ..
    } = reading;
    let mut state = keeper.into_state();
    memory.save(&mut state)?;
    note.remove();
    Ok(state)
}

/// A keeper whose couriers are not there yet.
fn keeper(state: State, composer: Composer, settings: &Settings, metrics: &Arc<Metrics>) -> Result<Keeper> {
    let bells = settings
        .alerters
        .iter()
        .map(|alerter| (alerter.clone(), courier::bell().0, courier::feed(0).0));
    Keeper::new(crate::keeper::Parts {
        state,
        composer,
        alert: settings.alert.clone(),
        labels: build::labels(settings),
        rules: settings.analyzer.rules.clone(),
        alerters: bells.collect(),
        metrics: metrics.clone(),
        board: Arc::default(),
        judge: None,
    })
}

struct Reading<'a> {
    keeper: Keeper,
    collector: Collector,
    memory: Memory,
    note: Note,
    until: Instant,
    stop: &'a dyn Fn() -> bool,
}

/// One file, between two of its chunks.
struct File<'a> {
    row: i64,
    opened: &'a Opened,
    stream: Stream,
    new_stream: &'a dyn Fn(&Resume) -> Stream,
    /// The bytes of what is open, from its lowest start on.
    open: Vec<u8>,
    open_from: u64,
}

impl Reading<'_> {
    fn file(&mut self, row: i64, opened: &Opened, new_stream: &dyn Fn(&Resume) -> Stream) -> Result<()> {
        let mut file = File {
            row,
            opened,
            stream: new_stream(&opened.resume),
            new_stream,
            open: Vec::new(),
            open_from: opened.resume.offset,
        };
        let mut skipped_to = 0;
        let end = opened.file_state.size_seen;
        while !self.is_over() {
            let Some(mut chunk) = self.collector.read_chunk(opened.file) else {
                break;
            };
            let (from, to) = (chunk.offset, chunk.end_offset);
            let narrow = self.memory.is_narrow(row, from, to) || chunk.lag_bytes == 0;
            skipped_to = skipped_to.max(self.skip(row, &mut chunk));
            let state = chunk.file_state.take();
            if narrow {
                self.by_lines(&mut file, &chunk)?;
            } else {
                self.note(Step::Chunk, row, from, to)?;
                let found = file.feed(&chunk);
                self.hold(&mut file, found, None, chunk.lag_bytes);
            }
            self.hold(&mut file, Vec::new(), state, chunk.lag_bytes);
            self.keeper.write()?;
            if chunk.end_offset >= end {
                break;
            }
        }
        if file.stream.resume().offset < skipped_to {
            // What is open would be read again together with what is skipped, by those who do not know of it.
            let mut found = Vec::new();
            file.stream.close_all(&mut |seen| keep(seen, &mut found));
            self.hold(&mut file, found, None, 0);
            self.keeper.write()?;
        }
        self.memory.done_with(row);
        self.write_note(None)
    }

    fn is_over(&mut self) -> bool {
        Instant::now() > self.until || (self.stop)() || self.keeper.is_blocked()
    }

    fn note(&mut self, step: Step, row: i64, from: u64, to: u64) -> Result<()> {
        self.write_note(Some((step, Span { row, from, to })))
    }

    fn write_note(&mut self, step: Option<(Step, Span)>) -> Result<()> {
        let written = self.note.write(step);
        written.context("writing down what is read carefully")
    }

    /// Blanks out what is poison in a chunk, counts and tells it; up to where that goes.
    fn skip(&mut self, row: i64, chunk: &mut Chunk) -> u64 {
        let mut skipped_to = 0;
        for span in self.memory.poison(row, chunk.offset, chunk.end_offset) {
            let length = chunk.bytes.len() as u64;
            let (from, to) = (span.from.max(chunk.offset), span.to.min(chunk.offset + length));
            let (start, end) = ((from - chunk.offset) as usize, (to - chunk.offset) as usize);
            blank(&mut chunk.bytes[start..end.max(start)], chunk.newline);
            self.collector.lose_of(chunk, lost::POISON, to - from);
            if let Some(state) = &chunk.file_state {
                self.keeper.tell_poison(chunk.file, (from, to), state);
            }
            skipped_to = skipped_to.max(span.to);
        }
        skipped_to
    }

    /// Before each line a note; before that, what it may close is judged ahead, so that the note tells the two apart.
    fn by_lines(&mut self, file: &mut File<'_>, chunk: &Chunk) -> Result<()> {
        self.note(Step::Lines, file.row, chunk.offset, chunk.end_offset)?;
        let mut start = 0;
        while start < chunk.bytes.len() {
            let rest = &chunk.bytes[start..];
            let length = chunk.newline.first_end(rest).unwrap_or(rest.len());
            let is_last = length == rest.len();
            let offset = chunk.offset + start as u64;
            let line = Chunk {
                file: chunk.file,
                offset,
                bytes: rest[..length].to_vec(),
                newline: chunk.newline,
                end_offset: if is_last {
                    chunk.end_offset
                } else {
                    offset + length as u64
                },
                cut: chunk.cut && is_last,
                lag_bytes: chunk.lag_bytes,
                file_state: None,
            };
            self.judge_open_ahead(file, chunk.newline)?;
            self.note(Step::Record, file.row, offset, line.end_offset)?;
            for exceptional in file.feed(&line) {
                let place = (exceptional.place.offset, exceptional.place.end_offset);
                self.note(Step::Record, file.row, place.0, place.1)?;
                self.hold(file, vec![exceptional], None, chunk.lag_bytes);
            }
            start += length;
        }
        self.judge_open_ahead(file, chunk.newline)?;
        self.note(Step::Lines, file.row, chunk.offset, chunk.end_offset)
    }

    /// Judges what is open as if it ended here, and forgets what came of it.
    fn judge_open_ahead(&mut self, file: &File<'_>, newline: Newline) -> Result<()> {
        let is_whole = file.open_from == file.stream.resume().offset;
        if file.open.is_empty() || !is_whole || file.open.len() > OPEN_MAX_BYTES {
            return Ok(());
        }
        let (from, to) = (file.open_from, file.open_from + file.open.len() as u64);
        self.note(Step::Record, file.row, from, to)?;
        let ahead = Chunk {
            file: file.opened.file,
            offset: from,
            bytes: file.open.clone(),
            newline,
            end_offset: to,
            cut: false,
            lag_bytes: 0,
            file_state: None,
        };
        let mut stream = (file.new_stream)(&Resume {
            offset: from,
            committed_to: from,
            format: file.stream.resume().format,
            ..Resume::default()
        });
        #[cfg(test)]
        super::watcher::watch("feed", &ahead.bytes);
        let mut unheard = Vec::new();
        let unheard = &mut |seen: Seen<'_>| keep(seen, &mut unheard);
        stream.feed(ahead.run(), 0, jiff::Timestamp::now(), unheard);
        stream.close_all(unheard);
        Ok(())
    }

    fn hold(
        &mut self,
        file: &mut File<'_>,
        found: Vec<Exceptional>,
        file_state: Option<Box<FileState>>,
        lag_bytes: u64,
    ) {
        self.keeper.hold(Batch {
            file: file.opened.file,
            opened: None,
            found,
            counts: file.stream.take_counts(),
            signs: file.stream.take_signs(),
            resume: file.stream.resume(),
            file_state,
            closed: false,
            lag_bytes,
            observed_at: jiff::Timestamp::now(),
        });
    }
}

impl File<'_> {
    fn feed(&mut self, chunk: &Chunk) -> Vec<Exceptional> {
        let mut found = Vec::new();
        // The service counts silence from the file's last change; here no record grows old.
        #[cfg(test)]
        super::watcher::watch("feed", &chunk.bytes);
        let keep = &mut |seen: Seen<'_>| keep(seen, &mut found);
        self.stream.feed(chunk.run(), 0, jiff::Timestamp::now(), keep);
        let contiguous = self.open_from + self.open.len() as u64 == chunk.offset;
        if !contiguous || self.open.len() > OPEN_MAX_BYTES {
            self.open.clear();
        }
        if self.open.is_empty() {
            self.open_from = chunk.offset;
        }
        self.open.extend_from_slice(&chunk.bytes);
        let done = self.stream.resume().offset.saturating_sub(self.open_from);
        let done = usize::try_from(done).map_or(self.open.len(), |done| done.min(self.open.len()));
        self.open.drain(..done);
        self.open_from += done as u64;
        found
    }
}

fn new_stream(settings: &Settings, parts: &SourceParts, resume: &Resume) -> Stream {
    let mut stream = Stream::new(parts.analyzers.clone(), parts.record.clone(), resume);
    if settings.alert.novelty.enabled {
        // Every mask is brought once; the keeper knows which of them are known.
        stream.set_known(Arc::default());
    }
    stream
}

fn keep(seen: Seen<'_>, found: &mut Vec<Exceptional>) {
    #[cfg(test)]
    super::watcher::watch_judged(&seen);
    match seen {
        Seen::Exceptional(exceptional) | Seen::Unfamiliar(exceptional) => found.push(*exceptional),
        Seen::Unremarkable { .. } | Seen::Skipped(_) => {}
    }
}

/// Blanks for all but newlines: offsets and line numbers stay true.
fn blank(bytes: &mut [u8], newline: Newline) {
    let (space, end): (&[u8], &[u8]) = match newline {
        Newline::Byte => (b" ", b"\n"),
        Newline::Utf16Le => (b" \0", b"\n\0"),
        Newline::Utf16Be => (b"\0 ", b"\0\n"),
    };
    for unit in bytes.chunks_exact_mut(newline.width()).filter(|unit| *unit != end) {
        unit.copy_from_slice(space);
    }
}

#[cfg(test)]
mod tests;
