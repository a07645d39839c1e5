//! The machine that runs the tables of `trace_rules`.
//!
//! It follows several languages at once while their traces look alike, and drops those that a line does not fit. Most
//! lines are no part of any trace: [`Grammar::may_enter`] says so from a few bytes, and regular expressions run only on
//! the rest. They are compiled on first use, and only those of languages that are met.

use crate::record::trace_rules::{BLANK, CLASS_AND_METHOD, Rule, State, TABLES, TEXT, Table};
use crate::record::{Language, Level};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder, SetMatches};
use std::sync::{LazyLock, OnceLock};

/// The one grammar of the process.
pub(super) static GRAMMAR: LazyLock<Grammar> = LazyLock::new(Grammar::new);

/// What the grammar sees of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    /// Without envelope, header, colours, trailing blanks and kernel stamp.
    pub text: &'a [u8],
    /// It begins with a time stamp or is a structured object.
    pub headed: bool,
    pub level: Option<Level>,
    /// It carries a kernel stamp (`[   12.345678] `), which has been taken off.
    pub stamped: bool,
}

/// One language that the open lines fit, and where in its traces they stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    table: u8,
    state: State,
    votes: u16,
    /// The last line goes on with the exception's message, behind all that its language writes.
    trails: bool,
}

/// What a line is to the line before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing: it stands alone.
    Alone,
    /// It begins a trace by itself.
    Begins { sure: bool },
    /// It joins the held line, which thereby is the head of a trace.
    Joins { sure: bool },
}

#[derive(Debug)]
struct Transition {
    rule: &'static Rule,
    regex: OnceLock<Regex>,
}

