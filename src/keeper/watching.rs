//! What spans records: thresholds, absences, and whether the clock can be right. Kept here, judged by `alert`.

use super::{File, Keeper, now};
use crate::alert::absence::{self, Absences};
use crate::alert::book::{CarryOver, Now};
use crate::alert::clock::WallClock;
use crate::alert::tidings::Absence;
use crate::alert::window::{Changes, Windows};
use crate::alert::{self, News};
use crate::analyzer::{AnalyzerKind, Finding, Rule, Sign};
use crate::collector::FileKey;
use crate::state::{State, windows};
use anyhow::Result;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Watching {
    pub windows: Windows,
    pub absences: Absences,
    pub clock: WallClock,
}

/// What the next commit writes of it.
#[derive(Debug)]
pub(super) struct WatchChanges {
    windows: Changes,
    absences: absence::Changes,
}

impl Watching {
    pub fn load(
        state: &State,
        rules: &[Rule],
        settings: &alert::Settings,
        host_id: &str,
        carry_over: Option<CarryOver>,
        now: Now,
    ) -> Result<Self> {
        let mut stored = windows::load(state.connection())?;
        if let Some(carry_over) = carry_over {
            stored.absences.values_mut().for_each(|life| carry_over.absence(life));
        }
        let mut absences = Absences::new(rules, settings.repeat_after, host_id, stored.absences, now);
        if carry_over.is_some() {
            absences.touch_all();
        }
        Ok(Self {
            windows: Windows::new(rules, host_id, stored.windows),
            absences,
            clock: WallClock::default(),
        })
    }

    pub fn take_changes(&mut self) -> WatchChanges {
        let evicted = self.windows.take_evicted();
        if evicted > 0 {
            log::warn!("thresholds: too many values at once; {evicted} that were not seen for longest are forgotten");
        }
        WatchChanges {
            windows: self.windows.take_changes(),
            absences: self.absences.take_changes(),
        }
    }

    pub fn put_back(&mut self, changes: WatchChanges) {
        self.windows.put_back(changes.windows);
        self.absences.put_back(changes.absences);
    }
}

impl WatchChanges {
    /// Readings of the clocks stand in it.
    pub fn has_times(&self) -> bool {
        !self.absences.changed.is_empty()
    }

    pub fn write(&self, connection: &Connection) -> Result<()> {
        windows::save(connection, &self.windows)?;
        windows::save_absences(connection, &self.absences)
    }
}

impl Keeper {
    /// Matches of rules whose absence is watched.
    pub(super) fn take_signs(&mut self, file: FileKey, signs: Vec<Sign>, observed_at: jiff::Timestamp) {
        for sign in signs {
            let Some(known) = self.files.get(&file) else { return };
            let path = known.checkpoint.path.to_string_lossy().into_owned();
            let last = absence::Match {
                file_id: known.checkpoint.file_state.id.clone().unwrap_or_else(|| path.clone()),
                source: known.source.to_string(),
                path,
                offset: sign.offset,
                end_offset: sign.end_offset,
                at: sign.timestamp.unwrap_or(observed_at),
            };
            let over = self.watching.absences.matched(&sign.rule, last, now());
            over.into_iter().for_each(|said| self.tell_absence(&said));
            self.pending.note_life();
        }
    }

    /// Rules whose silence has become too long.
    pub(super) fn watch_absences(&mut self) {
        if self
            .watching
            .absences
            .next_due_ms()
            .is_none_or(|due_ms| due_ms > now().boot_ms)
        {
            return;
        }
        let lagging: Vec<&Arc<str>> = self
            .files
            .values()
            .filter(|file| File::lags(file))
            .map(|file| &file.source)
            .collect();
        let caught_up = |sources: &[Arc<str>]| match sources {
            [] => lagging.is_empty(),
            sources => !sources.iter().any(|source| lagging.contains(&source)),
        };
        let said = self.watching.absences.due(now(), &caught_up);
        for said in said {
            self.tell_absence(&said);
            self.pending.note_life();
        }
    }

    fn tell_absence(&mut self, said: &absence::Said) {
        let Some(rule) = self.watching.absences.rule(&said.rule) else {
            return;
        };
        let told = Absence {
            rule: &said.rule,
            absent_for: rule.absent_for.unwrap_or_default(),
            said,
        };
        let wording = &self.composer.wording;
        let source = match (&said.last, rule.sources.as_slice()) {
            (Some(last), _) => last.source.clone(),
            (None, [only]) => only.to_string(),
            (None, _) => String::new(),
        };
        let mut finding = Finding::new(AnalyzerKind::Rule, rule.severity);
        finding.name = Some(said.rule.to_string());
        let news = News {
            kind: alert::Kind::Absence,
            subject: &["absence", &said.rule],
            occasion: &said.id,
            severity: rule.severity,
            title: told.title(wording),
            text: Some(told.text(wording)),
            place: (!source.is_empty()).then(|| absence_place(&source, said.last.as_ref())),
        };
        let none = BTreeMap::new();
        let labels = self.labels.get(&*source).unwrap_or(&none);
        let mut alert = self.composer.news(news, labels, now().wall);
        alert.id.clone_from(&said.id);
        alert.firing_id.clone_from(&said.firing_id);
        (alert.status, alert.reason) = (said.status, said.reason);
        alert.detectors.push(finding);
        alert.first_seen = said.since.unwrap_or(alert.first_seen);
        alert.clock_suspect = self.watching.clock.is_suspect(now(), None);
        if !self.silence_record(&alert) {
            self.note_said(&alert);
            self.push(&alert.into(), None);
        }
    }

    /// Notices a wall clock that jumps.
    pub(super) fn look_at_clock(&mut self) {
        if let Some(jump_ms) = self.watching.clock.look(now()) {
            log::warn!(
                "the wall clock has jumped by {} s: no timer follows it, times told meanwhile are marked clock_suspect",
                jump_ms / 1000
            );
        }
    }
}

/// Of the last match; without one, of the source as a whole.
fn absence_place(source: &str, last: Option<&absence::Match>) -> alert::SourcePlace {
    alert::SourcePlace {
        name: source.to_owned(),
        path: last.map_or_else(String::new, |last| last.path.clone()),
        first_line: None,
        last_line: None,
        offset: last.map_or(0, |last| last.offset),
        end_offset: last.map_or(0, |last| last.end_offset),
        line_numbers: None,
    }
}
