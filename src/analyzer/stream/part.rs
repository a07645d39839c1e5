//! A file that is read in parts, by several streams at once: where one stands, and how its records leave at its end.

use super::super::context::Window;
use super::super::template::Known;
use super::{Run, Seen, Stream};
use crate::record::assemble;
use std::sync::Arc;

/// All that what follows depends on, but for the numbers of lines: where two streams stand alike, they make the same of
/// the same lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    assembler: assemble::Standing,
    history: Vec<u8>,
    /// Whether lines are left out from here on.
    settled: bool,
}

impl Stream {
    pub fn standing(&self) -> Standing {
        Standing {
            assembler: self.assembler.standing(),
            history: self.history.iter().copied().collect(),
            settled: self.looked_at >= super::LOOKED_AT_MIN_BYTES,
        }
    }

    /// The number of the next line.
    pub fn next_line(&self) -> u64 {
        self.assembler.next_line()
    }

    pub fn format_name(&self) -> &'static str {
        self.assembler.format_name()
    }

    /// Looks up masks in what was known lately: who reads ahead of others cannot know what these will find. So each
    /// unknown mask is brought again in each chunk, and whoever weighs them tells which of them are known by now.
    pub fn look_up(&mut self, known: Arc<Known>) {
        let tally = self.position.tally.get_or_insert_default();
        tally.set_known(known);
        tally.ask_in_each_chunk();
    }

    /// What was found so far is another's to tell; what is open stays.
    pub fn forget_found(&mut self) {
        self.position.waiting.clear();
        self.take_counts();
        self.take_signs();
    }

    /// Hands on what waits for its context: these lines follow, and another will read them.
    pub fn look_ahead(&mut self, next: Run<'_>, sink: &mut dyn FnMut(Seen<'_>)) {
        let window = Window {
            history: self.history.make_contiguous(),
            offset: next.offset,
            bytes: next.bytes,
        };
        self.position.look_after(&window, sink);
        self.position.hand_on(|_| true, sink);
    }
}
