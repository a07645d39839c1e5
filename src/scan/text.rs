//! The text form: what was read, when it was exceptional, and the groups, worst and most frequent first.
//!
//! Made to be read on a terminal of any width, with colours or without, and to stay readable in a file. Log text passes
//! through [`visible`] before anything else is done with it.

use super::report::{Group, Point, Report, Span, Totals};
use super::terminal::{Paint, Style, Terminal, bytes, columns_of, counted, fit, grouped, visible, wrap};
use crate::analyzer::AnalyzerKind;
use crate::record::Level;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Groups shown; `--json` and `--html` have the rest.
const GROUPS_MAX: usize = 50;
/// Lines of a sample shown.
const SAMPLE_LINES: usize = 9;
/// Rows of a sample that is one long line.
const SAMPLE_ROWS: usize = 4;
/// Columns of a line that no terminal bounds.
const LINE_MAX_COLUMNS: usize = 400;
/// From here on a rate says more about us than about starting up.
const RATE_FROM_BYTES: u64 = 1024 * 1024;
/// Cells of the big and of the small histograms.
const HISTOGRAM_CELLS: usize = 64;
const SPARK_CELLS: usize = 24;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The whole report.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut impl Write,
    report: &Report,
    totals: &Totals,
    zone: &jiff::tz::TimeZone,
    terminal: Terminal,
) -> io::Result<()> {
    head(out, report, totals, zone, terminal)?;
    let page = Page::new(report, totals, zone, terminal);
    let ranked = report.ranked();
    for group in ranked.iter().take(GROUPS_MAX) {
        out.write_all(page.group(group).as_bytes())?;
    }
    let hidden: u64 = ranked.iter().skip(GROUPS_MAX).map(|group| group.count).sum();
    if hidden + report.ungrouped > 0 {
        let groups = counted(
            ranked.len().saturating_sub(GROUPS_MAX) as u64,
            "more group",
            "more groups",
        );
        let records = counted(hidden + report.ungrouped, "record", "records");
        writeln!(
            out,
            "… and {groups} ({records}): --html FILE shows more, --json all of them\n"
        )?;
    }
    Ok(())
}

/// What was read, and when it was exceptional.
///
/// # Errors
/// Those of `out`.
pub fn head(
    out: &mut impl Write,
    report: &Report,
    totals: &Totals,
    zone: &jiff::tz::TimeZone,
    terminal: Terminal,
) -> io::Result<()> {
    let page = Page::new(report, totals, zone, terminal);
    out.write_all(page.head().as_bytes())
}

/// What every part of the report needs to know.
struct Page<'a> {
    report: &'a Report,
    totals: &'a Totals,
    zone: &'a jiff::tz::TimeZone,
    points: Vec<Point>,
    /// Begin and end of the histograms, in seconds.
    extent: (i64, i64),
    times: Times,
    paint: Paint,
    width: usize,
}

/// How much of a time stamp has to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    WithinDay,
    WithinYear,
    Any,
}

impl<'a> Page<'a> {
    fn new(report: &'a Report, totals: &'a Totals, zone: &'a jiff::tz::TimeZone, terminal: Terminal) -> Self {
        let mut span = totals.span;
        let extent = report.timeline.extent();
        for second in extent.iter().flat_map(|&(first, last)| [first, last]) {
            jiff::Timestamp::from_second(second)
                .into_iter()
                .for_each(|at| span.add(at));
        }
        Self {
            report,
            totals,
            zone,
            points: report.timeline.points(),
            extent: span.0.map_or((0, 0), |(from, to)| (from.as_second(), to.as_second())),
            times: times_of(span, zone),
            paint: Paint {
                colour: terminal.colour,
            },
            width: if terminal.stdout_is_tty {
                terminal.width.max(40)
            } else {
                LINE_MAX_COLUMNS
            },
        }
    }

    fn head(&self) -> String {
        let totals = self.totals;
        let mut line = format!(
            "{} · {} · {} · read in {}",
            counted(totals.files, "file", "files"),
            counted(totals.lines, "line", "lines"),
            bytes(totals.bytes),
            seconds(totals.seconds),
        );
        if totals.bytes >= RATE_FROM_BYTES {
            let rate = bytes((totals.bytes as f64 / totals.seconds.max(1e-6)) as u64);
            let _infallible = write!(line, " ({rate}/s)");
        }
        if let Some((from, to)) = totals.span.0 {
            let day = |at: jiff::Timestamp| at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d").to_string();
            let days = if day(from) == day(to) {
                day(from)
            } else {
                format!("{} – {}", day(from), day(to))
            };
            let _infallible = write!(line, " · {days}");
        }
        let mut text = String::from("\n");
        self.paint.put(&mut text, Style::Dim, &line);
        text.push_str("\n\n");
        if self.report.exceptional() == 0 {
            self.nothing_found(&mut text);
            return text;
        }
        self.counts(&mut text);
        self.histogram(&mut text);
        text.push('\n');
        text
    }

