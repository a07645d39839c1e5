//! What is known, for people: one stage a line, its word behind it.

use super::{Answer, LineSaid, NoveltySaid, Routed};
use crate::alert::render::{self, cut, one_line};
use crate::alert::tidings::Held;
use crate::alert::{Kind, SourcePlace};
use crate::analyzer::why::{RuleSaid, Said};
use crate::command::explain::{Known, Life, Reading};
use crate::scan::terminal::counted;
use anyhow::Result;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::Write;

/// Characters of one value.
const VALUE_MAX: usize = 200;

pub(super) fn write(answer: &Answer, zone: &TimeZone, out: &mut dyn Write) -> Result<()> {
    let mut page = Page { zone, out };
    match &answer.line {
        Some(line) => {
            page.line(line, answer.reading.as_ref())?;
            page.novelty(answer.novelty.as_ref())?;
        }
        None => page.alert(&answer.known)?,
    }
    page.routing(answer)?;
    page.known(&answer.known)
}

struct Page<'p> {
    zone: &'p TimeZone,
    out: &'p mut dyn Write,
}

impl Page<'_> {
    fn say(&mut self, stage: &str, word: &str) -> Result<()> {
        let word = cut(&one_line(word), VALUE_MAX);
        writeln!(self.out, "{stage:<12} {word}")?;
        Ok(())
    }

    fn time(&self, at: Timestamp) -> String {
        render::time(at, self.zone)
    }

    fn line(&mut self, line: &LineSaid, reading: Option<&Reading>) -> Result<()> {
        let alert = &line.alert;
        self.say("record", alert.text.as_deref().unwrap_or(""))?;
        match (&line.source, &line.excluded) {
            (Some(source), _) => self.say("source", source)?,
            (None, Some(why)) => self.say("source", &format!("none: {why}"))?,
            (None, None) => self.say("source", "none reads this file: see `paths` of the sources")?,
        }
        if let Some(place) = alert.source.as_ref().filter(|place| !place.path.is_empty()) {
            self.say("place", &where_it_stands(place))?;
            self.say("read", &self.how_far(reading, place))?;
        }
        let what = match (alert.kind, &alert.language) {
            (Kind::Exception, Some(language)) => format!("a stack trace ({language})"),
            (Kind::Exception, None) => "a stack trace".to_owned(),
            (Kind::Record | Kind::Absence | Kind::Loss | Kind::Digest | Kind::Agent | Kind::Test, _) => {
                "a record".to_owned()
            }
        };
        let cut_short = if alert.truncated { ", cut at max_record" } else { "" };
        self.say("format", &format!("{}, read as {what}{cut_short}", line.format))?;
        match alert.timestamp {
            Some(at) => self.say("timestamp", &self.time(at))?,
            None => self.say("timestamp", "none found")?,
        }
        self.judgement(line)?;
        self.say("fingerprint", &alert.fingerprint)?;
        self.say("template", alert.template.as_deref().unwrap_or(""))
    }

    fn how_far(&self, reading: Option<&Reading>, place: &SourcePlace) -> String {
        let Some(reading) = reading else {
            return "not by a service on this state: the file is not known there".to_owned();
        };
        let at = self.time(reading.updated);
        if place.end_offset <= reading.committed_to {
            format!("yes: the file is read up to byte {} (at {at})", reading.committed_to)
        } else {
            format!(
                "not yet: the file is read up to byte {} (at {at})",
                reading.committed_to
            )
        }
    }

    fn judgement(&mut self, line: &LineSaid) -> Result<()> {
        let why = &line.why;
        let level = why.level.map_or_else(|| "none".to_owned(), |level| level.to_string());
        let word = match (why.level, why.alert_at) {
            (_, None) => format!("{level}; levels are off here (alert_at: off)"),
            (Some(own), Some(from)) if own >= from => format!("{level}: exceptional from {from} on"),
            (_, Some(from)) => format!("{level}: exceptional only from {from} on"),
        };
        self.say("level", &word)?;
        for rule in &why.rules {
            self.say("rule", &format!("{}: {}", rule.name, word_of(rule)))?;
        }
        for pattern in &why.ignored_by {
            self.say("ignore", &format!("`{pattern}` matches: it is no finding"))?;
        }
        match why.severity.filter(|_| line.is_exceptional()) {
            Some(severity) => self.say("verdict", &format!("exceptional, severity {severity}")),
            None => self.say("verdict", "not exceptional: nobody is told"),
        }
    }

    fn novelty(&mut self, said: Option<&NoveltySaid>) -> Result<()> {
        let Some(NoveltySaid { phase, learnt }) = said else {
            return Ok(());
        };
        let known = learnt.template.as_ref().map(|template| {
            let since = Timestamp::from_millisecond(template.first_seen_ms).unwrap_or_default();
            let times = counted(template.count, "record", "records");
            format!("this kind of message is known: {times} since {}", self.time(since))
        });
        let word = match (*phase, known) {
            ("off", _) => "off here (novelty: {enabled: false})".to_owned(),
            ("shadow", known) => {
                let known = known.unwrap_or_else(|| "this kind of message is not known".to_owned());
                format!("{known}; the source says too many kinds, and nothing in it is news")
            }
            (_, Some(known)) => format!("{known}; it is no news"),
            ("learned", None) => "never said before: it is news".to_owned(),
            (_, None) => "never said before; the source still learns, and nothing in it is news yet".to_owned(),
        };
        self.say("novelty", &word)?;
        match learnt.word {
            Some(true) => self.say("person", "somebody said that it is abnormal: each such record is told"),
            Some(false) => self.say(
                "person",
                "somebody said that it is normal: novelty and the model are silent",
            ),
            None => Ok(()),
        }
    }

    fn alert(&mut self, known: &Known) -> Result<()> {
        let Some(alert) = &known.alert else {
            return self.say("alert", "its text is no longer kept");
        };
        self.say("alert", &alert.title)?;
        self.say("text", alert.text.as_deref().unwrap_or(""))?;
        if let Some(place) = &alert.source {
            self.say("source", &place.name)?;
            self.say("place", &where_it_stands(place))?;
        }
        let found_by = alert.detectors.iter().map(|finding| match &finding.name {
            Some(name) => format!("{:?} {name}", finding.analyzer).to_lowercase(),
            None => format!("{:?}", finding.analyzer).to_lowercase(),
        });
        let found_by: Vec<String> = found_by.collect();
        self.say("severity", &format!("{} by {}", alert.severity, found_by.join(", ")))?;
        self.say("fingerprint", &alert.fingerprint)?;
        self.say("template", alert.template.as_deref().unwrap_or(""))
    }

    fn routing(&mut self, answer: &Answer) -> Result<()> {
        if let Some(silence) = &answer.known.silence {
            let until = silence
                .until
                .map_or_else(|| "for ever".to_owned(), |until| format!("until {}", self.time(until)));
            let word = format!("{} ({}) {until}: counted, nobody is told", silence.id, silence.matcher);
            self.say("silenced", &word)?;
        }
        for Routed {
            alerter,
            each,
            not_told,
            held,
        } in &answer.routing
        {
            let word = match (not_told, held, each) {
                (Some(why), _, _) => format!("not told: {why}"),
                (None, Some(why), _) => format!("not now: {why}"),
                (None, None, true) => "told of each record".to_owned(),
                (None, None, false) => "told of the group: when it begins, goes on, is over".to_owned(),
            };
            self.say("alerter", &format!("{alerter}: {word}"))?;
        }
        Ok(())
    }

    fn known(&mut self, known: &Known) -> Result<()> {
        for life in &known.groups {
            self.life(life)?;
        }
        if !known.told_of.is_empty() {
            let ids: Vec<&str> = known.told_of.iter().map(String::as_str).collect();
            let count = counted(ids.len() as u64, "message", "messages");
            self.say("digest", &format!("stands for {count}: {}", ids.join(", ")))?;
        }
        if !known.events.is_empty() {
            writeln!(self.out, "\nwhat happened:")?;
        }
        for event in &known.events {
            let mut word = event.what.clone();
            if let Some(alerter) = &event.alerter {
                word = format!("{alerter}: {word}");
            }
            if let Some(detail) = &event.detail {
                word = format!("{word}: {detail}");
            }
            let at = self.time(event.at);
            writeln!(
                self.out,
                "  {at}  {}  {}",
                event.alert_id,
                cut(&one_line(&word), VALUE_MAX)
            )?;
        }
        if !known.deliveries.is_empty() {
            writeln!(self.out, "\nnot delivered:")?;
        }
        for waiting in &known.deliveries {
            let error = waiting.error.as_deref().unwrap_or("no error");
            let at = self.time(waiting.created);
            let (alerter, state) = (&waiting.alerter, &waiting.state);
            let word = match state.as_str() {
                "held" => format!("{alerter}: held back since then, for one digest: {}", why_held(error)),
                _ => {
                    let tries = counted(u64::from(waiting.tries), "try", "tries");
                    format!("{alerter}: {state} since then, {tries}, {error}")
                }
            };
            writeln!(
                self.out,
                "  {at}  {}  {}",
                waiting.alert_id,
                cut(&one_line(&word), VALUE_MAX)
            )?;
        }
        Ok(())
    }

    fn life(&mut self, life: &Life) -> Result<()> {
        let group = &life.group;
        let state = if group.firing { "firing" } else { "resolved" };
        let word = format!(
            "{state} in {}, {}, first {}, last {}",
            life.source,
            counted(group.count, "record", "records"),
            self.time(group.first_seen),
            self.time(group.last_seen)
        );
        self.say("group", &word)?;
        if group.unsaid > 0 {
            self.say("", &format!("{} of them since the last message", group.unsaid))?;
        }
        if group.withheld.is_some() {
            self.say("", "a silence withheld its last message")?;
        }
        Ok(())
    }
}

