//! Templates of a scan: news as `run` would find them, and for people the rarest and the newest messages that nobody
//! else found. Time is the log's. Bounded as the templates are: one short example each.

use super::terminal::{Paint, Style, Terminal, counted, fit, grouped, visible};
use crate::alert::familiar::{Familiar, Newcomer};
use crate::alert::novelty::{At, Opinion, Settings};
use crate::alert::rarity;
use crate::alert::redact::Redactor;
use crate::alert::template::Template;
use crate::analyzer::template::{Counts, Known};
use crate::analyzer::{AnalyzerKind, Exceptional, Finding};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

/// Fewer records have nothing rare, and everything is new in them.
const RECORDS_MIN: u64 = 1_000;
/// Rows of each list.
const ROWS_MAX: usize = 5;
/// Of an example.
const TITLE_MAX_CHARS: usize = 300;
/// Columns where no terminal bounds them.
const LINE_MAX_COLUMNS: usize = 200;

/// The templates of all sources of a scan.
#[derive(Debug)]
pub struct Novelty {
    settings: Settings,
    sources: BTreeMap<Arc<str>, Source>,
}

#[derive(Debug, Default)]
struct Source {
    familiar: Familiar,
    examples: HashMap<u32, Example>,
    records: u64,
    /// Records that were weighed of the current chunk.
    weighed: usize,
}

/// The first record of a template.
#[derive(Debug)]
struct Example {
    title: String,
    path: String,
    line: u64,
    at: jiff::Timestamp,
    /// Records of its source before it.
    number: u64,
    /// Levels or rules have found it: it stands among the exceptional ones.
    found: bool,
}

/// One message of the lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub title: String,
    pub count: u64,
    pub at: jiff::Timestamp,
    pub path: String,
    pub line: u64,
    /// Of [`rarity`].
    pub score: f64,
}

/// What is shown of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    pub templates: u64,
    /// The rarest first.
    pub rarest: Vec<Row>,
    /// The newest first: of those that came in the last half of the records.
    pub newest: Vec<Row>,
}

