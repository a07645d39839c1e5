use super::*;
use crate::record::Level;

const MINUTE_MS: u64 = 60_000;

fn at(minutes: u64) -> Now {
    let wall = jiff::Timestamp::from_millisecond(1_795_000_000_000 + (minutes * MINUTE_MS) as i64).unwrap();
    Now {
        boot_ms: book::BEFORE_BOOT_MS + minutes * MINUTE_MS,
        wall,
    }
}

fn rule() -> Rule {
    Rule {
        name: "beat".into(),
        pattern: regex::bytes::Regex::new("").unwrap(),
        severity: Level::Error,
        overrides: false,
        sources: vec!["app".into()],
        fields: Vec::new(),
        threshold: None,
        absent_for: Some(Duration::from_secs(300)),
    }
}

fn absences(now: Now) -> Absences {
    Absences::new(&[rule()], Duration::from_secs(3600), "h", BTreeMap::new(), now)
}

fn matched(absences: &mut Absences, minutes: u64) -> Option<Said> {
    let last = Match {
        file_id: "f".into(),
        source: "app".into(),
        path: "/a".into(),
        offset: minutes,
        end_offset: minutes + 1,
        at: at(minutes).wall,
    };
    absences.matched("beat", last, at(minutes))
}

fn due(absences: &mut Absences, minutes: u64) -> Vec<(Status, Reason, u64)> {
    let said = absences.due(at(minutes), &|_| true).into_iter();
    said.map(|said| (said.status, said.reason, said.silence.as_secs() / 60))
        .collect()
}

#[test]
fn silence_fires_is_told_again_and_is_over_with_the_next_match() {
    let mut absences = absences(at(0));
    matched(&mut absences, 1);
    assert_eq!(absences.next_due_ms(), Some(at(6).boot_ms));
    assert_eq!(due(&mut absences, 5), []);
    assert_eq!(due(&mut absences, 6), [(Status::Firing, Reason::New, 5)]);
    assert_eq!(due(&mut absences, 7), [], "told once");
    assert_eq!(due(&mut absences, 66), [(Status::Repeated, Reason::Ongoing, 65)]);
    let over = matched(&mut absences, 70).expect("it is over");
    assert_eq!((over.status, over.silence.as_secs() / 60), (Status::Resolved, 69));
    assert_eq!(over.last.unwrap().offset, 1);
    assert_eq!(matched(&mut absences, 71), None, "all is well");
    assert_eq!(due(&mut absences, 76), [(Status::Firing, Reason::New, 5)]);
}

#[test]
fn what_never_matched_counts_from_the_first_start_also_over_restarts() {
    let mut first = absences(at(0));
    let stored = first.take_changes().changed;
    assert_eq!(stored.len(), 1);
    let stored = stored
        .into_iter()
        .map(|(rule, life)| (rule.to_string(), life))
        .collect();
    let mut second = Absences::new(&[rule()], Duration::from_secs(3600), "h", stored, at(4));
    assert_eq!(due(&mut second, 5), [(Status::Firing, Reason::New, 5)]);
}

#[test]
fn nothing_is_absent_before_everything_is_read() {
    let mut absences = absences(at(0));
    assert!(absences.due(at(600), &|sources| sources != ["app".into()]).is_empty());
    assert_eq!(
        absences.next_due_ms(),
        Some(at(600).boot_ms + LOOK_AGAIN_MS),
        "no spinning meanwhile"
    );
    matched(&mut absences, 600);
    assert_eq!(due(&mut absences, 601), []);
}

#[test]
fn ids_come_from_the_last_match_and_are_each_their_own() {
    let ids = |later: u64| {
        let mut absences = absences(at(0));
        matched(&mut absences, 1);
        let mut ids = Vec::new();
        ids.extend(absences.due(at(6 + later), &|_| true).into_iter().map(|said| said.id));
        ids.extend(absences.due(at(200 + later), &|_| true).into_iter().map(|said| said.id));
        ids.extend(matched(&mut absences, 300).map(|said| said.id));
        ids
    };
    assert_eq!(ids(0), ids(3));
    let mut all = ids(0);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3);
}

#[test]
fn a_rule_that_is_gone_is_forgotten() {
    let mut first = absences(at(0));
    let stored = first.take_changes().changed;
    let stored = stored
        .into_iter()
        .map(|(rule, life)| (rule.to_string(), life))
        .collect();
    let mut second = Absences::new(&[], Duration::from_secs(3600), "h", stored, at(1));
    assert_eq!(second.take_changes().forgotten, ["beat".into()]);
    assert_eq!(second.next_due_ms(), None);
}

#[test]
fn a_reboot_without_a_clock_starts_the_silence_again() {
    let mut first = absences(at(0));
    matched(&mut first, 1);
    let (_, mut life) = first.take_changes().changed.remove(0);
    let epoch = Now {
        boot_ms: book::BEFORE_BOOT_MS + 20_000,
        wall: jiff::Timestamp::UNIX_EPOCH,
    };
    let carry_over = book::CarryOver {
        written: at(1),
        now: epoch,
    };
    carry_over.absence(&mut life);
    assert_eq!(life.last_seen_ms, epoch.boot_ms);
}
