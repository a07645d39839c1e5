//! Random sequences of what happens to a log, against a perfect reader: each line exactly once; only what nobody could
//! see may be missing, and then the ledger says so.

use super::bench::Bench;
use super::rotation::gzip;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// Older generations are kept, so that all that was written can be found.
const GENERATIONS: usize = 24;
/// A copy or an archive is judged within this; what comes twice has come by then.
const JUDGED: Duration = Duration::from_millis(2700);

#[derive(Debug, Clone, Copy)]
enum Deed {
    Append(u8),
    /// The beginning of a line, which the next deed that writes ends.
    Begin,
    Rename,
    /// So many lines are written between copy and truncation: those nobody need see.
    CopyTruncate {
        gap: u8,
    },
    Compress,
    /// What was not read by then may be lost.
    Delete,
    /// Through a link that leads to another file after each switch.
    AppendToLink(u8),
    Switch,
    WaitForAll,
    /// As SIGTERM does.
    Stop,
    /// What is on its way to the state is lost.
    Kill,
    Start,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (1..40_u8).prop_map(Deed::Append),
        2 => Just(Deed::Begin),
        3 => Just(Deed::Rename),
        2 => (0..3_u8).prop_map(|gap| Deed::CopyTruncate { gap }),
        2 => Just(Deed::Compress),
        1 => Just(Deed::Delete),
        1 => (1..5_u8).prop_map(Deed::AppendToLink),
        1 => Just(Deed::Switch),
        1 => Just(Deed::WaitForAll),
        1 => Just(Deed::Stop),
        2 => Just(Deed::Kill),
        3 => Just(Deed::Start),
    ];
    prop::collection::vec(deed, 4..28)
}

struct Writer {
    bench: Bench,
    /// Every generation begins with the same long line.
    banner: bool,
    written: Vec<String>,
    /// In the file as it is now.
    current: Vec<String>,
    may_be_missing: BTreeSet<String>,
    /// Of a file of which something was read before: that they are missing must be told.
    known: BTreeSet<String>,
    targets: usize,
    /// In the file to which the link leads.
    linked: Vec<String>,
    begun: bool,
    running: bool,
}

impl Writer {
    fn new(banner: bool) -> Self {
        Self {
            bench: Bench::new("*.log*"),
            banner,
            written: Vec::new(),
            current: Vec::new(),
            may_be_missing: BTreeSet::new(),
            known: BTreeSet::new(),
            targets: 0,
            linked: Vec::new(),
            begun: false,
            running: false,
        }
    }

    fn next_line(&mut self) -> String {
        let line = format!("line {} of what was written", self.written.len());
        self.written.push(line.clone());
        line
    }

    fn begin_file(&mut self) {
        let is_empty = fs::metadata(self.bench.path("a.log")).map_or(true, |found| found.len() == 0);
        if self.banner && is_empty {
            self.bench.append("a.log", &format!("{}\n", "#".repeat(1500)));
        }
    }

    fn append(&mut self, lines: u8) {
        self.end_line();
        self.begin_file();
        for _ in 0..lines {
            let line = self.next_line();
            self.bench.append("a.log", &format!("{line}\n"));
            self.current.push(line);
        }
    }

