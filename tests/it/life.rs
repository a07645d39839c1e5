//! The life of an alert, as the people see it who get it: thresholds, absences, storms, maintenance, the agent's own news.

use crate::program::{Home, read_lossily};
use serde_json::Value;
use std::fs::File;
use std::io::Write;

const SOURCE: &str =
    "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning, flush_after: 50ms, timezone: UTC}\n";
const ALERTS: &str = "alerters:\n  - {name: told, file: {path: '{home}/told', format: json}}\n";

fn append(home: &Home, lines: &str) {
    let mut options = File::options();
    let file = options.create(true).append(true).open(home.path("logs/app.log"));
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .expect("the log takes lines");
}

/// What the alerter `told` has written.
fn told(home: &Home) -> Vec<Value> {
    let text = read_lossily(&home.path("told"));
    let lines = text.lines().filter(|line| line.ends_with('}'));
    lines
        .map(|line| serde_json::from_str(line).expect("one alert a line"))
        .collect()
}

fn is(alert: &Value, kind: &str, status: &str) -> bool {
    alert["kind"] == kind && alert["status"] == status
}

fn failed_login(second: u64, ip: &str) -> String {
    format!("2026-11-23 06:00:{second:02} INFO sshd: Failed password for root from {ip} port 22\n")
}

const BRUTE_FORCE: &str = "analyzers:\n  rules:\n    - {name: brute-force, match: 'Failed password for .* from (?P<ip>\\S+)', \
     severity: error, at_least: 5, within: 30s, per: ip}\n";

#[test]
fn a_threshold_counts_over_a_kill_and_fires_once_per_value() {
    let home = Home::new();
    home.configure(&format!("{SOURCE}{BRUTE_FORCE}{ALERTS}"));
    let lines: String = (0..3)
        .flat_map(|n| [failed_login(n, "10.0.0.1"), failed_login(n, "10.0.0.2")])
        .collect();
    append(
        &home,
        &(lines + "2026-11-23 06:00:03 ERROR marker one\n2026-11-23 06:00:03 INFO -\n"),
    );
    let mut program = home.start(&["run"]);
    program.wait_until("what stands behind them is told", || told(&home).len() == 1);
    program.kill();
    append(&home, &[4, 5, 6].map(|n| failed_login(n, "10.0.0.1")).concat());
    append(&home, &failed_login(59, "10.0.0.2"));
    append(
        &home,
        "2026-11-23 06:00:59 ERROR marker two, another\n2026-11-23 06:00:59 INFO -\n",
    );
    let mut program = home.start(&["run"]);
    program.wait_until("the last is told", || {
        told(&home)
            .iter()
            .any(|alert| alert["message"] == "marker two, another")
    });
    assert_eq!(program.stop().code(), Some(0));
    let fired: Vec<Value> = told(&home)
        .into_iter()
        .filter(|alert| alert["detectors"][0]["name"] == "brute-force")
        .collect();
    assert_eq!(fired.len(), 1, "{fired:#?}");
    let detector = &fired[0]["detectors"][0];
    assert_eq!(
        (&detector["captures"]["ip"], &fired[0]["count"]),
        (&"10.0.0.1".into(), &5.into())
    );
    assert_eq!(
        (&detector["counted"]["at_least"], &detector["counted"]["within_ms"]),
        (&5.into(), &30_000.into())
    );
    assert_eq!(fired[0]["first_seen"], "2026-11-23T06:00:00Z");
}

#[test]
fn scan_rehearses_thresholds_and_absences_by_the_log_s_time() {
    let home = Home::new();
    let beat = "    - {name: beat, match: 'beat ok', severity: warn, absent_for: 5m}\n";
    home.configure(&format!("{SOURCE}{BRUTE_FORCE}{beat}{ALERTS}"));
    append(&home, "2026-11-23 06:00:00 INFO beat ok\n");
    append(&home, &(0..6).map(|n| failed_login(n, "10.0.0.1")).collect::<String>());
    append(
        &home,
        "2026-11-23 06:04:00 INFO beat ok\n2026-11-23 06:20:00 INFO beat ok\n",
    );
    let output = home.output(&["scan", "--json", &home.path("logs/app.log").display().to_string()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let alerts: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let kinds: Vec<&str> = alerts.iter().filter_map(|alert| alert["kind"].as_str()).collect();
    assert_eq!(kinds, ["record", "record", "absence"], "{text}");
    assert_eq!(alerts[2]["title"], "rule beat has not matched for 16 min");
}

#[test]
fn an_absence_is_told_once_and_resolved_when_the_match_comes_back() {
    let home = Home::new();
    let rule = "analyzers:\n  rules:\n    - {name: beat, match: 'beat ok', severity: error, absent_for: 2s}\n";
    home.configure(&format!("{SOURCE}{rule}{ALERTS}"));
    append(&home, "INFO beat ok\n");
    let mut program = home.start(&["run"]);
    program.wait_until("its silence is told", || {
        told(&home).iter().any(|alert| is(alert, "absence", "firing"))
    });
    program.kill();
    let mut program = home.start(&["run"]);
    append(&home, "INFO beat ok\n");
    program.wait_until("its return is told", || {
        told(&home).iter().any(|alert| is(alert, "absence", "resolved"))
    });
    assert_eq!(program.stop().code(), Some(0));
    let told = told(&home);
    let firings: Vec<&Value> = told.iter().filter(|alert| is(alert, "absence", "firing")).collect();
    let resolved = told
        .iter()
        .find(|alert| is(alert, "absence", "resolved"))
        .expect("seen above");
    assert_eq!(resolved["firing_id"], firings[0]["id"]);
    assert!(
        firings.iter().all(|alert| alert["id"] == firings[0]["id"]),
        "{firings:#?}"
    );
    assert_eq!(firings[0]["source"]["name"], "app");
    assert_eq!(firings[0]["detectors"][0]["name"], "beat");
}
