//! A record that is not complete yet: its lines, copied into one buffer, those that are sure and those only held.

use super::grammar::{Course, Grammar, Sight};
use crate::record::{Kind, Language, Level, Place, Record};
use std::borrow::Cow;

/// Where a line stands in its file, and what its format said of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub number: u64,
    pub offset: u64,
    pub end_offset: u64,
    pub level: Option<Level>,
    pub headed: bool,
    pub header_len: usize,
    pub cut: bool,
    /// Number of its last raw line: a line may come in pieces.
    pub last_number: u64,
}

/// One line as the assembler sees it.
#[derive(Debug, Clone)]
pub(super) struct Seen<'a> {
    pub text: Cow<'a, [u8]>,
    /// None: the same as `text`.
    pub body: Option<Cow<'a, [u8]>>,
    pub stream: u64,
    pub mark: Mark,
    /// Numbers of the pieces behind the first, where it came in pieces.
    pub pieces: Vec<u64>,
}

impl Seen<'_> {
    pub fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or(&self.text)
    }

    /// Leaves at most so many bytes of it.
    pub fn cut_to(&mut self, max_bytes: usize) {
        if self.text.len() <= max_bytes {
            return;
        }
        self.mark.cut = true;
        shorten(&mut self.text, max_bytes);
        if let Some(body) = &mut self.body {
            shorten(body, max_bytes);
        }
    }

    /// The line as a record of its own.
    pub fn as_record(&self) -> Record<'_> {
        Record {
            text: &self.text,
            body: self.body(),
            header_len: self.mark.header_len,
            place: Place {
                offset: self.mark.offset,
                end_offset: self.mark.end_offset,
                first_line: self.mark.number,
                last_line: self.mark.last_number,
                line_numbers: line_numbers(std::iter::once(self.mark.number).chain(self.pieces.iter().copied())),
                order: self.mark.last_number,
            },
            level: self.mark.level,
            kind: Kind::Record,
            language: None,
            truncated: self.mark.cut,
            continuation: false,
        }
    }
}

/// The numbers where they are not contiguous.
fn line_numbers(numbers: impl Iterator<Item = u64> + Clone) -> Option<Vec<u64>> {
    let apart = numbers
        .clone()
        .zip(numbers.clone().skip(1))
        .any(|(before, after)| after != before + 1);
    apart.then(|| numbers.collect())
}

/// Cuts before the character that would not fit.
fn shorten(bytes: &mut Cow<'_, [u8]>, max_bytes: usize) {
    let mut end = bytes.len().min(max_bytes);
    while end < bytes.len() && end > 0 && bytes[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    match bytes {
        Cow::Borrowed(bytes) => *bytes = &bytes[..end],
        Cow::Owned(bytes) => bytes.truncate(end),
    }
}

/// The lines of one stream that are not handed on yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Open {
    pub stream: u64,
    pub touched_ms: u64,
    /// The languages that the lines fit; empty: a single line is held.
    pub courses: Vec<Course>,
    pub continuation: bool,
    text: Vec<u8>,
    body: Vec<u8>,
    /// `body` is kept apart from `text`.
    enveloped: bool,
    /// All lines, their ends in `text` and `body`.
    lines: Vec<(Mark, usize, usize)>,
    /// Numbers of further pieces, with the index of their line.
    pieces: Vec<(usize, u64)>,
    /// So many of `lines` belong for sure.
    sure: usize,
    language: Option<Language>,
    truncated: bool,
    /// Its first line carries a kernel stamp.
    stamped: bool,
}

impl Open {
    /// Begins anew with a line, in the same buffers.
    pub fn begin(&mut self, seen: &Seen<'_>, now_ms: u64) {
        self.text.clear();
        self.body.clear();
        self.lines.clear();
        self.pieces.clear();
        self.stream = seen.stream;
        self.touched_ms = now_ms;
        self.courses.clear();
        self.continuation = false;
        self.enveloped = false;
        self.language = None;
        self.truncated = seen.mark.cut;
        self.stamped = false;
        self.push(seen);
        self.sure = 1;
    }

    /// The same with lines numbered from `line` on, downwards.
    pub fn numbered_from(&self, line: u64) -> Self {
        let mut open = self.clone();
        for (mark, ..) in &mut open.lines {
            mark.number = line.wrapping_sub(mark.number);
            mark.last_number = line.wrapping_sub(mark.last_number);
        }
        for (_, number) in &mut open.pieces {
            *number = line.wrapping_sub(*number);
        }
        open
    }

    pub fn set_stamped(&mut self, stamped: bool) {
        self.stamped = stamped;
    }

    pub fn is_stamped(&self) -> bool {
        self.stamped
    }

