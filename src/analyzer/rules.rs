//! Rules: regular expressions of the configuration, and `ignore`, limited to the sources they name.
//!
//! Rules whose matches need certain literals are asked only where one of these stands; the others always. A `RegexSet`
//! tells which of them match a record; captures are read only for those. Rules see the record's body: the text without
//! its envelope, decoded, unredacted.

use super::prefilter::{self, Prefilter};
use super::{AnalyzerKind, Finding, Ignore, Rule};
use crate::record::Details;
use regex::bytes::RegexSet;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The longest capture that is kept, in bytes: captures are names and numbers, not documents.
const CAPTURE_MAX_BYTES: usize = 1024;

/// The rules that concern one source.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Asked where the prefilter finds something.
    filtered: Subset,
    prefilter: Option<Prefilter>,
    /// Asked always.
    unfiltered: Subset,
    ignore: RegexSet,
}

/// Some of the rules, by index, with their patterns.
#[derive(Debug, Clone, Default)]
struct Subset {
    rules: Vec<usize>,
    patterns: RegexSet,
}

impl Rules {
    /// Regular expressions that `config` has compiled one by one compile as a set too, but for its size limit, which
    /// is lifted here.
    pub fn for_source(rules: &[Rule], ignore: &[Ignore], source: &str) -> Self {
        let rules: Vec<Rule> = rules
            .iter()
            .filter(|rule| concerns(&rule.sources, source))
            .cloned()
            .collect();
        let ignore = ignore
            .iter()
            .filter(|ignore| concerns(&ignore.sources, source))
            .map(|i| i.pattern.as_str());
        let literals: Vec<_> = rules
            .iter()
            .map(|rule| prefilter::required(rule.pattern.as_str()))
            .collect();
        let prefilter = Prefilter::new(&literals.iter().flatten().flatten().cloned().collect());
        let is_filtered = |index: &usize| prefilter.is_some() && literals[*index].is_some();
        let (filtered, unfiltered) = (0..rules.len()).partition(is_filtered);
        Self {
            filtered: Subset::new(filtered, &rules),
            prefilter,
            unfiltered: Subset::new(unfiltered, &rules),
            ignore: set_of(ignore),
            rules,
        }
    }

    /// What finds every place where a rule may match; none: that cannot be told without asking them.
    pub fn prefilter(&self) -> Option<&Prefilter> {
        self.prefilter.as_ref().filter(|_| self.unfiltered.rules.is_empty())
    }

    /// The findings of all rules that match, in the order of the configuration, each with its rule. `details` is asked
    /// for only where a rule has conditions on fields.
    pub fn analyze<'r>(&'r self, body: &[u8], details: &mut dyn FnMut() -> Details) -> Vec<(Finding, &'r Rule)> {
        let mut matching = self.unfiltered.matching(body);
        if self
            .prefilter
            .as_ref()
            .is_some_and(|prefilter| prefilter.find(body, 0).is_some())
        {
            matching.append(&mut self.filtered.matching(body));
            matching.sort_unstable();
        }
        let mut found = Vec::new();
        let mut known: Option<Details> = None;
        for index in matching {
            let rule = &self.rules[index];
            if !rule.fields.is_empty() && !fields_match(rule, known.get_or_insert_with(&mut *details)) {
                continue;
            }
            let mut finding = Finding::new(AnalyzerKind::Rule, rule.severity);
            finding.name = Some(rule.name.to_string());
            finding.captures = captures(rule, body);
            found.push((finding, rule));
        }
        found
    }

    pub fn ignores(&self, body: &[u8]) -> bool {
        !self.ignore.is_empty() && self.ignore.is_match(body)
    }
}

impl Subset {
    fn new(indices: Vec<usize>, rules: &[Rule]) -> Self {
        Self {
            patterns: set_of(indices.iter().map(|&index| rules[index].pattern.as_str())),
            rules: indices,
        }
    }

    fn matching(&self, body: &[u8]) -> Vec<usize> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let matches = self.patterns.matches(body);
        matches.into_iter().map(|at| self.rules[at]).collect()
    }
}

