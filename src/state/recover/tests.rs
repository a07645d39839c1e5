//! What power cuts and dying cards do to `state.db` and its log, at hundreds of places, against one promise: what was read
//! is in the outbox, or it is read again.

use super::*;
use crate::collector::{FileState, Resume};
use crate::state::checkpoints::Checkpoint;
use crate::state::outbox::Entry;
use crate::state::{Durability, State};

const FINDINGS: u64 = 200;
/// Each finding stands at its number times this.
const LINE_BYTES: u64 = 100;

fn position(finding: u64) -> Checkpoint {
    let committed_to = (finding + 1) * LINE_BYTES;
    Checkpoint {
        source: "app".into(),
        path: "/var/log/app.log".into(),
        resume: Resume {
            offset: committed_to,
            committed_to,
            ..Resume::default()
        },
        file_state: FileState::default(),
        updated_ms: 0,
    }
}

fn find(state: &mut State, finding: u64) {
    let alert = crate::alert::Alert {
        id: format!("id-{finding}"),
        ..crate::sample::alert()
    };
    let entry = Entry {
        payload: format!("{{\"finding\":{finding},\"text\":\"{}\"}}", "x".repeat(300)).into(),
        alert: alert.into(),
    };
    let committed = state.commit(Durability::Full, |connection| {
        // As to several alerters.
        let shared = outbox::share(connection, &entry.payload)?;
        outbox::push(connection, "ops", &entry, Some(shared), 0)?;
        match finding {
            0 => checkpoints::insert(connection, &position(0)).map(drop),
            _ => checkpoints::update(connection, 1, &position(finding)),
        }
    });
    committed.unwrap();
}

/// A state that was killed at work: half of it in the database, half in its log, a backup of a while ago beside it.
struct Scene {
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(dir.path()).unwrap();
        state.set_meta(Durability::Full, super::super::RUNNING, "1").unwrap();
        state.set_meta(Durability::Full, "host_id", "h").unwrap();
        for finding in 0..FINDINGS {
            find(&mut state, finding);
            match finding {
                80 => state.back_up().unwrap(),
                120 => drop(
                    state
                        .connection
                        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())),
                ),
                _ => {}
            }
        }
        let read = |name| (name, fs::read(dir.path().join(name)).unwrap());
        let files = ["state.db", "state.db-wal", "state.db.prev"].map(read);
        Self { files: files.into() }
    }

    fn length(&self, name: &str) -> usize {
        self.files.iter().find(|(known, _)| *known == name).unwrap().1.len()
    }

    /// Opens a copy with damage done to it, and checks the promise.
    fn survives(&self, what: &str, without_backup: bool, damage: impl Fn(&str, &mut Vec<u8>)) -> Option<Incident> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.files {
            let mut bytes = bytes.clone();
            damage(name, &mut bytes);
            if !(without_backup && *name == "state.db.prev") {
                fs::write(dir.path().join(name), bytes).unwrap();
            }
        }
        let (mut state, incident) = State::open(dir.path()).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let files = checkpoints::load(state.connection()).unwrap();
        let committed_to = files.first().map_or(0, |(_, known)| known.resume.committed_to);
        let kept = kept(&state);
        let lost: Vec<u64> = (0..FINDINGS)
            .filter(|finding| finding * LINE_BYTES < committed_to && !kept.contains(&(finding + 1)))
            .collect();
        assert!(
            lost.is_empty(),
            "{what}: read up to {committed_to}, and lost: {lost:?}; {incident:?}"
        );
        if let Some(incident) = &incident {
            assert!(incident.set_aside.exists(), "{what}: {incident:?}");
        }
        if incident.is_none() && !what.contains("log") {
            assert_eq!(
                committed_to,
                FINDINGS * LINE_BYTES,
                "{what}: something went without a word"
            );
        }
        // It is told once, and what is there is whole.
        state.remove_meta(INCIDENT).unwrap();
        drop(state);
        let (_, again) = State::open(dir.path()).unwrap();
        assert_eq!(again, None, "{what}");
        incident
    }
}

/// Numbers of the deliveries that are there.
fn kept(state: &State) -> Vec<u64> {
    let mut statement = state.connection().prepare("SELECT seq FROM outbox").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The same places at every run: some hundred, spread over a file.
fn places(length: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count)
        .map(move |n| n * length / count + n * 37 % 512)
        .filter(move |at| *at < length)
}

fn overwrite(bytes: &mut [u8], at: usize, length: usize, with: u8) {
    let end = bytes.len().min(at + length);
    bytes[at..end].fill(with);
}

