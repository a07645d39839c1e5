//! `silence add | list | remove`: what is found and counted, and nobody is told.

use super::{Scene, write_table};
use crate::alert::render;
use crate::alert::silence::{SILENCES_MAX, Silence, Wanted};
use crate::state::{Durability, State, silences};
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Write;

/// Characters of a comment that are kept.
const COMMENT_MAX: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    Add(Wanted),
    List,
    Remove(Vec<String>),
}

impl Command {
    pub fn writes(&self) -> bool {
        match self {
            Command::Add(_) | Command::Remove(_) => true,
            Command::List => false,
        }
    }
}

pub fn execute(state: &mut State, command: &Command, scene: &Scene) -> Result<Value> {
    match command {
        Command::Add(wanted) => add(state, wanted, scene),
        Command::List => {
            let mut all = silences::load(state.connection())?;
            all.retain(|silence| !silence.has_ended(scene.now));
            Ok(json!({ "silences": all }))
        }
        Command::Remove(ids) => {
            let removed = state.commit(Durability::Full, |connection| {
                for id in ids {
                    if silences::load(connection)?
                        .iter()
                        .any(|silence| silence.id == *id && silence.is_of_configuration())
                    {
                        bail!("`{id}` is in the configuration (alerts.silences): remove it there");
                    }
                    if !silences::remove(connection, id)? {
                        bail!("no silence has the id `{id}`: see `silence list`");
                    }
                }
                Ok(ids.len())
            })?;
            Ok(json!({ "removed": removed }))
        }
    }
}

fn add(state: &mut State, wanted: &Wanted, scene: &Scene) -> Result<Value> {
    if wanted.matcher.is_empty() {
        bail!("a silence of everything is none: say what it is about");
    }
    let known = silences::load(state.connection())?;
    if known.len() >= SILENCES_MAX {
        bail!("there are {SILENCES_MAX} silences: remove some, or use `ignore` in the configuration");
    }
    let mut id = String::new();
    while id.is_empty() || known.iter().any(|silence| silence.id == id) {
        id = format!("s{:06x}", fastrand::u32(..1 << 24));
    }
    let silence = Silence {
        id,
        matcher: wanted.matcher.clone(),
        until: wanted.until,
        comment: wanted
            .comment
            .as_deref()
            .map(|comment| render::cut(comment, COMMENT_MAX)),
        created: scene.now,
        hits: 0,
    };
    state.commit(Durability::Full, |connection| silences::insert(connection, &silence))?;
    Ok(json!({ "added": silence }))
}

pub fn show(command: &Command, answer: &Value, out: &mut dyn Write) -> Result<()> {
    match command {
        Command::Add(_) => {
            let silence: Silence = serde_json::from_value(answer["added"].clone())?;
            writeln!(out, "{}: {} is silent {}", silence.id, silence.matcher, until(&silence))?;
        }
        Command::List => {
            let all: Vec<Silence> = serde_json::from_value(answer["silences"].clone())?;
            if all.is_empty() {
                writeln!(out, "nothing is silenced")?;
                return Ok(());
            }
            let row = |silence: &Silence| {
                [
                    silence.id.clone(),
                    silence.hits.to_string(),
                    until(silence),
                    render::one_line(&silence.matcher.to_string()),
                    render::one_line(silence.comment.as_deref().unwrap_or("")),
                ]
            };
            let rows: Vec<_> = all.iter().map(row).collect();
            write_table(out, ["id", "hits", "until", "what", "comment"], &rows)?;
        }
        Command::Remove(_) => {
            let removed = answer["removed"].as_u64().unwrap_or(0);
            writeln!(out, "{removed} removed: what still fires is told now")?;
        }
    }
    Ok(())
}

fn until(silence: &Silence) -> String {
    silence.until.map_or_else(
        || "for ever".to_owned(),
        |until| until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
