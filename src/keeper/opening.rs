//! A file that is read from now on: compared with what the state holds of it, so that only news are written and told.

use super::{File, Keeper, now};
use crate::alert::window::FileClock;
use crate::collector::{FileKey, Opened};
use crate::state::checkpoints::{self, Checkpoint};
use std::time::Instant;

impl Keeper {
    pub(super) fn open_file(&mut self, key: FileKey, opened: Box<Opened>) {
        if self.files.contains_key(&key) {
            return;
        }
        let lag_bytes = opened.unread_bytes();
        let Opened {
            source,
            path,
            resume,
            file_state,
            row,
            ..
        } = *opened;
        // A row that cannot be read is written anew.
        let stored = row.and_then(|row| checkpoints::one(self.state.connection(), row).ok()?);
        let unread = file_state.size_seen > resume.committed_to;
        let mut checkpoint = Checkpoint {
            source: source.to_string(),
            path,
            resume,
            file_state,
            updated_ms: stored
                .as_ref()
                .map_or_else(|| now().wall.as_millisecond(), |stored| stored.updated_ms),
        };
        let is_news = stored.as_ref() != Some(&checkpoint);
        let after = checkpoint.file_state.clone();
        if let Some(stored) = stored {
            checkpoint.file_state.ledger = stored.file_state.ledger;
        }
        self.files.insert(
            key,
            Box::new(File {
                row,
                checkpoint,
                source,
                clock: FileClock::default(),
                lag_bytes,
                unread_since: unread.then(Instant::now),
                closed: false,
            }),
        );
        // What went with the power is known before the first byte is read.
        self.tell_losses(key, &after);
        if let Some(known) = self.files.get_mut(&key) {
            known.checkpoint.file_state = after;
        }
        if is_news {
            self.pending.touch(key);
        }
    }
}
