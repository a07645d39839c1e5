//! Templates of all sources: weighed when an analyzer brings a mask that nobody knew, counted with each batch, written
//! with the checkpoints, published for the analyzers.

use super::board::Board;
use super::{Keeper, now};
use crate::alert::familiar::{self, Familiar, Newcomer};
use crate::alert::novelty::{self, At, Learner, Opinion};
use crate::alert::template::{self, normal_form};
use crate::alert::tidings::TableFull;
use crate::alert::{self, News, digest};
use crate::analyzer::mask;
use crate::analyzer::template::Counts;
use crate::analyzer::{AnalyzerKind, Exceptional, Finding};
use crate::collector::FileKey;
use crate::record::Level;
use crate::state::{State, templates};
use anyhow::Result;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the keeper knows of all sources.
#[derive(Debug)]
pub struct Novelty {
    settings: novelty::Settings,
    sources: BTreeMap<Arc<str>, Familiar>,
    board: Arc<Board>,
    /// Sources whose templates differ from what is on disk.
    unwritten: Vec<Arc<str>>,
}

impl Novelty {
    pub fn new(state: &State, settings: novelty::Settings, board: Arc<Board>) -> Result<Self> {
        let known = board.nothing();
        let familiar = |(source, stored): (String, templates::Stored)| {
            let familiar = Familiar::new(stored.templates, stored.learner, known.clone());
            (source.into(), familiar)
        };
        Ok(Self {
            settings,
            sources: templates::load(state.connection())?.into_iter().map(familiar).collect(),
            board,
            unwritten: Vec::new(),
        })
    }

    /// Other settings from here on (reload).
    pub fn set(&mut self, settings: novelty::Settings) {
        self.settings = settings;
    }

    pub fn of(&mut self, source: &Arc<str>) -> &mut Familiar {
        if !self.unwritten.contains(source) {
            self.unwritten.push(source.clone());
        }
        self.sources
            .entry(source.clone())
            .or_insert_with(|| Familiar::new([], Learner::default(), self.board.nothing()))
    }

    /// What judges has changed: every mask is to be brought again.
    pub fn forget_notes(&mut self) {
        let sources: Vec<Arc<str>> = self.sources.keys().cloned().collect();
        sources.iter().for_each(|source| self.of(source).forget_notes());
    }

    /// Writes what has changed; [`Self::written`] follows when it is committed.
    pub fn write(&self, connection: &Connection) -> Result<()> {
        for source in &self.unwritten {
            let Some(familiar) = self.sources.get(source) else {
                continue;
            };
            let (changed, removed) = familiar.templates.changes();
            for id in removed {
                templates::remove(connection, source, id)?;
            }
            for template in changed {
                templates::save(connection, source, template)?;
            }
            templates::save_learner(connection, source, &familiar.learner)?;
        }
        Ok(())
    }

    pub fn written(&mut self) {
        for source in std::mem::take(&mut self.unwritten) {
            if let Some(familiar) = self.sources.get_mut(&source) {
                familiar.templates.written();
            }
        }
    }

    /// How far a source is, and how many templates it has: the judge has them learned also where novelty is off.
    pub fn progress(&self, source: &str) -> (&'static str, u64) {
        let known = self.sources.get(source);
        let templates = known.map_or(0, |known| known.templates.len() as u64);
        if !self.settings.enabled {
            return ("off", templates);
        }
        let at = At {
            arrived_ms: now().wall.as_millisecond(),
            stamp_ms: None,
        };
        let phase = known.map_or(novelty::Phase::Learning, |known| {
            known.learner.clone().phase(at, &self.settings)
        });
        (phase.as_str(), templates)
    }
}

impl Keeper {
    /// Templates, and what waits for the judge, are on disk.
    pub(super) fn written(&mut self) {
        self.novelty.written();
        self.judging.written(self.state.connection());
    }

