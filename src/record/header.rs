//! The head of a line: time stamp and level by position, and where the message begins.
//!
//! A word is a level only where logs put one: at the very beginning, behind the time stamp, in brackets of the head, as
//! `level=`, behind host, thread or logger. The scanner walks token by token as long as they look like a head, and
//! stops at the first word that could belong to a sentence; so it looks at 10–80 bytes of most lines. It never
//! allocates. Shapes that begin with a tag of their own (glog, logcat, Rails, …) are in `shape`.

mod accept;
mod access;
mod bracket;
mod shape;
mod sign;
mod token;

use super::level::{self, Level};
use super::timestamp::{self, Stamp};

/// What the head of a line says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    pub level: Option<Level>,
    /// The first stamp that names its zone, else the first one.
    pub stamp: Option<Stamp>,
    /// The head says that a record begins here: it holds a stamp, or the tag of a system that tags each line.
    pub headed: bool,
    /// Bytes before the message.
    pub len: usize,
}

/// Heads are not longer; what comes behind is message.
const MAX_HEAD_BYTES: usize = 320;
/// Tokens of a head, separators included (Apache, BGL, WebSphere need at most 11).
const MAX_TOKENS: usize = 16;
/// Words that are neither number nor bracket between a stamp and its level.
const MAX_WORDS: usize = 4;
/// A bracket in a head is closed within so many bytes.
const MAX_BRACKET_BYTES: usize = 224;

/// Reads the head of a line.
pub fn scan(line: &[u8]) -> Header {
    commonest(line).unwrap_or_else(|| walk(line))
}

/// Reads a head that is not the [`commonest`].
pub fn walk(line: &[u8]) -> Header {
    // Frames of stack traces are indented by tabs; no log indents its heads so.
    if matches!(line, [] | [b'\t', ..]) {
        return Header::default();
    }
    let head = &line[..line.len().min(MAX_HEAD_BYTES)];
    let mut walk = Walk::new(head);
    if let Some(header) = shape::at_start(head, walk.at) {
        return header;
    }
    walk.run();
    walk.finish(line)
}

/// The commonest head at once: a stamp that begins with a digit, blanks, a level in capitals, a blank. No envelope looks so.
pub fn commonest(line: &[u8]) -> Option<Header> {
    let head = &line[..line.len().min(MAX_HEAD_BYTES)];
    if !head.first()?.is_ascii_digit() {
        return None;
    }
    let (stamp, len) = timestamp::scan(head)?;
    let at = len + head[len..].iter().take(8).take_while(|b| **b == b' ').count();
    let (level, word_len) = match head.get(at..at + 6)? {
        [b'I', b'N', b'F', b'O', b' ', _] => (Level::Info, 4),
        [b'W', b'A', b'R', b'N', b' ', _] => (Level::Warn, 4),
        b"ERROR " => (Level::Error, 5),
        b"DEBUG " => (Level::Debug, 5),
        b"TRACE " => (Level::Trace, 5),
        b"FATAL " => (Level::Fatal, 5),
        _ => return None,
    };
    let len = token::message_start(line, at + word_len);
    Some(Header {
        level: Some(level),
        stamp: Some(stamp),
        headed: true,
        len,
    })
}

