//! One file on its way through the core: bytes in, exceptional records out, and where to go on after a restart.
//!
//! `run` (in the analyzer thread) and `scan` (inline) drive the same `Stream`, so that both find the same. Promises: the
//! outcome depends on the bytes alone, not on their chunking; what was judged before a restart is not reported again,
//! what was open is.

use super::prefilter::Prefilter;
use super::template::{Counts, Known, Look, Tally};
use super::{Exceptional, Finding, Settings, fingerprint, level, rules::Rules};
use crate::collector::{Chunk, Resume};
use crate::record::assemble::OddCounts;
use crate::record::{self, Assembler, Details, Level, Record};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// What is kept of the bytes before a chunk, so that context can be cut out of it.
const HISTORY_MAX_BYTES: usize = 8 * 1024;
/// Of so much of a file every line is looked at, so that its format is known, before lines are left out.
const LOOKED_AT_MIN_BYTES: usize = 64 * 1024;
/// A line of context is cut here.
const CONTEXT_LINE_MAX_BYTES: usize = 2 * 1024;

/// What one source's analyzers are: built once per source and configuration, shared by its files.
#[derive(Debug)]
pub struct Analyzers {
    alert_at: Option<Level>,
    rules: Rules,
    before_lines: usize,
    after_lines: usize,
    /// Records in which nobody finds anything are wanted too.
    wants_all: bool,
}

impl Analyzers {
    /// `alert_at` is the source's own level, over the settings' one.
    pub fn new(
        settings: &Settings,
        source: &str,
        alert_at: Option<Option<Level>>,
        before: usize,
        after: usize,
    ) -> Self {
        Self {
            alert_at: alert_at.unwrap_or(settings.alert_at),
            rules: Rules::for_source(&settings.rules, &settings.ignore, source),
            before_lines: before,
            after_lines: after,
            wants_all: false,
        }
    }

    /// No record is left out, also where that could be told from afar.
    #[must_use]
    pub fn wanting_all(self, wants_all: bool) -> Self {
        Self { wants_all, ..self }
    }

    /// What finds every record that anybody may find something in, by literals; none: each must be looked at.
    fn prefilter(&self) -> Option<&Prefilter> {
        self.rules
            .prefilter()
            .filter(|_| self.alert_at.is_none() && !self.wants_all)
    }

    /// All opinions of one record, and the severity they come to.
    fn judge(&self, record: &Record<'_>, details: &mut dyn FnMut() -> Details) -> Option<(Vec<Finding>, Level)> {
        #[cfg(test)]
        watch("judge", record.text);
        let mut findings: Vec<Finding> = level::analyze(record, self.alert_at).into_iter().collect();
        let mut overriding = None;
        for (finding, rule) in self.rules.analyze(record.body, details) {
            if rule.overrides {
                overriding = overriding.max(Some(rule.severity));
            }
            findings.push(finding);
        }
        let severity = overriding.or_else(|| findings.iter().map(|finding| finding.severity).max())?;
        Some((findings, severity))
    }
}

/// Told of what is done with which bytes, so that a test can abort there.
#[cfg(test)]
pub static WATCHER: std::sync::OnceLock<fn(&str, &[u8])> = std::sync::OnceLock::new();

#[cfg(test)]
pub fn watch(stage: &str, bytes: &[u8]) {
    WATCHER.get().into_iter().for_each(|watcher| watcher(stage, bytes));
}

/// What a stream tells its driver of one record.
#[expect(missing_debug_implementations, reason = "holds a closure")]
pub enum Seen<'a> {
    /// At least one analyzer found something, and nothing said to ignore it.
    Exceptional(Box<Exceptional>),
    /// Nobody found anything in it, but its mask is unknown: it may be news. It has no findings yet.
    Unfamiliar(Box<Exceptional>),
    /// Nobody found anything in it (or `ignore` did).
    Unremarkable {
        record: &'a Record<'a>,
        details: &'a dyn Fn() -> Details,
        ignored: bool,
    },
    /// So many records, each of one line, that nobody can find anything in: they were not looked at.
    Skipped(u64),
}