    /// Lengthens the one line of this record by its next piece. The text keeps the raw pieces apart.
    pub fn add_piece(&mut self, piece: &Seen<'_>, max_bytes: usize, now_ms: u64) {
        self.touched_ms = now_ms;
        if !self.enveloped {
            self.enveloped = true;
            self.body.extend_from_slice(&self.text);
        }
        let fits = self.text.len() + piece.text.len() < max_bytes;
        if fits {
            self.text.push(b'\n');
            self.text.extend_from_slice(&piece.text);
            self.body.extend_from_slice(piece.body());
        }
        if let Some((mark, text_end, body_end)) = self.lines.last_mut() {
            mark.end_offset = piece.mark.end_offset;
            mark.last_number = piece.mark.number;
            mark.cut |= !fits || piece.mark.cut;
            (*text_end, *body_end) = (self.text.len(), self.body.len());
            self.pieces.push((0, piece.mark.number));
        }
    }

    /// Takes a line. A sure one makes all before it sure.
    pub fn add(&mut self, seen: &Seen<'_>, sure: bool, now_ms: u64) {
        self.touched_ms = now_ms;
        self.text.push(b'\n');
        if self.enveloped {
            self.body.push(b'\n');
        }
        self.push(seen);
        self.truncated |= seen.mark.cut;
        if sure {
            self.settle();
        }
    }

    /// All lines so far belong together, as a trace of the language that fits best.
    pub fn settle(&mut self) {
        self.sure = self.lines.len();
        self.language = Grammar::language(&self.courses).or(self.language);
    }

    /// The next line begins a record by its head: where this one began by its own, all that stands between belongs to it.
    /// Below a trace without a head, as a program prints it that dies, text may be of anybody.
    pub fn settle_tail(&mut self) {
        let headed = self.lines.first().is_some_and(|(mark, ..)| mark.headed);
        if headed && Grammar::trails(&self.courses) {
            self.sure = self.lines.len();
        }
    }

    /// All lines so far belong together, by the user's own pattern.
    pub fn settle_plain(&mut self) {
        self.sure = self.lines.len();
    }

    fn push(&mut self, seen: &Seen<'_>) {
        if seen.body.is_some() && !self.enveloped {
            self.enveloped = true;
            self.body.extend_from_slice(&self.text);
        }
        self.text.extend_from_slice(&seen.text);
        if self.enveloped {
            self.body.extend_from_slice(seen.body());
        }
        self.pieces
            .extend(seen.pieces.iter().map(|number| (self.lines.len(), *number)));
        self.lines.push((seen.mark, self.text.len(), self.body.len()));
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn held_lines(&self) -> usize {
        self.lines.len() - self.sure
    }

    pub fn is_trace(&self) -> bool {
        self.language.is_some()
    }

    pub fn last_headed(&self) -> bool {
        self.lines.last().is_some_and(|(mark, ..)| mark.headed)
    }

    pub fn offset(&self) -> u64 {
        self.lines.first().map_or(0, |(mark, ..)| mark.offset)
    }

    /// Where its record, and those that its held lines may become, start.
    pub fn starts(&self) -> impl Iterator<Item = u64> + '_ {
        let held = self.lines.get(self.sure..).unwrap_or_default();
        let starts = held.iter().map(|(mark, ..)| mark.offset);
        std::iter::once(self.offset()).chain(starts)
    }

    pub fn first_line(&self) -> u64 {
        self.lines.first().map_or(0, |(mark, ..)| mark.number)
    }

    /// As [`Place::order`].
    pub fn order(&self) -> u64 {
        self.lines.first().map_or(0, |(mark, ..)| mark.last_number)
    }

    pub fn mark_truncated(&mut self) {
        self.truncated = true;
    }

    /// The line at `at` as it was seen.
    pub fn line(&self, at: usize) -> Option<Seen<'_>> {
        let (mark, text_end, body_end) = *self.lines.get(at)?;
        let (text_start, body_start) = match at.checked_sub(1).and_then(|before| self.lines.get(before)) {
            Some((_, text, body)) => (text + 1, body + usize::from(self.enveloped)),
            None => (0, 0),
        };
        let body = self.enveloped.then(|| Cow::Borrowed(&self.body[body_start..body_end]));
        Some(Seen {
            text: Cow::Borrowed(&self.text[text_start..text_end]),
            body,
            stream: self.stream,
            mark,
            pieces: self.pieces_of(at).collect(),
        })
    }

    fn pieces_of(&self, at: usize) -> impl Iterator<Item = u64> + Clone + '_ {
        self.pieces
            .iter()
            .filter(move |(line, _)| *line == at)
            .map(|(_, number)| *number)
    }

    /// The lines that are only held, in order.
    pub fn held(&self) -> impl Iterator<Item = Seen<'_>> {
        (self.sure..self.lines.len()).filter_map(|at| self.line(at))
    }

    /// The record of the sure lines.
    pub fn as_record(&self) -> Record<'_> {
        let sure = &self.lines[..self.sure];
        let (first, last) = (sure[0].0, sure[sure.len() - 1]);
        let mut numbers: Vec<u64> = sure.iter().map(|(mark, ..)| mark.number).collect();
        if !self.pieces.is_empty() {
            numbers.extend(
                self.pieces
                    .iter()
                    .filter(|(line, _)| *line < self.sure)
                    .map(|(_, number)| *number),
            );
            numbers.sort_unstable();
        }
        let text = &self.text[..last.1];
        let kind = if self.language.is_some() {
            Kind::Exception
        } else {
            Kind::Record
        };
        Record {
            text,
            body: if self.enveloped { &self.body[..last.2] } else { text },
            header_len: first.header_len,
            place: Place {
                offset: first.offset,
                end_offset: last.0.end_offset,
                first_line: first.number,
                last_line: last.0.last_number,
                line_numbers: line_numbers(numbers.iter().copied()),
                order: first.last_number,
            },
            level: first.level.or((kind == Kind::Exception).then_some(Level::Error)),
            kind,
            language: self.language,
            truncated: self.truncated,
            continuation: self.continuation,
        }
    }
}

