//! Chaos: findings are written while the program and its real servers are killed and come back, again and again.
//!
//! With `send: each` every alert must have reached every alerter at least once, a duplicate shows itself by its id; the
//! counts of grouped messages must add up. CI runs it small; `scripts/chaos` runs it long, on the release program.

use crate::broker::Broker;
use crate::program::{Home, Program, read_lossily, wait_until_or};
use crate::servers::{Certificates, kafka as kafka_folder, skipped, venv_python};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What CI runs; raised by `ELC_CHAOS_FINDINGS` and `ELC_CHAOS_KILLS`.
const FINDINGS: u64 = 2_000;
const KILLS: u64 = 12;
/// Distinct kinds of findings: each is a group.
const KINDS: u64 = 37;
/// The longest back-off after so short an outage is far below.
const PATIENCE: Duration = Duration::from_secs(180);

/// A receiver that writes down what it acknowledges.
struct Sink {
    python: PathBuf,
    way: &'static str,
    port: u16,
    file: PathBuf,
    child: Option<Child>,
}

impl Sink {
    fn start(python: &Path, way: &'static str, file: PathBuf) -> Self {
        let mut sink = Self {
            python: python.to_path_buf(),
            way,
            port: 0,
            file,
            child: None,
        };
        sink.revive();
        sink
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
    }

    /// On the port that it had.
    fn revive(&mut self) {
        let mut child = Command::new(&self.python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/sink.py"))
            .args([self.way, &self.port.to_string()])
            .arg(&self.file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let mut port = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut port).expect("a port");
        self.port = port.trim().parse().expect("a port");
        self.child = Some(child);
    }

    fn lines(&self) -> Vec<String> {
        read_lossily(&self.file).lines().map(str::to_owned).collect()
    }

    /// How many lines; cheaper than to read them.
    fn count(&self) -> u64 {
        let text = std::fs::read(&self.file).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count() as u64
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.kill();
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn configure(home: &Home, http: u16, grouped: u16, smtp: u16, kafka: u16) {
    let outbox = "catch_up: all, outbox: {max_size: 1GiB}";
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning, flush_after: 200ms}}\n\
         alerts: {{repeat_after: 2s, resolve_after: 4s}}\n\
         alerters:\n\
         \u{20} - {{name: http, send: each, {outbox}, webhook: {{url: 'http://127.0.0.1:{http}/each'}}}}\n\
         \u{20} - {{name: grouped, {outbox}, webhook: {{url: 'http://127.0.0.1:{grouped}/grouped'}}}}\n\
         \u{20} - {{name: mail, send: each, min_severity: warn, {outbox}, email: {{smtp: '127.0.0.1:{smtp}', tls: none, from: elc@example.org, to: [ops@example.org]}}}}\n\
         \u{20} - {{name: bus, send: each, {outbox}, kafka: {{brokers: ['127.0.0.1:{kafka}'], topic: chaos}}}}\n"
    ));
}

/// Appends findings numbered `from..to`.
fn write(home: &Home, from: u64, to: u64) {
    let mut text = String::new();
    for n in from..to {
        let kind: String = (n % KINDS)
            .to_string()
            .bytes()
            .map(|digit| char::from(digit - b'0' + b'a'))
            .collect();
        text.push_str(&format!(
            "2026-11-23 06:00:00 ERROR stage {kind}stage refused order {n}\n"
        ));
    }
    let mut options = File::options();
    let file = options.create(true).append(true).open(home.path("logs/app.log"));
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .expect("the log takes lines");
}

fn id_of(text: &str) -> String {
    let alert: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    alert["id"].as_str().expect("an id").to_owned()
}

/// The id within `<id@host>`.
fn id_of_mail(message_id: &str) -> String {
    message_id
        .trim_start_matches('<')
        .split('@')
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Every order was told to the webhook under an id of its own; the ids.
fn ids_of_orders(lines: &[String], findings: u64) -> BTreeSet<String> {
    let mut orders: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let alert: Value = serde_json::from_str(line).expect("JSON");
        let text = alert["text"].as_str().expect("a text");
        let order = text.rsplit(' ').next().and_then(|word| word.parse().ok());
        orders.entry(order.expect("an order")).or_default().insert(id_of(line));
    }
    let missing: Vec<u64> = (0..findings)
        .filter(|order| !orders.contains_key(order))
        .take(10)
        .collect();
    assert!(missing.is_empty(), "never told of the orders {missing:?} …");
    let ids: BTreeSet<String> = orders.values().flatten().cloned().collect();
    assert_eq!(ids.len() as u64, findings, "one id for each order");
    ids
}

