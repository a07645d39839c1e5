//! What the next transaction will write, and the writing of it.

use super::patience::Patience;
use super::silences::write_silences;
use super::{
    COMMIT_RETRY, File, FileKey, Keeper, Mark, Now, Outcome, Queue, WhenFull, checkpoints, groups, outbox, status,
};
use crate::alert::Alert;
use crate::alert::book::{Group, Key};
use crate::alert::tidings::Held;
use crate::alerter::Delivery;
use crate::collector::Row;
use crate::state::{Durability, State, held, history, put_meta};
use anyhow::Result;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The row of `meta` that says on which clocks the groups' times were written.
pub(super) const CLOCKS: &str = "clocks";

/// A row of the history to be.
#[derive(Debug)]
struct Event {
    alert_id: String,
    alerter: Option<Arc<str>>,
    what: &'static str,
    detail: Option<String>,
}

/// Marks alone wait so long for alerts to be written with: what a `kill -9` makes a receiver see twice is what was sent
/// within it.
const MARKS_AGE_MAX: Duration = Duration::from_millis(20);

/// More marks are written by themselves: an outbox may be full of what they free.
const MARKS_MAX: usize = 512;

/// A delivery to be, or a message that is held back.
#[derive(Debug)]
struct Push {
    queue: usize,
    entry: outbox::Entry,
    held: Option<Held>,
}

/// What was held back for one reason, and is told now.
#[derive(Debug)]
pub struct Released {
    pub queue: usize,
    pub why: Held,
    pub to_seq: i64,
    /// Id of the digest that tells it.
    pub digest: String,
}

#[derive(Debug, Default)]
pub struct Pending {
    /// Taken from the analyzers since the last commit.
    pub batches: usize,
    /// Of the alerts in `pushes`, and of examples that will wait for the judge.
    pub bytes: usize,
    pushes: Vec<Push>,
    /// Held rows that a digest among `pushes` tells of.
    pub released: Vec<Released>,
    /// Queues whose deliveries wait for a digest from now on.
    pub put_aside: Vec<usize>,
    begins: Vec<(Key, Alert)>,
    marks: Vec<(Arc<str>, Vec<Mark>)>,
    events: Vec<Event>,
    /// Rows of the history since it was trimmed last.
    untrimmed: usize,
    marked_since: Option<Instant>,
    marked: usize,
    files: BTreeSet<FileKey>,
    /// Files whose state nobody will need again.
    forgotten: Vec<Row>,
    /// What waits for company.
    patience: Patience,
    pub checkpoints_due: bool,
    /// Something new waits for the judge: it is to hear of it soon.
    pub judge_waits: bool,
    /// Values of `meta`; none: to be removed.
    pub notes: Vec<(&'static str, Option<String>)>,
    /// The last commit, of whatever it was.
    committed_at: Option<Instant>,
    pub failed_at: Option<Instant>,
    /// Somebody found that the state cannot be read.
    pub damaged: Option<anyhow::Error>,
    pub commits_since_backup: u64,
}

impl Pending {
    pub fn push(&mut self, queue: usize, entry: outbox::Entry) {
        self.bytes += entry.payload.len();
        let held = None;
        self.pushes.push(Push { queue, entry, held });
    }

    /// The same, put aside for a digest.
    pub fn hold(&mut self, queue: usize, entry: outbox::Entry, why: Held) {
        self.bytes += entry.payload.len();
        let held = Some(why);
        self.pushes.push(Push { queue, entry, held });
    }

    /// A value of `meta` to be written.
    pub fn note(&mut self, key: &'static str, value: Option<String>) {
        self.notes.retain(|(known, _)| *known != key);
        self.notes.push((key, value));
    }

    /// All deliveries are written.
    pub fn is_clean(&self) -> bool {
        self.pushes.is_empty() && self.put_aside.is_empty() && self.failed_at.is_none()
    }

    pub fn begin(&mut self, key: Key, sample: Alert) {
        self.begins.push((key, sample));
    }

    pub fn mark(&mut self, alerter: Arc<str>, marks: Vec<Mark>) {
        self.marked_since.get_or_insert_with(Instant::now);
        self.marked += marks.len();
        self.marks.push((alerter, marks));
    }

