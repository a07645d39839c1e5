//! The schema of `state.db` and its migrations: a list that only grows.
//!
//! `user_version` is the number of migrations applied. Tables of parts that are not built yet stand here already, so
//! that an upgrade does not have to touch a state full of checkpoints. Times are Unix milliseconds.

use anyhow::{Context, Result, bail};
use rusqlite::Connection;
use std::path::Path;

/// Migration N brings `user_version` from N to N + 1.
pub(super) const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- When each source was started first: files born before begin at read_from, later ones at their beginning.
CREATE TABLE sources (name TEXT PRIMARY KEY, first_start_ms INTEGER NOT NULL) WITHOUT ROWID;

-- One row per incarnation of a file: what makes it the same file, where reading goes on, where its bytes went.
CREATE TABLE files (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  path BLOB NOT NULL,
  identity TEXT NOT NULL,        -- JSON of collector::FileState
  resume_offset INTEGER NOT NULL,
  committed_to INTEGER NOT NULL,
  open_starts TEXT NOT NULL,     -- JSON array of offsets
  line INTEGER,                  -- number of the line at resume_offset; NULL: unknown
  format TEXT NOT NULL,
  finished INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
);

-- One row per source and fingerprint: the life of an alert.
CREATE TABLE groups (
  source TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  life TEXT NOT NULL,            -- JSON of alert::book::Group
  last_seen_ms INTEGER NOT NULL,
  sample TEXT NOT NULL,          -- JSON of the alert that was said first, redacted
  PRIMARY KEY (source, fingerprint)
) WITHOUT ROWID;

-- AUTOINCREMENT: a courier remembers what it has sent by seq, so that a seq must never come again.
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  alerter TEXT NOT NULL,
  state TEXT NOT NULL,           -- queued, parked, dead
  alert_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  severity INTEGER NOT NULL,     -- 0 trace … 5 fatal
  tries INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  created_ms INTEGER NOT NULL,
  payload TEXT NOT NULL          -- JSON of the alert, redacted
);
CREATE INDEX outbox_by_alerter ON outbox (alerter, state, seq);

-- What became of alerts, for `explain`; bounded.
CREATE TABLE history (
  at_ms INTEGER NOT NULL, alert_id TEXT NOT NULL, alerter TEXT, what TEXT NOT NULL, detail TEXT
);
CREATE INDEX history_by_alert ON history (alert_id);

-- What is counted over the life of the state: losses, suppressions, deliveries.
CREATE TABLE counters (name TEXT NOT NULL, subject TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name, subject))
WITHOUT ROWID;

-- For thresholds and absence: keys are stored hashed.
CREATE TABLE windows (rule TEXT NOT NULL, key_hash TEXT NOT NULL, window TEXT NOT NULL, PRIMARY KEY (rule, key_hash))
WITHOUT ROWID;

-- For novelty and verdicts.
CREATE TABLE templates (
  source TEXT NOT NULL, id INTEGER NOT NULL, template TEXT NOT NULL, count INTEGER NOT NULL,
  first_seen_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL, PRIMARY KEY (source, id)
) WITHOUT ROWID;
CREATE TABLE verdicts (
  template_hash TEXT NOT NULL, model TEXT NOT NULL, abnormal INTEGER NOT NULL, score REAL, confidence REAL,
  by_person INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (template_hash, model)
) WITHOUT ROWID;
CREATE TABLE unjudged (
  template_hash TEXT PRIMARY KEY, source TEXT NOT NULL, example TEXT NOT NULL, count INTEGER NOT NULL,
  first_seen_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE silences (
  id TEXT PRIMARY KEY, matcher TEXT NOT NULL, until_ms INTEGER, comment TEXT, created_ms INTEGER NOT NULL,
  hits INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Where a journald source goes on.
CREATE TABLE cursors (source TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;
",
    "
-- Ids are random: each note wrote a page of this index. `explain` looks at all rows instead, of which there are few.
DROP INDEX history_by_alert;
",
    "
-- Of the first message that a template was learned from.
ALTER TABLE templates ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
-- How far each source has learned: JSON of alert::novelty::Learner.
CREATE TABLE learning (source TEXT PRIMARY KEY, life TEXT NOT NULL) WITHOUT ROWID;

-- A verdict of a model, or of a person (whose model is ''). The template's text makes a person's word on one host good
-- for another one, where the template may have grown otherwise.
ALTER TABLE verdicts ADD COLUMN template TEXT NOT NULL DEFAULT '';
-- What waits for the judge: the record that it is to see, as an alert without detectors.
DROP TABLE unjudged;
CREATE TABLE unjudged (
  source TEXT NOT NULL, template_hash TEXT NOT NULL, template TEXT NOT NULL, example TEXT NOT NULL,
  count INTEGER NOT NULL, first_seen_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL,
  PRIMARY KEY (source, template_hash)
) WITHOUT ROWID;
",
    "
ALTER TABLE verdicts ADD COLUMN threshold REAL;
",
    "
-- What several alerters are told is written once, and goes with the last delivery of it. A delivery to one alerter, or of
-- before, has its text in its own row. AUTOINCREMENT: a backup must not give a delivery the text of another.
CREATE TABLE payloads (id INTEGER PRIMARY KEY AUTOINCREMENT, payload TEXT NOT NULL);
ALTER TABLE outbox ADD COLUMN payload_id INTEGER;
ALTER TABLE outbox ADD COLUMN bytes INTEGER;
CREATE INDEX outbox_by_payload ON outbox (payload_id);
CREATE TRIGGER last_delivery AFTER DELETE ON outbox
WHEN NOT EXISTS (SELECT 1 FROM outbox WHERE payload_id = OLD.payload_id)
BEGIN
  DELETE FROM payloads WHERE id = OLD.payload_id;
END;
CREATE VIEW deliveries AS
SELECT seq, alerter, state, alert_id, fingerprint, severity, tries, error, created_ms,
  coalesce(bytes, octet_length(outbox.payload)) AS bytes,
  CASE WHEN payload_id IS NULL THEN outbox.payload ELSE coalesce(payloads.payload, '') END AS payload
FROM outbox LEFT JOIN payloads ON payloads.id = payload_id;
",
];

/// From this version on, texts of deliveries stand in a table of their own.
pub(super) const PAYLOADS_APART: i64 = 5;

/// The schema this program writes.
pub const VERSION: usize = MIGRATIONS.len();

/// Brings the database up to [`VERSION`]; the old one is kept as `state.db.v<N>.bak`. A newer schema is refused.
pub fn migrate(connection: &mut Connection, database: &Path) -> Result<()> {
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        bail!(
            "{}: its schema {version} is newer than this program's {VERSION}: start the newer program, or move the state away",
            database.display()
        );
    }
    if version == VERSION {
        return Ok(());
    }
    if version > 0 {
        let backup = database.with_extension(format!("db.v{version}.bak"));
        super::copy_database(connection, &backup).with_context(|| format!("keeping a copy as {}", backup.display()))?;
    }
    let transaction = connection.transaction()?;
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        transaction
            .execute_batch(migration)
            .with_context(|| format!("migration {number} of {}", database.display()))?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// A migration that does not fit what is there: the version is not what the tables say.
pub fn is_contradiction(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>());
    cause.and_then(rusqlite::Error::sqlite_error_code) == Some(rusqlite::ErrorCode::Unknown)
}
