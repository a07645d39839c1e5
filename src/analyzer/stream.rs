//! One file on its way through the core: bytes in, exceptional records out, and where to go on after a restart.
//!
//! `run` (in the analyzer thread) and `scan` (inline) drive the same `Stream`, so that both find the same. Promises: the
//! outcome depends on the bytes alone, not on their chunking; what was judged before a restart is not reported again,
//! what was open is.

use super::context::{Window, keep_tail};
use super::prefilter::Prefilter;
use super::template::{Counts, Known, Look, Tally};
use super::{Exceptional, Finding, Resume, Rule, Run, Settings, Sign, fingerprint, level, rules::Rules};
use crate::record::assemble::OddCounts;
use crate::record::{self, Assembler, Details, Level, Record};
use skim::skim;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

pub use part::Standing;

/// Of so much of a file every line is looked at, so that its format is known, before lines are left out.
const LOOKED_AT_MIN_BYTES: usize = 64 * 1024;

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

    /// All opinions of one record, and the severity they come to. A match whose absence is watched is no opinion: it
    /// goes to `signs`.
    fn judge(
        &self,
        record: &Record<'_>,
        details: &mut dyn FnMut() -> Details,
        signs: &mut Vec<Sign>,
    ) -> Option<(Vec<Finding>, Level)> {
        let mut findings: Vec<Finding> = level::analyze(record, self.alert_at).into_iter().collect();
        let mut overriding = None;
        for (finding, rule) in self.rules.analyze(record.body, details) {
            if rule.absent_for.is_some() {
                note_sign(signs, rule, record, details().timestamp);
                continue;
            }
            if rule.overrides {
                overriding = overriding.max(Some(rule.severity));
            }
            findings.push(finding);
        }
        let severity = overriding.or_else(|| findings.iter().map(|finding| finding.severity).max())?;
        Some((findings, severity))
    }
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
    /// How long a finding waits for the lines after it.
    wait_ms: u64,
    waiting: Vec<Waiting>,
    signs: Vec<Sign>,
    now_ms: u64,
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

/// A finding whose lines after it have not all come: it is as open as a record is, so that a kill has it read again.
#[derive(Debug)]
struct Waiting {
    found: Box<Exceptional>,
    until_ms: u64,
}

