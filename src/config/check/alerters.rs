//! `alerters`: filters, outbox, and each kind but webhooks and e-mail, which have files of their own.

use super::{OUTBOX_DEFAULT_BYTES, known_names, list, name, words};
use super::{emails, kafkas, webhooks};
use crate::alert::render::Wording;
use crate::alerter::{CatchUp, Filter, Kind, Limits, Send, Settings, TextFormat, WhenFull};
use crate::analyzer::Rule;
use crate::config::alerter_file as file;
use crate::config::key::Key;
use crate::config::place::Inputs;
use crate::config::tree::NodeId;
use crate::record::Level;

/// One alert of the largest record must fit.
const OUTBOX_MIN_BYTES: u64 = 1024 * 1024;
/// What a person can read.
const PER_MINUTE_USUAL: u32 = 10;
const PER_HOUR_USUAL: u32 = 60;
/// The times of so many messages are kept.
const PER_HOUR_MAX: u32 = 10_000;

/// What alerters may name, and what all of them share.
pub struct Known<'k> {
    pub sources: &'k [String],
    pub rules: &'k [Rule],
    pub wording: &'k Wording,
}

pub fn alerters(key: Key<Vec<Key<file::Alerter>>>, known: &Known<'_>, inputs: &mut Inputs) -> Vec<Settings> {
    let mut taken = Vec::new();
    let mut alerters = Vec::new();
    for item in key.section() {
        let at = item.at();
        if item.get().is_some() {
            alerters.extend(alerter(at, item.section(), &mut taken, known, inputs));
        }
    }
    alerters
}

fn alerter(
    at: Option<NodeId>,
    file: file::Alerter,
    taken: &mut Vec<String>,
    known: &Known<'_>,
    inputs: &mut Inputs,
) -> Option<Settings> {
    let name = name(at, &file.name, "alerter", taken, inputs);
    let rule_names: Vec<String> = known.rules.iter().map(|rule| rule.name.to_string()).collect();
    let filter = Filter {
        sources: known_names(&file.sources, "source", known.sources, inputs),
        rules: known_names(&file.rules, "rule", &rule_names, inputs),
        labels: words(&file.labels),
        detectors: list(&file.detectors),
    };
    let send = match file.send.or(file::Send::Grouped) {
        file::Send::Grouped => Send::Grouped,
        file::Send::Each => Send::Each,
    };
    let min_severity = file.min_severity.get().copied();
    let send_resolved = file.send_resolved.or(true);
    let is_local = file.console.is_given() || file.file.is_given();
    let (outbox_max_bytes, when_full) = outbox(file.outbox.section(), send, is_local, inputs);
    one_kind(
        at,
        [
            ("console", file.console.at()),
            ("file", file.file.at()),
            ("webhook", file.webhook.at()),
            ("email", file.email.at()),
            ("kafka", file.kafka.at()),
        ],
        inputs,
    );
    let webhook = webhooks::webhook(file.webhook, inputs);
    let output_file = output_file(file.file, inputs);
    let console = file.console.get().map(console);
    let email = emails::email(file.email, inputs);
    let email = email.map(|settings| (Kind::Email(Box::new(settings)), Level::Error));
    let kafka = kafkas::kafka(file.kafka, inputs).map(|settings| (Kind::Kafka(Box::new(settings)), Level::Warn));
    let webhook = webhook.map(|(settings, usual)| (Kind::Webhook(Box::new(settings)), usual));
    let local = console.or(output_file).map(|kind| (kind, Level::Warn));
    // An alerter with two kinds was reported: whichever is taken is thrown away.
    let (kind, usual_severity) = local.or(webhook).or(email).or(kafka)?;
    // Chats and e-mail are read by people: they are told of errors, and not of each of a hundred.
    let is_read = usual_severity == Level::Error && send == Send::Grouped;
    let limits = limits(&file.max_per_minute, &file.max_per_hour, is_read, send, inputs);
    Some(Settings {
        name: name.into(),
        min_severity: min_severity.unwrap_or(usual_severity),
        send,
        send_resolved,
        filter,
        limits,
        catch_up: catch_up(&file.catch_up, is_read),
        outbox_max_bytes,
        when_full,
        wording: known.wording.clone(),
        kind,
    })
}

