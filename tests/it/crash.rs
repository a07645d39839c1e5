//! The promise: a `kill -9` at any instant loses no finding and repeats none in the outbox.
//!
//! Numbered lines, one in ten an error, are written in torn pieces and rotated by rename while the program is killed
//! again and again. Its one alerter cannot deliver, so that the outbox holds all that was ever found. `scripts/crash-test`
//! runs this long, on the release program.

use crate::program::{DEADLINE, Home, wait_until_or};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

/// What CI runs; raised by `ELC_CRASH_KILLS` and `ELC_CRASH_LINES`.
const KILLS: u64 = 25;
const LINES: u64 = 50_000;
/// Every so many lines one is an error.
const EXCEPTIONAL_EVERY: u64 = 10;
const ROTATIONS: u64 = 10;

#[test]
fn nothing_is_lost_or_repeated_over_kills() {
    let kills = number_from_environment("ELC_CRASH_KILLS", KILLS);
    let lines = number_from_environment("ELC_CRASH_LINES", LINES);
    let seed = number_from_environment("ELC_CRASH_SEED", fastrand::u64(..));
    eprintln!("ELC_CRASH_SEED={seed}: {kills} kills over {lines} lines");
    let mut random = fastrand::Rng::with_seed(seed);

    let home = Home::new();
    home.configure(
        "sources:\n  - {name: shop, paths: ['{home}/logs/shop.log*'], read_from: beginning}\n\
         alerters:\n  - name: nowhere\n    send: each\n    outbox: {max_size: 1GiB, when_full: block}\n\
         \u{20}   webhook: {url: 'http://127.0.0.1:1/nobody-listens-here'}\n",
    );
    let mut writer = Writer::new(&home, lines / ROTATIONS, random.fork());
    let mut kills_at_work = 0;
    for kill in 0..kills {
        let share = lines * kill / kills..lines * (kill + 1) / kills;
        let goal = share.end / EXCEPTIONAL_EVERY;
        let program = home.start(&["run"]);
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write(share.clone()));
            kill_instant(&home, goal, &mut random);
            program.kill();
        });
        // The last line of a share is an error that stays open for a second: it is no work left.
        kills_at_work += u64::from(queued(&home) + 1 < goal);
    }
    let goal = lines / EXCEPTIONAL_EVERY;
    let found = queued(&home);
    eprintln!("{kills_at_work} of {kills} kills interrupted work; {found} of {goal} were found between them");

    let mut program = home.start(&["run"]);
    let mut before = None;
    while !wait_until_or(DEADLINE, || queued(&home) >= goal || program.has_ended()) {
        let now = queued(&home);
        if before == Some(now) {
            eprintln!("no progress for {DEADLINE:?}; the program said:\n{}", program.stderr());
            break;
        }
        before = Some(now);
    }
    let status = program.stop();
    eprintln!("{} deliveries, each exactly once", exactly_once(&home, lines));
    // Everything may have been found before the last start: then SIGTERM comes before anybody listens for it.
    assert!(
        status.success() || status.signal() == Some(15),
        "SIGTERM ended it with {status}"
    );
    // A run in which every kill found the program idle would prove nothing.
    assert!(
        kills_at_work * 4 >= kills,
        "only {kills_at_work} of {kills} kills interrupted work"
    );
}

/// Waits for the instant of the next kill: during the start, or when a random part of the work is in the outbox.
fn kill_instant(home: &Home, goal: u64, random: &mut fastrand::Rng) {
    let jitter = Duration::from_micros(random.u64(..20_000));
    if random.u8(..4) > 0 {
        let before = queued(home);
        let part = before + random.u64(..=goal.saturating_sub(before));
        wait_until_or(Duration::from_secs(2), || queued(home) >= part);
    }
    wait_until_or(jitter, || false);
}

/// How many deliveries were ever put into the outbox; none while there is no state yet.
fn queued(home: &Home) -> u64 {
    let read = || -> rusqlite::Result<u64> {
        outbox(home)?.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'", [], |row| {
            row.get(0)
        })
    };
    read().unwrap_or(0)
}

