//! The analyzer thread: events of files in, batches of findings with their checkpoints out. One [`Stream`] per file.

use crate::analyzer::Stream;
use crate::analyzer::stream::{Analyzers, Seen};
use crate::collector::{Chunk, Event, FileKey, FileState, Opened};
use crate::keeper::{Batch, Board, Message};
use crate::metrics::{self, Metrics};
use crate::record;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// With nothing open there is nothing to wait for but the next event; a day is as good as for ever.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// What the files of one source are read with.
#[derive(Debug, Clone)]
pub struct SourceParts {
    pub analyzers: Arc<Analyzers>,
    pub record: record::Settings,
    /// How long a finding waits for the lines after it.
    pub context_wait: Duration,
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
    pub sources: Arc<BTreeMap<Arc<str>, SourceParts>>,
    pub metrics: Arc<Metrics>,
    pub events: Receiver<Event>,
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
    opened: Option<Box<Opened>>,
    lag_bytes: u64,
}

impl Worker {
    /// Until the events end (or the keeper is gone).
    pub fn run(self) {
        let mut files = HashMap::new();
        let started = Started::now();
        if self.follow(&mut files, &started).is_ok() && self.at_end == AtEnd::WaitAndClose {
            // An error says that the keeper is gone; there is nobody left to tell.
            self.wait_and_close(&mut files, &started).ok();
        }
    }

