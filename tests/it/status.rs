//! `status` as people, programs and Nagios ask for it.

use crate::program::{Home, Program, read_lossily, wait_until};
use crate::receiver::{Receiver, answer};
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

const QUIET: &str = "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning}\n\
     alerters:\n  - {name: archive, file: {path: '{home}/alerts'}}\n";
const LOG: &str = "ERROR the pump has stopped\nINFO all is well\n";

fn started(yaml: &str) -> (Home, Program) {
    let home = Home::new();
    home.configure(yaml);
    std::fs::write(home.path("logs/app.log"), LOG).expect("a log");
    let mut program = home.start(&["run"]);
    program.wait_until("it serves", || home.path("state/control.sock").exists());
    (home, program)
}

fn status(home: &Home) -> serde_json::Value {
    serde_json::from_slice(&home.output(&["status", "--json"]).stdout).unwrap_or_default()
}

/// What Nagios gets: the line, the exit status.
fn nagios(home: &Home) -> (String, Option<i32>) {
    let output = home.output(&["status", "--nagios"]);
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
    (line, output.status.code())
}

#[test]
fn nagios_hears_one_line_with_performance_data_whatever_is_the_matter() {
    let refuses = Receiver::start(|_| answer(401));
    let (home, mut program) = started(QUIET);
    program.wait_until("the alert is delivered, and all is read", || {
        let status = status(&home);
        let alerter = &status["alerters"][0];
        alerter["delivered"] == 1 && alerter["queued"] == 0 && status["sources"][0]["records"] == 2
    });
    let (line, code) = nagios(&home);
    assert!(line.starts_with("ELC OK - 1 alerts fire, 0 wait"), "{line}");
    let data = line.split_once(" | ").expect("performance data").1;
    for wanted in [
        "firing=1;;;0",
        "oldest=0s;;300;0",
        "records=2c",
        "exceptional=1c",
        "lost=0B;;;0",
    ] {
        assert!(data.contains(wanted), "no {wanted} in {data}");
    }
    assert_eq!(code, Some(0));
    assert_eq!(program.stop().code(), Some(0));
    let (line, code) = nagios(&home);
    assert!(line.starts_with("ELC CRITICAL - no service runs"), "{line}");
    assert_eq!(code, Some(2));

    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log']}}\n\
         alerters:\n  - {{name: hook, send: each, webhook: {{url: '{}'}}}}\n",
        refuses.url("/")
    ));
    let mut program = home.start(&["run"]);
    let mut log = File::options()
        .append(true)
        .open(home.path("logs/app.log"))
        .expect("a log");
    log.write_all(b"ERROR again\nINFO -\n").expect("the log takes lines");
    program.wait_until("it is blocked", || {
        nagios(&home).0.starts_with("ELC CRITICAL - alerter hook is blocked")
    });
    assert_eq!(nagios(&home).1, Some(2));
    assert_eq!(
        home.output(&["status"]).status.code(),
        Some(1),
        "degraded, to all others"
    );
    assert_eq!(program.stop().code(), Some(0));

    home.configure("sources: [{name: app, path: nowhere}]\n");
    let (line, code) = nagios(&home);
    assert!(
        line.starts_with("ELC UNKNOWN - ") && line.contains("config.yaml:2:"),
        "{line}"
    );
    assert_eq!(code, Some(3));
}

#[test]
fn the_ledger_of_a_source_balances() {
    let (home, mut program) = started(QUIET);
    let ledger = || status(&home)["sources"][0]["ledger"].clone();
    program.wait_until("all is judged", || ledger()["judged"] == LOG.len());
    let expected = serde_json::json!({"seen": LOG.len(), "judged": LOG.len(), "skipped": 0, "lost": 0, "pending": 0});
    assert_eq!(ledger(), expected);
    assert_eq!(program.stop().code(), Some(0));
    let gone = home.output(&["status", "--json"]);
    let told = String::from_utf8_lossy(&gone.stdout).into_owned();
    assert_eq!((gone.status.code(), told.as_str()), (Some(3), "{\"running\":false}\n"));
}

#[test]
fn watch_draws_on_a_terminal_until_q_and_leaves_it_as_it_was() {
    let (home, program) = started(QUIET);
    // util-linux' script gives it a terminal.
    let command = home.command(&["status", "--watch"]);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let typescript = home.path("typescript");
    let mut terminal = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &words.join(" ")])
        .arg(&typescript)
        .env("TERM", "xterm")
        // To the program it would be a key of its configuration.
        .env_remove("ELC_PROGRAM")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script of util-linux");
    let shown = || read_lossily(&typescript);
    wait_until("it is drawn twice, with speeds", || {
        shown().matches("healthy, up").count() > 1 && shown().contains("records/s") && shown().contains("q ends this")
    });
    let mut keys = terminal.stdin.take().expect("piped");
    // An arrow is no escape.
    keys.write_all(b"x\x1b[A").expect("a key");
    let drawn = shown().matches("healthy, up").count();
    wait_until("it goes on", || shown().matches("healthy, up").count() > drawn + 1);
    keys.write_all(b"q").expect("a key");
    assert_eq!(
        terminal.wait().expect("our own child").code(),
        Some(0),
        "healthy: {}",
        shown()
    );
    let (enter, leave) = (shown().find("\x1b[?1049h"), shown().find("\x1b[?1049l"));
    assert!(enter.is_some() && enter < leave, "{}", shown());
    let piped = home.output(&["status", "--watch"]);
    assert_eq!(piped.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&piped.stderr).contains("needs a terminal"),
        "{piped:?}"
    );
    assert_eq!(program.stop().code(), Some(0));
}
