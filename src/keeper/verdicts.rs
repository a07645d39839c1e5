//! What becomes of verdicts: a record brings along what is known of it, a template that nobody judged waits, and a verdict
//! that comes late makes an alert at its example's place.

use super::judging::{DRIFTED, Judged, MODEL, Row};
use super::{CouriersEnd, Inbox, Keeper, now};
use crate::alert::book::Key;
use crate::alert::compose::Draft;
use crate::alert::familiar::Weighed;
use crate::alert::tidings::Drift;
use crate::alert::verdict::{Verdict, Watch, Words};
use crate::alert::{self, Alert, News, Origin, id, render};
use crate::analyzer::template::Counts;
use crate::analyzer::{AnalyzerKind, Exceptional, Finding};
use crate::collector::FileKey;
use crate::record::Level;
use crate::state::verdicts;
use anyhow::Result;
use crossbeam_channel::Receiver;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Of an example that waits.
const EXAMPLE_MAX_BYTES: usize = 1024;
const EXAMPLE_LINE_MAX_BYTES: usize = 200;

impl Keeper {
    /// Writes what is pending, tells the judge to finish and takes what it still says; until when the couriers have time.
    pub(super) fn let_judge_finish(&mut self, inbox: &Receiver<Inbox>, couriers: CouriersEnd) -> Result<Instant> {
        self.commit_or_wait()?;
        let (until, patience) = match couriers {
            CouriersEnd::After(deadline) => (None, Instant::now() + deadline / 2),
            CouriersEnd::At(until) => (Some(until), until),
        };
        self.judging.bell = None;
        while self.judging.works {
            match inbox.recv_deadline(patience) {
                Ok(message) => self.handle(message),
                Err(_) => break,
            }
            if self.judging.is_due() {
                self.commit_or_wait()?;
            }
        }
        self.commit_or_wait()?;
        Ok(match (until, couriers) {
            (None, CouriersEnd::After(deadline)) => Instant::now() + deadline,
            (Some(until), _) | (None, CouriersEnd::At(until)) => until,
        })
    }

    /// Adds what is known of the subject to a record that was just weighed, or lets it wait for the judge.
    pub(super) fn judge(&mut self, file: FileKey, source: &Arc<str>, found: &mut Exceptional, weighed: &Weighed) {
        if !self.judging.is_on() {
            return;
        }
        let subject = weighed.subject;
        let finding = self.judging.finding(subject, &weighed.text);
        match &finding {
            Some(finding) => {
                let noted = Arc::new(finding.clone());
                if weighed.noted.as_deref() != Some(finding) {
                    self.novelty.of(source).note(subject, Some(&noted));
                }
                found.severity = if found.findings.is_empty() {
                    finding.severity
                } else {
                    found.severity.max(finding.severity)
                };
                found.findings.push(finding.clone());
            }
            None if weighed
                .noted
                .as_ref()
                .is_some_and(|noted| noted.analyzer == AnalyzerKind::Ai) =>
            {
                self.novelty.of(source).note(subject, None)
            }
            None => {}
        }
        let asks = self.judging.settings.is_some() && !self.judging.verdicts.contains_key(&subject);
        if asks && self.judging.words.about(&weighed.text).is_none() {
            self.let_wait(file, source, found, weighed);
        }
    }

    fn let_wait(&mut self, file: FileKey, source: &Arc<str>, found: &Exceptional, weighed: &Weighed) {
        let key = (weighed.subject, source.clone());
        if self.judging.waiting.contains_key(&key) {
            return;
        }
        let max = self
            .judging
            .settings
            .as_ref()
            .map_or(0, |settings| settings.max_pending);
        if self.judging.waiting.len() >= max {
            self.judging.drop_one(max);
            if let Some(unknown) = found.unknown_mask {
                self.novelty.of(source).ask_again(unknown.hash);
            }
            return;
        }
        let Some(example) = self.example(file, source, found.clone()) else {
            return;
        };
        let at_ms = now().wall.as_millisecond();
        self.pending.judge_waits = true;
        self.pending.bytes += weighed.text.len() + example.len();
        let row = Row {
            unwritten: Some(Box::new((weighed.text.clone(), example))),
            count: weighed.early,
            first_seen_ms: at_ms,
            last_seen_ms: at_ms,
        };
        self.judging.full = false;
        self.judging.waiting.insert(key.clone(), row);
        self.judging.changed.insert(key);
    }

