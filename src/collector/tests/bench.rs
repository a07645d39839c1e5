//! A collector in its thread, and the other end of its channels: what an analyzer and a state would see of it.

use crate::collector::tracked::CLOCK_TICKS;
use crate::collector::watch::Watcher;
use crate::collector::*;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Far above what anything takes; on a loaded machine too.
const PATIENCE: Duration = Duration::from_secs(30);
/// What must not come would have come by then.
const SILENCE: Duration = Duration::from_millis(300);

#[derive(Debug, Clone)]
pub struct Options {
    pub from_end: bool,
    pub ignore_older: Option<Duration>,
    pub max_line_bytes: usize,
    pub read_rate: u64,
    pub polling: bool,
    pub once: bool,
    pub boot_changed: bool,
    pub more_globs: Vec<String>,
    /// So many followed files may be open.
    pub open_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            from_end: false,
            ignore_older: None,
            max_line_bytes: 256 * 1024,
            read_rate: 0,
            polling: false,
            once: false,
            boot_changed: false,
            more_globs: Vec::new(),
            open_max: usize::MAX,
        }
    }
}

#[derive(Debug)]
pub struct Bench {
    directory: tempfile::TempDir,
    glob: String,
    pub options: Options,
    /// What came out, over all starts.
    pub lines: Vec<String>,
    /// What the state would hold.
    pub rows: BTreeMap<i64, (PathBuf, Resume, FileState)>,
    pub first_start_ms: Option<i64>,
    first_look: Option<FirstLook>,
    keys: HashMap<FileKey, i64>,
    /// Bytes that were told to be lost, also if they turned up after that.
    pub told_lost: u64,
    running: Option<(Receiver<Event>, Stop, std::thread::JoinHandle<()>)>,
}

impl Bench {
    pub fn new(glob: &str) -> Self {
        Self::with(glob, Options::default())
    }

