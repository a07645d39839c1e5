//! SIGHUP: a new configuration takes the place of the old one without a line lost or said twice; a bad one changes nothing,
//! and says so; an alerter that is down neither holds up a reload nor is deaf to it.

use crate::program::{Home, Program, read_lossily};
use crate::receiver::{Receiver, Reply, answer};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn append(home: &Home, name: &str, lines: &str) {
    append_to(&home.path("logs").join(name), lines);
}

fn append_to(path: &Path, lines: &str) {
    let mut options = File::options();
    let file = options.create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .expect("the log takes lines");
}

fn lines(home: &Home, name: &str) -> Vec<String> {
    read_lossily(&home.path(name)).lines().map(str::to_owned).collect()
}

/// Asked at its socket: the command `status` wants a valid configuration.
fn status(home: &Home) -> serde_json::Value {
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(home.path("state/control.sock"))?;
        stream.write_all(b"{\"command\":\"status\"}\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    answer["ok"].clone()
}

fn start(home: &Home) -> Program {
    let mut program = home.start(&["run"]);
    program.wait_until("it follows its folder", || home.path("state/control.sock").exists());
    program
}

/// Sends SIGHUP, and waits until the reload is through, whatever came of it.
#[track_caller]
fn reload(home: &Home, program: &mut Program) {
    let reloads = || status(home)["reloads"].as_u64();
    let before = reloads().expect("it answers");
    program.signal(Signal::HUP);
    program.wait_until("the reload is through", || reloads() > Some(before));
}

// From the beginning: the kernel stamps the birth of a file by its last tick, which may lie before the start.
const TO_FILE: &str = "sources:\n  - {name: app, paths: ['{home}/logs/app.log'], read_from: beginning}\n\
     alerters:\n  - {name: archive, send: each, file: {path: '{home}/alerts', format: raw}}\n";

#[test]
fn new_sources_rules_and_alerters_are_in_force_and_what_is_gone_is_still() {
    let home = Home::new();
    home.configure(TO_FILE);
    let mut program = start(&home);
    append(&home, "app.log", "INFO needle\nERROR first\n");
    program.wait_until("the first is told", || lines(&home, "alerts").len() == 1);
    home.configure(
        "sources:\n  - {name: app, paths: ['{home}/logs/app.log'], alert_at: fatal}\n  - {name: other, paths: ['{home}/logs/other.log'], labels: {team: pay}}\n\
         analyzers:\n  rules: [{name: needle, match: needle, severity: error}]\n\
         alerters:\n  - {name: second, send: each, file: {path: '{home}/second', format: json}}\n",
    );
    reload(&home, &mut program);
    append(&home, "app.log", "ERROR not any more\nINFO needle again\n");
    append(&home, "other.log", "ERROR from elsewhere\n");
    program.wait_until("both are told", || lines(&home, "second").len() == 2);
    assert_eq!(program.stop().code(), Some(0));
    let told: Vec<serde_json::Value> = lines(&home, "second")
        .iter()
        .map(|line| serde_json::from_str(line).expect("one alert a line"))
        .collect();
    let mut texts: Vec<_> = told
        .iter()
        .map(|alert| (alert["text"].as_str(), alert["labels"]["team"].as_str()))
        .collect();
    texts.sort_unstable();
    assert_eq!(
        texts,
        [
            (Some("ERROR from elsewhere"), Some("pay")),
            (Some("INFO needle again"), None)
        ]
    );
    assert_eq!(lines(&home, "alerts"), ["ERROR first"], "the old alerter is gone");
}

#[test]
fn a_bad_configuration_is_told_whole_and_the_old_one_goes_on() {
    let home = Home::new();
    home.configure(TO_FILE);
    let mut program = start(&home);
    let faults: String = (0..20).map(|n| format!("wrong_key_{n:02}: 1\n")).collect();
    home.configure(&format!("{TO_FILE}{faults}"));
    reload(&home, &mut program);
    for n in 0..20 {
        assert!(
            program.stderr().contains(&format!("wrong_key_{n:02}")),
            "{}",
            program.stderr()
        );
    }
    assert!(
        program.stderr().contains("the old settings stay"),
        "{}",
        program.stderr()
    );
    let said = status(&home);
    assert_eq!(said["config_reloaded"], false, "{said}");
    assert!(said["reasons"].to_string().contains("configuration"), "{said}");
    append(&home, "app.log", "ERROR still read\n");
    program.wait_until("it goes on", || lines(&home, "alerts").len() == 1);
    home.configure(TO_FILE);
    reload(&home, &mut program);
    assert_eq!(status(&home)["config_reloaded"], true);
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn what_needs_a_restart_is_named_and_a_renamed_source_loses_nothing() {
    let home = Home::new();
    home.configure(TO_FILE);
    let mut program = start(&home);
    append(&home, "app.log", "ERROR first\n");
    program.wait_until("the first is told", || lines(&home, "alerts").len() == 1);
    home.configure(&TO_FILE.replace("name: app", "name: shop"));
    let path = home.path("config.yaml");
    let elsewhere =
        read_lossily(&path).replace("/state\n", "/elsewhere\n") + "analyzers: {threads: 2}\nlog: {format: json}\n";
    fs::write(path, elsewhere).expect("the configuration is written");
    program.signal(Signal::HUP);
    append(&home, "app.log", "ERROR second\n");
    program.wait_until("it is reloaded", || program_says(&home, "in force"));
    append(&home, "app.log", "ERROR third\n");
    program.wait_until("all is told", || lines(&home, "alerts").len() == 3);
    for what in [
        "state_dir",
        "analyzers.threads",
        "the name of the source shop (was app)",
        "log changes",
    ] {
        assert!(program.stderr().contains(what), "{what}: {}", program.stderr());
    }
    assert_eq!(lines(&home, "alerts"), ["ERROR first", "ERROR second", "ERROR third"]);
    assert!(!home.path("elsewhere").exists());
    assert_eq!(program.stop().code(), Some(0));
}

fn program_says(home: &Home, text: &str) -> bool {
    read_lossily(&home.path("stderr.1")).contains(text)
}

#[test]
fn an_alerter_that_hangs_and_blocks_everything_is_replaced_or_removed_by_a_reload() {
    const ALERTS: usize = 3000;
    let hangs = Receiver::start(|_| Reply::Hang);
    let works = Receiver::start(|_| answer(200));
    let home = Home::new();
    let configuration = |url: &str| {
        format!(
            "sources:\n  - {{name: app, paths: ['{{home}}/logs/app.log'], read_from: beginning}}\n\
             alerters:\n  - {{name: hook, send: each, outbox: {{max_size: 1MiB, when_full: block}}, webhook: {{url: '{url}', timeout: 2s}}}}\n"
        )
    };
    home.configure(&configuration(&hangs.url("/")));
    let text: String = (0..ALERTS)
        .map(|n| format!("ERROR order {n} was refused by the bank\n"))
        .collect();
    append(&home, "app.log", &text);
    let mut program = start(&home);
    program.wait_until("its outbox is full and it hangs", || {
        hangs.count() > 0 && status(&home)["alerters"][0]["outbox_bytes"].as_u64() > Some(1024 * 1024)
    });
    home.configure(&configuration(&works.url("/")));
    program.signal(Signal::HUP);
    program.wait_until("everything comes by the new way", || works.count() >= ALERTS);
    assert!(
        program.stderr().contains("the new settings are in force"),
        "{}",
        program.stderr()
    );
    let mut ids: Vec<_> = works
        .requests()
        .iter()
        .map(|request| request.json()["id"].to_string())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), works.requests().len()), (ALERTS, ALERTS), "once each");
    home.configure(&configuration(&hangs.url("/")));
    reload(&home, &mut program);
    append(&home, "app.log", &text);
    program.wait_until("it is full again", || {
        status(&home)["alerters"][0]["outbox_bytes"].as_u64() > Some(1024 * 1024)
    });
    home.configure(TO_FILE);
    reload(&home, &mut program);
    append(&home, "app.log", "ERROR the last\n");
    program.wait_until("reading goes on", || {
        lines(&home, "alerts")
            .last()
            .is_some_and(|line| line == "ERROR the last")
    });
    let reason = "its alerter is no longer configured";
    let database = rusqlite::Connection::open(home.path("state/state.db")).expect("the state");
    let dead: u64 = database
        .query_row(
            "SELECT count(*) FROM outbox WHERE alerter = 'hook' AND state = 'dead' AND error = ?1",
            [reason],
            |row| row.get(0),
        )
        .expect("a count");
    assert!(dead > 0, "what was for it is dead, with the reason");
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn no_line_is_lost_or_said_twice_over_a_hundred_reloads_under_load() {
    const RELOADS: usize = 100;
    let home = Home::new();
    // Every second configuration has neither the source `b` nor its rule, another way of reading, and other alerters.
    let sources = |level: &str| {
        format!("  - {{name: a, paths: ['{{home}}/logs/a.log'], read_from: beginning, alert_at: {level}}}\n")
    };
    let archive = "  - {name: archive, send: each, outbox: {max_size: 64MiB, when_full: block}, file: {path: '{home}/alerts', format: raw}}\n";
    let one = format!(
        "sources:\n{}  - {{name: b, paths: ['{{home}}/logs/b.log'], read_from: beginning}}\nalerters:\n{archive}",
        sources("error")
    );
    let other = format!(
        "sources:\n{}alerters:\n{archive}  - {{name: second, file: {{path: '{{home}}/second'}}}}\n",
        sources("warn, max_record: 64KiB")
    );
    home.configure(&one);
    let mut program = start(&home);
    let (writing, logs) = (AtomicBool::new(true), home.path("logs"));
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0;
            while writing.load(Ordering::Relaxed) {
                for name in ["a", "b"] {
                    let text: String = (n..n + 10)
                        .map(|n| format!("ERROR {name} {n}\nINFO nothing {n}\n"))
                        .collect();
                    append_to(&logs.join(format!("{name}.log")), &text);
                }
                n += 10;
                crate::program::wait_until_or(std::time::Duration::from_millis(10), || false);
            }
            n
        });
        for turn in 1..=RELOADS {
            home.configure(if turn % 2 == 0 { &one } else { &other });
            reload(&home, &mut program);
        }
        writing.store(false, Ordering::Relaxed);
        writer.join().expect("the writer writes")
    });
    let expected = 2 * written;
    program.wait_until("all is told", || lines(&home, "alerts").len() >= expected);
    let mut told = lines(&home, "alerts");
    assert_eq!(program.stop().code(), Some(0));
    told.extend(lines(&home, "alerts").into_iter().skip(told.len()));
    for name in ["a", "b"] {
        let of: Vec<&String> = told
            .iter()
            .filter(|line| line.starts_with(&format!("ERROR {name} ")))
            .collect();
        let wanted: Vec<String> = (0..written).map(|n| format!("ERROR {name} {n}")).collect();
        assert_eq!(of.len(), wanted.len(), "{name}: as many as were written");
        assert!(of.into_iter().eq(&wanted), "{name}: each once, in order");
    }
}
