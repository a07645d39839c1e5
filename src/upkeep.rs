//! The commands `state check`, `state backup` and `state restore`: what an administrator does with the state directory.
//!
//! `check` and `backup` only read, also beside a running service. `restore` needs the lock; what was there is kept aside.

use crate::config::Settings;
use crate::state::recover::{self, Contents};
use crate::state::{self, VERSION};
use anyhow::{Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    Check,
    Backup(PathBuf),
    Restore(PathBuf),
}

/// It answers, or failed: a damaged state fails `check`.
const FAILED: u8 = 1;

/// Does it; the exit status.
///
/// # Errors
/// There is no state, it is of a newer program, a service runs (`restore`), or files cannot be read or written.
pub fn run(settings: &Settings, question: &Question, out: &mut dyn Write) -> Result<u8> {
    let dir = &settings.state_dir;
    match question {
        Question::Check => check(dir, out),
        Question::Backup(target) => {
            must_exist(dir)?;
            state::copies::back_up(dir, target)?;
            let contents = recover::inspect(target)?;
            writeln!(out, "backed up to {}: {}", target.display(), say(&contents))?;
            Ok(0)
        }
        Question::Restore(source) => {
            let restored = state::copies::restore(dir, source)?;
            writeln!(out, "restored from {}: {}", source.display(), say(&restored.contents))?;
            if let Some(kept) = restored.set_aside {
                writeln!(out, "what was there is kept as {}", kept.display())?;
            }
            writeln!(
                out,
                "what was read since that backup is read again at the next start, and sent under the same ids"
            )?;
            Ok(0)
        }
    }
}

fn must_exist(dir: &Path) -> Result<()> {
    if !dir.join("state.db").exists() {
        bail!("no state in {}: nothing has run there yet", dir.display());
    }
    Ok(())
}

fn check(dir: &Path, out: &mut dyn Write) -> Result<u8> {
    must_exist(dir)?;
    let database = dir.join("state.db");
    let size = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |metadata| metadata.len());
    writeln!(
        out,
        "state      {} ({} KiB, {} KiB in its log)",
        database.display(),
        size("state.db") / 1024,
        size("state.db-wal") / 1024
    )?;
    let healthy = match recover::inspect(&database) {
        Ok(contents) => {
            let schema = contents.version;
            match schema.cmp(&VERSION) {
                std::cmp::Ordering::Equal => writeln!(out, "schema     {schema}")?,
                std::cmp::Ordering::Less => {
                    writeln!(out, "schema     {schema}: the next start brings it to {VERSION}")?
                }
                std::cmp::Ordering::Greater => writeln!(
                    out,
                    "schema     {schema}: newer than this program's {VERSION}, which refuses to start with it"
                )?,
            }
            writeln!(out, "integrity  ok")?;
            writeln!(out, "contents   {}", say(&contents))?;
            schema <= VERSION
        }
        Err(error) if recover::is_damage(&error) => {
            writeln!(out, "integrity  damaged: {error:#}")?;
            writeln!(
                out,
                "           the next start of the service recovers what can be read"
            )?;
            false
        }
        Err(error) => return Err(error),
    };
    let backup = dir.join("state.db.prev");
    let backup = match recover::inspect(&backup) {
        _ if !backup.exists() => "none yet: it is written every hour in which something was committed".to_owned(),
        Ok(contents) => format!("ok: {}", say(&contents)),
        Err(error) => format!("cannot be used: {error:#}"),
    };
    writeln!(out, "backup     {backup}")?;
    for bad in recover::set_aside_before(&dir.join("state.db")) {
        writeln!(out, "set aside  {bad}: a damaged state; remove it when nobody needs it")?;
    }
    Ok(if healthy { 0 } else { FAILED })
}

fn say(contents: &Contents) -> String {
    let Contents {
        files,
        groups,
        queued,
        parked,
        dead,
        version: _,
    } = contents;
    format!("{files} files, {groups} groups of alerts, deliveries: {queued} queued, {parked} parked, {dead} dead")
}
