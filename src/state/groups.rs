//! Groups: the life of each alert and the message that was said first of it.

use crate::alert::Alert;
use crate::alert::book::{Group, Key};
use anyhow::{Context, Result};
use rusqlite::{Connection, params};

/// Writes a group's life; its sample stays.
pub fn save_life(connection: &Connection, key: &Key, group: &Group) -> Result<()> {
    let mut statement = connection
        .prepare_cached("UPDATE groups SET life = ?3, last_seen_ms = ?4 WHERE source = ?1 AND fingerprint = ?2")?;
    let life = serde_json::to_string(group)?;
    statement.execute(params![
        &*key.source,
        &*key.fingerprint,
        life,
        group.last_seen.as_millisecond()
    ])?;
    Ok(())
}

/// Begins a group anew with the message that fires it. Its life follows by [`save_life`] in the same transaction.
pub fn begin(connection: &Connection, key: &Key, sample: &Alert) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO groups (source, fingerprint, life, last_seen_ms, sample) VALUES (?1, ?2, '', 0, ?3)",
    )?;
    statement.execute(params![&*key.source, &*key.fingerprint, serde_json::to_string(sample)?])?;
    Ok(())
}

pub fn forget(connection: &Connection, key: &Key) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM groups WHERE source = ?1 AND fingerprint = ?2")?;
    statement.execute(params![&*key.source, &*key.fingerprint])?;
    Ok(())
}

/// The message that was said first of a group.
pub fn sample(connection: &Connection, key: &Key) -> Result<Option<Alert>> {
    let mut statement =
        connection.prepare_cached("SELECT sample FROM groups WHERE source = ?1 AND fingerprint = ?2")?;
    let mut rows = statement.query(params![&*key.source, &*key.fingerprint])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let text: String = row.get(0)?;
    Ok(Some(
        serde_json::from_str(&text).with_context(|| format!("the sample of {}", key.fingerprint))?,
    ))
}

/// What fires: the message that was said first of each group, with what its life says by now.
pub fn firing(connection: &Connection) -> Result<Vec<Alert>> {
    let mut statement = connection.prepare("SELECT life, sample FROM groups")?;
    let mut rows = statement.query([])?;
    let mut firing = Vec::new();
    while let Some(row) = rows.next()? {
        let (life, sample): (String, String) = (row.get(0)?, row.get(1)?);
        // What cannot be read is told of by `load`.
        let (Ok(group), Ok(mut alert)) = (
            serde_json::from_str::<Group>(&life),
            serde_json::from_str::<Alert>(&sample),
        ) else {
            continue;
        };
        if group.firing {
            alert.severity = group.severity;
            alert.count = group.count;
            (alert.first_seen, alert.last_seen) = (group.first_seen, group.last_seen);
            firing.push(alert);
        }
    }
    Ok(firing)
}

pub fn load(connection: &Connection) -> Result<Vec<(Key, Group)>> {
    let mut statement = connection.prepare("SELECT source, fingerprint, life FROM groups")?;
    let mut rows = statement.query([])?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        let (source, fingerprint, life): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let group = match serde_json::from_str(&life) {
            Ok(group) => group,
            // Of another version, or damaged: it fires as new, which is better than not to start.
            Err(error) => {
                log::error!("the group {fingerprint} in the state cannot be read, and begins anew: {error}");
                continue;
            }
        };
        groups.push((
            Key {
                source: source.into(),
                fingerprint: fingerprint.into(),
            },
            group,
        ));
    }
    Ok(groups)
}
