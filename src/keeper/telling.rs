//! What becomes of a finding, of time that passes, and of the agent's own news: alerts in outboxes.

use super::{Keeper, now};
use crate::alert::book::Said;
use crate::alert::compose::Draft;
use crate::alert::tidings::{Damaged, Loss};
use crate::alert::window::Judged;
use crate::alert::{self, Alert, News, Origin};
use crate::alerter;
use crate::analyzer::Exceptional;
use crate::collector::{FileKey, FileState};
use crate::record::Level;
use crate::state::outbox;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Keeper {
    /// One exceptional record: an alert for those who want each, and a turn of its group's life for the others.
    pub(super) fn tell(&mut self, file: FileKey, exceptional: Exceptional, observed_at: jiff::Timestamp) {
        self.pending.note_life();
        let Some(known) = self.files.get_mut(&file) else { return };
        let at_ms = known.clock.tick(exceptional.details.timestamp, observed_at);
        match self.watching.windows.judge(exceptional, at_ms) {
            Judged::Below => {}
            Judged::Plain(found) => {
                let Some((source, mut draft)) = self.draft(file, found, observed_at) else {
                    return;
                };
                // Of most only the number counts.
                let is_wanted = self.wants(alerter::Send::Each) || self.silences.count() > 0;
                let silenced = is_wanted && self.tell_each(draft.alert(&self.composer.redactor));
                self.tell_grouped(&source, draft, silenced);
            }
            Judged::Reached { whole, plain, alerts } => {
                let silenced = match self.compose(file, *whole, observed_at) {
                    Some((_, alert)) => self.tell_each(&alert.into()),
                    None => return,
                };
                if let Some((source, alert)) = plain.and_then(|plain| self.compose(file, *plain, observed_at)) {
                    self.tell_grouped(&source, alert, silenced);
                }
                for reached in alerts {
                    let Some((source, mut alert)) = self.compose(file, reached.found, observed_at) else {
                        continue;
                    };
                    // Those that led to it are told with the firing.
                    (alert.count, alert.first_seen) = (reached.matches, alert.first_seen.min(reached.since));
                    self.tell_grouped(&source, alert, silenced);
                }
            }
        }
    }

    /// For those who want each record, unless it is silenced; whether it is.
    pub(super) fn tell_each(&mut self, alert: &Arc<Alert>) -> bool {
        let silenced = self.silence_record(alert);
        if !silenced {
            self.push(alert, Some(alerter::Send::Each));
        }
        silenced
    }

    fn compose(&self, file: FileKey, found: Exceptional, observed_at: jiff::Timestamp) -> Option<(Arc<str>, Alert)> {
        let (source, draft) = self.draft(file, found, observed_at)?;
        Some((source, draft.into_alert(&self.composer.redactor)))
    }

    fn draft(&self, file: FileKey, found: Exceptional, observed_at: jiff::Timestamp) -> Option<(Arc<str>, Draft)> {
        let known = self.files.get(&file)?;
        let path = known.checkpoint.path.to_string_lossy();
        let none = BTreeMap::new();
        let origin = Origin {
            source: &known.source,
            path: &path,
            file_id: known.checkpoint.file_state.id.as_deref().unwrap_or(&path),
            labels: self.labels.get(&known.source).unwrap_or(&none),
        };
        #[cfg(test)]
        crate::run::watcher::watch("tell", found.text.as_bytes());
        let mut draft = self.composer.draft(found, origin, observed_at);
        draft.suspect_clock(self.watching.clock.is_suspect(now(), draft.timestamp()));
        Some((known.source.clone(), draft))
    }

    /// A record's turn in the life of its group.
    pub(super) fn tell_grouped(&mut self, source: &Arc<str>, draft: impl Into<Draft>, silenced: bool) {
        let draft = draft.into();
        let turn = draft.turn();
        if !self.wants(alerter::Send::Grouped) {
            // Where nobody hears of groups, none is kept.
            return self
                .metrics
                .alerts(alert::Status::Firing, turn.severity)
                .add(u64::from(!silenced));
        }
        let said = self.book.observe(source, turn, now());
        let said = if silenced {
            said
        } else {
            self.book.hear(source, turn.fingerprint, said, now())
        };
        if let Some(said) = said {
            let alert = draft.into_alert(&self.composer.redactor);
            let observed_at = alert.observed_at;
            self.say(&said, alert, observed_at);
        }
    }

    /// Whether any alerter sends in this way.
    fn wants(&self, way: alerter::Send) -> bool {
        self.queues.iter().any(|queue| queue.settings.send == way)
    }

    /// Bytes that were lost since the last batch of a file: each loss is an alert of its own.
    pub(super) fn tell_losses(&mut self, file: FileKey, state: &FileState) {
        let Some(known) = self.files.get(&file) else { return };
        let before = &known.checkpoint.file_state.ledger;
        if let Some(metrics) = self.metrics.source(&known.source) {
            let possible = state.ledger.possible_losses.saturating_sub(before.possible_losses);
            metrics.possible_losses.add(possible);
        }
        let before = &before.lost;
        let lost = |(reason, bytes): (&str, u64)| {
            let new = bytes.saturating_sub(before.get(reason).unwrap_or(0));
            (new > 0).then(|| (reason.to_owned(), new, bytes))
        };
        let losses: Vec<_> = state.ledger.lost.iter().filter_map(lost).collect();
        let (source, path) = (
            known.source.clone(),
            known.checkpoint.path.to_string_lossy().into_owned(),
        );
        let from = known.checkpoint.resume.committed_to;
        let file_id = state.id.clone().unwrap_or_else(|| path.clone());
        for (reason, bytes, total) in losses {
            self.own.lost_bytes += bytes;
            log::warn!("{path}: {bytes} bytes from {from} on were lost ({reason})");
            let told = Loss {
                path: &path,
                bytes,
                reason: &reason,
            };
            let wording = &self.composer.wording;
            let news = News {
                kind: alert::Kind::Loss,
                subject: &["loss", &source, &reason],
                occasion: &format!("{file_id} {total}"),
                severity: Level::Error,
                title: told.title(wording),
                text: told.text(wording),
                place: Some(alert::SourcePlace {
                    name: source.to_string(),
                    path: path.clone(),
                    first_line: None,
                    last_line: None,
                    offset: from,
                    end_offset: from + bytes,
                    line_numbers: None,
                }),
            };
            self.tell_news(news, &source);
        }
    }

    /// The agent's own news go to every alerter at once: they have no life to be counted in.
    pub fn tell_news(&mut self, news: News<'_>, source: &str) {
        let none = BTreeMap::new();
        let alert = self
            .composer
            .news(news, self.labels.get(source).unwrap_or(&none), now().wall);
        self.push(&alert.into(), None);
    }

    /// The state was damaged, and is set aside there.
    pub fn tell_damage(&mut self, damaged: Damaged, aside: &str) {
        let title = damaged.title(self.composer.wording.language).to_owned();
        self.tell_news(
            News {
                kind: alert::Kind::Agent,
                subject: &["agent", "state damaged"],
                occasion: aside,
                severity: Level::Error,
                title,
                text: None,
                place: None,
            },
            "",
        );
    }

    /// Repeats and resolutions whose time has come.
    pub(super) fn let_time_pass(&mut self) {
        self.say_what_was_withheld();
        if self.book.next_due_ms().is_none_or(|due_ms| due_ms > now().boot_ms) {
            return;
        }
        let lagging: Vec<&str> = self
            .files
            .values()
            .filter(|file| file.lags())
            .map(|file| &*file.source)
            .collect();
        let said = self.book.due(now(), &|source| !lagging.contains(&source));
        for said in said {
            match self.pending.sample(&self.state, &said.key) {
                Ok(Some(alert)) => self.say(&said, alert, now().wall),
                Ok(None) => {}
                Err(error) => log::error!("a message about {} cannot be made: {error:#}", said.key.fingerprint),
            }
            self.pending.note_life();
        }
    }

    /// A message about a group, made of its sample or of the record that caused it; unless a silence covers it.
    pub(super) fn say(&mut self, said: &Said, mut alert: alert::Alert, observed_at: jiff::Timestamp) {
        said.put_into(&mut alert, observed_at);
        if said.status == alert::Status::Firing {
            self.pending.begin(said.key.clone(), alert.clone());
        }
        if !self.withhold_if_silenced(said, &alert) {
            self.note_said(&alert);
            self.push(&alert.into(), Some(alerter::Send::Grouped));
        }
    }

    /// Queues an alert for every alerter that wants it (all kinds, or those that send in the given way).
    pub(super) fn push(&mut self, alert: &Arc<Alert>, way: Option<alerter::Send>) {
        self.metrics
            .alerts(alert.status, alert.severity)
            .add(u64::from(way != Some(alerter::Send::Each)));
        let mut entry = None;
        for index in 0..self.queues.len() {
            let settings = &self.queues[index].settings;
            let wanted = way.is_none_or(|way| way == settings.send)
                && (settings.send_resolved || alert.status != alert::Status::Resolved)
                && settings.filter.accepts(settings.min_severity, alert);
            if !wanted {
                continue;
            }
            let entry = entry.get_or_insert_with(|| outbox::Entry::of(alert.clone())).clone();
            match self.hold_reason(index, alert) {
                Some(why) => self.hold_back(index, entry, why),
                None => {
                    self.queues[index].bytes += entry.payload.len() as u64;
                    self.pending.push(index, entry);
                }
            }
        }
    }
}
