//! What becomes of the state: damaged by a power cut, cut short with its log, on a disk that is full.

use crate::program::{Home, Program, read_lossily, wait_until, wait_until_or};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::time::Duration;

const EACH_TO_A_FILE: &str = "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning}\n\
     alerters:\n  - {name: archive, send: each, file: {path: '{home}/alerts', format: json}}\n";

fn alerts(home: &Home) -> Vec<serde_json::Value> {
    let lines = read_lossily(&home.path("alerts"));
    lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// How often each numbered line was told.
fn told(home: &Home) -> BTreeMap<u64, u32> {
    let mut told = BTreeMap::new();
    for alert in alerts(home) {
        let number = alert["text"]
            .as_str()
            .and_then(|text| text.rsplit(' ').next()?.parse().ok());
        if let Some(number) = number {
            *told.entry(number).or_default() += 1;
        }
    }
    told
}

fn write_errors(home: &Home, numbers: std::ops::Range<u64>) {
    let mut log = File::options()
        .append(true)
        .create(true)
        .open(home.path("logs/app.log"))
        .expect("a log");
    let lines: String = numbers
        .map(|n| format!("2026-11-23 06:00:01 ERROR order {n}\n"))
        .collect();
    log.write_all(lines.as_bytes()).expect("the log takes lines");
}

fn wait_for(home: &Home, program: &mut Program, count: usize) {
    program.wait_until(&format!("{count} lines are told"), || told(home).len() >= count);
}

type Change = Box<dyn Fn(&mut Vec<u8>)>;

fn damage(home: &Home, name: &str, change: impl Fn(&mut Vec<u8>)) {
    let path = home.state_dir().join(name);
    let mut bytes = fs::read(&path).expect("it was there at the kill");
    change(&mut bytes);
    fs::write(&path, bytes).expect("it can be written");
}

#[test]
fn a_damaged_state_is_recovered_set_aside_and_told_and_no_line_is_lost() {
    let overwrite = |from: usize| {
        move |bytes: &mut Vec<u8>| {
            let (from, to) = (from.min(bytes.len()), bytes.len().min(from + 9_000));
            bytes[from..to].fill(0x5A);
        }
    };
    let cases: [(&str, &str, Change); 5] = [
        ("empty", "state.db", Box::new(Vec::clear)),
        ("no header", "state.db", Box::new(overwrite(0))),
        ("half", "state.db", Box::new(|bytes| bytes.truncate(bytes.len() / 2))),
        ("inside", "state.db", Box::new(overwrite(30_000))),
        ("log", "state.db-wal", Box::new(overwrite(40_000))),
    ];
    for (what, name, change) in cases {
        let home = Home::new();
        home.configure(EACH_TO_A_FILE);
        write_errors(&home, 0..3_000);
        let mut program = home.start(&["run"]);
        wait_for(&home, &mut program, 500);
        program.kill();
        // What is in the log alone is lost with a database that it does not fit any more; here it is both.
        if name == "state.db" {
            let connection = rusqlite::Connection::open(home.state_dir().join(name)).expect("a database");
            connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .expect("a checkpoint");
        }
        damage(&home, name, &change);
        let mut program = home.start(&["run"]);
        wait_for(&home, &mut program, 3_000);
        let news = || {
            alerts(&home)
                .into_iter()
                .filter(|alert| alert["kind"] == "agent")
                .count()
        };
        if name == "state.db" {
            program.wait_until("the damage is told", || news() > 0);
            assert!(
                program.stderr().contains("state.db.bad-"),
                "{what}: {}",
                program.stderr()
            );
        }
        assert_eq!(program.stop().code(), Some(0), "{what}");
        let bad = fs::read_dir(home.state_dir())
            .expect("a directory")
            .filter_map(Result::ok);
        let bad = bad
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("state.db.bad-"))
            .count();
        assert_eq!(bad > 0, name == "state.db", "{what}");
        // It is over: the next start has nothing to tell.
        let before = (told(&home), news());
        let mut program = home.start(&["run"]);
        write_errors(&home, 3_000..3_001);
        wait_for(&home, &mut program, 3_001);
        assert_eq!(program.stop().code(), Some(0), "{what}");
        assert_eq!((told(&home).len(), news()), (before.0.len() + 1, before.1), "{what}");
    }
}