fn outbox(home: &Home) -> rusqlite::Result<rusqlite::Connection> {
    // Writable, because whoever comes first after a kill has to recover the write-ahead log.
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = rusqlite::Connection::open_with_flags(home.state_dir().join("state.db"), flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Asserts that every exceptional line stands in exactly one delivery, and that no two share an id; how many there are.
fn exactly_once(home: &Home, lines: u64) -> usize {
    let connection = outbox(home).expect("the state is there");
    let mut statement = connection
        .prepare("SELECT payload FROM deliveries")
        .expect("the outbox is there");
    let payloads = statement
        .query_map([], |row| row.get::<_, String>(0))
        .expect("the outbox can be read");
    let (mut orders, mut ids) = (BTreeMap::<u64, u32>::new(), BTreeMap::<String, u32>::new());
    for payload in payloads {
        let alert: serde_json::Value = serde_json::from_str(&payload.expect("a row")).expect("JSON of the contract");
        let text = alert["text"].as_str().expect("a record has its text");
        let order = text.rsplit("order ").next().and_then(|number| number.parse().ok());
        *orders
            .entry(order.unwrap_or_else(|| panic!("not a line of ours: {text:?}")))
            .or_default() += 1;
        *ids.entry(alert["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    let expected = (0..lines).filter(|line| is_exceptional(*line));
    let lost: Vec<u64> = expected.filter(|line| !orders.contains_key(line)).collect();
    let repeated: Vec<_> = orders.iter().filter(|(_, count)| **count > 1).collect();
    let invented: Vec<_> = orders
        .keys()
        .filter(|line| !is_exceptional(**line) || **line >= lines)
        .collect();
    let twins = ids.values().filter(|count| **count > 1).count();
    assert!(
        lost.is_empty() && repeated.is_empty() && invented.is_empty() && twins == 0,
        "lost {} {:?}, repeated {} {:?}, invented {} {:?}, ids used twice {twins}",
        lost.len(),
        &lost[..lost.len().min(10)],
        repeated.len(),
        &repeated[..repeated.len().min(10)],
        invented.len(),
        &invented[..invented.len().min(10)],
    );
    orders.len()
}

fn is_exceptional(line: u64) -> bool {
    line % EXCEPTIONAL_EVERY == EXCEPTIONAL_EVERY - 1
}

/// Writes as a service does that loggers rotate by rename: at line ends, the old generations kept.
struct Writer {
    folder: PathBuf,
    file: File,
    lines_in_file: u64,
    rotate_after_lines: u64,
    random: fastrand::Rng,
}

impl Writer {
    fn new(home: &Home, rotate_after_lines: u64, random: fastrand::Rng) -> Self {
        let folder = home.path("logs");
        let file = File::create(folder.join("shop.log")).expect("a new log");
        Self {
            folder,
            file,
            lines_in_file: 0,
            rotate_after_lines,
            random,
        }
    }

    fn write(&mut self, lines: Range<u64>) {
        let mut pending = Vec::new();
        for line in lines {
            let level = if is_exceptional(line) {
                "ERROR payment refused for"
            } else {
                "INFO paid"
            };
            let second = line / 100 % 60;
            writeln!(pending, "2026-11-23 06:00:{second:02} {level} order {line}").expect("memory takes it");
            self.lines_in_file += 1;
            if self.lines_in_file >= self.rotate_after_lines {
                self.write_torn(&mut pending, true);
                self.rotate();
            } else if pending.len() > 8_192 {
                self.write_torn(&mut pending, false);
            }
        }
        self.write_torn(&mut pending, true);
    }

    /// Writes in pieces that end anywhere in a line; `whole`: until nothing is pending.
    fn write_torn(&mut self, pending: &mut Vec<u8>, whole: bool) {
        while pending.len() > if whole { 0 } else { 4_096 } {
            let piece = self.random.usize(1..=pending.len().min(4_096));
            self.file.write_all(&pending[..piece]).expect("the disk takes it");
            pending.drain(..piece);
        }
    }

    fn rotate(&mut self) {
        let generation = |n: u64| self.folder.join(format!("shop.log.{n}"));
        for n in (1..=ROTATIONS).rev().filter(|n| generation(*n).exists()) {
            fs::rename(generation(n), generation(n + 1)).expect("the older generation moves up");
        }
        fs::rename(self.folder.join("shop.log"), generation(1)).expect("the log is rotated");
        self.file = File::create(self.folder.join("shop.log")).expect("a new log");
        self.lines_in_file = 0;
    }
}

fn number_from_environment(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}
