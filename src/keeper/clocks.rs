//! The clocks of an alert's life, and how readings of an earlier boot are carried over.

use super::pending;
use crate::alert::book::{self, CarryOver, Now};
use crate::state::State;
use anyhow::Result;

/// Both clocks of an alert's life.
pub(super) fn now() -> Now {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let since_boot_ms =
        u64::try_from(boot.tv_sec).unwrap_or(0) * 1000 + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000_000;
    let wall = jiff::Timestamp::now();
    Now {
        boot_ms: book::BEFORE_BOOT_MS + since_boot_ms,
        // Milliseconds say enough, and are what people read.
        wall: wall.round(jiff::Unit::Millisecond).unwrap_or(wall),
    }
}

/// Which boot clock readings belong to; empty where the kernel does not tell.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_string())
        .unwrap_or_default()
}

/// From which boot the times of the state are, if from another.
pub(super) fn carry_over(state: &State, boot_id: &str, now: Now) -> Result<Option<CarryOver>> {
    let clocks: Option<(String, u64, jiff::Timestamp)> = state
        .meta(pending::CLOCKS)?
        .map(|value| serde_json::from_str(&value))
        .transpose()?;
    let other = clocks.filter(|(written_boot, ..)| written_boot != boot_id);
    Ok(other.map(|(_, boot_ms, wall)| CarryOver {
        written: Now { boot_ms, wall },
        now,
    }))
}
