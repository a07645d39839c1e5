//! `model info` and `model score`, with model files made here.

use crate::tiny_model::TinyModel;
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn model(arguments: &[&str], file: &[u8], input: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.elc");
    std::fs::write(&path, file).expect("the folder is ours");
    let mut child = Command::new(env!("CARGO_BIN_EXE_exception-log-collector"))
        .arg("model")
        .args(arguments)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that has given up reads nothing.
    child
        .stdin
        .take()
        .expect("stdin is a pipe")
        .write_all(input.as_bytes())
        .ok();
    child.wait_with_output().expect("the program ends")
}

fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8 is printed")
}

#[test]
fn score_tells_normal_lines_from_strange_ones() {
    let file = TinyModel::that_knows(&["job", "done", "<num>"]).bytes();
    let lines = "job 17 done\nheap \u{1b}[31mcorrupted\n";
    let text = printed(&model(&["score"], &file, lines));
    let rows: Vec<&str> = text.lines().collect();
    assert!(
        rows[0].contains(" normal ") && rows[0].ends_with("job 17 done"),
        "{text}"
    );
    assert!(
        rows[1].contains(" abnormal ") && rows[1].ends_with("heap corrupted"),
        "{text}"
    );

    let json = printed(&model(&["score", "--json"], &file, lines));
    let objects: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (objects[0]["label"].as_u64(), objects[1]["label"].as_u64()),
        (Some(0), Some(1))
    );
    assert_eq!(objects[1]["confidence"], 1.0, "{json}");
}

#[test]
fn what_scan_prints_is_scored_by_its_message() {
    let file = TinyModel::that_knows(&["job", "done"]).bytes();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.log");
    std::fs::write(
        &log,
        "2026-11-23 06:00:00 INFO job done\n2026-11-23 06:00:01 INFO disk melted\n",
    )
    .unwrap();
    let scan = Command::new(env!("CARGO_BIN_EXE_exception-log-collector"))
        .args(["scan", "--all", "--json"])
        .arg(&log)
        .output()
        .unwrap();
    let scored = printed(&model(&["score", "--json"], &file, &printed(&scan)));
    let labels: Vec<Value> = scored.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&labels[0]["log"], &labels[0]["label"]),
        (&"job done".into(), &0.into())
    );
    assert_eq!(
        (&labels[1]["log"], &labels[1]["label"]),
        (&"disk melted".into(), &1.into())
    );
}

#[test]
fn info_says_what_a_model_is() {
    let file = TinyModel::of_waves(&["job"]).bytes();
    let text = printed(&model(&["info"], &file, ""));
    for want in [
        "tiny",
        "made by a test",
        "8 wide, 2 layers",
        "1.0000: 1 % of normal",
        "1000 held-out",
    ] {
        assert!(text.contains(want), "{want}:\n{text}");
    }
    let info: Value = serde_json::from_str(&printed(&model(&["info", "--json"], &file, ""))).unwrap();
    assert_eq!(
        (&info["vocabulary"], &info["thresholds"][1]["rate"]),
        (&6.into(), &0.05.into())
    );
}

#[test]
fn a_file_that_is_no_model_is_an_error_that_names_it() {
    for file in [&b"no model"[..], &TinyModel::of_waves(&["job"]).bytes()[..5000]] {
        let output = model(&["info"], file, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("model.elc: no usable model: "), "{said}");
    }
}
