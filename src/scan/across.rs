//! What a scan keeps across records and files: windows of thresholds, and where rules with `absent_for` matched. Time is
//! the log's: files may come in any order.

use super::novelty::Novelty;
use super::plan::Plan;
use super::report::Span;
use crate::alert::absence::{Match, Said};
use crate::alert::tidings::Absence;
use crate::alert::window::{Judged, Windows};
use crate::alert::{Alert, Kind, News, Reason, SourcePlace, Status, id};
use crate::analyzer::{AnalyzerKind, Exceptional, Finding, Rule};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs of matches kept of one rule; beyond it new ones are left out, and what seems absent there is not told.
const RUNS_MAX: usize = 10_000;

#[derive(Debug)]
pub struct Across {
    pub novelty: Novelty,
    windows: Windows,
    watches: BTreeMap<Arc<str>, Watch>,
}

/// Where one rule matched, without longer gaps within each run, by the run's beginning.
#[derive(Debug)]
struct Watch {
    rule: Rule,
    runs: BTreeMap<Timestamp, Match>,
    span: Span,
}

impl Across {
    pub fn new(rules: &[Rule], novelty: Novelty) -> Self {
        let watched = rules.iter().filter(|rule| rule.absent_for.is_some());
        let watch = |rule: &Rule| Watch {
            rule: rule.clone(),
            runs: BTreeMap::new(),
            span: Span::default(),
        };
        Self {
            novelty,
            windows: Windows::new(rules, "", []),
            watches: watched.map(|rule| (rule.name.clone(), watch(rule))).collect(),
        }
    }

    /// The record with what of its findings counts; none: all are below their thresholds.
    pub fn judge(&mut self, found: Exceptional, at_ms: i64) -> Option<Exceptional> {
        match self.windows.judge(found, at_ms) {
            Judged::Below => None,
            Judged::Plain(found) => Some(found),
            Judged::Reached { whole, .. } => Some(*whole),
        }
    }

    /// A rule matched from `since` on, at `last` for the last time.
    pub fn matched(&mut self, rule: &str, since: Timestamp, last: Match) {
        let Some(watch) = self.watches.get_mut(rule) else {
            return;
        };
        watch.add(since.min(last.at), last);
    }

    /// A file of `source` was read, with records from … to.
    pub fn has_read(&mut self, source: &str, span: Span) {
        let concerned = |watch: &&mut Watch| {
            let sources = &watch.rule.sources;
            sources.is_empty() || sources.iter().any(|name| **name == *source)
        };
        self.watches
            .values_mut()
            .filter(concerned)
            .for_each(|watch| watch.span.join(span));
    }

    /// Alerts of all absences, oldest first.
    pub fn absences(&self, plan: &Plan) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.watches.values().flat_map(|watch| watch.absences(plan)).collect();
        alerts.sort_by_key(|alert| alert.first_seen);
        alerts
    }
}

impl Watch {
    fn add(&mut self, mut since: Timestamp, mut last: Match) {
        let absent_for = self.rule.absent_for.unwrap_or_default();
        let near = |earlier: Timestamp, later: Timestamp| later.duration_since(earlier).unsigned_abs() <= absent_for;
        if let Some((from, run)) = self.runs.range(..=since).next_back()
            && (run.at >= since || near(run.at, since))
        {
            let (from, run) = (*from, run.clone());
            self.runs.remove(&from);
            since = from;
            last = if run.at > last.at { run } else { last };
        }
        while let Some((from, run)) = self.runs.range(since..).next()
            && (*from <= last.at || near(last.at, *from))
        {
            let (from, run) = (*from, run.clone());
            self.runs.remove(&from);
            last = if run.at > last.at { run } else { last };
        }
        if self.runs.len() < RUNS_MAX {
            self.runs.insert(since, last);
        }
    }

    fn absences(&self, plan: &Plan) -> Vec<Alert> {
        let Some((begin, end)) = self.span.0 else {
            return Vec::new();
        };
        let mut absences = Vec::new();
        let (mut last, mut from) = (None, begin);
        for (since, run) in &self.runs {
            absences.extend(self.absence(plan, last, from, *since));
            (last, from) = (Some(run), run.at);
        }
        absences.extend(self.absence(plan, last, from, end));
        absences
    }

    /// That nothing matched between `from` and `to`, if that is too long.
    fn absence(&self, plan: &Plan, last: Option<&Match>, from: Timestamp, to: Timestamp) -> Option<Alert> {
        let absent_for = self.rule.absent_for?;
        let silence = to.duration_since(from);
        if silence.is_negative() || silence.unsigned_abs() <= absent_for {
            return None;
        }
        let noticed_at = from.checked_add(absent_for).ok()?;
        let rule = &self.rule;
        let said = Said {
            rule: rule.name.clone(),
            id: id::of_news(&[b"absence", rule.name.as_bytes(), &from.as_millisecond().to_le_bytes()]),
            firing_id: None,
            status: Status::Firing,
            reason: Reason::New,
            last: last.cloned(),
            silence: silence.unsigned_abs(),
            since: Some(noticed_at),
        };
        let told = Absence {
            rule: &rule.name,
            absent_for,
            said: &said,
        };
        let wording = &plan.composer.wording;
        let news = News {
            kind: Kind::Absence,
            subject: &["absence", &rule.name],
            occasion: &said.id,
            severity: rule.severity,
            title: told.title(wording),
            text: Some(told.text(wording)),
            place: last.map(|last| SourcePlace {
                name: last.source.clone(),
                path: last.path.clone(),
                first_line: None,
                last_line: None,
                offset: last.offset,
                end_offset: last.end_offset,
                line_numbers: None,
            }),
        };
        let mut alert = plan.composer.news(news, plan.host_labels(), plan.now);
        let mut finding = Finding::new(AnalyzerKind::Rule, rule.severity);
        finding.name = Some(rule.name.to_string());
        alert.id = said.id;
        alert.detectors.push(finding);
        alert.timestamp = Some(noticed_at);
        (alert.first_seen, alert.last_seen) = (noticed_at, to);
        plan.wants(Some(rule.severity), noticed_at).then_some(alert)
    }
}

#[cfg(test)]
mod tests;