    fn nothing_found(&self, text: &mut String) {
        if self.totals.files > 0 {
            self.paint.put(text, Style::Good, "✓ Nothing exceptional.");
            text.push('\n');
            self.paint.put(
                text,
                Style::Dim,
                "  --all --json shows how each line was read; --min-severity info lowers the bar.\n",
            );
        } else {
            text.push_str("Nothing was read.\n");
        }
    }

    fn counts(&self, text: &mut String) {
        let records = counted(self.report.exceptional(), "exceptional record", "exceptional records");
        let groups = counted(self.report.group_count() as u64, "group", "groups");
        self.paint.put(text, Style::Bold, &records);
        let _infallible = write!(text, " in {groups}");
        for level in Level::ALL.into_iter().rev() {
            let count = self.report.counts[level as usize];
            if count > 0 {
                text.push_str("   ");
                self.paint
                    .put(text, Style::Severity(level), &format!("{} {level}", grouped(count)));
            }
        }
        text.push_str("\n\n");
    }

    fn histogram(&self, text: &mut String) {
        let cells = HISTOGRAM_CELLS.min(self.width.saturating_sub(24)).max(8);
        let columns = self.columns(cells, None);
        let highest = columns.iter().map(|(count, _)| *count).max().unwrap_or(0);
        if self.extent.0 == self.extent.1 || highest == 0 {
            return;
        }
        let stamp = |second: i64| {
            jiff::Timestamp::from_second(second)
                .map(|at| self.time(at))
                .unwrap_or_default()
        };
        text.push_str("  ");
        self.paint.put(text, Style::Dim, &stamp(self.extent.0));
        text.push(' ');
        self.bars(text, &columns);
        text.push(' ');
        self.paint.put(text, Style::Dim, &stamp(self.extent.1));
        let each = (self.extent.1 - self.extent.0) as f64 / cells as f64;
        let note = format!(
            "\n  one column is {}, the highest {}\n",
            span(each),
            counted(highest, "record", "records")
        );
        self.paint.put(text, Style::Dim, &note);
    }

    /// Count and worst severity of each cell of the time line, of one group or of all.
    fn columns(&self, cells: usize, group: Option<usize>) -> Vec<(u64, Option<Level>)> {
        let (from, to) = self.extent;
        let length = (to - from + 1).max(1) as i128;
        let severities: Vec<Level> = severities(self.report);
        let mut columns = vec![(0, None); cells];
        for point in self
            .points
            .iter()
            .filter(|point| group.is_none_or(|group| point.group == group))
        {
            let cell = i128::from(point.second.max(from) - from) * cells as i128 / length;
            let column = &mut columns[usize::try_from(cell).unwrap_or(0).min(cells - 1)];
            column.0 += point.count;
            column.1 = column.1.max(Some(severities[point.group]));
        }
        columns
    }

    fn bars(&self, text: &mut String, columns: &[(u64, Option<Level>)]) {
        let highest = columns.iter().map(|(count, _)| *count).max().unwrap_or(0).max(1);
        for &(count, severity) in columns {
            match severity {
                Some(severity) => {
                    // Square root: one record in a cell stays visible beside a storm of a thousand.
                    let height = (count as f64 / highest as f64).sqrt() * (BARS.len() - 1) as f64;
                    let bar = BARS[(height.round() as usize).min(BARS.len() - 1)];
                    self.paint
                        .put(text, Style::Severity(severity), bar.encode_utf8(&mut [0; 4]));
                }
                None => self.paint.put(text, Style::Dim, "·"),
            }
        }
    }

    fn group(&self, group: &Group) -> String {
        let mut text = String::new();
        let badge = format!(" {:5} ", group.severity.as_str().to_uppercase());
        let count = format!("×{}", grouped(group.count));
        self.paint.put(&mut text, Style::Badge(group.severity), &badge);
        text.push(' ');
        self.paint.put(&mut text, Style::Bold, &count);
        text.push_str("  ");
        let used = badge.len() + 3 + columns_of(&count);
        let title = visible(&group.sample.title).replace('\n', " ");
        self.paint
            .put(&mut text, Style::Bold, &fit(&title, self.width.saturating_sub(used)));
        text.push('\n');
        self.facts(&mut text, group);
        self.sample(&mut text, group);
        text.push('\n');
        text
    }

    /// When, how it was found, and where.
    fn facts(&self, text: &mut String, group: &Group) {
        let mut facts = vec![self.times(group)];
        facts.extend(group.sample.language.as_deref().map(visible));
        facts.extend(
            group
                .sample
                .detectors
                .iter()
                .filter_map(|finding| match finding.analyzer {
                    AnalyzerKind::Level => None,
                    AnalyzerKind::Rule => finding.name.as_ref().map(|name| format!("rule {name}")),
                    AnalyzerKind::Novelty => Some("new".to_owned()),
                    AnalyzerKind::Ai => Some("ai".to_owned()),
                }),
        );
        facts.push(self.place(group));
        if !group.sample.fingerprint.is_empty() {
            facts.push(group.sample.fingerprint.clone());
        }
        let line = facts.join(" · ");
        let spark =
            group.count > 1 && self.extent.0 < self.extent.1 && columns_of(&line) + SPARK_CELLS + 6 <= self.width;
        text.push_str("    ");
        self.paint
            .put(text, Style::Dim, &fit(&line, self.width.saturating_sub(4)));
        if spark {
            text.push_str("  ");
            self.bars(text, &self.columns(SPARK_CELLS, Some(group.number)));
        }
        text.push('\n');
    }

