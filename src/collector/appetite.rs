//! How much of a file is handed on at once: less where nearly every line is a finding.
//!
//! A chunk is committed whole, and all that was found in it is held until then: of 256 KiB of nothing but errors that is
//! 4,000 alerts, 20 MB in each place of the pipeline. The analyzers tell how many they found; the chunks that follow are
//! cut so that each holds about [`FINDINGS_WANTED`].

use std::sync::atomic::{AtomicUsize, Ordering};

/// Findings of one chunk: some MB with their context.
const FINDINGS_WANTED: usize = 256;
const CHUNK_MIN_BYTES: usize = 8 * 1024;
/// Before anything is known: some chunks are on their way before the first is digested.
const CHUNK_FIRST_BYTES: usize = 32 * 1024;
/// What one step reads at most, unless a single line may be longer.
pub const CHUNK_MAX_BYTES: usize = 256 * 1024;

/// Shared by the collector, who reads by it, and the analyzers, who tell what they found.
#[derive(Debug)]
pub struct Appetite {
    chunk_bytes: AtomicUsize,
}

impl Default for Appetite {
    fn default() -> Self {
        Self {
            chunk_bytes: AtomicUsize::new(CHUNK_FIRST_BYTES),
        }
    }
}

impl Appetite {
    /// Bytes of complete lines that the next chunk may hold.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes.load(Ordering::Relaxed)
    }

    /// A chunk of so many bytes gave so many findings. It shrinks at once and grows by doubling.
    pub fn digested(&self, bytes: usize, findings: usize) {
        let now = self.chunk_bytes();
        // Small chunks of quiet files say nothing about large ones.
        let next = if findings > FINDINGS_WANTED {
            now.min(bytes * FINDINGS_WANTED / findings)
        } else if findings * 2 <= FINDINGS_WANTED && bytes * 2 >= now {
            now.saturating_mul(2)
        } else {
            return;
        };
        self.chunk_bytes
            .store(next.clamp(CHUNK_MIN_BYTES, CHUNK_MAX_BYTES), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_shrink_where_all_is_found_and_grow_again_where_nothing_is() {
        let appetite = Appetite::default();
        for _ in 0..3 {
            appetite.digested(appetite.chunk_bytes(), 0);
        }
        assert_eq!(appetite.chunk_bytes(), CHUNK_MAX_BYTES);
        appetite.digested(CHUNK_MAX_BYTES, 4096);
        assert_eq!(appetite.chunk_bytes(), 16 * 1024);
        appetite.digested(16 * 1024, 256);
        assert_eq!(appetite.chunk_bytes(), 16 * 1024);
        // A line that is written now and then is no news of density.
        appetite.digested(60, 0);
        assert_eq!(appetite.chunk_bytes(), 16 * 1024);
        for _ in 0..4 {
            appetite.digested(appetite.chunk_bytes(), 0);
        }
        assert_eq!(appetite.chunk_bytes(), CHUNK_MAX_BYTES);
        appetite.digested(CHUNK_MAX_BYTES, 1_000_000);
        assert_eq!(appetite.chunk_bytes(), CHUNK_MIN_BYTES);
    }
}
