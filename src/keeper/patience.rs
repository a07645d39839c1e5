//! How long checkpoints wait for company before they are committed: flash wears by the write.
//!
//! What was found is never waited with. So what a kill costs is reading again, never a repeated alert.

use std::time::{Duration, Instant};

/// Commits of checkpoints alone wait so long for company. What is read again after a kill is bounded by it, and was found
/// to hold nothing.
const AGE_MAX: Duration = Duration::from_secs(5);
/// … and so long after the last commit: a log that is written to all day would cost 200 MB of flash a day otherwise.
const PAUSE: Duration = Duration::from_secs(30);
/// … and so long if all that happened is that known files were read on, by little: a line a second would cost 40 MB a day.
const PROGRESS_PAUSE: Duration = Duration::from_secs(300);
/// So much may be read again after a kill.
const PROGRESS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Since when what waits, of what kind.
#[derive(Debug, Default)]
pub struct Patience {
    /// The oldest file that came or went, or life of a group that changed.
    touched: Option<Instant>,
    /// The oldest file that was only read on.
    read_on: Option<Instant>,
    read_on_bytes: u64,
}

impl Patience {
    pub fn touch(&mut self) {
        self.touched.get_or_insert_with(Instant::now);
    }

    pub fn read_on(&mut self, bytes: u64) {
        self.read_on.get_or_insert_with(Instant::now);
        self.read_on_bytes += bytes;
    }

    /// None: nothing waits.
    pub fn due_in(&self, last_commit: Option<Instant>) -> Option<Duration> {
        let paused = last_commit.map_or(PROGRESS_PAUSE, |at| at.elapsed());
        let after = |since: Instant, pause: Duration| {
            (AGE_MAX.saturating_sub(since.elapsed())).max(pause.saturating_sub(paused))
        };
        let progress_pause = match self.read_on_bytes {
            PROGRESS_BYTES_MAX.. => PAUSE,
            _ => PROGRESS_PAUSE,
        };
        let touched = self.touched.map(|since| after(since, PAUSE));
        let read_on = self.read_on.map(|since| after(since, progress_pause));
        touched.into_iter().chain(read_on).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_progress_waits_long_and_what_comes_or_goes_does_not() {
        let now = Some(Instant::now());
        let mut patience = Patience::default();
        assert_eq!(patience.due_in(now), None);
        patience.read_on(100);
        assert!(patience.due_in(now) > Some(PAUSE), "{patience:?}");
        patience.read_on(PROGRESS_BYTES_MAX);
        assert!(patience.due_in(now) <= Some(PAUSE), "{patience:?}");
        let mut patience = Patience::default();
        patience.read_on(100);
        patience.touch();
        assert!(patience.due_in(now) <= Some(PAUSE), "{patience:?}");
        assert!(patience.due_in(None) <= Some(AGE_MAX), "{patience:?}");
    }
}