    /// What became of an alert, for `explain`; of all alerters, or of one.
    pub fn happened(&mut self, alert_id: &str, alerter: Option<Arc<str>>, what: &'static str, detail: Option<String>) {
        self.events.push(Event {
            alert_id: alert_id.to_owned(),
            alerter,
            what,
            detail,
        });
    }

    pub fn touch(&mut self, file: FileKey) {
        self.files.insert(file);
        self.patience.touch();
    }

    /// A known file was read on, and nothing was found.
    pub fn read_on(&mut self, file: FileKey, bytes: u64) {
        self.files.insert(file);
        self.patience.read_on(bytes);
    }

    pub fn forget(&mut self, row: Row) {
        self.forgotten.push(row);
        self.patience.touch();
    }

    /// A group's life has changed: the book knows which.
    pub fn note_life(&mut self) {
        self.patience.touch();
    }

    /// The message that was said first of a group, also if it waits for its commit.
    pub fn sample(&self, state: &State, key: &Key) -> Result<Option<Alert>> {
        match self.begins.iter().rev().find(|(begun, _)| begun == key) {
            Some((_, sample)) => Ok(Some(sample.clone())),
            None => groups::sample(state.connection(), key),
        }
    }

    /// Alerts are written at once; marks, checkpoints and counts alone when they are old enough.
    pub fn is_due(&self) -> bool {
        self.due_in().is_some_and(|due| due.is_zero())
    }

    pub fn due_in(&self) -> Option<Duration> {
        if self.damaged.is_some() {
            return Some(Duration::ZERO);
        }
        if let Some(failed_at) = self.failed_at {
            return Some(COMMIT_RETRY.saturating_sub(failed_at.elapsed()));
        }
        if !self.pushes.is_empty() || self.checkpoints_due || self.judge_waits {
            return Some(Duration::ZERO);
        }
        let marks = self.marked_since.map(|since| match self.marked {
            MARKS_MAX.. => Duration::ZERO,
            _ => MARKS_AGE_MAX.saturating_sub(since.elapsed()),
        });
        marks.into_iter().chain(self.patience.due_in(self.committed_at)).min()
    }
}

impl Keeper {
    /// Writes all that is pending in one transaction, then rings the couriers that have something new.
    pub(super) fn commit(&mut self) -> Result<()> {
        let durability = if self.pending.pushes.is_empty() && !self.pending.checkpoints_due {
            Durability::Normal
        } else {
            Durability::Full
        };
        let (lives, forgotten) = self.book.take_changes();
        let watched = self.watching.take_changes();
        let now = super::now();
        let Self {
            state,
            pending,
            files,
            closed_rows,
            queues,
            boot_id,
            silences,
            novelty,
            judging,
            ..
        } = self;
        let written = state.commit(durability, |connection| {
            let rows = write_files(connection, pending, files, closed_rows)?;
            novelty.write(connection)?;
            judging.write(connection, now.wall.as_millisecond())?;
            write_groups(connection, &pending.begins, &lives, &forgotten)?;
            watched.write(connection)?;
            if !lives.is_empty() || watched.has_times() {
                write_clocks(connection, boot_id, now)?;
            }
            for (key, value) in &pending.notes {
                put_meta(connection, key, value.as_deref())?;
            }
            write_silences(connection, silences)?;
            write_history(connection, &pending.events, now)?;
            let queued = write_outbox(connection, pending, queues, now)?;
            Ok(Written { rows, queued })
        });
        match written {
            Ok(written) => {
                self.after_commit(written);
                self.pending.committed_at = Some(Instant::now());
                Ok(())
            }
            Err(error) => {
                self.watching.put_back(watched);
                self.book
                    .put_back_changes(lives.into_iter().map(|(key, _)| key), forgotten);
                Err(error)
            }
        }
    }

