//! `analyzers`: levels, rules with their tests, and what is ignored.

use super::patterns;
use super::{PendingTest, alert_at, known_names, name};
use crate::analyzer::{self, Ignore, Rule, Threshold};
use crate::config::file::{self, AlertAt};
use crate::config::key::Key;
use crate::config::place::Inputs;
use crate::config::tree::NodeId;
use crate::config::units::Span;
use std::sync::Arc;
use std::time::Duration;

/// Rules are tried as one set; more than this is a table, not a configuration.
const RULES_MAX: usize = 1000;
/// One match is no threshold; the times of that many are kept for each value.
const AT_LEAST_MIN: u32 = 2;
const AT_LEAST_MAX: u32 = 10_000;
const WITHIN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sources are looked at once a second.
const ABSENT_FOR_MIN: Duration = Duration::from_secs(1);

pub fn analyzers(
    file: file::Analyzers,
    sources: &[String],
    inputs: &mut Inputs,
) -> (analyzer::Settings, Vec<PendingTest>) {
    let mut taken = Vec::new();
    let mut tests = Vec::new();
    let mut rules = Vec::new();
    if let Some((at, items)) = file.rules.placed().filter(|(_, items)| items.len() > RULES_MAX) {
        inputs.fault(
            at,
            format!("{} rules, at most {RULES_MAX} are possible", items.len()),
            "join some with `|`",
        );
    }
    for item in file.rules.section() {
        let at = item.at();
        if item.get().is_some() {
            rules.extend(rule(at, &item.section(), &mut taken, &mut tests, sources, inputs));
        }
    }
    let mut ignored = Vec::new();
    for item in file.ignore.section() {
        let at = item.at();
        if let Some(entry) = item.get() {
            ignored.extend(ignore(at, &entry.0, sources, inputs));
        }
    }
    let levels = file.levels.section();
    let settings = analyzer::Settings {
        alert_at: alert_at(levels.alert_at.or(AlertAt::Warn)),
        rules,
        ignore: ignored,
    };
    (settings, tests)
}

fn rule(
    at: Option<NodeId>,
    file: &file::Rule,
    taken: &mut Vec<String>,
    tests: &mut Vec<PendingTest>,
    sources: &[String],
    inputs: &mut Inputs,
) -> Option<Rule> {
    let name = name(at, &file.name, "rule", taken, inputs);
    let sources = known_names(&file.sources, "source", sources, inputs);
    let fields = fields(file, inputs);
    if let (false, Some(at)) = (file.severity.is_given(), at) {
        inputs.fault(
            at,
            "this rule has no `severity`",
            "add one of trace, debug, info, warn, error, fatal",
        );
    }
    let pattern = required_pattern(at, &file.pattern, "rule", inputs)?;
    if let Some(at) = file.pattern.at() {
        patterns::warn_of_cost(at, &pattern, inputs);
    }
    if let Some(cases) = file.tests.get() {
        for (key, must_match) in [(&cases.matching, true), (&cases.no_match, false)] {
            for (at, text) in key.get().into_iter().flatten().filter_map(Key::placed) {
                tests.push(PendingTest {
                    rule: name.clone(),
                    pattern: pattern.clone(),
                    text: text.clone(),
                    must_match,
                    at,
                });
            }
        }
    }
    let absent_for = absent_for(file, inputs);
    let threshold = match file.absent_for.is_given() {
        true => None,
        false => threshold(at, file, &pattern, inputs),
    };
    Some(Rule {
        name: name.into(),
        pattern,
        severity: *file.severity.get()?,
        overrides: file.overrides.or(false),
        sources: sources.into_iter().map(Arc::from).collect(),
        fields,
        threshold,
        absent_for,
    })
}

/// `at_least` and `within` belong together; `per` names a group of the pattern.
fn threshold(
    at: Option<NodeId>,
    file: &file::Rule,
    pattern: &regex::bytes::Regex,
    inputs: &mut Inputs,
) -> Option<Threshold> {
    match (&file.at_least, &file.within) {
        (least, within) if least.is_given() && within.is_given() => {
            check_within(within, inputs);
            check_per(&file.per, pattern, inputs);
            let at_least = super::at_most(least, 2, AT_LEAST_MIN, AT_LEAST_MAX, inputs);
            return Some(Threshold {
                at_least,
                within: within.get()?.0,
                per: file.per.get().cloned(),
            });
        }
        (least, _) if least.is_given() => {
            inputs.fault(
                least.at().or(at)?,
                "`within` is missing",
                "add the length of the window: `within: 60s`",
            );
        }
        (_, within) if within.is_given() => {
            inputs.fault(
                within.at().or(at)?,
                "`at_least` is missing",
                "add a number of matches: `at_least: 5`",
            );
        }
        (_, _) => {
            if let Some(at) = file.per.at() {
                inputs.fault(at, "`per` needs `at_least` and `within`", "");
            }
        }
    }
    None
}

fn check_per(key: &Key<String>, pattern: &regex::bytes::Regex, inputs: &mut Inputs) {
    if let Some((at, per)) = key.placed()
        && !pattern.capture_names().flatten().any(|name| name == per)
    {
        let hint = format!("write `(?P<{per}>…)` around what is counted for itself");
        inputs.fault(at, format!("`match` has no group named `{per}`"), hint);
    }
}

fn check_within(within: &Key<Span>, inputs: &mut Inputs) {
    if let Some((at, span)) = within.placed()
        && (span.0.is_zero() || span.0 > WITHIN_MAX)
    {
        inputs.fault(at, "is not between 1ms and 7d", "");
    }
}

fn absent_for(file: &file::Rule, inputs: &mut Inputs) -> Option<Duration> {
    let (at, span) = file.absent_for.placed()?;
    if span.0 < ABSENT_FOR_MIN {
        inputs.fault(at, "is less than 1s", "");
    }
    for (key, given) in [
        ("at_least", file.at_least.at()),
        ("within", file.within.at()),
        ("per", file.per.at()),
    ] {
        if let Some(at) = given {
            let what = format!("`{key}` has no meaning beside `absent_for`");
            inputs.fault(at, what, "make a rule of its own for it");
        }
    }
    Some(span.0)
}

fn fields(file: &file::Rule, inputs: &mut Inputs) -> Vec<(String, regex::Regex)> {
    let pairs = file.fields.get().into_iter().flatten();
    let placed = pairs.filter_map(|(field, key)| key.placed().map(|(at, pattern)| (field, at, pattern)));
    placed
        .filter_map(|(field, at, pattern)| Some((field.clone(), patterns::text(at, pattern, inputs)?)))
        .collect()
}

fn ignore(at: Option<NodeId>, file: &file::Ignore, sources: &[String], inputs: &mut Inputs) -> Option<Ignore> {
    let sources = known_names(&file.sources, "source", sources, inputs);
    let pattern = required_pattern(at, &file.pattern, "entry", inputs)?;
    if let (true, Some(at)) = (pattern.is_match(b""), file.pattern.at()) {
        inputs.warn(at, "this pattern matches every record: nothing is ever found", "");
    }
    Some(Ignore {
        pattern,
        sources: sources.into_iter().map(Arc::from).collect(),
    })
}

fn required_pattern(
    section_at: Option<NodeId>,
    key: &Key<String>,
    what: &str,
    inputs: &mut Inputs,
) -> Option<regex::bytes::Regex> {
    match key.placed() {
        Some((at, pattern)) => patterns::bytes(at, pattern, inputs),
        None => {
            if let (Some(at), false) = (section_at, key.is_given()) {
                inputs.fault(at, format!("this {what} has no `match`"), "add `match: '…'`");
            }
            None
        }
    }
}
