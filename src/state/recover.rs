//! A damaged database: what can be read of it goes into a new one, the backup of the last hour fills the gaps, and the
//! damaged files are set aside.
//!
//! Promises: no damage to the files keeps the service from starting, and what was committed and can be read is kept.
//! Positions in files never run ahead of the alerts that belong to them: where deliveries, groups or positions cannot be
//! read whole, all of them are taken from the backup, so that the lines since are read again (under the same ids). The
//! exchange survives a power cut at any instant.

use super::{checkpoints, connect, groups, outbox, schema, with_suffix};
use anyhow::{Context, Result, bail};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The row of `meta` that holds an [`Incident`] until it is told.
pub const INCIDENT: &str = "incident";
/// Damaged states that are kept; older ones are removed: they are as large as the state.
const BAD_MAX: usize = 2;
/// What must be of one moment: positions, and what was found up to there.
const OF_ONE_MOMENT: [&str; 5] = ["files", "groups", "cursors", "outbox", "payloads"];
/// A delivery is read of these.
const DELIVERIES: [&str; 2] = ["outbox", "payloads"];
/// No schema will ever have such a number: the header is damaged.
const VERSION_MAX: i64 = 1_000_000;

/// What happened to the state; told to people as soon as that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The damaged files, moved aside.
    pub set_aside: PathBuf,
    pub cause: String,
    pub recovered: Recovered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recovered {
    /// All positions, groups and deliveries could be read.
    Everything,
    /// From `state.db.prev`: what was read since its backup is read again.
    Backup,
    /// Nothing but what waited in the outbox, as far as it could be read: files are read from their beginning, within
    /// `ignore_older`.
    Nothing,
}

/// Why an existing database cannot be used: empty (cut off by a power cut), not a database, failing its check.
pub fn damage(database: &Path) -> Option<String> {
    match fs::metadata(database) {
        Ok(metadata) if metadata.len() == 0 => return Some("it is empty".into()),
        Ok(_) => {}
        Err(_) => return None,
    }
    let error = connect(database).and_then(|connection| check(&connection)).err()?;
    is_damage(&error).then(|| format!("{error:#}"))
}

/// Whether an error says something about the content of the database, not about the disk or another process.
pub fn is_damage(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>());
    match cause.and_then(rusqlite::Error::sqlite_error_code) {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed,
        ) => false,
        Some(ErrorCode::SystemIoFailure) => is_short_read(cause),
        Some(_) | None => !error.chain().any(|cause| cause.is::<std::io::Error>()),
    }
}

/// Whether the disk is full, or fails in the ways in which a full one does (shared memory cannot be made).
pub fn is_for_want_of_room(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>());
    let code = cause.and_then(rusqlite::Error::sqlite_error_code);
    let of_system = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    matches!(code, Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
        || of_system.is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
}

/// Whether the content itself is at fault, and no other way of looking at it helps.
pub fn is_corrupt(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>());
    let code = cause.and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The file ends within a page: that is damage, other failures of reading and writing are the disk's.
fn is_short_read(error: Option<&rusqlite::Error>) -> bool {
    let code = error.and_then(rusqlite::Error::sqlite_error);
    code.is_some_and(|code| code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
}

/// What a state holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    pub version: usize,
    pub files: u64,
    pub groups: u64,
    pub queued: u64,
    pub parked: u64,
    pub dead: u64,
}

/// Looks at a state without changing it, also while it is written.
///
/// # Errors
/// It cannot be read, is no state, or is damaged ([`is_damage`]).
pub fn inspect(database: &Path) -> Result<Contents> {
    let connection = super::open_read_only(database)?;
    let looked_at = format!("reading {}", database.display());
    check(&connection).with_context(|| looked_at.clone())?;
    let count = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get(0))
            .with_context(|| looked_at.clone())
    };
    let deliveries = |state: &str| count(&format!("SELECT count(*) FROM outbox WHERE state = '{state}'"));
    let version = count("PRAGMA user_version")?;
    if version == 0 {
        bail!("{}: no state", database.display());
    }
    Ok(Contents {
        version: usize::try_from(version).unwrap_or(usize::MAX),
        files: count("SELECT count(*) FROM files")?,
        groups: count("SELECT count(*) FROM groups")?,
        queued: deliveries("queued")?,
        parked: deliveries("parked")?,
        dead: deliveries("dead")?,
    })
}

