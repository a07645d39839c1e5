//! Progress of long work, one line on a terminal's standard error: bytes done, rate, time left. Nothing elsewhere.

use super::terminal::{bytes, fit};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// The line is drawn again at most so often.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// Short work shows nothing: a line that flashes by helps nobody.
const SHOW_AFTER: Duration = Duration::from_millis(400);

/// Counts raw bytes: what lies on disk is what is known beforehand, compressed or not.
#[derive(Debug)]
pub struct Progress {
    draws: bool,
    width: usize,
    total_bytes: u64,
    done_bytes: u64,
    started: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    pub fn new(draws: bool, width: usize, total_bytes: u64) -> Self {
        Self {
            draws,
            width,
            total_bytes,
            done_bytes: 0,
            started: Instant::now(),
            drawn: None,
        }
    }

    /// So much of the current file has been read.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn update(&mut self, err: &mut dyn Write, file_bytes: u64) -> io::Result<()> {
        let elapsed = self.started.elapsed();
        let due = self
            .drawn
            .map_or(elapsed >= SHOW_AFTER, |drawn| drawn.elapsed() >= REDRAW_EVERY);
        if !self.draws || !due {
            return Ok(());
        }
        self.drawn = Some(Instant::now());
        let line = line(self.done_bytes + file_bytes, self.total_bytes, elapsed);
        write!(err, "\r\x1b[K{}", fit(&line, self.width.saturating_sub(1)))?;
        err.flush()
    }

    pub fn file_done(&mut self, size_bytes: u64) {
        self.done_bytes += size_bytes;
    }

    /// Leaves no trace.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn clear(&mut self, err: &mut dyn Write) -> io::Result<()> {
        if self.drawn.take().is_some() {
            write!(err, "\r\x1b[K")?;
            err.flush()?;
        }
        Ok(())
    }
}

fn line(done: u64, total: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = done as f64 / seconds;
    if total < done || total == 0 {
        return format!("reading… {} · {}/s", bytes(done), bytes(rate as u64));
    }
    let left = (total - done) as f64 / rate.max(1.0);
    let percent = done as f64 * 100.0 / total as f64;
    format!(
        "reading… {percent:.0} % of {} · {}/s · {} left",
        bytes(total),
        bytes(rate as u64),
        duration(left)
    )
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_done_how_fast_and_what_is_left() {
        let line = line(1 << 30, 4 << 30, Duration::from_secs(2));
        assert_eq!(line, "reading… 25 % of 4.0 GiB · 512 MiB/s · 6 s left");
        assert_eq!(
            super::line(2048, 0, Duration::from_secs(1)),
            "reading… 2.0 KiB · 2.0 KiB/s"
        );
        assert_eq!(
            [59.2, 61.0, 7300.0].map(duration),
            ["1 min 0 s", "1 min 1 s", "2 h 1 min"]
        );
    }

    #[test]
    fn nothing_is_drawn_where_nobody_looks_or_before_it_is_worth_it() {
        for draws in [true, false] {
            let mut progress = Progress::new(draws, 80, 100);
            let mut err = Vec::new();
            progress.update(&mut err, 50).unwrap();
            progress.clear(&mut err).unwrap();
            assert_eq!(err, b"");
        }
    }
}
