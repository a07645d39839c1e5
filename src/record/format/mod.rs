//! Formats of lines: envelopes (CRI, docker, syslog) are peeled, keys of JSON and logfmt are read.
//!
//! [`LineReader`] belongs to one file; with [`Format::Auto`] it recognises the format from the lines and changes its
//! mind when the file does. What does not parse is plain text, never lost.

use super::Level;
use std::borrow::Cow;

/// How the lines of a source are written.
#[derive(Debug, Clone)]
pub enum Format {
    Auto,
    Plain,
    Json,
    Logfmt,
    Syslog,
    Cri,
    Docker,
    /// Named groups: `level`, `message`, `timestamp`; all others become fields.
    Regex(regex::bytes::Regex),
}

/// One line seen through its format: what the assembler needs of it. Cheap: no allocation where the payload needs no
/// unescaping.
#[derive(Debug)]
pub struct Line<'a> {
    /// The line without its envelope (the line itself where there is none).
    pub body: Cow<'a, [u8]>,
    /// Which of the interleaved streams of this file it belongs to (0 where the format has no streams).
    pub stream: u64,
    /// A piece of a longer line (CRI `P`, docker without a final `\n`): the next line of this stream continues it.
    pub partial: bool,
    /// Level by position: from the envelope's priority, the keys, or the header in the body.
    pub level: Option<Level>,
    /// The body begins with a time stamp or is a JSON/logfmt object: a record surely begins here.
    pub headed: bool,
    /// Bytes of the body before the message (time stamp, level, logger).
    pub header_len: usize,
}

/// What is parsed only of records that somebody keeps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// What its writer said: without envelope and header, its first line only; the message key of JSON and logfmt.
    pub message: String,
    /// The record's own time; none if it has none.
    pub timestamp: Option<jiff::Timestamp>,
    /// The year or the zone was guessed (RFC 3164).
    pub timestamp_guessed: bool,
    /// What was parsed besides, in the order of the line.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// Reads the lines of one file through their format. Holds what `auto` has learned of the file so far.
#[derive(Debug, Clone)]
pub struct LineReader {
    _format: Format,
}

impl LineReader {
    /// `resumed` is the name of the format that a checkpoint kept (empty: none).
    pub fn new(settings: &super::Settings, resumed: &str) -> Self {
        let _ = resumed;
        Self {
            _format: settings.format.clone(),
        }
    }

    /// Looks at one decoded line (without its newline).
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Line<'a> {
        Line {
            body: Cow::Borrowed(line),
            stream: 0,
            partial: false,
            level: None,
            headed: false,
            header_len: 0,
        }
    }

    /// The format in use now.
    pub fn format_name(&self) -> &'static str {
        "plain"
    }

    /// Lines that did not parse in the format in use, since the last call.
    pub fn take_unparsed(&mut self) -> u64 {
        0
    }

    /// Everything else of a whole record: `text` as it stands in the log, `body` without its envelope. `now` serves to
    /// guess the year of RFC 3164 stamps (in `scan`: the file's modification time).
    pub fn details(&self, text: &[u8], body: &[u8], now: jiff::Timestamp) -> Details {
        let _ = (text, now);
        Details {
            message: String::from_utf8_lossy(body).into_owned(),
            ..Details::default()
        }
    }
}
