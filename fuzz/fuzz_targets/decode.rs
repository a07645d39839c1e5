//! Any bytes in any encoding become the same text in any chunking, and valid UTF-8 wherever they are decoded.
#![no_main]

use encoding_rs::Encoding;
use exception_log_collector::collector::lines::Newline;
use exception_log_collector::record::{Assembler, Multiline, Settings};
use libfuzzer_sys::fuzz_target;

/// What may be configured as a list; UTF-16 stands alone.
const LISTS: [&[&str]; 8] = [
    &["utf-16le"],
    &["utf-16be"],
    &["utf-8", "gb18030"],
    &["gb18030"],
    &["utf-8", "windows-1252"],
    &["shift_jis"],
    &["big5", "euc-kr"],
    &["iso-8859-1"],
];

/// Texts with their places; the lines are fed in runs of so many at once.
fn texts(settings: &Settings, newline: Newline, log: &[u8], at_once: usize) -> (Vec<(u64, u64, Vec<u8>)>, u64) {
    let mut assembler = Assembler::new(settings.clone(), 1, "");
    assembler.follow(newline);
    let (mut texts, mut at) = (Vec::new(), 0);
    while at < log.len() {
        let mut end = at;
        for _ in 0..at_once.min(log.len()) {
            end += newline.first_end(&log[end..]).unwrap_or(log.len() - end);
        }
        let mut see = |record: exception_log_collector::record::Record<'_>,
                       _: &exception_log_collector::record::format::LineReader| {
            assert!(std::str::from_utf8(record.text).is_ok(), "{:?} is no UTF-8", record.text);
            texts.push((record.place.offset, record.place.end_offset, record.text.to_vec()));
        };
        assembler.feed(&log[at..end], at as u64, false, 0, &mut see);
        at = end;
        if at == log.len() {
            assembler.close_all(&mut see);
        }
    }
    texts.sort_unstable();
    (texts, assembler.take_odd_counts().replaced_bytes)
}

fuzz_target!(|data: &[u8]| {
    let [list, at_once, log @ ..] = data else { return };
    let labels = LISTS[usize::from(*list) % LISTS.len()].iter();
    let encodings: Vec<&'static Encoding> = labels.filter_map(|label| Encoding::for_label(label.as_bytes())).collect();
    let newline = match usize::from(*list) % LISTS.len() {
        0 => Newline::Utf16Le,
        1 => Newline::Utf16Be,
        _ => Newline::Byte,
    };
    let settings = Settings {
        multiline: Multiline::Off,
        encodings,
        ..Settings::default()
    };
    let whole = texts(&settings, newline, log, usize::MAX);
    let pieces = texts(&settings, newline, log, usize::from(*at_once) + 1);
    assert_eq!(whole, pieces);
});