    fn after_commit(&mut self, written: Written) {
        self.written();
        let Written {
            rows,
            queued: Queued { seqs, freed, shed },
        } = written;
        self.silences.clear_changes();
        for (key, row) in rows {
            if let Some(file) = self.files.get_mut(&key) {
                file.row = Some(row);
            }
        }
        let (closed_rows, closed_losses) = (&mut self.closed_rows, &mut self.closed_losses);
        self.files.retain(|key, file| {
            if file.closed {
                let losses = closed_losses.entry(file.source.clone()).or_default();
                status::add(losses, &file.checkpoint.file_state.ledger.lost);
            }
            if let (true, Some(row)) = (file.closed, file.row) {
                closed_rows.insert(*key, row);
            }
            !file.closed
        });
        for row in std::mem::take(&mut self.pending.forgotten) {
            if let Row::File(key) = row {
                self.closed_rows.remove(&key);
            }
        }
        for queue in &mut self.queues {
            queue.bytes = queue
                .bytes
                .saturating_sub(freed.get(&queue.settings.name).copied().unwrap_or(0));
        }
        for Shed {
            queue,
            deliveries,
            bytes,
        } in shed
        {
            let queue = &mut self.queues[queue];
            queue.feeder.interrupt();
            queue.bytes = queue.bytes.saturating_sub(bytes);
            if let Some(metrics) = self.metrics.alerter(&queue.settings.name) {
                metrics.shed.add(deliveries);
            }
            log::warn!(
                "the outbox of {} is full: {deliveries} deliveries were shed",
                queue.settings.name
            );
        }
        self.hand_on(seqs);
        self.metrics.commits.add(1);
        let Pending {
            failed_at,
            commits_since_backup,
            untrimmed,
            marked,
            events,
            ..
        } = std::mem::take(&mut self.pending);
        self.pending.failed_at = failed_at;
        // As it was decided whether to trim.
        self.pending.untrimmed = match untrimmed + marked + events.len() {
            history::TRIM_EVERY.. => 0,
            rows => rows,
        };
        self.pending.commits_since_backup = commits_since_backup + 1;
    }

