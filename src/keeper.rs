//! The keeper: what the analyzers found, delivery marks and commands in; one transaction out. The one writer of the state.
//!
//! Promises: the alerts that a stretch of log gave rise to and the checkpoint that says this stretch was read are
//! committed together. Couriers are rung only after the commit. While the state cannot be written (full disk) nothing
//! more is taken from the analyzers, what is pending stays in memory, and the commit is tried again.

mod board;
mod clocks;
mod commands;
mod flash;
mod holding;
mod inbox;
mod inline;
mod judging;
mod novelty;
mod opening;
mod own_news;
mod patience;
mod pending;
mod recent;
mod reload;
mod silences;
mod status;
mod telling;
mod upkeep;
mod verdicts;
mod watching;

pub use board::Board;
pub use clocks::boot_id;
pub use inbox::{Batch, Inbox, Mark, Message, Outcome};
pub use judging::Judged;
pub use recent::Recent;
pub use reload::{Change, Known, Line, ORPHANED, Reload};
pub use status::Status;

use crate::alert::book::{Book, Now};
use crate::alert::quiet::Quiet;
use crate::alert::silence::Silences;
use crate::alert::window::FileClock;

use crate::alert::{self, Composer};
use crate::alerter::courier::{self, Bell, Feeder};
use crate::alerter::{self, WhenFull};
use crate::analyzer::Rule;
use crate::collector::{FileKey, Opened};
use crate::judge;
use crate::metrics::Metrics;
use crate::state::checkpoints::Checkpoint;
use crate::state::{RUNNING, State, checkpoints, groups, outbox, recover};
use anyhow::Result;
use clocks::now;
use crossbeam_channel::{Receiver, Sender, never, select, select_biased};
use holding::Holding;
use own_news::OwnNews;
use pending::Pending;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use watching::Watching;

/// One transaction takes at most so many batches: an upper bound for memory and for the time to the first delivery.
const BATCHES_PER_COMMIT_MAX: usize = 32;
/// … or so many bytes of alerts.
const BYTES_PER_COMMIT_MAX: usize = 2 * 1024 * 1024;
/// A source lags while more than this is unread: less may be half a line that its writer has not ended.
const LAG_BYTES_MAX: u64 = 256 * 1024;
/// The first batch of a file that has something to read comes within this.
const FIRST_BATCH_MAX: Duration = Duration::from_secs(10);
/// The longest that a batch waits for company.
const GATHER_MAX: Duration = Duration::from_millis(50);
/// After a failed commit.
const COMMIT_RETRY: Duration = Duration::from_secs(1);
/// It looks so often whether a backup is due.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A key of `meta`: the boot in which the state was written.
pub const BOOT_ID: &str = "boot_id";

/// What the keeper is built from.
#[derive(Debug)]
pub struct Parts {
    pub state: State,
    pub composer: Composer,
    pub alert: alert::Settings,
    /// For thresholds and absences.
    pub rules: Vec<Rule>,
    /// Labels of each source over the host's.
    pub labels: BTreeMap<Arc<str>, BTreeMap<String, String>>,
    /// Each alerter with what its courier hears from us.
    pub alerters: Vec<(alerter::Settings, Bell, Feeder)>,
    pub metrics: Arc<Metrics>,
    /// Where it is published what is known of templates.
    pub board: Arc<Board>,
    /// The judge, with its bell.
    pub judge: Option<(judge::Settings, Sender<()>)>,
}

/// How long the couriers have at the end.
#[derive(Debug, Clone, Copy)]
pub enum CouriersEnd {
    After(Duration),
    At(Instant),
}

