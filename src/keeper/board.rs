//! What the keeper has published for the analyzers: which masks of a source are known. They look into it and never wait.

use crate::analyzer::template::Known;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Held for as long as it takes to swap or to copy one `Arc`.
#[derive(Debug, Default)]
pub struct Board {
    known: RwLock<BTreeMap<Arc<str>, Arc<Known>>>,
    /// What is known of a source at first.
    nothing: Arc<Known>,
}

impl Board {
    pub fn new(nothing: Known) -> Self {
        Self {
            nothing: Arc::new(nothing),
            ..Self::default()
        }
    }

    pub fn nothing(&self) -> Arc<Known> {
        self.nothing.clone()
    }

    /// The newest of a source.
    pub fn known(&self, source: &str) -> Arc<Known> {
        // A panic ends the process: nobody is left to find the lock poisoned.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(source).unwrap_or(&self.nothing).clone()
    }

    pub fn publish(&self, source: &Arc<str>, known: Arc<Known>) {
        let mut board = self.known.write().unwrap_or_else(PoisonError::into_inner);
        board.insert(source.clone(), known);
    }
}
