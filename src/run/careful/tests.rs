//! The test binary is its own victim: a child that runs the real service and aborts at a certain record.

use super::super::run;
use super::*;
use crate::config;
use crate::run::watcher::WATCHER;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

const CONFIGURATION: &str = "ELC_TEST_VICTIM";
/// More ends than any poison needs.
const LIVES_MAX: usize = 8;

/// Not a test of its own: what the others start.
#[test]
fn victim() {
    let Some(path) = std::env::var_os(CONFIGURATION) else {
        return;
    };
    let abort_at_poison = |stage: &str, bytes: &[u8]| {
        let word = format!("POISON-{stage}");
        if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
            std::process::abort();
        }
    };
    WATCHER.set(abort_at_poison).unwrap();
    let request = config::Request {
        path: Some(path.into()),
        set: Vec::new(),
        environment: Default::default(),
    };
    let options = RunOptions {
        once: true,
        deadline: Duration::from_secs(50),
        single_instance: false,
    };
    let settings = config::load(&request).unwrap().settings;
    run(settings, &options, Box::new(move || config::load(&request))).unwrap();
}

/// One source that reads `log`, one alerter that writes each alert to a file.
struct Host(tempfile::TempDir);

impl Host {
    fn new(log: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        let dir = host.0.path().display().to_string();
        let yaml = format!(
            "state_dir: {dir}/state\nsources:\n  - {{name: app, paths: ['{dir}/*.log'], read_from: beginning, flush_after: 50ms}}\n\
             alerters:\n  - {{name: all, send: each, file: {{path: '{dir}/alerts', format: json}}}}\n\
             analyzers: {{rules: [{{name: number, match: '^(INFO )?number', severity: error}}]}}\n"
        );
        fs::write(host.0.path().join("config.yaml"), yaml).unwrap();
        fs::write(host.log(), log).unwrap();
        host
    }

    fn log(&self) -> std::path::PathBuf {
        self.0.path().join("app.log")
    }

    fn live(&self) -> ExitStatus {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "run::careful::tests::victim"]);
        child.env(CONFIGURATION, self.0.path().join("config.yaml"));
        child.output().unwrap().status
    }

    /// Lives until an end in order; how often it aborted before.
    fn live_on(&self) -> usize {
        for aborts in 0..LIVES_MAX {
            let end = self.live();
            if end.success() {
                return aborts;
            }
            assert_eq!(end.signal(), Some(6), "{end}");
        }
        panic!("it aborted {LIVES_MAX} times");
    }

    fn alerts(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.0.path().join("alerts")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A delivery that an abort has repeated is known by its id.
    fn texts(&self) -> Vec<String> {
        let text = |alert: &serde_json::Value| alert["text"].as_str().map(str::to_owned);
        let mut known = std::collections::HashSet::new();
        let mut alerts = self.alerts();
        // A loss has a text of its own: what to do.
        alerts.retain(|alert| alert["kind"] != "loss" && known.insert(alert["id"].to_string()));
        alerts.iter().filter_map(text).collect()
    }

    /// Places of the losses that were told, with their bytes as they stand in the log.
    fn lost(&self) -> Vec<String> {
        let log = fs::read(self.log()).unwrap();
        let alerts = self.alerts();
        let losses = alerts.iter().filter(|alert| alert["kind"] == "loss");
        let place = |alert: &serde_json::Value, key: &str| alert["source"][key].as_u64().unwrap() as usize;
        losses
            .map(|alert| String::from_utf8_lossy(&log[place(alert, "offset")..place(alert, "end_offset")]).into_owned())
            .collect()
    }

    fn ledger(&self) -> crate::collector::Ledger {
        let (state, _) = State::open(&self.0.path().join("state")).unwrap();
        let mut files = checkpoints::load(state.connection()).unwrap();
        assert_eq!(files.len(), 1);
        files.remove(0).1.file_state.ledger
    }
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("INFO number {n}\n")).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_record_that_aborts_is_skipped_and_told_and_nothing_else_is() {
    for stage in ["judge", "feed", "tell"] {
        let poison = format!("ERROR POISON-{stage}\n");
        let host = Host::new(&format!("{}{poison}{}", numbers(0..100), numbers(100..200)));
        let aborts = host.live_on();
        assert!((3..=4).contains(&aborts), "{stage}: {aborts} aborts");
        assert_eq!(host.texts(), lines(&numbers(0..200)), "{stage}");
        assert_eq!(host.lost(), [&*poison], "{stage}");
        let (ledger, length) = (host.ledger(), poison.len() as u64);
        assert_eq!(ledger.lost.get(lost::POISON), Some(length));
        assert_eq!(ledger.handed_on + length, fs::metadata(host.log()).unwrap().len());
        // Over is over.
        fs::write(host.log(), format!("{}{poison}{}", numbers(0..100), numbers(100..201))).unwrap();
        assert_eq!(
            (host.live_on(), host.texts().len(), host.lost().len()),
            (0, 201, 1),
            "{stage}"
        );
    }
}