    /// What was queued goes to the couriers, and wakes them.
    fn hand_on(&mut self, seqs: Vec<i64>) {
        for index in std::mem::take(&mut self.pending.put_aside) {
            // What it was fed is no longer the whole truth.
            self.queues[index].feeder.interrupt();
        }
        let mut portions: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        let pushed = self.pending.pushes.drain(..).zip(seqs);
        for (Push { queue, entry, .. }, seq) in pushed.filter(|(push, _)| push.held.is_none()) {
            let delivery = Delivery {
                seq,
                tries: 0,
                alert: entry.alert,
            };
            portions.entry(queue).or_default().push((delivery, entry.payload.len()));
        }
        for (index, portion) in portions {
            let queue = &mut self.queues[index];
            queue.feeder.feed(portion);
            queue.bell.ring();
        }
    }
}

/// What a transaction has done that memory must follow once it is committed.
struct Written {
    rows: Vec<(FileKey, i64)>,
    queued: Queued,
}

/// The same, of the outbox.
struct Queued {
    /// Of the deliveries that were queued, in their order.
    seqs: Vec<i64>,
    freed: Freed,
    shed: Vec<Shed>,
}

/// Bytes that left each outbox, by alerter.
type Freed = BTreeMap<Arc<str>, u64>;

/// What a full outbox lost.
struct Shed {
    queue: usize,
    deliveries: u64,
    bytes: u64,
}

/// Checkpoints; returns the rows of files that are new.
fn write_files(
    connection: &Connection,
    pending: &Pending,
    files: &HashMap<FileKey, Box<File>>,
    closed_rows: &HashMap<FileKey, i64>,
) -> Result<Vec<(FileKey, i64)>> {
    let mut rows = Vec::new();
    for key in &pending.files {
        let Some(file) = files.get(key) else { continue };
        match file.row {
            Some(row) => checkpoints::update(connection, row, &file.checkpoint)?,
            None => rows.push((*key, checkpoints::insert(connection, &file.checkpoint)?)),
        }
    }
    for row in &pending.forgotten {
        let row = match row {
            Row::Stored(row) => Some(*row),
            Row::File(key) => closed_rows.get(key).copied().or_else(|| {
                let new = rows.iter().find(|(new, _)| new == key).map(|(_, row)| *row);
                new.or_else(|| files.get(key).and_then(|file| file.row))
            }),
        };
        row.map_or(Ok(()), |row| checkpoints::delete(connection, row))?;
    }
    Ok(rows)
}

fn write_history(connection: &Connection, events: &[Event], now: Now) -> Result<()> {
    let at_ms = now.wall.as_millisecond();
    for event in events {
        let (alerter, detail) = (event.alerter.as_deref(), event.detail.as_deref());
        history::note(connection, at_ms, &event.alert_id, alerter, event.what, detail)?;
    }
    Ok(())
}

/// What digests tell of, and what waits for one from now on.
fn write_held(connection: &Connection, pending: &Pending, queues: &[Queue], now_ms: i64) -> Result<()> {
    for released in &pending.released {
        let name = &queues[released.queue].settings.name;
        let (why, digest) = (released.why.as_str(), &released.digest);
        held::remove(connection, name, why, released.to_seq, digest, now_ms)?;
    }
    for queue in &pending.put_aside {
        held::hold_queued(connection, &queues[*queue].settings.name, Held::Outage.as_str())?;
    }
    Ok(())
}

/// Deliveries in, marks of couriers applied, full queues cut back.
fn write_outbox(connection: &Connection, pending: &Pending, queues: &[Queue], now: Now) -> Result<Queued> {
    let created_ms = now.wall.as_millisecond();
    let mut seqs = Vec::with_capacity(pending.pushes.len());
    // An alert was pushed for one alerter after the other.
    for of_one in pending
        .pushes
        .chunk_by(|one, next| Arc::ptr_eq(&one.entry.payload, &next.entry.payload))
    {
        let shared = match of_one {
            [first, _, ..] => Some(outbox::share(connection, &first.entry.payload)?),
            _ => None,
        };
        for Push { queue, entry, held } in of_one {
            let name = &queues[*queue].settings.name;
            seqs.push(match held {
                None => outbox::push(connection, name, entry, shared, created_ms)?,
                Some(why) => held::hold(connection, name, entry, shared, why.as_str(), created_ms)?,
            });
        }
    }
    write_held(connection, pending, queues, created_ms)?;
    let mut freed = Freed::new();
    for (alerter, marks) in &pending.marks {
        for mark in marks {
            *freed.entry(alerter.clone()).or_default() +=
                outbox::mark(connection, alerter, mark, now.wall.as_millisecond())?;
        }
        if marks.iter().any(|mark| matches!(mark.outcome, Outcome::Dead { .. })) {
            outbox::trim_dead(connection, alerter)?;
        }
    }
    if pending.untrimmed + pending.marked + pending.events.len() >= history::TRIM_EVERY {
        history::trim(connection, now.wall.as_millisecond())?;
    }
    let mut sheds = Vec::new();
    for (index, queue) in queues.iter().enumerate() {
        let name = &queue.settings.name;
        let max_bytes = queue.settings.outbox_max_bytes;
        let bytes = queue.bytes.saturating_sub(freed.get(name).copied().unwrap_or(0));
        let compact = match queue.settings.when_full {
            WhenFull::Compact => true,
            WhenFull::DropOldest => false,
            WhenFull::Block => continue,
        };
        if bytes > max_bytes {
            // A tenth more than needed: else a queue at its limit is searched at each commit.
            let (deliveries, bytes) = outbox::shed(connection, name, bytes - max_bytes + max_bytes / 10, compact)?;
            sheds.push(Shed {
                queue: index,
                deliveries,
                bytes,
            });
        }
    }
    Ok(Queued {
        seqs,
        freed,
        shed: sheds,
    })
}

fn write_groups(
    connection: &Connection,
    begins: &[(Key, Alert)],
    lives: &[(Key, Group)],
    forgotten: &[Key],
) -> Result<()> {
    // In this order: a key that was forgotten may have begun again, one that had begun may have been forgotten.
    for key in forgotten {
        groups::forget(connection, key)?;
    }
    for (key, sample) in begins
        .iter()
        .filter(|(begun, _)| lives.iter().any(|(key, _)| key == begun))
    {
        groups::begin(connection, key, sample)?;
    }
    for (key, group) in lives {
        groups::save_life(connection, key, group)?;
    }
    Ok(())
}

fn write_clocks(connection: &Connection, boot_id: &str, now: Now) -> Result<()> {
    let value = serde_json::to_string(&(boot_id, now.boot_ms, now.wall))?;
    put_meta(connection, CLOCKS, Some(&value))
}