/// What the token before was: it decides what the next one may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    Stamp,
    /// A number, an id, a bracket with something in it.
    Opaque,
    /// ` - `, `|`, `,`.
    Separator,
    /// A word that ends with a colon.
    Colon,
    Word,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Next(Before),
    Level(Level),
    Stop,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    before: Before,
    stamp: Option<Stamp>,
    /// Behind the stamp and its bracket, if the line begins with it.
    stamp_end: usize,
    level: Option<Level>,
    /// Where the message begins, when the level's own shape tells.
    message_at: Option<usize>,
    /// Since the last stamp.
    words: usize,
    numbers: usize,
    /// Numbers and brackets anywhere: a line of fields, not a sentence.
    opaques: usize,
    tokens: usize,
    /// The line begins with two or more spaces.
    indented: bool,
    /// Spaces before the current token.
    gap: usize,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut walk = Self {
            bytes,
            at: 0,
            before: Before::Start,
            stamp: None,
            stamp_end: 0,
            level: None,
            message_at: None,
            words: 0,
            numbers: 0,
            opaques: 0,
            tokens: 0,
            indented: false,
            gap: 0,
        };
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            walk.at = 3;
        }
        walk.skip_blank();
        walk.indented = walk.gap >= 2;
        // Cisco: a clock that is not set, or not in step.
        if let Some([b'*' | b'.', b'A'..=b'S', ..]) = bytes.get(walk.at..)
            && timestamp::scan(&bytes[walk.at + 1..]).is_some()
        {
            walk.at += 1;
        }
        walk
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Skips spaces, tabs and ANSI colours.
    fn skip_blank(&mut self) {
        let from = self.at;
        loop {
            match self.byte(self.at) {
                Some(b' ' | b'\t') => self.at += 1,
                Some(0x1B) => match token::ansi_len(&self.bytes[self.at..]) {
                    Some(len) => self.at += len,
                    None => break,
                },
                _ => break,
            }
        }
        self.gap = self.at - from;
    }

    fn run(&mut self) {
        while self.tokens < MAX_TOKENS {
            let step = match self.byte(self.at) {
                Some(b'P' | b'%') if matches!(self.before, Before::Stamp | Before::Separator) && self.tagged() => {
                    return;
                }
                Some(b'0'..=b'9') => self.number(),
                Some(open @ (b'[' | b'(' | b'<' | b'{')) => self.bracket(open),
                Some(b'A'..=b'Z' | b'a'..=b'z' | b'_') => self.word(),
                Some(b'|' | b',' | b';' | b':' | b'-' | b'*' | b'#' | b'.') => self.sign(),
                Some(0xE3..=0xEF) => self.chinese(),
                Some(b'@' | b'/' | b'%' | b'!') if self.stamp.is_some() => self.other_token(),
                _ => Step::Stop,
            };
            self.tokens += 1;
            match step {
                Step::Next(before) => {
                    self.opaques += usize::from(before == Before::Opaque);
                    self.before = before;
                }
                Step::Level(level) => {
                    self.level = Some(level);
                    return;
                }
                Step::Stop => return,
            }
            self.skip_blank();
        }
    }

    /// PHP and Cisco put their tags behind a stamp too.
    fn tagged(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        let Some(header) = shape::php(rest, self.at).or_else(|| shape::cisco(rest, self.at)) else {
            return false;
        };
        self.level = header.level;
        self.at = header.len;
        true
    }

    fn keep_stamp(&mut self, stamp: Stamp) {
        let better = match &self.stamp {
            None => true,
            Some(kept) => stamp.is_absolute() && !kept.is_absolute(),
        };
        if better {
            self.stamp = Some(stamp);
        }
        self.words = 0;
        self.numbers = 0;
    }

    /// A stamp, else a process id, an address, a count.
    fn number(&mut self) -> Step {
        if let Some((stamp, len)) = timestamp::scan(&self.bytes[self.at..]) {
            let leads = self.tokens == 0;
            self.keep_stamp(stamp);
            self.at += len;
            if leads {
                self.stamp_end = self.at;
            }
            return Step::Next(Before::Stamp);
        }
        self.numbers += 1;
        self.other_token()
    }

    /// Any run without blanks, kept as opaque.
    fn other_token(&mut self) -> Step {
        let len = token::len(&self.bytes[self.at..]);
        if len > 80 || (self.stamp.is_none() && self.tokens >= 6) {
            return Step::Stop;
        }
        let text = &self.bytes[self.at..self.at + len];
        if let Some(len) = token::cpu_len(text) {
            self.at += len;
            return Step::Next(Before::Opaque);
        }
        self.at += len;
        match token::last_field(text) {
            Some(level) if self.stamp.is_some() => Step::Level(level),
            Some(_) | None => Step::Next(Before::Opaque),
        }
    }

    /// Letters: a month, a level, `level=`, a letter that is a level, or a word of the head.
    fn word(&mut self) -> Step {
        let rest = &self.bytes[self.at..];
        let len = token::word_len(rest);
        let word = &rest[..len];
        let next = rest.get(len).copied();
        if len == 3
            && let Some((stamp, stamp_len)) = timestamp::scan(rest)
        {
            let leads = self.tokens == 0;
            self.keep_stamp(stamp);
            self.at += stamp_len;
            if leads {
                self.stamp_end = self.at;
            }
            return Step::Next(Before::Stamp);
        }
        if len == 1 && self.stamp.is_some() {
            if let Some(level) = self.letter(word[0], rest) {
                // logcat: `W Tag: message`, `W/Tag(12): message`.
                self.message_at = token::logcat_tag_len(&rest[2.min(rest.len())..]).map(|len| self.at + 2 + len);
                self.at += 1;
                return Step::Level(level);
            }
        } else if let Some(level) = level::from_word(word)
            && self.accepts(word, next, &rest[len..])
        {
            self.at += len;
            return Step::Level(level);
        }
        if let Some((level, len)) = token::inside(rest, self.stamp.is_some()) {
            self.at += len;
            return Step::Level(level);
        }
        self.plain_word(rest)
    }

    /// A word that is no level: may it stand in a head?
    fn plain_word(&mut self, rest: &[u8]) -> Step {
        let len = token::len(rest);
        let text = &rest[..len];
        // Android's tombstones name the time of a crash in their third line; no head begins so.
        if len > 80 || token::is_http_method(text) || text == b"Timestamp:" {
            return Step::Stop;
        }
        if let (Some(len), Some(_)) = (token::cpu_len(text), self.stamp) {
            self.at += len;
            return Step::Next(Before::Opaque);
        }
        let kind = token::kind(text);
        let before = if kind == token::Kind::Colon || text.last() == Some(&b']') {
            Before::Colon
        } else {
            Before::Word
        };
        if self.stamp.is_none() {
            // Before a stamp only names and labels: `web-1 | …`, `KERNDTLB 1117869876 …`, `name: error: …`.
            let allowed = match kind {
                token::Kind::Id | token::Kind::Capitals => self.tokens < 4,
                token::Kind::Colon => self.tokens < 2 && (token::is_program(text) || self.before != Before::Start),
                token::Kind::Plain => {
                    // NCSA's `10.1.2.3 - amy [23/Nov/2026:…] "GET …`.
                    let user = (1..=2).contains(&self.tokens) && matches!(rest[len..], [b' ', b'[', b'0'..=b'3', ..]);
                    user || self.tokens == 0 && token::pipe_follows(&rest[len..])
                }
            };
            if !allowed {
                return Step::Stop;
            }
            self.at += len;
            return Step::Next(before);
        }
        self.words += 1;
        let behind = &rest[len..];
        let allowed = match kind {
            token::Kind::Id | token::Kind::Colon => self.words <= MAX_WORDS,
            token::Kind::Capitals => {
                self.words <= MAX_WORDS && (self.words + self.opaques > 1 || token::separator_follows(behind))
            }
            token::Kind::Plain => {
                self.words == 1
                    && (token::separator_follows(behind)
                        || token::level_field_follows(behind)
                        || token::ids_follow(behind)
                        || token::letter_follows(behind))
            }
        };
        if !allowed {
            return Step::Stop;
        }
        self.at += len;
        Step::Next(before)
    }

    /// `[error]`, `[core:error]`, `[12:00:00 INF]`, `[main]`, `(EE)`, `<info>`, `{file.py:12}`.
    fn bracket(&mut self, open: u8) -> Step {
        let inner_at = self.at + 1;
        let Some(close) = token::closing(&self.bytes[self.at..], open, MAX_BRACKET_BYTES) else {
            return Step::Stop;
        };
        let inner = &self.bytes[inner_at..self.at + close];
        let found = bracket::read(inner, open);
        if let Some((stamp, _)) = found.stamp {
            let leads = self.tokens == 0;
            self.keep_stamp(stamp);
            self.at += close + 1;
            if leads {
                self.stamp_end = self.at;
            }
            return found.level.map_or(Step::Next(Before::Stamp), Step::Level);
        }
        let in_head = self.stamp.is_some()
            || matches!(
                self.before,
                Before::Start | Before::Opaque | Before::Colon | Before::Separator
            );
        // `[7F03ECE76700 verbose 'Default' opID=1] message`, `[main [] INFO  com.acme.App  opId=] message`.
        let among = || {
            if self.before == Before::Stamp {
                bracket::word_among(inner)
            } else {
                None
            }
        };
        if let Some(level) = found.level.or_else(among)
            && in_head
            && !(self.indented && self.before == Before::Start && open != b'[')
        {
            self.at += close + 1;
            return Step::Level(level);
        }
        let opaque = match open {
            // SAP HANA has `[123]{-1}[-1/-1]` before its stamp.
            b'{' if self.stamp.is_none() => self.before == Before::Opaque && is_number(inner),
            b'{' => close <= 64 && !inner.contains(&b'"'),
            b'(' | b'<' => close <= 64 && !inner.is_empty(),
            _ => true,
        };
        if !opaque || (self.stamp.is_none() && self.tokens >= 3) {
            return Step::Stop;
        }
        self.at += close + 1;
        // `[main]: message` is a head too.
        Step::Next(Before::Opaque)
    }

    fn finish(self, line: &[u8]) -> Header {
        let len = match self.level {
            Some(_) => self.message_at.unwrap_or_else(|| token::message_start(line, self.at)),
            None if self.stamp_end > 0 => token::after_stamp(line, self.stamp_end),
            None => 0,
        };
        let level = match self.stamp {
            Some(_) => self.level.or_else(|| access::level(line.get(self.at..)?)),
            None => self.level,
        };
        Header {
            level,
            stamp: self.stamp,
            headed: self.stamp.is_some(),
            len,
        }
    }
}

fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
