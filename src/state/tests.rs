use super::*;
use crate::alerter::courier::Outbox;
use crate::collector::{FileState, Resume};
use crate::keeper::{Mark, Outcome};
use crate::record::Level;
use checkpoints::Checkpoint;
use outbox::{Entry, Queue};

fn entry(id: &str, fingerprint: &str, severity: Level) -> Entry {
    let alert = crate::alert::Alert {
        id: id.into(),
        fingerprint: fingerprint.into(),
        severity,
        ..crate::sample::alert()
    };
    Entry {
        payload: "x".repeat(100).into(),
        alert: alert.into(),
    }
}

/// Queues an alert that no other alerter hears of.
fn push(connection: &Connection, alerter: &str, entry: &Entry, now_ms: i64) -> Result<i64> {
    outbox::push(connection, alerter, entry, None, now_ms)
}

fn texts(state: &State) -> i64 {
    let count = "SELECT count(*) FROM payloads";
    state.connection().query_row(count, [], |row| row.get(0)).unwrap()
}

fn waiting(state: &State) -> Vec<(i64, String)> {
    let mut statement = state
        .connection()
        .prepare("SELECT seq, alert_id FROM outbox WHERE state = 'queued' ORDER BY seq")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

fn checkpoint(offset: u64) -> Checkpoint {
    Checkpoint {
        source: "app".into(),
        path: PathBuf::from("/var/log/ä.log"),
        resume: Resume {
            offset,
            committed_to: offset + 5,
            open_starts: vec![offset],
            line: Some(3),
            format: "json".into(),
        },
        file_state: FileState {
            id: Some("f".into()),
            size_seen: 99,
            ..FileState::default()
        },
        updated_ms: 7,
    }
}

#[test]
fn checkpoints_come_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let key = {
        let (mut state, incident) = State::open(dir.path()).unwrap();
        assert_eq!(incident, None);
        let key = state
            .commit(Durability::Full, |c| checkpoints::insert(c, &checkpoint(10)))
            .unwrap();
        state
            .commit(Durability::Normal, |c| checkpoints::update(c, key, &checkpoint(20)))
            .unwrap();
        key
    };
    let (state, _) = State::open(dir.path()).unwrap();
    assert_eq!(checkpoints::load(state.connection()).unwrap(), [(key, checkpoint(20))]);
}

#[test]
fn what_fails_in_the_middle_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _) = State::open(dir.path()).unwrap();
    let outcome: Result<()> = state.commit(Durability::Full, |c| {
        push(c, "ops", &entry("a", "f", Level::Error), 0)?;
        anyhow::bail!("power cut")
    });
    assert!(outcome.is_err());
    assert_eq!(waiting(&state), []);
}

#[test]
fn a_second_holder_is_told_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = lock(dir.path()).unwrap().expect("nobody holds it");
    let second = lock(dir.path()).unwrap().expect_err("held");
    assert_eq!(second.pid, Some(std::process::id()));
    drop(first);
    assert!(lock(dir.path()).unwrap().is_ok());
}

#[test]
fn a_delivered_seq_never_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _) = State::open(dir.path()).unwrap();
    let queue = |state: &mut State, id: &str| {
        state
            .commit(Durability::Full, |c| push(c, "ops", &entry(id, "f", Level::Error), 0))
            .unwrap();
    };
    queue(&mut state, "a");
    let (seq, _) = waiting(&state)[0].clone();
    let freed = state
        .commit(Durability::Full, |c| {
            outbox::mark(
                c,
                "ops",
                &Mark {
                    seq,
                    outcome: Outcome::Delivered,
                },
                0,
            )
        })
        .unwrap();
    assert_eq!(freed, 100);
    queue(&mut state, "b");
    assert!(waiting(&state)[0].0 > seq, "{:?}", waiting(&state));
}

#[test]
fn dead_deliveries_are_kept_and_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _) = State::open(dir.path()).unwrap();
    state
        .commit(Durability::Full, |c| push(c, "ops", &entry("a", "f", Level::Error), 0))
        .unwrap();
    let (seq, _) = waiting(&state)[0].clone();
    let dead = Mark {
        seq,
        outcome: Outcome::Dead {
            tries: 1,
            error: "400".into(),
        },
    };
    state
        .commit(Durability::Full, |c| outbox::mark(c, "ops", &dead, 0))
        .unwrap();
    assert_eq!(
        outbox::fill(state.connection()).unwrap()["ops"],
        outbox::Fill {
            dead: 1,
            ..outbox::Fill::default()
        }
    );
    let mut queue = Queue::new(reader(dir.path()).unwrap(), "ops".into());
    assert!(queue.next(0, 10).unwrap().is_empty());
}

#[test]
fn compaction_keeps_the_first_and_the_last_of_a_fingerprint_and_the_worst() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _) = State::open(dir.path()).unwrap();
    state
        .commit(Durability::Full, |c| {
            push(c, "ops", &entry("f1", "f", Level::Fatal), 0)?;
            push(c, "ops", &entry("f2", "f", Level::Fatal), 0)?;
            push(c, "ops", &entry("f3", "f", Level::Fatal), 0)?;
            push(c, "ops", &entry("w", "g", Level::Warn), 0)?;
            push(c, "ops", &entry("e", "h", Level::Error), 0)?;
            assert_eq!(outbox::shed(c, "ops", 150, true)?, (2, 200));
            Ok(())
        })
        .unwrap();
    let ids: Vec<String> = waiting(&state).into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, ["f1", "f3", "e"]);
}

