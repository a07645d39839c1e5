//! One line in every format: no text is lost, and what a person sees of it can always be had.
#![no_main]

use exception_log_collector::analyzer::mask;
use exception_log_collector::analyzer::stream::keep;
use exception_log_collector::record::{Assembler, Format, Level, Settings};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PATTERN: LazyLock<regex::bytes::Regex> = LazyLock::new(|| {
    regex::bytes::Regex::new(r"^(?P<timestamp>\S+) (?P<level>\w+) (?P<thread>\S+) (?P<message>.*)").expect("a pattern")
});

fuzz_target!(|line: &[u8]| {
    if line.contains(&b'\n') {
        return;
    }
    let now = "2026-11-23T06:00:01Z".parse().expect("a time");
    let formats = [
        Format::Auto,
        Format::Plain,
        Format::Json,
        Format::Logfmt,
        Format::Syslog,
        Format::Cri,
        Format::Docker,
        Format::Regex(PATTERN.clone()),
    ];
    for format in formats {
        let settings = Settings {
            format,
            ..Settings::default()
        };
        let mut assembler = Assembler::new(settings, 1, "");
        let mut told = 0;
        let mut see = |record: exception_log_collector::record::Record<'_>,
                       reader: &exception_log_collector::record::format::LineReader| {
            told += record.text.len();
            let details = reader.details(record.text, record.body, now);
            let kept = keep(&record, details, Vec::new(), Level::Info);
            assert_eq!(kept.fingerprint.len(), 16);
            let _ = mask::mask(kept.details.message.as_bytes());
        };
        assembler.feed(line, 7, false, 0, &mut see);
        assembler.close_all(&mut see);
        let returns = line.len() - line.strip_suffix(b"\r").unwrap_or(line).len();
        assert_eq!(told + returns, line.len());
    }
});
