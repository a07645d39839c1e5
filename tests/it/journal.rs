//! The systemd journal and standard input as sources.
//!
//! A `journalctl` of our own stands on PATH: a machine that tests has no journal to write to, and a real one does not die
//! on demand. It keeps entries as lines of a file; a cursor is the number of a line.

use crate::program::{Home, Program, read_lossily, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const FAKE: &str = r#"#!/bin/sh
after=0 follow=
for argument in "$@"; do
    case $argument in
        --after-cursor=*) after=${argument##*=} ;;
        --follow) follow=-f ;;
    esac
done
echo "$@" >> HOME/calls
if [ -e HOME/broken ]; then echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1; fi
exec tail -n +$((after + 1)) $follow HOME/journal
"#;

const CONFIGURATION: &str = "sources:\n  - {name: sys, journald: {units: [shop.service]}, read_from: beginning, flush_after: 200ms}\n\
     alerters:\n  - {name: archive, send: each, file: {path: '{home}/alerts', format: json}}\n";

struct Journal {
    home: Home,
    entries: u64,
}

impl Journal {
    fn new(configuration: &str) -> Self {
        let home = Home::new();
        fs::create_dir(home.path("bin")).expect("a new folder");
        let fake = home.path("bin/journalctl");
        let folder = home.path("").display().to_string();
        fs::write(&fake, FAKE.replace("HOME", folder.trim_end_matches('/'))).expect("a new file");
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("our own file");
        File::create(home.path("journal")).expect("a new file");
        home.configure(configuration);
        Self { home, entries: 0 }
    }

    fn say(&mut self, mut entry: serde_json::Value) {
        self.entries += 1;
        entry["__CURSOR"] = format!("c={}", self.entries).into();
        entry["__REALTIME_TIMESTAMP"] = format!("{}", 1_763_877_600_000_000 + self.entries).into();
        let journal = File::options().append(true).open(self.home.path("journal"));
        journal
            .and_then(|mut journal| writeln!(journal, "{entry}"))
            .expect("the journal takes it");
    }

    fn say_error(&mut self, number: u64) {
        self.say(serde_json::json!({
            "MESSAGE": format!("order {number} refused"), "PRIORITY": "3", "SYSLOG_IDENTIFIER": "shop", "_PID": "77",
            "_SYSTEMD_UNIT": "shop.service", "_HOSTNAME": "gw-17",
        }));
    }

    fn start(&self) -> Program {
        let path = std::env::var("PATH").unwrap_or_default();
        self.home.start_with(
            &["run"],
            &[("PATH", format!("{}:{path}", self.home.path("bin").display()))],
        )
    }

