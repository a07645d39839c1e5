//! `run`, as somebody who types it meets it: alerts come, a second instance is told of the first, a stop ends it, and
//! the next start goes on where the last one was.

use crate::program::{Home, read_lossily, wait_until};
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
        "sources:\n  - {name: app, paths: ['{home}/logs/*.log']}\n\
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