    fn follow(&self, files: &mut HashMap<FileKey, File>, started: &Started) -> Result<(), KeeperGone> {
        loop {
            let next_close_ms = files.values().filter_map(|file| file.stream.next_close_ms()).min();
            if next_close_ms.is_some_and(|at| at <= started.ms()) {
                self.close_silent(files, started.ms())?;
                continue;
            }
            let wait = next_close_ms.map_or(IDLE, |at| Duration::from_millis(at.saturating_sub(started.ms())));
            match self.events.recv_timeout(wait) {
                Ok(event) => self.handle(files, event, started.ms())?,
                Err(RecvTimeoutError::Timeout) => self.close_silent(files, started.ms())?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn handle(&self, files: &mut HashMap<FileKey, File>, event: Event, now_ms: u64) -> Result<(), KeeperGone> {
        match event {
            Event::Opened(opened) => self.open(files, opened),
            Event::Chunk(chunk) => {
                let Some(file) = files.get_mut(&chunk.file) else {
                    return Ok(());
                };
                self.feed(file, chunk, now_ms)
            }
            Event::Changed { file: key, file_state } => {
                let Some(file) = files.get_mut(&key) else { return Ok(()) };
                self.send(key, file, Vec::new(), Some(file_state), false)
            }
            Event::Forgotten(row) => self.batches.send(Message::Forgotten(row)).map_err(|_| KeeperGone),
            Event::Closed { file: key, file_state } => {
                let Some(mut file) = files.remove(&key) else {
                    return Ok(());
                };
                let found = self.collect(&file.source.clone(), |sink| file.stream.close_all(sink));
                self.send(key, &mut file, found, Some(file_state), true)
            } // The keeper keeps finished rows as long as it likes.
        }
    }

    fn open(&self, files: &mut HashMap<FileKey, File>, opened: Box<Opened>) -> Result<(), KeeperGone> {
        let Some(parts) = self.sources.get(&opened.source) else {
            return Ok(());
        };
        let stream = Stream::new(parts.analyzers.clone(), parts.record.clone(), &opened.resume)
            .waiting_for_context(parts.context_wait);
        let (key, source) = (opened.file, opened.source.clone());
        let mut file = File {
            source,
            stream,
            opened: Some(opened),
            lag_bytes: 0,
        };
        self.send(key, &mut file, Vec::new(), None, false)?;
        files.insert(key, file);
        Ok(())
    }

    fn feed(&self, file: &mut File, mut chunk: Chunk, now_ms: u64) -> Result<(), KeeperGone> {
        let key = chunk.file;
        file.lag_bytes = chunk.lag_bytes;
        let file_state = chunk.file_state.take();
        if let Some(board) = &self.board {
            file.stream.set_known(board.known(&file.source));
        }
        // One batch per chunk: the collector's half of the checkpoint is true at the chunk's end only.
        let found = self.collect(&file.source.clone(), |sink| {
            file.stream.feed(&chunk, now_ms, jiff::Timestamp::now(), sink);
        });
        if let Some(metrics) = self.metrics.sources.get(&file.source) {
            metrics.read_bytes.add(chunk.end_offset - chunk.offset);
            let odd = file.stream.take_odd_counts();
            metrics.unparsed_lines.add(odd.unparsed_lines);
            metrics.replaced_bytes.add(odd.replaced_bytes);
        }
        chunk.bytes.clear();
        // A full pool has buffers enough: this one is freed.
        self.spent.try_send(chunk.bytes).ok();
        self.send(key, file, found, file_state, false)
    }

    fn close_silent(&self, files: &mut HashMap<FileKey, File>, now_ms: u64) -> Result<(), KeeperGone> {
        for (&key, file) in files
            .iter_mut()
            .filter(|(_, file)| file.stream.next_close_ms().is_some_and(|at| at <= now_ms))
        {
            let found = self.collect(&file.source.clone(), |sink| file.stream.close_silent(now_ms, sink));
            self.send(key, file, found, None, false)?;
        }
        Ok(())
    }

    /// `run --once`: what is open is given its silence, then closed.
    fn wait_and_close(&self, files: &mut HashMap<FileKey, File>, started: &Started) -> Result<(), KeeperGone> {
        while let Some(at) = files.values().filter_map(|file| file.stream.next_close_ms()).min() {
            let left = Duration::from_millis(at.saturating_sub(started.ms()));
            // Nothing is ever sent on this channel: its time-out is the wait.
            crossbeam_channel::after(left).recv().ok();
            self.close_silent(files, started.ms())?;
        }
        Ok(())
    }

    /// Drives a stream and keeps what is exceptional.
    fn collect(
        &self,
        source: &Arc<str>,
        drive: impl FnOnce(&mut dyn FnMut(Seen<'_>)),
    ) -> Vec<crate::analyzer::Exceptional> {
        let mut found = Vec::new();
        let (mut records, mut exceptional_records, mut ignored_records) = (0, 0, 0);
        drive(&mut |seen| match seen {
            Seen::Exceptional(exceptional) => {
                records += 1;
                exceptional_records += 1;
                found.push(*exceptional);
            }
            // Whether anybody finds something in it, the keeper knows.
            Seen::Unfamiliar(unfamiliar) => {
                records += 1;
                found.push(*unfamiliar);
            }
            Seen::Unremarkable { ignored, .. } => {
                records += 1;
                ignored_records += u64::from(ignored);
            }
            Seen::Skipped(skipped) => records += skipped,
        });
        if let Some(metrics::Source {
            records: all,
            exceptional,
            ignored,
            ..
        }) = self.metrics.sources.get(source)
        {
            all.add(records);
            exceptional.add(exceptional_records);
            ignored.add(ignored_records);
        }
        found
    }

    fn send(
        &self,
        key: FileKey,
        file: &mut File,
        found: Vec<crate::analyzer::Exceptional>,
        file_state: Option<Box<FileState>>,
        closed: bool,
    ) -> Result<(), KeeperGone> {
        let batch = Batch {
            file: key,
            opened: file.opened.take(),
            found,
            counts: file.stream.take_counts(),
            signs: file.stream.take_signs(),
            resume: file.stream.resume(),
            file_state,
            closed,
            lag_bytes: file.lag_bytes,
            observed_at: jiff::Timestamp::now(),
        };
        self.batches
            .send(Message::Batch(Box::new(batch)))
            .map_err(|_| KeeperGone)
    }
}

/// The monotonic clock of this thread, in milliseconds, that began when silence of old records could have begun.
struct Started(Instant);

impl Started {
    fn now() -> Self {
        Self(Instant::now())
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
