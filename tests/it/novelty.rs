//! Novelty, as a user meets it: a source learns, a message never seen before is told once, a new release is one digest.

use crate::program::{Home, program_path, read_lossily};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;

// Each line is a record at once, so that what is appended together comes together.
const LEARNED_AT_ONCE: &str = "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning, multiline: off}\n\
     analyzers:\n  novelty: {learn_for: 1ms}\n\
     alerts: {context: {wait: 0s}}\n\
     alerters:\n  - {name: archive, send_resolved: false, file: {path: '{home}/alerts', format: json}}\n";

fn append(home: &Home, lines: &str) {
    let mut options = File::options();
    let file = options.create(true).append(true).open(home.path("logs/app.log"));
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .expect("the log takes lines");
}

/// Reads what was appended, and gives all alerts so far.
fn once(home: &Home) -> Vec<Value> {
    let output = home.output(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let alerts = read_lossily(&home.path("alerts"));
    let alert = |line: &str| serde_json::from_str(line).expect("one alert a line");
    alerts.lines().map(alert).collect()
}

fn detectors(alert: &Value) -> Vec<String> {
    let detectors = alert["detectors"].as_array().into_iter().flatten();
    detectors
        .map(|detector| detector["analyzer"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_message_never_seen_before_is_told_once_and_known_after_a_restart() {
    let home = Home::new();
    home.configure(LEARNED_AT_ONCE);
    append(
        &home,
        "2026-11-23 06:00:00 INFO order 1 paid\n2026-11-23 06:00:01 INFO order 2 refused\n",
    );
    assert!(once(&home).is_empty(), "it learns");
    append(
        &home,
        "2026-11-23 06:00:02 INFO order 3 paid\n2026-11-23 06:00:03 INFO disk sda2 is failing\n",
    );
    let alerts = once(&home);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = &alerts[0];
    assert_eq!(
        (&alert["message"], &alert["severity"], &alert["level"], &alert["status"]),
        (
            &"disk sda2 is failing".into(),
            &"warn".into(),
            &"info".into(),
            &"firing".into()
        )
    );
    assert_eq!(detectors(alert), ["novelty"]);
    append(
        &home,
        "2026-11-23 06:00:04 INFO disk sda7 is failing\n2026-11-23 06:00:05 INFO order 9 paid\n",
    );
    assert_eq!(once(&home).len(), 1, "the same message with other numbers is known");
    append(&home, "2026-11-23 06:00:06 ERROR order 5 lost in the mail\n");
    let alerts = once(&home);
    assert_eq!(alerts.len(), 2, "one alert for what two analyzers found");
    assert_eq!(detectors(&alerts[1]), ["level", "novelty"]);
}

#[test]
fn a_new_release_is_ten_alerts_and_one_digest() {
    let home = Home::new();
    home.configure(LEARNED_AT_ONCE);
    append(&home, "2026-11-23 06:00:00 INFO order 1 paid\n");
    assert!(once(&home).is_empty());
    let words = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"];
    let mut release = String::new();
    for (n, word) in words.iter().enumerate() {
        for other in words {
            // No two differ in one word only: each is a message of its own.
            writeln!(
                release,
                "2026-11-23 06:00:0{n} INFO {word} {other}ing {other}{word} of {word}s"
            )
            .expect("a string");
        }
    }
    append(&home, &release);
    let alerts = once(&home);
    let kinds = |kind: &str| alerts.iter().filter(|alert| alert["kind"] == kind).count();
    assert_eq!((kinds("record"), kinds("digest")), (10, 1), "{alerts:#?}");
    let digest = alerts.iter().find(|alert| alert["kind"] == "digest").expect("a digest");
    assert!(
        digest["title"]
            .as_str()
            .is_some_and(|title| title.starts_with("app: 11 messages never seen")),
        "{digest}"
    );
}

#[test]
fn a_fresh_host_is_quiet_about_what_it_never_saw() {
    let home = Home::new();
    home.configure(&LEARNED_AT_ONCE.replace("{learn_for: 1ms}", "{}"));
    let mut log = String::new();
    for n in 0..3_000 {
        let word = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu"][n % 7];
        writeln!(
            log,
            "2026-11-23 06:00:00 INFO {word}{} went {n} times",
            "o".repeat(n % 60)
        )
        .expect("a string");
    }
    append(&home, &log);
    assert!(once(&home).is_empty(), "everything is new on a fresh host");
    append(&home, "2026-11-23 06:00:00 INFO something else altogether\n");
    assert!(once(&home).is_empty(), "3,001 records within a minute teach too little");
}

#[test]
fn scan_shows_the_rarest_and_the_newest_and_finds_news_where_the_log_is_long_enough() {
    let home = Home::new();
    let mut log = String::new();
    for n in 0..20_000 {
        // Four hours.
        let (hour, minute, second) = (n / 5_000, n % 5_000 * 60 / 5_000, n % 60);
        writeln!(
            log,
            "2026-11-23 0{hour}:{minute:02}:{second:02} INFO request {n} took {} ms",
            n % 97
        )
        .expect("a string");
        if n == 500 {
            log.push_str("2026-11-23 00:06:00 INFO parity bit flipped in bank 7, password=Xq7horse9staple\n");
        }
        if n == 18_000 {
            log.push_str("2026-11-23 03:36:00 INFO disk sda2 is failing\n");
        }
    }
    append(&home, &log);
    let path = home.path("logs/app.log");
    let scan = |arguments: &[&str]| {
        let mut command = std::process::Command::new(program_path());
        let output = command
            .arg("scan")
            .arg(&path)
            .args(arguments)
            .output()
            .expect("it starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = scan(&[]);
    let rarest = text.find("Rarest of 3 kinds of messages").expect("a heading");
    let newest = text.find("Newest").expect("a heading");
    assert!(text[rarest..newest].contains("parity bit flipped in bank 7"), "{text}");
    assert!(text[newest..].contains("disk sda2 is failing"), "{text}");
    assert!(!text[newest..].contains("parity"), "{text}");
    let page = home.path("page.html");
    scan(&["--html", page.to_str().expect("a path")]);
    let page = std::fs::read_to_string(page).expect("a page");
    for want in ["\"rarest\":[", "parity bit flipped in bank 7", "disk sda2 is failing"] {
        assert!(page.contains(want), "no {want} on the page");
    }
    for shown in [&text, &page] {
        assert!(!shown.contains("Xq7horse9staple"), "what is shown is redacted");
    }
    let found = scan(&["--json"]);
    let found: Vec<Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["message"], "disk sda2 is failing");
    assert_eq!(detectors(&found[0]), ["novelty"]);
}
