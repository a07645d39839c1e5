//! What wakes the keeper: batches from the analyzers, and what comes back from couriers and people.

use super::{Change, Judged, Recent, Reload, Status};
use crate::analyzer::template::Counts;
use crate::analyzer::{Exceptional, Sign};
use crate::collector::{FileKey, FileState, Opened, Resume, Row};
use crate::command::Command;
use crossbeam_channel::Sender;
use std::sync::Arc;

/// What one analyzer made of one chunk (or of silence, or of the end of a file).
#[derive(Debug)]
pub struct Batch {
    pub file: FileKey,
    /// The first batch of a file brings what is known of it.
    pub opened: Option<Box<Opened>>,
    /// Exceptional records, and those whose mask nobody knew.
    pub found: Vec<Exceptional>,
    /// How often each mask was seen.
    pub counts: Counts,
    /// Matches of rules whose absence is watched.
    pub signs: Vec<Sign>,
    /// Where a restart goes on after this batch.
    pub resume: Resume,
    /// Identity and ledger, where they have changed.
    pub file_state: Option<Box<FileState>>,
    /// No more of this file will come.
    pub closed: bool,
    /// Bytes of the file beyond this batch.
    pub lag_bytes: u64,
    pub observed_at: jiff::Timestamp,
}

/// What comes down from the analyzers, in order.
#[derive(Debug)]
pub enum Message {
    Batch(Box<Batch>),
    /// Nothing will ever need this file's state again.
    Forgotten(Row),
    /// What comes from here on was judged by new settings. Each analyzer says it.
    Change(Arc<Change>),
}

/// What comes back to the keeper: everything that can wake it besides the analyzers' batches.
#[derive(Debug)]
pub enum Inbox {
    /// A courier tells what became of deliveries of its alerter.
    Marks {
        alerter: Arc<str>,
        marks: Vec<Mark>,
    },
    /// A courier's way is blocked, or free again (`None`).
    Blocked {
        alerter: Arc<str>,
        reason: Option<String>,
    },
    /// A courier could not read its outbox.
    Unreadable(anyhow::Error),
    /// New alerters, out of band: the old ones may be what holds up everything that is in band.
    Reload(Box<Reload>),
    /// The judge has judged.
    Judged(Judged),
    /// The judge has ended.
    JudgeEnded,
    /// Somebody asks how it goes.
    Status(Sender<Status>),
    /// Somebody who may see what logs say asks for the newest alerts.
    Recent(Sender<Vec<Recent>>),
    Ping(Sender<()>),
    /// Somebody wants something done; the answer, or why not.
    Command(Box<Command>, Sender<Result<serde_json::Value, String>>),
}

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub seq: i64,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// Failed for now; it stays queued. `parked`: behind the others, after 8 tries.
    Failed {
        tries: u32,
        parked: bool,
        error: String,
    },
    /// The same, and so would all others: somebody has to mend the way.
    Blocked {
        tries: u32,
        error: String,
    },
    /// Never to be retried by itself; kept and listed.
    Dead {
        tries: u32,
        error: String,
    },
}
