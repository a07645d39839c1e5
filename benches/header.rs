//! What understanding a line costs: `LineReader::read` over logs made here, beside mere line splitting.
//!
//! `cargo bench --profile fast --bench header`; s/GiB = 1 / (GiB/s).

use divan::counter::BytesCount;
use exception_log_collector::record::Settings;
use exception_log_collector::record::format::LineReader;
use std::fmt::Write;

const LINES: usize = 20_000;

#[derive(Debug, Clone, Copy)]
enum Log {
    Java,
    Access,
    Syslog,
    Json,
    Frames,
    Docker,
    Mixed,
}

const LOGS: [Log; 7] = [
    Log::Java,
    Log::Access,
    Log::Syslog,
    Log::Json,
    Log::Frames,
    Log::Docker,
    Log::Mixed,
];

fn line(log: Log, n: usize, text: &mut String) {
    let (minute, second, micro) = (n / 60 % 60, n % 60, n * 997 % 1_000_000);
    let level = ["INFO ", "INFO ", "DEBUG", "TRACE", "WARN "][n % 5];
    let written = match log {
        Log::Java => writeln!(
            text,
            "2026-11-23T06:{minute:02}:{second:02}.{micro:06}Z {level} [http-exec-{}] com.acme.orders.OrderService - processed order {n} for customer {} in {} ms req={n:08x}",
            n % 64,
            n * 7,
            n % 250
        ),
        Log::Access => writeln!(
            text,
            "10.1.{}.{} - - [23/Nov/2026:06:{minute:02}:{second:02} +0000] \"GET /static/{n:012x}.js HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0\"",
            n % 256,
            n % 251,
            n % 90_000
        ),
        Log::Syslog => writeln!(
            text,
            "Nov 23 06:{minute:02}:{second:02} web-{:02} sshd[{}]: Accepted publickey for deploy from 10.0.1.{} port 40022 ssh2",
            n % 40,
            400 + n % 9000,
            n % 256
        ),
        Log::Json => writeln!(
            text,
            "{{\"ts\":\"2026-11-23T06:{minute:02}:{second:02}.{micro:06}Z\",\"level\":\"INFO\",\"logger\":\"com.acme.Order\",\"trace_id\":\"{n:032x}\",\"msg\":\"processed order {n} in {} ms\"}}",
            n % 250
        ),
        Log::Frames => writeln!(
            text,
            "\tat com.acme.orders.OrderService.call(OrderService.java:{})",
            n % 900
        ),
        Log::Docker => writeln!(
            text,
            "{{\"log\":\"06:{minute:02}:{second:02} INFO [main] com.acme.Order - processed \\\"order\\\" {n}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-23T06:{minute:02}:{second:02}.{micro:09}Z\"}}"
        ),
        Log::Mixed => {
            let kind = match n % 100 {
                0..15 => Log::Json,
                15..33 => Log::Access,
                33..43 => Log::Syslog,
                43..48 => Log::Frames,
                _ => Log::Java,
            };
            return line(kind, n, text);
        }
    };
    written.expect("a String takes everything");
}

fn log(kind: Log) -> String {
    let mut text = String::new();
    for n in 0..LINES {
        line(kind, n, &mut text);
    }
    text
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    memchr::memchr_iter(b'\n', text).map(move |end| {
        let line = &text[at..end];
        at = end + 1;
        line
    })
}

#[divan::bench(args = [Log::Mixed])]
fn split_only(bencher: divan::Bencher, kind: Log) {
    let text = log(kind);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| lines(divan::black_box(text.as_bytes())).map(<[u8]>::len).sum::<usize>());
}

#[divan::bench(args = LOGS)]
fn read(bencher: divan::Bencher, kind: Log) {
    let text = log(kind);
    let settings = Settings::default();
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let mut reader = LineReader::new(&settings, "");
        lines(divan::black_box(text.as_bytes()))
            .filter(|line| reader.read(line).level.is_some())
            .count()
    });
}

fn main() {
    divan::main();
}