    fn times(&self, group: &Group) -> String {
        let about = if group.times_guessed { "≈" } else { "" };
        let (first, last) = (self.time(group.first), self.time(group.last));
        if first == last {
            return format!("{about}{first}");
        }
        // The day is not said twice.
        let day = |time: &str| time.split_once(' ').map(|(day, _)| day.to_owned());
        match last.split_once(' ') {
            Some((_, clock)) if day(&first) == day(&last) => format!("{about}{first} – {clock}"),
            Some(_) | None => format!("{about}{first} – {last}"),
        }
    }

    fn time(&self, at: jiff::Timestamp) -> String {
        let format = match self.times {
            Times::WithinDay => "%H:%M:%S",
            Times::WithinYear => "%m-%d %H:%M:%S",
            Times::Any => "%Y-%m-%d %H:%M:%S",
        };
        at.to_zoned_datetime(self.zone.clone()).strftime(format).to_string()
    }

    fn place(&self, group: &Group) -> String {
        let sample = group.sample.source.as_ref();
        let path = sample.map_or("", |source| source.path.as_str());
        let line = sample
            .and_then(|source| source.first_line)
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        let others = match group.places.len() {
            0 | 1 => String::new(),
            files => format!(" and {}", counted(files as u64 - 1, "more file", "more files")),
        };
        format!("{}{line}{others}", visible(path))
    }

    fn sample(&self, text: &mut String, group: &Group) {
        let sample = visible(group.sample.text.as_deref().unwrap_or_default());
        let lines: Vec<&str> = sample.lines().collect();
        for piece in fold(&lines, SAMPLE_LINES) {
            self.paint.put(text, Style::Severity(group.severity), "  │ ");
            match piece {
                // A record of one long line (JSON, say) is worth more than one row.
                Piece::Line(line) if lines.len() == 1 => {
                    let mut rows = wrap(line, self.width.saturating_sub(4), SAMPLE_ROWS).into_iter();
                    text.push_str(&rows.next().unwrap_or_default());
                    for row in rows {
                        text.push('\n');
                        self.paint.put(text, Style::Severity(group.severity), "  │ ");
                        text.push_str(&row);
                    }
                }
                Piece::Line(line) => text.push_str(&fit(line, self.width.saturating_sub(4))),
                Piece::Folded(count) => self.paint.put(text, Style::Dim, &folded(count)),
            }
            text.push('\n');
        }
        if group.sample_lines_cut > 0 {
            self.paint.put(text, Style::Severity(group.severity), "  │ ");
            self.paint.put(text, Style::Dim, &folded(group.sample_lines_cut));
            text.push('\n');
        }
    }
}

fn folded(count: usize) -> String {
    format!("… {}", counted(count as u64, "more line", "more lines"))
}

/// Severities by number of the group.
fn severities(report: &Report) -> Vec<Level> {
    let mut severities = vec![Level::Info; report.group_count()];
    for group in report.ranked() {
        severities[group.number] = group.severity;
    }
    severities
}

fn times_of(span: Span, zone: &jiff::tz::TimeZone) -> Times {
    let Some((from, to)) = span.0 else { return Times::Any };
    let (from, to) = (from.to_zoned_datetime(zone.clone()), to.to_zoned_datetime(zone.clone()));
    match (from.date() == to.date(), from.year() == to.year()) {
        (true, _) => Times::WithinDay,
        (false, true) => Times::WithinYear,
        (false, false) => Times::Any,
    }
}

/// A line of a folded sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Line(&'a str),
    Folded(usize),
}

/// Keeps of a long trace what tells most: its beginning, and what it says further down (causes, the last line of a
/// Python trace); folds the rest.
fn fold<'a>(lines: &[&'a str], most: usize) -> Vec<Piece<'a>> {
    if lines.len() <= most + 1 {
        return lines.iter().map(|line| Piece::Line(line)).collect();
    }
    // A message, `Type: what went wrong`; frames of Go begin without indentation too, and end with their arguments.
    let says = |line: &str| !line.starts_with(char::is_whitespace) && line.contains(": ") && !line.ends_with(')');
    let head = most.div_ceil(2);
    let causes: Vec<usize> = (head..lines.len())
        .rev()
        .filter(|&n| says(lines[n]))
        .take(most - head)
        .collect();
    let head = most - causes.len();
    let shown = (0..lines.len()).map(|n| n < head || causes.contains(&n));
    let mut pieces = Vec::with_capacity(most + 4);
    for (line, shown) in lines.iter().zip(shown) {
        match (shown, pieces.last_mut()) {
            (true, _) => pieces.push(Piece::Line(line)),
            (false, Some(Piece::Folded(count))) => *count += 1,
            (false, _) => pieces.push(Piece::Folded(1)),
        }
    }
    pieces
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.0995 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.95 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

/// `8 min`, `2.5 h`: the width of a histogram's column.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "under a second".to_owned(),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 129_600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests;
