//! From lines to records: one log entry as its writer meant it.
//!
//! A [`Record`] is one line, or a stack trace joined to the line that announces it. Records cover every line exactly
//! once, whatever the chunking of the bytes. This module and all below it are pure: bytes in, records out; odd input is
//! data, never an error.
//!
//! Order of work for each line: `format` peels the envelope (CRI, docker, syslog) and reads the keys of JSON and
//! logfmt; `header` finds time stamp and level by position; `assemble` joins lines by the tables of `trace_rules`.

pub mod assemble;
pub mod format;
pub mod header;
pub mod level;
pub mod timestamp;
pub mod trace_rules;

pub use assemble::Assembler;
pub use format::{Details, Format};
pub use level::Level;
pub use timestamp::Zone;

use std::time::Duration;

/// The text of bytes that are meant to be UTF-8, as nearly all are: what is not is replaced.
pub fn lossy(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// How the lines of one source become records.
#[derive(Debug, Clone)]
pub struct Settings {
    pub format: Format,
    pub multiline: Multiline,
    /// The zone of time stamps that name none.
    pub zone: Zone,
    /// Longer records are cut and marked truncated.
    pub max_record_bytes: usize,
    /// An open record is closed after this much silence.
    pub flush_after: Duration,
    /// Encodings tried per line, in order; the last one replaces what it cannot read by U+FFFD.
    pub encodings: Vec<&'static encoding_rs::Encoding>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            multiline: Multiline::Auto,
            zone: Zone::default(),
            max_record_bytes: 256 * 1024,
            flush_after: Duration::from_secs(1),
            encodings: vec![encoding_rs::UTF_8],
        }
    }
}

impl Settings {
    /// Whether both make the same records of the same lines.
    pub fn reads_like(&self, other: &Self) -> bool {
        // Patterns cannot be compared but by their text, which is what is printed of them, as of all else here.
        format!("{self:?}") == format!("{other:?}")
    }
}

/// Which lines belong together.
#[derive(Debug, Clone)]
pub enum Multiline {
    /// Stack traces of known languages.
    Auto,
    /// Each line is a record.
    Off,
    /// A record begins at each line that this pattern matches.
    Start(regex::bytes::Regex),
}

/// Whether a record is a stack trace or crash, or anything else from a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Exception,
    Record,
}

/// The languages whose traces are known. `as_str` gives the words of the JSON (`java`, `python`, `csharp`, …).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    Java,
    Python,
    Go,
    JavaScript,
    CSharp,
    Php,
    Ruby,
    Rust,
    Dart,
    Swift,
    Erlang,
    Elixir,
    Perl,
    Lua,
    Cpp,
    Kernel,
}

impl Language {
    /// The word of the JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Language::Java => "java",
            Language::Python => "python",
            Language::Go => "go",
            Language::JavaScript => "javascript",
            Language::CSharp => "csharp",
            Language::Php => "php",
            Language::Ruby => "ruby",
            Language::Rust => "rust",
            Language::Dart => "dart",
            Language::Swift => "swift",
            Language::Erlang => "erlang",
            Language::Elixir => "elixir",
            Language::Perl => "perl",
            Language::Lua => "lua",
            Language::Cpp => "native",
            Language::Kernel => "kernel",
        }
    }
}

/// Where a record stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Raw byte offset of the first line.
    pub offset: u64,
    /// Raw byte offset behind the last line and its newline.
    pub end_offset: u64,
    /// 1-based, counted from where reading began.
    pub first_line: u64,
    pub last_line: u64,
    /// All lines, where they are not contiguous (interleaved streams).
    pub line_numbers: Option<Vec<u64>>,
    /// Number of the raw line that completed its first line: where streams interleave, records are in order by it.
    pub order: u64,
}

impl Place {
    /// Lines are numbered from a later one on.
    pub fn shift_lines(&mut self, by: u64) {
        let numbers = [&mut self.first_line, &mut self.last_line, &mut self.order];
        for number in numbers.into_iter().chain(self.line_numbers.iter_mut().flatten()) {
            *number = number.wrapping_add(by);
        }
    }
}

/// One log entry as its writer meant it. Borrows from the chunk (or from the assembler's buffer) until somebody keeps
/// it. Bytes are what the file holds, decoded; they are meant to be UTF-8 and are converted lossily when kept.
#[derive(Debug)]
pub struct Record<'a> {
    /// The record as it stands in the log, its lines joined by `\n`, without the last newline.
    pub text: &'a [u8],
    /// `text` without its recognised envelope (CRI, docker, syslog), lines joined by `\n`: what rules match. The same
    /// slice as `text` where there is no envelope.
    pub body: &'a [u8],
    /// Bytes of `body` before the message (time stamp, level, logger), as far as its format told at first sight.
    pub header_len: usize,
    pub place: Place,
    pub level: Option<Level>,
    pub kind: Kind,
    pub language: Option<Language>,
    /// It was longer than `max_record` and has been cut.
    pub truncated: bool,
    /// Frames that came after their record had been closed by silence: no new alert.
    pub continuation: bool,
}
