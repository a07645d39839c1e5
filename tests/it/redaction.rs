//! Secrets of the prepared list: in no output, in no byte of the state, not in the program's own log.

use crate::program::{Home, read_lossily};
use crate::receiver::{Receiver, answer};
use std::fmt::Write as _;
use std::fs;

/// Each line is JSON: a text, and the part of it that must never be seen; `¦` is not there.
fn samples() -> Vec<(String, String)> {
    let lines = include_str!("../fixtures/redact/secrets.jsonl").lines();
    let whole = |line: &str| serde_json::from_str(&line.replace('¦', "")).expect("a text and its secret");
    lines.map(whole).collect()
}

/// What a file holds as it stands, and with the escapes of JSON undone.
fn readings(bytes: &[u8]) -> [String; 2] {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let unescaped = text.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\");
    [text, unescaped]
}

#[test]
fn no_secret_of_the_list_leaves_the_host_or_is_kept_on_it() {
    let samples = samples();
    let receiver = Receiver::start(|_| answer(200));
    let home = Home::new();
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
         analyzers:\n  rules:\n    - {{name: all, match: 'sample (?P<rest>.*)', severity: error}}\n\
         alerters:\n\
         \x20 - {{name: screen, send: each, console: {{format: text}}}}\n\
         \x20 - {{name: raw, send: each, file: {{path: '{{home}}/raw', format: raw}}}}\n\
         \x20 - {{name: archive, send: each, file: {{path: '{{home}}/alerts', format: json}}}}\n\
         \x20 - {{name: hook, send: each, webhook: {{url: '{}'}}}}\n\
         \x20 - {{name: dead, send: each, webhook: {{url: 'http://127.0.0.1:1/'}}}}\n\
         log: {{level: trace}}\n",
        receiver.url("/hook")
    ));
    // Unremarkable lines keep the middle of a secret over several lines out of its neighbours' context, where nobody
    // could know what it belongs to.
    let quiet = "2026-11-23 06:00:00,000 INFO  nothing to see\n".repeat(6);
    let mut log = String::new();
    for (n, (text, _)) in samples.iter().enumerate() {
        let around = if text.contains('\n') { quiet.as_str() } else { "" };
        if around.is_empty() {
            _ = writeln!(log, "2026-11-23 06:00:00,{:03} INFO  context {n}: {text}", n % 1000);
        }
        _ = writeln!(
            log,
            "{around}2026-11-23 06:00:01,{:03} ERROR sample {n}: {text}",
            n % 1000
        );
        log.push_str(around);
    }
    log.push_str("2026-11-23 06:00:02,000 ERROR the end of all\n");
    fs::write(home.path("logs/app.log"), log).expect("the log is written");

    let mut program = home.start(&["run"]);
    program.wait_until("all was told", || {
        read_lossily(&home.path("alerts")).contains("the end of all")
            && program_said(&home).contains("the end of all")
            && read_lossily(&home.path("raw")).contains("the end of all")
            && receiver
                .requests()
                .iter()
                .any(|request| String::from_utf8_lossy(&request.body).contains("the end of all"))
    });
    let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in fs::read_dir(home.state_dir()).expect("a state") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            kept.push((path.display().to_string(), fs::read(&path).expect("readable")));
        }
    }
    kept.push(("own log".to_owned(), program.stderr().into_bytes()));
    assert_eq!(program.stop().code(), Some(0));
    kept.push(("screen".to_owned(), program_said(&home).into_bytes()));
    for name in ["alerts", "raw"] {
        kept.push((name.to_owned(), fs::read(home.path(name)).expect("written")));
    }
    let bodies: Vec<u8> = receiver
        .requests()
        .into_iter()
        .flat_map(|request| request.body)
        .collect();
    kept.push(("webhook".to_owned(), bodies));
    let log = home.path("logs/app.log");
    let log = log.to_str().expect("a path of ours");
    kept.push(("scan".to_owned(), home.output(&["scan", log]).stdout));
    kept.push(("scan --json".to_owned(), home.output(&["scan", "--json", log]).stdout));

    let told = read_lossily(&home.path("alerts")).lines().count();
    assert!(told > samples.len(), "each sample is an alert of its own: {told}");
    let mut seen = Vec::new();
    for (place, bytes) in &kept {
        assert!(
            !bytes.is_empty()
                || place.ends_with("lock")
                || place.ends_with("heartbeat")
                || place.ends_with("-wal")
                || place == "own log",
            "{place} is empty"
        );
        for reading in readings(bytes) {
            for (text, secret) in samples.iter().filter(|(_, secret)| reading.contains(secret.as_str())) {
                seen.push(format!("{place}: {secret} of {text}"));
            }
        }
    }
    seen.sort();
    seen.dedup();
    assert!(seen.is_empty(), "{} are seen:\n{}", seen.len(), seen.join("\n"));
}

fn program_said(home: &Home) -> String {
    read_lossily(&home.path("stdout.1"))
}
