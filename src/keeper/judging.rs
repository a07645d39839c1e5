//! What waits for the judge, what it has said, and what comes of it. Rules never wait: a record whose template is not
//! judged is told or not by the others; its template waits in the state, written with the checkpoint, until a verdict
//! comes, perhaps hours later. A verdict, the end of the waiting and the alert are one transaction.

use crate::alert::verdict::{Verdict, Watch, Words};
use crate::analyzer::{AnalyzerKind, Finding};
use crate::judge::{self, Mode};
use crate::record::Level;
use crate::state::{State, verdicts};
use anyhow::Result;
use crossbeam_channel::Sender;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Verdicts of models kept: one line each. The oldest are forgotten, some at a time.
const VERDICTS_MAX: usize = 100_000;
const FORGOTTEN_AT_ONCE: usize = 5_000;
/// The row of `meta` with the model that judged last.
pub(super) const MODEL: &str = "ai_model";
/// The row of `meta` with the model that has lost touch.
pub(super) const DRIFTED: &str = "ai_drifted";

/// What came back from the judge.
#[derive(Debug)]
pub struct Judged {
    /// Name of the engine among the detectors.
    pub judge: &'static str,
    /// Name and version.
    pub model: String,
    /// The share of abnormal verdicts that it is calibrated to.
    pub rate: f64,
    /// None: it refuses to judge this one.
    pub verdicts: Vec<(u64, Option<Verdict>)>,
    /// Told when it is on disk.
    pub done: Sender<()>,
}

/// What waits, and where it was said: the sources of one subject stand side by side.
pub(super) type Key = (u64, Arc<str>);

/// One that waits.
#[derive(Debug)]
pub(super) struct Row {
    /// Text of the template and example, until they are written.
    pub unwritten: Option<Box<(String, String)>>,
    pub count: u64,
    pub first_seen_ms: i64,
    pub last_seen_ms: i64,
}

#[derive(Debug)]
pub struct Judging {
    pub(super) settings: Option<judge::Settings>,
    pub(super) bell: Option<Sender<()>>,
    /// Its thread has not ended.
    pub(super) works: bool,
    pub(super) model: String,
    pub(super) judge: &'static str,
    pub(super) verdicts: HashMap<u64, Verdict>,
    pub words: Words,
    pub(super) waiting: BTreeMap<Key, Row>,
    /// Of those that wait: what differs from the disk.
    pub(super) changed: BTreeSet<Key>,
    pub(super) removed: Vec<Key>,
    pub(super) new: Vec<(u64, Verdict)>,
    /// Written since the oldest were forgotten last; at the start it is not known.
    untrimmed: usize,
    pub(super) notes: Vec<(&'static str, String)>,
    pub(super) done: Vec<Sender<()>>,
    pub(super) watch: Watch,
    pub(super) drifted: bool,
    /// There was no room for the last one.
    pub(super) full: bool,
    /// Found no room among those that wait, since the start.
    pub dropped: u64,
    pub abnormal: u64,
    pub shadowed: u64,
    pub refused: u64,
}

impl Judging {
    pub fn new(state: &State, settings: Option<judge::Settings>, bell: Option<Sender<()>>) -> Result<Self> {
        let connection = state.connection();
        let model = state.meta(MODEL)?.unwrap_or_default();
        let words = verdicts::words(connection)?;
        let waiting = verdicts::waiting(connection)?;
        let waiting = waiting.into_iter().map(|waiting| {
            let row = Row {
                unwritten: None,
                count: waiting.count,
                first_seen_ms: waiting.first_seen_ms,
                last_seen_ms: waiting.last_seen_ms,
            };
            ((waiting.subject, waiting.source.into()), row)
        });
        Ok(Self {
            drifted: !model.is_empty() && state.meta(DRIFTED)?.as_ref() == Some(&model),
            verdicts: if settings.is_some() {
                verdicts::of_model(connection, &model)?.into_iter().collect()
            } else {
                HashMap::new()
            },
            judge: settings.as_ref().map_or("", |settings| settings.engine.name()),
            words: Words::new(words.into_iter().map(|word| (word.template, word.abnormal))),
            waiting: if settings.is_some() {
                waiting.collect()
            } else {
                BTreeMap::new()
            },
            settings,
            works: bell.is_some(),
            bell,
            model,
            changed: BTreeSet::new(),
            removed: Vec::new(),
            new: Vec::new(),
            untrimmed: FORGOTTEN_AT_ONCE,
            notes: Vec::new(),
            done: Vec::new(),
            watch: Watch::default(),
            full: false,
            dropped: 0,
            abnormal: 0,
            shadowed: 0,
            refused: 0,
        })
    }

    /// Records have to be looked up for the judge, or for people's words.
    pub fn is_on(&self) -> bool {
        self.settings.is_some() || !self.words.is_empty()
    }