#[test]
fn deliveries_of_an_alerter_that_is_gone_are_dead() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _) = State::open(dir.path()).unwrap();
    state
        .commit(Durability::Full, |c| {
            push(c, "old", &entry("a", "f", Level::Error), 0)?;
            push(c, "ops", &entry("b", "f", Level::Error), 0)?;
            assert_eq!(outbox::orphan(c, &["ops"], "gone")?, 1);
            Ok(())
        })
        .unwrap();
    assert_eq!(waiting(&state).len(), 1);
}

#[test]
fn a_damaged_database_is_set_aside_and_the_backup_takes_its_place() {
    for damage in [&b""[..], b"not a database at all, but something of some length"] {
        let dir = tempfile::tempdir().unwrap();
        {
            let (mut state, _) = State::open(dir.path()).unwrap();
            state
                .commit(Durability::Full, |c| checkpoints::insert(c, &checkpoint(10)))
                .unwrap();
            state.back_up().unwrap();
        }
        fs::write(dir.path().join("state.db"), damage).unwrap();
        let (state, incident) = State::open(dir.path()).unwrap();
        let incident = incident.expect("it is noticed");
        assert_eq!(incident.recovered, Recovered::Backup);
        assert_eq!(fs::read(&incident.set_aside).unwrap(), damage);
        assert_eq!(checkpoints::load(state.connection()).unwrap().len(), 1);
    }
}

#[test]
fn without_a_backup_it_begins_afresh() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("state.db"), vec![7; 10_000]).unwrap();
    let (state, incident) = State::open(dir.path()).unwrap();
    assert_eq!(incident.map(|incident| incident.recovered), Some(Recovered::Nothing));
    assert!(checkpoints::load(state.connection()).unwrap().is_empty());
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (state, _) = State::open(dir.path()).unwrap();
        state.connection().pragma_update(None, "user_version", 99).unwrap();
    }
    let error = State::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("newer"), "{error}");
    let left = Connection::open(dir.path().join("state.db")).unwrap();
    assert_eq!(
        left.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
            .unwrap(),
        99
    );
}

#[test]
fn a_state_of_any_older_schema_is_brought_up_to_date() {
    for version in 1..VERSION {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(dir.path().join("state.db")).unwrap();
        schema::MIGRATIONS[..version]
            .iter()
            .for_each(|migration| old.execute_batch(migration).unwrap());
        old.pragma_update(None, "user_version", version).unwrap();
        checkpoints::insert(&old, &checkpoint(10)).unwrap();
        if (version as i64) < schema::PAYLOADS_APART {
            queue_as_before(&old);
        }
        drop(old);
        let (state, incident) = State::open(dir.path()).unwrap();
        assert_eq!(incident, None, "from {version}");
        assert_eq!(checkpoints::load(state.connection()).unwrap().len(), 1);
        assert!(dir.path().join(format!("state.db.v{version}.bak")).exists());
        let mut queue = Queue::new(reader(dir.path()).unwrap(), "ops".into());
        let told: Vec<_> = queue.next(0, 10).unwrap();
        assert_eq!(told.len(), 1, "from {version}");
        assert_eq!(*told[0].alert, crate::sample::alert(), "from {version}");
        let fill = &outbox::fill(state.connection()).unwrap()["ops"];
        assert!((fill.queued, fill.bytes > 100) == (1, true), "from {version}: {fill:?}");
    }
}

/// A delivery as programs wrote it that kept each with its text.
fn queue_as_before(connection: &Connection) {
    let alert = serde_json::to_string(&crate::sample::alert()).unwrap();
    let insert = "INSERT INTO outbox (alerter, state, alert_id, fingerprint, severity, created_ms, payload)
                  VALUES ('ops', 'queued', 'a', 'f', 4, 0, ?1)";
    connection.execute(insert, [alert]).unwrap();
}

#[test]
fn a_delivery_of_an_older_schema_survives_damage_by_the_backup() {
    let dir = tempfile::tempdir().unwrap();
    let backup = Connection::open(dir.path().join("state.db.prev")).unwrap();
    let before = usize::try_from(schema::PAYLOADS_APART - 1).unwrap();
    schema::MIGRATIONS[..before]
        .iter()
        .for_each(|migration| backup.execute_batch(migration).unwrap());
    backup.pragma_update(None, "user_version", before).unwrap();
    queue_as_before(&backup);
    drop(backup);
    fs::write(dir.path().join("state.db"), vec![7; 10_000]).unwrap();
    let (_, incident) = State::open(dir.path()).unwrap();
    assert_eq!(incident.map(|incident| incident.recovered), Some(Recovered::Backup));
    let mut queue = Queue::new(reader(dir.path()).unwrap(), "ops".into());
    assert_eq!(*queue.next(0, 10).unwrap()[0].alert, crate::sample::alert());
}

#[test]
fn what_several_alerters_are_told_is_written_once_and_goes_with_the_last_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _) = State::open(dir.path()).unwrap();
    let entry = Entry::of(crate::sample::alert().into());
    let seqs: Vec<i64> = state
        .commit(Durability::Full, |c| {
            let shared = Some(outbox::share(c, &entry.payload)?);
            ["ops", "bus"]
                .iter()
                .map(|alerter| outbox::push(c, alerter, &entry, shared, 0))
                .collect()
        })
        .unwrap();
    assert_eq!(texts(&state), 1);
    for (alerter, seq, left) in [("ops", seqs[0], 1), ("bus", seqs[1], 0)] {
        let mut queue = Queue::new(reader(dir.path()).unwrap(), alerter.into());
        assert_eq!(*queue.next(0, 10).unwrap()[0].alert, *entry.alert);
        let outcome = Outcome::Delivered;
        let freed = state
            .commit(Durability::Full, |c| {
                outbox::mark(c, alerter, &Mark { seq, outcome }, 0)
            })
            .unwrap();
        assert_eq!((freed, texts(&state)), (entry.payload.len() as u64, left), "{alerter}");
    }
}
