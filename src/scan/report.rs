//! What a person wants to know of a scan: groups of one fingerprint, worst and most frequent first, and when they came.
//!
//! Everything is bounded, so that a scan of any size costs the same memory: groups, the text of their samples, places,
//! and the points of the time line, whose grid grows coarser as it fills. What the bounds leave out is counted.

use super::drive::FileTotals;
use crate::alert::{Alert, Kind};
use crate::record::Level;
use std::collections::{BTreeMap, HashMap};

/// Fingerprints told apart; the records of any further one are only counted.
const GROUPS_MAX: usize = 5_000;
/// So much of a sample is kept: enough for a long trace, and all groups together stay under 64 MiB.
const SAMPLE_MAX_BYTES: usize = 12 * 1024;
/// Files told apart within a group.
const PLACES_MAX: usize = 20;
/// Points of the time line; at twice as many the grid is made coarser.
const POINTS_MAX: usize = 40_000;
/// No grid is coarser than this (a year): what still does not fit is not plotted.
const GRID_MAX_SECONDS: i64 = 366 * 86_400;

/// Numbers of what was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    pub files: u64,
    pub lines: u64,
    /// Decompressed.
    pub bytes: u64,
    /// Met in directories, and no text.
    pub skipped_files: u64,
    pub seconds: f64,
    /// First and last time stamp of all that was read.
    pub span: Span,
}

impl Totals {
    /// Adds what was read of one file.
    pub fn add(&mut self, file: &FileTotals) {
        self.files += 1;
        self.lines += file.lines;
        self.bytes += file.bytes;
        self.span.join(file.span);
    }
}

/// Earliest and latest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span(pub Option<(jiff::Timestamp, jiff::Timestamp)>);

impl Span {
    pub fn add(&mut self, at: jiff::Timestamp) {
        self.0 = Some(self.0.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
    }

    pub fn join(&mut self, other: Span) {
        if let Some((from, to)) = other.0 {
            self.add(from);
            self.add(to);
        }
    }
}

/// What is counted of an exceptional record.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    pub severity: Level,
    pub fingerprint: &'a str,
    /// As it may be shown.
    pub path: &'a str,
    pub first_line: Option<u64>,
    /// First and last seen.
    pub at: (jiff::Timestamp, jiff::Timestamp),
    /// It has no time of its own.
    pub time_guessed: bool,
}

/// All records of one fingerprint.
#[derive(Debug, Clone)]
pub struct Group {
    pub number: usize,
    pub severity: Level,
    pub count: u64,
    pub first: jiff::Timestamp,
    pub last: jiff::Timestamp,
    /// The first of the highest severity, its text cut to a bound.
    pub sample: Box<Alert>,
    /// Lines of the sample's text that the bound has cut off.
    pub sample_lines_cut: usize,
    /// Path (number of the file), first line there, count.
    pub places: BTreeMap<usize, (Option<u64>, u64)>,
    /// Some of its records have no time of their own; theirs was taken from their neighbours.
    pub times_guessed: bool,
}

impl Group {
    pub fn is_exception(&self) -> bool {
        self.sample.kind == Kind::Exception
    }
}

/// The report while it grows.
#[derive(Debug, Default)]
pub struct Report {
    groups: Vec<Group>,
    by_fingerprint: HashMap<String, usize>,
    files: Vec<String>,
    by_path: HashMap<String, usize>,
    pub timeline: Timeline,
    /// Records by severity.
    pub counts: [u64; Level::ALL.len()],
    /// Records whose group had no room any more.
    pub ungrouped: u64,
}

impl Report {
    /// Counts one exceptional record, which `compose` makes an alert of where a sample is wanted.
    pub fn count(&mut self, seen: &Sighting<'_>, compose: impl FnOnce() -> Box<Alert>) {
        self.counts[seen.severity as usize] += 1;
        let file = self.file_number(seen.path);
        let group = match self.by_fingerprint.get(seen.fingerprint) {
            Some(&number) if seen.severity > self.groups[number].severity => {
                let group = &mut self.groups[number];
                group.severity = seen.severity;
                (group.sample, group.sample_lines_cut) = sample(compose());
                group
            }
            Some(&number) => &mut self.groups[number],
            None if self.groups.len() >= GROUPS_MAX => {
                self.ungrouped += 1;
                return;
            }
            None => self.new_group(seen, compose()),
        };
        group.count += 1;
        group.first = group.first.min(seen.at.0);
        group.last = group.last.max(seen.at.1);
        group.times_guessed |= seen.time_guessed;
        if group.places.len() < PLACES_MAX || group.places.contains_key(&file) {
            group.places.entry(file).or_insert((seen.first_line, 0)).1 += 1;
        }
        let number = group.number;
        self.timeline.add(seen.at.0, number, file);
    }

