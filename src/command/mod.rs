//! Commands of people: what reads or changes the state beside the service's own work. `outbox`, `silence`, `explain` …
//!
//! A [`Command`] is data. [`execute`] needs the state alone: the keeper calls it for whoever asks by `control.sock`, and
//! the command line calls it itself when no service runs and it holds the lock. So both do the same. The answer is JSON;
//! [`show`] makes text for people of it. To add a family: a file with its commands, `execute` and `show`, and an arm in
//! each `match` here; its words on the command line are in `cli/commands.rs`.

pub mod explain;
pub mod outbox;
pub mod silence;
pub mod verdict;

use crate::state::State;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Write;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    Explain(explain::Command),
    Outbox(outbox::Command),
    Silence(silence::Command),
    Verdict(verdict::Command),
}

/// What a command sees besides the state.
#[derive(Debug, Clone)]
pub struct Scene {
    pub now: jiff::Timestamp,
    /// Names of the alerters that are configured.
    pub alerters: Vec<Arc<str>>,
}

impl Command {
    /// Whether it changes the state: then a state that is missing may be made for it, and caches are read again after it.
    pub fn writes(&self) -> bool {
        match self {
            Command::Explain(_) => false,
            Command::Outbox(command) => command.writes(),
            Command::Silence(command) => command.writes(),
            Command::Verdict(command) => command.writes(),
        }
    }
}

/// Does it, in one transaction, on a state with nothing pending.
///
/// # Errors
/// The command names what is not there, or the state cannot be read or written. Nothing was done then.
pub fn execute(state: &mut State, command: &Command, scene: &Scene) -> Result<Value> {
    match command {
        Command::Explain(command) => explain::execute(state, command, scene),
        Command::Outbox(command) => outbox::execute(state, command, scene),
        Command::Silence(command) => silence::execute(state, command, scene),
        Command::Verdict(command) => verdict::execute(state, command, scene),
    }
}

/// Writes the answer for people.
///
/// # Errors
/// The output cannot be written, or the answer is that of another version.
pub fn show(command: &Command, answer: &Value, out: &mut dyn Write) -> Result<()> {
    match command {
        // The command line has more to say than the state: see `explain`.
        Command::Explain(_) => Ok(serde_json::to_writer(out, answer)?),
        Command::Outbox(command) => outbox::show(command, answer, out),
        Command::Silence(command) => silence::show(command, answer, out),
        Command::Verdict(command) => verdict::show(command, answer, out),
    }
}

/// Writes rows under headings in aligned columns; the last column is as wide as it likes. Widths are those of a
/// terminal's cells only as far as text is ASCII: names and ids are.
pub fn write_table<const N: usize>(out: &mut dyn Write, headings: [&str; N], rows: &[[String; N]]) -> Result<()> {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    });
    let headings = headings.map(str::to_owned);
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let pad = width.saturating_sub(cell.chars().count()) + 2;
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', pad));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
