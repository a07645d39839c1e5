//! Formats of lines: envelopes (CRI, docker, syslog) are peeled, keys of JSON and logfmt are read.
//!
//! [`LineReader`] belongs to one file; with [`Format::Auto`] it recognises the format from the lines and changes its
//! mind when the file does. What does not parse is plain text, never lost.

mod cri;
mod detail;
mod detect;
mod docker;
mod json;
mod logfmt;
mod message;
mod syslog;

use super::Level;
use super::header;
use super::timestamp::Moment;
use detail::Moments;
use detect::{Detector, Form};
use serde_json::{Map, Value};
use std::borrow::Cow;
use syslog::Strictness;

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
    /// The line without its envelope (the line itself where there is none). Empty where an envelope holds nothing.
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
    pub fields: Map<String, Value>,
}

/// Reads the lines of one file through their format. Holds what `auto` has learned of the file so far.
#[derive(Debug, Clone)]
pub struct LineReader {
    format: Format,
    zone: jiff::tz::TimeZone,
    detector: Detector,
    unparsed: u64,
}

/// What the inside of an envelope shows.
struct Inner {
    level: Option<Level>,
    /// The level is a key's: its writer's own word, better than the envelope's.
    keyed: bool,
    headed: bool,
    header_len: usize,
}

impl LineReader {
    /// `resumed` is the name of the format that a checkpoint kept (empty: none).
    pub fn new(settings: &super::Settings, resumed: &str) -> Self {
        Self {
            format: settings.format.clone(),
            zone: settings.zone.rules(),
            detector: Detector::new(resumed),
            unparsed: 0,
        }
    }

