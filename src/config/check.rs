//! From the shapes of `file` to [`Settings`]: defaults, limits, and what only the whole tells (names that are twice,
//! names that nobody has, keys that exclude each other).
//!
//! Nothing stops at the first fault: every value is looked at, and where one is wrong a harmless one takes its place, since
//! settings with faults are thrown away. Keys that are known and not yet alive stand in [`NOT_BUILT`].

mod ai;
mod alerters;
mod analyzers;
mod emails;
mod kafkas;
mod metrics;
mod novelty;
mod own_log;
mod patterns;
mod quiet;
mod redact;
mod silences;
pub(super) mod sources;
mod webhooks;

use super::file::{self, AlertAt};
use super::key::Key;
use super::place::Inputs;
use super::read::RuleTest;
use super::tree::{Node, NodeId, Value};
use super::units::Span;
use super::{DEFAULT_STATE_DIR, Settings, console};
use crate::alert;
use crate::alert::render::{Language, Wording};
use crate::record::Level;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const OUTBOX_DEFAULT_BYTES: u64 = 16 * 1024 * 1024;

/// Lines of context are kept in memory for each open file.
const CONTEXT_LINES_MAX: usize = 100;
/// A finding waits for its context no longer than a person would.
const CONTEXT_WAIT_MAX: Duration = Duration::from_secs(60);
const THREADS_MAX: usize = 64;

/// Keys (`*` for each item of a list) that are refused until they are built, but for the values named, which ask for
/// nothing. Shorten this as parts land.
const NOT_BUILT: &[(&str, &[&str])] = &[];

/// Reports every key that is given and not alive yet. Empty lists, sections and values ask for nothing.
pub fn not_built(root: &Node, inputs: &mut Inputs) {
    for (path, accepted) in NOT_BUILT {
        let steps: Vec<&str> = path.split('.').collect();
        refuse(root, root.id, &steps, accepted, inputs);
    }
}

fn refuse(node: &Node, key_at: NodeId, steps: &[&str], accepted: &[&str], inputs: &mut Inputs) {
    match (steps.split_first(), &node.value) {
        (None, Value::Null | Value::Gone) => {}
        (None, Value::Scalar(text)) if accepted.contains(&text.as_str()) => {}
        (None, Value::Seq(items)) if items.is_empty() => {}
        (None, Value::Map(_) | Value::Scalar(_) | Value::Seq(_)) => {
            let hint = match accepted {
                [] => "remove it".to_owned(),
                accepted => format!("until then only `{}` is possible", accepted.join("` or `")),
            };
            inputs.fault(key_at, "not built yet", hint);
        }
        (Some((&"*", rest)), Value::Seq(items)) => {
            for item in items {
                refuse(item, item.id, rest, accepted, inputs);
            }
        }
        (Some((step, rest)), Value::Map(_)) => {
            if let Some(entry) = node.entry(step) {
                refuse(&entry.node, entry.id, rest, accepted, inputs);
            }
        }
        (Some(_), Value::Null | Value::Gone | Value::Scalar(_) | Value::Seq(_)) => {}
    }
}

/// What a configuration without faults means.
pub struct Checked {
    pub settings: Settings,
    pub rule_tests: Vec<PendingTest>,
}

/// A rule's test before its place is looked up.
pub struct PendingTest {
    pub rule: String,
    pub pattern: regex::bytes::Regex,
    pub text: String,
    pub must_match: bool,
    pub at: NodeId,
}

impl PendingTest {
    pub fn placed(self, inputs: &Inputs, root: &Node) -> RuleTest {
        let mut keys = HashMap::new();
        super::place::name_keys(root, String::new(), &mut keys);
        RuleTest {
            place: inputs
                .place(self.at)
                .unwrap_or_else(|| super::Place::Whole { path: PathBuf::new() }),
            key: keys.remove(&self.at).unwrap_or_default(),
            rule: self.rule,
            pattern: self.pattern,
            text: self.text,
            must_match: self.must_match,
        }
    }
}