    pub fn with(glob: &str, options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("state")).unwrap();
        Self {
            directory,
            glob: glob.to_owned(),
            options,
            lines: Vec::new(),
            rows: BTreeMap::new(),
            first_start_ms: None,
            first_look: None,
            keys: HashMap::new(),
            told_lost: 0,
            running: None,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn append(&self, name: &str, text: &str) {
        self.append_bytes(name, text.as_bytes());
    }

    pub fn append_bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// The clock of the file system runs in ticks: waits until a file born now is younger than this one.
    pub fn wait_until_older_than_now(&self, name: &str) {
        let born = std::fs::metadata(self.path(name)).unwrap().modified().unwrap();
        let probe = self.directory.path().join("state/probe");
        loop {
            std::fs::write(&probe, "").unwrap();
            let now = std::fs::metadata(&probe).unwrap().modified().unwrap();
            // The first start is kept in milliseconds.
            if now > born + CLOCK_TICKS + Duration::from_millis(2) {
                return;
            }
        }
    }

    fn source(&self) -> Source {
        let globs = std::iter::once(&self.glob).chain(&self.options.more_globs);
        let paths = globs.map(|glob| format!("{}/{glob}", self.directory.path().display()));
        Source {
            name: "app".into(),
            paths: paths.collect(),
            exclude: Vec::new(),
            read_from: if self.options.from_end {
                ReadFrom::End
            } else {
                ReadFrom::Beginning
            },
            ignore_older: self.options.ignore_older,
            read_rate: self.options.read_rate,
            newline: lines::Newline::Byte,
            max_line_bytes: self.options.max_line_bytes,
        }
    }

    /// The program is started now; what was written to `name` before lies behind by the clock of the file system, too.
    pub fn begin(&mut self, name: &str) {
        self.wait_until_older_than_now(name);
        let began = SystemTime::now();
        self.first_look = Some(FirstLook::began(began));
        let probe = self.path("state/probe");
        while std::fs::metadata(&probe).unwrap().modified().unwrap() < began {
            std::fs::write(&probe, "").unwrap();
        }
    }

    /// It has had its first look now.
    pub fn look(&mut self) {
        let source = self.source();
        let look = self
            .first_look
            .get_or_insert_with(|| FirstLook::began(SystemTime::now()));
        look.take([&source].into_iter());
    }

    pub fn start(&mut self) {
        assert!(self.running.is_none());
        let source: Arc<str> = "app".into();
        if self.first_start_ms.is_none() {
            self.look();
        }
        let first_look = self.first_look.take().unwrap_or_default();
        let began = first_look.began.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let first_start_ms = *self
            .first_start_ms
            .get_or_insert(i64::try_from(began.as_millis()).unwrap());
        let resumed = self.rows.iter().map(|(row, (path, resume, file_state))| Resumed {
            row: *row,
            source: source.clone(),
            path: path.clone(),
            resume: resume.clone(),
            file_state: file_state.clone(),
        });
        let (sender, events) = bounded(8);
        let (_give_back, spent) = bounded(8);
        let parts = Parts {
            sources: vec![self.source()],
            resumed: resumed.collect(),
            first_starts: BTreeMap::from([("app".to_owned(), first_start_ms)]),
            host_id: "host".to_owned(),
            first_look,
            state_dir: self.path("state"),
            events: vec![sender],
            spent,
            once: self.options.once,
        };
        let (mut collector, stop) = Collector::new(parts).unwrap();
        if self.options.polling {
            collector.watcher = Watcher::polling(stop.waker.clone());
        }
        collector.files.open.max = self.options.open_max;
        if self.options.boot_changed {
            collector.boot_changed();
        }
        collector.first_sight();
        let thread = std::thread::spawn(move || collector.run());
        self.running = Some((events, stop, thread));
    }

    /// As SIGTERM does: everything is read once more and committed.
    pub fn stop(&mut self) {
        let Some((events, stop, thread)) = self.running.take() else {
            return;
        };
        stop.stop();
        while let Ok(event) = events.recv_timeout(PATIENCE) {
            self.take(event);
        }
        thread.join().unwrap();
        self.keys.clear();
    }

    /// As a crash does: what is on its way is lost.
    pub fn kill(&mut self) {
        let Some((events, stop, thread)) = self.running.take() else {
            return;
        };
        drop(events);
        stop.stop();
        thread.join().unwrap();
        self.keys.clear();
    }

    pub fn expect_end(&mut self) {
        let Some((events, stop, thread)) = self.running.take() else {
            return;
        };
        while let Ok(event) = events.recv_timeout(PATIENCE) {
            self.take(event);
        }
        thread.join().unwrap();
        drop(stop);
        self.keys.clear();
    }

    /// Takes what comes until `found` finds something in the lines.
    pub fn wait_for<T>(&mut self, found: impl Fn(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(&self.lines) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain, got {} lines: {:.2000?}",
                self.lines.len(),
                self.lines
            );
            self.pump(Duration::from_millis(50));
        }
    }

    /// Takes what comes until the state looks as `found` wants it.
    pub fn wait_for_state(&mut self, found: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !found(self) {
            assert!(Instant::now() < deadline, "waited in vain: {:#?}", self.rows);
            self.pump(Duration::from_millis(50));
        }
    }

    /// Exactly these lines in this order, and no more.
    pub fn expect(&mut self, expected: &[&str]) {
        self.wait_for(|lines| (lines.len() >= expected.len()).then_some(()));
        self.pump(SILENCE);
        assert_eq!(self.lines, expected);
    }

    pub fn expect_in_any_order(&mut self, expected: &[&str]) {
        self.wait_for(|lines| (lines.len() >= expected.len()).then_some(()));
        self.pump(SILENCE);
        let mut lines = self.lines.clone();
        lines.sort();
        assert_eq!(lines, expected);
    }

    /// Waits until a line that is written now has come: then what was done before was seen. For globs of `*.log`.
    pub fn settle(&mut self) {
        self.append("probe.log", "settled\n");
        let at = self.wait_for(|lines| lines.iter().position(|line| line == "settled"));
        self.lines.remove(at);
    }

