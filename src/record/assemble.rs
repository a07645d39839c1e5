//! Joins lines to records by one small machine that runs the tables of `trace_rules`.
//!
//! A line that begins nothing and joins nothing is handed on as it is, borrowed from the chunk, as soon as the next line
//! of its stream shows that it heads no trace. Only what must wait is copied: the lines of an open trace, the last line
//! of a chunk, a line of another stream. The records depend on the bytes and on silences, never on the chunking.

mod close;
mod decode;
mod grammar;
mod open;
mod split;
mod standing;

use super::format::LineReader;
use super::{Level, Multiline, Record, Settings};
use crate::collector::lines::Newline;
use close::oldest;
use grammar::{Course, Entry, GRAMMAR, Sight};
use open::{Mark, Open, Seen, glimpse, has_escape, is_coloured, sight};
pub use standing::Standing;
use std::borrow::Cow;

/// So many streams of one file (two per container, as a rule) may have open lines; the longest untouched makes room.
const MAX_OPEN_STREAMS: usize = 64;
/// So many lines in a row may be held for a sure one that makes them part of a trace.
const MAX_HELD_LINES: usize = 64;
/// Buffers of closed records kept for the next ones; larger ones are given back to the allocator.
const MAX_SPARE: usize = 4;
const MAX_SPARE_BYTES: usize = 64 * 1024;

/// Assembles the lines of one file. All state between two chunks of a file is here.
#[derive(Debug)]
pub struct Assembler {
    /// Number of the next line.
    line: u64,
    reader: LineReader,
    settings: Settings,
    decoder: decode::Decoder,
    now_ms: u64,
    /// Streams with open lines, in no order.
    open: Vec<Open>,
    /// Traces that silence has closed: frames that still come are their continuation.
    resting: Vec<(u64, Vec<Course>)>,
    /// Lines of which only pieces have come.
    partial: Vec<Open>,
    spare: Vec<Open>,
    eye: Eye,
}

/// Looks at lines through the grammar. What it needs for that is kept from line to line.
#[derive(Debug, Default)]
struct Eye {
    /// The languages that the last line fits which entered.
    courses: Vec<Course>,
    scratch: (Vec<u8>, Vec<u8>),
    /// An escape has been met: from then on lines are looked at for colours.
    coloured: bool,
}

impl Assembler {
    /// `line` is the number of the next line (1 at the beginning of a file); `format` the name that a checkpoint kept.
    pub fn new(settings: Settings, line: u64, format: &str) -> Self {
        Self {
            line,
            reader: LineReader::new(&settings, format),
            decoder: decode::Decoder::new(&settings.encodings),
            settings,
            now_ms: 0,
            open: Vec::new(),
            resting: Vec::new(),
            partial: Vec::new(),
            spare: Vec::new(),
            eye: Eye::default(),
        }
    }

    /// The lines that are fed from now on end so, and are decoded accordingly.
    pub fn follow(&mut self, newline: Newline) {
        self.decoder.follow(newline);
    }

    /// Feeds a run of complete raw lines that begins at `offset` of the file and was read at `now_ms` (any monotonic
    /// clock). Records that are complete go to `sink`, in the order of their first lines as far as streams allow; the
    /// last one usually stays open. `cut`: the last line was longer than the collector's bound and its rest was skipped.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        offset: u64,
        cut: bool,
        now_ms: u64,
        mut sink: impl FnMut(Record<'_>, &LineReader),
    ) {
        self.now_ms = now_ms;
        self.eye.coloured = self.eye.coloured || has_escape(bytes);
        let mut ahead = None;
        for raw in split::lines(bytes, self.decoder.newline(), offset) {
            let cut = cut && raw.end == bytes.len();
            let mark = Mark {
                number: self.line,
                offset: offset + raw.start as u64,
                end_offset: offset + raw.end as u64,
                level: None,
                headed: false,
                header_len: 0,
                cut,
                last_number: self.line,
            };
            self.line += 1;
            if self.decoder.keeps(raw.text) {
                self.look(raw.text, mark, &mut ahead, &mut sink);
            } else {
                self.park_ahead(&mut ahead, &mut sink);
                let decoded = self.decoder.decode(raw.text);
                let mut own = None;
                self.look(&decoded, mark, &mut own, &mut sink);
                self.park_ahead(&mut own, &mut sink);
                self.decoder.take_back(decoded);
            }
        }
        self.park_ahead(&mut ahead, &mut sink);
    }