    fn alerts(&self) -> Vec<serde_json::Value> {
        let lines = read_lossily(&self.home.path("alerts"));
        lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Ids of the alerts of each message.
    fn told(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut told = BTreeMap::<String, BTreeSet<String>>::new();
        for alert in self.alerts() {
            let message = alert["message"].as_str().unwrap_or_default().to_owned();
            told.entry(message).or_default().insert(alert["id"].to_string());
        }
        told
    }
}

#[test]
fn entries_of_the_journal_become_records_with_level_fields_and_traces() {
    let mut journal = Journal::new(CONFIGURATION);
    journal.say(serde_json::json!({"MESSAGE": "all is well", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "shop"}));
    journal.say_error(1);
    let trace = "java.lang.IllegalStateException: pool exhausted\n\tat shop.Pool.take(Pool.java:7)\n\tat shop.Main.main(Main.java:3)";
    journal.say(serde_json::json!({"MESSAGE": trace, "PRIORITY": "6", "_TRANSPORT": "stdout", "SYSLOG_IDENTIFIER": "shop", "_PID": "77", "_SYSTEMD_UNIT": "shop.service"}));
    let bytes: Vec<u8> = b"disk \xff failed".to_vec();
    journal.say(serde_json::json!({"MESSAGE": bytes, "PRIORITY": "2", "_TRANSPORT": "kernel"}));
    for own in [
        serde_json::json!({"MESSAGE": "alerter ops is blocked", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "exception-log-collector"}),
        serde_json::json!({"MESSAGE": "panicked", "PRIORITY": "3", "_SYSTEMD_UNIT": "exception-log-collector.service"}),
    ] {
        journal.say(own);
    }
    journal.say_error(2);
    let mut program = journal.start();
    program.wait_until("the last is told", || journal.told().contains_key("order 2 refused"));
    assert_eq!(program.stop().code(), Some(0));
    let alerts = journal.alerts();
    assert_eq!(alerts.len(), 4, "{alerts:#?}");
    let find = |message: &str| {
        alerts
            .iter()
            .find(|alert| alert["message"].as_str().is_some_and(|text| text.contains(message)))
    };
    let error = find("order 1").expect("it is told");
    assert_eq!(
        (&error["level"], &error["timestamp"]),
        (&"error".into(), &"2025-11-23T06:00:00.000002Z".into())
    );
    let field = |name: &str| error["fields"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (field("unit"), field("app"), field("procid"), field("host")),
        (
            "shop.service".to_owned(),
            "shop".to_owned(),
            "77".to_owned(),
            "gw-17".to_owned()
        )
    );
    assert_eq!(
        (&error["source"]["name"], &error["source"]["path"]),
        (&"sys".into(), &"journald".into())
    );
    assert_eq!(error["source"]["first_line"], serde_json::Value::Null);
    let trace = alerts
        .iter()
        .find(|alert| alert["kind"] == "exception")
        .expect("a trace is found");
    assert_eq!(trace["title"], "java.lang.IllegalStateException: pool exhausted");
    let kernel = find("disk").expect("bytes are read");
    assert_eq!(
        (&kernel["level"], &kernel["fields"]["app"]),
        (&"fatal".into(), &"kernel".into())
    );
    let calls = read_lossily(&journal.home.path("calls"));
    assert!(
        calls.contains("--unit=shop.service") && calls.contains("--follow"),
        "{calls}"
    );
}

#[test]
fn over_kills_no_entry_is_lost_and_none_is_told_under_two_ids() {
    let mut journal = Journal::new(CONFIGURATION);
    let goal = 1_500;
    for round in 0..6_u64 {
        let mut program = journal.start();
        for number in round * goal / 6..(round + 1) * goal / 6 {
            journal.say_error(number);
            if number % 50 == 17 {
                // Open for a while: a kill may come in its midst.
                journal.say(serde_json::json!({"MESSAGE": format!("Exception in thread \"m\" java.lang.Error: trace {number}"), "PRIORITY": "3", "SYSLOG_IDENTIFIER": "other"}));
                journal.say(serde_json::json!({"MESSAGE": "\tat a.B.c(B.java:1)", "PRIORITY": "3", "SYSLOG_IDENTIFIER": "other"}));
            }
        }
        let some = (round * goal / 6 + 40) as usize;
        program.wait_until("some are told", || journal.told().len() >= some);
        program.kill();
    }
    let mut program = journal.start();
    let all = goal as usize + (0..goal).filter(|number| number % 50 == 17).count();
    program.wait_until("all are told", || journal.told().len() >= all);
    assert_eq!(program.stop().code(), Some(0));
    let told = journal.told();
    let twice: Vec<_> = told.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(
        twice.is_empty() && told.len() == all,
        "{} of {all}, {twice:?}",
        told.len()
    );
    let traces = journal
        .alerts()
        .into_iter()
        .filter(|alert| alert["kind"] == "exception");
    assert!(
        traces
            .into_iter()
            .all(|alert| alert["text"].as_str().is_some_and(|text| text.contains("a.B.c")))
    );
}

#[test]
fn a_journalctl_that_fails_is_told_once_and_started_again() {
    let mut journal = Journal::new(CONFIGURATION);
    File::create(journal.home.path("broken")).expect("a new file");
    let mut program = journal.start();
    let calls = || read_lossily(&journal.home.path("calls")).lines().count();
    program.wait_until("it was started three times", || calls() >= 3);
    let said = program.stderr();
    assert_eq!(said.matches("journalctl ended").count(), 1, "{said}");
    assert!(said.contains("systemd-journal"), "{said}");
    fs::remove_file(journal.home.path("broken")).expect("it is there");
    journal.say_error(1);
    program.wait_until("it goes on", || journal.told().len() == 1);
    assert!(program.stderr().contains("read again"), "{}", program.stderr());
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn run_once_reads_what_is_new_in_the_journal() {
    let mut journal = Journal::new(CONFIGURATION);
    for number in 0..3 {
        journal.say_error(number);
        let mut command = journal.home.command(&["run", "--once"]);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", journal.home.path("bin").display()));
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(journal.alerts().len(), number as usize + 1);
    }
}

#[test]
fn standard_input_is_read_to_its_end_and_the_service_ends_with_it() {
    let home = Home::new();
    home.configure(
        "sources:\n  - {name: piped, stdin: {}}\n\
         alerters:\n  - {name: archive, send: each, file: {path: '{home}/alerts', format: json}}\n",
    );
    for run in 1..=2 {
        let mut child = home
            .command(&["run"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("a pipe");
        input
            .write_all(b"INFO fine\nERROR first\nERROR second, without a newline")
            .expect("the pipe takes it");
        drop(input);
        let mut ended = None;
        wait_until("it has ended", || {
            ended = child.try_wait().expect("our own child");
            ended.is_some()
        });
        assert_eq!(ended.and_then(|status| status.code()), Some(0));
        let alerts = read_lossily(&home.path("alerts"));
        let ids: BTreeSet<String> = alerts
            .lines()
            .filter_map(|line| Some(serde_json::from_str::<serde_json::Value>(line).ok()?["id"].to_string()))
            .collect();
        // The same words again are other words.
        assert_eq!((alerts.lines().count(), ids.len()), (2 * run, 2 * run), "{alerts}");
    }
}
