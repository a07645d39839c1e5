use super::*;
use crate::record::{Details, Kind, Place};

fn rule(name: &str, at_least: u32, within_s: u64, per: Option<&str>) -> Rule {
    Rule {
        name: name.into(),
        pattern: regex::bytes::Regex::new("").unwrap(),
        severity: Level::Error,
        overrides: false,
        sources: Vec::new(),
        fields: Vec::new(),
        threshold: Some(Threshold {
            at_least,
            within: Duration::from_secs(within_s),
            per: per.map(str::to_owned),
        }),
        absent_for: None,
    }
}

fn found(findings: Vec<Finding>) -> Exceptional {
    Exceptional {
        severity: findings.iter().map(|finding| finding.severity).max().unwrap(),
        findings,
        fingerprint: "mask".into(),
        title: "t".into(),
        template: "t".into(),
        unknown_mask: None,
        text: "t".into(),
        first_line: b"t".to_vec(),
        details: Details::default(),
        level: None,
        kind: Kind::Record,
        language: None,
        truncated: false,
        place: Place {
            offset: 0,
            end_offset: 1,
            first_line: 1,
            last_line: 1,
            line_numbers: None,
            order: 1,
        },
        line_numbers_known: true,
        before: vec![],
        after: vec![],
    }
}

fn of_rule(name: &str, ip: &str) -> Finding {
    let mut finding = Finding::new(AnalyzerKind::Rule, Level::Error);
    finding.name = Some(name.to_owned());
    finding.captures.insert("ip".to_owned(), ip.into());
    finding
}

fn of_level(severity: Level) -> Finding {
    Finding::new(AnalyzerKind::Level, severity)
}

/// Matches that the thresholds of a record's rules were reached with; none: nothing was.
fn reached(windows: &mut Windows, ip: &str, at_s: i64) -> Vec<u64> {
    match windows.judge(found(vec![of_rule("r", ip)]), at_s * 1000) {
        Judged::Below => Vec::new(),
        Judged::Plain(_) => panic!("it is of a rule with a threshold"),
        Judged::Reached { alerts, .. } => alerts.iter().map(|reached| reached.matches).collect(),
    }
}

#[test]
fn a_match_is_a_finding_from_the_one_on_that_reaches_the_threshold() {
    let mut windows = Windows::new(&[rule("r", 3, 60, None)], "h", []);
    assert_eq!(reached(&mut windows, "a", 100), [0u64; 0]);
    assert_eq!(reached(&mut windows, "a", 120), [0u64; 0]);
    assert_eq!(reached(&mut windows, "a", 159), [3]);
    assert_eq!(
        reached(&mut windows, "a", 160),
        [3],
        "the first is 60 s ago and has left the window"
    );
    assert_eq!(reached(&mut windows, "a", 221), [0u64; 0], "all others have left it");
}

#[test]
fn values_are_counted_each_for_itself_and_known_by_fingerprints_of_their_own() {
    let mut windows = Windows::new(&[rule("r", 2, 60, Some("ip"))], "h", []);
    assert_eq!(reached(&mut windows, "10.0.0.1", 1), [0u64; 0]);
    assert_eq!(reached(&mut windows, "10.0.0.2", 2), [0u64; 0]);
    let mut fingerprint = |ip| match windows.judge(found(vec![of_rule("r", ip)]), 3000) {
        Judged::Reached { alerts, whole, plain } => {
            assert!(plain.is_none());
            assert_eq!(whole.fingerprint, alerts[0].found.fingerprint);
            assert_eq!(alerts[0].since.as_second(), if ip.ends_with('1') { 1 } else { 2 });
            whole.fingerprint
        }
        other => panic!("{other:?}"),
    };
    assert_ne!(fingerprint("10.0.0.1"), fingerprint("10.0.0.2"));
}

