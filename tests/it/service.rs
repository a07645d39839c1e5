//! `run`, as somebody who types it meets it: alerts come, a second instance is told of the first, a stop ends it, and
//! the next start goes on where the last one was.

use crate::program::{Home, read_lossily, wait_until};
use crate::receiver::{Receiver, answer};
use std::fs::File;
use std::io::Write;

const ARCHIVE: &str = "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning}\n\
     alerters:\n  - {name: archive, send: each, file: {path: '{home}/alerts', format: raw}}\n";

fn append(home: &Home, lines: &str) {
    let mut options = File::options();
    let file = options.create(true).append(true).open(home.path("logs/app.log"));
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .expect("the log takes lines");
}

/// The lines that the alerter `archive` has written.
fn alerts(home: &Home) -> Vec<String> {
    read_lossily(&home.path("alerts")).lines().map(str::to_owned).collect()
}

#[test]
fn lines_written_while_it_runs_are_alerted_and_sigterm_ends_it_well() {
    let home = Home::new();
    home.configure(
        "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning}\n\
         alerters:\n  - {name: screen, console: {format: json}}\n",
    );
    let mut program = home.start(&["run"]);
    program.wait_until("it follows its folder", || home.path("state/control.sock").exists());
    append(
        &home,
        "2026-11-23 06:00:00 INFO order 1 paid\n2026-11-23 06:00:01 ERROR order 2 refused\n",
    );
    wait_until("the alert is on the screen", || program.stdout().ends_with('\n'));
    let printed = program.stdout();
    let alert: serde_json::Value = serde_json::from_str(&printed).expect("one alert, one line");
    assert_eq!(alert["text"], "2026-11-23 06:00:01 ERROR order 2 refused");
    assert_eq!(
        (&alert["status"], &alert["severity"]),
        (&"firing".into(), &"error".into())
    );
    assert_eq!(
        (&alert["source"]["name"], &alert["source"]["first_line"]),
        (&"app".into(), &2.into())
    );
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn a_second_instance_names_the_first_or_leaves_it_alone() {
    let home = Home::new();
    home.configure(ARCHIVE);
    let mut program = home.start(&["run"]);
    program.wait_until("it holds its state", || home.path("state/control.sock").exists());
    let refused = home.output(&["run", "--once"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains(&program.pid().to_string()),
        "no pid of the first in: {said}"
    );
    let content = home.output(&["run", "--single-instance"]);
    assert_eq!((content.status.code(), content.stderr), (Some(0), Vec::new()));
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn once_reads_what_is_new_since_the_last_time() {
    let home = Home::new();
    home.configure(ARCHIVE);
    append(&home, "ERROR first\nINFO nothing\n");
    let status = home.output(&["run", "--once"]).status;
    assert_eq!(
        (status.code(), alerts(&home)),
        (Some(0), vec!["ERROR first".to_owned()])
    );
    append(&home, "ERROR second\n");
    let status = home.output(&["run", "--once"]).status;
    assert_eq!(
        (status.code(), alerts(&home)),
        (Some(0), vec!["ERROR first".to_owned(), "ERROR second".to_owned()])
    );
    home.output(&["run", "--once"]);
    assert_eq!(alerts(&home).len(), 2, "nothing is new");
}

/// The threads that it passes through have small stacks.
#[test]
fn a_record_of_many_megabytes_is_told() {
    let home = Home::new();
    home.configure(&ARCHIVE.replace("read_from", "max_record: 16MiB, read_from"));
    append(&home, &format!("ERROR {}\nERROR second\n", "x ".repeat(6 << 20)));
    let output = home.output(&["run", "--once"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told = alerts(&home);
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with("ERROR x x ") && told[1] == "ERROR second",
        "{}",
        told[1]
    );
}

#[test]
fn a_line_begun_before_a_stop_is_whole_after_the_next_start() {
    let home = Home::new();
    home.configure(ARCHIVE);
    append(&home, "ERROR first\nERROR sec");
    let mut program = home.start(&["run"]);
    program.wait_until("the whole line is alerted", || !alerts(&home).is_empty());
    assert_eq!(program.stop().code(), Some(0));
    append(&home, "ond\n");
    let mut program = home.start(&["run"]);
    program.wait_until("the other line is alerted", || alerts(&home).len() > 1);
    assert_eq!(program.stop().code(), Some(0));
    assert_eq!(alerts(&home), ["ERROR first", "ERROR second"]);
}

#[test]
fn a_file_that_says_it_is_utf16_is_read_so_also_after_the_next_start() {
    let home = Home::new();
    home.configure(ARCHIVE);
    let append_utf16 = |text: &str| {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut options = File::options();
        let file = options.create(true).append(true).open(home.path("logs/app.log"));
        file.and_then(|mut file| file.write_all(&bytes))
            .expect("the log takes lines");
    };
    append_utf16("\u{feff}ERROR first \u{0a0a}\nINFO hal");
    assert_eq!(home.output(&["run", "--once"]).status.code(), Some(0));
    append_utf16("f\nERROR second\n");
    assert_eq!(home.output(&["run", "--once"]).status.code(), Some(0));
    assert_eq!(alerts(&home), ["ERROR first \u{0a0a}", "ERROR second"]);
}

#[test]
fn an_invalid_configuration_starts_nothing() {
    let home = Home::new();
    home.configure("sources:\n  - {name: app, path: ['{home}/logs/*.log']}\n");
    let output = home.output(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("config.yaml:3:"),
        "{output:?}"
    );
    assert!(
        !home.state_dir().exists(),
        "nothing is written before the configuration is valid"
    );
}

#[test]
fn a_webhook_that_is_down_then_busy_gets_everything_later_and_nothing_twice_but_under_the_same_key() {
    const ALERTS: usize = 12;
    // Nobody listens on this port yet: the receiver is down.
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = bound.expect("a free port");
    let home = Home::new();
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
         alerters:\n  - {{name: hook, send: each, min_severity: error, webhook: {{url: 'http://{address}/hook'}}}}\n"
    ));
    let lines: String = (0..ALERTS)
        .map(|n| format!("2026-11-23 06:00:{n:02} ERROR order {n} refused\n"))
        .collect();
    append(&home, &lines);
    let mut program = home.start(&["run"]);
    let status = || -> serde_json::Value {
        serde_json::from_slice(&home.output(&["status", "--json"]).stdout).unwrap_or_default()
    };
    program.wait_until("a try has failed", || {
        status()["alerters"][0]["failed"].as_u64() > Some(0)
    });
    let mut busy = 2;
    let receiver = Receiver::start_on(address, move |_| {
        busy -= i32::from(busy >= 0);
        answer(if busy >= 0 { 503 } else { 200 })
    });
    program.wait_until("all is delivered", || status()["alerters"][0]["delivered"] == ALERTS);
    assert_eq!(program.stop().code(), Some(0));
    let mut keys = Vec::new();
    for request in receiver.requests() {
        let id = request.json()["id"].as_str().expect("an id").to_owned();
        assert_eq!(request.header("Idempotency-Key"), Some(id.as_str()));
        keys.push(id);
    }
    assert_eq!(
        keys.len(),
        ALERTS + 2,
        "only what was answered by 503 came again: {keys:?}"
    );
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), ALERTS);
}