    fn begin_line(&mut self) {
        self.end_line();
        self.begin_file();
        let line = self.next_line();
        self.bench.append("a.log", &line[..7]);
        self.current.push(line);
        self.begun = true;
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.begun) {
            let line = self.written.last().unwrap();
            self.bench.append("a.log", &format!("{}\n", &line[7..]));
        }
    }

    fn move_up(&mut self) {
        self.append(1);
        for generation in (1..GENERATIONS).rev() {
            for ending in ["", ".gz"] {
                let name = |number: usize| self.bench.path(&format!("a.log.{number}{ending}"));
                if name(generation).exists() {
                    fs::rename(name(generation), name(generation + 1)).unwrap();
                }
            }
        }
    }

    fn rename(&mut self) {
        self.move_up();
        fs::rename(self.bench.path("a.log"), self.bench.path("a.log.1")).unwrap();
        self.current.clear();
    }

    fn copy_and_truncate(&mut self, gap: u8) {
        self.move_up();
        fs::copy(self.bench.path("a.log"), self.bench.path("a.log.1")).unwrap();
        let was_read = self.is_any_read();
        self.current.clear();
        self.append(gap);
        self.let_go(was_read);
        fs::write(self.bench.path("a.log"), "").unwrap();
    }

    fn delete(&mut self) {
        self.append(1);
        let was_read = self.is_any_read();
        self.let_go(was_read);
        fs::remove_file(self.bench.path("a.log")).unwrap();
        self.append(1);
    }

    fn is_any_read(&self) -> bool {
        self.current.iter().any(|line| self.bench.lines.contains(line))
    }

    /// What was not read of these may be lost.
    fn let_go(&mut self, was_read: bool) {
        let unread = std::mem::take(&mut self.current).into_iter();
        for line in unread.filter(|line| !self.bench.lines.contains(line)) {
            if was_read {
                self.known.insert(line.clone());
            }
            self.may_be_missing.insert(line);
        }
    }

    fn append_to_link(&mut self, lines: u8) {
        self.end_line();
        if self.targets == 0 {
            self.switch();
        }
        for _ in 0..lines {
            let line = self.next_line();
            self.bench
                .append(&format!("target/{}", self.targets), &format!("{line}\n"));
            self.linked.push(line);
        }
    }

    fn switch(&mut self) {
        // To a file of which nothing was read nothing leads any more.
        let linked = std::mem::take(&mut self.linked);
        if !linked.iter().any(|line| self.bench.lines.contains(line)) {
            self.may_be_missing.extend(linked);
        }
        self.targets += 1;
        self.bench.append(&format!("target/{}", self.targets), "");
        let passing = self.bench.path("passing");
        std::os::unix::fs::symlink(format!("target/{}", self.targets), &passing).unwrap();
        fs::rename(passing, self.bench.path("link.log")).unwrap();
    }

    fn start(&mut self) {
        if !std::mem::replace(&mut self.running, true) {
            self.bench.start();
        }
    }

    fn wait_for_all(&mut self) {
        self.end_line();
        self.start();
        let (written, may_be_missing) = (&self.written, &self.may_be_missing);
        self.bench.wait_for(|lines| {
            let seen: BTreeSet<&String> = lines.iter().collect();
            let mut wanted = written.iter().filter(|line| !may_be_missing.contains(*line));
            wanted.all(|line| seen.contains(line)).then_some(())
        });
    }

    fn run(&mut self, deed: Deed) {
        match deed {
            Deed::Append(lines) => self.append(lines),
            Deed::Begin => self.begin_line(),
            Deed::Rename => self.rename(),
            Deed::CopyTruncate { gap } => self.copy_and_truncate(gap),
            Deed::Compress => {
                self.rename();
                gzip(&self.bench, "a.log.1");
            }
            Deed::Delete => self.delete(),
            Deed::AppendToLink(lines) => self.append_to_link(lines),
            Deed::Switch => self.switch(),
            Deed::WaitForAll => self.wait_for_all(),
            Deed::Stop => {
                self.bench.stop();
                self.running = false;
            }
            Deed::Kill => {
                self.bench.kill();
                self.running = false;
            }
            Deed::Start => self.start(),
        }
    }

    fn judge(&mut self) {
        self.append(1);
        self.wait_for_all();
        self.bench.pump(JUDGED);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in self.bench.lines.iter().filter(|line| !line.starts_with('#')) {
            *counts.entry(line).or_default() += 1;
        }
        let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "read twice: {twice:?}");
        // Those that must be there were waited for.
        if self.known.iter().any(|line| !counts.contains_key(line.as_str())) {
            // Unread bytes are given up after a while.
            self.bench
                .wait_for_state(|bench| bench.possible_losses() + bench.all_lost() > 0);
        }
    }
}

/// Few where every change is tested; `RANDOM_CASES=1000` for a night.
fn cases() -> u32 {
    let wanted = std::env::var("RANDOM_CASES").ok();
    wanted.and_then(|cases| cases.parse().ok()).unwrap_or(10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn each_line_is_read_exactly_once_whatever_happens(deeds in deeds(), banner: bool) {
        let mut writer = Writer::new(banner);
        for deed in deeds {
            writer.run(deed);
        }
        writer.judge();
    }
}
