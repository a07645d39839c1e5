//! Silences as rows: those of people, and those of the configuration, whose hits go on from start to start.

use crate::alert::silence::{Silence, Wanted};
use anyhow::{Context, Result};
use rusqlite::{Connection, params};

/// All of them, the oldest first.
pub fn load(connection: &Connection) -> Result<Vec<Silence>> {
    let mut statement = connection
        .prepare("SELECT id, matcher, until_ms, comment, created_ms, hits FROM silences ORDER BY created_ms, id")?;
    let mut rows = statement.query([])?;
    let mut silences = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, matcher): (String, String) = (row.get(0)?, row.get(1)?);
        let until_ms: Option<i64> = row.get(2)?;
        silences.push(Silence {
            matcher: serde_json::from_str(&matcher).with_context(|| format!("the silence {id}"))?,
            id,
            until: until_ms.map(jiff::Timestamp::from_millisecond).transpose()?,
            comment: row.get(3)?,
            created: jiff::Timestamp::from_millisecond(row.get(4)?)?,
            hits: row.get(5)?,
        });
    }
    Ok(silences)
}

pub fn insert(connection: &Connection, silence: &Silence) -> Result<()> {
    let mut statement = connection.prepare_cached("INSERT INTO silences VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    statement.execute(params![
        silence.id,
        serde_json::to_string(&silence.matcher)?,
        silence.until.map(jiff::Timestamp::as_millisecond),
        silence.comment,
        silence.created.as_millisecond(),
        silence.hits,
    ])?;
    Ok(())
}

/// Whether it was there.
pub fn remove(connection: &Connection, id: &str) -> Result<bool> {
    Ok(connection
        .prepare_cached("DELETE FROM silences WHERE id = ?1")?
        .execute([id])?
        > 0)
}

pub fn set_hits(connection: &Connection, id: &str, hits: u64) -> Result<()> {
    connection
        .prepare_cached("UPDATE silences SET hits = ?2 WHERE id = ?1")?
        .execute(params![id, hits])?;
    Ok(())
}

/// Makes the rows of the configuration's silences what the configuration says now; those it still has keep their hits.
pub fn configure(connection: &Connection, wanted: &[Wanted], now: jiff::Timestamp) -> Result<()> {
    let known = load(connection)?;
    let ids: Vec<String> = wanted.iter().map(Wanted::id_in_configuration).collect();
    for gone in known
        .iter()
        .filter(|silence| silence.is_of_configuration() && !ids.contains(&silence.id))
    {
        remove(connection, &gone.id)?;
    }
    for (id, wanted) in ids.iter().zip(wanted) {
        let before = known.iter().find(|silence| silence.id == *id);
        remove(connection, id)?;
        let ended = wanted.until.is_some_and(|until| until <= now);
        if ended {
            continue;
        }
        insert(
            connection,
            &Silence {
                id: id.clone(),
                matcher: wanted.matcher.clone(),
                until: wanted.until,
                comment: wanted.comment.clone(),
                created: before.map_or(now, |silence| silence.created),
                hits: before.map_or(0, |silence| silence.hits),
            },
        )?;
    }
    Ok(())
}
