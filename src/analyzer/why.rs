//! What each analyzer says of one record, also those that find nothing: for people who ask. Pure.
//!
//! The same settings and the same order as in the hot path, without its short cuts.

use super::{Finding, Settings, level};
use crate::record::{Details, Level, Record};
use serde::Serialize;
use serde_json::Value;

/// Everything that was said of one record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// What counts as the record's level.
    pub level: Option<Level>,
    /// From where on a level is exceptional; `None`: the level analyzer is off.
    pub alert_at: Option<Level>,
    pub rules: Vec<RuleSaid>,
    /// Patterns of `ignore` that match: it is no finding then.
    pub ignored_by: Vec<String>,
    pub findings: Vec<Finding>,
    /// What the findings come to; none: nothing was found.
    pub severity: Option<Level>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleSaid {
    pub name: String,
    pub severity: Level,
    #[serde(flatten)]
    pub said: Said,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "said")]
pub enum Said {
    Matches,
    /// It matches and is counted; so many within so long are a finding.
    Counts {
        at_least: u32,
        within_ms: u64,
    },
    /// It matches, and its absence would be the finding.
    Seen,
    NoMatch,
    /// The text matches, this field does not; `value`: what it holds, if it is there.
    FieldDiffers {
        field: String,
        value: Option<String>,
    },
    OtherSource,
}

/// `alert_at` is what holds for the source.
pub fn why(settings: &Settings, source: &str, alert_at: Option<Level>, record: &Record<'_>, details: &Details) -> Why {
    let concerns = |sources: &[std::sync::Arc<str>]| sources.is_empty() || sources.iter().any(|name| **name == *source);
    let mut findings: Vec<Finding> = level::analyze(record, alert_at).into_iter().collect();
    let (mut rules, mut overriding) = (Vec::new(), None);
    for rule in &settings.rules {
        let said = if !concerns(&rule.sources) {
            Said::OtherSource
        } else if !rule.pattern.is_match(record.body) {
            Said::NoMatch
        } else if let Some((field, _)) = rule
            .fields
            .iter()
            .find(|(name, pattern)| !holds(details, name, pattern))
        {
            let value = details.fields.get(field).map(text_of);
            let field = field.clone();
            Said::FieldDiffers { field, value }
        } else if rule.absent_for.is_some() {
            Said::Seen
        } else if let Some(threshold) = &rule.threshold {
            Said::Counts {
                at_least: threshold.at_least,
                within_ms: u64::try_from(threshold.within.as_millis()).unwrap_or(u64::MAX),
            }
        } else {
            Said::Matches
        };
        if said == Said::Matches {
            overriding = overriding.max(rule.overrides.then_some(rule.severity));
            let mut finding = Finding::new(super::AnalyzerKind::Rule, rule.severity);
            finding.name = Some(rule.name.to_string());
            findings.push(finding);
        }
        rules.push(RuleSaid {
            name: rule.name.to_string(),
            severity: rule.severity,
            said,
        });
    }
    let ignoring = settings.ignore.iter().filter(|ignore| concerns(&ignore.sources));
    let ignored_by = ignoring.filter(|ignore| ignore.pattern.is_match(record.body));
    Why {
        level: level::effective(record),
        alert_at,
        rules,
        ignored_by: ignored_by.map(|ignore| ignore.pattern.to_string()).collect(),
        severity: overriding.or_else(|| findings.iter().map(|finding| finding.severity).max()),
        findings,
    }
}

fn holds(details: &Details, name: &str, pattern: &regex::Regex) -> bool {
    details
        .fields
        .get(name)
        .is_some_and(|value| pattern.is_match(&text_of(value)))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
