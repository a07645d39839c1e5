//! `outbox list | retry | drop`: what waits for each alerter, what it gave up, and a person's word on that.
//!
//! Deliveries are named by the id of their alert. What is tried again goes to the end of its queue: couriers begin
//! behind what is settled, so that it needs a new place. A delivery that is under way while it is dropped still arrives.

use super::{Scene, write_table};
use crate::alert::render;
use crate::state::outbox;
use crate::state::outbox::review::{self, Listed, Which};
use crate::state::{Durability, State};
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Write;

/// Deliveries that one answer lists; the rest is counted.
const LISTED_MAX: usize = 1_000;
/// Characters of a title or an error in the text form.
const CELL_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    List { alerter: Option<String> },
    Retry(Chosen),
    Drop(Chosen),
}

/// Which deliveries are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Ids of alerts; none: all.
    pub ids: Vec<String>,
    /// Of this alerter only.
    pub alerter: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    deliveries: Vec<Listed>,
    /// Not listed, being too many.
    more: u64,
}

impl Command {
    pub fn writes(&self) -> bool {
        match self {
            Command::List { .. } => false,
            Command::Retry(_) | Command::Drop(_) => true,
        }
    }
}

pub fn execute(state: &mut State, command: &Command, scene: &Scene) -> Result<Value> {
    match command {
        Command::List { alerter } => {
            must_be_known(state, alerter.as_deref(), scene)?;
            let which = Which {
                alerter: alerter.as_deref(),
                ..Which::default()
            };
            let (deliveries, more) = review::list(state.connection(), &which, LISTED_MAX)?;
            Ok(serde_json::to_value(List { deliveries, more })?)
        }
        Command::Retry(chosen) => {
            must_be_known(state, chosen.alerter.as_deref(), scene)?;
            let retried = each_chosen(state, chosen, |connection, which| {
                review::retry(connection, which, &scene.alerters, scene.now.as_millisecond())
            })?;
            Ok(json!({ "retried": retried }))
        }
        Command::Drop(chosen) => {
            must_be_known(state, chosen.alerter.as_deref(), scene)?;
            let dropped = each_chosen(state, chosen, review::take_out)?;
            Ok(json!({ "dropped": dropped }))
        }
    }
}

/// An alerter that has gone from the configuration still has a name here, as long as it has deliveries.
fn must_be_known(state: &State, alerter: Option<&str>, scene: &Scene) -> Result<()> {
    let Some(name) = alerter else { return Ok(()) };
    if scene.alerters.iter().any(|known| &**known == name) || outbox::fill(state.connection())?.contains_key(name) {
        return Ok(());
    }
    let known: Vec<&str> = scene.alerters.iter().map(|name| &**name).collect();
    bail!("no alerter is called `{name}`: there are {}", known.join(", "));
}

/// All of it, or, where one id is unknown, nothing.
fn each_chosen(
    state: &mut State,
    chosen: &Chosen,
    work: impl Fn(&rusqlite::Connection, &Which<'_>) -> Result<u64>,
) -> Result<u64> {
    let alerter = chosen.alerter.as_deref();
    state.commit(Durability::Full, |connection| {
        if chosen.ids.is_empty() {
            return work(
                connection,
                &Which {
                    alerter,
                    ..Which::default()
                },
            );
        }
        let mut touched = 0;
        for id in &chosen.ids {
            let one = work(
                connection,
                &Which {
                    id: Some(id),
                    alerter,
                    ..Which::default()
                },
            )?;
            if one == 0 {
                bail!("no delivery of alert `{id}` is in the outbox: it may have been delivered; see `explain {id}`");
            }
            touched += one;
        }
        Ok(touched)
    })
}

pub fn show(command: &Command, answer: &Value, out: &mut dyn Write) -> Result<()> {
    let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
    match command {
        Command::List { .. } => show_list(&serde_json::from_value(answer.clone())?, out)?,
        Command::Retry(_) => writeln!(out, "{} queued again", deliveries(count("retried")))?,
        Command::Drop(_) => writeln!(out, "{} dropped", deliveries(count("dropped")))?,
    }
    Ok(())
}

fn show_list(list: &List, out: &mut dyn Write) -> Result<()> {
    if list.deliveries.is_empty() {
        writeln!(out, "the outbox is empty: everything was delivered")?;
        return Ok(());
    }
    let row = |listed: &Listed| {
        let mut text = cell(&listed.title);
        if let Some(error) = &listed.error {
            text = format!("{text}  ({})", cell(error));
        }
        [
            listed.alert_id.clone(),
            listed.alerter.clone(),
            listed.state.clone(),
            listed.severity.to_string(),
            listed.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            listed.tries.to_string(),
            text,
        ]
    };
    let rows: Vec<_> = list.deliveries.iter().map(row).collect();
    let headings = ["alert", "alerter", "state", "severity", "queued at", "tries", "what"];
    write_table(out, headings, &rows)?;
    if list.more > 0 {
        writeln!(out, "… and {} more", list.more)?;
    }
    Ok(())
}

fn deliveries(count: u64) -> String {
    match count {
        1 => "1 delivery".to_owned(),
        _ => format!("{count} deliveries"),
    }
}

/// Log text is hostile to terminals, and long.
fn cell(text: &str) -> String {
    render::cut(&render::one_line(text), CELL_MAX)
}
