//! The shape of the YAML, whole: every key that the configuration will ever have under these names, alive or not yet
//! (`check` knows which are built), so that a typo is always told from a key that comes later.
//!
//! Only data: names, nesting and types. What the values mean, their defaults and their limits is `check`'s.

use super::key::{Key, OneOrMany, ShortMatch, ShortName, Switch};
use super::units::{Size, Span};
use serde::Deserialize;
use std::collections::BTreeMap;

type List<T> = Key<Vec<Key<T>>>;
type Words = Key<BTreeMap<String, Key<String>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Root {
    pub state_dir: Key<String>,
    pub host: Key<Host>,
    pub sources: List<Source>,
    pub analyzers: Key<Analyzers>,
    pub alerts: Key<Alerts>,
    pub alerters: List<Alerter>,
    pub metrics: Key<Metrics>,
    pub log: Key<Log>,
    /// Its old place, of the program that this one succeeds.
    pub ai_service_url: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    pub name: Key<String>,
    pub labels: Words,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    pub name: Key<String>,
    pub paths: List<String>,
    pub journald: Key<Journald>,
    pub stdin: Key<Stdin>,
    pub exclude: List<String>,
    pub read_from: Key<ReadFrom>,
    pub ignore_older: Key<Span>,
    pub read_rate: Key<Size>,
    pub format: Key<Format>,
    pub encoding: Key<OneOrMany<String>>,
    pub timezone: Key<String>,
    pub multiline: Key<Multiline>,
    pub max_record: Key<Size>,
    pub flush_after: Key<Span>,
    pub alert_at: Key<AlertAt>,
    pub labels: Words,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journald {
    pub units: List<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stdin {}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadFrom {
    End,
    Beginning,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Auto,
    Plain,
    Json,
    Logfmt,
    Syslog,
    Cri,
    Docker,
    Regex(Key<String>),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Multiline {
    Auto,
    Off,
    Start(Key<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertAt {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
    Off,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Analyzers {
    pub threads: Key<usize>,
    pub levels: Key<Levels>,
    pub rules: List<Rule>,
    pub ignore: List<ShortMatch<Ignore>>,
    pub novelty: Key<Novelty>,
    pub ai: Key<Ai>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    pub alert_at: Key<AlertAt>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    pub name: Key<String>,
    #[serde(rename = "match")]
    pub pattern: Key<String>,
    pub severity: Key<crate::record::Level>,
    #[serde(rename = "override")]
    pub overrides: Key<bool>,
    pub sources: List<String>,
    pub fields: Words,
    pub at_least: Key<u32>,
    pub within: Key<Span>,
    pub per: Key<String>,
    pub absent_for: Key<Span>,
    pub tests: Key<RuleTests>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleTests {
    #[serde(rename = "match")]
    pub matching: List<String>,
    pub no_match: List<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ignore {
    #[serde(rename = "match")]
    pub pattern: Key<String>,
    pub sources: List<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Novelty {
    pub enabled: Key<bool>,
    pub learn_for: Key<String>,
    pub severity: Key<crate::record::Level>,
    pub max_per_hour: Key<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ai {
    pub engine: Key<AiEngine>,
    pub service_urls: List<String>,
    pub ai_service_url: Key<String>,
    pub scope: Key<AiScope>,
    pub timeout: Key<Span>,
    pub batch: Key<usize>,
    pub min_confidence: Key<f64>,
    pub max_pending: Key<usize>,
    pub mode: Key<AiMode>,
    pub severity: Key<crate::record::Level>,
    pub model: Key<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AiEngine {
    Off,
    Service,
    Electra,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AiScope {
    Template,
    Line,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AiMode {
    Alert,
    Shadow,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    pub context: Key<Context>,
    pub repeat_after: Key<Span>,
    pub resolve_after: Key<Span>,
    pub quiet: List<Quiet>,
    pub silences: List<Silence>,
    pub heartbeat: Key<Switch<Heartbeat>>,
    pub redact: List<ShortName<Redact>>,
    pub time_zone: Key<String>,
    pub language: Key<Language>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Context {
    pub before: Key<usize>,
    pub after: Key<usize>,
    pub wait: Key<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quiet {
    pub days: List<Day>,
    pub from: Key<String>,
    pub to: Key<String>,
    pub below: Key<crate::record::Level>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Silence {
    pub fingerprint: Key<String>,
    pub rule: Key<String>,
    pub source: Key<String>,
    pub labels: Words,
    pub severity: Key<crate::record::Level>,
    pub until: Key<String>,
    pub comment: Key<String>,
}

#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    pub every: Key<Span>,
    pub alerters: List<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    pub name: Key<String>,
    #[serde(rename = "match")]
    pub pattern: Key<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub enum Language {
    #[serde(rename = "en")]
    English,
    #[serde(rename = "zh-CN")]
    Chinese,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    pub listen: Key<String>,
    pub token_file: Key<String>,
    pub textfile: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub level: Key<LogLevel>,
    pub file: Key<String>,
    pub format: Key<LogFormat>,
    pub max_size: Key<Size>,
    pub keep: Key<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

pub use super::alerter_file::Alerter;