/// The sum of the counts of all messages, each id once.
fn counted(lines: &[String]) -> u64 {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines {
        let alert: Value = serde_json::from_str(line).expect("JSON");
        counts.insert(id_of(line), alert["count"].as_u64().expect("a count"));
    }
    counts.values().sum()
}

#[test]
fn everything_arrives_everywhere_whatever_is_killed() {
    let (Some(python), Some(jars)) = (venv_python(), kafka_folder()) else {
        return skipped("no Python with aiosmtpd, or no Apache Kafka");
    };
    let (findings, kills) = (number("ELC_CHAOS_FINDINGS", FINDINGS), number("ELC_CHAOS_KILLS", KILLS));
    let seed = number("ELC_CHAOS_SEED", fastrand::u64(..));
    eprintln!("ELC_CHAOS_SEED={seed}: {kills} kills over {findings} findings");
    let mut random = fastrand::Rng::with_seed(seed);
    let home = Home::new();
    let mut broker = Broker::start(jars, &Certificates::new());
    let mut sinks = [
        Sink::start(&python, "http", home.path("http")),
        Sink::start(&python, "http", home.path("grouped")),
        Sink::start(&python, "smtp", home.path("smtp")),
    ];
    configure(&home, sinks[0].port, sinks[1].port, sinks[2].port, broker.port());
    let begun = Instant::now();
    let mut program: Option<Program> = Some(home.start(&["run"]));
    let mut tally: BTreeMap<&str, u32> = BTreeMap::new();
    for kill in 0..kills {
        write(&home, findings * kill / kills, findings * (kill + 1) / kills);
        // Somewhere within what this share gives, or when nothing gets on.
        let (before, reached) = (sinks[0].count(), random.u64(0..findings / kills));
        wait_until_or(Duration::from_secs(3), || sinks[0].count() >= before + reached);
        // Each of them at first, then as it comes.
        let victim = if kill < 5 { kill } else { random.u64(0..9) };
        let pause = Duration::from_millis(random.u64(0..1500));
        let name = match victim {
            0 if random.bool() => {
                broker.hold();
                wait_until_or(pause, || false);
                broker.go_on();
                "kafka (held)"
            }
            0 => {
                broker.kill();
                wait_until_or(pause, || false);
                broker.restart();
                "kafka"
            }
            1..=3 => {
                let sink = &mut sinks[usize::try_from(victim).expect("small") - 1];
                sink.kill();
                wait_until_or(pause, || false);
                sink.revive();
                sink.way
            }
            _ => {
                program.take().expect("it runs").kill();
                program = Some(home.start(&["run"]));
                "the program"
            }
        };
        *tally.entry(name).or_default() += 1;
    }
    let mut program = program.expect("it runs");
    let empty = |home: &Home| {
        let listed = home.output(&["outbox", "list", "--json"]).stdout;
        let listed: Value = serde_json::from_slice(&listed).unwrap_or_default();
        listed["deliveries"].as_array().is_some_and(Vec::is_empty)
    };
    let done = |home: &Home, sinks: &[Sink; 3]| {
        sinks[0].count() >= findings
            && sinks[2].count() >= findings
            && counted(&sinks[1].lines()) >= findings
            && empty(home)
    };
    let mut seen = 0;
    while !wait_until_or(PATIENCE, || done(&home, &sinks)) {
        let now = sinks.iter().map(Sink::count).sum();
        assert!(
            now > seen && !program.has_ended(),
            "no progress; it said:\n{}",
            program.stderr()
        );
        seen = now;
    }
    let seconds = begun.elapsed().as_secs_f64();
    assert!(program.stop().success());

    let posted = sinks[0].lines();
    let ids = ids_of_orders(&posted, findings);
    let mails: Vec<String> = sinks[2].lines().iter().map(|line| id_of_mail(line)).collect();
    let records: Vec<String> = broker.consumed("chaos").iter().map(|(_, value)| id_of(value)).collect();
    for (name, told) in [("mail", &mails), ("kafka", &records)] {
        let told: BTreeSet<String> = told.iter().cloned().collect();
        assert_eq!(told.len(), ids.len(), "{name}");
        assert_eq!(told, ids, "{name}: the same ids as by webhook");
    }
    assert_eq!(counted(&sinks[1].lines()), findings, "the counts of the groups add up");
    eprintln!(
        "killed {tally:?} within {seconds:.0} s; duplicates: webhook {}, mail {}, kafka {}; grouped: {} messages",
        posted.len() - ids.len(),
        mails.len() - ids.len(),
        records.len() - ids.len(),
        sinks[1].count()
    );
}
