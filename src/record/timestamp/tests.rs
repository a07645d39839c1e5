use super::*;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn moment(text: &str) -> Option<(String, bool)> {
    let zone = TimeZone::fixed(jiff::tz::Offset::from_hours(8).unwrap());
    let (stamp, len) = scan(text.as_bytes())?;
    assert!(len <= text.len(), "{text}");
    let Moment { timestamp, guessed } = stamp.resolve(&zone, now())?;
    Some((timestamp.to_string(), guessed))
}

#[test]
fn forms_that_name_day_and_zone() {
    for (text, want) in [
        ("2026-11-23T06:00:01Z", "2026-11-23T06:00:01Z"),
        (
            "2026-11-23T06:00:01.123456789+02:00 x",
            "2026-11-23T04:00:01.123456789Z",
        ),
        ("2026-11-23 06:00:01,123+0200", "2026-11-23T04:00:01.123Z"),
        ("2026-11-23 06:00:01.5 -0330 x", "2026-11-23T09:30:01.5Z"),
        ("2026-11-23 06:00:01.378 UTC [26241] LOG", "2026-11-23T06:00:01.378Z"),
        ("23/Nov/2026:06:00:01 +0100] ", "2026-11-23T05:00:01Z"),
        ("Mon, 23 Nov 2026 06:00:01 GMT", "2026-11-23T06:00:01Z"),
        ("Mon Nov 23 06:00:01 CET 2026", "2026-11-23T05:00:01Z"),
        ("20261123T060001Z", "2026-11-23T06:00:01Z"),
        ("1795413601 x", "2026-11-23T06:00:01Z"),
        ("1795413601.25\tinfo", "2026-11-23T06:00:01.25Z"),
        ("1795413601123", "2026-11-23T06:00:01.123Z"),
        ("1795413601123456", "2026-11-23T06:00:01.123456Z"),
        ("2026-11-23T23:59:60Z", "2026-11-23T23:59:59Z"),
    ] {
        assert_eq!(moment(text), Some((want.to_owned(), false)), "{text}");
    }
}

#[test]
fn forms_without_a_zone_are_taken_in_the_sources_zone() {
    for text in [
        "2026-11-23 06:00:01,123 - INFO",
        "2026/11/23 06:00:01.123 [error]",
        "2026-11-23-06.00.01.123 R02",
        "26/11/23 06:00:01.123 INFO",
        "11/23/2026 6:00:01.123 AM",
        "23.11.2026 06:00:01.123",
        "23-Nov-2026 06:00:01.123 general: info",
        "23 Nov 2026 06:00:01.123 *",
        "Mon Nov 23 06:00:01.123 2026] x",
        "Nov 23, 2026 6:00:01.123 AM com.x",
        "Nov 23 2026 06:00:01.123: %SYS",
        "2026 Nov 23 06:00:01.123 switch %SYS",
        "20261123-06:00:01:123|x",
        "2026年11月23日 06:00:01.123",
        "2026-11-23 06:00:01.123 CST",
    ] {
        assert_eq!(
            moment(text),
            Some(("2026-11-22T22:00:01.123Z".to_owned(), false)),
            "{text}"
        );
    }
    assert_eq!(
        moment("261123 060001 222 INFO"),
        Some(("2026-11-22T22:00:01Z".to_owned(), false))
    );
    assert_eq!(
        moment("261123  6:00:01 [Note]"),
        Some(("2026-11-22T22:00:01Z".to_owned(), false))
    );
}

#[test]
fn a_year_that_is_not_written_is_the_latest_that_is_not_in_the_future() {
    for (text, want) in [
        ("Nov 23 18:00:00 host", "2026-11-23T10:00:00Z"),
        ("Nov 24 06:00:00 host", "2026-11-23T22:00:00Z"),
        ("Dec 28 16:49:07 host", "2025-12-28T08:49:07Z"),
        ("Nov  3 06:00:00", "2026-11-02T22:00:00Z"),
        ("Feb 29 06:00:00", "2024-02-28T22:00:00Z"),
        ("03-17 16:13:38.819  1702", "2026-03-17T08:13:38.819Z"),
        ("10.30 16:49:06]", "2026-10-30T08:49:06Z"),
        ("Nov-22 10:00:00.123 [main]", "2026-11-22T02:00:00.123Z"),
        ("19:59:00.5 [main]", "2026-11-23T11:59:00.5Z"),
        ("23:59:00 INF", "2026-11-22T15:59:00Z"),
        ("7:15PM ERR", "2026-11-23T11:15:00Z"),
    ] {
        assert_eq!(moment(text), Some((want.to_owned(), true)), "{text}");
    }
}

#[test]
fn new_year_is_near_when_the_writers_clock_is_ahead() {
    let eve: Timestamp = "2026-12-31T23:30:00Z".parse().unwrap();
    let (stamp, _) = scan(b"Jan  1 00:10:00 gw").unwrap();
    let moment = stamp.resolve(&TimeZone::UTC, eve).unwrap();
    assert_eq!(moment.timestamp.to_string(), "2027-01-01T00:10:00Z");
}

#[test]
fn what_only_looks_like_a_stamp_is_none() {
    for text in [
        "",
        "2026",
        "2026-11-23",
        "2026-13-23 06:00:00",
        "2026-11-23 25:00:00",
        "2026-02-31 06:00:00",
        "10.0.0.1 - -",
        "10:30 meeting",
        "May the force be with you",
        "Sun is shining",
        "1234567890123456789012",
        "0000000001",
        "12/34/56 78:90",
        "350766 node-109",
        "1795413601abc",
        "99:99:99",
    ] {
        assert_eq!(moment(text), None, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_scanned_without_a_panic(bytes in "\\PC{0,40}", near in "[0-9JanFeb:. /TZ+-]{0,40}") {
        let zone = TimeZone::UTC;
        for bytes in [bytes.as_bytes(), near.as_bytes()] {
            if let Some((stamp, len)) = scan(bytes) {
                assert!(len <= bytes.len());
                stamp.resolve(&zone, now());
                stamp.resolve(&zone, Timestamp::MAX);
                stamp.resolve(&zone, Timestamp::MIN);
            }
        }
    }
}