/// What the grammar sees of a line: the message where it has a header, else all of it; without colours (for which
/// `scratch` serves), trailing blanks and a kernel stamp.
pub(super) fn sight<'a>(seen: &'a Seen<'_>, scratch: &'a mut Vec<u8>) -> Sight<'a> {
    let mut sight = glimpse(seen);
    if has_escape(sight.text) {
        strip_colours(sight.text, scratch);
        sight.text = visible(scratch);
    } else if sight.text.starts_with(ESCAPED_TAB) {
        unescape_tabs(sight.text, scratch);
        sight.text = scratch;
    }
    sight
}

/// The same with its colours, if it has any: cheaper, and enough to tell that a line without them is no part of a trace.
pub(super) fn glimpse<'a>(seen: &'a Seen<'_>) -> Sight<'a> {
    let body = seen.body();
    let (text, stamped) = match after_kernel_stamp(body) {
        Some(rest) => (rest, true),
        None if seen.mark.headed => (body.get(seen.mark.header_len..).unwrap_or(body), false),
        None => (body, false),
    };
    Sight {
        text: visible(text),
        headed: seen.mark.headed && !stamped,
        level: seen.mark.level,
        stamped,
    }
}

/// Whether colours stand where they hide what a line begins with, or what it is as a whole.
pub(super) fn is_coloured(seen: &Seen<'_>) -> bool {
    let body = seen.body();
    has_escape(&body[..body.len().min(FIRST_WORDS_BYTES)]) || body.ends_with(b"m")
}

/// Without an escape nothing is coloured.
pub(super) fn has_escape(bytes: &[u8]) -> bool {
    memchr::memchr(0x1b, bytes).is_some()
}

/// Whoever colours a line begins at its head or at its first word.
const FIRST_WORDS_BYTES: usize = 96;

/// Without trailing blanks, and without whatever header a logger writes before Python's first line.
fn visible(text: &[u8]) -> &[u8] {
    const TRACEBACK: &[u8] = b"Traceback (most recent call last):";
    let text = text.trim_ascii_end();
    if text.last() != Some(&b':') {
        return text;
    }
    let before = text.strip_suffix(TRACEBACK).unwrap_or_default();
    if before.ends_with(b" ") && !before.starts_with(b" ") && !before.ends_with(b"Group ") {
        return TRACEBACK;
    }
    text
}

/// Behind `[   12.345678] `, with or without `<4>` before and `[  T123]` behind it.
fn after_kernel_stamp(body: &[u8]) -> Option<&[u8]> {
    let rest = match body {
        [b'<', digit, b'>', rest @ ..] if digit.is_ascii_digit() => rest,
        _ => body,
    };
    let rest = rest.strip_prefix(b"[")?.trim_ascii_start();
    let end = rest.iter().take(20).position(|byte| *byte == b']')?;
    let (stamp, rest) = (&rest[..end], &rest[end + 1..]);
    let dot = stamp.iter().position(|byte| *byte == b'.')?;
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if !digits(&stamp[..dot]) || stamp.len() - dot != 7 || !digits(&stamp[dot + 1..]) {
        return None;
    }
    let rest = match rest {
        [b'[', tail @ ..] => match tail.iter().take(16).position(|byte| *byte == b']') {
            Some(end)
                if tail[..end]
                    .trim_ascii()
                    .first()
                    .is_some_and(|byte| matches!(byte, b'T' | b'C')) =>
            {
                &tail[end + 1..]
            }
            _ => rest,
        },
        _ => rest,
    };
    Some(rest.strip_prefix(b" ").unwrap_or(rest))
}

/// What rsyslog writes for a tab that it receives.
const ESCAPED_TAB: &[u8] = b"#011";

/// The tabs of the indentation as its writer meant them.
fn unescape_tabs(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = text;
    while let Some(behind) = rest.strip_prefix(ESCAPED_TAB) {
        out.push(b'\t');
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// Leaves out ANSI control sequences (ECMA-48: `ESC [ … final byte`).
fn strip_colours(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut at = 0;
    while at < text.len() {
        if text[at] == 0x1b && text.get(at + 1) == Some(&b'[') {
            at += 2;
            while at < text.len() && !(0x40..=0x7e).contains(&text[at]) {
                at += 1;
            }
            at += 1;
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
}
