//! One source as it is being followed: where its files begin, how fast they may be read, and what of them is refused.

use super::discover::{Found, Globs};
use super::files::Files;
use super::ledger::skipped;
use super::lines::Limits;
use super::{ReadFrom, Source, identity};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// The clock by which file systems stamp births runs in ticks, of 10 ms at most: a file that was born right after the
/// start may be stamped before it.
pub const CLOCK_TICKS: Duration = Duration::from_millis(20);

/// A source as it is being followed.
#[derive(Debug)]
pub struct Tracked {
    pub source: Source,
    pub globs: Globs,
    /// Files born before are read from where `read_from` says.
    pub first_start: SystemTime,
    /// Bytes that may be read now, at `read_rate`.
    pub tokens: f64,
    refilled: Instant,
}

/// What is known of a file that is about to be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    Unknown,
    /// It was there when the program was started first.
    SeenAtStart,
    /// It was followed before, and holds something else now.
    Followed,
}

/// Why a path is not read; told once, until it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Permission,
    NoRegularFile,
    OurOwn,
    UnreadableArchive,
    /// An archive of more than one file.
    ManyFiles,
    Error(String),
}

impl Tracked {
    pub fn new(source: Source, globs: Globs, first_start: SystemTime) -> Self {
        Self {
            source,
            globs,
            first_start,
            tokens: 0.0,
            refilled: Instant::now(),
        }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            newline: self.source.newline,
            max_line_bytes: self.source.max_line_bytes,
        }
    }

    /// What its globs name now.
    pub fn walked(&self) -> Found {
        let mut found = Found::default();
        self.globs.walk(&mut found);
        found
    }

    /// How long to wait until the source may read again.
    pub fn wait(&mut self, now: Instant) -> Option<Duration> {
        if self.source.read_rate == 0 {
            return None;
        }
        let rate = self.source.read_rate as f64;
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        // A second's worth may be saved up.
        self.tokens = (self.tokens + elapsed * rate).min(rate);
        (self.tokens < 0.0).then(|| Duration::from_secs_f64((-self.tokens / rate).min(60.0)))
    }

    /// Why what a file holds at first sight is not read; none: it is read from its beginning.
    pub fn reason_to_skip(&self, file: &File, metadata: &Metadata, history: History) -> Option<&'static str> {
        // A file system that does not tell of births: what was not written to since then was there before.
        let birth = identity::birth(file).or_else(|| metadata.modified().ok());
        let late = match history {
            History::Unknown => CLOCK_TICKS,
            History::SeenAtStart | History::Followed => Duration::ZERO,
        };
        let born_before = history != History::Followed && birth.is_some_and(|birth| birth + late < self.first_start);
        let age = metadata
            .modified()
            .ok()
            .and_then(|written| SystemTime::now().duration_since(written).ok());
        let too_old = self
            .source
            .ignore_older
            .zip(age)
            .is_some_and(|(limit, age)| age > limit);
        let from_end = born_before && self.source.read_from == ReadFrom::End;
        match (too_old, from_end) {
            (true, _) => Some(skipped::IGNORE_OLDER),
            (false, true) => Some(skipped::READ_FROM_END),
            (false, false) => None,
        }
    }
}

/// When a source was first started; now, if the state does not know it.
pub fn first_start(first_starts: &BTreeMap<String, i64>, source: &str) -> SystemTime {
    let known = first_starts.get(source).map(|ms| u64::try_from(*ms).unwrap_or(0));
    known.map_or_else(SystemTime::now, |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
}

impl Refusal {
    /// Whether it is worth trying again by the clock.
    pub fn is_passing(&self) -> bool {
        match self {
            Refusal::Permission | Refusal::Error(_) => true,
            Refusal::NoRegularFile | Refusal::OurOwn | Refusal::UnreadableArchive | Refusal::ManyFiles => false,
        }
    }
}

impl Files {
    /// Says once why a path is not read.
    pub fn refuse(&mut self, path: &Path, refusal: Refusal) {
        if self.refused.get(path) == Some(&refusal) {
            return;
        }
        let path_text = path.display();
        match &refusal {
            Refusal::Permission => log::warn!(
                "reading {path_text}: permission denied; add the user to the group that may read it \
                 (often: usermod -aG adm USER); it is tried again"
            ),
            Refusal::NoRegularFile => {
                log::warn!("{path_text} is not followed: not a regular file (FIFO, socket or device)")
            }
            Refusal::OurOwn => log::warn!("{path_text} is not followed: it is written by this program"),
            Refusal::UnreadableArchive => log::info!("{path_text} is not read: only .gz and .zst can be decompressed"),
            Refusal::ManyFiles => log::info!("{path_text} is not read: it holds a tar archive"),
            Refusal::Error(error) => log::warn!("reading {path_text}: {error}; it is tried again"),
        }
        self.refused.insert(path.to_owned(), refusal);
    }

    /// Tries again what could not be read.
    pub fn retry_refused(&mut self, now: Instant) {
        let paths = self
            .refused
            .iter()
            .filter(|(_, refusal)| refusal.is_passing())
            .map(|(path, _)| path.clone());
        for path in paths.collect::<Vec<_>>() {
            if path.symlink_metadata().is_err() {
                self.refused.remove(&path);
            }
            self.note(&path, true, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::lines::Newline;

    #[test]
    fn file_born_right_after_the_start_is_new_though_the_clock_of_births_runs_late() {
        let file = tempfile::tempfile().unwrap();
        let metadata = file.metadata().unwrap();
        let birth = identity::birth(&file).or_else(|| metadata.modified().ok()).unwrap();
        let is_old = |ms: u64, history| {
            let source = Source {
                name: "app".into(),
                paths: Vec::new(),
                exclude: Vec::new(),
                read_from: ReadFrom::End,
                ignore_older: None,
                read_rate: 0,
                newline: Newline::Byte,
                max_line_bytes: 1024,
            };
            let globs = Globs::new(&[], &[]).unwrap();
            let tracked = Tracked::new(source, globs, birth + Duration::from_millis(ms));
            tracked.reason_to_skip(&file, &metadata, history).is_some()
        };
        assert!(!is_old(10, History::Unknown));
        assert!(is_old(30, History::Unknown));
        assert!(is_old(1, History::SeenAtStart));
        assert!(!is_old(30, History::Followed));
    }
}
