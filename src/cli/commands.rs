//! Commands of people as they are typed: `outbox`, `silence` … What they mean is [`crate::command::Command`].

use crate::alert::silence::{Matcher, Wanted};
use crate::command::{self, outbox, silence, verdict};
use crate::record::Level;
use clap::Subcommand;
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// What is asked of the service, or of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub command: command::Command,
    /// The answer as one JSON object.
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct TypedOutbox {
    #[command(subcommand)]
    action: OutboxAction,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Only what is meant for this alerter
    #[arg(long, value_name = "NAME", global = true)]
    alerter: Option<String>,
}

#[derive(Debug, Subcommand)]
enum OutboxAction {
    /// List what waits (queued, parked) and what was given up (dead)
    List,
    /// Try deliveries again, now: those that wait, and those that are dead
    Retry(TypedDeliveries),
    /// Take deliveries out: nobody will get them
    Drop(TypedDeliveries),
}

#[derive(Debug, clap::Args)]
struct TypedDeliveries {
    /// Ids of alerts, as `outbox list` shows them
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// All deliveries, of all alerters or of the one named
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

impl From<TypedOutbox> for Asked {
    fn from(typed: TypedOutbox) -> Self {
        let TypedOutbox { action, json, alerter } = typed;
        let chosen = |deliveries: TypedDeliveries| outbox::Chosen {
            ids: deliveries.ids,
            alerter: alerter.clone(),
        };
        let command = match action {
            OutboxAction::List => outbox::Command::List { alerter },
            OutboxAction::Retry(deliveries) => outbox::Command::Retry(chosen(deliveries)),
            OutboxAction::Drop(deliveries) => outbox::Command::Drop(chosen(deliveries)),
        };
        Asked {
            command: command::Command::Outbox(command),
            json,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct TypedSilence {
    #[command(subcommand)]
    action: SilenceAction,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum SilenceAction {
    /// Tell nobody of what fits; it is found and counted all the same
    Add(TypedSilenceAdd),
    /// List the silences, with what each kept from being told
    List,
    /// End silences: what still fires is told
    Remove {
        /// Ids, as `silence list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct TypedSilenceAdd {
    /// Alerts with this fingerprint; it is in every alert
    #[arg(value_name = "FINGERPRINT", value_parser = parse_fingerprint,
          required_unless_present_any = ["rule", "source", "label", "severity"])]
    fingerprint: Option<String>,
    /// Alerts that this rule found
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Alerts from this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Alerts with this label; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
    /// Alerts up to this severity; what is worse is told
    #[arg(long, value_name = "LEVEL", value_parser = super::level(), ignore_case = true)]
    severity: Option<Level>,
    /// For how long: 30m, 7d, forever
    #[arg(long = "for", value_name = "TIME", value_parser = parse_lasting)]
    lasting: Lasting,
    /// Why, for whoever reads the list
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasting {
    For(Duration),
    Forever,
}

impl TypedSilence {
    pub(super) fn asked(self, now: Timestamp) -> Asked {
        let command = match self.action {
            SilenceAction::Add(add) => silence::Command::Add(add.wanted(now)),
            SilenceAction::List => silence::Command::List,
            SilenceAction::Remove { ids } => silence::Command::Remove(ids),
        };
        Asked {
            command: command::Command::Silence(command),
            json: self.json,
        }
    }
}

impl TypedSilenceAdd {
    fn wanted(self, now: Timestamp) -> Wanted {
        Wanted {
            matcher: Matcher {
                fingerprint: self.fingerprint,
                rule: self.rule,
                source: self.source,
                labels: self.label.into_iter().collect(),
                severity: self.severity,
            },
            until: match self.lasting {
                // Spans are bounded: no time that can be typed is beyond the end of time.
                Lasting::For(span) => Some(now.checked_add(span).unwrap_or(Timestamp::MAX)),
                Lasting::Forever => None,
            },
            comment: self.comment,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct TypedVerdict {
    #[command(subcommand)]
    action: VerdictAction,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum VerdictAction {
    /// It is normal: novelty and the model are silent about it; levels and rules still speak
    Normal(TypedSubjects),
    /// It is abnormal: each record like it is alerted
    Abnormal(TypedSubjects),
    /// Take back what was said
    Forget(TypedSubjects),
    /// List what people have said
    List,
    /// Write what people have said to a file, for other hosts
    Export {
        /// `-` is standard output
        file: PathBuf,
    },
    /// Take over what was said on another host
    Import {
        /// `-` is standard input
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct TypedSubjects {
    /// Fingerprints or ids of alerts; also hashes, as `verdict list` shows them
    #[arg(value_name = "FINGERPRINT|ALERT_ID", required = true)]
    subjects: Vec<String>,
}

impl From<TypedVerdict> for Asked {
    fn from(typed: TypedVerdict) -> Self {
        let say = |typed: TypedSubjects, abnormal| verdict::Command::Say {
            subjects: typed.subjects,
            abnormal,
        };
        let command = match typed.action {
            VerdictAction::Normal(subjects) => say(subjects, false),
            VerdictAction::Abnormal(subjects) => say(subjects, true),
            VerdictAction::Forget(TypedSubjects { subjects }) => verdict::Command::Forget(subjects),
            VerdictAction::List => verdict::Command::List,
            VerdictAction::Export { file } => verdict::Command::Export(file),
            VerdictAction::Import { file } => verdict::Command::Import {
                file,
                words: Vec::new(),
            },
        };
        Asked {
            command: command::Command::Verdict(command),
            json: typed.json,
        }
    }
}

fn parse_fingerprint(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    match text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text),
        false => Err("a fingerprint is 16 hexadecimal digits: `fingerprint` in every alert".to_owned()),
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("write KEY=VALUE".to_owned()),
    }
}

fn parse_lasting(text: &str) -> Result<Lasting, String> {
    match text {
        "forever" => Ok(Lasting::Forever),
        text => match super::parse_span(text) {
            Ok(Duration::ZERO) => Err("must be longer than nothing".to_owned()),
            Ok(span) => Ok(Lasting::For(span)),
            Err(error) => Err(format!("{error}; or forever")),
        },
    }
}

/// What to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainOptions {
    pub what: Explained,
    /// One JSON object.
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explained {
    Alert(String),
    Fingerprint(String),
    Line { path: PathBuf, number: u64 },
    Text { text: String, source: Option<String> },
}

#[derive(Debug, clap::Args)]
pub(super) struct TypedExplain {
    /// Id of an alert, a fingerprint, or a line of a log as FILE:LINE
    #[arg(value_name = "ALERT_ID|FINGERPRINT|FILE:LINE", value_parser = parse_explained,
          required_unless_present = "line", conflicts_with = "line")]
    what: Option<Explained>,
    /// A line as it would stand in a log; a stack trace has several
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    line: Option<String>,
    /// Of which source; not needed where there is only one
    #[arg(long, value_name = "NAME", requires = "line")]
    source: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl From<TypedExplain> for ExplainOptions {
    fn from(typed: TypedExplain) -> Self {
        let text = Explained::Text {
            text: typed.line.unwrap_or_default(),
            source: typed.source,
        };
        Self {
            what: typed.what.unwrap_or(text),
            json: typed.json,
        }
    }
}

fn parse_explained(text: &str) -> Result<Explained, String> {
    if let Ok(fingerprint) = parse_fingerprint(text) {
        return Ok(Explained::Fingerprint(fingerprint));
    }
    if let Some((path, number)) = text.rsplit_once(':')
        && let Some(number) = number.parse().ok().filter(|number| *number > 0)
        && !path.is_empty()
    {
        let path = path.into();
        return Ok(Explained::Line { path, number });
    }
    if text.len() == 20 && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')) {
        return Ok(Explained::Alert(text.to_owned()));
    }
    Err(
        "this is no id of an alert (20 letters and digits), no fingerprint (16 hexadecimal digits), and no FILE:LINE"
            .to_owned(),
    )
}
