//! The state: one directory, one SQLite database, one writer.
//!
//! Promises: what is committed together is found together after a `kill -9`; commits with [`Durability::Full`] outlive a
//! power cut. A corrupt database is never fatal: what SQLite can read is kept, else the backup of the last hour, else we
//! begin afresh; the bad files are set aside and the caller is told by an [`Incident`]. A newer schema is refused.

pub mod checkpoints;
pub mod copies;
pub mod groups;
pub mod held;
pub mod history;
pub mod outbox;
pub mod recover;
mod schema;
pub mod silences;
pub mod templates;
pub mod verdicts;
pub mod windows;

use anyhow::{Context, Result};
pub use recover::{INCIDENT, Incident, Recovered};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
pub use schema::VERSION;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a statement waits for another process that holds the database (a backup, `sqlite3` by hand).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A row of `meta` that is there from a start to an end in order.
pub const RUNNING: &str = "running";

/// The exclusive right to a state directory: held as long as the value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Another process holds the directory.
#[derive(Debug)]
pub struct Held {
    pub pid: Option<u32>,
}

/// Takes `lock` in `dir` (made with mode 0750 if it is missing), or tells who holds it.
pub fn lock(dir: &Path) -> Result<std::result::Result<Lock, Held>> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o750);
    builder
        .create(dir)
        .with_context(|| format!("making the state directory {}", dir.display()))?;
    let path = dir.join("lock");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o640);
    let mut file = options
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Who holds it is only for the message: an unreadable pid is no error.
            file.read_to_string(&mut text).ok();
            return Ok(Err(Held {
                pid: text.trim().parse().ok(),
            }));
        }
        Err(error) => return Err(error).with_context(|| format!("locking {}", path.display())),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(Ok(Lock { _file: file }))
}

/// Whether a state was ever made in `dir`.
pub fn exists(dir: &Path) -> bool {
    dir.join("state.db").exists()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// fsync before the commit returns.
    Full,
    /// Survives `kill -9`; after a power cut the last few may be undone, whole.
    Normal,
}

/// The open state of the one writer.
#[derive(Debug)]
pub struct State {
    connection: Connection,
    database: PathBuf,
    durability: Durability,
}

impl State {
    /// Opens or makes `state.db` in `dir`, whose [`Lock`] the caller holds. The [`Incident`] stays in `meta` until the
    /// caller has told it.
    pub fn open(dir: &Path) -> Result<(Self, Option<Incident>)> {
        let database = dir.join("state.db");
        recover::finish(&database)?;
        if let Some(cause) = recover::damage(&database) {
            recover::recover(&database, cause)?;
        }
        let connection = match open_whole(&database) {
            Err(error) if schema::is_contradiction(&error) => {
                recover::recover(&database, format!("{error:#}"))?;
                open_whole(&database)?
            }
            outcome => outcome?,
        };
        fs::set_permissions(&database, fs::Permissions::from_mode(0o640))
            .with_context(|| format!("setting the mode of {}", database.display()))?;
        let state = Self {
            connection,
            database,
            durability: Durability::Full,
        };
        let incident = state.meta(INCIDENT)?;
        let incident = incident.and_then(|incident| serde_json::from_str(&incident).ok());
        Ok((state, incident))
    }

    /// Runs `work` in one transaction: all of it is committed, or nothing.
    pub fn commit<T>(&mut self, durability: Durability, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        if self.durability != durability {
            let word = match durability {
                Durability::Full => "FULL",
                Durability::Normal => "NORMAL",
            };
            self.connection.pragma_update(None, "synchronous", word)?;
            self.durability = durability;
        }
        let database = &self.database;
        let transaction = self
            .connection
            .transaction()
            .with_context(|| format!("writing {}", database.display()))?;
        let outcome = work(&transaction).with_context(|| format!("writing {}", database.display()))?;
        transaction
            .commit()
            .with_context(|| format!("committing to {}", database.display()))?;
        Ok(outcome)
    }

    /// Brings what is in the log into the database, and the log to nothing: on a full disk that may be the room that is
    /// missing. An error says only that there is none.
    pub fn make_room(&self) {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.connection.query_row(checkpoint, [], |_| Ok(())).ok();
    }

    /// The state directory.
    pub fn directory(&self) -> &Path {
        self.database.parent().unwrap_or(Path::new("."))
    }

    /// For reading by the writer itself.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Writes `state.db.prev`, whole or not at all.
    pub fn back_up(&self) -> Result<()> {
        let path = self.database.with_extension("db.prev");
        copy_database(&self.connection, &path).with_context(|| format!("writing the backup {}", path.display()))
    }

    /// A value of `meta`, made by `make` and kept if it is missing.
    pub fn meta_or(&mut self, key: &str, make: impl FnOnce() -> String) -> Result<String> {
        if let Some(value) = self.meta(key)? {
            return Ok(value);
        }
        let value = make();
        self.set_meta(Durability::Full, key, &value)?;
        Ok(value)
    }

    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        let mut rows = statement.query([key])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    pub fn set_meta(&mut self, durability: Durability, key: &str, value: &str) -> Result<()> {
        self.commit(durability, |connection| put_meta(connection, key, Some(value)))
    }

    pub fn remove_meta(&mut self, key: &str) -> Result<()> {
        if self.meta(key)?.is_none() {
            return Ok(());
        }
        self.commit(Durability::Full, |connection| put_meta(connection, key, None))
    }
}

/// Writes a value of `meta` within a transaction; `None` removes it.
pub fn put_meta(connection: &Connection, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
            .execute([key, value])?,
        None => connection
            .prepare_cached("DELETE FROM meta WHERE key = ?1")?
            .execute([key])?,
    };
    Ok(())
}

/// Another connection to the state of a directory, that can only read: for a courier.
pub fn reader(dir: &Path) -> Result<Connection> {
    open_read_only(&dir.join("state.db"))
}

/// Opens a state database for reading only; the writer goes on.
pub fn open_read_only(database: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .with_context(|| format!("opening {}", database.display()))?;
    settle(&connection)?;
    Ok(connection)
}

fn open_whole(database: &Path) -> Result<Connection> {
    let mut connection = connect(database).with_context(|| format!("opening {}", database.display()))?;
    schema::migrate(&mut connection, database)?;
    Ok(connection)
}

/// What holds for every connection.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Else a statement is planned anew each time that another value is bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A courier reads its queue from the first row to the last: no page is looked at twice, and SQLite would keep 2 MiB.
    connection.pragma_update(None, "cache_size", -128)?;
    Ok(())
}

fn connect(database: &Path) -> Result<Connection> {
    let connection = Connection::open(database)?;
    settle(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The writer, on small hosts: half a MiB of page cache, and a WAL that is cut back after a burst.
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies a live database: written beside, synced, then renamed over `target`.
fn copy_database(connection: &Connection, target: &Path) -> Result<()> {
    let unfinished = with_suffix(target, ".tmp");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let mut copy = Connection::open(&unfinished)?;
    rusqlite::backup::Backup::new(connection, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.close().map_err(|(_, error)| error)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, target)?;
    sync_directory(target)
}

/// A name that was given or taken in the directory of `path` outlives a power cut.
fn sync_directory(path: &Path) -> Result<()> {
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
