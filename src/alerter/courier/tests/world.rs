//! An outbox, a receiver, a keeper and a clock of the test's: nothing waits, nothing is random.

use super::super::*;
use crate::alert::Alert;
use crate::alerter::{Filter, Kind, TextFormat, WhenFull};
use crate::sample::alert;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The outbox and its keeper: rows by seq, and what the courier told.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) queued: BTreeMap<i64, Row>,
    pub(super) parked: BTreeMap<i64, Row>,
    pub(super) dead: Vec<i64>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) tries: u32,
    pub(super) fingerprint: String,
}

/// One try of the receiver: when, which, and the answer.
pub(super) type Tried = (u64, i64, &'static str);

pub(super) struct World {
    pub(super) rows: Arc<Mutex<Rows>>,
    pub(super) tried: Arc<Mutex<Vec<Tried>>>,
    pub(super) inbox: Vec<Inbox>,
}

pub(super) struct SharedOutbox(pub(super) Arc<Mutex<Rows>>);

impl Outbox for SharedOutbox {
    fn next(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>> {
        Ok(page(&self.0.lock().unwrap().queued, after_seq, limit))
    }

    fn parked(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>> {
        Ok(page(&self.0.lock().unwrap().parked, after_seq, limit))
    }
}

pub(super) fn page(rows: &BTreeMap<i64, Row>, after_seq: i64, limit: usize) -> Vec<Delivery> {
    let delivery = |(&seq, row): (&i64, &Row)| Delivery {
        seq,
        tries: row.tries,
        alert: Arc::new(Alert {
            fingerprint: row.fingerprint.clone(),
            ..alert()
        }),
    };
    rows.range(after_seq + 1..).take(limit).map(delivery).collect()
}

/// Seconds of the world's clock.
#[derive(Clone, Default)]
pub(super) struct Now(pub(super) Arc<Mutex<Duration>>);

impl Now {
    fn get(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

/// What the receiver says to a delivery, by the second and the seq.
pub(super) type Script = Box<dyn FnMut(u64, i64) -> Option<SendError> + std::marker::Send>;

pub(super) struct Receiver_ {
    pub(super) now: Now,
    pub(super) tried: Arc<Mutex<Vec<Tried>>>,
    pub(super) script: Script,
    pub(super) batch_max: usize,
}

impl Alerter for Receiver_ {
    fn batch_max(&self) -> usize {
        self.batch_max
    }

    fn send(&mut self, batch: &[Delivery]) -> Sent {
        assert!(batch.len() <= self.batch_max);
        let second = self.now.get().as_secs();
        for (delivered, delivery) in batch.iter().enumerate() {
            let error = (self.script)(second, delivery.seq);
            let answer = match &error {
                None => "ok",
                Some(SendError::Retry { .. }) => "retry",
                Some(SendError::Blocked { .. }) => "blocked",
                Some(SendError::Reject { .. }) => "reject",
            };
            self.tried.lock().unwrap().push((second, delivery.seq, answer));
            if let Some(error) = error {
                return Sent::failed(delivered, error);
            }
        }
        Sent::all(batch.len())
    }
}

/// Jumps to the time waited for; at each wait the keeper gets its turn. The bell closes at `end`.
pub(super) struct TestClock<'a> {
    now: Now,
    end: Duration,
    keeper: Box<dyn FnMut(Duration) -> bool + std::marker::Send + 'a>,
}

impl Clock for TestClock<'_> {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn wait(&mut self, _bell: &Receiver<()>, _orders: &Receiver<Order>, until: Option<Duration>) -> Wake {
        if (self.keeper)(self.now.get()) {
            return Wake::Rung;
        }
        let until = until.unwrap_or(self.end).min(self.end).max(self.now.get());
        *self.now.0.lock().unwrap() = until;
        if until == self.end { Wake::Closed } else { Wake::Due }
    }

    fn chance(&mut self) -> f64 {
        1.0
    }
}

pub(super) fn settings(send: Send) -> Settings {
    Settings {
        name: "ops".into(),
        min_severity: crate::record::Level::Warn,
        send,
        send_resolved: true,
        limits: crate::alerter::Limits::default(),
        catch_up: crate::alerter::CatchUp::All,
        filter: Filter::default(),
        outbox_max_bytes: 1 << 20,
        when_full: WhenFull::Compact,
        wording: crate::alert::render::Wording::default(),
        kind: Kind::Console {
            format: TextFormat::Json,
        },
    }
}

pub(super) struct Run {
    pub(super) send: Send,
    pub(super) mode: Mode,
    pub(super) batch_max: usize,
    pub(super) end_secs: u64,
    /// The keeper commits marks when the courier waits; not at all: the disk is full.
    pub(super) commits: bool,
    pub(super) queued: Vec<(i64, &'static str)>,
    pub(super) parked: Vec<(i64, &'static str)>,
}

impl Default for Run {
    fn default() -> Self {
        let (queued, parked) = (Vec::new(), Vec::new());
        Self {
            send: Send::Each,
            mode: Mode::Service,
            batch_max: 1,
            end_secs: 3600,
            commits: true,
            queued,
            parked,
        }
    }
}

impl Run {
    pub(super) fn against(
        self,
        script: impl FnMut(u64, i64) -> Option<SendError> + std::marker::Send + 'static,
    ) -> World {
        let row = |(seq, fingerprint): (i64, &str)| {
            (
                seq,
                Row {
                    tries: 0,
                    fingerprint: fingerprint.to_owned(),
                },
            )
        };
        let rows = Arc::new(Mutex::new(Rows {
            queued: self.queued.into_iter().map(row).collect(),
            parked: self
                .parked
                .into_iter()
                .map(row)
                .map(|(seq, r)| (seq, Row { tries: 8, ..r }))
                .collect(),
            dead: Vec::new(),
        }));
        let (now, tried) = (Now::default(), Arc::new(Mutex::new(Vec::new())));
        let (rope, ear) = bell();
        let (keeper, inbox) = crossbeam_channel::unbounded();
        let courier = Courier {
            settings: settings(self.send),
            alerter: Box::new(Receiver_ {
                now: now.clone(),
                tried: tried.clone(),
                script: Box::new(script),
                batch_max: self.batch_max,
            }),
            outbox: Box::new(SharedOutbox(rows.clone())),
            ear,
            orders: crossbeam_channel::never(),
            keeper,
            mode: self.mode,
            deadline: Duration::from_secs(10),
        };
        let mut told = Vec::new();
        let mut clock = TestClock {
            now,
            end: Duration::from_secs(self.end_secs),
            keeper: Box::new(|_| {
                let news: Vec<Inbox> = inbox.try_iter().collect();
                if self.commits {
                    commit(&mut rows.lock().unwrap(), &news);
                }
                told.extend(news);
                false
            }),
        };
        courier.run_by(&mut clock);
        drop(clock);
        drop(rope);
        let news: Vec<Inbox> = inbox.try_iter().collect();
        if self.commits {
            commit(&mut rows.lock().unwrap(), &news);
        }
        told.extend(news);
        World {
            rows,
            tried,
            inbox: told,
        }
    }
}

pub(super) fn commit(rows: &mut Rows, news: &[Inbox]) {
    for message in news {
        let Inbox::Marks { marks, .. } = message else { continue };
        for mark in marks {
            let row = rows
                .queued
                .remove(&mark.seq)
                .or_else(|| rows.parked.remove(&mark.seq))
                .expect("a row to mark");
            match &mark.outcome {
                Outcome::Delivered => {}
                Outcome::Dead { .. } => rows.dead.push(mark.seq),
                Outcome::Failed {
                    tries, parked: true, ..
                } => _ = rows.parked.insert(mark.seq, Row { tries: *tries, ..row }),
                Outcome::Failed {
                    tries, parked: false, ..
                }
                | Outcome::Blocked { tries, .. } => _ = rows.queued.insert(mark.seq, Row { tries: *tries, ..row }),
            }
        }
    }
}

impl World {
    pub(super) fn tried(&self) -> Vec<Tried> {
        self.tried.lock().unwrap().clone()
    }

    pub(super) fn delivered(&self) -> Vec<i64> {
        self.tried()
            .into_iter()
            .filter(|(_, _, answer)| *answer == "ok")
            .map(|(_, seq, _)| seq)
            .collect()
    }

    pub(super) fn blocked_told(&self) -> Vec<Option<String>> {
        let blocked = |message: &Inbox| match message {
            Inbox::Blocked { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.inbox.iter().filter_map(blocked).collect()
    }
}