    /// Looks at one decoded line (without its newline).
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Line<'a> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if matches!(self.format, Format::Auto) {
            let (form, read) = self.read_auto(line);
            if !line.is_empty() && self.detector.saw(form) {
                self.unparsed += 1;
            }
            return read;
        }
        self.read_as(line, self.form_of(line)).unwrap_or_else(|| {
            self.unparsed += u64::from(!line.is_empty());
            plain(line)
        })
    }

    /// Reads a line in the form it shows, in the order of [`detect::form_of`], each form tried once.
    fn read_auto<'a>(&self, line: &'a [u8]) -> (Form, Line<'a>) {
        if let Some(header) = header::commonest(line) {
            return (Form::Plain, headed(line, header));
        }
        let forms: &[Form] = match line.first() {
            Some(b'{') if docker::is_probable(line) => &[Form::Docker, Form::Json],
            Some(b'{') => &[Form::Json],
            Some(b'0'..=b'9') => &[Form::Cri, Form::Syslog],
            Some(b'<' | b'A'..=b'Z') => &[Form::Syslog],
            Some(b'a'..=b'z' | b'@') if logfmt::is_probable(line) => &[Form::Logfmt],
            _ => &[],
        };
        for form in forms {
            if let Some(read) = self.read_as(line, *form) {
                return (*form, read);
            }
        }
        (Form::Plain, headed(line, header::walk(line)))
    }

    /// Whether the body of a line is a part of that line and of no other: not where containers break lines in pieces,
    /// nor where lines are escaped, nor where those that do not parse are counted.
    pub fn reads_lines_alone(&self) -> bool {
        let form = match &self.format {
            Format::Plain => Form::Plain,
            Format::Auto => self.detector.current(),
            Format::Json | Format::Logfmt | Format::Syslog | Format::Cri | Format::Docker | Format::Regex(_) => {
                return false;
            }
        };
        match form {
            Form::Plain | Form::Json | Form::Logfmt | Form::Syslog => true,
            Form::Cri | Form::Docker | Form::Regex => false,
        }
    }

    /// The form to read a line in: the configured one, or what it shows.
    fn form_of(&self, line: &[u8]) -> Form {
        match &self.format {
            Format::Auto => detect::form_of(line, self.detector.syslog_strictness()),
            Format::Plain => Form::Plain,
            Format::Json => Form::Json,
            Format::Logfmt => Form::Logfmt,
            Format::Syslog => Form::Syslog,
            Format::Cri => Form::Cri,
            Format::Docker => Form::Docker,
            Format::Regex(_) => Form::Regex,
        }
    }

    /// None: the line is not of this form.
    fn read_as<'a>(&self, line: &'a [u8], form: Form) -> Option<Line<'a>> {
        match form {
            Form::Plain => Some(plain(line)),
            Form::Json => Some(keyed(line, json::scan(line)?.level)),
            Form::Logfmt => Some(keyed(line, logfmt::scan(line)?)),
            Form::Syslog => {
                let parsed = syslog::parse(line, self.strictness())?;
                let inner = inner(parsed.body);
                // Of a header and a priority the worse one speaks: loggers that know no priority send `notice`.
                let level = if inner.keyed {
                    inner.level
                } else {
                    inner.level.max(parsed.level())
                };
                Some(Line {
                    body: Cow::Borrowed(parsed.body),
                    stream: parsed.stream(),
                    partial: false,
                    level,
                    headed: inner.headed,
                    header_len: inner.header_len,
                })
            }
            Form::Cri => {
                let parsed = cri::parse(line)?;
                let stream = container_stream(parsed.stream.as_bytes());
                Some(contained(Cow::Borrowed(parsed.body), stream, parsed.partial))
            }
            Form::Docker => {
                let parsed = docker::parse(line)?;
                let stream = container_stream(parsed.stream.unwrap_or(b"stdout"));
                Some(contained(parsed.body, stream, parsed.partial))
            }
            Form::Regex => self.read_by_pattern(line),
        }
    }

    fn strictness(&self) -> Strictness {
        match self.format {
            Format::Auto => self.detector.syslog_strictness(),
            Format::Plain
            | Format::Json
            | Format::Logfmt
            | Format::Syslog
            | Format::Cri
            | Format::Docker
            | Format::Regex(_) => Strictness::Configured,
        }
    }

    fn read_by_pattern<'a>(&self, line: &'a [u8]) -> Option<Line<'a>> {
        let Format::Regex(pattern) = &self.format else {
            return None;
        };
        let groups = pattern.captures(line)?;
        let level = groups
            .name("level")
            .and_then(|m| super::level::from_value(m.as_bytes(), super::level::Scale::Guess));
        let header_len = groups.name("message").map_or(0, |message| message.start());
        Some(Line {
            body: Cow::Borrowed(line),
            stream: 0,
            partial: false,
            level,
            headed: true,
            header_len,
        })
    }

    /// The format in use now.
    pub fn format_name(&self) -> &'static str {
        match &self.format {
            Format::Auto => self.detector.current().name(),
            _ => self.form_of(b"").name(),
        }
    }

    /// What was learned of the file, to be compared.
    pub fn standing(&self) -> String {
        self.detector.standing()
    }

    /// Lines that did not parse in the format in use, since the last call.
    pub fn take_unparsed(&mut self) -> u64 {
        std::mem::take(&mut self.unparsed)
    }

    /// Everything else of a whole record: `text` as it stands in the log, `body` without its envelope. `now` serves to
    /// guess the year of RFC 3164 stamps (in `scan`: the file's modification time).
    pub fn details(&self, text: &[u8], body: &[u8], now: jiff::Timestamp) -> Details {
        let moments = Moments { zone: &self.zone, now };
        let first = detail::first_line(text);
        match self.form_of(first) {
            Form::Plain => inner_details(body, &moments),
            Form::Json => json::details(body, &moments).unwrap_or_else(|| inner_details(body, &moments)),
            Form::Logfmt => {
                logfmt::details(detail::first_line(body), &moments).unwrap_or_else(|| headed_details(body, &moments))
            }
            Form::Syslog => match syslog::parse(first, self.strictness()) {
                Some(parsed) => {
                    let details = inner_details(body, &moments);
                    enveloped(details, moments.of(parsed.stamp), parsed.fields())
                }
                None => headed_details(body, &moments),
            },
            Form::Cri => match cri::parse(first) {
                Some(parsed) => {
                    let fields = stream_field(parsed.stream.as_bytes());
                    enveloped(inner_details(body, &moments), moments.of(parsed.stamp), fields)
                }
                None => headed_details(body, &moments),
            },
            Form::Docker => match docker::parse(first) {
                Some(parsed) => {
                    let mut fields = parsed.stream.map(stream_field).unwrap_or_default();
                    if let Some(attrs) = parsed.attrs.and_then(|attrs| serde_json::from_slice(attrs).ok()) {
                        fields.insert("attrs".to_owned(), attrs);
                    }
                    enveloped(inner_details(body, &moments), moments.of(parsed.time), fields)
                }
                None => headed_details(body, &moments),
            },
            Form::Regex => self.details_by_pattern(body, &moments),
        }
    }

    fn details_by_pattern(&self, body: &[u8], moments: &Moments<'_>) -> Details {
        let Format::Regex(pattern) = &self.format else {
            return headed_details(body, moments);
        };
        let line = detail::first_line(body);
        let Some(groups) = pattern.captures(line) else {
            return headed_details(body, moments);
        };
        let mut details = Details {
            message: detail::lossy(line),
            ..Details::default()
        };
        for name in pattern.capture_names().flatten() {
            let Some(group) = groups.name(name) else {
                continue;
            };
            match name {
                "message" => details.message = detail::lossy(group.as_bytes()),
                "level" => {}
                "timestamp" => {
                    if let Some(moment) = moments.of(group.as_bytes()) {
                        details.timestamp = Some(moment.timestamp);
                        details.timestamp_guessed = moment.guessed;
                    }
                }
                _ => {
                    details
                        .fields
                        .insert(name.to_owned(), Value::String(detail::lossy(group.as_bytes())));
                }
            }
        }
        details
    }
}