#[test]
fn what_others_found_in_the_record_is_told_whatever_the_threshold() {
    let mut windows = Windows::new(&[rule("r", 2, 60, None)], "h", []);
    let record = || found(vec![of_level(Level::Warn), of_rule("r", "a")]);
    match windows.judge(record(), 0) {
        Judged::Plain(found) => assert_eq!((found.severity, found.findings.len()), (Level::Warn, 1)),
        other => panic!("{other:?}"),
    }
    match windows.judge(record(), 1) {
        Judged::Reached { whole, plain, alerts } => {
            assert_eq!((whole.severity, whole.findings.len()), (Level::Error, 2));
            assert_eq!((&*whole.fingerprint, &*plain.unwrap().fingerprint), ("mask", "mask"));
            assert_eq!((alerts.len(), alerts[0].found.findings.len()), (1, 1));
            assert_ne!(alerts[0].found.fingerprint, "mask");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_restart_goes_on_counting() {
    let rules = [rule("r", 3, 60, None), rule("gone", 2, 60, None)];
    let mut windows = Windows::new(&rules, "h", []);
    reached(&mut windows, "a", 1);
    reached(&mut windows, "a", 2);
    windows.judge(found(vec![of_rule("gone", "a")]), 0);
    let stored = windows.take_changes().changed;
    assert_eq!(stored.len(), 2);
    let stored = stored
        .into_iter()
        .map(|(key, window)| (key, Window::of_steps(&window.to_steps())));
    let mut windows = Windows::new(&rules[..1], "h", stored);
    assert_eq!(reached(&mut windows, "a", 3), [3]);
    let forgotten = windows.take_changes().forgotten;
    assert_eq!(forgotten.iter().map(|key| &*key.rule).collect::<Vec<_>>(), ["gone"]);
}

#[test]
fn values_are_bounded_and_what_is_forgotten_is_counted() {
    let mut windows = Windows::new(&[rule("r", 2, 60, Some("ip"))], "h", []);
    reached(&mut windows, "first", 0);
    for n in 0..VALUES_MAX {
        reached(&mut windows, &n.to_string(), 1);
    }
    assert_eq!(windows.take_evicted(), 1);
    assert_eq!(windows.take_changes().changed.len(), VALUES_MAX);
    assert_eq!(reached(&mut windows, "first", 2), [0u64; 0], "it begins anew");
    assert_eq!(reached(&mut windows, &(VALUES_MAX - 1).to_string(), 2), [2]);
}

#[test]
fn a_changed_value_of_a_failed_commit_is_written_by_the_next_one() {
    let mut windows = Windows::new(&[rule("r", 2, 60, None)], "h", []);
    reached(&mut windows, "a", 1);
    let changes = windows.take_changes();
    assert!(windows.take_changes().changed.is_empty());
    windows.put_back(changes);
    assert_eq!(windows.take_changes().changed.len(), 1);
}

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn ticks(stamps: &[Option<i64>], arrival: i64) -> Vec<i64> {
    let mut clock = FileClock::default();
    let tick = |stamp: &Option<i64>| clock.tick(stamp.map(at), at(arrival)) / 1000 - 1_795_000_000;
    stamps.iter().map(tick).collect()
}

#[test]
fn a_file_s_time_is_its_records_own_and_never_goes_back() {
    assert_eq!(ticks(&[Some(10), Some(20), Some(15), Some(30)], 9000), [10, 20, 20, 30]);
    assert_eq!(ticks(&[None, Some(10)], 40), [40, 40], "without a stamp the arrival");
    assert_eq!(
        ticks(&[Some(9000)], 100),
        [100],
        "a stamp of the future is not believed"
    );
}

#[test]
fn a_log_whose_clock_is_set_back_keeps_the_distances_of_its_records() {
    // The end of summer time: an hour comes twice. At one instant they would be a burst that never was.
    let stamps = [Some(7000), Some(7100), Some(3510), Some(3610), Some(3710), Some(7110)];
    assert_eq!(ticks(&stamps, 9000), [7000, 7100, 7100, 7200, 7300, 10_700]);
}