/// All state between two chunks of a file.
#[derive(Debug)]
pub struct Stream {
    assembler: Assembler,
    position: Position,
    history: VecDeque<u8>,
    /// Bytes whose every line was looked at.
    looked_at: usize,
}

#[derive(Debug)]
struct Position {
    analyzers: Arc<Analyzers>,
    /// End of what was fed.
    end_offset: u64,
    /// What an earlier life has already reported: starts below that are not listed.
    reported_to: u64,
    open_before: Vec<u64>,
    /// Line numbers are true only if reading began at the file's beginning.
    lines_known: bool,
    now: jiff::Timestamp,
    /// None: nobody asks which templates there are.
    tally: Option<Tally>,
}

impl Stream {
    pub fn new(analyzers: Arc<Analyzers>, settings: record::Settings, resume: &Resume) -> Self {
        let line = resume.line.unwrap_or(1);
        Self {
            assembler: Assembler::new(settings, line, &resume.format),
            position: Position {
                analyzers,
                end_offset: resume.offset,
                reported_to: resume.committed_to,
                open_before: resume.open_starts.clone(),
                lines_known: resume.line.is_some() || resume.offset == 0,
                now: jiff::Timestamp::UNIX_EPOCH,
                tally: None,
            },
            history: VecDeque::new(),
            looked_at: 0,
        }
    }

    /// New analyzers from here on (reload).
    pub fn set_analyzers(&mut self, analyzers: Arc<Analyzers>) {
        self.position.analyzers = analyzers;
    }

    /// From here on masks are looked up in what is known, and counted.
    pub fn set_known(&mut self, known: Arc<Known>) {
        self.position.tally.get_or_insert_default().set_known(known);
    }

    /// What was looked up since the last call.
    pub fn take_counts(&mut self) -> Counts {
        self.position.tally.as_mut().map(Tally::take).unwrap_or_default()
    }

