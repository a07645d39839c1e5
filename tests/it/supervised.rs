//! The service under `scripts/cron-supervise`, as cron runs it each minute: started, left alone while it is well, started
//! again when it is gone, stuck, or writes to a state directory that somebody removed.

use crate::program::{Home, program_path, read_lossily, wait_until};
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

const QUIET: &str = "sources:\n  - {name: app, paths: ['{home}/logs/*.log']}\n";

/// A home whose service is nobody's child; ended with the test.
struct Supervised(Home);

impl Supervised {
    fn new(yaml: &str) -> Self {
        let home = Home::new();
        home.configure(yaml);
        Self(home)
    }

    /// What cron does once a minute.
    fn minute(&self) -> Output {
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/cron-supervise"))
            // To the program it would be a key of its configuration.
            .env_remove("ELC_PROGRAM")
            .arg("-s")
            .arg(self.0.state_dir())
            .arg("-b")
            .arg(program_path())
            .arg("--")
            .arg("-c")
            .arg(self.0.path("config.yaml"))
            .output()
            .expect("the script starts")
    }

    /// The process that holds the lock.
    fn pid(&self) -> Option<Pid> {
        let pid = read_lossily(&self.0.path("state/lock")).trim().parse().ok();
        pid.and_then(Pid::from_raw).filter(|pid| runs(*pid))
    }

    fn started(&self) -> Pid {
        wait_until("it serves", || {
            self.0.path("state/control.sock").exists() && self.pid().is_some()
        });
        self.pid().expect("it just ran")
    }

    fn age(&self, name: &str) {
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let mut options = File::options();
        let file = options.create(true).append(true).open(self.0.path(name));
        file.and_then(|file| file.set_modified(hour_ago))
            .expect("a file of ours");
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // It may end by itself in this moment.
            rustix::process::kill_process(pid, Signal::KILL).ok();
        }
    }
}

fn runs(pid: Pid) -> bool {
    read_lossily(Path::new(&format!("/proc/{}/comm", pid.as_raw_nonzero()))).starts_with("exception-log-c")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn it_is_started_left_alone_while_it_is_well_and_started_again() {
    let supervised = Supervised::new(QUIET);
    assert_eq!(said(&supervised.minute()), "");
    let first = supervised.started();
    assert_eq!(said(&supervised.minute()), "");
    assert_eq!(supervised.pid(), Some(first));
    rustix::process::kill_process(first, Signal::KILL).expect("it runs");
    wait_until("it is gone", || !runs(first));
    fs::remove_file(supervised.0.path("state/control.sock")).expect("it was left behind");
    assert_eq!(said(&supervised.minute()), "");
    assert_ne!(supervised.started(), first);
}

#[test]
fn without_a_pulse_it_is_ended_and_started_again() {
    let supervised = Supervised::new(QUIET);
    supervised.minute();
    let first = supervised.started();
    // An old pulse in a young process is its predecessor's.
    supervised.age("state/heartbeat");
    assert_eq!(said(&supervised.minute()), "");
    assert_eq!(supervised.pid(), Some(first));
    // Its own first pulse may still come between.
    wait_until("it is ended for want of a pulse", || {
        supervised.age("state/heartbeat");
        supervised.age("state/lock");
        said(&supervised.minute()).contains("no heartbeat for more than 3 minutes")
    });
    assert!(!runs(first));
    wait_until("another runs", || supervised.pid().is_some_and(|pid| pid != first));
}

#[test]
fn what_works_on_a_removed_state_directory_is_ended_and_started_anew() {
    let supervised = Supervised::new(QUIET);
    supervised.minute();
    let first = supervised.started();
    fs::remove_dir_all(supervised.0.state_dir()).expect("it is ours");
    let output = supervised.minute();
    assert!(said(&output).contains("was removed under it"), "{}", said(&output));
    assert!(!runs(first));
    assert_ne!(supervised.started(), first);
}

#[test]
fn an_invalid_configuration_is_told_to_cron_and_nothing_is_started() {
    let supervised = Supervised::new("sauces: []\n");
    let output = supervised.minute();
    assert_eq!(output.status.code(), Some(78));
    assert!(said(&output).contains("sauces"), "{}", said(&output));
    assert_eq!(supervised.pid(), None);
}
