//! The redactor: every text passes here on its way out of the process or into the state.
//!
//! There is one call site, [`Redactor::apply`], in `compose`: ids and fingerprints are computed before it, everything
//! that is stored, sent or shown after it. A redacted value becomes `[name:hash]`, where the hash is short and keyed with
//! a secret of this host: equal values stay recognisable, and the value cannot be looked up from outside.
//!
//! It cannot fail, so that nothing ever leaves unredacted: patterns are compiled when the configuration is checked, and
//! the time is linear in the text, whatever that holds.

mod key_material;
mod keys;
mod pairs;
mod prefilter;
mod shapes;
mod values;

use super::{Alert, Context};
use crate::analyzer::mask::mask;
use aho_corasick::AhoCorasick;
use core::ops::Range;
use hmac::{Hmac, KeyInit, Mac};
use prefilter::{Gate, Prefilter};
use regex::Regex;
use serde_json::{Map, Value};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What is redacted.
#[derive(Debug, Clone)]
pub enum Pattern {
    Builtin(Set),
    /// The whole match is replaced, or its group `value` if it has one.
    Own {
        name: String,
        regex: Regex,
    },
}

/// Built-in sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    Secrets,
    Emails,
    Ips,
    Cards,
}

/// Not one of the keys whose values are redacted, so that a mask is never taken for a secret itself.
const SECRET: &str = "redacted";
/// What is left of the hash: enough to see that two values are equal.
const HASH_HEX_DIGITS: usize = 6;
/// A value found in one text of an alert is looked for in the others if it is so long …
const ELSEWHERE_MIN_BYTES: usize = 6;
/// … and so many are looked for; the patterns find the others where they stand.
const ELSEWHERE_MAX: usize = 256;
/// Between the parts of one alert that are read as one text, so that a key over all of them is seen whole; a
/// noncharacter, which no text of ours contains.
const SEAM: &str = "\n\u{fdd0}\n";
const SEAM_MARK: char = '\u{fdd0}';

/// The patterns in force. Without any, texts stay as they are.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    rules: Vec<Rule>,
    /// What may be in a text: most hold nothing, and are read once.
    prefilter: Option<Prefilter>,
    /// With [`Set::Secrets`]: values behind keys that name a secret, and key material.
    keyed: bool,
    hash_key: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    /// One of these is in every match; empty: any text may match.
    needles: &'static [&'static str],
    gate: Gate,
    /// Its number in the prefilter; none: it has no needles.
    number: Option<u32>,
    regex: LazyRegex,
    confirm: Confirm,
}

/// A built-in pattern is compiled when a text may hold what it finds: most hosts never see most of them, and all together
/// take megabytes and milliseconds.
#[derive(Debug, Clone)]
struct LazyRegex {
    pattern: String,
    compiled: OnceLock<Regex>,
}

impl LazyRegex {
    fn new(pattern: String) -> Self {
        Self {
            pattern,
            compiled: OnceLock::new(),
        }
    }

    fn compiled(regex: &Regex) -> Self {
        Self {
            pattern: String::new(),
            compiled: OnceLock::from(regex.clone()),
        }
    }

    fn get(&self) -> &Regex {
        self.compiled
            .get_or_init(|| Regex::new(&self.pattern).expect("the built-in patterns are compiled by a test"))
    }
}

/// Whether what a pattern found in a text is what it is taken for.
type Confirm = fn(&str, &Range<usize>) -> bool;
/// A secret in a text, and the rule's name.
type Found<'a> = (Range<usize>, &'a str);
/// Values that were masked, with their masks.
type Known = BTreeMap<String, String>;

impl Redactor {
    /// `hash_key` is a secret of this host.
    pub fn new(patterns: &[Pattern], hash_key: &[u8]) -> Self {
        let mut redactor = Self {
            hash_key: hash_key.to_vec(),
            ..Self::default()
        };
        for pattern in patterns {
            match pattern {
                Pattern::Builtin(set) => {
                    redactor.rules.extend(shapes::rules(*set));
                    redactor.keyed |= *set == Set::Secrets;
                }
                Pattern::Own { name, regex } => redactor.rules.push(Rule {
                    name: name.clone(),
                    needles: &[],
                    gate: prefilter::gates::open,
                    number: None,
                    regex: LazyRegex::compiled(regex),
                    confirm: shapes::always,
                }),
            }
        }
        let with_needles = redactor.rules.iter_mut().filter(|rule| !rule.needles.is_empty());
        let mut searches = Vec::new();
        for (number, rule) in (0..).zip(with_needles) {
            rule.number = Some(number);
            searches.push((rule.needles, rule.gate));
        }
        redactor.prefilter = Some(Prefilter::new(&searches, redactor.keyed));
        redactor
    }