    /// Whether each line is a record of its own that its bytes alone tell: then some may be left out.
    pub fn takes_lines_alone(&self) -> bool {
        matches!(self.settings.multiline, Multiline::Off)
            && self.decoder.newline() == Newline::Byte
            && self.decoder.keeps_all()
            && self.reader.reads_lines_alone()
            && self.open.is_empty()
            && self.partial.is_empty()
    }

    /// So many lines were left out.
    pub fn skip_lines(&mut self, count: u64) {
        self.line += count;
    }

    /// Closes the records that have been silent for `flush_after` at `now_ms`.
    pub fn close_silent(&mut self, now_ms: u64, mut sink: impl FnMut(Record<'_>, &LineReader)) {
        let flush_ms = self.flush_ms();
        self.close_where(|open| open.touched_ms.saturating_add(flush_ms) <= now_ms, &mut sink);
    }

    /// Closes all records: the file has ended for good.
    pub fn close_all(&mut self, mut sink: impl FnMut(Record<'_>, &LineReader)) {
        self.close_where(|_| true, &mut sink);
        self.resting.clear();
    }

    /// Gives back the buffers that are kept for lines to come.
    pub fn give_back(&mut self) {
        self.spare = Vec::new();
        self.eye.courses = Vec::new();
        self.eye.scratch = Default::default();
        self.open.shrink_to_fit();
        self.partial.shrink_to_fit();
    }

    /// When `close_silent` has something to do next, in the clock of `now_ms`.
    pub fn next_close_ms(&self) -> Option<u64> {
        let touched = self.open.iter().chain(&self.partial).map(|open| open.touched_ms).min();
        touched.map(|touched| touched.saturating_add(self.flush_ms()))
    }

    /// Offsets at which records that are not handed on yet start or may start, ascending: a line that is only held may
    /// become a record of its own.
    pub fn open_starts(&self) -> Vec<u64> {
        let open = self.open.iter().chain(&self.partial);
        let mut starts: Vec<u64> = open.flat_map(Open::starts).collect();
        starts.sort_unstable();
        starts
    }

    /// The number of the line that stands at the lowest of `open_starts`, else of the next line.
    pub fn resume_line(&self) -> u64 {
        self.open
            .iter()
            .chain(&self.partial)
            .map(Open::first_line)
            .min()
            .unwrap_or(self.line)
    }

    /// The lowest order of the records that are open; all that are handed on from now on are at or above it.
    pub fn lowest_open_order(&self) -> Option<u64> {
        self.open.iter().map(Open::order).min()
    }

    /// The format in use now, found (`auto`) or configured: kept in the checkpoint.
    pub fn format_name(&self) -> &'static str {
        self.reader.format_name()
    }

    /// Lines that did not parse in the format in use, and bytes that were not valid in the encoding, since the last call.
    pub fn take_odd_counts(&mut self) -> OddCounts {
        OddCounts {
            unparsed_lines: self.reader.take_unparsed(),
            replaced_bytes: self.decoder.take_replaced(),
        }
    }

    /// Silence that closes a record.
    pub fn flush_ms(&self) -> u64 {
        u64::try_from(self.settings.flush_after.as_millis()).unwrap_or(u64::MAX)
    }

    /// Reads a decoded line through its format, joins the pieces of a partial one, and takes it.
    fn look<'a>(
        &mut self,
        text: &'a [u8],
        mut mark: Mark,
        ahead: &mut Option<Seen<'a>>,
        sink: &mut impl FnMut(Record<'_>, &LineReader),
    ) {
        let line = self.reader.read(text);
        (mark.level, mark.headed, mark.header_len) = (line.level, line.headed, line.header_len);
        let body = match line.body {
            Cow::Borrowed(body) if std::ptr::eq(body, text) => None,
            body => Some(body),
        };
        if let Some(Cow::Owned(unescaped)) = &body {
            self.eye.coloured = self.eye.coloured || has_escape(unescaped);
        }
        let (stream, partial) = (line.stream, line.partial);
        let mut seen = Seen {
            text: Cow::Borrowed(text),
            body,
            stream,
            mark,
            pieces: Vec::new(),
        };
        seen.cut_to(self.settings.max_record_bytes);
        let waiting = self.partial.iter().position(|open| open.stream == stream);
        if waiting.is_none() && !partial {
            return self.take(seen, ahead, sink);
        }
        self.park_ahead(ahead, sink);
        let mut whole = match waiting {
            Some(at) => {
                let mut open = self.partial.swap_remove(at);
                open.add_piece(&seen, self.settings.max_record_bytes, self.now_ms);
                open
            }
            None => {
                let mut open = self.spare.pop().unwrap_or_default();
                open.begin(&seen, self.now_ms);
                open
            }
        };
        if partial {
            if self.partial.len() >= MAX_OPEN_STREAMS {
                let oldest = oldest(&self.partial);
                let oldest = std::mem::replace(&mut self.partial[oldest], whole);
                whole = oldest;
            } else {
                self.partial.push(whole);
                return;
            }
        }
        self.take_pieces(whole, sink);
    }

    /// Takes a line that came in pieces.
    fn take_pieces(&mut self, whole: Open, sink: &mut impl FnMut(Record<'_>, &LineReader)) {
        let mut own = None;
        if let Some(seen) = whole.line(0) {
            self.take(seen, &mut own, sink);
        }
        self.park_ahead(&mut own, sink);
        self.recycle(whole);
    }

    /// Takes a whole line. `ahead` is the line before it, where that is still borrowed from the chunk and nothing of its
    /// stream is open.
    fn take<'a>(
        &mut self,
        seen: Seen<'a>,
        ahead: &mut Option<Seen<'a>>,
        sink: &mut impl FnMut(Record<'_>, &LineReader),
    ) {
        match &self.settings.multiline {
            Multiline::Auto => {}
            Multiline::Off => return sink(seen.as_record(), &self.reader),
            Multiline::Start(pattern) => {
                let starts = pattern.is_match(seen.body());
                return self.take_configured(&seen, starts, sink);
            }
        }
        if ahead.as_ref().is_some_and(|ahead| ahead.stream != seen.stream) {
            self.park_ahead(ahead, sink);
        }
        if let Some(before) = ahead.take() {
            match self.eye.enter(Some(&before), &seen) {
                Entry::Alone => {
                    sink(before.as_record(), &self.reader);
                    *ahead = Some(seen);
                }
                Entry::Begins { sure } => {
                    sink(before.as_record(), &self.reader);
                    self.begin_trace(&seen, sure, false);
                }
                // The bound is kept in one place: there.
                Entry::Joins { .. } if before.text.len() + seen.text.len() >= self.settings.max_record_bytes => {
                    let open = self.fresh(&before);
                    self.open.push(open);
                    self.eye.courses.clear();
                    return self.take(seen, ahead, sink);
                }
                Entry::Joins { sure } => {
                    let mut open = self.fresh(&before);
                    self.join(&mut open, &seen, sure);
                    self.open.push(open);
                }
            }
            return;
        }
        let Some(at) = self.open.iter().position(|open| open.stream == seen.stream) else {
            return self.take_first(seen, ahead, sink);
        };
        if self.goes_on(at, &seen, sink) {
            return;
        }
        // What was open is complete; lines that it only held may leave something open again.
        let mut open = self.open.swap_remove(at);
        if seen.mark.headed {
            open.settle_tail();
        }
        self.close(open, sink);
        self.take(seen, ahead, sink);
    }

    /// A line whose stream has nothing open.
    fn take_first<'a>(
        &mut self,
        seen: Seen<'a>,
        ahead: &mut Option<Seen<'a>>,
        sink: &mut impl FnMut(Record<'_>, &LineReader),
    ) {
        if let Some(at) = self.resting.iter().position(|(stream, _)| *stream == seen.stream) {
            let (_, mut courses) = self.resting.swap_remove(at);
            if GRAMMAR.step(&mut courses, sight(&seen, &mut self.eye.scratch.0), true) == Some(true) {
                self.eye.courses = courses;
                return self.begin_trace(&seen, true, true);
            }
        }
        match self.eye.enter(None, &seen) {
            Entry::Begins { sure } => self.begin_trace(&seen, sure, false),
            Entry::Alone | Entry::Joins { .. } => {
                // Whoever holds the last line of a chunk of another stream parks it first.
                debug_assert!(ahead.is_none());
                let _ = sink;
                *ahead = Some(seen);
            }
        }
    }

    /// Whether the line joins what is open at `at`.
    fn goes_on(&mut self, at: usize, seen: &Seen<'_>, sink: &mut impl FnMut(Record<'_>, &LineReader)) -> bool {
        let open = &mut self.open[at];
        let joined = if open.courses.is_empty() {
            match open.line(0).map(|before| self.eye.enter(Some(&before), seen)) {
                Some(Entry::Joins { sure }) => Some(sure),
                Some(Entry::Begins { .. } | Entry::Alone) | None => None,
            }
        } else {
            self.eye.step(open, seen)
        };
        let Some(sure) = joined else {
            return false;
        };
        if open.len() + seen.text.len() >= self.settings.max_record_bytes {
            if sure {
                let open = self.open.swap_remove(at);
                self.close_full(open, seen, sink);
            }
            return sure;
        }
        if open.courses.is_empty() {
            open.courses.append(&mut self.eye.courses);
        }
        open.add(seen, sure, self.now_ms);
        true
    }

    fn begin_trace(&mut self, seen: &Seen<'_>, sure: bool, continuation: bool) {
        let mut open = self.fresh(seen);
        open.courses.append(&mut self.eye.courses);
        open.continuation = continuation;
        if sure {
            open.settle();
        }
        self.open.push(open);
    }

    fn join(&mut self, open: &mut Open, seen: &Seen<'_>, sure: bool) {
        open.courses.append(&mut self.eye.courses);
        open.add(seen, sure, self.now_ms);
    }

    /// Lines of `multiline: {start: …}`. What stands before the first start is single lines.
    fn take_configured(&mut self, seen: &Seen<'_>, starts: bool, sink: &mut impl FnMut(Record<'_>, &LineReader)) {
        let at = self.open.iter().position(|open| open.stream == seen.stream);
        match at {
            Some(at) if !starts && self.open[at].len() + seen.text.len() < self.settings.max_record_bytes => {
                self.open[at].add(seen, false, self.now_ms);
                self.open[at].settle_plain();
                return;
            }
            Some(at) => {
                let mut open = self.open.swap_remove(at);
                if !starts {
                    open.mark_truncated();
                }
                sink(open.as_record(), &self.reader);
                self.recycle(open);
            }
            None => {}
        }
        // Of a record that was cut, the rest is lines of their own.
        if starts {
            let open = self.fresh(seen);
            self.open.push(open);
            self.make_room(sink);
        } else {
            sink(seen.as_record(), &self.reader);
        }
    }