    pub fn by_line(&self) -> bool {
        self.settings
            .as_ref()
            .is_some_and(|settings| settings.scope == judge::Scope::Line)
    }

    pub fn pending(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn mode(&self) -> &'static str {
        match (&self.settings, self.drifted) {
            (None, _) => "off",
            (Some(_), true) => "shadow: retrain the model",
            (Some(settings), false) => settings.mode.as_str(),
        }
    }

    pub fn verdict_count(&self) -> u64 {
        self.verdicts.len() as u64
    }

    /// What records of this subject are to bring along, by what is known now.
    pub fn finding(&self, subject: u64, text: &str) -> Option<Finding> {
        let severity = self.settings.as_ref().map_or(Level::Warn, |settings| settings.severity);
        match self.words.about(text) {
            Some(true) => {
                let mut finding = Finding::new(AnalyzerKind::Ai, severity);
                finding.name = Some("person".to_owned());
                return Some(finding);
            }
            Some(false) => return None,
            None => {}
        }
        let settings = self.settings.as_ref()?;
        let verdict = self.verdicts.get(&subject)?;
        let speaks = verdict.speaks(settings.min_confidence) && settings.mode == Mode::Alert && !self.drifted;
        speaks.then(|| verdict.finding(self.judge, &self.model, severity))
    }

    /// The sources in which a subject waits.
    pub(super) fn waits_in(&self, subject: u64) -> Vec<Key> {
        let from = self.waiting.range((subject, Arc::from(""))..);
        let keys = from.map(|(key, _)| key);
        keys.take_while(|key| key.0 == subject).cloned().collect()
    }

    /// One more found no room among those that wait. It is told once, until there is room again.
    pub(super) fn drop_one(&mut self, max: usize) {
        self.dropped += 1;
        if !std::mem::replace(&mut self.full, true) {
            log::warn!(
                "{max} templates wait for the judge (analyzers.ai.max_pending): more find no room, and are asked about when \
                 they come again"
            );
        }
    }

    pub fn ring(&self) {
        if let (Some(bell), false) = (&self.bell, self.waiting.is_empty()) {
            // Full: it is rung already. Closed: the judge is gone.
            bell.try_send(()).ok();
        }
    }

    pub fn ended(&mut self) {
        self.works = false;
    }

    /// Part of the keeper's transaction; [`Self::written`] follows when it is committed.
    pub fn write(&self, connection: &Connection, at_ms: i64) -> Result<()> {
        for (subject, source) in &self.removed {
            verdicts::remove_waiting(connection, source, *subject)?;
        }
        for key in &self.changed {
            let Some(row) = self.waiting.get(key) else { continue };
            match &row.unwritten {
                Some(texts) => verdicts::wait(
                    connection,
                    &verdicts::Waiting {
                        source: key.1.to_string(),
                        subject: key.0,
                        template: texts.0.clone(),
                        example: texts.1.clone(),
                        count: row.count,
                        first_seen_ms: row.first_seen_ms,
                        last_seen_ms: row.last_seen_ms,
                    },
                )?,
                None => verdicts::count(connection, &key.1, key.0, row.count, row.last_seen_ms)?,
            }
        }
        for (subject, verdict) in &self.new {
            verdicts::save(connection, *subject, &self.model, verdict, "", at_ms)?;
        }
        if self.untrimmed + self.new.len() > FORGOTTEN_AT_ONCE {
            verdicts::trim(connection, VERDICTS_MAX)?;
        }
        for (key, value) in &self.notes {
            connection
                .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
                .execute([key, value.as_str()])?;
        }
        Ok(())
    }

    pub fn written(&mut self, connection: &Connection) {
        self.untrimmed += self.new.len();
        if self.untrimmed > FORGOTTEN_AT_ONCE {
            self.untrimmed = 0;
            self.forget_oldest(connection);
        }
        for key in std::mem::take(&mut self.changed) {
            if let Some(row) = self.waiting.get_mut(&key) {
                row.unwritten = None;
            }
        }
        self.removed.clear();
        self.new.clear();
        self.notes.clear();
        for done in self.done.drain(..) {
            // The judge may have gone.
            done.try_send(()).ok();
        }
        self.ring();
    }

    /// What was trimmed on the disk is forgotten here too.
    fn forget_oldest(&mut self, connection: &Connection) {
        if self.verdicts.len() <= VERDICTS_MAX {
            return;
        }
        match verdicts::of_model(connection, &self.model) {
            Ok(kept) => self.verdicts = kept.into_iter().collect(),
            Err(error) => log::error!("the verdicts of {} cannot be read: {error:#}", self.model),
        }
    }

    /// The judge waits for the next commit.
    pub fn is_due(&self) -> bool {
        !self.done.is_empty()
    }
}
