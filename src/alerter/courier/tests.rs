//! A courier against an outbox, a receiver and a clock of the test's: nothing waits, nothing is random.

use super::*;
use crate::alert::Alert;
use crate::alert::render::tests::alert;
use crate::alerter::{Filter, Kind, TextFormat, WhenFull};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The outbox and its keeper: rows by seq, and what the courier told.
#[derive(Debug, Default)]
struct Rows {
    queued: BTreeMap<i64, Row>,
    parked: BTreeMap<i64, Row>,
    dead: Vec<i64>,
}

#[derive(Debug, Clone)]
struct Row {
    tries: u32,
    fingerprint: String,
}

/// One try of the receiver: when, which, and the answer.
type Tried = (u64, i64, &'static str);

struct World {
    rows: Arc<Mutex<Rows>>,
    tried: Arc<Mutex<Vec<Tried>>>,
    inbox: Vec<Inbox>,
}

struct SharedOutbox(Arc<Mutex<Rows>>);

impl Outbox for SharedOutbox {
    fn next(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>> {
        Ok(page(&self.0.lock().unwrap().queued, after_seq, limit))
    }

    fn parked(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>> {
        Ok(page(&self.0.lock().unwrap().parked, after_seq, limit))
    }
}

fn page(rows: &BTreeMap<i64, Row>, after_seq: i64, limit: usize) -> Vec<Delivery> {
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
struct Now(Arc<Mutex<Duration>>);

impl Now {
    fn get(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

/// What the receiver says to a delivery, by the second and the seq.
type Script = Box<dyn FnMut(u64, i64) -> Option<SendError> + std::marker::Send>;

struct Receiver_ {
    now: Now,
    tried: Arc<Mutex<Vec<Tried>>>,
    script: Script,
    batch_max: usize,
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
struct TestClock<'a> {
    now: Now,
    end: Duration,
    keeper: Box<dyn FnMut(Duration) -> bool + std::marker::Send + 'a>,
}

impl Clock for TestClock<'_> {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn wait(&mut self, _bell: &Receiver<()>, until: Option<Duration>) -> Wake {
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

fn settings(send: Send) -> Settings {
    Settings {
        name: "ops".into(),
        min_severity: crate::record::Level::Warn,
        send,
        send_resolved: true,
        filter: Filter::default(),
        outbox_max_bytes: 1 << 20,
        when_full: WhenFull::Compact,
        wording: crate::alert::render::Wording::default(),
        kind: Kind::Console {
            format: TextFormat::Json,
        },
    }
}

struct Run {
    send: Send,
    mode: Mode,
    batch_max: usize,
    end_secs: u64,
    /// The keeper commits marks when the courier waits; not at all: the disk is full.
    commits: bool,
    queued: Vec<(i64, &'static str)>,
    parked: Vec<(i64, &'static str)>,
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
    fn against(self, script: impl FnMut(u64, i64) -> Option<SendError> + std::marker::Send + 'static) -> World {
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
        let (bell_sender, bell) = crossbeam_channel::bounded(1);
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
            bell,
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
        drop(bell_sender);
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

fn commit(rows: &mut Rows, news: &[Inbox]) {
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
                } => _ = rows.queued.insert(mark.seq, Row { tries: *tries, ..row }),
            }
        }
    }
}

impl World {
    fn tried(&self) -> Vec<Tried> {
        self.tried.lock().unwrap().clone()
    }

    fn delivered(&self) -> Vec<i64> {
        self.tried()
            .into_iter()
            .filter(|(_, _, answer)| *answer == "ok")
            .map(|(_, seq, _)| seq)
            .collect()
    }

    fn blocked_told(&self) -> Vec<Option<String>> {
        let blocked = |message: &Inbox| match message {
            Inbox::Blocked { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.inbox.iter().filter_map(blocked).collect()
    }
}

fn retry() -> Option<SendError> {
    Some(SendError::Retry {
        after: None,
        reason: "503".to_owned(),
    })
}

#[test]
fn everything_arrives_in_order_and_nothing_twice() {
    let queued = (1..=2000).map(|seq| (seq, "f")).collect();
    let world = Run {
        queued,
        send: Send::Grouped,
        batch_max: 7,
        ..Run::default()
    }
    .against(|_, _| None);
    assert_eq!(world.delivered(), (1..=2000).collect::<Vec<i64>>());
    assert!(world.rows.lock().unwrap().queued.is_empty());
}

#[test]
fn a_receiver_that_is_down_then_busy_then_well_gets_everything_once() {
    let queued = (1..=20)
        .map(|seq| (seq, if seq % 2 == 0 { "even" } else { "odd" }))
        .collect();
    let world = Run {
        queued,
        ..Run::default()
    }
    .against(|second, _| if second < 100 { retry() } else { None });
    let mut delivered = world.delivered();
    delivered.sort_unstable();
    assert_eq!(delivered, (1..=20).collect::<Vec<i64>>());
    let tries_while_down = world.tried().iter().filter(|(second, ..)| *second < 100).count();
    // 1 + 2 + 4 + 8 + 16 + 32 + 64 s
    assert_eq!(tries_while_down, 7, "{:?}", world.tried());
}

#[test]
fn a_keeper_that_cannot_commit_makes_no_duplicates() {
    let queued = (1..=1500).map(|seq| (seq, "f")).collect();
    let world = Run {
        queued,
        commits: false,
        batch_max: 64,
        ..Run::default()
    }
    .against(|second, seq| if seq == 700 && second < 10 { retry() } else { None });
    assert_eq!(world.delivered(), (1..=1500).collect::<Vec<i64>>());
}

#[test]
fn a_named_time_is_waited_for() {
    let answer = |second, _| {
        let after = Some(Duration::from_secs(90));
        (second < 60).then(|| SendError::Retry {
            after,
            reason: "429".to_owned(),
        })
    };
    let world = Run {
        queued: vec![(1, "a"), (2, "b")],
        ..Run::default()
    }
    .against(answer);
    assert_eq!(world.tried()[..2], [(0, 1, "retry"), (90, 2, "ok")]);
    assert_eq!(world.delivered(), [2, 1]);
}

#[test]
fn after_eight_tries_one_that_fails_alone_is_parked_and_tried_at_the_pace_of_the_cap() {
    let world = Run {
        queued: vec![(1, "a"), (2, "b")],
        ..Run::default()
    }
    .against(|second, seq| if seq == 1 && second < 3000 { retry() } else { None });
    let tried = world.tried();
    assert_eq!(tried[1], (1, 2, "ok"), "the other goes at the first chance: {tried:?}");
    let alone: Vec<u64> = tried
        .iter()
        .filter(|(_, seq, _)| *seq == 1)
        .map(|(second, ..)| *second)
        .collect();
    assert!(
        alone[8..]
            .windows(2)
            .all(|pair| (300..=301).contains(&(pair[1] - pair[0]))),
        "{alone:?}"
    );
    let parked = world.inbox.iter().any(|message| {
        let Inbox::Marks { marks, .. } = message else {
            return false;
        };
        marks.iter().any(|m| {
            matches!(
                m.outcome,
                Outcome::Failed {
                    tries: 8,
                    parked: true,
                    ..
                }
            )
        })
    });
    assert!(parked, "{:?}", world.inbox);
    assert_eq!(world.delivered(), [2, 1]);
}

#[test]
fn of_one_fingerprint_nothing_overtakes_even_what_is_parked() {
    let run = Run {
        queued: vec![(2, "a"), (3, "b")],
        parked: vec![(1, "a")],
        send: Send::Grouped,
        ..Run::default()
    };
    let world = run.against(|second, seq| if seq == 1 && second < 500 { retry() } else { None });
    assert_eq!(world.delivered(), [3, 1, 2]);
}

#[test]
fn where_every_record_goes_by_itself_a_parked_one_holds_nothing_back() {
    let run = Run {
        queued: vec![(2, "a"), (3, "a")],
        parked: vec![(1, "a")],
        ..Run::default()
    };
    let world = run.against(|second, seq| if seq == 1 && second < 500 { retry() } else { None });
    assert_eq!(world.delivered(), [2, 3, 1]);
}

#[test]
fn one_bad_parked_delivery_starves_no_other() {
    let run = Run {
        parked: vec![(1, "a"), (2, "b"), (3, "c")],
        ..Run::default()
    };
    let world = run.against(|_, seq| if seq == 1 { retry() } else { None });
    assert_eq!(world.delivered(), [2, 3]);
    assert!(
        world.tried().iter().filter(|(_, seq, _)| *seq == 1).count() >= 10,
        "{:?}",
        world.tried()
    );
}

#[test]
fn blocked_is_told_once_tried_every_five_minutes_and_told_again_when_free() {
    let blocked = || {
        Some(SendError::Blocked {
            reason: "401".to_owned(),
        })
    };
    let world = Run {
        queued: vec![(1, "a"), (2, "a"), (3, "b")],
        ..Run::default()
    }
    .against(move |second, _| if second < 1000 { blocked() } else { None });
    assert_eq!(world.blocked_told(), [Some("401".to_owned()), None]);
    let tries: Vec<u64> = world.tried().iter().map(|(second, ..)| *second).collect();
    assert_eq!(tries, [0, 300, 600, 900, 1200, 1200, 1200]);
    assert_eq!(world.delivered(), [1, 2, 3]);
}

#[test]
fn one_that_will_never_be_taken_is_dead_and_the_next_goes() {
    let reject = || {
        Some(SendError::Reject {
            reason: "400".to_owned(),
        })
    };
    let world = Run {
        queued: vec![(1, "a"), (2, "a"), (3, "a")],
        batch_max: 3,
        ..Run::default()
    }
    .against(move |_, seq| if seq == 2 { reject() } else { None });
    assert_eq!(world.delivered(), [1, 3]);
    assert_eq!(world.rows.lock().unwrap().dead, [2]);
}

#[test]
fn once_tries_each_due_delivery_once_but_not_what_waits_behind_a_failed_one() {
    for batch_max in [1, 10] {
        let queued = vec![(1, "a"), (2, "b"), (3, "a"), (4, "c")];
        let run = Run {
            queued,
            mode: Mode::Once,
            send: Send::Grouped,
            batch_max,
            ..Run::default()
        };
        let world = run.against(|_, seq| if seq == 1 { retry() } else { None });
        assert_eq!(world.tried(), [(0, 1, "retry"), (0, 2, "ok"), (0, 4, "ok")]);
        assert_eq!(
            world.rows.lock().unwrap().queued.keys().copied().collect::<Vec<_>>(),
            [1, 3]
        );
    }
}

#[test]
fn a_keeper_that_is_gone_ends_the_courier() {
    let (bell_sender, bell) = crossbeam_channel::bounded(1);
    let (keeper, inbox) = crossbeam_channel::bounded(1);
    drop(inbox);
    let rows: BTreeMap<i64, Row> = (1..=5000)
        .map(|seq| {
            (
                seq,
                Row {
                    tries: 0,
                    fingerprint: "f".to_owned(),
                },
            )
        })
        .collect();
    let tried = Arc::new(Mutex::new(Vec::new()));
    let receiver = Receiver_ {
        now: Now::default(),
        tried: tried.clone(),
        script: Box::new(|_, _| None),
        batch_max: 1,
    };
    let courier = Courier {
        settings: settings(Send::Each),
        alerter: Box::new(receiver),
        outbox: Box::new(SharedOutbox(Arc::new(Mutex::new(Rows {
            queued: rows,
            ..Rows::default()
        })))),
        bell,
        keeper,
        mode: Mode::Service,
        deadline: Duration::from_secs(10),
    };
    courier.run();
    drop(bell_sender);
    assert!(
        tried.lock().unwrap().len() <= MARKS_MAX,
        "what cannot be marked would be sent again"
    );
}

#[test]
fn a_closed_bell_lets_what_is_queued_go_and_stops_at_the_first_failure() {
    let (bell_sender, bell) = crossbeam_channel::bounded(1);
    drop(bell_sender);
    let (keeper, inbox) = crossbeam_channel::unbounded();
    let rows: BTreeMap<i64, Row> = (1..=9)
        .map(|seq| {
            (
                seq,
                Row {
                    tries: 0,
                    fingerprint: seq.to_string(),
                },
            )
        })
        .collect();
    let script: Script = Box::new(|_, seq| if seq == 5 { retry() } else { None });
    let tried = Arc::new(Mutex::new(Vec::new()));
    let courier = Courier {
        settings: settings(Send::Each),
        alerter: Box::new(Receiver_ {
            now: Now::default(),
            tried: tried.clone(),
            script,
            batch_max: 1,
        }),
        outbox: Box::new(SharedOutbox(Arc::new(Mutex::new(Rows {
            queued: rows,
            ..Rows::default()
        })))),
        bell,
        keeper,
        mode: Mode::Service,
        deadline: Duration::from_secs(10),
    };
    courier.run();
    let marks: usize = inbox
        .try_iter()
        .map(|m| {
            if let Inbox::Marks { marks, .. } = m {
                marks.len()
            } else {
                0
            }
        })
        .sum();
    assert_eq!((tried.lock().unwrap().len(), marks), (5, 5));
}
