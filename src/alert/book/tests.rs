use super::*;
use crate::alert::compose::{Composer, Origin};
use crate::analyzer::{AnalyzerKind, Exceptional, Finding};
use crate::record::{Details, Kind, Place};

const MINUTE_MS: u64 = 60_000;

pub(super) fn settings() -> Settings {
    Settings {
        repeat_after: Duration::from_secs(4 * 3600),
        resolve_after: Duration::from_secs(1800),
        ..Settings::default()
    }
}

pub(super) fn at(minutes: u64) -> Now {
    let wall = jiff::Timestamp::from_millisecond(1_795_000_000_000 + (minutes * MINUTE_MS) as i64).unwrap();
    Now {
        boot_ms: BEFORE_BOOT_MS + minutes * MINUTE_MS,
        wall,
    }
}

pub(super) fn alert(fingerprint: &str, offset: u64, severity: Level, now: Now) -> Alert {
    let found = Exceptional {
        findings: vec![Finding::new(AnalyzerKind::Level, severity)],
        severity,
        fingerprint: fingerprint.into(),
        title: "t".into(),
        template: "t".into(),
        unknown_mask: None,
        text: "t".into(),
        first_line: b"t".to_vec(),
        details: Details::default(),
        level: Some(severity),
        kind: Kind::Record,
        language: None,
        truncated: false,
        place: Place {
            offset,
            end_offset: offset + 1,
            first_line: 1,
            last_line: 1,
            line_numbers: None,
            order: 1,
        },
        line_numbers_known: true,
        before: vec![],
        after: vec![],
    };
    let origin = Origin {
        source: "app",
        path: "/a",
        file_id: "f",
        labels: &BTreeMap::new(),
    };
    Composer::default().compose(found, origin, now.wall)
}

fn observe(
    book: &mut Book,
    fingerprint: &str,
    offset: u64,
    severity: Level,
    now: Now,
) -> Option<(Status, Reason, u64)> {
    let alert = alert(fingerprint, offset, severity, now);
    book.observe(&"app".into(), &alert, now)
        .map(|said| (said.status, said.reason, said.count))
}

fn due(book: &mut Book, now: Now) -> Vec<(Status, Reason, u64)> {
    book.due(now, &|_| true)
        .into_iter()
        .map(|said| (said.status, said.reason, said.count))
        .collect()
}

#[test]
fn the_first_record_fires_and_the_next_ones_are_counted() {
    let mut book = Book::new(&settings(), []);
    assert_eq!(
        observe(&mut book, "a", 0, Level::Error, at(0)),
        Some((Status::Firing, Reason::New, 1))
    );
    assert_eq!(observe(&mut book, "a", 1, Level::Error, at(1)), None);
    assert_eq!(
        observe(&mut book, "b", 2, Level::Error, at(1)),
        Some((Status::Firing, Reason::New, 1))
    );
}

#[test]
fn an_alert_that_goes_on_is_said_again_with_its_count() {
    let mut book = Book::new(&settings(), []);
    observe(&mut book, "a", 0, Level::Error, at(0));
    for minute in 1..=239 {
        assert_eq!(observe(&mut book, "a", minute, Level::Error, at(minute)), None);
        assert_eq!(due(&mut book, at(minute)), []);
    }
    assert_eq!(due(&mut book, at(240)), [(Status::Repeated, Reason::Ongoing, 239)]);
    assert_eq!(due(&mut book, at(241)), [], "said once");
}

#[test]
fn silence_resolves_and_the_next_record_fires_again_under_its_own_id() {
    let mut book = Book::new(&settings(), []);
    observe(&mut book, "a", 0, Level::Error, at(0));
    assert_eq!(due(&mut book, at(29)), []);
    assert_eq!(book.next_due_ms(), Some(at(30).boot_ms));
    assert_eq!(due(&mut book, at(30)), [(Status::Resolved, Reason::Quiet, 0)]);
    assert_eq!(book.next_due_ms(), None, "nothing is due once it is resolved");
    assert_eq!(
        observe(&mut book, "a", 9, Level::Error, at(50)),
        Some((Status::Firing, Reason::Again, 1))
    );
}