    /// The alert that the record would make, small enough to be kept for long.
    fn example(&self, file: FileKey, source: &Arc<str>, found: Exceptional) -> Option<String> {
        let known = self.files.get(&file)?;
        let path = known.checkpoint.path.to_string_lossy();
        let none = BTreeMap::new();
        let origin = Origin {
            source,
            path: &path,
            file_id: known.checkpoint.file_state.id.as_deref().unwrap_or(&path),
            labels: self.labels.get(source).unwrap_or(&none),
        };
        let mut alert = self.composer.compose(found, origin, now().wall);
        let cut = |text: &mut String, max| *text = render::cut_bytes(text, max);
        alert
            .text
            .as_mut()
            .into_iter()
            .for_each(|text| cut(text, EXAMPLE_MAX_BYTES));
        alert
            .message
            .as_mut()
            .into_iter()
            .for_each(|text| cut(text, EXAMPLE_MAX_BYTES));
        alert
            .template
            .as_mut()
            .into_iter()
            .for_each(|text| cut(text, EXAMPLE_MAX_BYTES));
        let context = &mut alert.context;
        let lines = context.before.iter_mut().chain(&mut context.after);
        lines.for_each(|line| cut(line, EXAMPLE_LINE_MAX_BYTES));
        let fields = serde_json::to_string(&alert.fields).map_or(usize::MAX, |json| json.len());
        if fields > EXAMPLE_MAX_BYTES {
            alert.fields.clear();
        }
        Some(alert.to_json())
    }

    /// More records: of what waits, and of what was judged.
    pub(super) fn count_judged(&mut self, source: &Arc<str>, counts: &Counts) {
        if self.judging.settings.is_none() {
            return;
        }
        let at_ms = now().wall.as_millisecond();
        for (mask, records) in &counts.by_mask {
            let records = u64::from(*records);
            let Some(subject) = self.novelty.of(source).subject_of(*mask) else {
                continue;
            };
            let key = (subject, source.clone());
            if let Some(row) = self.judging.waiting.get_mut(&key) {
                row.count += records;
                row.last_seen_ms = row.last_seen_ms.max(at_ms);
                self.judging.changed.insert(key);
            } else if let Some(verdict) = self.judging.verdicts.get(&subject) {
                self.judging.watch.saw(subject, records, verdict.abnormal);
            }
        }
    }

    /// Verdicts have come, perhaps late.
    pub(super) fn take_verdicts(&mut self, judged: Judged) {
        let Judged {
            judge,
            model,
            rate,
            verdicts,
            done,
        } = judged;
        self.judging.judge = judge;
        if model != self.judging.model {
            self.change_model(model);
        }
        for (subject, verdict) in verdicts {
            match verdict {
                Some(verdict) => self.take_verdict(subject, verdict, rate),
                None => {
                    self.judging.refused += 1;
                    self.end_waiting(subject);
                }
            }
        }
        self.judging.done.push(done);
    }

    fn take_verdict(&mut self, subject: u64, verdict: Verdict, rate: f64) {
        self.judging.verdicts.insert(subject, verdict);
        self.judging.new.push((subject, verdict));
        let ended = self.end_waiting(subject);
        for (_, row, _) in &ended {
            self.judging.watch.saw(subject, row.count.max(1), verdict.abnormal);
        }
        if self.judging.watch.drifts(rate) && !self.judging.drifted {
            self.tell_drift();
        }
        if !verdict.abnormal {
            return;
        }
        self.judging.abnormal += 1;
        for (source, row, texts) in ended {
            match self.judging.finding(subject, &texts.0) {
                Some(finding) => {
                    self.novelty.of(&source).note(subject, Some(&Arc::new(finding.clone())));
                    self.tell_late(&source, &row, &texts.1, finding);
                }
                None => {
                    self.judging.shadowed += 1;
                    let hash = alert::template::hash_of(subject);
                    log::info!(
                        "{source}: the model finds {hash} abnormal (score {:?}, confidence {:?}); nobody is told",
                        verdict.score,
                        verdict.confidence
                    );
                }
            }
        }
    }

