//! `status --watch`: the status on a terminal, drawn anew every second, with the course of each source.
//!
//! It draws on the terminal's other screen and leaves the first as it was, however it ends but by SIGKILL. Keys: q, Esc or
//! Ctrl-C end it.

use super::{nobody, text};
use crate::control;
use crate::keeper::Status;
use crate::record::Level;
use crate::scan::Terminal;
use crate::scan::terminal::{Paint, Style, fit, grouped};
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{Read, Stdin, Write, stdin};
use std::path::Path;
use std::time::Instant;

const EVERY: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Seconds that a course shows.
const COURSE_MAX: usize = 30;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// ECMA-48 and xterm: the other screen, no cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const ROWS_DEFAULT: usize = 24;

/// Draws until somebody has seen enough; returns what was seen last.
pub fn run(state_dir: &Path, out: &mut dyn Write) -> Result<Option<Status>> {
    let terminal = Terminal::detect();
    if !terminal.stdin_is_tty || !terminal.stdout_is_tty {
        bail!("status --watch needs a terminal; `status --json` is for programs");
    }
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGWINCH]).context("listening for signals")?;
    let keys = Keys::take()?;
    write!(out, "{ENTER}")?;
    let seen = draw_until_ended(
        state_dir,
        &keys,
        &mut signals,
        Paint {
            colour: terminal.colour,
        },
        out,
    );
    write!(out, "{LEAVE}")?;
    out.flush()?;
    seen
}

fn draw_until_ended(
    state_dir: &Path,
    keys: &Keys,
    signals: &mut Signals,
    paint: Paint,
    out: &mut dyn Write,
) -> Result<Option<Status>> {
    let mut course = Course::default();
    loop {
        let seen = control::status(state_dir);
        if let Ok(Some(status)) = &seen {
            course.add(status, Instant::now());
        }
        let text = match &seen {
            Ok(Some(status)) => told(status, &course, paint),
            Ok(None) => troubled(&nobody(state_dir), paint),
            Err(error) => troubled(&format!("no answer: {error:#}"), paint),
        };
        draw(&text, out)?;
        if keys.wait()? || signals.pending().any(|signal| signal != SIGWINCH) {
            return seen;
        }
    }
}

fn troubled(line: &str, paint: Paint) -> String {
    let mut text = String::new();
    paint.put(&mut text, Style::Severity(Level::Error), line);
    text
}

/// The health in colours, then the rest.
fn told(status: &Status, course: &Course, paint: Paint) -> String {
    let mut plain = Vec::new();
    text::write(status, Some(course), &mut plain).expect("memory takes all");
    let width = size().map_or(usize::MAX, |(columns, _)| columns);
    let troubles = status.reasons.len();
    let mut text = String::new();
    for (row, line) in String::from_utf8_lossy(&plain).lines().enumerate() {
        let style = match row {
            0 if troubles == 0 => Style::Good,
            row if row <= troubles => Style::Severity(Level::Error),
            _ => Style::Plain,
        };
        paint.put(&mut text, style, &fit(line, width));
        text.push('\n');
    }
    text
}

/// Over what was there, line by line, so that nothing flickers; as many lines as there is room for.
fn draw(text: &str, out: &mut dyn Write) -> Result<()> {
    let rows = size().map_or(ROWS_DEFAULT, |(_, rows)| rows.max(3));
    let lines: Vec<&str> = text.lines().collect();
    let shown = if lines.len() < rows { lines.len() } else { rows - 2 };
    let mut picture = String::from("\x1b[H");
    for line in &lines[..shown] {
        write!(picture, "{line}\x1b[K\r\n")?;
    }
    if shown < lines.len() {
        write!(picture, "… {} more lines\x1b[K\r\n", lines.len() - shown)?;
    }
    write!(picture, "\x1b[J\x1b[{rows};1Hq ends this")?;
    out.write_all(picture.as_bytes())?;
    Ok(out.flush()?)
}

/// Columns and rows of the terminal.
fn size() -> Option<(usize, usize)> {
    let size = tcgetwinsize(stdin()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// How fast each source was read, second by second.
#[derive(Debug, Default)]
pub struct Course {
    sources: BTreeMap<String, SourceCourse>,
}

#[derive(Debug)]
struct SourceCourse {
    records: u64,
    at: Instant,
    per_s: VecDeque<f64>,
}

impl Course {
    fn add(&mut self, status: &Status, now: Instant) {
        self.sources
            .retain(|name, _| status.sources.iter().any(|source| source.name == *name));
        for source in &status.sources {
            let course = self.sources.entry(source.name.clone()).or_insert(SourceCourse {
                records: source.records,
                at: now,
                per_s: VecDeque::new(),
            });
            let seconds = now.saturating_duration_since(course.at).as_secs_f64();
            if seconds == 0.0 {
                continue;
            }
            // A service that was started again counts from nothing.
            let more = source.records.checked_sub(course.records).unwrap_or(source.records);
            if course.per_s.len() == COURSE_MAX {
                course.per_s.pop_front();
            }
            course.per_s.push_back(more as f64 / seconds);
            (course.records, course.at) = (source.records, now);
        }
    }

    /// What follows in the source's line: records a second, and a bar for each second.
    pub(super) fn of(&self, source: &str) -> String {
        let Some(per_s) = self.sources.get(source).map(|course| &course.per_s) else {
            return String::new();
        };
        let Some(last) = per_s.back() else { return String::new() };
        let most = per_s.iter().copied().fold(1.0, f64::max);
        let mut text = format!(" {:>11} ", grouped(last.round() as u64));
        for speed in per_s {
            // In eighths; a little is not nothing.
            let eighths = (speed / most * 8.0).ceil() as usize;
            text.push(eighths.checked_sub(1).map_or(' ', |bar| BARS[bar.min(7)]));
        }
        text
    }
}

/// The keyboard, key by key and without echo; given back when dropped.
struct Keys {
    stdin: Stdin,
    before: Termios,
}

impl Keys {
    fn take() -> Result<Self> {
        let stdin = stdin();
        let before = tcgetattr(&stdin).context("asking the terminal")?;
        let mut raw = before.clone();
        // ISIG too: Ctrl-C is a key here, so that the screen is left in order.
        raw.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &raw).context("setting up the terminal")?;
        Ok(Self { stdin, before })
    }

    /// Whether a key that ends it was pressed, a second from now at the latest; any other key or a signal ends the wait.
    fn wait(&self) -> Result<bool> {
        let mut fds = [PollFd::new(&self.stdin, PollFlags::IN)];
        match poll(&mut fds, Some(&EVERY)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error).context("waiting for a key"),
        }
        let mut keys = [0; 64];
        let length = self.stdin.lock().read(&mut keys)?;
        const CTRL_C: u8 = 3;
        const CTRL_D: u8 = 4;
        const ESCAPE: u8 = 27;
        // No byte though some were announced: the terminal is gone. More bytes behind an escape are some other key.
        let ends = |key: &u8| matches!(*key, b'q' | b'Q' | CTRL_C | CTRL_D);
        Ok(length == 0 || keys[..length] == [ESCAPE] || keys[..length].iter().any(ends))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        tcsetattr(&self.stdin, OptionalActions::Now, &self.before).ok();
    }
}
