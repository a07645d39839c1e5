//! The analyzer thread: events of files in, batches of findings with their checkpoints out. One [`Stream`] per file.

use crate::analyzer::stream::{Analyzers, Seen};
use crate::analyzer::{Exceptional, Stream};
use crate::collector::{Appetite, Chunk, Event, FileKey, FileState, LastWrite, Opened};
use crate::keeper::{self, Batch, Board, Message};
use crate::metrics::{self, Metrics, Suppressed};
use crate::record;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// With nothing open there is nothing to wait for but the next event; a day is as good as for ever.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// Silence from before our start counts up to a day: more than any record waits.
const OLDEST_MS: u64 = 24 * 3600 * 1000;
/// Progress in which nothing was found is told to the keeper no more often: it would wake for each chunk.
const UNTOLD_MAX_MS: u64 = 1000;

/// What the files of one source are read with.
#[derive(Debug, Clone)]
pub struct SourceParts {
    pub analyzers: Arc<Analyzers>,
    pub record: record::Settings,
    /// How long a finding waits for the lines after it.
    pub context_wait: Duration,
}

pub type Sources = Arc<BTreeMap<Arc<str>, SourceParts>>;

/// A reload, as an analyzer and the keeper behind it need it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub sources: Sources,
    /// None: novelty is off.
    pub board: Option<Arc<Board>>,
    pub keeper: Arc<keeper::Change>,
}

/// What happens to open records when the events end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// They stay open: the next start goes on with them.
    StayOpen,
    /// They are given `flush_after` and closed (`run --once`).
    WaitAndClose,
}

#[derive(Debug)]
pub struct Worker {
    pub sources: Sources,
    pub metrics: Arc<Metrics>,
    pub events: Receiver<Event>,
    /// What [`Event::Reload`] speaks of: left here before the collector hears of it.
    pub plans: Receiver<Plan>,
    /// Told how much was found, so that chunks are cut accordingly.
    pub appetite: Arc<Appetite>,
    /// Empty buffers go back to the collector.
    pub spent: Sender<Vec<u8>>,
    pub batches: Sender<Message>,
    /// What is known of templates; none: nobody asks for them.
    pub board: Option<Arc<Board>>,
    pub at_end: AtEnd,
}

/// The keeper is gone: nothing more can be said.
struct KeeperGone;

#[derive(Debug)]
struct File {
    source: Arc<str>,
    stream: Stream,
    /// None: its source is no longer configured.
    counts: Option<Arc<metrics::Source>>,
    opened: Option<Box<Opened>>,
    lag_bytes: u64,
    /// Records were left open there: silence is counted from the last write, not from our start.
    left_open: Option<LastWrite>,
    /// Chunks have been read in which nothing was found, and the keeper does not know yet.
    untold: Option<Untold>,
    /// Its place in the timers.
    due_ms: Option<u64>,
}

#[derive(Debug)]
struct Untold {
    since_ms: u64,
    file_state: Option<Box<FileState>>,
}

impl File {
    /// When something is to be done, if nothing else happens.
    fn next_due_ms(&self) -> Option<u64> {
        let told_ms = self.untold.as_ref().map(|untold| untold.since_ms + UNTOLD_MAX_MS);
        self.stream.next_close_ms().into_iter().chain(told_ms).min()
    }
}

/// The files, and which of them is due when.
#[derive(Debug, Default)]
struct Files {
    /// Boxed: the table of ten thousand would hold twice as much, and three times while it grows.
    by_key: HashMap<FileKey, Box<File>>,
    timers: BTreeSet<(u64, FileKey)>,
}

impl Files {
    fn next_due_ms(&self) -> Option<u64> {
        self.timers.first().map(|(due_ms, _)| *due_ms)
    }