/// Settings that are meant only if `inputs` is faultless afterwards.
pub fn check(root: file::Root, inputs: &mut Inputs) -> Checked {
    let mut alerts_section = root.alerts.section();
    let silences = std::mem::take(&mut alerts_section.silences);
    let language = match alerts_section.language.or(file::Language::English) {
        file::Language::English => Language::English,
        file::Language::Chinese => Language::Chinese,
    };
    let heartbeat = alerts_section.heartbeat.clone();
    let mut alert = alerts(alerts_section, root.host.section(), inputs);
    let (sources, source_names) = sources::sources(root.sources, inputs);
    let analyzers = root.analyzers.section();
    let analyzer_threads = at_most(&analyzers.threads, 1, 1, THREADS_MAX, inputs);
    if let Some(section) = analyzers.novelty.get() {
        alert.novelty = novelty::novelty(section, inputs);
    }
    let judge = ai::ai(
        analyzers.ai.get().unwrap_or(&file::Ai::default()),
        &root.ai_service_url,
        inputs,
    );
    let (analyzer, rule_tests) = analyzers::analyzers(analyzers, &source_names, inputs);
    let rule_names: Vec<String> = analyzer.rules.iter().map(|rule| rule.name.to_string()).collect();
    let known = silences::Known {
        sources: &source_names,
        rules: &rule_names,
        zone: &alert.zone,
    };
    alert.silences = silences::silences(&silences, &known, inputs);
    let wording = Wording {
        zone: alert.zone.clone(),
        language,
    };
    let names = alerters::Known {
        sources: &source_names,
        rules: &analyzer.rules,
        wording: &wording,
    };
    let mut alerters = alerters::alerters(root.alerters, &names, inputs);
    if alerters.is_empty() {
        alerters.push(console());
    }
    let names: Vec<String> = alerters.iter().map(|alerter| alerter.name.to_string()).collect();
    alert.heartbeat = quiet::heartbeat(&heartbeat, &names, inputs);
    let settings = Settings {
        state_dir: state_dir(&root.state_dir, inputs),
        sources,
        analyzer,
        judge,
        analyzer_threads,
        alert,
        alerters,
        metrics: metrics::metrics(&root.metrics.section(), inputs),
        log: own_log::own_log(&root.log.section(), inputs),
    };
    Checked { settings, rule_tests }
}

fn state_dir(key: &Key<String>, inputs: &mut Inputs) -> PathBuf {
    if let Some((at, _)) = key.placed().filter(|(_, dir)| !dir.starts_with('/')) {
        let hint = "services do not start in the directory of this file";
        inputs.fault(at, "must be an absolute path", hint);
    }
    key.or(DEFAULT_STATE_DIR.to_owned()).into()
}

fn alerts(alerts: file::Alerts, host: file::Host, inputs: &mut Inputs) -> alert::Settings {
    let default = alert::Settings::default();
    let context = alerts.context.section();
    alert::Settings {
        host_name: host.name.get().cloned(),
        host_labels: words(&host.labels),
        context_before_lines: at_most(
            &context.before,
            default.context_before_lines,
            0,
            CONTEXT_LINES_MAX,
            inputs,
        ),
        context_after_lines: at_most(
            &context.after,
            default.context_after_lines,
            0,
            CONTEXT_LINES_MAX,
            inputs,
        ),
        context_wait: context_wait(&context.wait, default.context_wait, inputs),
        repeat_after: positive(&alerts.repeat_after, default.repeat_after, inputs),
        resolve_after: positive(&alerts.resolve_after, default.resolve_after, inputs),
        // They name sources and rules: see `check`.
        silences: Vec::new(),
        novelty: default.novelty,
        quiet: quiet::quiet(alerts.quiet, inputs),
        heartbeat: None,
        redact: redact::redact(&alerts.redact, inputs),
        zone: match alerts.time_zone.placed() {
            None => jiff::tz::TimeZone::system(),
            Some((at, name)) => sources::zone(at, name, inputs).unwrap_or_else(jiff::tz::TimeZone::system),
        },
    }
}