#[test]
fn an_open_trace_survives_a_kill_and_is_told_once_and_whole() {
    let home = Home::new();
    let configuration = ARCHIVE.replace("read_from: beginning", "read_from: beginning, flush_after: 30s");
    home.configure(&configuration.replace("format: raw", "format: json"));
    // From the outbox on delivery is at least once: what comes twice has the same id.
    let told = || {
        let lines = read_lossily(&home.path("alerts"));
        let mut texts: Vec<(String, String)> = Vec::new();
        for line in lines.lines().filter(|line| line.ends_with('}')) {
            let alert: serde_json::Value = serde_json::from_str(line).expect("one alert a line");
            let part = |key: &str| alert[key].as_str().expect("a text").to_owned();
            if !texts.iter().any(|(id, _)| *id == part("id")) {
                texts.push((part("id"), part("text")));
            }
        }
        texts.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    append(
        &home,
        "2026-11-23 06:00:00 ERROR first\n2026-11-23 06:00:01 ERROR checkout failed\n\
         java.lang.IllegalStateException: pool exhausted\n\tat com.example.Pool.take(Pool.java:41)\n",
    );
    let mut program = home.start(&["run"]);
    program.wait_until("what is closed is told", || told().len() == 1);
    program.kill();
    append(
        &home,
        "\tat com.example.Shop.pay(Shop.java:7)\n2026-11-23 06:00:02 ERROR last\n2026-11-23 06:00:03 INFO -\n",
    );
    let mut program = home.start(&["run"]);
    program.wait_until("the next is told", || told().len() == 3);
    assert_eq!(program.stop().code(), Some(0));
    assert_eq!(
        told(),
        [
            "2026-11-23 06:00:00 ERROR first",
            "2026-11-23 06:00:01 ERROR checkout failed\njava.lang.IllegalStateException: pool exhausted\n\
             \tat com.example.Pool.take(Pool.java:41)\n\tat com.example.Shop.pay(Shop.java:7)",
            "2026-11-23 06:00:02 ERROR last",
        ]
    );
}
