use super::*;
use crate::record::Level;
use crate::scan::ScanOptions;
use std::time::Duration;

fn rule() -> Rule {
    Rule {
        name: "beat".into(),
        pattern: regex::bytes::Regex::new("").unwrap(),
        severity: Level::Error,
        overrides: false,
        sources: Vec::new(),
        fields: Vec::new(),
        threshold: None,
        absent_for: Some(Duration::from_secs(300)),
    }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + 60 * minute).unwrap()
}

/// Begin and length of the absences, in minutes.
fn absences(runs: &[(i64, i64)], span: (i64, i64)) -> Vec<(i64, i64)> {
    let mut across = Across::new(&[rule()], Novelty::new(crate::alert::novelty::Settings::default()));
    for (since, last) in runs {
        let last = Match {
            file_id: String::new(),
            source: "app".into(),
            path: "/a".into(),
            offset: 0,
            end_offset: 1,
            at: at(*last),
        };
        across.matched("beat", at(*since), last);
    }
    across.has_read("app", Span(Some((at(span.0), at(span.1)))));
    let plan = Plan::new(&ScanOptions::default(), &crate::config::defaults(), at(0)).unwrap();
    let minutes = |at: Timestamp| (at.as_second() - 1_795_000_000) / 60;
    let alerts = across.absences(&plan);
    alerts
        .iter()
        .map(|alert| (minutes(alert.first_seen) - 5, minutes(alert.last_seen)))
        .collect()
}

#[test]
fn gaps_between_matches_at_the_beginning_and_at_the_end_are_absences() {
    assert_eq!(absences(&[(0, 10), (16, 20)], (0, 20)), [(10, 16)]);
    assert_eq!(absences(&[(6, 10)], (0, 30)), [(0, 6), (10, 30)]);
    assert_eq!(absences(&[], (0, 30)), [(0, 30)]);
    assert_eq!(absences(&[(0, 10), (15, 20)], (0, 24)), [], "five minutes are allowed");
}

#[test]
fn the_order_of_files_does_not_matter() {
    let expected = [(10, 16), (30, 40)];
    let runs = [(0, 5), (5, 10), (16, 20), (20, 30), (40, 50)];
    assert_eq!(absences(&runs, (0, 50)), expected);
    let mut backwards = runs;
    backwards.reverse();
    assert_eq!(absences(&backwards, (0, 50)), expected);
    assert_eq!(
        absences(&[runs[1], runs[4], runs[0], runs[3], runs[2]], (0, 50)),
        expected
    );
}
