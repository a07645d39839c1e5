//! Templates of each source, and how far it has learned.

use crate::alert::novelty::Learner;
use crate::alert::template::Template;
use anyhow::Result;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// What is stored of one source.
#[derive(Debug, Default)]
pub struct Stored {
    pub templates: Vec<Template>,
    pub learner: Learner,
}

pub fn save(connection: &Connection, source: &str, template: &Template) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO templates (source, id, template, count, first_seen_ms, last_seen_ms, fingerprint) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        source,
        template.id,
        template.text,
        i64::try_from(template.count).unwrap_or(i64::MAX),
        template.first_seen_ms,
        template.last_seen_ms,
        template.fingerprint
    ])?;
    Ok(())
}

pub fn remove(connection: &Connection, source: &str, id: u32) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM templates WHERE source = ?1 AND id = ?2")?;
    statement.execute(params![source, id])?;
    Ok(())
}

pub fn save_learner(connection: &Connection, source: &str, learner: &Learner) -> Result<()> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO learning VALUES (?1, ?2)")?;
    statement.execute(params![source, serde_json::to_string(learner)?])?;
    Ok(())
}

pub fn load(connection: &Connection) -> Result<BTreeMap<String, Stored>> {
    let mut sources: BTreeMap<String, Stored> = BTreeMap::new();
    let mut statement = connection.prepare(
        "SELECT source, id, template, count, first_seen_ms, last_seen_ms, fingerprint FROM templates ORDER BY source, id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(3)?;
        sources.entry(row.get(0)?).or_default().templates.push(Template {
            id: row.get(1)?,
            text: row.get(2)?,
            count: u64::try_from(count).unwrap_or(0),
            first_seen_ms: row.get(4)?,
            last_seen_ms: row.get(5)?,
            fingerprint: row.get(6)?,
        });
    }
    let mut statement = connection.prepare("SELECT source, life FROM learning")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (source, life): (String, String) = (row.get(0)?, row.get(1)?);
        match serde_json::from_str(&life) {
            Ok(learner) => sources.entry(source).or_default().learner = learner,
            // Of another version, or damaged: it learns anew, which is better than not to start.
            Err(error) => log::error!("how far {source} has learned cannot be read, and begins anew: {error}"),
        }
    }
    Ok(sources)
}