    /// Does something with a file, after which it may be due at another time.
    fn with<T>(&mut self, key: FileKey, work: impl FnOnce(&mut File) -> T) -> Option<T> {
        let file = self.by_key.get_mut(&key)?;
        let done = work(file);
        let due_ms = file.next_due_ms();
        if due_ms != file.due_ms {
            if let Some(before_ms) = std::mem::replace(&mut file.due_ms, due_ms) {
                self.timers.remove(&(before_ms, key));
            }
            self.timers.extend(due_ms.map(|due_ms| (due_ms, key)));
        }
        Some(done)
    }

    fn remove(&mut self, key: FileKey) -> Option<Box<File>> {
        let file = self.by_key.remove(&key)?;
        if let Some(due_ms) = file.due_ms {
            self.timers.remove(&(due_ms, key));
        }
        Some(file)
    }
}

impl Worker {
    /// Until the events end (or the keeper is gone).
    pub fn run(mut self) {
        let mut files = Files::default();
        let started = Started::now();
        // An error says that the keeper is gone; there is nobody left to tell.
        self.follow(&mut files, &started)
            .and_then(|()| match self.at_end {
                AtEnd::StayOpen => self.tell_rest(&mut files),
                AtEnd::WaitAndClose => self.wait_and_close(&mut files, &started),
            })
            .ok();
    }