#[test]
fn a_state_that_is_damaged_while_it_runs_ends_the_program_and_the_next_start_recovers() {
    let home = Home::new();
    home.configure(EACH_TO_A_FILE);
    write_errors(&home, 0..5_000);
    let mut program = home.start(&["run"]);
    wait_for(&home, &mut program, 5_000);
    damage(&home, "state.db", |bytes| bytes.fill(0x5A));
    let wal = home.state_dir().join("state.db-wal");
    let log = File::options().write(true).open(wal).expect("the log is there");
    log.set_len(0).expect("it can be cut");
    // A courier that gets through has in memory what it sends; one in trouble reads it back.
    let (alerts, kept) = (home.path("alerts"), home.path("alerts.kept"));
    fs::rename(&alerts, &kept).expect("a file");
    fs::create_dir(&alerts).expect("a directory in its place");
    let mut next = 5_000;
    wait_until("it ends", || {
        // What is written much is in memory: only where the state grows the bad pages are looked at.
        write_errors(&home, next..next + 100);
        next += 100;
        wait_until_or(Duration::from_secs(1), || program.has_ended())
    });
    assert!(
        program.stderr().contains("the state is damaged"),
        "{}",
        program.stderr()
    );
    fs::remove_dir(&alerts).expect("an empty directory");
    fs::rename(&kept, &alerts).expect("a file");
    let mut program = home.start(&["run"]);
    wait_for(&home, &mut program, next as usize);
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn what_went_with_the_power_is_told_and_reading_goes_on_at_the_end() {
    let home = Home::new();
    home.configure(EACH_TO_A_FILE);
    write_errors(&home, 0..100);
    let mut program = home.start(&["run"]);
    wait_for(&home, &mut program, 100);
    assert_eq!(program.stop().code(), Some(0));

    // As the next boot finds it: another boot id, and a file that has lost what was not written back.
    let connection = rusqlite::Connection::open(home.state_dir().join("state.db")).expect("the state");
    connection
        .execute("UPDATE meta SET value = 'another' WHERE key = 'boot_id'", [])
        .expect("a row");
    drop(connection);
    let log = home.path("logs/app.log");
    let length = fs::metadata(&log).expect("the log").len();
    let line = length / 100;
    File::options()
        .write(true)
        .open(&log)
        .and_then(|file| file.set_len(length - 10 * line))
        .expect("it is cut");

    let mut program = home.start(&["run"]);
    let losses = || -> Vec<serde_json::Value> {
        alerts(&home)
            .into_iter()
            .filter(|alert| alert["kind"] == "loss")
            .collect()
    };
    program.wait_until("the loss is told", || !losses().is_empty());
    write_errors(&home, 100..110);
    wait_for(&home, &mut program, 110);
    let status = home.output(&["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).expect("one JSON object");
    assert_eq!(status["sources"][0]["lost_bytes"]["power_cut"], 10 * line, "{status:#}");
    assert_eq!(program.stop().code(), Some(0));
    assert!(told(&home).values().all(|times| *times == 1), "{:?}", told(&home));
    let told = losses();
    let source = &told[0]["source"];
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(
        (&source["offset"], &source["end_offset"]),
        (&(length - 10 * line).into(), &length.into()),
        "{told:#?}"
    );
}

/// A disk of its own, so small that it can be filled. Unmounted at the end.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// None: this user may not mount.
    fn mount(at: &std::path::Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a new folder");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at).output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(at.to_owned()))
    }

    fn fill(&self) {
        let mut filler = File::create(self.0.join("filler")).expect("a new file");
        let mut bytes = 64 * 1024;
        while bytes > 0 {
            if filler.write_all(&vec![0; bytes]).is_err() {
                bytes /= 2;
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[test]
fn a_full_disk_stops_the_reading_and_is_told_and_when_it_is_free_all_is_delivered_once() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.state_dir()) else {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    };
    home.configure(EACH_TO_A_FILE);
    write_errors(&home, 0..10);
    let mut program = home.start(&["run"]);
    wait_for(&home, &mut program, 10);
    disk.fill();
    let degraded = || home.output(&["status", "--json"]);
    let mut next = 10;
    program.wait_until("the full disk is told", || {
        write_errors(&home, next..next + 100);
        next += 100;
        degraded().status.code() == Some(1)
    });
    let status = String::from_utf8_lossy(&degraded().stdout).into_owned();
    assert!(status.contains("the state cannot be written"), "{status}");
    write_errors(&home, next..next + 100);
    next += 100;
    assert_eq!(
        program.stderr().matches("reading stops").count(),
        1,
        "{}",
        program.stderr()
    );

    disk.free();
    wait_for(&home, &mut program, next as usize);
    program.wait_until("it is healthy again", || degraded().status.code() == Some(0));
    // And full at the start: it waits.
    assert_eq!(program.stop().code(), Some(0));
    disk.fill();
    write_errors(&home, next..next + 10);
    let mut program = home.start(&["run"]);
    program.wait_until("the full disk is told at the start", || {
        program_said(&home, "until the state can be written")
    });
    disk.free();
    wait_for(&home, &mut program, next as usize + 10);
    assert_eq!(program.stop().code(), Some(0));
    assert!(told(&home).values().all(|times| *times == 1), "{:?}", told(&home));
}

/// Whether the program that was started last said this.
fn program_said(home: &Home, what: &str) -> bool {
    read_lossily(&home.path("stderr.2")).contains(what)
}

#[test]
fn a_state_of_the_first_schema_is_brought_up_to_date_and_what_waits_in_it_is_delivered() {
    let home = Home::new();
    home.configure(EACH_TO_A_FILE);
    fs::create_dir_all(home.state_dir()).expect("a new folder");
    let old = rusqlite::Connection::open(home.state_dir().join("state.db")).expect("a new database");
    old.execute_batch(include_str!("../fixtures/state/v1.sql"))
        .expect("our own SQL");
    drop(old);
    let checked = home.output(&["state", "check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.status.success() && said.contains("the next start brings it to"),
        "{said}"
    );
    let mut program = home.start(&["run"]);
    program.wait_until("the delivery of old arrives", || {
        alerts(&home).iter().any(|alert| alert["id"] == "of-the-old-program")
    });
    write_errors(&home, 0..1);
    wait_for(&home, &mut program, 2);
    assert_eq!(program.stop().code(), Some(0));
    let new = alerts(&home).pop().expect("two alerts");
    assert_eq!(new["host"]["id"], "the-host-of-old");
    assert!(home.state_dir().join("state.db.v1.bak").exists());
}

#[test]
fn a_state_of_a_newer_program_is_refused_and_left_alone() {
    let home = Home::new();
    home.configure(EACH_TO_A_FILE);
    write_errors(&home, 0..1);
    assert!(home.output(&["run", "--once"]).status.success());
    let connection = rusqlite::Connection::open(home.state_dir().join("state.db")).expect("the state");
    connection.pragma_update(None, "user_version", 99).expect("a header");
    drop(connection);
    for arguments in [&["run"][..], &["state", "check"]] {
        let refused = home.output(arguments);
        let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(
            said.contains("99") && said.contains("newer than this program"),
            "{said}"
        );
    }
    assert!(
        !fs::read_dir(home.state_dir())
            .expect("a folder")
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains("bad"))
    );
}

#[test]
fn a_backup_of_a_running_service_can_be_checked_and_restored() {
    let home = Home::new();
    home.configure(EACH_TO_A_FILE);
    let none = home.output(&["state", "check"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("nothing has run there yet"));

    write_errors(&home, 0..20);
    let mut program = home.start(&["run"]);
    wait_for(&home, &mut program, 20);
    let backup = home.path("backup.db");
    let backup = backup.to_str().expect("a plain name");
    let run = |arguments: &[&str]| {
        let output = home.output(arguments);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    for _ in 0..2 {
        let (code, said) = run(&["state", "backup", backup]);
        assert!(code == Some(0) && said.contains("1 files"), "{said}");
    }
    let (code, said) = run(&["state", "check"]);
    assert!(code == Some(0) && said.contains("integrity  ok"), "{said}");
    let (code, said) = run(&["state", "restore", backup]);
    assert!(code == Some(1) && said.contains("stop it first"), "{said}");
    let other = home.path("config.yaml");
    let (code, said) = run(&["state", "backup", other.to_str().expect("a plain name")]);
    assert!(code == Some(1) && said.contains("is no backup of a state"), "{said}");

    write_errors(&home, 20..30);
    wait_for(&home, &mut program, 30);
    assert_eq!(program.stop().code(), Some(0));
    let (code, said) = run(&["state", "restore", other.to_str().expect("a plain name")]);
    assert!(code == Some(1) && said.contains("no backup that can be used"), "{said}");
    let (code, said) = run(&["state", "restore", backup]);
    assert!(code == Some(0) && said.contains("before-restore"), "{said}");
    // What came after the backup is found again, under the same ids.
    let mut program = home.start(&["run"]);
    program.wait_until("the lines after the backup are told again", || {
        (20..30).all(|number| told(&home).get(&number) == Some(&2))
    });
    assert_eq!(program.stop().code(), Some(0));
    let ids: std::collections::BTreeSet<String> = alerts(&home).iter().map(|alert| alert["id"].to_string()).collect();
    assert_eq!(ids.len(), 30, "{ids:?}");

    fs::write(home.state_dir().join("state.db"), "no database").expect("it can be written");
    let (code, said) = run(&["state", "check"]);
    assert!(code == Some(1) && said.contains("damaged"), "{said}");
}
