//! Silences: what is found is counted, nobody is told, and what still fires when a silence ends is told then.

use crate::program::{Home, Program, read_lossily, wait_until};
use serde_json::Value;
use std::fs::File;
use std::io::Write;

const TWO_WAYS: &str = "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning, flush_after: 100ms}\n\
     analyzers:\n  rules:\n    - {name: pool, match: 'pool exhausted', severity: error}\n\
     alerters:\n  - {name: each, send: each, file: {path: '{home}/each', format: json}}\n  \
     - {name: grouped, file: {path: '{home}/grouped', format: json}}\n";

fn append(home: &Home, lines: &str) {
    let mut options = File::options();
    let file = options.create(true).append(true).open(home.path("logs/app.log"));
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .expect("the log takes lines");
}

fn told(home: &Home, alerter: &str) -> Vec<Value> {
    let text = read_lossily(&home.path(alerter));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a whole line of JSON"))
        .collect()
}

fn told_messages(home: &Home, alerter: &str) -> Vec<(String, u64, String)> {
    let text = |alert: &Value, key: &str| alert[key].as_str().expect("a text").to_owned();
    told(home, alerter)
        .iter()
        .map(|alert| {
            let count = alert["count"].as_u64().expect("a count");
            (text(alert, "status"), count, text(alert, "message"))
        })
        .collect()
}