/// A short look with a connection of its own, beside the writer.
///
/// # Errors
/// It cannot be read, or is damaged ([`is_corrupt`]).
pub fn probe(dir: &Path) -> Result<()> {
    let connection = super::open_read_only(&dir.join("state.db"))?;
    connection.query_row("SELECT count(*) FROM files", [], |_| Ok(()))?;
    Ok(())
}

/// Structure, and that all that a start reads can be read.
fn check(connection: &Connection) -> Result<()> {
    let version = version(connection)?;
    if !(0..VERSION_MAX).contains(&version) {
        bail!("its version is {version}");
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        bail!("quick_check: {verdict}");
    }
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'files', 'outbox', 'groups')",
        [],
        |row| row.get(0),
    )?;
    match (version, tables) {
        (0, 0) => Ok(()),
        (0, _) => bail!("it has tables and no version"),
        (1.., 4) => validate(connection, version).and_then(|()| check_closely(connection, version)),
        (_, _) => bail!("tables are missing"),
    }
}

/// After a run that did not end in order: indices too, and what couriers would pass over.
fn check_closely(connection: &Connection, version: i64) -> Result<()> {
    let ended = "SELECT count(*) = 0 FROM meta WHERE key = ?1";
    if connection.query_row(ended, [super::RUNNING], |row| row.get(0))? {
        return Ok(());
    }
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        bail!("integrity_check: {verdict}");
    }
    match unreadable_deliveries(connection, version)? {
        0 => Ok(()),
        count => bail!("{count} deliveries cannot be read"),
    }
}

const UNREADABLE: &str = "state NOT IN ('queued', 'parked', 'held', 'dead') OR NOT json_valid(payload)";

fn unreadable_deliveries(connection: &Connection, version: i64) -> Result<u64> {
    let all = match version {
        schema::PAYLOADS_APART.. => "deliveries",
        _ => "outbox",
    };
    let sql = format!("SELECT count(*) FROM {all} WHERE {UNREADABLE}");
    Ok(connection.query_row(&sql, [], |row| row.get(0))?)
}

fn validate(connection: &Connection, version: i64) -> Result<()> {
    checkpoints::load(connection).context("positions")?;
    checkpoints::first_starts(connection).context("first starts")?;
    groups::load(connection).context("groups")?;
    if version >= schema::PAYLOADS_APART {
        outbox::fill(connection).context("outbox")?;
    }
    Ok(())
}

/// Puts a new database in the place of the damaged one; it holds the [`Incident`] until that is told.
pub fn recover(database: &Path, cause: String) -> Result<()> {
    let set_aside = free_name(database, "bad");
    let unfinished = with_suffix(database, ".new.tmp");
    remove_if_there(&unfinished)?;
    remove_if_there(&with_suffix(&unfinished, "-journal"))?;
    let mut new = Connection::open(&unfinished).with_context(|| format!("making {}", unfinished.display()))?;
    schema::migrate(&mut new, &unfinished)?;
    let recovered = fill(&mut new, database)?;
    let incident = Incident {
        set_aside: set_aside.clone(),
        cause,
        recovered,
    };
    super::put_meta(&new, INCIDENT, Some(&serde_json::to_string(&incident)?))?;
    new.close().map_err(|(_, error)| error)?;
    File::open(&unfinished)?.sync_all()?;
    let ready = with_suffix(database, ".new");
    fs::rename(&unfinished, &ready)?;
    exchange(database, &set_aside)?;
    remove_old(database);
    Ok(())
}

