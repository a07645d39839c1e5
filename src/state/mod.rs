//! The state: one directory, one SQLite database, one writer.
//!
//! Promises: what is committed together is found together after a `kill -9`; commits with [`Durability::Full`] outlive a
//! power cut. A corrupt database is never fatal: what SQLite can read is kept, else the backup of the last hour, else we
//! begin afresh; the bad files are set aside and the caller is told by an [`Incident`]. A newer schema is refused.

pub mod checkpoints;
pub mod groups;
pub mod history;
pub mod outbox;
mod schema;
pub mod silences;
pub mod templates;

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a statement waits for another process that holds the database (a backup, `sqlite3` by hand).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

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

/// What happened to the state when it was opened; each is told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The damaged files, moved aside.
    pub set_aside: PathBuf,
    pub recovered: Recovered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// From `state.db.prev`: what was read since its backup is read again.
    Backup,
    /// Nothing: files are read from their beginning, within `ignore_older`.
    Nothing,
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
    /// Opens or makes `state.db` in `dir`, whose [`Lock`] the caller holds.
    pub fn open(dir: &Path) -> Result<(Self, Option<Incident>)> {
        let database = dir.join("state.db");
        let incident = if is_damaged(&database) {
            Some(set_aside(&database)?)
        } else {
            None
        };
        let mut connection = connect(&database).with_context(|| format!("opening {}", database.display()))?;
        fs::set_permissions(&database, fs::Permissions::from_mode(0o640))
            .with_context(|| format!("setting the mode of {}", database.display()))?;
        schema::migrate(&mut connection, &database)?;
        Ok((
            Self {
                connection,
                database,
                durability: Durability::Full,
            },
            incident,
        ))
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

    /// The state directory.
    pub fn directory(&self) -> &Path {
        self.database.parent().unwrap_or(Path::new("."))
    }

    /// For reading by the writer itself.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Another connection that can only read, for a courier.
    pub fn reader(&self) -> Result<Connection> {
        open_read_only(&self.database)
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

/// Opens a state database for reading only; the writer goes on.
pub fn open_read_only(database: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .with_context(|| format!("opening {}", database.display()))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn connect(database: &Path) -> Result<Connection> {
    let connection = Connection::open(database)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Small hosts: half a MiB of page cache, and a WAL that is cut back after a burst.
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Whether an existing database cannot be used: empty (cut off by a power cut), not a database, or failing its check.
fn is_damaged(database: &Path) -> bool {
    match fs::metadata(database) {
        Ok(metadata) if metadata.len() == 0 => return true,
        Ok(_) => {}
        Err(_) => return false,
    }
    match connect(database).and_then(|connection| check(&connection)) {
        Ok(()) => false,
        // A database that another process holds, or a disk that fails to answer, says nothing about its content.
        Err(error) => match error
            .downcast_ref::<rusqlite::Error>()
            .and_then(rusqlite::Error::sqlite_error_code)
        {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied,
            ) => false,
            Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::OutOfMemory) => false,
            Some(_) | None => true,
        },
    }
}

fn check(connection: &Connection) -> Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        bail!("quick_check: {verdict}");
    }
    Ok(())
}

/// Moves the damaged database away and puts the backup in its place, if there is a good one.
fn set_aside(database: &Path) -> Result<Incident> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let aside = database.with_extension(format!("db.bad-{time}"));
    fs::rename(database, &aside).with_context(|| format!("setting aside {}", database.display()))?;
    for suffix in ["-wal", "-shm"] {
        let from = with_suffix(database, suffix);
        match fs::rename(&from, with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("setting aside {}", from.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    let backup = database.with_extension("db.prev");
    let good = fs::metadata(&backup).is_ok_and(|metadata| metadata.len() > 0) && !is_damaged(&backup);
    if good {
        fs::copy(&backup, database).with_context(|| format!("restoring {}", backup.display()))?;
    }
    Ok(Incident {
        set_aside: aside,
        recovered: if good { Recovered::Backup } else { Recovered::Nothing },
    })
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
    rusqlite::backup::Backup::new(connection, &mut copy)?.run_to_completion(256, Duration::ZERO, None)?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.close().map_err(|(_, error)| error)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, target)?;
    if let Some(dir) = target.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