#[test]
fn a_database_cut_off_anywhere_loses_nothing() {
    let scene = Scene::new();
    let mut told = 0;
    for at in places(scene.length("state.db"), 60) {
        let cut = |name: &str, bytes: &mut Vec<u8>| {
            if name == "state.db" {
                bytes.truncate(at)
            }
        };
        told += usize::from(scene.survives(&format!("cut at {at}"), at % 2 == 0, cut).is_some());
    }
    assert!(told > 30, "only {told} of 60 were noticed");
}

#[test]
fn a_database_overwritten_anywhere_loses_nothing() {
    let scene = Scene::new();
    for (n, at) in places(scene.length("state.db"), 90).enumerate() {
        let (length, with) = [(4096, 0), (512, 0), (64, 0xA5)][n % 3];
        let at = if length == 4096 { at / 4096 * 4096 } else { at };
        let overwrite = |name: &str, bytes: &mut Vec<u8>| {
            if name == "state.db" {
                overwrite(bytes, at, length, with)
            }
        };
        scene.survives(&format!("{length} of {with} at {at}"), n % 2 == 0, overwrite);
    }
}

#[test]
fn a_log_cut_off_or_overwritten_anywhere_loses_nothing() {
    let scene = Scene::new();
    for (n, at) in places(scene.length("state.db-wal"), 80).enumerate() {
        let damage = |name: &str, bytes: &mut Vec<u8>| match (name, n % 2) {
            ("state.db-wal", 0) => bytes.truncate(at),
            ("state.db-wal", _) => overwrite(bytes, at, 512, 0),
            _ => {}
        };
        scene.survives(&format!("the log at {at}"), n % 3 == 0, damage);
    }
}

#[test]
fn both_damaged_and_the_backup_too_it_begins_afresh_and_keeps_what_waits() {
    let scene = Scene::new();
    for at in places(scene.length("state.db"), 30) {
        let damage = |_: &str, bytes: &mut Vec<u8>| {
            let at = at % bytes.len();
            overwrite(bytes, at, 2048, 0xFF);
        };
        scene.survives(&format!("database, log and backup at {at}"), false, damage);
    }
}

#[test]
fn damage_beside_what_matters_costs_nothing() {
    let scene = Scene::new();
    // The index of the outbox: all rows are there still.
    let page = |bytes: &[u8], kind: u8| (1..bytes.len() / 4096).find(|page| bytes[page * 4096] == kind);
    let index = page(&scene.files[0].1, 2)
        .or_else(|| page(&scene.files[0].1, 10))
        .unwrap()
        * 4096;
    let garble = |name: &str, bytes: &mut Vec<u8>| {
        if name == "state.db" {
            overwrite(bytes, index + 3000, 600, 0xA5);
        }
    };
    let incident = scene.survives("an index", true, garble);
    assert!(incident.is_none_or(|incident| incident.recovered == Recovered::Everything));
}

#[test]
fn an_exchange_that_was_cut_off_is_finished() {
    let scene = Scene::new();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    // All was set aside but for the log, and the new one waits.
    write("state.db-wal", &scene.files[1].1);
    write("state.db.new", &scene.files[2].1);
    let (state, incident) = State::open(dir.path()).unwrap();
    assert_eq!(incident, None);
    assert_eq!(
        checkpoints::load(state.connection()).unwrap()[0].1.resume.committed_to,
        81 * LINE_BYTES
    );
}

#[test]
fn only_the_newest_damaged_states_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..5 {
        fs::write(dir.path().join("state.db"), format!("not a database {n}")).unwrap();
        let (_, incident) = State::open(dir.path()).unwrap();
        assert_eq!(incident.map(|incident| incident.recovered), Some(Recovered::Nothing));
    }
    let names = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("bad")).count(), BAD_MAX);
}

#[test]
fn a_full_disk_or_a_forbidden_file_is_no_damage() {
    let failure = |code| {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        is_damage(&anyhow::Error::from(error).context("reading"))
    };
    use rusqlite::ffi;
    for code in [
        ffi::SQLITE_FULL,
        ffi::SQLITE_PERM,
        ffi::SQLITE_READONLY,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_BUSY,
    ] {
        assert!(!failure(code), "{code}");
    }
    for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_IOERR_SHORT_READ] {
        assert!(failure(code), "{code}");
    }
}

#[test]
fn damage_done_at_work_is_seen_beside_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _) = State::open(dir.path()).unwrap();
    find(&mut state, 0);
    assert!(probe(dir.path()).is_ok());
    let database = dir.path().join("state.db");
    let length = fs::metadata(&database).unwrap().len() as usize;
    fs::write(&database, vec![0x5A; length]).unwrap();
    File::options()
        .write(true)
        .open(dir.path().join("state.db-wal"))
        .unwrap()
        .set_len(0)
        .unwrap();
    assert!(is_corrupt(&probe(dir.path()).unwrap_err()));
}