    fn follow(&mut self, files: &mut Files, started: &Started) -> Result<(), KeeperGone> {
        loop {
            let now_ms = started.ms();
            let wait = match files.next_due_ms() {
                Some(due_ms) if due_ms <= now_ms => {
                    self.do_due(files, now_ms)?;
                    continue;
                }
                Some(due_ms) => Duration::from_millis(due_ms - now_ms),
                None => IDLE,
            };
            match self.events.recv_timeout(wait) {
                Ok(event) => self.handle(files, event, started.ms())?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn handle(&mut self, files: &mut Files, event: Event, now_ms: u64) -> Result<(), KeeperGone> {
        match event {
            Event::Opened(opened) => self.open(files, opened),
            // Of a file that nobody knows nothing is said.
            Event::Chunk(chunk) => files
                .with(chunk.file, |file| self.feed(file, chunk, now_ms))
                .unwrap_or(Ok(())),
            Event::Changed { file: key, file_state } => files
                .with(key, |file| self.send(key, file, Vec::new(), Some(file_state), false))
                .unwrap_or(Ok(())),
            Event::Forgotten(row) => self.batches.send(Message::Forgotten(row)).map_err(|_| KeeperGone),
            Event::Closed { file: key, file_state } => {
                let Some(mut file) = files.remove(key) else {
                    return Ok(());
                };
                let found = self.collect(&mut file, |stream, sink| stream.close_all(sink));
                // The keeper keeps finished rows as long as it likes.
                self.send(key, &mut file, found, Some(file_state), true)
            }
            Event::Reload(_) => self.reload(files),
            // Whoever asked may have gone.
            Event::Ping(_, answer) => {
                answer.try_send(()).ok();
                Ok(())
            }
        }
    }

    /// New settings for all files. Where lines are read in another way, what is open is closed: it was begun in the old one.
    fn reload(&mut self, files: &mut Files) -> Result<(), KeeperGone> {
        let Ok(Plan { sources, board, keeper }) = self.plans.try_recv() else {
            return Ok(());
        };
        let unasked = self.board.is_some() && board.is_none();
        self.board = board;
        let before = std::mem::replace(&mut self.sources, sources);
        for key in files.by_key.keys().copied().collect::<Vec<_>>() {
            files
                .with(key, |file| self.change(key, file, &before, unasked))
                .unwrap_or(Ok(()))?;
        }
        self.batches.send(Message::Change(keeper)).map_err(|_| KeeperGone)
    }

    fn change(&self, key: FileKey, file: &mut File, before: &Sources, unasked: bool) -> Result<(), KeeperGone> {
        file.counts = self.metrics.source(&file.source);
        let Some(parts) = self.sources.get(&file.source) else {
            return Ok(());
        };
        let alike =
            |before: &SourceParts| before.context_wait == parts.context_wait && before.record.reads_like(&parts.record);
        if !unasked && before.get(&file.source).is_none_or(alike) {
            file.stream.set_analyzers(parts.analyzers.clone());
            return Ok(());
        }
        let found = self.collect(file, |stream, sink| stream.close_all(sink));
        let resume = file.stream.resume();
        file.stream =
            Stream::new(parts.analyzers.clone(), parts.record.clone(), &resume).waiting_for_context(parts.context_wait);
        self.send(key, file, found, None, false)
    }

    fn open(&self, files: &mut Files, opened: Box<Opened>) -> Result<(), KeeperGone> {
        let Some(parts) = self.sources.get(&opened.source) else {
            return Ok(());
        };
        let stream = Stream::new(parts.analyzers.clone(), parts.record.clone(), &opened.resume)
            .waiting_for_context(parts.context_wait);
        let (key, source) = (opened.file, opened.source.clone());
        let mut file = File {
            counts: self.metrics.source(&source),
            source,
            stream,
            left_open: opened.last_write.filter(|_| !opened.resume.open_starts.is_empty()),
            lag_bytes: opened.unread_bytes(),
            opened: Some(opened),
            untold: None,
            due_ms: None,
        };
        self.send(key, &mut file, Vec::new(), None, false)?;
        files.by_key.insert(key, Box::new(file));
        Ok(())
    }

    fn feed(&self, file: &mut File, mut chunk: Chunk, now_ms: u64) -> Result<(), KeeperGone> {
        let key = chunk.file;
        file.lag_bytes = chunk.lag_bytes;
        let file_state = chunk.file_state.take();
        let written_ms = now_ms.saturating_sub(file.age_ms(&chunk));
        if let Some(board) = &self.board {
            file.stream.set_known(board.known(&file.source));
        }
        // One batch per chunk: the collector's half of the checkpoint is true at the chunk's end only.
        let found = self.collect(file, |stream, sink| {
            #[cfg(test)]
            super::watcher::watch("feed", &chunk.bytes);
            stream.feed(chunk.run(), written_ms, jiff::Timestamp::now(), sink);
        });
        if let Some(counts) = &file.counts {
            counts.read_bytes.add(chunk.end_offset - chunk.offset);
            counts.speed.add(chunk.end_offset - chunk.offset);
            let lines = memchr::memchr_iter(b'\n', &chunk.bytes).count();
            counts.read_lines.add(lines as u64);
            let odd = file.stream.take_odd_counts();
            counts.unparsed_lines.add(odd.unparsed_lines);
            counts.replaced_bytes.add(odd.replaced_bytes);
        }
        self.appetite.digested(chunk.bytes.len(), found.len());
        chunk.bytes.clear();
        // A full pool has buffers enough: this one is freed.
        self.spent.try_send(chunk.bytes).ok();
        if !found.is_empty() {
            return self.send(key, file, found, file_state, false);
        }
        let untold = file.untold.get_or_insert(Untold {
            since_ms: now_ms,
            file_state: None,
        });
        untold.file_state = file_state.or(untold.file_state.take());
        Ok(())
    }

    /// What has been silent for long enough is closed, what is untold for long enough is told.
    fn do_due(&self, files: &mut Files, now_ms: u64) -> Result<(), KeeperGone> {
        while let Some(&(_, key)) = files.timers.first().filter(|(due_ms, _)| *due_ms <= now_ms) {
            files
                .with(key, |file| {
                    let found = self.collect(file, |stream, sink| {
                        stream.close_silent(now_ms, sink);
                        stream.give_back();
                    });
                    self.send(key, file, found, None, false)
                })
                .unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    fn tell_rest(&self, files: &mut Files) -> Result<(), KeeperGone> {
        files
            .by_key
            .iter_mut()
            .filter(|(_, file)| file.untold.is_some())
            .try_for_each(|(&key, file)| self.send(key, file, Vec::new(), None, false))
    }

    /// `run --once`: what is open is given its silence, then closed.
    fn wait_and_close(&self, files: &mut Files, started: &Started) -> Result<(), KeeperGone> {
        self.tell_rest(files)?;
        while let Some(at) = files
            .by_key
            .values()
            .filter_map(|file| file.stream.next_close_ms())
            .min()
        {
            let left = Duration::from_millis(at.saturating_sub(started.ms()));
            // Nothing is ever sent on this channel: its time-out is the wait.
            crossbeam_channel::after(left).recv().ok();
            self.do_due(files, started.ms())?;
        }
        Ok(())
    }

    /// Drives a stream and keeps what is exceptional.
    fn collect(&self, file: &mut File, drive: impl FnOnce(&mut Stream, &mut dyn FnMut(Seen<'_>))) -> Vec<Exceptional> {
        let mut found = Vec::new();
        let none = metrics::Source::default();
        let (counts, metrics) = (file.counts.as_deref().unwrap_or(&none), &self.metrics);
        drive(&mut file.stream, &mut |seen| {
            #[cfg(test)]
            super::watcher::watch_judged(&seen);
            match seen {
                Seen::Exceptional(exceptional) => {
                    counts.records.of(exceptional.level).add(1);
                    counts.exceptional.add(1);
                    for finding in &exceptional.findings {
                        metrics.findings(finding.analyzer, finding.severity).add(1);
                    }
                    found.push(*exceptional);
                }
                // Whether anybody finds something in it, the keeper knows.
                Seen::Unfamiliar(unfamiliar) => {
                    counts.records.of(unfamiliar.level).add(1);
                    found.push(*unfamiliar);
                }
                Seen::Unremarkable { record, ignored, .. } => {
                    counts.records.of(record.level).add(1);
                    if ignored {
                        counts.ignored.add(1);
                        metrics.suppressed(Suppressed::Ignore).add(1);
                    }
                }
                // Nobody has looked at their level.
                Seen::Skipped(skipped) => counts.records.of(None).add(skipped),
            }
        });
        found
    }

    fn send(
        &self,
        key: FileKey,
        file: &mut File,
        found: Vec<Exceptional>,
        file_state: Option<Box<FileState>>,
        closed: bool,
    ) -> Result<(), KeeperGone> {
        let untold = file.untold.take().and_then(|untold| untold.file_state);
        let batch = Batch {
            file: key,
            opened: file.opened.take(),
            found,
            counts: file.stream.take_counts(),
            signs: file.stream.take_signs(),
            resume: file.stream.resume(),
            file_state: file_state.or(untold),
            closed,
            lag_bytes: file.lag_bytes,
            observed_at: jiff::Timestamp::now(),
        };
        self.batches
            .send(Message::Batch(Box::new(batch)))
            .map_err(|_| KeeperGone)
    }
}

impl File {
    /// How long ago the last line of this chunk was written, as far as it matters: at the end of what was there when the
    /// file was opened again with records left open. Of what is written while we look, now is near enough.
    fn age_ms(&mut self, chunk: &Chunk) -> u64 {
        let Some(LastWrite { at, size_bytes }) = self.left_open else {
            return 0;
        };
        if chunk.end_offset > size_bytes {
            self.left_open = None;
            return 0;
        }
        let age = SystemTime::now().duration_since(at).unwrap_or_default();
        match chunk.lag_bytes {
            0 => u64::try_from(age.as_millis()).unwrap_or(u64::MAX).min(OLDEST_MS),
            // More was written behind it: that goes on with what is open.
            _ => 0,
        }
    }
}

/// The monotonic clock of this thread, in milliseconds: silence may have begun [`OLDEST_MS`] before our start.
struct Started(Instant);

impl Started {
    fn now() -> Self {
        Self(Instant::now())
    }

    fn ms(&self) -> u64 {
        OLDEST_MS + u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX - OLDEST_MS)
    }
}

#[cfg(test)]
mod tests;
