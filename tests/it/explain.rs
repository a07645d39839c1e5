//! `explain`: each stage's word on an alert, a fingerprint, a line of a log, a line that is only typed.

use crate::program::{Home, wait_until};
use crate::receiver::{Receiver, answer};
use serde_json::Value;

const LOG: &str = "2026-11-23 06:00:00 INFO start\n\
     2026-11-23 06:00:01 ERROR checkout failed password=hunter22\n\
     java.lang.IllegalStateException: pool main exhausted\n\
     \tat shop.Pool.take(Pool.java:10)\n\
     2026-11-23 06:00:02 WARN connection reset by peer\n\
     {\"level\":\"info\",\"msg\":\"GET /x\",\"status\":404}\n";

fn home() -> (Home, Receiver) {
    let home = Home::new();
    let receiver = Receiver::start(|_| answer(503));
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], exclude: ['old*'], read_from: beginning}}\n  \
         - {{name: db, paths: ['{{home}}/db/*.log'], alert_at: fatal}}\n\
         analyzers:\n  rules:\n    - {{name: pool, match: 'pool \\w+ exhausted', severity: error}}\n    \
         - {{name: server, match: 'GET', severity: error, fields: {{status: '^5'}}}}\n    \
         - {{name: deadlock, match: 'deadlock', severity: fatal, sources: [db]}}\n  ignore: ['connection reset']\n\
         alerters:\n  - {{name: archive, file: {{path: '{{home}}/alerts', format: json}}}}\n  \
         - {{name: ops, webhook: {{url: '{}'}}}}\n  \
         - {{name: pager, min_severity: fatal, console: {{format: text}}}}\n",
        receiver.url("/hook")
    ));
    std::fs::write(home.path("logs/app.log"), LOG).expect("the log takes lines");
    (home, receiver)
}

