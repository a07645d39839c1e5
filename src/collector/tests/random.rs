//! Random sequences of what happens to a log, against a perfect reader: each line exactly once.

use super::bench::Bench;
use proptest::prelude::*;
use std::fs;

/// Older generations are kept, so that all that was written can be found.
const GENERATIONS: usize = 12;

#[derive(Debug, Clone, Copy)]
enum Deed {
    Append(u8),
    /// The beginning of a line, which the next deed that writes ends.
    Begin,
    Rename,
    /// Without a line between copy and truncation: those nobody can see.
    CopyTruncate,
    /// A file that was read to its end is deleted, and made anew.
    Delete,
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
        1 => Just(Deed::CopyTruncate),
        1 => Just(Deed::Delete),
        1 => Just(Deed::Stop),
        2 => Just(Deed::Kill),
        3 => Just(Deed::Start),
    ];
    prop::collection::vec(deed, 4..24)
}

struct Writer {
    bench: Bench,
    written: Vec<String>,
    begun: bool,
    running: bool,
}

impl Writer {
    fn append(&mut self, lines: u8) {
        self.end_line();
        for _ in 0..lines {
            let line = format!("line {}", self.written.len());
            self.bench.append("a.log", &format!("{line}\n"));
            self.written.push(line);
        }
    }

    fn begin_line(&mut self) {
        self.end_line();
        let line = format!("line {} and its rest", self.written.len());
        self.bench.append("a.log", &line[..7]);
        self.written.push(line);
        self.begun = true;
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.begun) {
            let line = self.written.last().unwrap();
            self.bench.append("a.log", &format!("{}\n", &line[7..]));
        }
    }

    fn move_up(&mut self) {
        self.end_line();
        let name = |generation: usize| match generation {
            0 => self.bench.path("a.log"),
            generation => self.bench.path(&format!("a.log.{generation}")),
        };
        for generation in (1..GENERATIONS).rev().filter(|generation| name(*generation).exists()) {
            fs::rename(name(generation), name(generation + 1)).unwrap();
        }
    }

    fn start(&mut self) {
        if !std::mem::replace(&mut self.running, true) {
            self.bench.start();
        }
    }

    fn wait_for_all(&mut self) {
        let all = self.written.len();
        self.bench.wait_for(|lines| (lines.len() >= all).then_some(()));
    }

    fn run(&mut self, deed: Deed) {
        match deed {
            Deed::Append(lines) => self.append(lines),
            Deed::Begin => self.begin_line(),
            Deed::Rename => {
                self.append(1);
                self.move_up();
                fs::rename(self.bench.path("a.log"), self.bench.path("a.log.1")).unwrap();
            }
            Deed::CopyTruncate => {
                self.append(1);
                self.move_up();
                fs::copy(self.bench.path("a.log"), self.bench.path("a.log.1")).unwrap();
                fs::write(self.bench.path("a.log"), "").unwrap();
            }
            Deed::Delete => {
                self.append(1);
                self.start();
                self.wait_for_all();
                fs::remove_file(self.bench.path("a.log")).unwrap();
                self.append(1);
            }
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
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn each_line_is_read_exactly_once_whatever_happens(deeds in deeds()) {
        let bench = Bench::new("*.log*");
        let mut writer = Writer { bench, written: Vec::new(), begun: false, running: false };
        for deed in deeds {
            writer.run(deed);
        }
        writer.append(1);
        writer.start();
        writer.written.sort();
        let expected: Vec<&str> = writer.written.iter().map(String::as_str).collect();
        writer.bench.expect_in_any_order(&expected);
    }
}
