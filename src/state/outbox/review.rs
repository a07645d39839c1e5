//! What people do with the outbox: look at it, have deliveries tried again, take them out.

use crate::alert::Alert;
use crate::record::Level;
use anyhow::Result;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which deliveries are meant: those that fit all that is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which<'a> {
    pub id: Option<&'a str>,
    pub alerter: Option<&'a str>,
    pub fingerprint: Option<&'a str>,
}

/// The condition that [`Which`] is, with its fields as the first three parameters.
const CHOSEN: &str =
    "(?1 IS NULL OR alert_id = ?1) AND (?2 IS NULL OR alerter = ?2) AND (?3 IS NULL OR fingerprint = ?3)";

/// One delivery, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub alerter: String,
    /// `queued`, `parked` or `dead`.
    pub state: String,
    pub alert_id: String,
    pub fingerprint: String,
    pub severity: Level,
    /// `firing`, `repeated` or `resolved`.
    pub status: String,
    pub title: String,
    pub created: jiff::Timestamp,
    pub tries: u32,
    pub error: Option<String>,
}

/// At most `limit` deliveries in the order of their queues, and how many there are besides.
pub fn list(connection: &Connection, which: &Which<'_>, limit: usize) -> Result<(Vec<Listed>, u64)> {
    let sql = format!("SELECT count(*) FROM outbox WHERE {CHOSEN}");
    let all: u64 = connection.query_row(&sql, params![which.id, which.alerter, which.fingerprint], |row| {
        row.get(0)
    })?;
    let sql = format!(
        "SELECT alerter, state, alert_id, fingerprint, created_ms, tries, error, payload FROM deliveries
         WHERE {CHOSEN} ORDER BY alerter, seq LIMIT ?4"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![which.id, which.alerter, which.fingerprint, limit])?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let payload: String = row.get(7)?;
        // Written by another version, or damaged: it is still there, and can be dropped.
        let alert = serde_json::from_str::<Alert>(&payload).ok();
        listed.push(Listed {
            alerter: row.get(0)?,
            state: row.get(1)?,
            alert_id: row.get(2)?,
            fingerprint: row.get(3)?,
            severity: alert.as_ref().map_or(Level::Error, |alert| alert.severity),
            status: alert
                .as_ref()
                .map_or_else(String::new, |alert| alert.status.as_str().to_owned()),
            title: alert.map_or_else(|| "(cannot be read)".to_owned(), |alert| alert.title),
            created: jiff::Timestamp::from_millisecond(row.get(4)?)?,
            tries: row.get(5)?,
            error: row.get(6)?,
        });
    }
    let more = all.saturating_sub(listed.len() as u64);
    Ok((listed, more))
}

/// Queues parked and dead deliveries again, as new ones: at the end, with a new seq, since a courier begins its sweeps
/// behind what is settled. What is queued already is to be tried at once. Only for `alerters`: of others nobody would
/// take them. Returns how many.
pub fn retry(connection: &Connection, which: &Which<'_>, alerters: &[Arc<str>], now_ms: i64) -> Result<u64> {
    let names: Vec<&str> = alerters.iter().map(|name| &**name).collect();
    let names = serde_json::to_string(&names)?;
    let living = format!("{CHOSEN} AND alerter IN (SELECT value FROM json_each(?4))");
    let last: Option<i64> = connection.query_row("SELECT max(seq) FROM outbox", [], |row| row.get(0))?;
    let waiting = connection.execute(
        &format!("UPDATE outbox SET tries = 0, error = NULL WHERE state = 'queued' AND {living}"),
        params![which.id, which.alerter, which.fingerprint, names],
    )?;
    let again = connection.execute(
        &format!(
            "INSERT INTO outbox (alerter, state, alert_id, fingerprint, severity, created_ms, payload, payload_id, bytes)
             SELECT alerter, 'queued', alert_id, fingerprint, severity, ?5, payload, payload_id, bytes FROM outbox
             WHERE state != 'queued' AND {living} ORDER BY seq"
        ),
        params![which.id, which.alerter, which.fingerprint, names, now_ms],
    )?;
    connection.execute(
        &format!("DELETE FROM outbox WHERE state != 'queued' AND seq <= ?5 AND {living}"),
        params![which.id, which.alerter, which.fingerprint, names, last],
    )?;
    Ok((waiting + again) as u64)
}

/// Takes deliveries out, whatever their state. Returns how many.
pub fn take_out(connection: &Connection, which: &Which<'_>) -> Result<u64> {
    let sql = format!("DELETE FROM outbox WHERE {CHOSEN}");
    Ok(connection.execute(&sql, params![which.id, which.alerter, which.fingerprint])? as u64)
}

/// One of the alerts that wait, the newest.
pub fn payload(connection: &Connection, which: &Which<'_>) -> Result<Option<Alert>> {
    let sql = format!("SELECT payload FROM deliveries WHERE {CHOSEN} ORDER BY seq DESC LIMIT 1");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![which.id, which.alerter, which.fingerprint])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let text: String = row.get(0)?;
    Ok(serde_json::from_str(&text).ok())
}
