//! What keeps the state well: commits that fail are tried again, damage is looked for, the backup is written.

use super::{GATHER_MAX, Keeper};
use crate::state::recover;
use anyhow::Result;
use std::time::{Duration, Instant};

/// How often `state.db.prev` is written, if anything was committed since.
const BACKUP_EVERY: Duration = Duration::from_secs(3600);

impl Keeper {
    /// # Errors
    /// The database is damaged: nothing can be mended while it is open.
    pub(super) fn commit_or_wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        let committed = match self.pending.damaged.take() {
            Some(error) => Err(error),
            None => self.commit(),
        };
        match committed {
            Ok(()) => {
                self.busy_until = Some(Instant::now() + begun.elapsed().min(GATHER_MAX));
                if self.pending.failed_at.take().is_some() {
                    log::info!("the state can be written again");
                }
            }
            Err(error) if recover::is_corrupt(&error) => {
                return Err(error.context("the state is damaged; the next start recovers what it can"));
            }
            Err(error) => {
                self.state.make_room();
                if self.pending.failed_at.replace(Instant::now()).is_none() {
                    log::error!("reading stops until the state can be written: {error:#}");
                }
            }
        }
        Ok(())
    }

    /// Touches `heartbeat` for the first time; while it runs main does, when all threads have answered.
    pub fn beat(&self) {
        if let Err(error) = std::fs::write(self.state.directory().join("heartbeat"), "") {
            log::warn!("the heartbeat cannot be written: {error}");
        }
    }

    /// What this thread has in its cache says nothing about the disk: another connection looks.
    pub(super) fn look_for_damage(&mut self) {
        let looked = recover::probe(self.state.directory());
        if let Err(error) = looked
            && recover::is_corrupt(&error)
        {
            self.pending.damaged = Some(error);
        }
    }

    pub(super) fn back_up_if_due(&mut self) {
        if self.backed_up.elapsed() < BACKUP_EVERY || self.pending.commits_since_backup == 0 {
            return;
        }
        self.backed_up = Instant::now();
        self.pending.commits_since_backup = 0;
        if let Err(error) = self.state.back_up() {
            log::warn!("{error:#}");
        }
    }
}