#[test]
fn a_slow_alert_is_not_resolved_before_twice_its_usual_gap() {
    let mut book = Book::new(&settings(), []);
    observe(&mut book, "a", 0, Level::Error, at(0));
    observe(&mut book, "a", 1, Level::Error, at(25));
    assert_eq!(due(&mut book, at(25 + 49)), []);
    assert_eq!(due(&mut book, at(25 + 50)), [(Status::Resolved, Reason::Quiet, 1)]);
}

#[test]
fn a_rise_in_severity_is_said_at_once() {
    let mut book = Book::new(&settings(), []);
    observe(&mut book, "a", 0, Level::Warn, at(0));
    assert_eq!(observe(&mut book, "a", 1, Level::Warn, at(1)), None);
    assert_eq!(
        observe(&mut book, "a", 2, Level::Fatal, at(2)),
        Some((Status::Repeated, Reason::Spiking, 2)),
        "with all that was counted since the firing"
    );
    assert_eq!(observe(&mut book, "a", 3, Level::Fatal, at(3)), None);
}

#[test]
fn nothing_is_resolved_while_its_source_lags() {
    let mut book = Book::new(&settings(), []);
    observe(&mut book, "a", 0, Level::Error, at(0));
    assert!(book.due(at(600), &|_| false).is_empty());
    assert_eq!(
        book.next_due_ms(),
        Some(at(600).boot_ms + 30 * MINUTE_MS),
        "no spinning meanwhile"
    );
    assert_eq!(due(&mut book, at(601)), []);
    assert_eq!(due(&mut book, at(630)), [(Status::Resolved, Reason::Quiet, 0)]);
}

#[test]
fn ids_of_sequels_depend_on_the_firing_alone() {
    let ids = |shift: u64| {
        let mut book = Book::new(&settings(), []);
        observe(&mut book, "a", 7, Level::Error, at(shift));
        observe(&mut book, "a", 8, Level::Error, at(shift + 1));
        book.due(at(shift + 300), &|_| true)
            .into_iter()
            .map(|said| said.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(0), ids(17));
    assert_eq!(ids(0).len(), 1);
}

#[test]
fn the_book_is_bounded_and_forgets_the_resolved_first() {
    let mut book = Book::new(&settings(), []);
    observe(&mut book, "resolved", 0, Level::Error, at(0));
    assert_eq!(due(&mut book, at(30)).len(), 1);
    for n in 0..GROUPS_MAX {
        observe(&mut book, &format!("f{n}"), n as u64, Level::Error, at(31));
    }
    let (changed, forgotten) = book.take_changes();
    assert_eq!(book.groups().count(), GROUPS_MAX);
    assert_eq!(changed.len(), GROUPS_MAX);
    assert_eq!(
        forgotten.iter().map(|key| &*key.fingerprint).collect::<Vec<_>>(),
        ["resolved"]
    );
}

#[test]
fn after_a_reboot_timers_go_on_by_the_wall_clock() {
    let mut book = Book::new(&settings(), []);
    observe(&mut book, "a", 0, Level::Error, at(0));
    let (mut groups, _) = book.take_changes();
    // Twenty minutes later the host has been up for one minute.
    let up = |minutes: u64| Now {
        boot_ms: BEFORE_BOOT_MS + minutes * MINUTE_MS,
        wall: at(19 + minutes).wall,
    };
    CarryOver {
        written: at(0),
        now: up(1),
    }
    .group(&mut groups[0].1);
    let mut book = Book::new(&settings(), groups);
    assert_eq!(due(&mut book, up(10)), []);
    assert_eq!(due(&mut book, up(11)).len(), 1, "thirty minutes after it was seen");
}
