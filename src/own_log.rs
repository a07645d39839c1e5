//! Our own log: what the program tells about itself, by `log`, written by `simplelog`.
//!
//! Text or JSON lines, on standard error (with journald's priorities where that is a journal) or in a file that rotates
//! itself. What repeats is told once a minute and then counted, so that a fault in a loop fills no disk. Other crates
//! are heard from `warn` up: what they say below holds URLs and headers, which are secrets.
//!
//! Rules for callers: one event once, at the place that decides; what a followed log says is never told above `debug`.

mod repeats;
mod rotation;

use anyhow::{Context, Result};
use log::{Level, LevelFilter, Log, Metadata, Record};
use repeats::{Repeats, Said};
use rotation::RotatingFile;
use serde::Serialize;
use simplelog::{ConfigBuilder, WriteLogger};
use std::fmt::Write as _;
use std::io::{IsTerminal, LineWriter, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A message is cut here: errors of others (a server's answer) have any length.
const MESSAGE_MAX_BYTES: usize = 4 * 1024;
/// One line is one write: above a message with its time, level, thread and JSON's escapes.
const LINE_BUFFER_BYTES: usize = 8 * MESSAGE_MAX_BYTES;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// None: nobody said; see [`Settings::settle_level`].
    pub level: Option<LevelFilter>,
    /// None: standard error.
    pub file: Option<PathBuf>,
    pub format: Format,
    /// The file is rotated before it grows beyond this.
    pub max_size_bytes: u64,
    /// How many rotated files (`FILE.1`, the youngest, to `FILE.N`) are kept.
    pub keep: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-23T06:00:01.214Z WARN  alerter ops: connection refused; trying again`; from `debug` on with the thread.
    Text,
    /// One object a line: `time`, `level`, `target`, `thread` (where it has a name), `message`.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            level: None,
            file: None,
            format: Format::Text,
            max_size_bytes: 10 * 1024 * 1024,
            keep: 3,
        }
    }
}

impl Settings {
    /// Whether something changes besides the level.
    pub fn differs_but_for_its_level(&self, other: &Self) -> bool {
        let level = None;
        (Self { level, ..self.clone() }) != (Self { level, ..other.clone() })
    }

    /// The level that holds: of the command line, else of the configuration, else `info`; but `error` for `run --once`
    /// where nobody watches, since cron mails whatever it prints.
    pub fn settle_level(&mut self, typed: Option<LevelFilter>, once: bool) {
        let unwatched = once && self.file.is_none() && !std::io::stderr().is_terminal();
        let default = if unwatched {
            LevelFilter::Error
        } else {
            LevelFilter::Info
        };
        self.level = Some(typed.or(self.level).unwrap_or(default));
    }
}

/// Makes this the log of the process.
///
/// # Errors
/// The file cannot be opened, or the process has a log already.
pub fn start(settings: &Settings) -> Result<()> {
    let (out, form): (Box<dyn Write + Send>, Form) = match &settings.file {
        Some(path) => {
            let file = RotatingFile::open(path, settings.max_size_bytes, settings.keep)
                .with_context(|| format!("opening the log {}", path.display()))?;
            (Box::new(file), settings.format.into())
        }
        None => {
            let stream = std::env::var("JOURNAL_STREAM").ok();
            let form = match settings.format {
                Format::Text if is_journal(stream.as_deref(), std::io::stderr()) => Form::Journal,
                Format::Text | Format::Json => settings.format.into(),
            };
            (Box::new(std::io::stderr()), form)
        }
    };
    let level = settings.level.unwrap_or(LevelFilter::Info);
    log::set_boxed_logger(Box::new(OwnLog::new(level, form, out))).context("starting the log")?;
    log::set_max_level(level);
    Ok(())
}

/// Tells each of several messages that belong together: as many of one place would be cut short as repeats.
pub fn tell_all(level: Level, messages: &[String]) {
    for (n, message) in messages.iter().enumerate() {
        log::logger().log(
            &Record::builder()
                .level(level)
                .target(module_path!())
                .file(Some("several"))
                .line(u32::try_from(n).ok())
                .args(format_args!("{message}"))
                .build(),
        );
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    /// The journal has its own clock and its own levels.
    Journal,
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Form::Text,
            Format::Json => Form::Json,
        }
    }
}

/// Whether `stream` is the journal: systemd names its socket as `DEVICE:INODE`. The variable alone says nothing: it
/// outlives a redirection (systemd.exec(5)).
fn is_journal(variable: Option<&str>, stream: impl AsFd) -> bool {
    let Some((device, inode)) = variable.and_then(|name| name.split_once(':')) else {
        return false;
    };
    let Ok(stat) = rustix::fs::fstat(stream) else {
        return false;
    };
    device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
}

/// simplelog writes the lines, one at a time; their forms and the limit of repeats, which it does not have, are laid around
/// it.
struct OwnLog {
    level: LevelFilter,
    form: Form,
    repeats: Mutex<Repeats>,
    writer: Box<WriteLogger<LineWriter<Box<dyn Write + Send>>>>,
}

impl OwnLog {
    fn new(level: LevelFilter, form: Form, out: Box<dyn Write + Send>) -> Self {
        // All parts off but the message. Its own are not for us: time comes with nine digits of a second (the macro for
        // other formats asks for the crate `time` in our tree), and nothing of it is JSON or knows priorities.
        let config = ConfigBuilder::new()
            .set_time_level(LevelFilter::Off)
            .set_max_level(LevelFilter::Off)
            .set_thread_level(LevelFilter::Off)
            .set_target_level(LevelFilter::Off)
            .set_location_level(LevelFilter::Off)
            .build();
        Self {
            level,
            form,
            repeats: Mutex::default(),
            writer: WriteLogger::new(
                LevelFilter::Trace,
                config,
                LineWriter::with_capacity(LINE_BUFFER_BYTES, out),
            ),
        }
    }

    fn write(&self, level: Level, target: &str, message: &str) {
        let finished = match self.form {
            Form::Text => text(level, message),
            Form::Journal => format!("<{}>{message}", priority(level)),
            Form::Json => json(level, target, message),
        };
        self.writer.log(
            &Record::builder()
                .level(level)
                .target(target)
                .args(format_args!("{finished}"))
                .build(),
        );
    }

    fn write_said(&self, said: &Said) {
        self.write(said.level, &said.target, &said.text);
    }

    fn repeats(&self) -> std::sync::MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for OwnLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
        metadata.level() <= self.level && (ours || metadata.level() <= Level::Warn)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = one_line(&record.args().to_string());
        // Who asks for debug wants each message.
        if record.level() > Level::Info {
            return self.write(record.level(), record.target(), &message);
        }
        let said = Said {
            level: record.level(),
            target: record.target().to_owned(),
            text: message,
        };
        let place = (
            record.file().unwrap_or_default().to_owned(),
            record.line().unwrap_or_default(),
        );
        let (counted, new) = self.repeats().say(said, place, Instant::now());
        counted.iter().chain(&new).for_each(|said| self.write_said(said));
    }

    fn flush(&self) {
        let counted = self.repeats().take_counts();
        counted.iter().for_each(|said| self.write_said(said));
        self.writer.flush();
    }
}

/// The priorities of syslog, as journald takes them before a line (sd-daemon(3)).
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn text(level: Level, message: &str) -> String {
    let time = now();
    let thread = std::thread::current();
    match thread.name().filter(|_| level >= Level::Debug) {
        Some(thread) => format!("{time} {level:5} {thread}: {message}"),
        None => format!("{time} {level:5} {message}"),
    }
}

fn json(level: Level, target: &str, message: &str) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        level: String,
        target: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        thread: Option<&'a str>,
        message: &'a str,
    }
    let thread = std::thread::current();
    let line = Line {
        time: now(),
        level: level.as_str().to_ascii_lowercase(),
        target,
        thread: thread.name(),
        message,
    };
    serde_json::to_string(&line).expect("texts are always JSON")
}

/// A message holds what others sent: no line of ours may be forged by it, and no terminal driven.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        if line.len() >= MESSAGE_MAX_BYTES {
            line.push('…');
            break;
        }
        match c {
            '\n' => line.push_str("\\n"),
            c if c.is_control() => write!(line, "{}", c.escape_default()).expect("a string takes all"),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests;
