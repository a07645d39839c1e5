//! What the keeper does now and then, whatever comes: the backup of the state.

use super::Keeper;
use std::time::{Duration, Instant};

/// How often `state.db.prev` is written, if anything was committed since.
const BACKUP_EVERY: Duration = Duration::from_secs(3600);

impl Keeper {
    /// Touches `heartbeat` for the first time; while it runs main does, when all threads have answered.
    pub fn beat(&self) {
        if let Err(error) = std::fs::write(self.state.directory().join("heartbeat"), "") {
            log::warn!("the heartbeat cannot be written: {error}");
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
