//! What is held back for an alerter: rows of its outbox that no courier sees, with the reason in the place of an error,
//! until one digest takes their place.

use super::history;
use super::outbox::{Entry, push};
use crate::alert::Alert;
use anyhow::Result;
use rusqlite::{Connection, params};

/// Puts a message aside.
pub fn hold(
    connection: &Connection,
    alerter: &str,
    entry: &Entry,
    shared: Option<i64>,
    reason: &str,
    now_ms: i64,
) -> Result<i64> {
    let seq = push(connection, alerter, entry, shared, now_ms)?;
    connection
        .prepare_cached("UPDATE outbox SET state = 'held', error = ?2 WHERE seq = ?1")?
        .execute(params![seq, reason])?;
    Ok(seq)
}

/// Puts aside all that waits but the first, which goes on knocking; our own news stay where they are.
pub fn hold_queued(connection: &Connection, alerter: &str, reason: &str) -> Result<usize> {
    let held = connection.execute(
        "UPDATE outbox SET state = 'held', error = ?2
         WHERE seq IN (SELECT seq FROM deliveries
           WHERE alerter = ?1 AND state IN ('queued', 'parked')
             AND json_extract(payload, '$.kind') NOT IN ('agent', 'test', 'digest')
             AND seq > (SELECT min(seq) FROM outbox WHERE alerter = ?1 AND state IN ('queued', 'parked')))",
        params![alerter, reason],
    )?;
    Ok(held)
}

/// Whether anything goes on knocking at the alerter's door, and since when it is tried in vain.
pub fn knocking(connection: &Connection, alerter: &str) -> Result<(bool, Option<i64>)> {
    let sql = "SELECT count(*), min(CASE WHEN tries > 0 THEN created_ms END) FROM outbox
               WHERE alerter = ?1 AND state IN ('queued', 'parked')";
    let row = connection
        .prepare_cached(sql)?
        .query_row([alerter], |row| Ok((row.get::<_, i64>(0)? > 0, row.get(1)?)))?;
    Ok(row)
}

/// How many are held for this reason.
pub fn count(connection: &Connection, alerter: &str, reason: &str) -> Result<u64> {
    let sql = "SELECT count(*) FROM outbox WHERE alerter = ?1 AND state = 'held' AND error = ?2";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([alerter, reason], |row| row.get(0))?)
}

/// Shows all that is held for this reason, oldest first; the last of them and their bytes.
pub fn read(connection: &Connection, alerter: &str, reason: &str, mut see: impl FnMut(Alert)) -> Result<(i64, u64)> {
    let sql = "SELECT seq, payload FROM deliveries WHERE alerter = ?1 AND state = 'held' AND error = ?2 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([alerter, reason])?;
    let (mut last, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        let payload: String = row.get(1)?;
        (last, bytes) = (row.get(0)?, bytes + payload.len() as u64);
        match serde_json::from_str(&payload) {
            Ok(alert) => see(alert),
            Err(error) => log::error!("delivery {last} in the outbox cannot be read, and is left out: {error}"),
        }
    }
    Ok((last, bytes))
}

/// They have been told, by the digest of this id: the newest of them remember it.
pub fn remove(
    connection: &Connection,
    alerter: &str,
    reason: &str,
    to_seq: i64,
    digest: &str,
    now_ms: i64,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO history (at_ms, alert_id, alerter, what, detail)
             SELECT ?5, alert_id, alerter, ?6, ?4 FROM outbox
             WHERE alerter = ?1 AND state = 'held' AND error = ?2 AND seq <= ?3 ORDER BY seq DESC LIMIT ?7",
        )?
        .execute(params![
            alerter,
            reason,
            to_seq,
            digest,
            now_ms,
            history::IN_DIGEST,
            history::DIGESTED_MAX
        ])?;
    connection
        .prepare_cached("DELETE FROM outbox WHERE alerter = ?1 AND state = 'held' AND error = ?2 AND seq <= ?3")?
        .execute(params![alerter, reason, to_seq])?;
    Ok(())
}