    /// Replaces what must not be seen in all texts of an alert: text, title, message, template, fields, captures,
    /// context, path.
    pub fn apply(&self, alert: &mut Alert) {
        if self.rules.is_empty() {
            return;
        }
        let mut known = Known::new();
        self.apply_to_record(alert, &mut known);
        let Alert {
            title,
            message,
            template,
            fields,
            detectors,
            source,
            ..
        } = alert;
        self.redact_noting(title, &mut known);
        if let Some(source) = source {
            self.redact_noting(&mut source.path, &mut known);
        }
        if let Some(template) = template {
            self.redact_template(message.as_deref().unwrap_or(""), template);
        }
        if let Some(message) = message {
            self.redact_noting(message, &mut known);
        }
        self.redact_map(fields, &mut known);
        for finding in detectors.iter_mut() {
            self.redact_map(&mut finding.captures, &mut known);
        }
        if !known.is_empty() {
            hide_elsewhere(alert, &known);
        }
    }

    /// Text and context as one, since a key over several lines may begin in the one and end in the other.
    fn apply_to_record(&self, alert: &mut Alert, known: &mut Known) {
        let joined = joined(alert);
        let found = self.find(&joined);
        if found.is_empty() {
            return;
        }
        let clean = self.without(&joined, &found, known);
        let mut parts = clean.split(SEAM);
        let context = &mut alert.context;
        let mut lines = |before: &[String]| match parts.next() {
            Some(part) if !before.is_empty() => part.split('\n').map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let before = lines(&context.before);
        let own = lines(&["text".to_owned()]).join("\n");
        let after = lines(&context.after);
        (context.before, context.after) = (before, after);
        alert.text = alert.text.is_some().then_some(own);
    }

    fn redact_map(&self, map: &mut Map<String, Value>, known: &mut Known) {
        for (key, value) in map.iter_mut() {
            let secret = self.keyed && keys::kind(key).is_some_and(|kind| kind != keys::Kind::Tokens);
            self.redact_value(value, secret, known);
        }
        // A key may be a secret too: {"bob@example.org": 3}.
        let secret = map.keys().filter(|key| !self.find(key).is_empty());
        for key in secret.cloned().collect::<Vec<_>>() {
            let mut shown = key.clone();
            self.redact_noting(&mut shown, known);
            if let Some(value) = map.shift_remove(&key) {
                map.insert(shown, value);
            }
        }
    }

    /// `whole`: it stands under a key that says so.
    fn redact_value(&self, value: &mut Value, whole: bool, known: &mut Known) {
        match value {
            Value::String(text) if whole => {
                if !values::is_empty_word(text) && !is_mask(text) {
                    *text = self.masked(SECRET, text, known);
                }
            }
            Value::Number(number) if whole => *value = self.masked(SECRET, &number.to_string(), known).into(),
            Value::String(text) => self.redact_noting(text, known),
            Value::Number(number) => {
                let mut text = number.to_string();
                let before = text.len();
                self.redact_noting(&mut text, known);
                if text.len() != before {
                    *value = text.into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_value(item, whole, known)),
            Value::Object(map) if whole => map.values_mut().for_each(|item| self.redact_value(item, whole, known)),
            Value::Object(map) => self.redact_map(map, known),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The template of a message, both as they were found. In a template a secret may have lost what it is known by
    /// (`$6$salt$…` its numbers), so that it is made anew of a message that holds one.
    pub fn redact_template(&self, message: &str, template: &mut String) {
        let found = self.find(message);
        if !found.is_empty() {
            let clean = self.without(message, &found, &mut Known::new());
            *template = mask(clean.as_bytes());
        }
        self.redact(template);
    }

    /// What may be seen of the first line of a record if a secret reaches into it that began in the lines before, as the
    /// second line of a key does. None: none does.
    pub fn reached_from_before(&self, before: &[String], text: &str) -> Option<String> {
        let head = text.lines().next().filter(|_| !before.is_empty())?;
        let joined = format!("{}\n{head}", before.join("\n"));
        let start = joined.len() - head.len();
        let found = self.find(&joined);
        let (reaching, name) = found.iter().rfind(|(range, _)| range.end > start)?;
        if !self.find(head).is_empty() {
            return None;
        }
        let mask = self.masked(name, &joined[reaching.clone()], &mut Known::new());
        Some(mask + &joined[reaching.end..])
    }

    /// One text, in place.
    pub fn redact(&self, text: &mut String) {
        self.redact_noting(text, &mut Known::new());
    }

    fn redact_noting(&self, text: &mut String, known: &mut Known) {
        let found = self.find(text);
        if !found.is_empty() {
            *text = self.without(text, &found, known);
        }
    }

    /// The text with masks in place of what was found in it.
    fn without(&self, text: &str, found: &[Found<'_>], known: &mut Known) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut copied_to = 0;
        for (range, name) in found {
            clean.push_str(&text[copied_to..range.start]);
            let value = &text[range.clone()];
            clean.push_str(&self.masked(name, value, known));
            // What lies over a seam is masked, and the seam stays.
            for _ in value.matches(SEAM_MARK) {
                clean.push_str(SEAM);
            }
            copied_to = range.end;
        }
        clean.push_str(&text[copied_to..]);
        clean
    }

    /// All that must not be seen, in order, without overlaps.
    fn find(&self, text: &str) -> Vec<Found<'_>> {
        let mut found: Vec<Found<'_>> = Vec::new();
        let Some(prefilter) = &self.prefilter else {
            return found;
        };
        let clues = prefilter.read(text);
        if self.keyed {
            let mut ranges = Vec::new();
            key_material::find(text, clues.key_marks, &mut ranges);
            pairs::find(text, &clues.stems, &mut ranges);
            found.extend(ranges.into_iter().map(|range| (range, SECRET)));
        }
        let worth_a_try = |rule: &&Rule| rule.number.is_none_or(|number| clues.hint_at(number));
        for rule in self.rules.iter().filter(worth_a_try) {
            for captures in rule.regex.get().captures_iter(text) {
                let value = captures.name("value").or_else(|| captures.get(0));
                let range = value
                    .map(|value| value.range())
                    .filter(|range| (rule.confirm)(text, range));
                found.extend(range.map(|range| (range, rule.name.as_str())));
            }
        }
        found.retain(|(range, _)| !range.is_empty() && !is_mask(&text[range.clone()]));
        found.sort_by_key(|(range, _)| (range.start, core::cmp::Reverse(range.end)));
        let mut apart: Vec<Found<'_>> = Vec::with_capacity(found.len());
        for (range, name) in found {
            match apart.last_mut() {
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                _ => apart.push((range, name)),
            }
        }
        apart
    }

    fn masked(&self, name: &str, value: &str, known: &mut Known) -> String {
        let value = value.trim();
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.hash_key).expect("HMAC takes keys of any length");
        mac.update(value.as_bytes());
        let [first, second, third, ..] = <[u8; 32]>::from(mac.finalize().into_bytes());
        let mask = format!("[{name}:{first:02x}{second:02x}{third:02x}]");
        if known.len() < ELSEWHERE_MAX {
            // Of several lines each may stand alone in the context.
            known.extend(value.lines().map(|line| (line.trim().to_owned(), mask.clone())));
            known.insert(value.to_owned(), mask.clone());
        }
        mask
    }
}

/// Lines before, text, and lines after, with seams between them.
fn joined(alert: &Alert) -> String {
    let Context { before, after } = &alert.context;
    let lines = before.iter().chain(after).chain(&alert.text);
    let mut joined = String::with_capacity(lines.map(|line| line.len() + 1).sum::<usize>() + 2 * SEAM.len());
    let mut add = |line: &str, between: &str| {
        joined.push_str(between);
        match line.contains(SEAM_MARK) {
            true => joined.push_str(&line.replace(SEAM_MARK, "\u{fffd}")),
            false => joined.push_str(line),
        }
    };
    let between = |number: usize| if number == 0 { "" } else { "\n" };
    before.iter().enumerate().for_each(|(n, line)| add(line, between(n)));
    add("", SEAM);
    add(alert.text.as_deref().unwrap_or_default(), "");
    add("", SEAM);
    after.iter().enumerate().for_each(|(n, line)| add(line, between(n)));
    joined
}

/// What was masked in one text of an alert is masked wherever else it stands in it: a rule may have captured it without
/// the key that told what it is.
fn hide_elsewhere(alert: &mut Alert, known: &Known) {
    for finding in &mut alert.detectors {
        for value in finding.captures.values_mut() {
            if let Value::String(text) = value
                && let Some(mask) = known.get(text.trim())
            {
                text.clone_from(mask);
            }
        }
    }
    // Words are left alone: `password=error` must not blacken every error.
    let telling = |value: &&String| {
        value.len() >= ELSEWHERE_MIN_BYTES && value.chars().any(|c| !c.is_alphabetic()) && !value.contains('\n')
    };
    let values: Vec<&String> = known.keys().filter(telling).collect();
    if values.is_empty() {
        return;
    }
    let masks: Vec<&String> = values.iter().filter_map(|value| known.get(*value)).collect();
    let Ok(search) = AhoCorasick::builder()
        .match_kind(aho_corasick::MatchKind::LeftmostLongest)
        // Soon built: it reads a few lines, once.
        .kind(Some(aho_corasick::AhoCorasickKind::NoncontiguousNFA))
        .build(&values)
    else {
        return;
    };
    let hide = |text: &mut String| {
        if search.is_match(text.as_str()) {
            *text = search.replace_all(text, &masks);
        }
    };
    let Alert {
        title,
        text,
        message,
        template,
        fields,
        detectors,
        context,
        source,
        ..
    } = alert;
    hide(title);
    [text, message, template].into_iter().flatten().for_each(hide);
    source.iter_mut().for_each(|source| hide(&mut source.path));
    context.before.iter_mut().chain(&mut context.after).for_each(hide);
    fields.values_mut().for_each(|value| each_text(value, &hide));
    detectors
        .iter_mut()
        .flat_map(|finding| finding.captures.values_mut())
        .for_each(|value| each_text(value, &hide));
}

fn each_text(value: &mut Value, change: &dyn Fn(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(map) => map.values_mut().for_each(|item| each_text(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `[redacted:3fa9c1]`: somebody was here already.
fn is_mask(value: &str) -> bool {
    let inner = value
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']').or(Some(rest)));
    let hash = inner.and_then(|inner| inner.rsplit_once(':')).map(|(_, hash)| hash);
    hash.is_some_and(|hash| hash.len() == HASH_HEX_DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
