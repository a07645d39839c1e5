//! The outbox: one queue per alerter, durable before anything is promised.
//!
//! The keeper writes; each courier reads its own queue through a connection of its own.

pub mod review;

use crate::alert::Alert;
use crate::alerter::Delivery;
use crate::alerter::courier::Outbox;
use crate::keeper::{Mark, Outcome};
use crate::record::Level;
use crate::state::history;
use anyhow::Result;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Dead deliveries that are kept per alerter, the newest.
pub const DEAD_MAX: usize = 1_000;

/// What is put into a queue: serialised once for all alerters.
#[derive(Debug, Clone)]
pub struct Entry {
    pub payload: Arc<str>,
    /// What `payload` says.
    pub alert: Arc<Alert>,
}

impl Entry {
    pub fn of(alert: Arc<Alert>) -> Self {
        let payload = alert.to_json().into();
        Self { payload, alert }
    }
}

/// Writes down, once, what several alerters are told; returns its id.
pub fn share(connection: &Connection, payload: &str) -> Result<i64> {
    let mut statement = connection.prepare_cached("INSERT INTO payloads (payload) VALUES (?1)")?;
    Ok(statement.insert([payload])?)
}

/// Queues an alert for an alerter; returns its seq. `shared` is where its text stands already; none: in a row of its own.
pub fn push(connection: &Connection, alerter: &str, entry: &Entry, shared: Option<i64>, now_ms: i64) -> Result<i64> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO outbox (alerter, state, alert_id, fingerprint, severity, created_ms, payload, payload_id, bytes)
         VALUES (?1, 'queued', ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let Entry { payload, alert } = entry;
    Ok(statement.insert(params![
        alerter,
        alert.id,
        alert.fingerprint,
        rank(alert.severity),
        now_ms,
        shared.map_or(&**payload, |_| ""),
        shared,
        payload.len()
    ])?)
}

/// Writes down what became of a delivery, and its history; returns the bytes that left the queue.
///
/// Looks and writes in two statements: one with `RETURNING` makes SQLite build a table of its own, with a cache of 85 KiB, for
/// each delivery.
pub fn mark(connection: &Connection, alerter: &str, mark: &Mark, now_ms: i64) -> Result<u64> {
    let Some(row) = look(connection, mark.seq)? else {
        return Ok(0);
    };
    let note = |what: &str, detail: Option<&str>| {
        history::note(connection, now_ms, &row.alert_id, Some(alerter), what, detail)
    };
    match &mark.outcome {
        Outcome::Delivered => {
            connection
                .prepare_cached("DELETE FROM outbox WHERE seq = ?1")?
                .execute(params![mark.seq])?;
            note("delivered", None)?;
            // What is dead was counted as gone before.
            Ok(if row.dead { 0 } else { row.bytes })
        }
        Outcome::Failed { .. } | Outcome::Blocked { .. } | Outcome::Dead { .. } if row.dead => Ok(0),
        Outcome::Failed { tries, parked, error } => {
            let (state, what) = if *parked {
                ("parked", "parked")
            } else {
                ("queued", "failed")
            };
            change(connection, mark.seq, Some(state), *tries, error)?;
            note(what, Some(error))?;
            Ok(0)
        }
        Outcome::Blocked { tries, error } => {
            change(connection, mark.seq, None, *tries, error)?;
            note("blocked", Some(error))?;
            Ok(0)
        }
        Outcome::Dead { tries, error } => {
            change(connection, mark.seq, Some("dead"), *tries, error)?;
            note("dead", Some(error))?;
            Ok(row.bytes)
        }
    }
}

/// A delivery as it stands in the outbox.
struct Row {
    alert_id: String,
    bytes: u64,
    dead: bool,
}

fn look(connection: &Connection, seq: i64) -> Result<Option<Row>> {
    let mut statement =
        connection.prepare_cached("SELECT alert_id, bytes, state = 'dead' FROM deliveries WHERE seq = ?1")?;
    let mut rows = statement.query(params![seq])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Row {
        alert_id: row.get(0)?,
        bytes: row.get(1)?,
        dead: row.get(2)?,
    }))
}

/// After a try that failed; without `state` it stays what it is.
fn change(connection: &Connection, seq: i64, state: Option<&str>, tries: u32, error: &str) -> Result<()> {
    connection
        .prepare_cached("UPDATE outbox SET state = coalesce(?2, state), tries = ?3, error = ?4 WHERE seq = ?1")?
        .execute(params![seq, state, tries, error])?;
    Ok(())
}

/// The highest seq that was ever given.
pub fn newest_seq(connection: &Connection) -> Result<i64> {
    let mut statement = connection.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")?;
    let mut rows = statement.query([])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?.unwrap_or(0))
}

/// Forgets all dead deliveries of an alerter but the newest [`DEAD_MAX`].
pub fn trim_dead(connection: &Connection, alerter: &str) -> Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM outbox WHERE alerter = ?1 AND state = 'dead' AND seq NOT IN
             (SELECT seq FROM outbox WHERE alerter = ?1 AND state = 'dead' ORDER BY seq DESC LIMIT ?2)",
        )?
        .execute(params![alerter, DEAD_MAX])?;
    Ok(())
}

