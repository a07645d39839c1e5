//! A file that grows by any steps gives the same lines as when it is read at once.
#![no_main]

use exception_log_collector::collector::lines::{Limits, Newline, cut};
use libfuzzer_sys::fuzz_target;

/// The stretches that are handed on, cut into lines; what the reader has not seen yet is offered again.
fn read(file: &[u8], limits: Limits, step: usize) -> Vec<(usize, Vec<u8>)> {
    let mut lines = Vec::new();
    let (mut at, mut seen, mut skipping) = (0, 0_usize, false);
    loop {
        seen = file.len().min(seen.saturating_add(step));
        let ended = seen == file.len();
        // At least a window is offered, as callers promise.
        let end = if ended {
            seen
        } else {
            seen.max((at + limits.window_bytes()).min(file.len()))
        };
        let ended = end == file.len();
        let found = cut(&file[at..end], limits, skipping, ended);
        assert!(found.rest <= found.start && found.start <= found.end && found.end <= found.next);
        assert!(at + found.next <= end);
        let mut from = at + found.start;
        while from < at + found.end {
            let rest = &file[from..at + found.end];
            let len = limits.newline.first_end(rest).unwrap_or(rest.len());
            let text = limits.newline.trim_end(&rest[..len]);
            assert!(text.len() <= limits.max_line_bytes.max(limits.newline.width()) + 2 * limits.newline.width());
            lines.push((from, text.to_vec()));
            from += len;
        }
        skipping = found.skipping;
        at += found.next;
        if ended && found.next == 0 || at == file.len() {
            return lines;
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [kind, bound, step, file @ ..] = data else { return };
    let limits = Limits {
        newline: match kind % 3 {
            0 => Newline::Byte,
            1 => Newline::Utf16Le,
            _ => Newline::Utf16Be,
        },
        max_line_bytes: usize::from(*bound) + 4,
    };
    let whole = read(file, limits, usize::MAX);
    let pieces = read(file, limits, usize::from(*step) + 1);
    if !file.contains(&0) {
        assert_eq!(whole, pieces);
    }
});