    /// Feeds the next chunk, read at `now_ms` of a monotonic clock; `now` guesses the year of stamps that lack it.
    pub fn feed(&mut self, chunk: &Chunk, now_ms: u64, now: jiff::Timestamp, mut sink: impl FnMut(Seen<'_>)) {
        let Self {
            assembler,
            position,
            history,
            looked_at,
        } = self;
        position.now = now;
        #[cfg(test)]
        watch("feed", &chunk.bytes);
        let window = Window {
            history: history.make_contiguous(),
            chunk,
        };
        assembler.follow(chunk.newline);
        let analyzers = position.analyzers.clone();
        // Who looks up every mask looks at every line.
        let looks_up = position.tally.is_some();
        let mut feed = |assembler: &mut Assembler, lines: Range<usize>, sink: &mut _| {
            let cut = chunk.cut && lines.end == chunk.bytes.len();
            let offset = chunk.offset + lines.start as u64;
            assembler.feed(&chunk.bytes[lines], offset, cut, now_ms, |record, reader| {
                position.see(&record, reader, Some(&window), sink);
            });
        };
        let settled = *looked_at >= LOOKED_AT_MIN_BYTES && assembler.takes_lines_alone();
        match analyzers.prefilter().filter(|_| settled && !looks_up) {
            Some(prefilter) => skim(&chunk.bytes, prefilter, |skipped, lines| {
                assembler.skip_lines(skipped);
                sink(Seen::Skipped(skipped));
                feed(assembler, lines, &mut sink);
            }),
            None => {
                feed(assembler, 0..chunk.bytes.len(), &mut sink);
                *looked_at += chunk.bytes.len();
            }
        }
        position.end_offset = chunk.end_offset;
        keep_tail(history, &chunk.bytes);
    }

    /// Closes records that have been silent for long enough.
    pub fn close_silent(&mut self, now_ms: u64, mut sink: impl FnMut(Seen<'_>)) {
        let Self {
            assembler, position, ..
        } = self;
        assembler.close_silent(now_ms, |record, reader| position.see(&record, reader, None, &mut sink));
    }

    /// Closes everything: the file has ended for good.
    pub fn close_all(&mut self, mut sink: impl FnMut(Seen<'_>)) {
        let Self {
            assembler, position, ..
        } = self;
        assembler.close_all(|record, reader| position.see(&record, reader, None, &mut sink));
    }

    pub fn next_close_ms(&self) -> Option<u64> {
        self.assembler.next_close_ms()
    }

    /// Where a restart goes on.
    pub fn resume(&self) -> Resume {
        let end = self.position.end_offset;
        let mut open_starts = self.assembler.open_starts();
        // Records that were open before this start and are not read again yet are still to be reported: without them a
        // kill between the first checkpoint and their chunk would lose them.
        open_starts.extend(self.position.open_before.iter().filter(|start| **start >= end));
        Resume {
            offset: open_starts.first().map_or(end, |first| end.min(*first)),
            committed_to: end.max(self.position.reported_to),
            open_starts,
            line: self.position.lines_known.then(|| self.assembler.resume_line()),
            format: self.assembler.format_name().to_string(),
        }
    }

    /// No record with a lower `order` is still to come.
    pub fn next_order(&self) -> u64 {
        self.assembler.lowest_open_order().unwrap_or(u64::MAX)
    }

    pub fn take_odd_counts(&mut self) -> OddCounts {
        self.assembler.take_odd_counts()
    }
}

impl Position {
    fn see(
        &mut self,
        record: &Record<'_>,
        reader: &record::format::LineReader,
        window: Option<&Window<'_>>,
        sink: &mut impl FnMut(Seen<'_>),
    ) {
        let start = record.place.offset;
        if record.continuation || (start < self.reported_to && !self.open_before.contains(&start)) {
            return;
        }
        let now = self.now;
        let details = || reader.details(record.text, record.body, now);
        let judged = self.analyzers.judge(record, &mut || details());
        let look = match &mut self.tally {
            Some(tally) => tally.look(reader.message(record)),
            None => Look::Familiar,
        };
        let judged = with_noted(judged, &look);
        let unknown_mask = match look {
            Look::Unknown(hash) => Some(hash),
            Look::Familiar | Look::Noted(_) => None,
        };
        let remarkable = judged.is_some() || unknown_mask.is_some();
        let ignored = remarkable && self.analyzers.rules.ignores(record.body);
        if !remarkable || ignored {
            return sink(Seen::Unremarkable {
                record,
                details: &details,
                ignored: ignored && judged.is_some(),
            });
        }
        let is_found = judged.is_some();
        let (findings, severity) = judged.unwrap_or((Vec::new(), Level::Info));
        let mut kept = keep(record, details(), findings, severity);
        kept.unknown_mask = unknown_mask;
        if !self.lines_known {
            kept.line_numbers_known = false;
        }
        if let Some(window) = window {
            kept.before = window.before(start, self.analyzers.before_lines);
            kept.after = window.after(record.place.end_offset, self.analyzers.after_lines);
        }
        let kept = Box::new(kept);
        sink(if is_found {
            Seen::Exceptional(kept)
        } else {
            Seen::Unfamiliar(kept)
        });
    }
}

/// What is known of the template joins what was found. It may raise a severity, but not over a rule that lowers it.
fn with_noted(judged: Option<(Vec<Finding>, Level)>, look: &Look) -> Option<(Vec<Finding>, Level)> {
    let Look::Noted(noted) = look else { return judged };
    let noted = Finding::clone(noted);
    match judged {
        None => {
            let severity = noted.severity;
            Some((vec![noted], severity))
        }
        Some((mut findings, severity)) => {
            let highest = findings.iter().map(|finding| finding.severity).max();
            let severity = if highest > Some(severity) {
                severity
            } else {
                severity.max(noted.severity)
            };
            findings.push(noted);
            Some((findings, severity))
        }
    }
}

/// Turns a borrowed record and what was found in it into something that can leave the chunk.
pub fn keep(record: &Record<'_>, details: Details, findings: Vec<Finding>, severity: Level) -> Exceptional {
    let identified = fingerprint::of(record, &details);
    let first_line = record.text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Exceptional {
        findings,
        severity,
        fingerprint: identified.fingerprint,
        title: identified.title,
        template: identified.template,
        unknown_mask: None,
        text: String::from_utf8_lossy(record.text).into_owned(),
        first_line: first_line.to_vec(),
        details,
        level: level::effective(record),
        kind: record.kind,
        language: record.language,
        truncated: record.truncated,
        place: record.place.clone(),
        line_numbers_known: true,
        before: Vec::new(),
        after: Vec::new(),
    }
}

/// Leaves out lines in which nothing stands that the prefilter looks for: `take` gets the number of lines left out, and
/// where the next one to be looked at stands (nowhere, behind the last).
fn skim(bytes: &[u8], prefilter: &Prefilter, mut take: impl FnMut(u64, Range<usize>)) {
    let lines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count() as u64;
    let mut from = 0;
    while let Some(hit) = prefilter.find(bytes, from) {
        let start = memchr::memrchr(b'\n', &bytes[from..hit]).map_or(from, |at| from + at + 1);
        let end = memchr::memchr(b'\n', &bytes[hit..]).map_or(bytes.len(), |at| hit + at + 1);
        take(lines(&bytes[from..start]), start..end);
        from = end;
    }
    let rest = &bytes[from..];
    let unended = rest.last().is_some_and(|&last| last != b'\n');
    take(lines(rest) + u64::from(unended), bytes.len()..bytes.len());
}

/// Keeps the end of what went by, for the context of what comes.
fn keep_tail(history: &mut VecDeque<u8>, bytes: &[u8]) {
    let tail = &bytes[bytes.len().saturating_sub(HISTORY_MAX_BYTES)..];
    let excess = (history.len() + tail.len()).saturating_sub(HISTORY_MAX_BYTES);
    history.drain(..excess.min(history.len()));
    history.extend(tail);
}

/// The bytes around a record: those of its chunk, and the tail of what came before.
struct Window<'a> {
    history: &'a [u8],
    chunk: &'a Chunk,
}

impl Window<'_> {
    /// Up to `count` lines before `offset`, oldest first.
    fn before(&self, offset: u64, count: usize) -> Vec<String> {
        let in_chunk = offset
            .checked_sub(self.chunk.offset)
            .map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let (older, newer) = match in_chunk {
            Some(end) => (self.history, &self.chunk.bytes[..end.min(self.chunk.bytes.len())]),
            None => {
                let missing = usize::try_from(self.chunk.offset - offset).unwrap_or(usize::MAX);
                (&self.history[..self.history.len().saturating_sub(missing)], &[][..])
            }
        };
        let mut lines: Vec<String> = lines_backwards(newer).take(count).map(context_line).collect();
        let missing = count - lines.len();
        lines.extend(lines_backwards(older).take(missing).map(context_line));
        lines.reverse();
        lines
    }

    /// Up to `count` lines from `offset` on, as far as this chunk holds them.
    fn after(&self, offset: u64, count: usize) -> Vec<String> {
        let start = offset
            .checked_sub(self.chunk.offset)
            .and_then(|n| usize::try_from(n).ok());
        let rest = start
            .and_then(|start| self.chunk.bytes.get(start..))
            .unwrap_or_default();
        rest.split_inclusive(|&byte| byte == b'\n')
            .take(count)
            .map(context_line)
            .collect()
    }
}

fn lines_backwards(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let empty = bytes.is_empty();
    bytes.rsplit(|&byte| byte == b'\n').filter(move |_| !empty)
}

fn context_line(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(&line[..line.len().min(CONTEXT_LINE_MAX_BYTES)]).into_owned()
}

#[cfg(test)]
mod tests;
