use super::*;
use crate::analyzer::Settings;
use crate::collector::Resume;
use crate::collector::lines::Newline;
use crate::record::Level;
use crossbeam_channel::bounded;

/// Far above what anything takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Silence after which records are closed: longer than the test is patient.
const FLUSH_AFTER: Duration = Duration::from_secs(3600);
const TRACE: &[u8] = b"2026-11-23 06:00:00 ERROR pool exhausted\n\tat app.Pool.take(Pool.java:7)\n";

fn worker() -> (Worker, Sender<Event>, Receiver<Message>) {
    let settings = Settings {
        alert_at: Some(Level::Warn),
        ..Settings::default()
    };
    let source: Arc<str> = "app".into();
    let record = record::Settings {
        flush_after: FLUSH_AFTER,
        ..record::Settings::default()
    };
    let analyzers = Arc::new(Analyzers::new(&settings, &source, None, 0, 0));
    let (to_worker, events) = bounded(8);
    let (batches, from_worker) = bounded(64);
    let worker = Worker {
        appetite: Arc::default(),
        sources: Arc::new(BTreeMap::from([(
            source,
            SourceParts {
                analyzers,
                record,
                context_wait: Duration::ZERO,
            },
        )])),
        metrics: Arc::default(),
        events,
        plans: bounded(1).1,
        spent: bounded(1).0,
        batches,
        board: None,
        at_end: AtEnd::StayOpen,
    };
    (worker, to_worker, from_worker)
}

/// The trace was left open by the last run; its file was written to so long ago, and holds so many bytes.
fn opened(written_ago: Duration, size_bytes: u64) -> Event {
    Event::Opened(Box::new(Opened {
        file: FileKey(1),
        row: Some(1),
        source: "app".into(),
        path: "/a.log".into(),
        resume: Resume {
            committed_to: TRACE.len() as u64,
            open_starts: vec![0],
            line: Some(1),
            ..Resume::default()
        },
        file_state: FileState::default(),
        last_write: Some(LastWrite {
            at: SystemTime::now() - written_ago,
            size_bytes,
        }),
    }))
}

fn chunk(bytes: &[u8], offset: u64, lag_bytes: u64) -> Event {
    Event::Chunk(Chunk {
        file: FileKey(1),
        offset,
        bytes: bytes.to_vec(),
        newline: Newline::Byte,
        end_offset: offset + bytes.len() as u64,
        cut: false,
        lag_bytes,
        file_state: None,
    })
}

/// Where the records end that were found, when so many have come.
fn found(events: Vec<Event>, wanted: usize) -> Vec<u64> {
    let (worker, to_worker, from_worker) = worker();
    let thread = std::thread::spawn(move || worker.run());
    events.into_iter().for_each(|event| to_worker.send(event).unwrap());
    let mut found = Vec::new();
    let mut take = |message| {
        if let Message::Batch(batch) = message {
            found.extend(batch.found.iter().map(|record| record.place.end_offset));
        }
        found.len()
    };
    let mut count = 0;
    while count < wanted
        && let Ok(message) = from_worker.recv_timeout(PATIENCE)
    {
        count = take(message);
    }
    drop(to_worker);
    for message in &from_worker {
        take(message);
    }
    thread.join().unwrap();
    found
}

#[test]
fn silence_of_a_record_left_open_counts_from_the_last_write() {
    let size = TRACE.len() as u64;
    let events = vec![opened(FLUSH_AFTER, size), chunk(TRACE, 0, 0)];
    assert_eq!(found(events, 1), [size]);
}

#[test]
fn record_left_open_a_moment_ago_stays_open() {
    let size = TRACE.len() as u64;
    let events = vec![opened(Duration::ZERO, size), chunk(TRACE, 0, 0)];
    assert_eq!(found(events, 0), Vec::<u64>::new());
}

#[test]
fn record_left_open_long_ago_that_goes_on_is_told_whole() {
    let size = TRACE.len() as u64;
    let more = b"\tat app.Main.main(Main.java:3)\n";
    let next = b"2026-11-23 06:00:09 INFO next\n";
    // What is behind it was there at the start, or comes as the first thing that is read.
    for size_bytes in [size, size + more.len() as u64] {
        let end = size + more.len() as u64;
        let events = vec![
            opened(FLUSH_AFTER, size_bytes),
            chunk(TRACE, 0, more.len() as u64),
            chunk(more, size, 1),
            chunk(next, end, 0),
        ];
        assert_eq!(found(events, 1), [end]);
    }
}
