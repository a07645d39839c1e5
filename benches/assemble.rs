//! The assembler and the mask over logs made here: without traces, where they must cost next to nothing, and with.

use divan::Bencher;
use divan::counter::BytesCount;
use exception_log_collector::analyzer::mask;
use exception_log_collector::record::{Assembler, Multiline, Settings};
use std::fmt::Write;

const CHUNK_BYTES: usize = 256 * 1024;

fn main() {
    divan::main();
}

/// An application's log; every `trace_every`-th record is an error with a stack trace (0: none).
fn log(trace_every: usize) -> String {
    let mut text = String::new();
    for n in 0..40_000 {
        let second = n % 60;
        writeln!(
            text,
            "2026-03-01 10:00:{second:02},{:03} INFO  [http-{}] c.shop.Cart - added article {n} to cart {} in {} ms",
            n % 1000,
            n % 16,
            n * 7,
            n % 90
        )
        .ok();
        if trace_every > 0 && n % trace_every == 0 {
            writeln!(text, "2026-03-01 10:00:{second:02},999 ERROR [http-1] c.shop.Pay - payment {n} failed\ncom.shop.PayException: declined").ok();
            for line in 0..20 {
                writeln!(text, "\tat com.shop.Pay$Inner.charge{line}(Pay.java:{line})").ok();
            }
        }
    }
    text
}

fn assemble(text: &str, settings: &Settings) -> u64 {
    let mut assembler = Assembler::new(settings.clone(), 1, "");
    let (mut records, mut at) = (0, 0);
    while at < text.len() {
        let end = text
            .as_bytes()
            .get(..at + CHUNK_BYTES)
            .and_then(|head| memchr::memrchr(b'\n', head))
            .map_or(text.len(), |end| end + 1);
        assembler.feed(&text.as_bytes()[at..end], at as u64, false, 0, |record, _| {
            records += record.place.end_offset
        });
        at = end;
    }
    assembler.close_all(|record, _| records += record.place.end_offset);
    records
}

#[divan::bench(args = [0, 100, 1])]
fn joins_traces(bencher: Bencher, trace_every: usize) {
    let text = log(trace_every);
    let settings = Settings::default();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| assemble(&text, &settings));
}

/// The same without joining: the difference to `joins_traces` is what the grammar costs.
#[divan::bench(args = [0, 100, 1])]
fn reads_lines_only(bencher: Bencher, trace_every: usize) {
    let text = log(trace_every);
    let settings = Settings {
        multiline: Multiline::Off,
        ..Settings::default()
    };
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| assemble(&text, &settings));
}

#[divan::bench]
fn masks(bencher: Bencher) {
    let text = log(0);
    let lines: Vec<&[u8]> = text
        .lines()
        .map(|line| &line.as_bytes()[44.min(line.len())..])
        .collect();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| lines.iter().fold(0u64, |sum, line| sum ^ mask::hash(line)));
}
