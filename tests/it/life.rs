//! The life of an alert, as the people see it who get it: thresholds, absences, storms, maintenance, the agent's own news.

use crate::program::{Home, read_lossily};
use crate::receiver::{Receiver, answer};
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

/// What the alerter `told` has written; from the outbox on delivery is at least once, and an id tells the second.
fn told(home: &Home) -> Vec<Value> {
    let text = read_lossily(&home.path("told"));
    let lines = text.lines().filter(|line| line.ends_with('}'));
    let mut alerts: Vec<Value> = Vec::new();
    for alert in lines.map(|line| serde_json::from_str::<Value>(line).expect("one alert a line")) {
        if alerts.iter().all(|known| known["id"] != alert["id"]) {
            alerts.push(alert);
        }
    }
    alerts
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

/// `n` errors that are each an alert of its own.
fn errors(n: usize) -> String {
    let word = |n: usize| String::from_utf8(vec![b'a' + (n / 26) as u8, b'a' + (n % 26) as u8]).expect("letters");
    (0..n)
        .map(|n| format!("2026-11-23 06:00:00 ERROR broken part {}\n", word(n)))
        .collect()
}

fn counted(alerts: &[Value]) -> u64 {
    alerts.iter().filter_map(|alert| alert["count"].as_u64()).sum()
}

#[test]
fn a_storm_is_a_few_messages_and_one_digest_with_fatal_ones_first() {
    let home = Home::new();
    let limited = ALERTS.replace("name: told,", "name: told, max_per_minute: 3, detectors: [level],");
    home.configure(&format!("{SOURCE}{limited}"));
    append(&home, &errors(40));
    append(&home, "2026-11-23 06:00:01 FATAL disk is gone\n");
    let mut program = home.start(&["run"]);
    program.wait_until("what may go has gone", || told(&home).len() == 4);
    // The held ones are committed with the others; a kill loses none of them, nor the count of what was sent.
    program.kill();
    let mut program = home.start(&["run"]);
    crate::program::wait_until_or(std::time::Duration::from_secs(90), || told(&home).len() > 4);
    program.wait_until("the digest comes within a minute", || told(&home).len() > 4);
    let alerts = told(&home);
    let (digests, singles): (Vec<Value>, Vec<Value>) = alerts.into_iter().partition(|alert| alert["kind"] == "digest");
    assert_eq!((digests.len(), singles.len()), (1, 4), "{digests:#?}");
    assert!(singles.iter().any(|alert| alert["severity"] == "fatal"));
    assert_eq!(counted(&singles) + counted(&digests), 41);
    let groups = digests[0]["groups"].as_array().expect("groups");
    assert!(
        groups[0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("broken part")),
        "the worst in full"
    );
    assert_eq!(counted(groups), 37);
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn a_maintenance_window_holds_back_what_is_below_and_tells_it_afterwards() {
    let home = Home::new();
    let quiet = "alerts: {time_zone: UTC, quiet: [{from: '00:00', to: '24:00', below: fatal}]}\n";
    home.configure(&format!("{SOURCE}{quiet}{ALERTS}"));
    append(&home, &errors(3));
    append(&home, "2026-11-23 06:00:01 FATAL disk is gone\n");
    let mut program = home.start(&["run"]);
    let status = || -> Value { serde_json::from_slice(&home.output(&["status", "--json"]).stdout).unwrap_or_default() };
    program.wait_until("the others are held", || status()["alerters"][0]["held"] == 3);
    program.wait_until("the fatal one is told", || told(&home).len() == 1);
    assert_eq!(program.stop().code(), Some(0));
    assert_eq!(told(&home)[0]["severity"], "fatal");
    home.configure(&format!("{SOURCE}{ALERTS}"));
    let mut program = home.start(&["run"]);
    program.wait_until("the window is over", || told(&home).len() == 2);
    assert_eq!(program.stop().code(), Some(0));
    let digest = &told(&home)[1];
    assert_eq!((&digest["kind"], &digest["count"]), (&"digest".into(), &3.into()));
    assert_eq!(digest["title"], "3 alerts, seen 3 times, during the maintenance window");
}

#[test]
fn after_a_long_outage_one_digest_comes_in_place_of_all_that_was_missed() {
    // Busy, or refusing: for people it is the same.
    for status in [503, 401] {
        one_digest_after_an_hour_of(status);
    }
}

fn one_digest_after_an_hour_of(status_code: u16) {
    let well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = well.clone();
    let receiver = Receiver::start(move |_| {
        let is_well = seen.load(std::sync::atomic::Ordering::SeqCst);
        answer(if is_well { 200 } else { status_code })
    });
    let home = Home::new();
    home.configure(&format!(
        "{SOURCE}alerters:\n  - {{name: hook, catch_up: digest, webhook: {{url: '{}'}}}}\n",
        receiver.url("/hook")
    ));
    append(&home, &errors(10));
    let mut program = home.start(&["run"]);
    let status = || -> Value { serde_json::from_slice(&home.output(&["status", "--json"]).stdout).unwrap_or_default() };
    let listed =
        || -> Value { serde_json::from_slice(&home.output(&["outbox", "list", "--json"]).stdout).unwrap_or_default() };
    program.wait_until("a try has failed", || {
        status()["alerters"][0]["failed"].as_u64() > Some(0)
    });
    program.wait_until("all wait, with what was said to the first", || {
        let deliveries = listed()["deliveries"].as_array().cloned().unwrap_or_default();
        let error = deliveries
            .first()
            .and_then(|first| first["error"].as_str())
            .unwrap_or_default();
        deliveries.len() == 10 && error.contains(&status_code.to_string())
    });
    program.kill();
    // An hour goes by.
    let connection = rusqlite::Connection::open(home.state_dir().join("state.db")).expect("the state");
    let changed = connection.execute("UPDATE outbox SET created_ms = created_ms - 3600000", []);
    assert_eq!(changed.expect("it can be written"), 10);
    drop(connection);
    let before = receiver.count();
    well.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut program = home.start(&["run"]);
    program.wait_until("the first and the digest have come", || receiver.count() == before + 2);
    assert_eq!(program.stop().code(), Some(0));
    let requests = receiver.requests();
    let told: Vec<Value> = requests[before..].iter().map(|request| request.json()).collect();
    assert_eq!(
        (&told[0]["kind"], &told[1]["kind"]),
        (&"record".into(), &"digest".into()),
        "after {status_code}"
    );
    assert_eq!(counted(&told), 10);
    assert_eq!(
        told[1]["title"],
        "9 alerts, seen 9 times, while hook could not be reached"
    );
}

#[test]
fn an_alerter_that_is_blocked_is_told_by_the_others_and_so_is_its_end() {
    let well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = well.clone();
    let receiver = Receiver::start(move |_| {
        answer(if seen.load(std::sync::atomic::Ordering::SeqCst) {
            200
        } else {
            401
        })
    });
    let home = Home::new();
    let hook = format!("  - {{name: hook, webhook: {{url: '{}'}}}}\n", receiver.url("/hook"));
    home.configure(&format!("{SOURCE}{ALERTS}{hook}"));
    append(&home, &errors(1));
    let agent = || -> Vec<Value> {
        told(&home)
            .into_iter()
            .filter(|alert| alert["kind"] == "agent")
            .collect()
    };
    let mut program = home.start(&["run"]);
    program.wait_until("the other tells", || agent().len() == 1);
    program.kill();
    well.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut program = home.start(&["run"]);
    program.wait_until("its end is told", || agent().len() == 2);
    assert_eq!(program.stop().code(), Some(0));
    let agent = agent();
    assert_eq!(agent[0]["title"], "alerter hook is blocked: its alerts wait");
    assert!(
        agent[0]["text"].as_str().is_some_and(|text| text.contains("401")),
        "{:#?}",
        agent[0]
    );
    assert_eq!(
        (&agent[1]["status"], &agent[1]["firing_id"]),
        (&"resolved".into(), &agent[0]["id"])
    );
}

#[test]
fn a_heartbeat_says_that_all_is_well() {
    let home = Home::new();
    home.configure(&format!(
        "{SOURCE}alerts: {{heartbeat: {{every: 1s, alerters: [told]}}}}\n{ALERTS}"
    ));
    append(&home, &errors(2));
    let mut program = home.start(&["run"]);
    let alive = || -> Vec<Value> {
        told(&home)
            .into_iter()
            .filter(|alert| alert["kind"] == "agent")
            .collect()
    };
    program.wait_until("it beats", || alive().len() >= 2);
    assert_eq!(program.stop().code(), Some(0));
    let titles: Vec<Value> = alive().iter().map(|alert| alert["title"].clone()).collect();
    assert!(titles.contains(&"alive: 2 alerts, nothing lost".into()), "{titles:?}");
    assert!(titles.contains(&"alive: 0 alerts, nothing lost".into()), "{titles:?}");
}

#[test]
fn a_start_after_a_long_time_tells_that_nobody_looked_and_a_restart_does_not() {
    let home = Home::new();
    home.configure(&format!("{SOURCE}{ALERTS}"));
    append(&home, "INFO begun\n");
    let mut program = home.start(&["run"]);
    program.wait_until("it is alive", || home.path("state/heartbeat").exists());
    program.kill();
    let mut program = home.start(&["run"]);
    append(&home, &errors(1));
    program.wait_until("the record is told", || !told(&home).is_empty());
    program.kill();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3700);
    let beaten = File::options().write(true).open(home.path("state/heartbeat"));
    beaten
        .and_then(|file| file.set_modified(long_ago))
        .expect("a file of ours");
    append(&home, "INFO nobody looks\n");
    let mut program = home.start(&["run"]);
    program.wait_until("it is told", || told(&home).len() == 2);
    assert_eq!(program.stop().code(), Some(0));
    let news = &told(&home)[1];
    assert_eq!((&news["kind"], &news["status"]), (&"agent".into(), &"firing".into()));
    let (title, text) = (
        news["title"].as_str().expect("a title"),
        news["text"].as_str().expect("a text"),
    );
    assert!(
        title.starts_with("logs were not watched for 1 h 1 min: down from "),
        "{title}"
    );
    assert!(
        text.contains("18 bytes wait to be read; nothing is known to be lost."),
        "{text}"
    );
}