/// The reason that stands in the place of an error.
fn why_held(reason: &str) -> &str {
    match Held::ALL.into_iter().find(|held| held.as_str() == reason) {
        Some(Held::Rate) => "max_per_minute or max_per_hour is reached",
        Some(Held::Outage) => "the receiver cannot be reached (catch_up: digest)",
        Some(Held::Quiet) => "a maintenance window",
        None => reason,
    }
}

fn where_it_stands(place: &SourcePlace) -> String {
    let lines = match (place.first_line, place.last_line) {
        (Some(first), Some(last)) if first == last => format!("line {first}, "),
        (Some(first), Some(last)) => format!("lines {first} to {last}, "),
        (Some(_), None) | (None, _) => String::new(),
    };
    format!("{}, {lines}bytes {} to {}", place.path, place.offset, place.end_offset)
}

fn word_of(rule: &RuleSaid) -> String {
    match &rule.said {
        Said::Matches => format!("matches: {}", rule.severity),
        Said::Counts { at_least, within_ms } => {
            let within = std::time::Duration::from_millis(*within_ms);
            format!(
                "matches and is counted: {} from {at_least} within {within:?} on",
                rule.severity
            )
        }
        Said::Seen => "matches: it was seen, which is well".to_owned(),
        Said::NoMatch => "does not match".to_owned(),
        Said::FieldDiffers {
            field,
            value: Some(value),
        } => {
            format!("its text matches, but not its field `{field}`, which is {value}")
        }
        Said::FieldDiffers { field, value: None } => format!("its text matches, but it has no field `{field}`"),
        Said::OtherSource => "is for other sources".to_owned(),
    }
}
