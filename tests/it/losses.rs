//! What is lost is told: an alert of its own, with file and range of bytes.

use crate::program::{Home, read_lossily};
use std::fs::{self, File};
use std::io::Write;

#[test]
fn a_generation_deleted_while_nobody_looked_is_a_loss_of_what_was_seen_of_it() {
    let home = Home::new();
    home.configure(
        "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning}\n\
         alerters:\n  - {name: archive, send: each, file: {path: '{home}/alerts', format: json}}\n",
    );
    let log = home.path("logs/app.log");
    let (read, unfinished) = ("ERROR first\n", "ERROR second, of which the line's end is not wri");
    let file = File::create(&log);
    file.and_then(|mut file| file.write_all(format!("{read}{unfinished}").as_bytes()))
        .expect("the log takes lines");
    let alerts = || -> Vec<serde_json::Value> {
        let lines = read_lossily(&home.path("alerts"));
        lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    let mut program = home.start(&["run"]);
    program.wait_until("the first line is told", || !alerts().is_empty());
    assert_eq!(program.stop().code(), Some(0));

    fs::rename(&log, home.path("logs/app.log.1")).expect("the log is rotated");
    fs::remove_file(home.path("logs/app.log.1")).expect("and removed");
    let mut program = home.start(&["run"]);
    let losses =
        || -> Vec<serde_json::Value> { alerts().into_iter().filter(|alert| alert["kind"] == "loss").collect() };
    program.wait_until("the loss is told", || !losses().is_empty());
    let told = losses();
    let source = &told[0]["source"];
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["severity"], "error");
    assert_eq!(
        (source["name"].as_str(), source["path"].as_str()),
        (Some("app"), log.to_str()),
        "{told:#?}"
    );
    let (from, to) = (read.len(), read.len() + unfinished.len());
    assert_eq!(
        (&source["offset"], &source["end_offset"]),
        (&from.into(), &to.into()),
        "{told:#?}"
    );
    let status = home.output(&["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).expect("one JSON object");
    assert_eq!(
        status["sources"][0]["lost_bytes"]["deleted"],
        unfinished.len(),
        "{status:#}"
    );
    assert_eq!(program.stop().code(), Some(0));

    // It is told once, not at each start.
    let mut program = home.start(&["run"]);
    program.wait_until("it runs", || home.path("state/control.sock").exists());
    assert_eq!(program.stop().code(), Some(0));
    assert_eq!(losses().len(), 1);
}

#[test]
fn file_whose_tail_went_with_the_power_is_read_on_at_its_end_and_that_is_told() {
    let home = Home::new();
    home.configure(
        "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning}\n\
         alerters:\n  - {name: archive, send: each, file: {path: '{home}/alerts', format: json}}\n",
    );
    let log = home.path("logs/app.log");
    let append = |text: &str| {
        let file = File::options().create(true).append(true).open(&log);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("the log takes lines");
    };
    let alerts = || -> Vec<serde_json::Value> {
        let told = read_lossily(&home.path("alerts"));
        told.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    let texts = |kind: &str| -> Vec<String> {
        let of_kind = alerts().into_iter().filter(|alert| alert["kind"] == kind);
        of_kind
            .filter_map(|alert| alert["text"].as_str().map(str::to_owned))
            .collect()
    };
    append("ERROR first\nERROR second\nERROR third\n");
    let mut program = home.start(&["run"]);
    program.wait_until("all are told", || texts("record").len() == 3);
    assert_eq!(program.stop().code(), Some(0));

    // The third line had not reached the disk.
    let kept = "ERROR first\nERROR second\n".len() as u64;
    let file = File::options().write(true).open(&log);
    file.and_then(|file| file.set_len(kept)).expect("a shorter log");
    let state = rusqlite::Connection::open(home.state_dir().join("state.db")).expect("the state");
    let changed = state.execute("UPDATE meta SET value = 'another boot' WHERE key = 'boot_id'", []);
    assert_eq!(changed, Ok(1));
    drop(state);
    let mut program = home.start(&["run"]);
    program.wait_until("the loss is told", || {
        alerts().iter().any(|alert| alert["kind"] == "loss")
    });
    append("ERROR fourth\n");
    program.wait_until("what came after is told", || texts("record").len() > 3);
    let status = home.output(&["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).expect("one JSON object");
    assert_eq!(program.stop().code(), Some(0));
    assert_eq!(
        texts("record"),
        ["ERROR first", "ERROR second", "ERROR third", "ERROR fourth"]
    );
    let gone = "ERROR third\n".len();
    assert_eq!(status["sources"][0]["lost_bytes"]["power_cut"], gone, "{status:#}");
}
