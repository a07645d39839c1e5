//! How fast a source is read: what `status` says of catching up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Speed is measured over so long.
const SPEED_WINDOW_MS: u64 = 5_000;

/// Bytes a second over the last while, told at any time.
#[derive(Debug)]
pub struct Speed {
    since: Instant,
    window_began_ms: AtomicU64,
    window_bytes: AtomicU64,
    last_per_s: AtomicU64,
}

impl Default for Speed {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            window_began_ms: AtomicU64::new(0),
            window_bytes: AtomicU64::new(0),
            last_per_s: AtomicU64::new(0),
        }
    }
}

impl Speed {
    pub fn add(&self, bytes: u64) {
        self.window_bytes.fetch_add(bytes, Ordering::Relaxed);
        let age_ms = self.age_ms();
        if age_ms >= SPEED_WINDOW_MS {
            // Two threads at once: one of them measures a moment only. The next window tells better.
            let bytes = self.window_bytes.swap(0, Ordering::Relaxed);
            self.window_began_ms.fetch_add(age_ms, Ordering::Relaxed);
            self.last_per_s.store(bytes * 1000 / age_ms, Ordering::Relaxed);
        }
    }

    pub fn per_s(&self) -> u64 {
        let (age_ms, bytes) = (self.age_ms(), self.window_bytes.load(Ordering::Relaxed));
        let last = self.last_per_s.load(Ordering::Relaxed);
        if age_ms < SPEED_WINDOW_MS && last > 0 {
            return last;
        }
        bytes * 1000 / age_ms.max(1)
    }

    fn age_ms(&self) -> u64 {
        let now_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        now_ms.saturating_sub(self.window_began_ms.load(Ordering::Relaxed))
    }
}
