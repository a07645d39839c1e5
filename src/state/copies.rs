//! Copies of the state by hand: a backup of a state that may be in use, and the way back.

use super::{Held, lock, open_read_only, recover, with_suffix};
use anyhow::{Context, Result, bail};
use recover::Contents;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Copies the state in `dir` to `target`, whole, also while a service writes. An older backup there is replaced.
///
/// # Errors
/// `target` is something else than a state, or cannot be written; the state cannot be read.
pub fn back_up(dir: &Path, target: &Path) -> Result<()> {
    let database = dir.join("state.db");
    if target.exists() {
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        if same(&fs::metadata(target)?, &fs::metadata(&database)?) {
            bail!("{} is the state itself", target.display());
        }
        if recover::inspect(target).is_err() {
            bail!("{} is there already, and is no backup of a state", target.display());
        }
    }
    let connection = open_read_only(&database)?;
    super::copy_database(&connection, target).with_context(|| format!("writing the backup {}", target.display()))
}

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    pub contents: Contents,
    /// What was there before.
    pub set_aside: Option<PathBuf>,
}

/// Puts a backup in the place of the state in `dir`; what was there is set aside.
///
/// # Errors
/// A service runs there; the backup is damaged or of a newer program; files cannot be written. Nothing was changed then.
pub fn restore(dir: &Path, source: &Path) -> Result<Restored> {
    let contents =
        recover::inspect(source).with_context(|| format!("{} is no backup that can be used", source.display()))?;
    if contents.version > super::VERSION {
        bail!(
            "{}: its schema {} is newer than this program's {}: restore it with the newer program",
            source.display(),
            contents.version,
            super::VERSION
        );
    }
    let _lock = match lock(dir)? {
        Ok(lock) => lock,
        Err(Held { pid }) => {
            let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            bail!("a service{who} runs on {}: stop it first", dir.display());
        }
    };
    let database = dir.join("state.db");
    let ready = with_suffix(&database, ".new");
    super::copy_database(&open_read_only(source)?, &ready).with_context(|| format!("copying {}", source.display()))?;
    // Root restores for a service of another user.
    let owner = fs::metadata(dir)?;
    std::os::unix::fs::chown(&ready, Some(owner.uid()), Some(owner.gid()))
        .or_else(|error| {
            if rustix::process::geteuid().is_root() {
                Err(error)
            } else {
                Ok(())
            }
        })
        .with_context(|| format!("giving {} to the owner of {}", ready.display(), dir.display()))?;
    let was_there = database.exists();
    let set_aside = recover::free_name(&database, "before-restore");
    recover::exchange(&database, &set_aside)?;
    Ok(Restored {
        contents,
        set_aside: was_there.then_some(set_aside),
    })
}