#[derive(Debug)]
pub(super) struct Grammar {
    transitions: Vec<Vec<Transition>>,
    /// All rules that can take a line in from outside, and where they stand: one pass tells which of them match.
    entries: OnceLock<(RegexSet, Vec<(u8, u8)>)>,
    openings: [Vec<&'static [u8]>; 256],
    named: OnceLock<Regex>,
}

const OUTSIDE: [State; 4] = [State::Begin, State::Line, State::Named, State::Alarm];
/// Longer lines are looked at only so far: no frame is longer, and patterns need not run over a megabyte.
const LOOK_BYTES: usize = 4096;
/// Where its states have no room, the engine falls back to one that reads 0.6 MB/s: lines of random text would slow all
/// that is read. They take this much only where such lines are met.
const STATES_BYTES: usize = 8 << 20;
/// Words of a line that is about an exception.
const NAMED: &str = r"[Ee]xception|Error\b|\b(?:error|ERROR)\b|[Pp]anic|PANIC|[Uu]ncaught|[Uu]nhandled|[Tt]raceback|[Bb]acktrace|[Ss]tack ?trace|[Cc]rash|[Tt]erminat";

impl Grammar {
    fn new() -> Self {
        let mut openings: [Vec<&'static [u8]>; 256] = std::array::from_fn(|_| Vec::new());
        for opening in TABLES.iter().flat_map(|table| table.openings) {
            let bytes = opening.as_bytes();
            if let Some(first) = bytes.first() {
                openings[usize::from(*first)].push(bytes);
            }
        }
        let transition = |rule| Transition {
            rule,
            regex: OnceLock::new(),
        };
        Self {
            transitions: TABLES
                .iter()
                .map(|table| table.rules.iter().map(transition).collect())
                .collect(),
            entries: OnceLock::new(),
            openings,
            named: OnceLock::new(),
        }
    }

    /// Whether a line might begin a trace or join the line before it. `alarm`: that line is a warning or worse.
    pub fn may_enter(&self, line: Sight<'_>, alarm: bool) -> bool {
        let Some(&first) = line.text.first() else {
            return alarm && !line.headed;
        };
        if first == b' ' || first == b'\t' || line.stamped {
            return true;
        }
        if self.openings[usize::from(first)].iter().any(|opening| {
            // Most fail here already, without a call.
            let second = opening.get(1);
            (second.is_none() || second == line.text.get(1)) && line.text.starts_with(opening)
        }) {
            return true;
        }
        if line.headed {
            return line.level.is_none() && class_and_method(line.text) || ends_as_head(line.text);
        }
        (alarm && line.level.is_none()) || first == b'#' || telling_word(line.text) || ends_as_head(line.text)
    }

    /// Tries to take a line in: joined to the line before it (its sight, if one is held), or as the first of a trace.
    /// The languages that it fits go to `courses`.
    pub fn enter(&self, held: Option<Sight<'_>>, line: Sight<'_>, courses: &mut Vec<Course>) -> Entry {
        courses.clear();
        let alarm = held.is_some_and(|held| held.level >= Some(Level::Warn));
        if !self.may_enter(line, alarm) {
            return Entry::Alone;
        }
        let (set, places) = self.entries.get_or_init(|| self.build_entries());
        let found = set.matches(look(line.text));
        let held = held.filter(|held| !held.text.is_empty() && held.text[0] != b'{');
        if let Some(held) = held {
            let named = OnceLock::new();
            let named = || *named.get_or_init(|| self.names(held.text));
            for (at, &(table, rule)) in places.iter().enumerate() {
                let (number, table) = (table, &TABLES[usize::from(table)]);
                let rule = &table.rules[usize::from(rule)];
                let announced = alarm && table.announced;
                let matched = if rule.pattern == TEXT {
                    announced && is_text(line, || self.begins_as(&found))
                } else {
                    found.matched(at)
                };
                if !matched || !allowed(table, rule, line, held.headed) || has_course(courses, number) {
                    continue;
                }
                let joins = rule.from.iter().any(|state| match state {
                    State::Line => true,
                    State::Named => named(),
                    State::Alarm => alarm,
                    State::Begin => announced && !line.headed,
                    _ => false,
                });
                if joins {
                    courses.push(Course::new(number, rule));
                }
            }
            if let Some(sure) = settle(courses, |course| course.votes > 0) {
                return Entry::Joins { sure };
            }
        }
        for (at, &(number, rule)) in places.iter().enumerate() {
            let table = &TABLES[usize::from(number)];
            let rule = &table.rules[usize::from(rule)];
            let begins = found.matched(at) && rule.from.contains(&State::Begin) && allowed(table, rule, line, true);
            if begins && !has_course(courses, number) {
                courses.push(Course::new(number, rule));
            }
        }
        settle(courses, |course| course.votes > 0).map_or(Entry::Alone, |sure| Entry::Begins { sure })
    }

    /// Goes on with a line: the languages that it does not fit are dropped. None left: it is not part of the trace, and
    /// `courses` is as it was. Otherwise whether the line is a sure one.
    pub fn step(&self, courses: &mut Vec<Course>, line: Sight<'_>, last_headed: bool) -> Option<bool> {
        let mut text = None;
        let mut next: [Option<(Course, bool)>; TABLES_MAX] = [None; TABLES_MAX];
        for (course, slot) in courses.iter().zip(&mut next) {
            let table = &TABLES[usize::from(course.table)];
            let transitions = &self.transitions[usize::from(course.table)];
            let fits = |transition: &&Transition| {
                let rule = transition.rule;
                rule.from.contains(&course.state)
                    && allowed(table, rule, line, last_headed)
                    && !(rule.trails && self.is_piece(line))
                    && match rule.pattern {
                        TEXT => *text.get_or_insert_with(|| is_text(line, || self.begins(line))),
                        BLANK => line.text.is_empty(),
                        _ => transition.matches(line.text),
                    }
            };
            *slot = transitions
                .iter()
                .find(fits)
                .map(|transition| (course.after(transition.rule), transition.rule.sure));
        }
        let sure = next.iter().flatten().any(|(_, sure)| *sure);
        if next.iter().all(Option::is_none) {
            return None;
        }
        courses.clear();
        // Where one language is sure of a line, those that would only hold it are out.
        courses.extend(
            next.iter()
                .flatten()
                .filter(|(_, own)| *own == sure)
                .map(|(course, _)| *course),
        );
        Some(sure)
    }

    /// Whether the lines that are only held are the rest of a message, if a line with a head follows.
    pub fn trails(courses: &[Course]) -> bool {
        courses.iter().any(|course| course.trails)
    }

    /// Whether a line could be a piece of any trace.
    fn is_piece(&self, line: Sight<'_>) -> bool {
        let (set, places) = self.entries.get_or_init(|| self.build_entries());
        let found = set.matches(look(line.text));
        places.iter().enumerate().any(|(at, &(table, rule))| {
            let pattern = TABLES[usize::from(table)].rules[usize::from(rule)].pattern;
            pattern != TEXT && pattern != BLANK && found.matched(at)
        })
    }

    /// The language that the courses agree on best.
    pub fn language(courses: &[Course]) -> Option<Language> {
        let best = courses
            .iter()
            .reduce(|best, course| if course.votes > best.votes { course } else { best })?;
        Some(TABLES[usize::from(best.table)].language)
    }

    /// Whether a line surely begins a trace, whatever stands before it.
    fn begins(&self, line: Sight<'_>) -> bool {
        if !self.may_enter(line, false) {
            return false;
        }
        let (set, _) = self.entries.get_or_init(|| self.build_entries());
        self.begins_as(&set.matches(look(line.text)))
    }

    /// The same of a line that has been looked at.
    fn begins_as(&self, found: &SetMatches) -> bool {
        let (_, places) = self.entries.get_or_init(|| self.build_entries());
        places.iter().enumerate().any(|(at, &(table, rule))| {
            let rule = &TABLES[usize::from(table)].rules[usize::from(rule)];
            rule.sure && rule.from.contains(&State::Begin) && found.matched(at)
        })
    }

    fn names(&self, text: &[u8]) -> bool {
        self.named.get_or_init(|| compile(NAMED)).is_match(look(text))
    }

    fn build_entries(&self) -> (RegexSet, Vec<(u8, u8)>) {
        let mut places = Vec::new();
        let mut patterns = Vec::new();
        for (table, entry) in TABLES.iter().enumerate() {
            for (rule, transition) in entry.rules.iter().enumerate() {
                if transition.from.iter().any(|state| OUTSIDE.contains(state)) {
                    let place = (u8::try_from(table), u8::try_from(rule));
                    let (Ok(table), Ok(rule)) = place else { continue };
                    places.push((table, rule));
                    patterns.push(transition.pattern);
                }
            }
        }
        let set = RegexSetBuilder::new(patterns)
            .unicode(false)
            .dfa_size_limit(STATES_BYTES)
            .build();
        (set.expect("a test compiles every pattern"), places)
    }
}

/// As many languages as can be followed at once: all tables.
const TABLES_MAX: usize = 16;

impl Course {
    fn new(table: u8, rule: &Rule) -> Self {
        // A vote for a sure rule tells it from a held one in `settle`; all courses that are left have it.
        Self {
            table,
            state: rule.to,
            votes: u16::from(rule.sure) + u16::from(rule.tells),
            trails: rule.trails,
        }
    }