    /// Counts what is an alert already.
    pub fn add(&mut self, alert: &Alert) {
        let source = alert.source.as_ref();
        let seen = Sighting {
            severity: alert.severity,
            fingerprint: &alert.fingerprint,
            path: source.map_or("", |source| &source.path),
            first_line: source.and_then(|source| source.first_line),
            at: (alert.first_seen, alert.last_seen),
            time_guessed: alert.timestamp.is_none(),
        };
        self.count(&seen, || Box::new(alert.clone()));
    }

    pub fn exceptional(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Groups, worst and most frequent first.
    pub fn ranked(&self) -> Vec<&Group> {
        let mut ranked: Vec<&Group> = self.groups.iter().collect();
        ranked.sort_by_key(|group| std::cmp::Reverse((group.severity, group.count, group.last)));
        ranked
    }

    pub fn path(&self, file: usize) -> &str {
        &self.files[file]
    }

    fn file_number(&mut self, path: &str) -> usize {
        if let Some(&number) = self.by_path.get(path) {
            return number;
        }
        self.files.push(path.to_owned());
        self.by_path.insert(path.to_owned(), self.files.len() - 1);
        self.files.len() - 1
    }

    fn new_group(&mut self, seen: &Sighting<'_>, alert: Box<Alert>) -> &mut Group {
        let number = self.groups.len();
        let (sample, sample_lines_cut) = sample(alert);
        self.by_fingerprint.insert(seen.fingerprint.to_owned(), number);
        self.groups.push(Group {
            number,
            severity: seen.severity,
            count: 0,
            first: seen.at.0,
            last: seen.at.1,
            sample,
            sample_lines_cut,
            places: BTreeMap::new(),
            times_guessed: false,
        });
        &mut self.groups[number]
    }
}

/// The alert made small, and the number of lines that were cut off.
fn sample(mut alert: Box<Alert>) -> (Box<Alert>, usize) {
    let mut cut = 0;
    for text in [&mut alert.text, &mut alert.message].into_iter().flatten() {
        if text.len() > SAMPLE_MAX_BYTES {
            let end = char_boundary(text, SAMPLE_MAX_BYTES);
            cut = cut.max(text[end..].matches('\n').count());
            text.truncate(end);
            text.shrink_to_fit();
        }
    }
    alert.title.truncate(char_boundary(&alert.title, SAMPLE_MAX_BYTES));
    (alert, cut)
}

/// The last border between characters at or before `at`.
fn char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// How many exceptional records of which group and file there were when, on a grid that adapts itself.
#[derive(Debug)]
pub struct Timeline {
    grid_seconds: i64,
    points: HashMap<(i64, usize, usize), u64>,
    /// Records for which there was no room.
    pub unplotted: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            grid_seconds: 1,
            points: HashMap::new(),
            unplotted: 0,
        }
    }
}

/// One point of the time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Begin of the grid cell, in seconds since the epoch.
    pub second: i64,
    pub group: usize,
    pub file: usize,
    pub count: u64,
}

impl Timeline {
    fn add(&mut self, at: jiff::Timestamp, group: usize, file: usize) {
        let key = (at.as_second().div_euclid(self.grid_seconds), group, file);
        if let Some(count) = self.points.get_mut(&key) {
            *count += 1;
            return;
        }
        while self.points.len() >= 2 * POINTS_MAX && self.grid_seconds < GRID_MAX_SECONDS {
            self.coarsen();
        }
        if self.points.len() >= 2 * POINTS_MAX {
            self.unplotted += 1;
            return;
        }
        let cell = at.as_second().div_euclid(self.grid_seconds);
        *self.points.entry((cell, group, file)).or_default() += 1;
    }

    fn coarsen(&mut self) {
        self.grid_seconds *= 2;
        for ((cell, group, file), count) in std::mem::take(&mut self.points) {
            *self.points.entry((cell.div_euclid(2), group, file)).or_default() += count;
        }
    }

    /// Makes the grid so coarse that at most `cells` of it cover the span.
    pub fn coarsen_to(&mut self, cells: i64) {
        while self
            .extent()
            .is_some_and(|(first, last)| (last - first) / self.grid_seconds >= cells)
        {
            self.coarsen();
        }
    }

    pub fn grid_seconds(&self) -> i64 {
        self.grid_seconds
    }

    /// Points in order of time.
    pub fn points(&self) -> Vec<Point> {
        let point = |(&(cell, group, file), &count): (&(i64, usize, usize), &u64)| Point {
            second: cell * self.grid_seconds,
            group,
            file,
            count,
        };
        let mut points: Vec<Point> = self.points.iter().map(point).collect();
        points.sort_unstable();
        points
    }

