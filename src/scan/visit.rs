//! What was found of one input, put beside all else of the scan: times, novelty, thresholds; and handed on in order.
//!
//! In `scan` time is the log's: a record without a time of its own has that of its neighbours, and the file's only where
//! these have none either. One thread does this, in the order of the inputs and their parts, whoever read them.

use super::across::Across;
use super::chunks::{chunk_of, limits_of};
use super::drive::{FileTotals, Interrupted, Sink};
use super::input::Input;
use super::plan::{Plan, PlannedSource};
use super::reading::{Head, Note, Pass, from_beginning};
use super::report::Sighting;
use crate::alert::window::FileClock;
use crate::alert::{Alert, Origin, absence};
use crate::analyzer::stream::{Analyzers, Seen, Stream};
use crate::analyzer::template::{Counts, Known};
use crate::analyzer::{Exceptional, Sign};
use crate::record::{self, Level};
use std::io;
use std::sync::Arc;

/// So many items wait for earlier records of other streams (two daemons in one syslog); then they are handed on.
const MAX_WAITING: usize = 4096;

/// A record on its way out, not composed yet: composing redacts, and of most exceptional records only the number is told.
#[derive(Debug)]
pub struct Item<'a> {
    found: Box<Exceptional>,
    at: jiff::Timestamp,
    /// False only with `all`: nobody would hear of it.
    pub exceptional: bool,
    author: &'a Author<'a>,
}

impl Item<'_> {
    pub fn severity(&self) -> Level {
        self.found.severity
    }

    pub fn sighting(&self) -> Sighting<'_> {
        let found = &self.found;
        Sighting {
            severity: found.severity,
            fingerprint: &found.fingerprint,
            path: &self.author.shown_path,
            first_line: found.line_numbers_known.then_some(found.place.first_line),
            at: (self.at, self.at),
            time_guessed: found.details.timestamp.is_none(),
        }
    }

    /// An alert of a copy.
    pub fn compose(&self) -> Alert {
        composed(self.author, Exceptional::clone(&self.found), self.at)
    }

    pub fn into_alert(self) -> Alert {
        composed(self.author, *self.found, self.at)
    }
}

fn composed(author: &Author<'_>, found: Exceptional, at: jiff::Timestamp) -> Alert {
    let origin = Origin {
        source: &author.source.name,
        path: &author.path,
        file_id: &author.file_id,
        labels: &author.source.labels,
    };
    let mut alert = author.plan.composer.compose(found, origin, author.plan.now);
    (alert.first_seen, alert.last_seen) = (at, at);
    alert
}

/// The file that items are of.
#[derive(Debug)]
struct Author<'a> {
    plan: &'a Plan,
    source: &'a PlannedSource,
    path: Arc<str>,
    /// The same, redacted.
    shown_path: String,
    file_id: String,
}

/// Follows the records of one input: gives them a time, and hands on what is wanted.
#[derive(Debug)]
pub struct Visit<'a> {
    author: Author<'a>,
    settings: record::Settings,
    now: jiff::Timestamp,
    format: &'static str,
    totals: FileTotals,
    latest: Option<jiff::Timestamp>,
    /// Where streams interleave, an earlier record may still be open.
    waiting: Vec<Waiting>,
    clock: FileClock,
    tail: Vec<u8>,
}

/// Found, and whether it is exceptional.
#[derive(Debug)]
struct Waiting {
    found: Box<Exceptional>,
    at: jiff::Timestamp,
    exceptional: bool,
}

impl<'a> Visit<'a> {
    pub fn new(input: &Input, plan: &'a Plan, head: Head) -> Self {
        let path = input.place.display();
        let mut shown_path = path.clone();
        plan.composer.redactor.redact(&mut shown_path);
        Self {
            author: Author {
                plan,
                source: plan.source_of(&input.place),
                path: path.into(),
                shown_path,
                file_id: head.file_id,
            },
            settings: head.settings,
            now: head.modified,
            format: "",
            totals: FileTotals::default(),
            latest: None,
            waiting: Vec::new(),
            clock: FileClock::default(),
            tail: Vec::new(),
        }
    }