fn said(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let output = home.output(arguments);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn json(home: &Home, arguments: &[&str]) -> Value {
    let output = home.output(arguments);
    assert!(
        output.status.code() != Some(2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn hits(home: &Home) -> Vec<u64> {
    let listed = json(home, &["silence", "list", "--json"]);
    let all = listed["silences"].as_array().expect("a list").clone();
    all.iter()
        .map(|silence| silence["hits"].as_u64().expect("a count"))
        .collect()
}

fn start(home: &Home, configuration: &str) -> Program {
    home.configure(configuration);
    let mut program = home.start(&["run"]);
    program.wait_until("it listens", || home.path("state/control.sock").exists());
    program
}

#[test]
fn what_is_silenced_is_counted_and_told_when_the_silence_is_removed() {
    let home = Home::new();
    let program = start(&home, TWO_WAYS);
    let added = json(
        &home,
        &[
            "silence",
            "add",
            "--rule",
            "pool",
            "--for",
            "7d",
            "--comment",
            "upgrade",
            "--json",
        ],
    );
    let id = added["added"]["id"].as_str().expect("an id").to_owned();
    append(
        &home,
        "ERROR pool exhausted\nERROR pool exhausted\nERROR pool exhausted\nERROR disk is gone\n",
    );
    wait_until("all four were seen", || {
        told(&home, "grouped").len() == 1 && hits(&home) == [3]
    });
    let disk = ("firing".to_owned(), 1, "disk is gone".to_owned());
    assert_eq!(told_messages(&home, "grouped"), std::slice::from_ref(&disk));
    assert_eq!(told_messages(&home, "each"), std::slice::from_ref(&disk));
    let status = json(&home, &["status", "--json"]);
    assert_eq!(status["alerts"]["suppressed"]["silence"], 3, "{status}");
    assert_eq!(status["alerts"]["silences"], 1, "{status}");
    let (_, listed) = said(&home, &["silence", "list"]);
    assert!(
        listed.contains(&id) && listed.contains("rule=pool") && listed.contains("upgrade"),
        "{listed}"
    );

    assert_eq!(said(&home, &["silence", "remove", &id]).0, Some(0));
    let pool = ("firing".to_owned(), 3, "pool exhausted".to_owned());
    wait_until("what still fires is told", || told(&home, "grouped").len() == 2);
    assert_eq!(told_messages(&home, "grouped"), [disk.clone(), pool]);
    assert_eq!(
        told_messages(&home, "each"),
        [disk],
        "records are not told after the event"
    );
    append(&home, "ERROR pool exhausted\n");
    wait_until("from then on records are told", || told(&home, "each").len() == 2);
    assert!(program.stop().success());
}

#[test]
fn a_silence_ends_by_itself_and_is_gone() {
    let home = Home::new();
    let program = start(&home, TWO_WAYS);
    assert_eq!(
        said(&home, &["silence", "add", "--source", "app", "--for", "3s"]).0,
        Some(0)
    );
    append(&home, "ERROR pool exhausted\n");
    wait_until("it was seen, or the silence has ended", || hits(&home) != [0]);
    wait_until("what still fires is told", || told(&home, "grouped").len() == 1);
    assert_eq!(
        said(&home, &["silence", "list"]),
        (Some(0), "nothing is silenced\n".to_owned())
    );
    assert!(program.stop().success());
}

#[test]
fn silences_are_kept_and_need_no_service() {
    let home = Home::new();
    home.configure(TWO_WAYS);
    let (code, text) = said(&home, &["silence", "add", "--severity", "error", "--for", "forever"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("severity<=error is silent for ever"), "{text}");
    append(&home, "ERROR disk is gone\nFATAL the end\n");
    assert!(home.output(&["run", "--once"]).status.success());
    assert_eq!(
        told_messages(&home, "grouped"),
        [("firing".to_owned(), 1, "the end".to_owned())],
        "what is worse is told"
    );
    assert_eq!(hits(&home), [1]);
    append(&home, "ERROR disk is gone\n");
    assert!(home.output(&["run", "--once"]).status.success());
    assert_eq!((hits(&home), told(&home, "grouped").len()), (vec![2], 1));
}

#[test]
fn the_configuration_silences_for_fleets() {
    let home = Home::new();
    let silences = "alerts:\n  silences:\n    - {rule: pool, comment: known}\n    \
                    - {source: app, until: 2026-01-01T00:00:00Z}\n";
    home.configure(&format!("{TWO_WAYS}{silences}"));
    append(&home, "ERROR pool exhausted\nERROR disk is gone\n");
    assert!(home.output(&["run", "--once"]).status.success());
    let disk = ("firing".to_owned(), 1, "disk is gone".to_owned());
    assert_eq!(
        told_messages(&home, "grouped"),
        std::slice::from_ref(&disk),
        "the second is over"
    );
    assert_eq!(hits(&home), [1]);
    append(&home, "ERROR pool exhausted\n");
    assert!(home.output(&["run", "--once"]).status.success());
    assert_eq!(hits(&home), [2], "its hits go on");
    let listed = json(&home, &["silence", "list", "--json"]);
    let id = listed["silences"][0]["id"].as_str().expect("an id").to_owned();
    let (code, text) = said(&home, &["silence", "remove", &id]);
    assert_eq!(code, Some(1));
    assert!(text.contains("alerts.silences"), "{text}");

    home.configure(TWO_WAYS);
    assert!(home.output(&["run", "--once"]).status.success());
    assert_eq!(hits(&home), [] as [u64; 0]);
    let pool = ("firing".to_owned(), 2, "pool exhausted".to_owned());
    assert_eq!(told_messages(&home, "grouped"), [disk, pool], "it still fires");
}

#[test]
fn a_silence_of_nothing_or_of_everything_is_refused() {
    let home = Home::new();
    home.configure(TWO_WAYS);
    for (arguments, code, part) in [
        (&["silence", "add", "--for", "7d"][..], 2, "FINGERPRINT"),
        (&["silence", "add", "--rule", "pool"], 2, "--for"),
        (
            &["silence", "add", "--rule", "pol", "--for", "7d"],
            1,
            "no rule is named `pol`",
        ),
        (&["silence", "add", "--source", "ap", "--for", "7d"], 1, "there are app"),
        (
            &["silence", "add", "nonsense", "--for", "7d"],
            2,
            "16 hexadecimal digits",
        ),
        (&["silence", "add", "--label", "x", "--for", "7d"], 2, "KEY=VALUE"),
        (&["silence", "add", "--rule", "pool", "--for", "7"], 2, "forever"),
        (&["silence", "remove"], 2, "ID"),
    ] {
        let (got, text) = said(&home, arguments);
        assert_eq!(got, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
    assert!(!home.state_dir().exists());
}