    /// Finds out whether a record whose mask nobody knew is news. False: nobody has found anything in it.
    pub(super) fn weigh(
        &mut self,
        file: FileKey,
        source: &Arc<str>,
        found: &mut Exceptional,
        observed_at: jiff::Timestamp,
    ) -> bool {
        let Some(unknown) = found.unknown_mask else {
            return !found.findings.is_empty() && self.tells_rare(source, found, observed_at);
        };
        let redactor = &self.composer.redactor;
        // A later line of a key over several lines, when it is a record by itself, does not show what it is.
        let rest = redactor.reached_from_before(&found.before, &found.text);
        let mut mask = rest
            .as_ref()
            .map_or_else(|| found.template.clone(), |rest| mask::mask(rest.as_bytes()));
        redactor.redact_template(rest.as_ref().unwrap_or(&found.details.message), &mut mask);
        let mut title = rest.clone().unwrap_or_else(|| found.title.clone());
        redactor.redact(&mut title);
        let line = self.judging.by_line().then(|| {
            let mut line = rest.unwrap_or_else(|| found.details.message.clone());
            self.composer.redactor.redact(&mut line);
            normal_form(&line)
        });
        let newcomer = Newcomer {
            unknown,
            mask: &mask,
            fingerprint: &found.fingerprint,
            title: &title,
            line: line.as_deref(),
            found: !found.findings.is_empty(),
        };
        let at = At {
            arrived_ms: observed_at.as_millisecond(),
            stamp_ms: found.details.timestamp.map(jiff::Timestamp::as_millisecond),
        };
        let settings = self.novelty.settings.clone();
        let weighed = self.novelty.of(source).weigh(&newcomer, at, &settings);
        if weighed.filled && settings.enabled {
            self.tell_table_full(source);
        }
        match &weighed.opinion {
            Opinion::Quiet => {}
            // A person has spoken: it is normal, or it is told all the same, as abnormal.
            Opinion::News if self.judging.words.about(&weighed.text).is_some() => {}
            Opinion::News => {
                let finding = Finding::new(AnalyzerKind::Novelty, settings.severity);
                if found.findings.is_empty() {
                    found.severity = finding.severity;
                }
                found.findings.push(finding);
            }
            Opinion::Flood { titles, ordinal } => self.tell_flood(source, titles, *ordinal),
        }
        self.judge(file, source, found, &weighed);
        if let Some(noted) = weighed.noted.filter(|noted| noted.analyzer == AnalyzerKind::Novelty) {
            if found.findings.is_empty() {
                found.severity = noted.severity;
            }
            found.findings.push(Finding::clone(&noted));
        }
        !found.findings.is_empty() && self.tells_rare(source, found, observed_at)
    }

    /// False: it is only rare, and enough was told within the hour. What somebody else has found is always told.
    fn tells_rare(&mut self, source: &Arc<str>, found: &Exceptional, observed_at: jiff::Timestamp) -> bool {
        let is_rare = |finding: &Finding| {
            finding.analyzer == AnalyzerKind::Novelty && finding.name.as_deref() == Some(familiar::RARE)
        };
        if !found.findings.iter().all(is_rare) {
            return true;
        }
        if self.judging.words.about(&template::learnable(&found.template)) == Some(false) {
            return false;
        }
        let at = At {
            arrived_ms: observed_at.as_millisecond(),
            stamp_ms: None,
        };
        let mut title = found.title.clone();
        self.composer.redactor.redact(&mut title);
        let settings = self.novelty.settings.clone();
        self.novelty.of(source).learner.tells_rare(at, &settings, &title)
    }

    /// What a batch has counted; its newcomers have been weighed.
    pub(super) fn count_templates(&mut self, source: &Arc<str>, counts: &Counts, observed_at: jiff::Timestamp) {
        if counts.records == 0 {
            return;
        }
        let at = At {
            arrived_ms: observed_at.as_millisecond(),
            stamp_ms: None,
        };
        let settings = self.novelty.settings.clone();
        let familiar = self.novelty.of(source);
        familiar.count(counts, at);
        familiar.look_for_rare(at, &settings);
        self.count_judged(source, counts);
        if let Some(metrics) = self.metrics.source(source) {
            metrics.unweighed.add(counts.left_out);
        }
    }

    /// Lets the analyzers know what is known by now.
    pub(super) fn publish_known(&mut self) {
        let Novelty {
            sources,
            board,
            unwritten,
            ..
        } = &mut self.novelty;
        for source in unwritten {
            if let Some(known) = sources.get_mut(source).and_then(Familiar::take_known) {
                board.publish(source, known);
            }
        }
    }

    fn tell_flood(&mut self, source: &Arc<str>, titles: &[String], ordinal: u32) {
        log::warn!(
            "{source}: {} new templates within an hour: it learns again",
            titles.len()
        );
        let none = BTreeMap::new();
        let labels = self.labels.get(source).unwrap_or(&none);
        let severity = self.novelty.settings.severity;
        let flood = digest::Flood {
            source,
            titles,
            ordinal,
            severity,
        };
        let alert = flood.message(&self.composer, labels, now().wall);
        self.note_said(&alert);
        self.push(&alert.into(), None);
    }

    fn tell_table_full(&mut self, source: &Arc<str>) {
        let max = alert::template::TEMPLATES_MAX;
        log::warn!("{source}: more than {max} templates: nothing in it is news any more");
        let told = TableFull {
            source,
            templates_max: max,
        };
        let wording = &self.composer.wording;
        self.tell_news(
            News {
                kind: alert::Kind::Agent,
                subject: &["novelty", source, "table full"],
                occasion: "",
                severity: Level::Warn,
                title: told.title(wording),
                text: Some(told.text(wording)),
                place: None,
            },
            source,
        );
    }
}