#[test]
fn a_stack_trace_that_aborts_is_skipped_whole() {
    let trace = "java.lang.IllegalStateException: x\n\tat a.B.c(B.java:1)\n\tat a.B.POISON-judge(B.java:2)\n";
    let host = Host::new(&format!("{}{trace}{}", numbers(0..3), numbers(3..6)));
    host.live_on();
    assert_eq!(host.texts(), lines(&numbers(0..6)));
    assert_eq!(host.lost(), [trace]);
    let line = host.alerts().last().map(|alert| alert["source"]["first_line"].clone());
    assert_eq!(line, Some(9.into()), "lines are still numbered as an editor does");
}

#[test]
fn the_last_record_of_a_file_is_found_too() {
    let poison = "ERROR POISON-judge\n";
    let host = Host::new(&format!("{}{poison}", numbers(0..3)));
    host.live_on();
    assert_eq!(
        (host.texts(), host.lost()),
        (lines(&numbers(0..3)), vec![poison.to_owned()])
    );
}

#[test]
fn deep_in_a_large_file_it_costs_few_aborts() {
    let poison = "ERROR POISON-judge\n";
    let quiet: String = (0..60_000).map(|n| format!("INFO nothing to see here {n}\n")).collect();
    let host = Host::new(&format!("{quiet}{poison}{quiet}{poison}{}", numbers(0..3)));
    // Both lie in the same chunks' distance: each is found by itself.
    let aborts = host.live_on();
    assert!(aborts <= 7, "{aborts} aborts");
    assert_eq!(
        (host.texts(), host.lost()),
        (lines(&numbers(0..3)), vec![poison.to_owned(); 2])
    );
}

#[test]
fn who_is_killed_where_nothing_is_wrong_loses_nothing() {
    let host = Host::new(&numbers(0..2));
    assert_eq!(host.live_on(), 0);
    fs::write(host.log(), numbers(0..50)).unwrap();
    for _ in 0..4 {
        // As a `kill -9` before anything was read leaves it.
        let (mut state, _) = State::open(&host.0.path().join("state")).unwrap();
        state.set_meta(crate::state::Durability::Full, RUNNING, "1").unwrap();
        let mut memory = Memory::load(&state).unwrap();
        memory.conclude(None);
        memory.count(&checkpoints::load(state.connection()).unwrap());
        memory.save(&mut state).unwrap();
    }
    assert_eq!(host.live_on(), 0);
    assert_eq!((host.texts(), host.lost()), (lines(&numbers(0..50)), vec![]));
}

#[test]
fn reading_line_by_line_writes_little() {
    let host = Host::new(&format!(
        "{}ERROR POISON-judge\n",
        "INFO nothing to see here\n".repeat(5_000)
    ));
    for _ in 0..3 {
        assert!(!host.live().success());
    }
    let state_dir = host.0.path().join("state");
    let step = fs::read_to_string(state_dir.join(memory::KEY)).unwrap();
    assert!(
        step.contains("record") && step.contains("125000"),
        "the third reads carefully: {step}"
    );
    let written = fs::metadata(state_dir.join("state.db-wal")).unwrap().len();
    assert!(written < 400_000, "{written} bytes for 5,000 lines");
    host.live_on();
    assert!(!state_dir.join(memory::KEY).exists());
}

#[test]
fn blanks_keep_newlines_of_every_width() {
    let mut bytes = *b"ab\nc\n";
    blank(&mut bytes, Newline::Byte);
    assert_eq!(&bytes, b"  \n \n");
    let mut bytes = *b"a\0\n\0\x0a\x4e";
    blank(&mut bytes, Newline::Utf16Le);
    assert_eq!(&bytes, b" \0\n\0 \0");
}

#[test]
fn what_is_remembered_is_forgotten_after_an_end_in_order() {
    let host = Host::new(&format!("{}ERROR POISON-judge\n", numbers(0..3)));
    assert!(!host.live().success());
    assert!(!host.live().success());
    let state_dir = host.0.path().join("state");
    let remembered = |dir: &Path| State::open(dir).unwrap().0.meta(memory::KEY).unwrap();
    assert!(remembered(&state_dir).is_some());
    host.live_on();
    assert_eq!(host.live_on(), 0);
    assert_eq!(remembered(&state_dir), None);
}
