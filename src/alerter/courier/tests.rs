//! A courier's promises, kept in a world of the test's own.

mod world;

use super::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use world::*;

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

/// More than are read at once wait behind one that fails, in order; what comes after them goes out meanwhile.
#[test]
fn what_waits_behind_one_that_fails_is_not_forgotten_for_what_overtook_it() {
    for commits in [true, false] {
        let queued = (1..=1400).map(|seq| (seq, if seq <= 700 { "down" } else { "up" }));
        let world = Run {
            queued: queued.collect(),
            send: Send::Grouped,
            commits,
            batch_max: 64,
            ..Run::default()
        }
        .against(|second, seq| if seq == 1 && second < 3000 { retry() } else { None });
        let mut delivered = world.delivered();
        delivered.sort_unstable();
        assert_eq!(delivered, (1..=1400).collect::<Vec<i64>>(), "commits: {commits}");
    }
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
fn some_that_a_receiver_cannot_digest_hold_up_no_other() {
    let run = Run {
        queued: vec![(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")],
        send: Send::Grouped,
        ..Run::default()
    };
    let world = run.against(|_, seq| if seq <= 3 { retry() } else { None });
    assert_eq!(world.delivered(), [4, 5]);
    let (second, ..) = world.tried().into_iter().find(|(_, seq, _)| *seq == 5).unwrap();
    assert!(second < 10, "tried once each before the others: {:?}", world.tried());
    let parked = world.rows.lock().unwrap().parked.len();
    assert!(parked >= 2, "each has its eight tries: {:?}", world.tried());
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
        let tried: Vec<_> = world
            .tried()
            .into_iter()
            .map(|(_, seq, outcome)| (seq, outcome))
            .collect();
        assert_eq!(tried, [(1, "retry"), (2, "ok"), (4, "ok")]);
        assert_eq!(
            world.rows.lock().unwrap().queued.keys().copied().collect::<Vec<_>>(),
            [1, 3]
        );
    }
}

#[test]
fn a_keeper_that_is_gone_ends_the_courier() {
    let (rope, ear) = bell();
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
        ear,
        orders: crossbeam_channel::never(),
        keeper,
        mode: Mode::Service,
        deadline: Duration::from_secs(10),
    };
    courier.run();
    drop(rope);
    assert!(
        tried.lock().unwrap().len() <= MARKS_MAX,
        "what cannot be marked would be sent again"
    );
}

#[test]
fn a_closed_bell_lets_what_is_queued_go_and_stops_at_the_first_failure() {
    let (rope, ear) = bell();
    drop(rope);
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
        ear,
        orders: crossbeam_channel::never(),
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
