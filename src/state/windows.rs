//! Windows of thresholds and lives of absences. Keys are hashes: no value of a log stands here.

use crate::alert::absence::{self, Life};
use crate::alert::window::{Changes, Key, Window};
use anyhow::Result;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// The key of a rule's absence, which is counted once; no hash of a value is empty.
const WHOLE_RULE: &str = "";

/// What is stored: windows, and absences by rule.
#[derive(Debug, Default)]
pub struct Stored {
    pub windows: Vec<(Key, Window)>,
    pub absences: BTreeMap<String, Life>,
}

pub fn load(connection: &Connection) -> Result<Stored> {
    let mut statement = connection.prepare("SELECT rule, key_hash, window FROM windows")?;
    let mut rows = statement.query([])?;
    let mut stored = Stored::default();
    while let Some(row) = rows.next()? {
        let (rule, hash, window): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let read = if hash == WHOLE_RULE {
            serde_json::from_str(&window).map(|life| drop(stored.absences.insert(rule.clone(), life)))
        } else {
            serde_json::from_str::<Vec<i64>>(&window).map(|steps| {
                let key = Key {
                    rule: rule.as_str().into(),
                    hash,
                };
                stored.windows.push((key, Window::of_steps(&steps)));
            })
        };
        if let Err(error) = read {
            log::error!("what was counted for rule {rule} cannot be read, and begins anew: {error}");
        }
    }
    Ok(stored)
}

pub fn save(connection: &Connection, changes: &Changes) -> Result<()> {
    for key in &changes.forgotten {
        delete(connection, &key.rule, &key.hash)?;
    }
    for (key, window) in &changes.changed {
        put(
            connection,
            &key.rule,
            &key.hash,
            &serde_json::to_string(&window.to_steps())?,
        )?;
    }
    Ok(())
}

pub fn save_absences(connection: &Connection, changes: &absence::Changes) -> Result<()> {
    for rule in &changes.forgotten {
        delete(connection, rule, WHOLE_RULE)?;
    }
    for (rule, life) in &changes.changed {
        put(connection, rule, WHOLE_RULE, &serde_json::to_string(life)?)?;
    }
    Ok(())
}

fn put(connection: &Connection, rule: &str, hash: &str, window: &str) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO windows (rule, key_hash, window) VALUES (?1, ?2, ?3)")?
        .execute(params![rule, hash, window])?;
    Ok(())
}

fn delete(connection: &Connection, rule: &str, hash: &str) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM windows WHERE rule = ?1 AND key_hash = ?2")?
        .execute(params![rule, hash])?;
    Ok(())
}