fn explain(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let output = home.output(&[&["explain"], arguments].concat());
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn explained(home: &Home, arguments: &[&str]) -> Value {
    let (code, text) = explain(home, &[arguments, &["--json"]].concat());
    assert_eq!(code, Some(0), "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The line of the text form that begins with this stage and holds this word.
#[track_caller]
fn has(text: &str, stage: &str, word: &str) {
    let line = text.lines().find(|line| line.starts_with(stage) && line.contains(word));
    assert!(line.is_some(), "no `{stage} … {word}` in:\n{text}");
}

#[test]
fn every_stage_has_its_word_on_a_line_of_a_log() {
    let (home, _receiver) = home();
    assert!(home.output(&["run", "--once"]).status.success());
    let (code, text) = explain(&home, &["logs/app.log:4"]);
    assert_eq!(code, Some(0), "{text}");
    has(&text, "source", "app");
    has(&text, "place", "lines 2 to 4");
    has(&text, "read", "yes");
    has(&text, "format", "a stack trace (java)");
    has(&text, "timestamp", "2026-11-23 06:00:01");
    has(&text, "level", "error: exceptional from warn on");
    has(&text, "rule", "pool: matches: error");
    has(&text, "rule", "server: does not match");
    has(&text, "rule", "deadlock: is for other sources");
    has(&text, "verdict", "exceptional, severity error");
    has(&text, "alerter", "archive: told of the group");
    has(
        &text,
        "alerter",
        "pager: not told: error is below its min_severity fatal",
    );
    has(&text, "group", "firing in app, 1 record,");
    has(&text, "  ", "firing: new");
    has(&text, "  ", "archive: delivered");
    has(&text, "  ", "ops: failed: ");
    has(&text, "  ", "ops: queued since then, 1 try, ");
    assert!(!text.contains("hunter22"), "a secret in:\n{text}");
}

#[test]
fn it_says_why_nobody_heard_of_a_line() {
    let (home, _receiver) = home();
    assert!(home.output(&["run", "--once"]).status.success());
    let text = |what: &str| explain(&home, &[what]).1;
    has(&text("logs/app.log:1"), "level", "info: exceptional only from warn on");
    has(&text("logs/app.log:1"), "verdict", "not exceptional");
    has(&text("logs/app.log:5"), "ignore", "`connection reset` matches");
    has(
        &text("logs/app.log:6"),
        "rule",
        "server: its text matches, but not its field `status`, which is 404",
    );
    std::fs::write(home.path("logs/old.log"), "ERROR x\n").expect("a new file");
    has(
        &text("logs/old.log:1"),
        "source",
        "none: `exclude` of source app covers it",
    );
    std::fs::write(home.path("elsewhere.log"), "ERROR x\n").expect("a new file");
    has(&text("elsewhere.log:1"), "source", "none reads this file");
    let (code, said) = explain(&home, &["logs/app.log:99"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("has no line 99"), "{said}");
}

#[test]
fn a_line_that_is_only_typed_needs_no_state() {
    let (home, _receiver) = home();
    let typed = explained(&home, &["--source", "db", "--line", "ERROR deadlock found"]);
    assert_eq!(typed["line"]["severity"], "fatal", "{typed}");
    assert_eq!(typed["line"]["alert_at"], "fatal", "{typed}");
    assert_eq!(
        typed["line"]["findings"][0]["name"], "deadlock",
        "the level is not enough here: {typed}"
    );
    let (code, said) = explain(&home, &["--line", "x"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("--source") && said.contains("app, db"), "{said}");
    let (code, said) = explain(&home, &["nonsense"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(!home.state_dir().exists());
}

#[test]
fn an_alert_and_its_fingerprint_have_a_history_with_every_try() {
    let (home, receiver) = home();
    let mut program = home.start(&["run"]);
    program.wait_until("it was tried twice", || receiver.requests().len() >= 2);
    let id = receiver.requests()[0].json()["id"].as_str().expect("an id").to_owned();
    let fingerprint = receiver.requests()[0].json()["fingerprint"]
        .as_str()
        .expect("one")
        .to_owned();
    let steps = |what: &str| {
        let known = explained(&home, &[what]);
        let events = known["known"]["events"].as_array().expect("a list").clone();
        let step = |event: &Value| (event["alerter"].as_str().map(str::to_owned), event["what"].clone());
        events.iter().map(step).collect::<Vec<_>>()
    };
    let failed = (Some("ops".to_owned()), Value::from("failed"));
    wait_until("both tries are in the history", || {
        steps(&id).iter().filter(|step| **step == failed).count() >= 2
    });
    assert_eq!(steps(&id)[0], (None, "firing".into()));
    assert!(steps(&id).contains(&(Some("archive".to_owned()), "delivered".into())));
    assert!(
        home.output(&["silence", "add", &fingerprint, "--for", "7d"])
            .status
            .success()
    );
    let (_, text) = explain(&home, &[&fingerprint]);
    has(&text, "silenced", &format!("fingerprint={fingerprint}"));
    let (code, said) = explain(&home, &["0000000000000000"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("nothing is known"), "{said}");
    assert!(program.stop().success());
}

#[test]
fn what_is_held_back_is_explained_and_so_is_the_digest_that_tells_it() {
    let home = Home::new();
    let configure = |quiet: &str| {
        home.configure(&format!(
            "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
             alerts: {{time_zone: UTC, context: {{wait: 0s}}{quiet}}}\n\
             alerters:\n  - {{name: told, file: {{path: '{{home}}/told'}}}}\n"
        ));
    };
    configure(", quiet: [{from: '00:00', to: '24:00', below: fatal}]");
    std::fs::write(home.path("logs/app.log"), "ERROR pool exhausted\n").expect("the log takes lines");
    let mut program = home.start(&["run"]);
    let held = || -> Value {
        let listed = home.output(&["outbox", "list", "--json"]).stdout;
        let listed: Value = serde_json::from_slice(&listed).unwrap_or_default();
        listed["deliveries"][0].clone()
    };
    program.wait_until("it is held", || held()["state"] == "held");
    let (_, text) = explain(&home, &["logs/app.log:1"]);
    has(&text, "alerter", "told: not now: a maintenance window is on");
    has(
        &text,
        "  ",
        "told: held back since then, for one digest: a maintenance window",
    );
    has(&text, "novelty", "this kind of message is known: 1 record");
    let (_, typed) = explain(&home, &["--source", "app", "--line", "INFO never said before"]);
    has(&typed, "novelty", "the source still learns");
    let id = held()["alert_id"].as_str().expect("an id").to_owned();
    assert!(program.stop().success());
    configure("");
    let mut program = home.start(&["run"]);
    program.wait_until("it listens", || home.output(&["status"]).status.success());
    let told = || crate::program::read_lossily(&home.path("told"));
    program.wait_until("the digest is told", || told().contains("\"kind\":\"digest\""));
    let digest: Value = serde_json::from_str(told().lines().next().expect("a line")).expect("JSON");
    let digest = digest["id"].as_str().expect("an id").to_owned();
    has(
        &explain(&home, &[&id]).1,
        "  ",
        &format!("told: told in a digest: {digest}"),
    );
    program.wait_until("the digest's delivery is noted", || {
        explain(&home, &[&digest]).0 == Some(0)
    });
    has(
        &explain(&home, &[&digest]).1,
        "digest",
        &format!("stands for 1 message: {id}"),
    );
    assert!(program.stop().success());
}
