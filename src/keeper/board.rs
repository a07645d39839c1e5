//! What the keeper has published for the analyzers: which masks of a source are known. They look into it and never wait.

use crate::analyzer::template::Known;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Held for as long as it takes to swap or to copy one `Arc`.
#[derive(Debug, Default)]
pub struct Board(RwLock<BTreeMap<Arc<str>, Arc<Known>>>);

impl Board {
    /// The newest of a source.
    pub fn known(&self, source: &str) -> Arc<Known> {
        // A panic ends the process: nobody is left to find the lock poisoned.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(source).cloned().unwrap_or_default()
    }

    pub fn publish(&self, source: &Arc<str>, known: Arc<Known>) {
        let mut board = self.0.write().unwrap_or_else(PoisonError::into_inner);
        board.insert(source.clone(), known);
    }
}
