//! One line for Nagios, Icinga, Checkmk: a word, what is wrong, performance data; and the exit status that they go by.
//!
//! Form: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Performance data". What is refused or
//! cannot be asked is UNKNOWN: it says nothing about the service. No service is CRITICAL: nobody watches the logs.

use crate::alert::render::one_line;
use crate::keeper::Status;
use std::io::Write;

/// Seconds after which an undelivered alert is critical: shown as the threshold of `oldest`.
const OLDEST_CRITICAL: &str = ";;300;0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

/// Writes the line; returns the exit status.
pub fn write(answer: &anyhow::Result<Option<Status>>, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (state, words, data) = match answer {
        Err(error) => (State::Unknown, format!("{error:#}"), String::new()),
        Ok(None) => (
            State::Critical,
            "no service runs: nobody watches the logs".to_owned(),
            String::new(),
        ),
        Ok(Some(status)) => (state(status), words(status), performance(status)),
    };
    let word = match state {
        State::Ok => "OK",
        State::Warning => "WARNING",
        State::Critical => "CRITICAL",
        State::Unknown => "UNKNOWN",
    };
    // The first `|` begins the performance data.
    let words = one_line(&words).replace('|', "/");
    writeln!(out, "ELC {word} - {words}{data}")?;
    Ok(state as u8)
}

fn state(status: &Status) -> State {
    match (status.reasons.is_empty(), status.critical) {
        (true, _) => State::Ok,
        (false, false) => State::Warning,
        (false, true) => State::Critical,
    }
}

fn words(status: &Status) -> String {
    if status.reasons.is_empty() {
        return format!(
            "{} alerts fire, {} wait for delivery, {} sources",
            status.alerts.firing,
            undelivered(status),
            status.sources.len()
        );
    }
    status.reasons.join("; ")
}

fn undelivered(status: &Status) -> u64 {
    let alerters = status.alerters.iter();
    alerters
        .map(|alerter| alerter.queued + alerter.parked + alerter.held)
        .sum()
}

fn performance(status: &Status) -> String {
    let behind: u64 = status.sources.iter().map(|source| source.lag_bytes).sum();
    let lost: u64 = status
        .sources
        .iter()
        .flat_map(|source| source.lost_bytes.values())
        .sum();
    let read: u64 = status.sources.iter().map(|source| source.read_bytes).sum();
    let records: u64 = status.sources.iter().map(|source| source.records).sum();
    let exceptional: u64 = status.sources.iter().map(|source| source.exceptional).sum();
    let dead: u64 = status.alerters.iter().map(|alerter| alerter.dead).sum();
    let oldest = status
        .alerters
        .iter()
        .filter_map(|alerter| alerter.oldest_seconds)
        .max();
    format!(
        " | firing={};;;0 undelivered={};;;0 oldest={}s{OLDEST_CRITICAL} dead={dead};;;0 behind={behind}B;;;0 lost={lost}B;;;0 \
         read={read}c records={records}c exceptional={exceptional}c state_written={}c",
        status.alerts.firing,
        undelivered(status),
        oldest.unwrap_or(0),
        status.state_written_bytes,
    )
}
