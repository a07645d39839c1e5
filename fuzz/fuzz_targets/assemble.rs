//! Lines of any kind become records that cover every byte once, whatever the chunking.
#![no_main]

use exception_log_collector::record::{Assembler, Multiline, Settings};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static START: LazyLock<regex::bytes::Regex> = LazyLock::new(|| regex::bytes::Regex::new(r"^\S").expect("a pattern"));

/// Offset, end, continuation.
type Span = (u64, u64, bool);

fn spans(settings: &Settings, log: &[u8], chunk_bytes: usize) -> (Vec<Span>, Vec<u64>) {
    let mut assembler = Assembler::new(settings.clone(), 1, "");
    let (mut spans, mut lines) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < log.len() {
        let wanted = (at + chunk_bytes).min(log.len());
        let rest = log[wanted - 1..].iter().position(|byte| *byte == b'\n');
        let end = rest.map_or(log.len(), |len| wanted + len);
        let mut see = |record: exception_log_collector::record::Record<'_>,
                       reader: &exception_log_collector::record::format::LineReader| {
            assert!(record.place.offset < record.place.end_offset);
            assert!(record.text.len() <= settings.max_record_bytes, "longer than its bound");
            let _ = reader.details(
                record.text,
                record.body,
                "2026-11-23T06:00:01Z".parse().expect("a time"),
            );
            spans.push((record.place.offset, record.place.end_offset, record.continuation));
            match &record.place.line_numbers {
                Some(numbers) => lines.extend(numbers),
                None => lines.extend(record.place.first_line..=record.place.last_line),
            }
        };
        assembler.feed(&log[at..end], at as u64, false, 0, &mut see);
        at = end;
        let starts = assembler.open_starts();
        assert!(starts.iter().all(|start| *start < at as u64));
        if at == log.len() {
            assembler.close_all(&mut see);
        }
    }
    (spans, lines)
}

fuzz_target!(|data: &[u8]| {
    let [options, chunk, log @ ..] = data else { return };
    let settings = Settings {
        multiline: match options % 4 {
            0 | 1 => Multiline::Auto,
            2 => Multiline::Off,
            _ => Multiline::Start(START.clone()),
        },
        max_record_bytes: if options & 32 == 0 { 256 * 1024 } else { 48 },
        ..Settings::default()
    };
    let (mut whole, mut lines) = spans(&settings, log, usize::MAX / 2);
    let (mut pieces, _) = spans(&settings, log, usize::from(*chunk) + 1);
    whole.sort_unstable();
    pieces.sort_unstable();
    assert_eq!(whole, pieces);
    lines.sort_unstable();
    let count = log.split_inclusive(|byte| *byte == b'\n').count() as u64;
    assert!(lines.iter().copied().eq(1..=count), "{count} lines, told {lines:?}");
});
