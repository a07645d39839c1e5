//! The command `explain`: why somebody heard of something, or why not. Each stage has its word.
//!
//! A line is driven through the same core as in `run`, with the configuration's analyzers, and every opinion is told
//! ([`line`]); no service is needed for that. What the state knows (lives, messages, tries, silences) comes by the
//! command seam, from the service or from the state itself. Who would be told is asked of each alerter's filter.

mod line;
mod text;

use crate::alert::novelty::At;
use crate::alert::silence::Silence;
use crate::alert::{Alert, Kind, Status};
use crate::alerter::{self, Send};
use crate::cli::{ExplainOptions, Explained};
use crate::command::explain::{Command as Question, Known, Learnt, Reading};
use crate::command::{Command, silence};
use crate::config::Settings;
use crate::control;
use crate::state::history::{self, Event};
use anyhow::{Result, bail};
use line::LineSaid;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// All that there is to say.
#[derive(Debug, Default, Serialize)]
struct Answer {
    /// What the analyzers say of a line.
    line: Option<LineSaid>,
    /// How far its file is read; absent: nobody has read it.
    reading: Option<Reading>,
    known: Known,
    /// What novelty says of a line.
    novelty: Option<NoveltySaid>,
    /// Which alerters hear of it.
    routing: Vec<Routed>,
}

#[derive(Debug, Serialize)]
struct Routed {
    alerter: String,
    /// Each record as it comes, or messages about groups.
    each: bool,
    /// Why it does not hear of it; none: it does.
    not_told: Option<String>,
    /// Why it would not hear of it at once.
    held: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct NoveltySaid {
    /// `learning`, `learned`, `shadow`, `off`.
    phase: &'static str,
    #[serde(flatten)]
    learnt: Learnt,
}

/// Writes what is known.
///
/// # Errors
/// Nothing is known of what was asked for, the file cannot be read, or the state does not answer.
pub fn run(settings: &Settings, options: &ExplainOptions, out: &mut dyn Write) -> Result<()> {
    let mut answer = Answer::default();
    match &options.what {
        Explained::Alert(id) => {
            answer.known = ask(settings, Question::Alert(id.clone()))?;
            must_be_known(&answer.known, "alert", id)?;
        }
        Explained::Fingerprint(fingerprint) => {
            answer.known = ask(settings, Question::Fingerprint(fingerprint.clone()))?;
            must_be_known(&answer.known, "alert with the fingerprint", fingerprint)?;
        }
        Explained::Line { path, number } => {
            let path = std::path::absolute(path)?;
            let reading = |path: &Path| ask::<Option<Reading>>(settings, Question::File(path.to_path_buf()));
            answer.reading = if has_state(settings) { reading(&path)? } else { None };
            let file_id = answer.reading.as_ref().and_then(|reading| reading.file_id.clone());
            answer.line = Some(line::of_file(settings, &path, *number, file_id)?);
        }
        Explained::Text { text, source } => answer.line = Some(line::of_text(settings, text, source.as_deref())?),
    }
    if let Some(line) = &answer.line
        && has_state(settings)
    {
        answer.known = of_line(settings, &line.alert)?;
        answer.novelty = novelty_of(settings, line)?;
    }
    let alert = match (&answer.line, &answer.known.alert) {
        (Some(line), _) => line.is_exceptional().then_some(&*line.alert),
        (None, alert) => alert.as_ref(),
    };
    answer.routing = alert.map_or_else(Vec::new, |alert| route(settings, alert));
    if options.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&answer)?)?);
    }
    text::write(&answer, &settings.alert.zone, out)
}

fn ask<T: serde::de::DeserializeOwned>(settings: &Settings, question: Question) -> Result<T> {
    Ok(serde_json::from_value(perform(settings, Command::Explain(question))?)?)
}

fn perform(settings: &Settings, command: Command) -> Result<serde_json::Value> {
    let alerters = settings.alerters.iter().map(|alerter| alerter.name.clone()).collect();
    control::perform(&settings.state_dir, &command, alerters)
}

/// The life that a record belongs to, and, where each record is sent, what became of it.
fn of_line(settings: &Settings, alert: &Alert) -> Result<Known> {
    let mut known: Known = ask(settings, Question::Fingerprint(alert.fingerprint.clone()))?;
    let own: Known = ask(settings, Question::Alert(alert.id.clone()))?;
    let is_new = |event: &Event| !known.events.contains(event);
    let more: Vec<Event> = own.events.into_iter().filter(is_new).collect();
    known.events.extend(more);
    known.events.sort_by_key(|event| event.at);
    let silences = perform(settings, Command::Silence(silence::Command::List))?;
    let silences: Vec<Silence> = serde_json::from_value(silences["silences"].clone())?;
    known.silence = silences.into_iter().find(|silence| silence.matcher.fits(alert));
    Ok(known)
}

/// None: no source reads the line.
fn novelty_of(settings: &Settings, line: &LineSaid) -> Result<Option<NoveltySaid>> {
    let Some(source) = line.source.clone() else {
        return Ok(None);
    };
    let mask = line.mask.clone();
    let learnt: Learnt = ask(settings, Question::Template { source, mask })?;
    let novelty = &settings.alert.novelty;
    let at = At {
        arrived_ms: jiff::Timestamp::now().as_millisecond(),
        stamp_ms: None,
    };
    let phase = match novelty.enabled {
        true => learnt.learner.clone().phase(at, novelty).as_str(),
        false => "off",
    };
    Ok(Some(NoveltySaid { phase, learnt }))
}

fn has_state(settings: &Settings) -> bool {
    settings.state_dir.join("state.db").exists()
}

fn must_be_known(known: &Known, what: &str, name: &str) -> Result<()> {
    if known.alert.is_none() && known.groups.is_empty() && known.events.is_empty() && known.deliveries.is_empty() {
        bail!(
            "nothing is known of an {what} {name}: it never was on this host, or it is longer ago than the history reaches ({} days, {} steps)",
            history::DAYS_MAX,
            history::ROWS_MAX
        );
    }
    Ok(())
}

fn route(settings: &Settings, alert: &Alert) -> Vec<Routed> {
    if alert.kind == Kind::Digest && alert.source.is_none() {
        // It was made for one alerter.
        return Vec::new();
    }
    let (zone, now) = (&settings.alert.zone, jiff::Timestamp::now());
    let is_quiet = settings
        .alert
        .quiet
        .iter()
        .any(|quiet| quiet.holds(alert.severity, now, zone));
    let may_be_held = match alert.kind {
        Kind::Exception | Kind::Record | Kind::Absence | Kind::Loss => is_quiet,
        Kind::Digest | Kind::Agent | Kind::Test => false,
    };
    let not_told = |alerter: &alerter::Settings| {
        let resolved = (alert.status == Status::Resolved && !alerter.send_resolved)
            .then(|| "it is resolved, and send_resolved is false".to_owned());
        alerter.filter.refusal(alerter.min_severity, alert).or(resolved)
    };
    let routed = |alerter: &alerter::Settings| Routed {
        alerter: alerter.name.to_string(),
        each: alerter.send == Send::Each,
        not_told: not_told(alerter),
        held: (may_be_held && alerter.send == Send::Grouped)
            .then_some("a maintenance window is on: it is told at its end, in one digest"),
    };
    settings.alerters.iter().map(routed).collect()
}