    fn after(&self, rule: &Rule) -> Self {
        Self {
            table: self.table,
            state: rule.to,
            votes: self.votes.saturating_add(u16::from(rule.tells)),
            trails: rule.trails,
        }
    }
}

impl Transition {
    fn matches(&self, text: &[u8]) -> bool {
        self.regex
            .get_or_init(|| compile(self.rule.pattern))
            .is_match(look(text))
    }
}

/// Which rules may take a line: one with a header only where the lines before it have headers too, and by sure rules;
/// one with a kernel stamp only those of the kernel.
fn allowed(table: &Table, rule: &Rule, line: Sight<'_>, last_headed: bool) -> bool {
    if line.stamped && table.language != Language::Kernel {
        return false;
    }
    !line.headed || (last_headed && rule.sure && rule.pattern.len() > 1) || rule.pattern == CLASS_AND_METHOD
}

/// Whether a line may stand inside a message: without a header or level of its own, and no beginning.
fn is_text(line: Sight<'_>, begins: impl FnOnce() -> bool) -> bool {
    !line.text.is_empty() && !line.headed && line.level.is_none() && !begins()
}

fn has_course(courses: &[Course], table: u8) -> bool {
    courses.iter().any(|course| course.table == table)
}

/// Keeps the sure courses where there are any. None: there is no course at all.
fn settle(courses: &mut Vec<Course>, is_sure: impl Fn(&Course) -> bool) -> Option<bool> {
    if courses.is_empty() {
        return None;
    }
    let sure = courses.iter().any(&is_sure);
    courses.retain(|course| is_sure(course) == sure);
    Some(sure)
}

fn look(text: &[u8]) -> &[u8] {
    &text[..text.len().min(LOOK_BYTES)]
}

fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern)
        .unicode(false)
        .build()
        .expect("a test compiles every pattern")
}