#[derive(Debug)]
pub struct Keeper {
    state: State,
    composer: Composer,
    labels: BTreeMap<Arc<str>, BTreeMap<String, String>>,
    /// The newest reload that arrived in band.
    generation: u64,
    book: Book,
    silences: Silences,
    watching: Watching,
    quiet: Vec<Quiet>,
    own: OwnNews,
    /// Boxed: the table of ten thousand would hold twice as much, and three times while it grows.
    files: HashMap<FileKey, Box<File>>,
    /// Rows of files that are closed: they may still be told to be forgotten.
    closed_rows: HashMap<FileKey, i64>,
    /// Bytes lost of files that are closed since the start, by source and reason.
    closed_losses: HashMap<Arc<str>, BTreeMap<String, u64>>,
    queues: Vec<Queue>,
    pending: Pending,
    novelty: novelty::Novelty,
    judging: judging::Judging,
    metrics: Arc<Metrics>,
    started: Instant,
    /// So long after a commit more is waited for before the next.
    busy_until: Option<Instant>,
    backed_up: Instant,
    boot_id: String,
}

/// A file as its last batch left it.
#[derive(Debug)]
struct File {
    /// Its row, once it has one.
    row: Option<i64>,
    checkpoint: Checkpoint,
    source: Arc<str>,
    clock: FileClock,
    lag_bytes: u64,
    /// Opened with bytes that nobody has seen yet: until its first batch (or a while, since they may be half a line).
    unread_since: Option<Instant>,
    closed: bool,
}

impl File {
    fn lags(&self) -> bool {
        self.lag_bytes > LAG_BYTES_MAX || self.unread_since.is_some_and(|since| since.elapsed() < FIRST_BATCH_MAX)
    }
}

/// One alerter's outbox, seen from here.
#[derive(Debug)]
struct Queue {
    settings: alerter::Settings,
    bell: Bell,
    feeder: Feeder,
    /// Payload bytes of what waits.
    bytes: u64,
    /// It is asked to block, and does.
    full: bool,
    blocked: Option<String>,
    holding: Holding,
}

impl Keeper {
    pub fn new(parts: Parts) -> Result<Self> {
        let Parts {
            state,
            composer,
            alert,
            rules,
            labels,
            alerters,
            metrics,
            board,
            judge,
        } = parts;
        let (judge, judge_bell) = judge.unzip();
        let now = now();
        let boot_id = boot_id();
        let carry_over = clocks::carry_over(&state, &boot_id, now)?;
        let mut groups = groups::load(state.connection())?;
        if let Some(carry_over) = carry_over {
            groups.iter_mut().for_each(|(_, group)| carry_over.group(group));
        }
        let watching = Watching::load(&state, &rules, &alert, &composer.host.id, carry_over, now)?;
        let fill = outbox::fill(state.connection())?;
        let names: Vec<Arc<str>> = alerters.iter().map(|(settings, ..)| settings.name.clone()).collect();
        let mut holdings = holding::load(&state, &names, now)?;
        let queues = alerters
            .into_iter()
            .map(|(settings, bell, feeder)| {
                let bytes = fill.get(&*settings.name).map_or(0, |fill| fill.bytes);
                Queue {
                    holding: holdings.remove(&settings.name).unwrap_or_default(),
                    settings,
                    bell,
                    feeder,
                    bytes,
                    full: false,
                    blocked: None,
                }
            })
            .collect();
        let mut book = Book::new(&alert, groups);
        if carry_over.is_some() {
            book.touch_all();
        }
        let mut keeper = Self {
            judging: judging::Judging::new(&state, judge, judge_bell)?,
            novelty: novelty::Novelty::new(&state, alert.novelty.clone(), board)?,
            book,
            silences: Silences::default(),
            watching,
            quiet: alert.quiet.clone(),
            own: OwnNews::load(&state, &alert, now)?,
            state,
            composer,
            labels,
            generation: 0,
            files: HashMap::new(),
            closed_rows: HashMap::new(),
            closed_losses: HashMap::new(),
            queues,
            pending: Pending::default(),
            metrics,
            started: Instant::now(),
            busy_until: None,
            backed_up: Instant::now(),
            boot_id,
        };
        keeper.configure_silences(&alert.silences)?;
        Ok(keeper)
    }

