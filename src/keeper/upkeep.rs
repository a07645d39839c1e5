//! What the keeper does now and then, whatever comes: the heartbeat file, and the backup of the state.

use super::{HEARTBEAT_EVERY, Keeper};
use std::time::{Duration, Instant};

/// How often `state.db.prev` is written, if anything was committed since.
const BACKUP_EVERY: Duration = Duration::from_secs(3600);

impl Keeper {
    /// Touches `heartbeat`, also when idle or blocked: it says that this thread answers.
    pub fn beat(&mut self) {
        if self.beaten.is_some_and(|at| at.elapsed() < HEARTBEAT_EVERY) {
            return;
        }
        self.beaten = Some(Instant::now());
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
