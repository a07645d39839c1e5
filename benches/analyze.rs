//! What finding and telling cost over a log made here: splitting, rules, templates, redaction, and the commit of alerts.
//!
//! `cargo bench --profile fast --bench analyze`; s/GiB = 1 / (GiB/s).

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use exception_log_collector::alert::redact::{Pattern, Redactor, Set};
use exception_log_collector::alert::{Alert, Composer, Kind, News};
use exception_log_collector::analyzer::electra::{Model, Scratch};
use exception_log_collector::analyzer::stream::{Analyzers, Seen, Stream};
use exception_log_collector::analyzer::template::{Known, Look, Tally};
use exception_log_collector::analyzer::{Rule, Settings, mask};
use exception_log_collector::collector::lines::Newline;
use exception_log_collector::collector::{Chunk, FileKey, Resume};
use exception_log_collector::record::{self, Level, Multiline};
use exception_log_collector::state::{Durability, State, outbox};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

#[path = "../tests/it/tiny_model.rs"]
#[expect(dead_code, reason = "tests make other models of it too")]
mod tiny_model;

fn main() {
    divan::main();
}

fn messages() -> Vec<String> {
    let message = |n: usize| match n % 4 {
        0 => format!("processed order {n} for customer {} in {} ms", n * 7, n % 250),
        1 => format!(
            "user {n} authenticated via oidc session={:012x} ttl={}s",
            n * 99_991,
            n % 90
        ),
        2 => format!(
            "GET /api/v2/items/{n}?page={}&size=50 -> status=200 bytes={n} took={}ms",
            n % 9,
            n % 250
        ),
        _ => format!(
            "Accepted publickey for deploy from 10.0.{}.{} port {n} ssh2",
            n % 256,
            n % 251
        ),
    };
    (0..20_000).map(message).collect()
}

fn log() -> String {
    let mut text = String::new();
    for (n, message) in messages().iter().enumerate() {
        writeln!(
            text,
            "2026-03-01 10:00:{:02},{:03} INFO  [http-{}] c.shop.Cart - {message}",
            n % 60,
            n % 1000,
            n % 16
        )
        .expect("a String takes everything");
    }
    text
}

#[divan::bench]
fn splits_lines(bencher: Bencher) {
    let text = log();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| memchr::memchr_iter(b'\n', black_box(text.as_bytes())).count());
}

#[divan::bench]
fn masks_messages(bencher: Bencher) {
    let messages = messages();
    bencher
        .counter(BytesCount::of_slice(messages.concat().as_bytes()))
        .bench(|| {
            messages
                .iter()
                .map(|message| mask::mask(message.as_bytes()).len())
                .sum::<usize>()
        });
}

#[divan::bench]
fn looks_templates_up(bencher: Bencher) {
    let messages = messages();
    let (mut tally, mut known) = (Tally::default(), Known::default());
    for message in &messages {
        if let Look::Unknown(unknown) = tally.look(message.as_bytes()) {
            known.insert(unknown.hash, None);
        }
    }
    tally.set_known(Arc::new(known));
    bencher
        .counter(BytesCount::of_slice(messages.concat().as_bytes()))
        .bench_local(move || {
            for message in &messages {
                black_box(tally.look(message.as_bytes()));
            }
            tally.take().records
        });
}

/// So many rules of which none matches, over whole chunks.
#[divan::bench(args = [1, 10, 100])]
fn asks_rules(bencher: Bencher, count: usize) {
    let rule = |number: usize| Rule {
        name: format!("rule-{number}").into(),
        pattern: regex::bytes::Regex::new(&format!("(Exception|Error){number}: |panic {number}")).expect("a pattern"),
        severity: Level::Error,
        overrides: false,
        sources: Vec::new(),
        fields: Vec::new(),
        threshold: None,
        absent_for: None,
    };
    let settings = Settings {
        rules: (0..count).map(rule).collect(),
        ..Settings::default()
    };
    let analyzers = Arc::new(Analyzers::new(&settings, "app", None, 5, 5));
    let record = record::Settings {
        format: record::Format::Plain,
        multiline: Multiline::Off,
        ..record::Settings::default()
    };
    let bytes = log().into_bytes();
    let chunk = Chunk {
        file: FileKey(0),
        offset: 0,
        end_offset: bytes.len() as u64,
        bytes,
        newline: Newline::Byte,
        cut: false,
        lag_bytes: 0,
        file_state: None,
    };
    let mut stream = Stream::new(analyzers, record, &Resume::default());
    bencher
        .counter(BytesCount::new(chunk.bytes.len()))
        .bench_local(move || {
            let see = &mut |seen: Seen<'_>| drop(black_box(seen));
            stream.feed(chunk.run(), 0, jiff::Timestamp::UNIX_EPOCH, see);
        });
}

#[divan::bench]
fn redacts_what_holds_no_secret(bencher: Bencher) {
    let redactor = Redactor::new(&[Pattern::Builtin(Set::Secrets)], b"key");
    let text: String = log().split_inclusive('\n').take(2000).collect();
    let records: Vec<&str> = text
        .as_bytes()
        .chunks(2000)
        .filter_map(|part| std::str::from_utf8(part).ok())
        .collect();
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
        let clean = |record: &&str| {
            let mut record = (*record).to_owned();
            redactor.redact(&mut record);
            record.len()
        };
        records.iter().map(clean).sum::<usize>()
    });
}

#[divan::bench]
fn scores_lines_by_a_tiny_model(bencher: Bencher) {
    let model = Model::from_bytes(&tiny_model::TinyModel::of_waves(&["user", "order", "in"]).bytes()).expect("a model");
    let messages: Vec<String> = messages().into_iter().take(100).collect();
    let mut scratch = Scratch::default();
    bencher.counter(ItemsCount::new(messages.len())).bench_local(move || {
        messages
            .iter()
            .map(|message| model.score(message, &mut scratch).score)
            .sum::<f64>()
    });
}

fn alert() -> Alert {
    let news = News {
        kind: Kind::Record,
        subject: &["bench"],
        occasion: "1",
        severity: Level::Error,
        title: "connection refused to 10.1.2.3:5432 attempt=3 pool=primary".to_owned(),
        text: Some("ERROR connection refused to 10.1.2.3:5432 attempt=3 pool=primary".to_owned()),
        place: None,
    };
    Composer::default().news(news, &BTreeMap::new(), jiff::Timestamp::UNIX_EPOCH)
}

/// Alerts in one transaction, synced.
#[divan::bench(args = [1, 15, 256])]
fn commits_alerts(bencher: Bencher, count: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut state, _) = State::open(directory.path()).expect("a state");
    let entry = outbox::Entry::of(alert().into());
    bencher.counter(ItemsCount::new(count)).bench_local(move || {
        let push = |connection: &rusqlite::Connection| {
            (0..count).try_for_each(|_| outbox::push(connection, "out", &entry, None, 0).map(drop))
        };
        state.commit(Durability::Full, push).expect("a commit");
    });
}