    /// Second of the first and last cell.
    pub fn extent(&self) -> Option<(i64, i64)> {
        let cells = || self.points.keys().map(|(cell, ..)| *cell);
        Some((cells().min()? * self.grid_seconds, cells().max()? * self.grid_seconds))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::alert::{Composer, Origin};
    use crate::analyzer::{AnalyzerKind, Exceptional, Finding};
    use crate::record::{self, Details, Place};

    /// An alert as `scan` makes it: severity, fingerprint and text, at a second of 2026-11-23, in line `line` of `path`.
    pub fn alert(severity: Level, fingerprint: &str, text: &str, second: i64, path: &str, line: u64) -> Alert {
        let timestamp = jiff::Timestamp::from_second(1_795_392_000 + second).unwrap();
        let first_line = text.lines().next().unwrap_or_default();
        let found = Exceptional {
            findings: vec![Finding::new(AnalyzerKind::Level, severity)],
            severity,
            fingerprint: fingerprint.to_owned(),
            title: first_line.to_owned(),
            template: first_line.to_owned(),
            unknown_mask: None,
            text: text.to_owned(),
            first_line: first_line.as_bytes().to_vec(),
            details: Details {
                message: first_line.to_owned(),
                timestamp: Some(timestamp),
                ..Details::default()
            },
            level: Some(severity),
            kind: if text.contains('\n') {
                record::Kind::Exception
            } else {
                record::Kind::Record
            },
            language: None,
            truncated: false,
            place: Place {
                offset: 100 * line,
                end_offset: 100 * line + 1,
                first_line: line,
                last_line: line,
                line_numbers: None,
                order: 1,
            },
            line_numbers_known: true,
            before: vec![],
            after: vec![],
        };
        let origin = Origin {
            source: "scan",
            path,
            file_id: "f",
            labels: &BTreeMap::new(),
        };
        Composer::default().compose(found, origin, timestamp)
    }

    #[test]
    fn groups_come_worst_first_then_most_frequent() {
        let mut report = Report::default();
        for (severity, fingerprint, times) in [
            (Level::Warn, "w", 9),
            (Level::Error, "e1", 2),
            (Level::Error, "e2", 5),
            (Level::Fatal, "f", 1),
        ] {
            for n in 0..times {
                report.add(&alert(severity, fingerprint, "text", n, "a.log", 1));
            }
        }
        let ranked: Vec<_> = report
            .ranked()
            .iter()
            .map(|group| (group.sample.fingerprint.clone(), group.count))
            .collect();
        assert_eq!(
            ranked,
            [("f".into(), 1), ("e2".into(), 5), ("e1".into(), 2), ("w".into(), 9)]
        );
        assert_eq!(report.exceptional(), 17);
    }

    #[test]
    fn a_group_knows_its_worst_sample_its_times_and_its_places() {
        let mut report = Report::default();
        report.add(&alert(Level::Warn, "x", "first", 50, "a.log", 7));
        report.add(&alert(Level::Error, "x", "worst", 10, "b.log", 3));
        report.add(&alert(Level::Warn, "x", "third", 99, "a.log", 9));
        let group = report.ranked()[0];
        assert_eq!(
            (group.severity, group.sample.text.as_deref()),
            (Level::Error, Some("worst"))
        );
        assert_eq!(group.last.as_second() - group.first.as_second(), 89);
        let places: Vec<_> = group
            .places
            .iter()
            .map(|(&file, &place)| (report.path(file), place))
            .collect();
        assert_eq!(places, [("a.log", (Some(7), 2)), ("b.log", (Some(3), 1))]);
    }

    #[test]
    fn nothing_is_lost_when_the_grid_grows_coarser() {
        let mut timeline = Timeline::default();
        for second in 0..100_000_i64 {
            timeline.add(jiff::Timestamp::from_second(second * 10 - 500_000).unwrap(), 1, 1);
        }
        assert!(timeline.points.len() <= 2 * POINTS_MAX && timeline.grid_seconds > 1);
        timeline.coarsen_to(100);
        let points = timeline.points();
        assert!(points.len() <= 101, "{}", points.len());
        assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), 100_000);
    }

    #[test]
    fn a_flood_of_fingerprints_is_counted_not_kept() {
        let mut report = Report::default();
        for n in 0..GROUPS_MAX + 10 {
            report.add(&alert(Level::Error, &format!("{n}"), "text", 0, "a.log", 1));
        }
        assert_eq!((report.group_count(), report.ungrouped), (GROUPS_MAX, 10));
        assert_eq!(report.exceptional() as usize, GROUPS_MAX + 10);
    }
}