    /// Writes down files seen for the first time, before anything of them is read, together with values of `meta`.
    pub fn adopt(&mut self, opened: Vec<Opened>, notes: &[(&'static str, Option<&str>)]) -> Result<()> {
        for file in opened {
            self.open_file(file.file, Box::new(file));
        }
        let notes = notes.iter().map(|(key, value)| (*key, value.map(str::to_owned)));
        self.pending.notes.extend(notes);
        // Before a courier looks.
        self.notice_outages();
        self.pending.checkpoints_due = true;
        self.commit()
    }

    /// Until `batches` is closed and drained, or (while an outbox blocks the reading) `give_up` is closed; then the couriers are told to finish, and what they say in
    /// time is still written.
    pub fn run(
        mut self,
        batches: Receiver<Message>,
        inbox: &Receiver<Inbox>,
        give_up: &Receiver<()>,
        couriers: CouriersEnd,
    ) -> Result<()> {
        self.ring_all();
        self.judging.ring();
        loop {
            let wait = self.wait();
            let full = never();
            let source = if self.may_take() { &batches } else { &full };
            select! {
                recv(source) -> batch => match batch {
                    Ok(batch) => self.take(batch),
                    Err(_) => break,
                },
                recv(inbox) -> message => if let Ok(message) = message { self.handle(message) },
                recv(give_up) -> _ => break,
                default(wait) => {}
            }
            self.gather(&batches);
            while let Ok(message) = inbox.try_recv() {
                self.handle(message);
            }
            self.publish_known();
            self.look_at_clock();
            self.let_time_pass();
            self.watch_absences();
            self.notice_outages();
            self.tell_own_news();
            if self.pending.is_due() || self.judging.is_due() {
                self.commit_or_wait()?;
            }
            self.release_held();
            self.back_up_if_due();
        }
        // Analyzers that still have something find their channel closed: it is read again by the next start.
        drop(batches);
        self.finish(inbox, couriers)
    }

    fn finish(mut self, inbox: &Receiver<Inbox>, couriers: CouriersEnd) -> Result<()> {
        let until = self.let_judge_finish(inbox, couriers)?;
        // Dropping the bells tells the couriers to finish; their inbox closes when the last one has.
        self.queues.iter_mut().for_each(|queue| queue.bell = courier::bell().0);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            select_biased! {
                recv(inbox) -> message => match message {
                    Ok(message) => self.handle(message),
                    Err(_) => break,
                },
                default(left) => break,
            }
            if inbox.is_empty() {
                self.commit_or_wait()?;
            }
        }
        self.note_end(matches!(couriers, CouriersEnd::At(_)));
        self.pending.notes.push((RUNNING, None));
        self.pending.checkpoints_due = true;
        self.commit()
    }

    /// Takes what else has come. Right after a commit more is waited for, at most as long as that commit took: under load
    /// one sync serves many batches, and an alert that comes alone never waits.
    fn gather(&mut self, batches: &Receiver<Message>) {
        let until = self
            .busy_until
            .filter(|until| self.pending.batches > 0 && *until > Instant::now());
        while self.may_take()
            && self.pending.batches < BATCHES_PER_COMMIT_MAX
            && self.pending.bytes < BYTES_PER_COMMIT_MAX
        {
            let next = match until {
                Some(until) => batches.recv_deadline(until).ok(),
                None => batches.try_recv().ok(),
            };
            let Some(message) = next else { break };
            self.take(message);
        }
    }

    /// Whether the analyzers may go on: not while the state cannot be written, nor while an outbox that is asked to
    /// block is full.
    fn may_take(&mut self) -> bool {
        for queue in self
            .queues
            .iter_mut()
            .filter(|queue| queue.settings.when_full == WhenFull::Block)
        {
            let max = queue.settings.outbox_max_bytes;
            // It goes on when a quarter is free: else each mark would let in one batch, at a sync each.
            queue.full = queue.bytes >= max || queue.full && queue.bytes > max / 4 * 3;
        }
        let may = self.pending.failed_at.is_none() && !self.queues.iter().any(|queue| queue.full);
        self.metrics.reading_blocked.store(!may, Ordering::Relaxed);
        may
    }

    fn wait(&mut self) -> Duration {
        let release = self.release_in();
        let due = [self.book.next_due_ms(), self.watching.absences.next_due_ms()];
        let timer = due
            .into_iter()
            .flatten()
            .min()
            .map(|due_ms| Duration::from_millis(due_ms.saturating_sub(now().boot_ms)));
        [
            timer,
            release,
            self.heartbeat_in(),
            self.pending.due_in(),
            self.silence_left(),
            Some(IDLE_MAX),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(IDLE_MAX)
    }

    fn handle(&mut self, message: Inbox) {
        match message {
            Inbox::Marks { alerter, marks } => {
                self.count_marks(&alerter, &marks);
                self.heed_marks(&alerter, &marks);
                self.pending.mark(alerter, marks);
            }
            Inbox::Blocked { alerter, reason } => {
                if let Some(queue) = self.queues.iter_mut().find(|queue| queue.settings.name == alerter) {
                    queue.blocked = reason;
                }
            }
            Inbox::Unreadable(error) => {
                if recover::is_corrupt(&error) {
                    self.pending.damaged = Some(error);
                }
            }
            Inbox::Reload(reload) => self.reload(*reload),
            // Whoever asked may have gone: then nobody misses the answer.
            Inbox::Status(reply) => {
                reply.try_send(self.status()).ok();
            }
            Inbox::Recent(reply) => drop(reply.try_send(self.recent())),
            Inbox::Ping(reply) => {
                // Once a minute.
                self.count_written();
                self.look_for_damage();
                reply.try_send(()).ok();
            }
            Inbox::JudgeEnded => self.judging.ended(),
            Inbox::Judged(judged) => self.take_verdicts(judged),
            Inbox::Command(command, reply) => {
                reply.try_send(self.obey(&command)).ok();
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Batch(batch) => self.take_batch(*batch),
            Message::Forgotten(row) => self.pending.forget(row),
            Message::Change(change) => self.change(&change),
        }
    }

    fn take_batch(&mut self, batch: Batch) {
        let Batch {
            file,
            opened,
            found,
            counts,
            signs,
            resume,
            file_state,
            closed,
            lag_bytes,
            observed_at,
        } = batch;
        let is_first = opened.is_some();
        if let Some(opened) = opened {
            self.open_file(file, opened);
        }
        self.pending.batches += 1;
        // Before the findings: ids are made of the file's id, which comes with its first lines.
        if let Some(state) = file_state {
            self.tell_losses(file, &state);
            if let Some(known) = self.files.get_mut(&file) {
                known.checkpoint.file_state = *state;
            }
        }
        if let Some(source) = self.files.get(&file).map(|known| known.source.clone()) {
            for mut exceptional in found {
                if self.weigh(file, &source, &mut exceptional, observed_at) {
                    self.tell(file, exceptional, observed_at);
                }
            }
            self.count_templates(&source, &counts, observed_at);
        }
        self.take_signs(file, signs, observed_at);
        let Some(known) = self.files.get_mut(&file) else { return };
        let before = std::mem::replace(&mut known.checkpoint.resume, resume).committed_to;
        let read_bytes = known.checkpoint.resume.committed_to.saturating_sub(before);
        known.checkpoint.updated_ms = observed_at.as_millisecond();
        known.lag_bytes = lag_bytes;
        if !is_first {
            known.unread_since = None;
        }
        known.closed = closed;
        match is_first || closed || read_bytes == 0 {
            true => self.pending.touch(file),
            false => self.pending.read_on(file, read_bytes),
        }
    }

    fn ring_all(&self) {
        self.queues.iter().for_each(|queue| queue.bell.ring());
    }
}
