//! Checkpoints: where each file's reading goes on, and when each source was started first.

use crate::collector::{FileState, Resume, Resumed};
use anyhow::Result;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// One file as the state knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub source: String,
    pub path: PathBuf,
    pub resume: Resume,
    pub file_state: FileState,
    pub updated_ms: i64,
}

/// Inserts a new file; returns its row.
pub fn insert(connection: &Connection, checkpoint: &Checkpoint) -> Result<i64> {
    let Checkpoint {
        source,
        path,
        resume,
        file_state,
        updated_ms,
    } = checkpoint;
    let mut statement = connection.prepare_cached(
        "INSERT INTO files (source, path, identity, resume_offset, committed_to, open_starts, line, format, finished, updated_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    Ok(statement.insert(params![
        source,
        path.as_os_str().as_bytes(),
        serde_json::to_string(file_state)?,
        signed(resume.offset),
        signed(resume.committed_to),
        serde_json::to_string(&resume.open_starts)?,
        resume.line.map(signed),
        resume.format,
        file_state.finished,
        updated_ms,
    ])?)
}

/// Brings a file's row up to date.
pub fn update(connection: &Connection, key: i64, checkpoint: &Checkpoint) -> Result<()> {
    let Checkpoint {
        source: _,
        path,
        resume,
        file_state,
        updated_ms,
    } = checkpoint;
    let mut statement = connection.prepare_cached(
        "UPDATE files SET path = ?2, identity = ?3, resume_offset = ?4, committed_to = ?5, open_starts = ?6, line = ?7,
         format = ?8, finished = ?9, updated_ms = ?10 WHERE key = ?1",
    )?;
    statement.execute(params![
        key,
        path.as_os_str().as_bytes(),
        serde_json::to_string(file_state)?,
        signed(resume.offset),
        signed(resume.committed_to),
        serde_json::to_string(&resume.open_starts)?,
        resume.line.map(signed),
        resume.format,
        file_state.finished,
        updated_ms,
    ])?;
    Ok(())
}

pub fn delete(connection: &Connection, key: i64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM files WHERE key = ?1")?
        .execute([key])?;
    Ok(())
}

const COLUMNS: &str = "key, source, path, identity, resume_offset, committed_to, open_starts, line, format, updated_ms";

/// All files, oldest first.
pub fn load(connection: &Connection) -> Result<Vec<(i64, Checkpoint)>> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM files ORDER BY key"))?;
    let mut rows = statement.query([])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push((row.get(0)?, checkpoint(row)?));
    }
    Ok(files)
}

/// One file.
pub fn one(connection: &Connection, key: i64) -> Result<Option<Checkpoint>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM files WHERE key = ?1"))?;
    let mut rows = statement.query([key])?;
    rows.next()?.map(checkpoint).transpose()
}

fn checkpoint(row: &rusqlite::Row<'_>) -> Result<Checkpoint> {
    let path: Vec<u8> = row.get(2)?;
    let resume = Resume {
        offset: unsigned(row.get(4)?),
        committed_to: unsigned(row.get(5)?),
        open_starts: serde_json::from_str(&row.get::<_, String>(6)?)?,
        line: row.get::<_, Option<i64>>(7)?.map(unsigned),
        format: row.get(8)?,
    };
    Ok(Checkpoint {
        source: row.get(1)?,
        path: PathBuf::from(OsString::from_vec(path)),
        resume,
        file_state: serde_json::from_str(&row.get::<_, String>(3)?)?,
        updated_ms: row.get(9)?,
    })
}

/// First starts by source.
pub fn first_starts(connection: &Connection) -> Result<BTreeMap<String, i64>> {
    let mut statement = connection.prepare("SELECT name, first_start_ms FROM sources")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Remembers the first start of a source; later calls change nothing.
pub fn remember_first_start(connection: &Connection, source: &str, now_ms: i64) -> Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO sources VALUES (?1, ?2)")?
        .execute(params![source, now_ms])?;
    Ok(())
}

/// As the collector goes on with it.
pub fn resumed((row, known): (i64, Checkpoint)) -> Resumed {
    Resumed {
        row,
        source: known.source.into(),
        path: known.path,
        resume: known.resume,
        file_state: known.file_state,
    }
}

/// SQLite knows only signed integers; offsets stay far below 2^63.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