    pub fn source(&self) -> &'a Arc<str> {
        &self.author.source.name
    }

    /// The next chunk of the input. Gives what is known of templates, if that has changed.
    pub fn take(
        &mut self,
        pass: Pass,
        across: &mut Across,
        sink: &mut dyn Sink,
    ) -> Result<Option<Arc<Known>>, Interrupted> {
        for note in pass.notes {
            match note {
                Note::Found(found) => self.see(*found, across),
                Note::Unremarkable(kept) => {
                    let at = self.time_of(&kept);
                    self.wait(kept, at, false);
                }
                Note::Head(at) => self.totals.span.add(at),
            }
        }
        self.totals.lines += pass.lines;
        self.totals.bytes = pass.end_offset;
        self.note_signs(pass.signs, across);
        self.format = pass.format;
        self.tail = pass.tail;
        let known = self.count(&pass.counts, across);
        self.hand_on(pass.next_order, sink).map_err(Interrupted::Writing)?;
        sink.chunk_done(pass.raw_bytes).map_err(Interrupted::Writing)?;
        Ok(known)
    }

    /// The input has been read to its end.
    pub fn end(mut self, across: &mut Across) -> FileTotals {
        if let Some(last) = self.latest_in(self.settings.clone(), &self.tail) {
            self.totals.span.add(last);
        }
        across.has_read(self.source(), self.totals.span);
        self.totals
    }

    fn see(&mut self, found: Exceptional, across: &mut Across) {
        // Who read it did not know yet what is known by now: then it is a record like any other.
        if found.findings.is_empty() && !across.novelty.asks_for(self.source(), &found) && !self.author.plan.all {
            return;
        }
        let at = self.time_of(&found);
        if let Some((found, exceptional)) = self.weigh(found, at, across) {
            self.wait(Box::new(found), at, exceptional);
        }
    }

    fn wait(&mut self, found: Box<Exceptional>, at: jiff::Timestamp, exceptional: bool) {
        let severity = exceptional.then_some(found.severity);
        if self.author.plan.wants(severity, at) {
            self.waiting.push(Waiting { found, at, exceptional });
        }
    }

    /// Hands on, in order, what no record that is still to come precedes.
    fn hand_on(&mut self, next_order: u64, sink: &mut dyn Sink) -> io::Result<()> {
        let order = |waiting: &Waiting| waiting.found.place.order;
        self.waiting.sort_by_key(order);
        let ready = self.waiting.partition_point(|waiting| order(waiting) < next_order);
        let ready = ready.max(self.waiting.len().saturating_sub(MAX_WAITING));
        let author = &self.author;
        self.waiting
            .drain(..ready)
            .try_for_each(|Waiting { found, at, exceptional }| {
                sink.take(Item {
                    found,
                    at,
                    exceptional,
                    author,
                })
            })
    }

    /// Its own stamp, else that of its neighbours, else the file's time.
    fn time_of(&mut self, found: &Exceptional) -> jiff::Timestamp {
        match found.details.timestamp {
            Some(at) => {
                self.totals.span.add(at);
                self.latest = Some(at);
                at
            }
            None => self.neighbours_stamp(&found.before).or(self.latest).unwrap_or(self.now),
        }
    }

    /// What was looked up in a chunk is counted, and the next ones know more.
    fn count(&mut self, counts: &Counts, across: &mut Across) -> Option<Arc<Known>> {
        let at = self.latest.unwrap_or(self.now);
        across.novelty.count(self.source(), counts, at)
    }

    /// What of a record counts, and whether it is exceptional by it; none: it is not wanted.
    fn weigh(
        &mut self,
        mut found: Exceptional,
        at: jiff::Timestamp,
        across: &mut Across,
    ) -> Option<(Exceptional, bool)> {
        let Author { source, path, plan, .. } = &self.author;
        let redactor = &plan.composer.redactor;
        let exceptional = across.novelty.weigh(&source.name, path, &mut found, at, redactor);
        if !exceptional {
            return self.author.plan.all.then_some((found, false));
        }
        let at_ms = self.clock.tick(Some(at), at);
        let found = across.judge(found, at_ms)?;
        Some((found, true))
    }

    fn note_signs(&mut self, signs: Vec<Sign>, across: &mut Across) {
        let author = &self.author;
        for sign in signs {
            let Some(at) = sign.timestamp.or(self.latest) else {
                continue;
            };
            let last = absence::Match {
                file_id: author.file_id.clone(),
                source: author.source.name.to_string(),
                path: author.path.to_string(),
                offset: sign.offset,
                end_offset: sign.end_offset,
                at,
            };
            across.matched(&sign.rule, sign.since.unwrap_or(at), last);
        }
    }

    fn neighbours_stamp(&self, lines: &[String]) -> Option<jiff::Timestamp> {
        let mut settings = self.settings.clone();
        // They have been decoded.
        settings.encodings = vec![encoding_rs::UTF_8];
        self.latest_in(settings, lines.join("\n").as_bytes())
    }

    /// The latest time stamp within a few lines.
    fn latest_in(&self, settings: record::Settings, lines: &[u8]) -> Option<jiff::Timestamp> {
        let nobody = Arc::new(Analyzers::new(&crate::analyzer::Settings::default(), "", None, 0, 0));
        let mut latest = None;
        let mut see = |seen: Seen<'_>| {
            latest = latest.max(match seen {
                Seen::Exceptional(found) | Seen::Unfamiliar(found) => found.details.timestamp,
                Seen::Unremarkable { details, .. } => details().timestamp,
                Seen::Skipped(_) => None,
            });
        };
        let newline = limits_of(&settings).newline;
        let mut stream = Stream::new(nobody, settings, &from_beginning(self.format));
        let chunk = chunk_of(lines.to_vec(), newline, 0, false);
        stream.feed(chunk.run(), 0, self.now, &mut see);
        stream.close_all(&mut see);
        latest
    }
}