/// Nought is no limit.
fn limits(minute: &Key<u32>, hour: &Key<u32>, is_read: bool, send: Send, inputs: &mut Inputs) -> Limits {
    for (key, given) in [("max_per_minute", minute.at()), ("max_per_hour", hour.at())] {
        if let (Send::Each, Some(at)) = (send, given) {
            let what = format!("`{key}` is only possible with `send: grouped`");
            inputs.fault(at, what, "remove it, or `send: each`");
        }
    }
    let limit = |key: &Key<u32>, usual, inputs: &mut Inputs| {
        let max = super::at_most(key, if is_read { usual } else { 0 }, 0, PER_HOUR_MAX, inputs);
        (max > 0).then_some(max)
    };
    Limits {
        per_minute: limit(minute, PER_MINUTE_USUAL, inputs),
        per_hour: limit(hour, PER_HOUR_USUAL, inputs),
    }
}

fn catch_up(key: &Key<file::CatchUp>, is_read: bool) -> CatchUp {
    let usual = if is_read {
        file::CatchUp::Digest
    } else {
        file::CatchUp::All
    };
    match key.or(usual) {
        file::CatchUp::Digest => CatchUp::Digest,
        file::CatchUp::All => CatchUp::All,
    }
}

/// Reports an alerter with no kind, or with several.
fn one_kind(at: Option<NodeId>, kinds: [(&str, Option<NodeId>); 5], inputs: &mut Inputs) {
    let given: Vec<(&str, NodeId)> = kinds.iter().filter_map(|(kind, at)| at.map(|at| (*kind, at))).collect();
    match (given.as_slice(), at) {
        ([], Some(at)) => {
            inputs.fault(
                at,
                "this alerter has no kind",
                "add one of console, file, webhook, email, kafka",
            );
        }
        ([] | [_], _) => {}
        ([(first, _), more @ ..], _) => {
            for (kind, at) in more {
                let what = format!("this alerter is a `{first}` already");
                inputs.fault(*at, what, format!("make an alerter of its own for `{kind}`"));
            }
        }
    }
}

/// Where each record is written to this host's own disk or output, losing records to go on reading would help nobody:
/// there the reading waits by default.
fn outbox(file: file::Outbox, send: Send, is_local: bool, inputs: &mut Inputs) -> (u64, WhenFull) {
    let max_bytes = file.max_size.get().map_or(OUTBOX_DEFAULT_BYTES, |size| size.0);
    if let (true, Some(at)) = (max_bytes < OUTBOX_MIN_BYTES, file.max_size.at()) {
        inputs.fault(at, "is less than 1MiB", "a single alert can be that large");
    }
    let usual = match (is_local, send) {
        (true, Send::Each) => file::WhenFull::Block,
        (true, Send::Grouped) | (false, _) => file::WhenFull::Compact,
    };
    let when_full = match file.when_full.or(usual) {
        file::WhenFull::Compact => WhenFull::Compact,
        file::WhenFull::DropOldest => WhenFull::DropOldest,
        file::WhenFull::Block => WhenFull::Block,
    };
    if let (WhenFull::Block, Send::Grouped, Some(at)) = (when_full, send, file.when_full.at()) {
        inputs.fault(
            at,
            "`block` is only possible with `send: each`",
            "grouped alerts are compacted instead",
        );
    }
    (max_bytes, when_full)
}

fn console(file: &file::Console) -> Kind {
    let format = match file.format.or(file::ConsoleFormat::Text) {
        file::ConsoleFormat::Text => TextFormat::Text,
        file::ConsoleFormat::Json => TextFormat::Json,
    };
    Kind::Console { format }
}

fn output_file(key: Key<file::File>, inputs: &mut Inputs) -> Option<Kind> {
    let section_at = key.at();
    key.get()?;
    let file = key.section();
    let format = match file.format.or(file::FileFormat::Json) {
        file::FileFormat::Json => TextFormat::Json,
        file::FileFormat::Text => TextFormat::Text,
        file::FileFormat::Raw => TextFormat::Raw,
    };
    let Some((at, path)) = file.path.placed() else {
        if let (Some(at), false) = (section_at, file.path.is_given()) {
            inputs.fault(at, "`path` is missing", "add `path: /var/log/…`");
        }
        return None;
    };
    if path.is_empty() {
        inputs.fault(at, "is empty", "name a file: `path: /var/log/elc-alerts.jsonl`");
    }
    let parent = std::path::Path::new(path).parent().unwrap_or(std::path::Path::new(""));
    if !parent.as_os_str().is_empty() && !parent.is_dir() {
        inputs.fault(
            at,
            format!("there is no directory {}", parent.display()),
            "make it, and let this service write there",
        );
    } else if std::path::Path::new(path).is_dir() {
        inputs.fault(at, "this is a directory", "name a file in it");
    }
    Some(Kind::File {
        path: path.into(),
        format,
    })
}
