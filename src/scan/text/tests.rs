use super::super::report::tests::alert;
use super::*;

fn totals() -> Totals {
    Totals {
        files: 2,
        lines: 1500,
        bytes: 150_000,
        seconds: 0.05,
        ..Totals::default()
    }
}

fn text(report: &Report, terminal: Terminal) -> String {
    let mut out = Vec::new();
    write(&mut out, report, &totals(), &jiff::tz::TimeZone::UTC, terminal).unwrap();
    String::from_utf8(out).unwrap()
}

fn narrow() -> Terminal {
    Terminal {
        stdout_is_tty: true,
        width: 60,
        ..Terminal::none()
    }
}

#[test]
fn a_reader_sees_what_was_read_and_the_groups_with_count_times_and_place() {
    let mut report = Report::default();
    for second in [0, 3600, 7200] {
        report.add(&alert(
            Level::Error,
            "0123456789abcdef",
            "ERROR disk full",
            second,
            "/var/log/a.log",
            17,
        ));
    }
    report.add(&alert(
        Level::Warn,
        "fedcba9876543210",
        "WARN slow",
        60,
        "/var/log/b.log",
        3,
    ));
    let text = text(&report, Terminal::none());
    for part in [
        "2 files · 1,500 lines · 146 KiB",
        "4 exceptional records in 2 groups",
        "3 error",
        "1 warn",
        "×3  ERROR disk full",
        "00:00:00 – 02:00:00 · /var/log/a.log:17 · 0123456789abcdef",
        "00:01:00 · /var/log/b.log:3",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(text.find("disk full") < text.find("WARN slow"), "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn nothing_exceptional_is_said_kindly() {
    let text = text(&Report::default(), Terminal::none());
    assert!(text.contains("Nothing exceptional"), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal_and_nothing_of_a_log_controls_it() {
    let mut report = Report::default();
    let hostile = format!(
        "ERROR \x1b[2J\x1b]0;title\x07\u{202e} {}\nnext {}",
        "漢".repeat(90),
        "x".repeat(300)
    );
    report.add(&alert(Level::Fatal, "f", &hostile, 5, "/var/log/\x1b[31mred.log", 1));
    report.add(&alert(Level::Fatal, "f", &hostile, 5000, "/var/log/b.log", 1));
    let text = text(&report, narrow());
    for line in text.lines() {
        assert!(columns_of(line) <= 60, "{} columns: {line}", columns_of(line));
    }
    assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
}

#[test]
fn colours_are_put_on_only_where_they_are_wanted() {
    let mut report = Report::default();
    report.add(&alert(Level::Error, "f", "ERROR x", 5, "a.log", 1));
    let coloured = text(
        &report,
        Terminal {
            colour: true,
            ..narrow()
        },
    );
    assert!(coloured.contains("\x1b[1;97;41m ERROR \x1b[0m"), "{coloured:?}");
}

#[test]
fn a_long_trace_keeps_its_beginning_and_its_causes() {
    let frames = |n: usize| (0..n).map(|n| format!("\tat com.example.A.m{n}(A.java:{n})"));
    let mut lines = vec![
        "12:00 ERROR failed".to_owned(),
        "java.lang.IllegalStateException: outer".to_owned(),
    ];
    lines.extend(frames(20));
    lines.push("Caused by: java.io.IOException: inner".to_owned());
    lines.extend(frames(5));
    lines.push("\t... 12 more".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let pieces = fold(&lines, 9);
    assert_eq!(
        pieces[..2],
        [
            Piece::Line("12:00 ERROR failed"),
            Piece::Line("java.lang.IllegalStateException: outer")
        ]
    );
    assert!(
        pieces.contains(&Piece::Line("Caused by: java.io.IOException: inner")),
        "{pieces:?}"
    );
    let shown = pieces.iter().filter(|piece| matches!(piece, Piece::Line(_))).count();
    let folded: usize = pieces
        .iter()
        .map(|piece| if let Piece::Folded(count) = piece { *count } else { 0 })
        .sum();
    assert_eq!((shown, shown + folded), (9, lines.len()));
}

#[test]
fn a_python_trace_keeps_the_line_that_names_the_exception() {
    let mut lines = vec!["Traceback (most recent call last):"];
    lines.extend(["  File \"/srv/a.py\", line 1, in f", "    g()"].repeat(8));
    lines.push("ValueError: no such thing");
    assert_eq!(fold(&lines, 9).last(), Some(&Piece::Line("ValueError: no such thing")));
    assert_eq!(fold(&lines[..10], 9).len(), 10);
}

#[test]
fn more_groups_than_anyone_reads_are_counted() {
    let mut report = Report::default();
    for n in 0..60 {
        report.add(&alert(Level::Error, &n.to_string(), "ERROR x", n, "a.log", 1));
    }
    let text = text(&report, Terminal::none());
    assert!(text.contains("… and 10 more groups (10 records)"), "{text}");
}