/// Sets the database aside, and puts `state.db.new` in its place.
pub fn exchange(database: &Path, set_aside: &Path) -> Result<()> {
    // The log of the old one must not meet the new one: it goes first.
    for suffix in ["-wal", "-shm", ""] {
        let from = with_suffix(database, suffix);
        match fs::rename(&from, with_suffix(set_aside, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("setting aside {}", from.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    finish(database)
}

/// Completes an exchange that was interrupted between setting aside and putting in place.
pub fn finish(database: &Path) -> Result<()> {
    let ready = with_suffix(database, ".new");
    if database.exists() || !ready.exists() {
        return Ok(());
    }
    remove_if_there(&with_suffix(database, "-wal"))?;
    remove_if_there(&with_suffix(database, "-shm"))?;
    fs::rename(&ready, database).with_context(|| format!("putting {} in place", ready.display()))?;
    super::sync_directory(database)
}

/// What can be read of the damaged database and of the backup.
fn fill(new: &mut Connection, database: &Path) -> Result<Recovered> {
    let transaction = new.transaction()?;
    let tables = tables(&transaction)?;
    let mut whole: Vec<&str> = Vec::new();
    let damaged = open_as_it_is(database);
    for table in &tables {
        if let Ok(damaged) = &damaged
            && copy(damaged, &transaction, table)?
        {
            whole.push(table);
        }
    }
    // Before, texts stood with the deliveries.
    let of_before = |damaged| version(damaged).is_ok_and(|version| (1..schema::PAYLOADS_APART).contains(&version));
    if damaged.as_ref().is_ok_and(of_before) {
        whole.push("payloads");
    }
    let all_whole = |tables: &[&str]| tables.iter().all(|table| whole.contains(table));
    let newest = schema::VERSION as i64;
    let moment_known = all_whole(&OF_ONE_MOMENT)
        && validate(&transaction, newest).is_ok()
        && unreadable_deliveries(&transaction, newest)? == 0;
    if !moment_known {
        transaction.execute_batch("DELETE FROM files; DELETE FROM groups; DELETE FROM cursors;")?;
        remove_unreadable(&transaction)?;
    }
    let backup = good_backup(database);
    if let Some(backup) = &backup {
        for table in &tables {
            let of_the_moment = OF_ONE_MOMENT.contains(&table.as_str());
            let wanted = if of_the_moment {
                !moment_known
            } else {
                !whole.contains(&table.as_str())
            };
            // Deliveries that were read whole need none that may be done since.
            if wanted && !(DELIVERIES.contains(&table.as_str()) && all_whole(&DELIVERIES)) {
                copy(backup, &transaction, table)?;
            }
        }
        remove_unreadable(&transaction)?;
    }
    transaction.commit()?;
    Ok(match (moment_known, backup) {
        (true, _) => Recovered::Everything,
        (false, Some(_)) => Recovered::Backup,
        (false, None) => Recovered::Nothing,
    })
}

/// Deliveries without a text, texts without a delivery.
fn remove_unreadable(connection: &Connection) -> Result<()> {
    connection.execute_batch(&format!(
        "DELETE FROM outbox WHERE seq IN (SELECT seq FROM deliveries WHERE {UNREADABLE});
         DELETE FROM payloads WHERE id NOT IN (SELECT payload_id FROM outbox WHERE payload_id IS NOT NULL);"
    ))?;
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn tables(connection: &Connection) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Copies a table's rows from both ends as far as they can be read; whether that was all, and they are in order. Errors
/// are those of `to`.
fn copy(from: &Connection, to: &Connection, table: &str) -> Result<bool> {
    let (known, mut columns) = (columns(from, table).unwrap_or_default(), columns(to, table)?);
    columns.retain(|(name, _)| known.iter().any(|(known, _)| known == name));
    // Of a table without a key the order is not known.
    let quoted = |(name, _): &(String, bool)| format!("\"{name}\"");
    let keys: Vec<String> = columns.iter().filter(|(_, is_key)| *is_key).map(quoted).collect();
    let key_at: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].1).collect();
    if columns.is_empty() {
        return Ok(false);
    }
    let names: Vec<String> = columns.iter().map(quoted).collect();
    let (names, marks) = (names.join(", "), vec!["?"; names.len()].join(", "));
    let mut insert = to.prepare(&format!("INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"))?;
    let mut is_whole = true;
    for direction in ["ASC", "DESC"] {
        let keys = if keys.is_empty() {
            &["rowid".to_owned()]
        } else {
            &keys[..]
        };
        let order: Vec<String> = keys.iter().map(|key| format!("{key} {direction}")).collect();
        let sql = format!("SELECT {names} FROM {table} NOT INDEXED ORDER BY {}", order.join(", "));
        let Ok(mut select) = from.prepare(&sql) else {
            return Ok(false);
        };
        let Ok(mut rows) = select.query([]) else {
            return Ok(false);
        };
        let mut before: Vec<Value> = Vec::new();
        loop {
            let row = match rows.next() {
                Ok(None) => return Ok(is_whole),
                Ok(Some(row)) => row,
                Err(_) => break,
            };
            let values = (0..columns.len()).map(|index| row.get::<_, Value>(index));
            let Ok(values) = values.collect::<rusqlite::Result<Vec<Value>>>() else {
                break;
            };
            let key: Vec<Value> = key_at.iter().map(|at| values[*at].clone()).collect();
            is_whole &= before.is_empty() || is_below(&before, &key);
            before = key;
            // A row that breaks the new table's rules was not written by us.
            match insert.execute(params_from_iter(values)) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => return Err(error.into()),
                Ok(1) => {}
                Ok(_) | Err(_) => is_whole = false,
            }
        }
        is_whole = false;
    }
    Ok(false)
}

/// Whether a key comes before another, as SQLite orders what we use for keys.
fn is_below(before: &[Value], after: &[Value]) -> bool {
    let below = |(before, after): (&Value, &Value)| match (before, after) {
        (Value::Integer(before), Value::Integer(after)) => before.cmp(after),
        (Value::Text(before), Value::Text(after)) => before.cmp(after),
        // No key of ours changes its type.
        (_, _) => std::cmp::Ordering::Greater,
    };
    let first = before.iter().zip(after).map(below).find(|order| order.is_ne());
    first == Some(std::cmp::Ordering::Less)
}

/// Names of a table's columns, and whether each is of the primary key.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(String, bool)>> {
    let mut statement = connection.prepare(&format!("PRAGMA table_info({table})"))?;
    let columns = statement.query_map([], |row| Ok((row.get(1)?, row.get::<_, i64>(5)? > 0)))?;
    columns.collect()
}

/// Reads what is there, and leaves it as it is.
fn open_as_it_is(database: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn good_backup(database: &Path) -> Option<Connection> {
    let path = database.with_extension("db.prev");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).ok()?;
    let has_tables = tables(&connection).is_ok_and(|tables| !tables.is_empty());
    (has_tables && check(&connection).is_ok()).then_some(connection)
}

/// `state.db.<why>-<time>`, with a number where that is taken.
pub fn free_name(database: &Path, why: &str) -> PathBuf {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let first = database.with_extension(format!("db.{why}-{time}"));
    let mut name = first.clone();
    for number in 2.. {
        if !name.exists() && !with_suffix(&name, "-wal").exists() {
            break;
        }
        name = with_suffix(&first, &format!("-{number}"));
    }
    name
}

/// Names of what was set aside because of damage, oldest first, with their logs.
pub fn set_aside_before(database: &Path) -> Vec<String> {
    let entries = database
        .parent()
        .map(fs::read_dir)
        .into_iter()
        .flatten()
        .flatten()
        .flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut bad: Vec<String> = names.filter(|name| name.starts_with("state.db.bad-")).collect();
    bad.sort();
    bad
}

/// Keeps the newest [`BAD_MAX`] damaged states. What cannot be removed is left: it does no harm.
fn remove_old(database: &Path) {
    let Some(directory) = database.parent() else { return };
    let bad = set_aside_before(database);
    let stem = |name: &str| name.trim_end_matches("-wal").trim_end_matches("-shm").to_owned();
    let mut stems: Vec<String> = bad.iter().map(|name| stem(name)).collect();
    stems.dedup();
    let old = &stems[..stems.len().saturating_sub(BAD_MAX)];
    for name in bad.iter().filter(|name| old.contains(&stem(name))) {
        fs::remove_file(directory.join(name)).ok();
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