impl Stream {
    pub fn new(analyzers: Arc<Analyzers>, settings: record::Settings, resume: &Resume) -> Self {
        let line = resume.line.unwrap_or(1);
        Self {
            assembler: Assembler::new(settings, line, &resume.format),
            position: Position {
                analyzers,
                wait_ms: 0,
                waiting: Vec::new(),
                signs: Vec::new(),
                now_ms: 0,
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

    /// Findings wait so long for the lines after them, but for fatal ones. By default they do not.
    pub fn waiting_for_context(mut self, wait: Duration) -> Self {
        self.position.wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self
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
    pub fn feed(&mut self, run: Run<'_>, now_ms: u64, now: jiff::Timestamp, sink: &mut dyn FnMut(Seen<'_>)) {
        let Self {
            assembler,
            position,
            history,
            looked_at,
        } = self;
        position.now = now;
        position.now_ms = now_ms;
        let window = Window {
            history: history.make_contiguous(),
            offset: run.offset,
            bytes: run.bytes,
        };
        position.look_after(&window, sink);
        assembler.follow(run.newline);
        let analyzers = position.analyzers.clone();
        // Who looks up every mask looks at every line.
        let looks_up = position.tally.is_some();
        let mut feed = |assembler: &mut Assembler, lines: Range<usize>, sink: &mut dyn FnMut(Seen<'_>)| {
            let cut = run.cut && lines.end == run.bytes.len();
            let offset = run.offset + lines.start as u64;
            assembler.feed(&run.bytes[lines], offset, cut, now_ms, |record, reader| {
                position.see(&record, reader, &window, 0, sink);
            });
        };
        let settled = *looked_at >= LOOKED_AT_MIN_BYTES && assembler.takes_lines_alone();
        match analyzers.prefilter().filter(|_| settled && !looks_up) {
            Some(prefilter) => skim(run.bytes, prefilter, |skipped, lines| {
                assembler.skip_lines(skipped);
                sink(Seen::Skipped(skipped));
                feed(assembler, lines, sink);
            }),
            None => {
                feed(assembler, 0..run.bytes.len(), sink);
                *looked_at += run.bytes.len();
            }
        }
        position.end_offset = run.end_offset;
        keep_tail(history, run.bytes);
    }

    /// Closes records that have been silent for long enough, and hands on what has waited for its context so long.
    pub fn close_silent(&mut self, now_ms: u64, sink: &mut dyn FnMut(Seen<'_>)) {
        let waited_ms = self.assembler.flush_ms();
        self.at_end(now_ms, |assembler, position, window| {
            position.hand_on(|waiting| waiting.until_ms <= now_ms, sink);
            assembler.close_silent(now_ms, |record, reader| {
                position.see(&record, reader, window, waited_ms, sink);
            });
        });
    }

    /// Closes everything: the file has ended for good.
    pub fn close_all(&mut self, sink: &mut dyn FnMut(Seen<'_>)) {
        self.at_end(self.position.now_ms, |assembler, position, window| {
            position.hand_on(|_| true, sink);
            assembler.close_all(|record, reader| position.see(&record, reader, window, u64::MAX, sink));
        });
    }

    /// Works where no more has come: all there is stands in the history.
    fn at_end(&mut self, now_ms: u64, work: impl FnOnce(&mut Assembler, &mut Position, &Window<'_>)) {
        let Self {
            assembler,
            position,
            history,
            looked_at: _,
        } = self;
        position.now_ms = now_ms;
        let window = Window {
            history: history.make_contiguous(),
            offset: position.end_offset,
            bytes: &[],
        };
        work(assembler, position, &window);
    }

    pub fn next_close_ms(&self) -> Option<u64> {
        let waiting = self.position.waiting.iter().map(|waiting| waiting.until_ms);
        waiting.chain(self.assembler.next_close_ms()).min()
    }

    /// The last match of each rule whose absence is watched, since the last call.
    pub fn take_signs(&mut self) -> Vec<Sign> {
        std::mem::take(&mut self.position.signs)
    }

    /// Where a restart goes on.
    pub fn resume(&self) -> Resume {
        let end = self.position.end_offset;
        let waiting = &self.position.waiting;
        let mut open_starts = self.assembler.open_starts();
        let first_open = open_starts.first().copied().unwrap_or(end);
        let first_waiting = waiting
            .iter()
            .map(|waiting| &waiting.found.place)
            .min_by_key(|place| place.offset);
        let line = match first_waiting {
            Some(place) if place.offset < first_open => place.first_line,
            Some(_) | None => self.assembler.resume_line(),
        };
        open_starts.extend(waiting.iter().map(|waiting| waiting.found.place.offset));
        open_starts.sort_unstable();
        // Records that were open before this start and are not read again yet are still to be reported: without them a
        // kill between the first checkpoint and their chunk would lose them.
        open_starts.extend(self.position.open_before.iter().filter(|start| **start >= end));
        Resume {
            offset: open_starts.first().map_or(end, |first| end.min(*first)),
            committed_to: end.max(self.position.reported_to),
            open_starts,
            line: self.position.lines_known.then_some(line),
            format: self.assembler.format_name().to_string(),
        }
    }

    /// No record with a lower `order` is still to come.
    pub fn next_order(&self) -> u64 {
        let waiting = self.position.waiting.iter().map(|waiting| waiting.found.place.order);
        waiting
            .chain(self.assembler.lowest_open_order())
            .min()
            .unwrap_or(u64::MAX)
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
        window: &Window<'_>,
        waited_ms: u64,
        sink: &mut dyn FnMut(Seen<'_>),
    ) {
        let start = record.place.offset;
        if record.continuation || (start < self.reported_to && !self.open_before.contains(&start)) {
            return;
        }
        let now = self.now;
        let details = || reader.details(record.text, record.body, now);
        let judged = self.analyzers.judge(record, &mut || details(), &mut self.signs);
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
        let (findings, severity) = judged.unwrap_or((Vec::new(), Level::Info));
        let mut kept = keep(record, details(), findings, severity);
        kept.unknown_mask = unknown_mask;
        if !self.lines_known {
            kept.line_numbers_known = false;
        }
        kept.before = window.before(start, self.analyzers.before_lines);
        kept.after = window.after(record.place.end_offset, self.analyzers.after_lines);
        let found = Box::new(kept);
        let left_ms = self.wait_ms.saturating_sub(waited_ms);
        if left_ms > 0 && severity < Level::Fatal && found.after.len() < self.analyzers.after_lines {
            let until_ms = self.now_ms.saturating_add(left_ms);
            self.waiting.push(Waiting { found, until_ms });
        } else {
            sink(seen_of(found));
        }
    }

    /// New lines: those that findings wait for are among them.
    fn look_after(&mut self, window: &Window<'_>, sink: &mut dyn FnMut(Seen<'_>)) {
        let after_lines = self.analyzers.after_lines;
        for Waiting { found, .. } in &mut self.waiting {
            let missing = after_lines.saturating_sub(found.after.len());
            found.after.extend(window.first(missing));
        }
        let now_ms = self.now_ms;
        self.hand_on(
            |waiting| waiting.until_ms <= now_ms || waiting.found.after.len() >= after_lines,
            sink,
        );
    }

    fn hand_on(&mut self, ready: impl Fn(&Waiting) -> bool, sink: &mut dyn FnMut(Seen<'_>)) {
        for Waiting { mut found, .. } in self.waiting.extract_if(.., |waiting| ready(waiting)) {
            if let Some(unknown) = &mut found.unknown_mask {
                // The records before it have been counted with their own chunk.
                unknown.number = 0;
            }
            sink(seen_of(found));
        }
    }
}

fn seen_of(found: Box<Exceptional>) -> Seen<'static> {
    match found.findings.is_empty() {
        false => Seen::Exceptional(found),
        true => Seen::Unfamiliar(found),
    }
}

/// Matches that follow each other within `absent_for` are one run: where it ends is what counts.
fn note_sign(signs: &mut Vec<Sign>, rule: &Rule, record: &Record<'_>, timestamp: Option<jiff::Timestamp>) {
    let sign = Sign {
        rule: rule.name.clone(),
        since: timestamp,
        offset: record.place.offset,
        end_offset: record.place.end_offset,
        timestamp,
    };
    let last = signs.iter_mut().rfind(|last| last.rule == rule.name);
    let gap = |last: &Sign| Some(timestamp?.duration_since(last.timestamp?).unsigned_abs());
    match last {
        Some(last) if gap(last).is_none_or(|gap| Some(gap) <= rule.absent_for) => {
            let since = last.since;
            *last = Sign { since, ..sign };
        }
        Some(_) | None => signs.push(sign),
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
        text: record::lossy(record.text),
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

mod part;
mod rest;
mod skim;

#[cfg(test)]
mod tests;