    /// Nothing comes for so long.
    pub fn expect_nothing_for(&mut self, long: Duration) {
        let before = self.lines.len();
        let until = Instant::now() + long;
        while Instant::now() < until {
            self.pump(Duration::from_millis(100));
        }
        assert_eq!(self.lines[before..], [] as [&str; 0]);
    }

    pub fn skipped(&self, reason: &str) -> u64 {
        self.rows
            .values()
            .filter_map(|(.., state)| state.ledger.skipped.get(reason))
            .sum()
    }

    pub fn possible_losses(&self) -> u64 {
        let ledgers = self.rows.values().map(|(.., state)| &state.ledger);
        ledgers.map(|ledger| ledger.possible_losses).sum()
    }

    pub fn all_lost(&self) -> u64 {
        self.rows.values().map(|(.., state)| state.ledger.lost_bytes()).sum()
    }

    pub fn lost(&self, reason: &str) -> u64 {
        self.rows
            .values()
            .filter_map(|(.., state)| state.ledger.lost.get(reason))
            .sum()
    }

    /// Takes what comes until nothing has come for so long.
    pub fn pump(&mut self, quiet: Duration) {
        loop {
            let Some((events, ..)) = &self.running else { return };
            match events.recv_timeout(quiet) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Opened(opened) => {
                let next = self.rows.keys().next_back().map_or(1, |row| row + 1);
                let row = opened.row.unwrap_or(next);
                assert_eq!(self.keys.insert(opened.file, row), None, "opened twice");
                self.rows.insert(row, (opened.path, opened.resume, opened.file_state));
            }
            Event::Chunk(chunk) => {
                let mut rest = &chunk.bytes[..];
                while !rest.is_empty() {
                    let (line, behind) = rest.split_at(chunk.newline.first_end(rest).unwrap_or(rest.len()));
                    self.lines.push(text(chunk.newline, line));
                    rest = behind;
                }
                let row = self.rows.get_mut(&self.keys[&chunk.file]).unwrap();
                let end = chunk.end_offset;
                row.1 = Resume {
                    offset: end,
                    committed_to: end,
                    ..Resume::default()
                };
                row.2 = *chunk.file_state.unwrap();
                assert_balance(&row.2, Some(end));
                assert!(row.2.id.is_some(), "a file that has a line has an id");
            }
            Event::Changed { file, file_state } => {
                assert_balance(&file_state, None);
                self.hear(self.keys[&file], *file_state);
            }
            Event::Closed { file, file_state } => {
                let end = file_state.finished.then_some(file_state.size_seen);
                assert_balance(&file_state, end);
                let row = self.keys.remove(&file).unwrap();
                self.hear(row, *file_state);
            }
            Event::Forgotten(row) => {
                self.rows.retain(|known, _| Some(*known) != row.stored());
            }
            Event::Reload(_) => {}
            Event::Ping(_, answer) => answer.try_send(()).unwrap(),
        }
    }
}

impl Bench {
    fn hear(&mut self, row: i64, file_state: FileState) {
        let state = &mut self.rows.get_mut(&row).unwrap().2;
        let (before, lost) = (state.ledger.lost_bytes(), file_state.ledger.lost_bytes());
        self.told_lost += lost.saturating_sub(before);
        *state = file_state;
    }
}

/// Each byte that was seen went somewhere, and only one way; `end`: what is pending lies behind it.
fn assert_balance(state: &FileState, end: Option<u64>) {
    let told = state.accounted_bytes();
    let balanced = match end {
        Some(end) => told == end,
        None => told <= state.size_seen,
    };
    assert!(balanced, "the ledger does not balance at {end:?}: {state:?}");
}

fn text(newline: lines::Newline, line: &[u8]) -> String {
    let line = newline.trim_end(line);
    let encoding = match newline {
        lines::Newline::Byte => encoding_rs::UTF_8,
        lines::Newline::Utf16Le => encoding_rs::UTF_16LE,
        lines::Newline::Utf16Be => encoding_rs::UTF_16BE,
    };
    encoding.decode(line).0.into_owned()
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}