fn context_wait(key: &Key<Span>, default: Duration, inputs: &mut Inputs) -> Duration {
    if let Some((at, _)) = key.placed().filter(|(_, wait)| wait.0 > CONTEXT_WAIT_MAX) {
        inputs.fault(at, "is more than 60s", "nobody should wait longer for an alert");
    }
    span(key, default)
}

fn span(key: &Key<Span>, default: Duration) -> Duration {
    key.get().map_or(default, |span| span.0)
}

fn positive(key: &Key<Span>, default: Duration, inputs: &mut Inputs) -> Duration {
    if let Some((at, Span(Duration::ZERO))) = key.placed() {
        inputs.fault(at, "must be longer than nothing", "");
    }
    span(key, default)
}

fn at_most<T: Copy + PartialOrd + Display>(key: &Key<T>, default: T, min: T, max: T, inputs: &mut Inputs) -> T {
    if let Some((at, value)) = key.placed().filter(|(_, value)| !(min..=max).contains(*value)) {
        inputs.fault(at, format!("{value} is not between {min} and {max}"), "");
    }
    key.or(default)
}

fn words(key: &Key<BTreeMap<String, Key<String>>>) -> BTreeMap<String, String> {
    let pairs = key.get().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| Some((name.clone(), value.get()?.clone())))
        .collect()
}

fn list<T: Clone>(key: &Key<Vec<Key<T>>>) -> Vec<T> {
    key.get().into_iter().flatten().filter_map(Key::get).cloned().collect()
}

/// Reports every item that is not one of `known`, and returns all of them.
fn known_names(key: &Key<Vec<Key<String>>>, what: &str, known: &[String], inputs: &mut Inputs) -> Vec<String> {
    for item in key.get().into_iter().flatten() {
        known_name(item, what, known, inputs);
    }
    list(key)
}

fn known_name(key: &Key<String>, what: &str, known: &[String], inputs: &mut Inputs) {
    if let Some((at, name)) = key.placed().filter(|(_, name)| !known.contains(name)) {
        let hint = match super::problem::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => String::new(),
            None => format!("there are: {}", known.join(", ")),
        };
        inputs.fault(at, format!("no {what} is named `{}`", super::decode::clip(name)), hint);
    }
}

/// The name of a list item: given, of letters that fit into keys, variables and labels, and not taken.
fn name(
    section_at: Option<NodeId>,
    key: &Key<String>,
    what: &str,
    taken: &mut Vec<String>,
    inputs: &mut Inputs,
) -> String {
    const NAME_BYTES_MAX: usize = 64;
    let Some((at, name)) = key.placed() else {
        if let (Some(at), false) = (section_at, key.is_given()) {
            inputs.fault(at, format!("this {what} has no `name`"), "add `name: …`");
        }
        return String::new();
    };
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) {
        inputs.fault(at, "is not a name", "up to 64 letters, digits, `-`, `_` and `.`");
    } else if taken.contains(name) {
        inputs.fault(
            at,
            format!("another {what} is named `{name}` already"),
            "names are unique",
        );
    }
    taken.push(name.clone());
    name.clone()
}

/// A level, or none for `off`.
fn alert_at(value: AlertAt) -> Option<Level> {
    match value {
        AlertAt::Trace => Some(Level::Trace),
        AlertAt::Debug => Some(Level::Debug),
        AlertAt::Info => Some(Level::Info),
        AlertAt::Warn => Some(Level::Warn),
        AlertAt::Error => Some(Level::Error),
        AlertAt::Fatal => Some(Level::Fatal),
        AlertAt::Off => None,
    }
}