    /// Copies the line that is borrowed from the chunk, so that it outlives it.
    fn park_ahead(&mut self, ahead: &mut Option<Seen<'_>>, sink: &mut impl FnMut(Record<'_>, &LineReader)) {
        if let Some(before) = ahead.take() {
            let open = self.fresh(&before);
            self.open.push(open);
        }
        self.make_room(sink);
    }

    fn fresh(&mut self, seen: &Seen<'_>) -> Open {
        let mut open = self.spare.pop().unwrap_or_default();
        open.begin(seen, self.now_ms);
        open.set_stamped(sight(seen, &mut self.eye.scratch.0).stamped);
        open
    }
}

impl Eye {
    fn step(&mut self, open: &mut Open, seen: &Seen<'_>) -> Option<bool> {
        let line = sight(seen, &mut self.scratch.0);
        // A line of another program in the same syslog is no part of a report of the kernel.
        let foreign = open.is_stamped() && !line.stamped && seen.body.is_some();
        if foreign || open.held_lines() >= MAX_HELD_LINES {
            return None;
        }
        let last_headed = open.last_headed();
        GRAMMAR.step(&mut open.courses, line, last_headed)
    }

    fn enter(&mut self, held: Option<&Seen<'_>>, seen: &Seen<'_>) -> Entry {
        // Most lines are sorted out by their first word, before the line that is held is looked at.
        let alarm = held.is_some_and(|held| held.mark.level >= Some(Level::Warn));
        let is_hidden = || self.coloured && is_coloured(seen);
        if !(GRAMMAR.may_enter(glimpse(seen), alarm) || is_hidden()) {
            self.courses.clear();
            return Entry::Alone;
        }
        let line = sight(seen, &mut self.scratch.0);
        let held: Option<Sight<'_>> = held.map(|held| sight(held, &mut self.scratch.1));
        GRAMMAR.enter(held, line, &mut self.courses)
    }
}

/// Odd input, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OddCounts {
    pub unparsed_lines: u64,
    pub replaced_bytes: u64,
}

#[cfg(test)]
mod tests;