impl Novelty {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            sources: BTreeMap::new(),
        }
    }

    /// What a stream of this source is to know; none: novelty is off.
    pub fn known(&mut self, source: &Arc<str>) -> Option<Arc<Known>> {
        let settings = &self.settings;
        settings
            .enabled
            .then(|| self.sources.entry(source.clone()).or_default().familiar.known())
    }

    /// Whether a record is to be weighed: its mask is unknown still, and there is room.
    pub fn asks_for(&self, source: &Arc<str>, found: &Exceptional) -> bool {
        let own = self.sources.get(source);
        let unknown = |own: &Source| {
            let known = own.familiar.known();
            own.weighed < known.room() && found.unknown_mask.is_some_and(|unknown| !known.knows(unknown.hash))
        };
        own.is_none_or(unknown)
    }

    /// Of what is known of a source: see [`Known::generation`].
    pub fn generation(&self, source: &Arc<str>) -> u64 {
        self.sources
            .get(source)
            .map_or(0, |own| own.familiar.known().generation())
    }

    /// Adds what is new about a record whose mask nobody knew. False: nobody finds anything in it. What is kept of it to be
    /// shown is redacted.
    pub fn weigh(
        &mut self,
        source: &Arc<str>,
        path: &Arc<str>,
        found: &mut Exceptional,
        at: jiff::Timestamp,
        redactor: &Redactor,
    ) -> bool {
        let is_found = !found.findings.is_empty();
        let unknown = found.unknown_mask.filter(|_| self.asks_for(source, found));
        let Some(unknown) = unknown else {
            return is_found;
        };
        let own = self.sources.entry(source.clone()).or_default();
        own.weighed += 1;
        let newcomer = Newcomer {
            unknown,
            mask: &found.template,
            fingerprint: &found.fingerprint,
            title: &found.title,
            line: None,
            found: is_found,
        };
        let ms = at.as_millisecond();
        let at_ms = At {
            arrived_ms: ms,
            stamp_ms: Some(ms),
        };
        let weighed = own.familiar.weigh(&newcomer, at_ms, &self.settings);
        if let Some(id) = weighed.template {
            own.examples.entry(id).or_insert_with(|| {
                let rest = redactor.reached_from_before(&found.before, &found.text);
                let (mut title, mut path) = (rest.unwrap_or_else(|| found.title.clone()), path.to_string());
                redactor.redact(&mut title);
                redactor.redact(&mut path);
                Example {
                    title: title.chars().take(TITLE_MAX_CHARS).collect(),
                    path,
                    line: found.place.first_line,
                    at,
                    number: own.records + unknown.number,
                    found: is_found,
                }
            });
        }
        match weighed.opinion {
            Opinion::News => {
                let finding = Finding::new(AnalyzerKind::Novelty, self.settings.severity);
                if !is_found {
                    found.severity = finding.severity;
                }
                found.findings.push(finding);
            }
            Opinion::Quiet | Opinion::Flood { .. } => {}
        }
        !found.findings.is_empty()
    }

    /// What a chunk has counted; its newcomers have been weighed. Gives what the next chunk is to know.
    pub fn count(&mut self, source: &Arc<str>, counts: &Counts, at: jiff::Timestamp) -> Option<Arc<Known>> {
        let own = self.sources.get_mut(source)?;
        own.records += counts.records;
        own.weighed = 0;
        let ms = at.as_millisecond();
        let at = At {
            arrived_ms: ms,
            stamp_ms: Some(ms),
        };
        own.familiar.count(counts, at);
        own.familiar.take_known()
    }

    /// The rarest and the newest of all that nobody else found.
    pub fn shown(&self) -> Shown {
        let mut shown = Shown::default();
        let (mut rarest, mut newest) = (Vec::new(), Vec::new());
        for own in self.sources.values() {
            shown.templates += own.familiar.templates.len() as u64;
            if own.records < RECORDS_MIN {
                continue;
            }
            let templates: Vec<&Template> = own.familiar.templates.iter().collect();
            for (template, score) in rarity::scores(templates.iter().copied()) {
                let Some(example) = own.examples.get(&template.id).filter(|example| !example.found) else {
                    continue;
                };
                let row = Row {
                    title: example.title.clone(),
                    count: template.count,
                    at: example.at,
                    path: example.path.clone(),
                    line: example.line,
                    score,
                };
                // What is one record in a hundred is not rare, whatever its words.
                if template.count * 100 <= own.records {
                    rarest.push(row.clone());
                }
                if 2 * example.number > own.records {
                    newest.push((example.at, example.number, row));
                }
            }
        }
        rarest.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then(a.count.cmp(&b.count))
                .then(a.line.cmp(&b.line))
        });
        newest.sort_by_key(|(at, number, _)| std::cmp::Reverse((*at, *number)));
        rarest.truncate(ROWS_MAX);
        newest.truncate(ROWS_MAX);
        shown.rarest = rarest;
        shown.newest = newest.into_iter().map(|(_, _, row)| row).collect();
        shown
    }
}

/// The two lists for a terminal; nothing where there is nothing to show.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, shown: &Shown, zone: &jiff::tz::TimeZone, terminal: Terminal) -> io::Result<()> {
    let paint = Paint {
        colour: terminal.colour,
    };
    let width = if terminal.stdout_is_tty {
        terminal.width.max(40)
    } else {
        LINE_MAX_COLUMNS
    };
    let mut text = String::new();
    let kinds = counted(shown.templates, "kind of message", "kinds of messages");
    let lists = [
        (format!("Rarest of {kinds}"), &shown.rarest),
        ("Newest".to_owned(), &shown.newest),
    ];
    for (heading, rows) in lists.iter().filter(|(_, rows)| !rows.is_empty()) {
        paint.put(&mut text, Style::Bold, heading);
        text.push('\n');
        for row in *rows {
            let at = row.at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
            let facts = format!(
                "  ×{:<6} {at}  {}:{}  ",
                grouped(row.count),
                visible(&row.path),
                row.line
            );
            paint.put(&mut text, Style::Dim, &facts);
            let room = width.saturating_sub(facts.chars().count()).max(30);
            text.push_str(&fit(&visible(&row.title).replace('\n', " "), room));
            text.push('\n');
        }
        text.push('\n');
    }
    out.write_all(text.as_bytes())
}
