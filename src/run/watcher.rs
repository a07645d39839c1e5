//! Told of what is done with which bytes, so that a test can abort there.

use crate::analyzer::stream::Seen;
use std::sync::OnceLock;

pub static WATCHER: OnceLock<fn(&str, &[u8])> = OnceLock::new();

pub fn watch(stage: &str, bytes: &[u8]) {
    WATCHER.get().into_iter().for_each(|watcher| watcher(stage, bytes));
}

/// A record is judged.
pub fn watch_judged(seen: &Seen<'_>) {
    match seen {
        Seen::Exceptional(found) | Seen::Unfamiliar(found) => watch("judge", found.text.as_bytes()),
        Seen::Unremarkable { record, .. } => watch("judge", record.text),
        Seen::Skipped(_) => {}
    }
}
