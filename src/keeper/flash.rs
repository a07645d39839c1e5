//! What the state costs the flash: bytes that this thread, its one writer, gave the disk to write.
//!
//! Source: `write_bytes` of `/proc/thread-self/io` (proc(5)), which counts pages as they are dirtied. Where the kernel does
//! not tell (no task I/O accounting), it stays 0.

use super::Keeper;

impl Keeper {
    /// Brings the counter up to date, and returns it. To be called by the keeper's own thread.
    pub(super) fn count_written(&self) -> u64 {
        let written = std::fs::read_to_string("/proc/thread-self/io").ok();
        if let Some(bytes) = written.as_deref().and_then(write_bytes) {
            self.metrics.state_written_bytes.set(bytes);
        }
        self.metrics.state_written_bytes.get()
    }
}

fn write_bytes(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("write_bytes:"))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_line_of_the_disk_is_read_and_not_that_of_the_cache() {
        let text =
            "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n";
        assert_eq!(super::write_bytes(text), Some(4096));
    }
}
