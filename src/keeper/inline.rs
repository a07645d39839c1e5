//! The keeper driven step by step, before its thread runs: for careful reading after aborts.

use super::{Batch, Keeper};
use crate::alert::tidings::Loss;
use crate::alert::{Kind, News, SourcePlace};
use crate::collector::ledger::lost;
use crate::collector::{FileKey, FileState};
use crate::record::Level;
use crate::state::State;
use anyhow::Result;

impl Keeper {
    /// Takes a batch without writing it down.
    pub fn hold(&mut self, batch: Batch) {
        self.take_batch(batch);
    }

    /// Writes down what is held.
    pub fn write(&mut self) -> Result<()> {
        self.commit()
    }

    /// An outbox that is asked to block the reading is full.
    pub fn is_blocked(&mut self) -> bool {
        !self.may_take()
    }

    pub fn into_state(self) -> State {
        self.state
    }

    /// A record that made the process abort is skipped: an alert with its place. `state` is that of the file, with the
    /// loss in its ledger.
    pub fn tell_poison(&mut self, file: FileKey, (from, to): (u64, u64), state: &FileState) {
        let Some(known) = self.files.get_mut(&file) else { return };
        known.checkpoint.file_state.ledger.lost.clone_from(&state.ledger.lost);
        let (source, path) = (
            known.source.clone(),
            known.checkpoint.path.to_string_lossy().into_owned(),
        );
        let file_id = state.id.clone().unwrap_or_else(|| path.clone());
        log::error!(
            "{path}: the bytes {from} to {to} made the process abort again and again: they are skipped, and count as lost"
        );
        let told = Loss {
            path: &path,
            bytes: to - from,
            reason: lost::POISON,
        };
        let wording = &self.composer.wording;
        let news = News {
            kind: Kind::Loss,
            subject: &["loss", &source, lost::POISON],
            occasion: &format!("{file_id} {from}"),
            severity: Level::Error,
            title: told.title(wording),
            text: told.text(wording),
            place: Some(SourcePlace {
                name: source.to_string(),
                path: path.clone(),
                first_line: None,
                last_line: None,
                offset: from,
                end_offset: to,
                line_numbers: None,
            }),
        };
        self.tell_news(news, &source);
    }
}