    /// Takes a subject out of what waits: each source's row with the text of the template and the example.
    fn end_waiting(&mut self, subject: u64) -> Vec<(Arc<str>, Row, (String, String))> {
        let mut ended = Vec::new();
        for key in self.judging.waits_in(subject) {
            let Some(mut row) = self.judging.waiting.remove(&key) else {
                continue;
            };
            self.judging.changed.remove(&key);
            let texts = match row.unwritten.take() {
                Some(texts) => Some(*texts),
                None => verdicts::waiting_texts(self.state.connection(), &key.1, subject).unwrap_or_else(|error| {
                    log::error!("what a verdict is about cannot be read: {error:#}");
                    None
                }),
            };
            self.judging.removed.push(key.clone());
            ended.extend(texts.map(|texts| (key.1, row, texts)));
        }
        ended
    }

    /// The alert of a verdict that came after the record had gone by.
    fn tell_late(&mut self, source: &Arc<str>, row: &Row, example: &str, finding: Finding) {
        let mut alert: Alert = match serde_json::from_str(example) {
            Ok(alert) => alert,
            Err(error) => {
                log::error!("an example in the state cannot be read: {error}");
                return;
            }
        };
        let key = Key {
            source: source.clone(),
            fingerprint: alert.fingerprint.as_str().into(),
        };
        let fires = self
            .book
            .group(&key)
            .filter(|group| group.firing)
            .map(|group| group.severity);
        let windows = &self.watching.windows;
        let of_others = alert.detectors.iter().any(|found| !windows.only_counts(found));
        let told = fires.max(of_others.then_some(alert.severity));
        if told.is_some_and(|severity| severity >= finding.severity) {
            // It is told already, and this makes it no worse: later records will name this detector, too.
            return;
        }
        alert.id = id::of_news(&[b"late", alert.id.as_bytes(), self.judging.model.as_bytes()]);
        alert.severity = if alert.detectors.is_empty() {
            finding.severity
        } else {
            alert.severity.max(finding.severity)
        };
        alert.detectors.push(finding);
        alert.late = true;
        alert.count = row.count.max(1);
        let now = now();
        alert.observed_at = now.wall;
        let last_seen = jiff::Timestamp::from_millisecond(row.last_seen_ms).unwrap_or(now.wall);
        alert.last_seen = alert.last_seen.max(last_seen);
        let mut draft = Draft::from(alert);
        let silenced = self.tell_each(draft.alert(&self.composer.redactor));
        self.tell_grouped(source, draft, silenced);
        self.pending.note_life();
    }

    fn change_model(&mut self, model: String) {
        log::info!("the judge is {model} now");
        let known = verdicts::of_model(self.state.connection(), &model).unwrap_or_else(|error| {
            log::error!("the verdicts of {model} cannot be read: {error:#}");
            Vec::new()
        });
        let judging = &mut self.judging;
        // Those of the old model that are not written yet belong to it.
        judging.new.clear();
        judging.verdicts = known.into_iter().collect();
        judging.watch = Watch::default();
        judging.drifted = false;
        judging.notes.push((MODEL, model.clone()));
        judging.model = model;
        self.novelty.forget_notes();
    }

    /// Called once per model.
    fn tell_drift(&mut self) {
        let model = self.judging.model.clone();
        self.judging.drifted = true;
        self.judging.notes.push((DRIFTED, model.clone()));
        self.novelty.forget_notes();
        log::warn!("the model {model} finds far more abnormal than it was calibrated to: it is only listened to now");
        let (told, wording) = (Drift { model: &model }, &self.composer.wording);
        self.tell_news(
            News {
                kind: alert::Kind::Agent,
                subject: &["ai", "retrain"],
                occasion: &model,
                severity: Level::Warn,
                title: told.title(wording),
                text: Some(told.text(wording).to_owned()),
                place: None,
            },
            "",
        );
    }

    /// What people have said has changed.
    pub(super) fn load_words(&mut self) -> Result<()> {
        let words = verdicts::words(self.state.connection())?;
        self.judging.words = Words::new(words.into_iter().map(|word| (word.template, word.abnormal)));
        self.novelty.forget_notes();
        self.publish_known();
        Ok(())
    }
}