fn concerns(sources: &[Arc<str>], source: &str) -> bool {
    sources.is_empty() || sources.iter().any(|name| &**name == source)
}

fn set_of<'p>(patterns: impl Iterator<Item = &'p str>) -> RegexSet {
    regex::bytes::RegexSetBuilder::new(patterns)
        .multi_line(true)
        .size_limit(usize::MAX)
        .build()
        .expect("each of these patterns has been compiled before")
}

fn fields_match(rule: &Rule, details: &Details) -> bool {
    rule.fields
        .iter()
        .all(|(name, pattern)| match details.fields.get(name) {
            Some(Value::String(text)) => pattern.is_match(text),
            Some(other) => pattern.is_match(&other.to_string()),
            None => false,
        })
}

fn captures(rule: &Rule, body: &[u8]) -> Map<String, Value> {
    let Some(groups) = rule.pattern.captures(body) else {
        return Map::new();
    };
    let named = rule.pattern.capture_names().flatten();
    named
        .filter_map(|name| {
            let bytes = groups.name(name)?.as_bytes();
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(CAPTURE_MAX_BYTES)]).into_owned();
            Some((name.to_string(), Value::String(text)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Level;

    fn rule(name: &str, pattern: &str) -> Rule {
        Rule {
            name: name.into(),
            pattern: regex::bytes::RegexBuilder::new(pattern)
                .multi_line(true)
                .build()
                .unwrap(),
            severity: Level::Error,
            overrides: false,
            sources: Vec::new(),
            fields: Vec::new(),
            threshold: None,
            absent_for: None,
        }
    }

    fn names(rules: &Rules, body: &str, details: Details) -> Vec<String> {
        rules
            .analyze(body.as_bytes(), &mut || details.clone())
            .into_iter()
            .filter_map(|(f, _)| f.name)
            .collect()
    }

    #[test]
    fn every_rule_that_matches_speaks_with_its_captures() {
        let rules = Rules::for_source(
            &[
                rule("oom", r"Killed process (?P<pid>\d+)"),
                rule("any", r"\d\d"),
                rule("kill", "^Killed"),
            ],
            &[],
            "app",
        );
        let found = rules.analyze(b"first\nKilled process 77 (java)", &mut Details::default);
        let names: Vec<_> = found
            .iter()
            .filter_map(|(finding, _)| finding.name.as_deref())
            .collect();
        assert_eq!(names, ["oom", "any", "kill"], "in the order of the configuration");
        assert_eq!(found[0].0.captures["pid"], "77");
        assert!(found[2].0.captures.is_empty());
    }

    #[test]
    fn a_rule_for_another_source_is_silent() {
        let mut only_db = rule("r", "x");
        only_db.sources = vec!["db".into()];
        assert!(
            names(
                &Rules::for_source(&[only_db.clone()], &[], "app"),
                "x",
                Details::default()
            )
            .is_empty()
        );
        assert_eq!(
            names(&Rules::for_source(&[only_db], &[], "db"), "x", Details::default()),
            ["r"]
        );
    }

    #[test]
    fn conditions_on_fields_must_all_hold() {
        let mut server_error = rule("5xx", "");
        server_error.fields = vec![("status".into(), regex::Regex::new("^5").unwrap())];
        let rules = Rules::for_source(&[server_error], &[], "app");
        let with = |status: Value| Details {
            fields: Map::from_iter([("status".to_string(), status)]),
            ..Details::default()
        };
        assert_eq!(names(&rules, "x", with(Value::from(503))), ["5xx"]);
        assert_eq!(names(&rules, "x", with(Value::from("404"))), Vec::<String>::new());
        assert_eq!(names(&rules, "x", Details::default()), Vec::<String>::new());
    }

    #[test]
    fn ignore_knows_its_sources() {
        let ignore = Ignore {
            pattern: regex::bytes::Regex::new("reset by peer").unwrap(),
            sources: vec!["app".into()],
        };
        assert!(Rules::for_source(&[], std::slice::from_ref(&ignore), "app").ignores(b"connection reset by peer"));
        assert!(!Rules::for_source(&[], &[ignore], "db").ignores(b"connection reset by peer"));
    }
}