/// Whether the first word of a line could be the name of an exception, or a place (`a.rb:1`, `f@http://a.js:1`, `a.b.c`).
fn telling_word(text: &[u8]) -> bool {
    let end = text
        .iter()
        .take(256)
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .unwrap_or(text.len().min(256));
    let word = &text[..end];
    if text[end..].starts_with(b" invoked oom-killer") {
        return true;
    }
    let alone = end == text.len();
    if word.iter().any(u8::is_ascii_control) {
        return false;
    }
    if memchr::memchr(b'@', word).is_some_and(|at| is_script(&word[at + 1..])) {
        return true;
    }
    if alone && memchr::memchr(b'.', word).is_some() {
        return true;
    }
    let colon = memchr::memchr(b':', word);
    if colon.is_some_and(|colon| colon > 2 && word.get(colon + 1).is_some_and(u8::is_ascii_digit)) {
        return true;
    }
    let name = word.strip_suffix(b":").unwrap_or(word);
    const ENDINGS: [&[u8]; 4] = [b"xception", b"Error", b"Throwable", b"Failure"];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// What stands behind the `@` of a frame of Firefox or Safari.
fn is_script(place: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 12] = [
        b"/",
        b"http",
        b"file:",
        b"resource:",
        b"chrome:",
        b"blob:",
        b"webpack",
        b"capacitor:",
        b"ionic:",
        b"moz-",
        b"safari-",
        b"app:",
    ];
    BEGINNINGS.iter().any(|beginning| place.starts_with(beginning)) || memchr::memmem::find(place, b"js").is_some()
}

/// `com.acme.Cart add`: what java.util.logging writes behind its stamp.
fn class_and_method(text: &[u8]) -> bool {
    let blank = text.iter().take(128).position(|byte| *byte == b' ');
    blank.is_some_and(|blank| {
        text[0].is_ascii_lowercase()
            && !text[blank + 1..].contains(&b' ')
            && memchr::memchr(b'.', &text[..blank]).is_some()
    })
}

/// Heads that are told by their end: of an assertion, of Rails, of Erlang.
fn ends_as_head(text: &[u8]) -> bool {
    match text.last() {
        Some(b'.') => text.ends_with(b"' failed."),
        Some(b':') => text.ends_with(b"):") || text.ends_with(b" with exit value:"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_every_table_has_room() {
        assert!(TABLES.len() <= TABLES_MAX);
        for table in TABLES {
            for rule in table.rules {
                assert!(
                    RegexBuilder::new(rule.pattern).unicode(false).build().is_ok(),
                    "{:?}: {}",
                    table.language,
                    rule.pattern
                );
            }
        }
    }
}