/// Removes the least important deliveries that wait for an alerter until `bytes` are freed: superseded ones of the same
/// fingerprint first (with `compact`), then the lowest severity, oldest first. Returns how many went and their bytes.
pub fn shed(connection: &Connection, alerter: &str, bytes: u64, compact: bool) -> Result<(u64, u64)> {
    // Superseded: neither the first nor the last waiting message of its fingerprint. The ends are found once, by a join:
    // asked for row by row they took a minute of a queue of 8,000.
    let sql = if compact {
        "SELECT seq, bytes FROM deliveries o JOIN
           (SELECT fingerprint AS of, min(seq) AS first, max(seq) AS last FROM outbox
            WHERE alerter = ?1 AND state != 'dead' GROUP BY fingerprint) ON of = o.fingerprint
         WHERE alerter = ?1 AND state != 'dead' ORDER BY seq IN (first, last), severity, seq LIMIT 10000"
    } else {
        "SELECT seq, bytes FROM deliveries WHERE alerter = ?1 AND state != 'dead'
         ORDER BY seq LIMIT 10000"
    };
    let (mut count, mut freed) = (0, 0);
    let mut statement = connection.prepare_cached(sql)?;
    let victims: Vec<(i64, u64)> = statement
        .query_map([alerter], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, size) in victims {
        if freed >= bytes {
            break;
        }
        connection
            .prepare_cached("DELETE FROM outbox WHERE seq = ?1")?
            .execute([seq])?;
        count += 1;
        freed += size;
    }
    Ok((count, freed))
}

/// Deliveries of an alerter that is gone become dead, with the reason.
pub fn orphan(connection: &Connection, living: &[&str], reason: &str) -> Result<usize> {
    let mut statement = connection.prepare("SELECT DISTINCT alerter FROM outbox WHERE state != 'dead'")?;
    let names: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut orphans = 0;
    for name in names.iter().filter(|name| !living.contains(&name.as_str())) {
        orphans += connection.execute(
            "UPDATE outbox SET state = 'dead', error = ?2 WHERE alerter = ?1 AND state != 'dead'",
            params![name, reason],
        )?;
    }
    Ok(orphans)
}

/// How full the queues are.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Fill {
    pub queued: u64,
    pub parked: u64,
    pub dead: u64,
    /// Put aside for a digest.
    pub held: u64,
    /// Payload bytes of all but the dead.
    pub bytes: u64,
    /// When the oldest queued or parked delivery was made.
    pub oldest_ms: Option<i64>,
    pub last_error: Option<String>,
}

/// The fill of each alerter's queue that is not empty.
pub fn fill(connection: &Connection) -> Result<BTreeMap<String, Fill>> {
    let mut statement = connection.prepare_cached(
        "SELECT alerter, state, count(*), sum(bytes), min(created_ms), max(error)
         FROM deliveries GROUP BY alerter, state",
    )?;
    let mut rows = statement.query([])?;
    let mut fills: BTreeMap<String, Fill> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let fill = fills.entry(row.get(0)?).or_default();
        let (state, count): (String, u64) = (row.get(1)?, row.get(2)?);
        if state == "dead" {
            fill.dead = count;
            continue;
        }
        if state == "held" {
            fill.held = count;
            fill.bytes += row.get::<_, u64>(3)?;
            continue;
        }
        if state == "parked" {
            fill.parked = count
        } else {
            fill.queued = count
        }
        fill.bytes += row.get::<_, u64>(3)?;
        let oldest: i64 = row.get(4)?;
        fill.oldest_ms = Some(fill.oldest_ms.map_or(oldest, |other| other.min(oldest)));
        fill.last_error = row.get::<_, Option<String>>(5)?.or(fill.last_error.take());
    }
    Ok(fills)
}

/// One courier's view of its queue.
#[derive(Debug)]
pub struct Queue {
    connection: Connection,
    alerter: Arc<str>,
}

impl Queue {
    pub fn new(connection: Connection, alerter: Arc<str>) -> Self {
        Self { connection, alerter }
    }

    /// Deliveries in `state` above `after_seq`, ascending.
    fn read(&self, state: &str, after_seq: i64, limit: usize) -> Result<Vec<Delivery>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, tries, payload FROM deliveries WHERE alerter = ?1 AND state = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
        )?;
        let mut rows = statement.query(params![&*self.alerter, state, after_seq, limit])?;
        let mut deliveries = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            let payload: String = row.get(2)?;
            match serde_json::from_str(&payload) {
                Ok(alert) => deliveries.push(Delivery {
                    seq,
                    tries: row.get(1)?,
                    alert: Arc::new(alert),
                }),
                // Written by another version, or damaged: it must not hold up the others. It stays where it is.
                Err(error) => log::error!("delivery {seq} in the outbox cannot be read, and is passed over: {error}"),
            }
        }
        Ok(deliveries)
    }
}

impl Outbox for Queue {
    fn next(&mut self, after_seq: i64, limit: usize) -> Result<Vec<Delivery>> {
        self.read("queued", after_seq, limit)
    }

    fn parked(&mut self, after_seq: i64, limit: usize) -> Result<Vec<Delivery>> {
        self.read("parked", after_seq, limit)
    }
}

fn rank(level: Level) -> i64 {
    Level::ALL
        .iter()
        .position(|&other| other == level)
        .map_or(0, |n| n as i64)
}