/// A line without envelope or keys.
fn plain(line: &[u8]) -> Line<'_> {
    headed(line, header::scan(line))
}

fn headed(line: &[u8], header: header::Header) -> Line<'_> {
    Line {
        body: Cow::Borrowed(line),
        stream: 0,
        partial: false,
        level: header.level,
        headed: header.headed,
        header_len: header.len,
    }
}

fn keyed(line: &[u8], level: Option<Level>) -> Line<'_> {
    Line {
        body: Cow::Borrowed(line),
        stream: 0,
        partial: false,
        level,
        headed: true,
        header_len: 0,
    }
}

fn contained(body: Cow<'_, [u8]>, stream: u64, partial: bool) -> Line<'_> {
    let inner = inner(&body);
    Line {
        stream,
        partial,
        level: inner.level,
        headed: inner.headed,
        header_len: inner.header_len,
        body,
    }
}

fn container_stream(name: &[u8]) -> u64 {
    match name {
        b"stderr" => 2,
        _ => 1,
    }
}

/// JSON behind syslog's `@cee:` cookie, else the body itself.
fn json_of(body: &[u8]) -> Option<&[u8]> {
    let json = body.trim_ascii_start();
    let json = json.strip_prefix(b"@cee:").map_or(json, <[u8]>::trim_ascii_start);
    (json.first() == Some(&b'{')).then_some(json)
}

fn inner(body: &[u8]) -> Inner {
    if let Some(scan) = json_of(body).and_then(json::scan) {
        return Inner {
            level: scan.level,
            keyed: scan.level.is_some(),
            headed: true,
            header_len: 0,
        };
    }
    if logfmt::is_probable(body)
        && let Some(level) = logfmt::scan(body)
    {
        return Inner {
            level,
            keyed: level.is_some(),
            headed: true,
            header_len: 0,
        };
    }
    let header = header::scan(body);
    Inner {
        level: header.level,
        keyed: false,
        headed: header.headed,
        header_len: header.len,
    }
}

/// The details of a body that may be JSON, logfmt or text.
fn inner_details(body: &[u8], moments: &Moments<'_>) -> Details {
    if let Some(details) = json_of(body).and_then(|json| json::details(json, moments)) {
        return details;
    }
    let first = detail::first_line(body);
    if logfmt::is_probable(first)
        && let Some(details) = logfmt::details(first, moments)
    {
        return details;
    }
    headed_details(body, moments)
}

/// The details of a text with a header.
fn headed_details(body: &[u8], moments: &Moments<'_>) -> Details {
    let first = detail::first_line(body);
    let header = header::scan(first);
    let message = first.get(header.len..).unwrap_or(first);
    let message = if message.trim_ascii().is_empty() {
        first
    } else {
        message
    };
    let moment = header.stamp.and_then(|stamp| stamp.resolve(moments.zone, moments.now));
    Details {
        message: detail::lossy(message.trim_ascii_start()),
        timestamp: moment.map(|moment| moment.timestamp),
        timestamp_guessed: moment.is_some_and(|moment| moment.guessed),
        fields: Map::new(),
    }
}

fn stream_field(stream: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("stream".to_owned(), Value::String(detail::lossy(stream)));
    fields
}

/// Joins what the envelope knows to what the body says. The envelope's time is exact unless its year was guessed; its
/// fields win over keys of the same name, for nobody inside can forge them.
fn enveloped(mut details: Details, moment: Option<Moment>, mut fields: Map<String, Value>) -> Details {
    if let Some(moment) = moment
        && (details.timestamp.is_none() || details.timestamp_guessed || !moment.guessed)
    {
        details.timestamp = Some(moment.timestamp);
        details.timestamp_guessed = moment.guessed;
    }
    for (key, value) in details.fields {
        fields.entry(key).or_insert(value);
    }
    Details { fields, ..details }
}

#[cfg(test)]
mod tests;
