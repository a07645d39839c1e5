//! Text of an alert for people: console, e-mail, titles and facts of chats. Pure.
//!
//! Log text is hostile: whatever a person reads goes through [`clean`] first. The words around it are English or
//! Chinese, times are in the zone of the people who read them. Escaping for HTML, Slack, Telegram is the channel's, as
//! are its limits ([`cut`]).

mod clean;
pub mod email;
mod groups;
mod words;

pub use clean::{clean, cut, cut_bytes, one_line};
pub use words::Language;

use super::{Alert, Kind, Status, tidings};
use crate::analyzer::{AnalyzerKind, Finding};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use std::time::Duration;
use words::Words;

/// Zone and language of the texts around log lines.
#[derive(Debug, Clone)]
pub struct Wording {
    pub zone: TimeZone,
    pub language: Language,
}

impl Default for Wording {
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            language: Language::English,
        }
    }
}

/// One line of what is known besides the text: `Host: gw-17`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub name: &'static str,
    pub value: String,
}

/// What stands above the text, on one line: `[ERROR] pool exhausted` or `[RESOLVED] …`. At most `max_chars`.
pub fn headline(alert: &Alert, wording: &Wording, max_chars: usize) -> String {
    let words = Words::of(wording.language);
    let mut line = match alert.status {
        Status::Firing => format!("[{}] ", words.severity(alert.severity)),
        Status::Repeated if alert.count > 1 => format!("[{} ×{}] ", words.severity(alert.severity), alert.count),
        Status::Repeated => format!("[{}] ", words.severity(alert.severity)),
        Status::Resolved => format!("[{}] ", words.resolved),
    };
    match alert.kind {
        Kind::Test => _ = write!(line, "[{}] ", words.test),
        Kind::Exception | Kind::Record | Kind::Absence | Kind::Loss | Kind::Digest | Kind::Agent => {}
    }
    line.push_str(&one_line(&alert.title));
    cut(&line, max_chars)
}

/// When, where, how often, found by what: in the order in which a person asks.
pub fn facts(alert: &Alert, wording: &Wording) -> Vec<Fact> {
    let words = Words::of(wording.language);
    let mut facts = Vec::new();
    let mut add = |name, value: String| {
        facts.push(Fact {
            name,
            value: one_line(&value),
        })
    };
    let mut when = time(alert.timestamp.unwrap_or(alert.observed_at), &wording.zone);
    if alert.clock_suspect {
        when = format!("{when} ({})", words.clock_suspect);
    }
    add(words.time, when);
    add(words.host, alert.host.name.clone());
    if let Some(source) = &alert.source {
        add(words.source, source.name.clone());
        let place = place(source);
        if !place.is_empty() {
            add(words.place, place);
        }
    }
    if let Some(count) = tidings::count(alert, wording) {
        add(words.count, count);
    }
    let found_by: Vec<String> = alert
        .detectors
        .iter()
        .map(|finding| found_by(finding, wording.language))
        .collect();
    if !found_by.is_empty() {
        add(words.found_by, found_by.join(", "));
    }
    let captures: Vec<String> = alert
        .detectors
        .iter()
        .flat_map(|f| &f.captures)
        .map(|(k, v)| pair(k, v))
        .collect();
    if !captures.is_empty() {
        add(words.captures, captures.join(", "));
    }
    if !alert.labels.is_empty() {
        let labels: Vec<String> = alert.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        add(words.labels, labels.join(", "));
    }
    add(words.alert, format!("{} · {}", alert.id, alert.fingerprint));
    facts
}

/// The record's text, or what stands in its place, cleaned; of a digest its groups, one a line.
pub fn body(alert: &Alert, wording: &Wording) -> String {
    let mut text = clean(alert.text.as_deref().or(alert.message.as_deref()).unwrap_or("")).into_owned();
    groups::write(&mut text, &alert.groups, wording);
    if alert.truncated {
        _ = write!(text, "\n[{}]", Words::of(wording.language).truncated);
    }
    text
}

/// Of a group of a digest, in the language of who reads it.
fn severity(group: &serde_json::Value, wording: &Wording) -> String {
    let level = group
        .get("severity")
        .and_then(|level| serde_json::from_value(level.clone()).ok());
    level.map_or_else(String::new, |level| {
        Words::of(wording.language).severity(level).to_lowercase()
    })
}

/// An alert on a terminal or in a text file: headline, facts, and the text indented under it. Ends with a newline.
pub fn console(alert: &Alert, wording: &Wording) -> String {
    let mut out = headline(alert, wording, 500);
    out.push('\n');
    for fact in facts(alert, wording) {
        _ = writeln!(out, "  {}: {}", fact.name, fact.value);
    }
    match alert.status {
        Status::Resolved => return out,
        Status::Firing | Status::Repeated => {}
    }
    for line in &alert.context.before {
        _ = writeln!(out, "    | {}", one_line(line));
    }
    for line in body(alert, wording).lines() {
        _ = writeln!(out, "    > {line}");
    }
    for line in &alert.context.after {
        _ = writeln!(out, "    | {}", one_line(line));
    }
    out
}

/// `2026-11-23 14:00:01 +08:00`
pub fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S %:z")
        .to_string()
}

/// `/var/log/app.log:120-147`; by offset where the line is not known.
fn place(source: &super::SourcePlace) -> String {
    match (source.first_line, source.last_line) {
        _ if source.path.is_empty() => String::new(),
        (Some(first), Some(last)) if last > first => format!("{}:{first}-{last}", source.path),
        (Some(first), _) => format!("{}:{first}", source.path),
        (None, _) => format!("{} @{}", source.path, source.offset),
    }
}

fn found_by(finding: &Finding, language: Language) -> String {
    let words = Words::of(language);
    let mut text = match finding.analyzer {
        AnalyzerKind::Level => words.by_level,
        AnalyzerKind::Rule => words.by_rule,
        AnalyzerKind::Novelty => words.by_novelty,
        AnalyzerKind::Ai => words.by_ai,
    }
    .to_owned();
    if let Some(name) = &finding.name {
        _ = write!(text, " {name}");
    }
    if let Some(counted) = &finding.counted {
        let within = tidings::span(Duration::from_millis(counted.within_ms), language);
        _ = write!(text, " {} × / {within}", counted.matches);
    }
    if let Some(confidence) = finding.confidence {
        _ = write!(text, " {:.0} %", confidence * 100.0);
    }
    text
}

fn pair(key: &str, value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => format!("{key}={text}"),
        other => format!("{key}={other}"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
