//! The collector driven step by step from outside its thread: for careful reading after aborts, before the service starts.

use super::{Chunk, Collector, Event, FileKey};
use std::time::Instant;

impl Collector {
    /// Reads the next chunk of a file that [`Collector::first_sight`] found. None: nothing is left to read now, or the
    /// file is no longer what it was, which is the service's business.
    pub fn read_chunk(&mut self, file: FileKey) -> Option<Chunk> {
        /// Steps without a chunk: an archive passes over what is known.
        const STEPS_MAX: usize = 1_000;
        for _ in 0..STEPS_MAX {
            self.files.out.clear();
            let mut buffer = Vec::new();
            self.files.read(file, &mut buffer, Instant::now());
            let mut is_last = !self.files.is_queued(file);
            for event in self.files.out.drain(..) {
                match event {
                    Event::Chunk(chunk) if chunk.file == file => return Some(chunk),
                    Event::Closed { file: closed, .. } if closed == file => is_last = true,
                    Event::Opened(_)
                    | Event::Chunk(_)
                    | Event::Changed { .. }
                    | Event::Closed { .. }
                    | Event::Forgotten(_)
                    | Event::Reload(_)
                    | Event::Ping(..) => {}
                }
            }
            if is_last {
                break;
            }
        }
        None
    }

    /// Moves bytes of a chunk that counted as handed on to what is lost, in the ledger of its file.
    pub fn lose_of(&mut self, chunk: &mut Chunk, reason: &'static str, bytes: u64) {
        if let Some(file) = self.files.files.get_mut(&chunk.file) {
            let ledger = &mut file.state.ledger;
            ledger.handed_on = ledger.handed_on.saturating_sub(bytes);
            ledger.lose(reason, bytes);
            chunk.file_state = Some(Box::new(file.state.clone()));
        }
    }
}
