//! What became of alerts, for `explain`: one row per thing that happened, in order, bounded by count and by age.
//!
//! Rows are written in the transaction that makes them true. There is no index: rows are only ever added at one end,
//! removed at the other, and looked through whole when a person asks.

use crate::alert::render;
use anyhow::Result;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

/// Rows kept: the newest.
pub const ROWS_MAX: i64 = 50_000;
/// Days for which they are kept.
pub const DAYS_MAX: i64 = 30;
/// Rows that are added between two calls of [`trim`].
pub const TRIM_EVERY: usize = 500;
/// Rows that one [`trim`] removes because of their age.
const TRIMMED_MAX: i64 = 1_000;
/// Bytes of `detail` that are kept.
const DETAIL_MAX: usize = 300;

/// What happened to a message that was held back: its detail is the id of the digest that told of it.
pub const IN_DIGEST: &str = "told in a digest";
/// Messages of one digest that are remembered.
pub const DIGESTED_MAX: i64 = 1_000;

/// One thing that happened to an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: jiff::Timestamp,
    pub alert_id: String,
    pub alerter: Option<String>,
    /// One word: `delivered`, `failed`, `parked`, `dead`, `silenced` …
    pub what: String,
    pub detail: Option<String>,
}

/// Writes down what became of an alert, for all (`alerter` is `None`) or for one alerter.
pub fn note(
    connection: &Connection,
    at_ms: i64,
    alert_id: &str,
    alerter: Option<&str>,
    what: &str,
    detail: Option<&str>,
) -> Result<()> {
    let detail = detail.map(|text| render::cut_bytes(text, DETAIL_MAX));
    connection
        .prepare_cached("INSERT INTO history (at_ms, alert_id, alerter, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![at_ms, alert_id, alerter, what, detail])?;
    Ok(())
}

/// Forgets what is too much and what is too old.
pub fn trim(connection: &Connection, now_ms: i64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM history WHERE rowid <= (SELECT max(rowid) FROM history) - ?1")?
        .execute([ROWS_MAX])?;
    connection
        .prepare_cached(
            "DELETE FROM history WHERE at_ms < ?1
             AND rowid IN (SELECT rowid FROM history ORDER BY rowid LIMIT ?2)",
        )?
        .execute([now_ms - DAYS_MAX * 24 * 3600 * 1000, TRIMMED_MAX])?;
    Ok(())
}

/// Ids of the messages that a digest told of, as far as they are remembered.
pub fn of_digest(connection: &Connection, digest: &str) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT DISTINCT alert_id FROM history WHERE what = ?1 AND detail = ?2 ORDER BY rowid")?;
    let ids = statement.query_map([IN_DIGEST, digest], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// What happened to these alerts, oldest first.
pub fn of_alerts(connection: &Connection, ids: &[String]) -> Result<Vec<Event>> {
    let mut statement = connection.prepare(
        "SELECT at_ms, alert_id, alerter, what, detail FROM history
         WHERE alert_id IN (SELECT value FROM json_each(?1)) ORDER BY rowid",
    )?;
    let mut rows = statement.query([serde_json::to_string(ids)?])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(Event {
            at: jiff::Timestamp::from_millisecond(row.get(0)?)?,
            alert_id: row.get(1)?,
            alerter: row.get(2)?,
            what: row.get(3)?,
            detail: row.get(4)?,
        });
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn notes(connection: &Connection) -> (i64, i64) {
        let sql = "SELECT count(*), coalesce(max(at_ms), 0) FROM history";
        connection
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_when_they_are_too_old() {
        let dir = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(dir.path()).unwrap();
        let day_ms = 24 * 3600 * 1000;
        let noted = state.commit(super::super::Durability::Normal, |connection| {
            for n in 0..ROWS_MAX + 7 {
                note(connection, n, "a", Some("ops"), "delivered", None)?;
            }
            trim(connection, ROWS_MAX)?;
            Ok(notes(connection))
        });
        assert_eq!(noted.unwrap(), (ROWS_MAX, ROWS_MAX + 6), "the newest stay");
        let noted = state.commit(super::super::Durability::Normal, |connection| {
            note(
                connection,
                40 * day_ms,
                "b",
                None,
                "firing",
                Some(&"é".repeat(DETAIL_MAX)),
            )?;
            for _ in 0..ROWS_MAX / TRIMMED_MAX + 1 {
                trim(connection, 40 * day_ms)?;
            }
            Ok(notes(connection))
        });
        assert_eq!(noted.unwrap(), (1, 40 * day_ms));
        let left = of_alerts(state.connection(), &["b".to_owned(), "c".to_owned()]).unwrap();
        assert!(
            left[0].detail.as_ref().is_some_and(|detail| detail.len() <= DETAIL_MAX),
            "{left:?}"
        );
    }
}
