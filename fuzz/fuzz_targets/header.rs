//! The head of any line lies within it, and says the same of the same.
#![no_main]

use exception_log_collector::record::header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let head = header::scan(line);
    assert!(head.len <= line.len());
    assert_eq!(head, header::scan(line));
    if let Some(stamp) = head.stamp {
        let now = "2026-11-23T06:00:01Z".parse().expect("a time");
        let _ = stamp.resolve(&exception_log_collector::record::Zone::Local.rules(), now);
    }
});
