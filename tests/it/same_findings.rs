//! `scan` and `run` drive the same core: for the same lines they find the same.

use crate::program::{Home, read_lossily};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Everything about an alert that the lines themselves decide: not when, nor by which way it was told.
const DECIDED_BY_THE_LINES: [&str; 12] = [
    "severity",
    "fingerprint",
    "title",
    "message",
    "text",
    "template",
    "level",
    "kind",
    "language",
    "timestamp",
    "detectors",
    "fields",
];

fn findings(json_lines: &str) -> BTreeSet<String> {
    let alerts = json_lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"));
    alerts
        .map(|alert: serde_json::Value| {
            let decided = DECIDED_BY_THE_LINES.map(|key| format!("{key}: {}", alert[key]));
            let source = &alert["source"];
            format!("{}-{} {}", source["offset"], source["end_offset"], decided.join(", "))
        })
        .collect()
}

/// The sample logs that the repository shows to people, and the traces of all languages.
fn samples() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![repository.join("samples"), repository.join("tests/fixtures/traces")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the repository has samples") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|extension| extension != "md") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn scan_and_run_find_the_same_in_every_sample() {
    let samples = samples();
    assert!(samples.len() >= 3, "only {samples:?}");
    for sample in samples {
        let home = Home::new();
        home.configure(
            "sources:\n  - {name: sample, paths: ['{home}/logs/*'], read_from: beginning, timezone: UTC}\n\
             analyzers:\n  levels: {alert_at: warn}\n\
             \u{20} rules:\n    - {name: refused, match: '(?i)refused|denied', severity: fatal}\n\
             \u{20} ignore: ['(?i)health']\n\
             alerters:\n  - {name: archive, min_severity: trace, send: each, file: {path: '{home}/alerts', format: json}}\n",
        );
        let log = home.path("logs").join(sample.file_name().expect("a file has a name"));
        std::fs::copy(&sample, &log).expect("the sample is copied");
        let scanned = home.output(&["scan", "--json", "--timezone", "UTC", &log.display().to_string()]);
        assert!(scanned.status.success(), "{}: {scanned:?}", sample.display());
        let ran = home.output(&["run", "--once"]);
        assert!(ran.status.success(), "{}: {ran:?}", sample.display());
        let scanned = findings(&String::from_utf8_lossy(&scanned.stdout));
        let ran = findings(&read_lossily(&home.path("alerts")));
        let only_scan: Vec<_> = scanned.difference(&ran).take(3).collect();
        let only_run: Vec<_> = ran.difference(&scanned).take(3).collect();
        assert!(
            scanned == ran,
            "{}:\nonly scan: {only_scan:#?}\nonly run: {only_run:#?}",
            sample.display()
        );
    }
}
