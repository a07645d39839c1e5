use super::*;
use crate::record::{Kind, Level};
use encoding_rs::{GB18030, UTF_8, UTF_16LE};
use proptest::prelude::*;
use std::time::Duration;

/// What a user sees of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Got {
    lines: Vec<u64>,
    offset: u64,
    end_offset: u64,
    text: String,
    kind: Kind,
    language: Option<&'static str>,
    level: Option<Level>,
    truncated: bool,
    continuation: bool,
}

fn got(record: Record<'_>, _: &LineReader) -> Got {
    let place = record.place;
    Got {
        lines: place
            .line_numbers
            .unwrap_or_else(|| (place.first_line..=place.last_line).collect()),
        offset: place.offset,
        end_offset: place.end_offset,
        text: String::from_utf8_lossy(record.text).into_owned(),
        kind: record.kind,
        language: record.language.map(|language| language.as_str()),
        level: record.level,
        truncated: record.truncated,
        continuation: record.continuation,
    }
}

/// The records of a whole file, fed in chunks that end behind the newlines nearest to the given sizes.
fn records_of(settings: &Settings, bytes: &[u8], chunks: &[usize]) -> Vec<Got> {
    let mut assembler = Assembler::new(settings.clone(), 1, "");
    let mut all = Vec::new();
    let mut sizes = chunks.iter().cycle();
    let mut at = 0;
    while at < bytes.len() {
        let wanted = at + sizes.next().copied().unwrap_or(usize::MAX / 2).max(1);
        let end = match bytes
            .get(wanted.min(bytes.len()) - 1..)
            .and_then(|rest| memchr::memchr(b'\n', rest))
        {
            Some(len) => wanted.min(bytes.len()) + len,
            None => bytes.len(),
        };
        assembler.feed(&bytes[at..end], at as u64, false, 0, |record, reader| {
            all.push(got(record, reader))
        });
        at = end;
    }
    assembler.close_all(|record, reader| all.push(got(record, reader)));
    all
}

fn records(text: &str) -> Vec<Got> {
    let mut all = records_of(&Settings::default(), text.as_bytes(), &[]);
    all.sort_by_key(|record| record.offset);
    all
}

fn spans(records: &[Got]) -> Vec<(Vec<u64>, Option<&'static str>)> {
    records
        .iter()
        .map(|record| (record.lines.clone(), record.language))
        .collect()
}

#[test]
fn each_language_is_joined_in_all_its_shapes_and_nothing_else_is() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/traces");
    let mut languages = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder).expect("fixtures") {
        let path = entry.expect("a fixture").path();
        let Some(language) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".log"))
        else {
            continue;
        };
        languages += 1;
        let marked = std::fs::read_to_string(&path).expect("text");
        let mut want: Vec<(Vec<u64>, Option<&str>)> = Vec::new();
        let mut text = String::new();
        for (number, line) in (1..).zip(marked.lines()) {
            match line.split_at(1) {
                ("=", _) => want.push((vec![number], None)),
                ("!", _) => want.push((vec![number], Some(language))),
                ("|", _) => want.last_mut().expect("a record to go on with").0.push(number),
                (other, _) => panic!("{path:?}:{number}: mark {other:?}"),
            }
            text.push_str(&line[1..]);
            text.push('\n');
        }
        let got: Vec<_> = records(&text)
            .into_iter()
            .map(|record| (record.lines, record.language))
            .collect();
        for record in got.iter().filter(|record| !want.contains(record)) {
            wrong.push(format!("{language}: got  {:?} {:?}", record.0, record.1));
        }
        for record in want.iter().filter(|record| !got.iter().any(|own| own == *record)) {
            wrong.push(format!("{language}: want {:?} {:?}", record.0, record.1));
        }
    }
    assert!(languages >= 15, "{languages} fixtures");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_line_that_begins_a_trace_is_an_exception_by_itself() {
    for (line, starts) in [
        ("panic: out of stock", true),
        ("goroutine 77 [running]:", true),
        (
            "Exception in thread \"pool-1\" java.lang.IllegalStateException: x",
            true,
        ),
        ("thread 'worker' panicked at 'x'", true),
        ("Traceback (most recent call last):", true),
        ("goroutine 7 started", false),
        ("goroutine [running]:", false),
        ("thread 'worker' started", false),
        ("    indented", false),
        ("  File \"/srv/a.py\", line 1, in main", false),
        ("\t/srv/a.go:12 +0x1c0", false),
        ("   0: rust_begin_unwind", false),
        ("\tat com.shop.Cart.add(Cart.java:1)", false),
        ("no exception, no error: 0", false),
    ] {
        let kind = records(line)[0].kind;
        assert_eq!(kind == Kind::Exception, starts, "{line}");
    }
}

#[test]
fn interleaved_streams_are_kept_apart() {
    let mut text = String::new();
    for (out, err) in [
        ("Traceback (most recent call last):", "panic: x"),
        ("  File \"a.py\", line 1, in f", ""),
        ("    f()", "goroutine 1 [running]:"),
        ("ValueError: x", "main.main()"),
    ] {
        text.push_str(&format!("2026-03-01T10:00:00.000000001Z stdout F {out}\n"));
        text.push_str(&format!("2026-03-01T10:00:00.000000002Z stderr F {err}\n"));
    }
    let want = vec![(vec![1, 3, 5, 7], Some("python")), (vec![2, 4, 6, 8], Some("go"))];
    assert_eq!(spans(&records(&text)), want);
}

#[test]
fn a_partial_line_is_joined_before_anything_else() {
    let text = "2026-03-01T10:00:00.000000001Z stderr P pan\n2026-03-01T10:00:00.000000002Z stderr F ic: x\n2026-03-01T10:00:00.000000003Z stderr F \n2026-03-01T10:00:00.000000003Z stderr F goroutine 1 [running]:\n";
    assert_eq!(spans(&records(text)), vec![(vec![1, 2, 3, 4], Some("go"))]);
}

fn feed(assembler: &mut Assembler, text: &str, offset: u64, now_ms: u64) -> Vec<Got> {
    let mut all = Vec::new();
    assembler.feed(text.as_bytes(), offset, false, now_ms, |record, reader| {
        all.push(got(record, reader))
    });
    all
}

#[test]
fn silence_closes_a_trace_and_what_still_comes_is_its_continuation() {
    let mut assembler = Assembler::new(Settings::default(), 1, "");
    let first = "java.lang.Exception: x\n\tat a.B.c(B.java:1)\n";
    assert!(feed(&mut assembler, first, 0, 1000).is_empty());
    assert_eq!(assembler.next_close_ms(), Some(2000));
    assert_eq!(assembler.open_starts(), [0]);
    let mut closed = Vec::new();
    assembler.close_silent(1999, |record, reader| closed.push(got(record, reader)));
    assert!(closed.is_empty());
    assembler.close_silent(2000, |record, reader| closed.push(got(record, reader)));
    assert_eq!(spans(&closed), vec![(vec![1, 2], Some("java"))]);
    assert!(assembler.open_starts().is_empty());
    let more = feed(&mut assembler, "\tat a.B.d(B.java:2)\nnext\n", first.len() as u64, 3000);
    assert_eq!(spans(&more), vec![(vec![3], Some("java"))]);
    assert!(more[0].continuation);
    assert_eq!(assembler.resume_line(), 4);
}

#[test]
fn a_restart_at_the_lowest_open_start_gives_the_same_records() {
    let text =
        "Traceback (most recent call last):\nValueError: bad\njava.lang.Error: x\n\tat a.B.c(B.java:41)\nplain\n";
    let whole = records(text);
    for cut in text.match_indices('\n').map(|(at, _)| at + 1) {
        let mut assembler = Assembler::new(Settings::default(), 1, "");
        let mut all = feed(&mut assembler, &text[..cut], 0, 0);
        let starts = assembler.open_starts();
        let from = usize::try_from(starts.first().copied().unwrap_or(cut as u64)).expect("small");
        let mut again = Assembler::new(Settings::default(), assembler.resume_line(), assembler.format_name());
        let mut rest = feed(&mut again, &text[from..], from as u64, 0);
        again.close_all(|record, reader| rest.push(got(record, reader)));
        all.extend(
            rest.into_iter()
                .filter(|record| record.offset >= cut as u64 || starts.contains(&record.offset)),
        );
        assert_eq!(all, whole, "cut at {cut}");
    }
}

#[test]
fn a_record_that_is_too_long_is_cut_and_reading_goes_on() {
    let settings = Settings {
        max_record_bytes: 60,
        ..Settings::default()
    };
    let frame = "\tat a.B.c(B.java:1)\n";
    let text = format!("java.lang.Error: x\n{}next\n{}\n", frame.repeat(6), "y".repeat(200));
    let all = records_of(&settings, text.as_bytes(), &[]);
    assert!(all.iter().all(|record| record.text.len() <= 60), "{all:#?}");
    assert!(all[0].truncated && !all[0].continuation);
    assert!(all[1].continuation, "{all:#?}");
    let last = all.last().expect("a record");
    assert!(last.truncated && last.text.starts_with('y'));
    let lines: Vec<u64> = all.iter().flat_map(|record| record.lines.clone()).collect();
    assert_eq!(lines, (1..=9).collect::<Vec<_>>());
}

#[test]
fn a_head_and_its_first_frame_are_no_longer_than_a_record() {
    let settings = Settings {
        max_record_bytes: 40,
        ..Settings::default()
    };
    let text = "ERROR checkout has failed: exception\n\tat com.shop.Cart.add(Cart.java:12)\nnext\n";
    let whole = records_of(&settings, text.as_bytes(), &[]);
    assert!(whole.iter().all(|record| record.text.len() <= 40), "{whole:#?}");
    assert_eq!(whole, records_of(&settings, text.as_bytes(), &[1]));
}

#[test]
fn a_configured_start_joins_what_follows_and_off_joins_nothing() {
    let text = "stray\n[D] one\n  more\n[D] two\n\ttail\n";
    let start = regex::bytes::Regex::new(r"^\[D\]").expect("a pattern");
    let settings = Settings {
        multiline: Multiline::Start(start),
        ..Settings::default()
    };
    let lines = |settings: &Settings| {
        records_of(settings, text.as_bytes(), &[])
            .into_iter()
            .map(|record| record.lines)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&settings), vec![vec![1], vec![2, 3], vec![4, 5]]);
    let off = Settings {
        multiline: Multiline::Off,
        ..Settings::default()
    };
    assert_eq!(lines(&off), vec![vec![1], vec![2], vec![3], vec![4], vec![5]]);
}

#[test]
fn lines_are_decoded_and_offsets_stay_those_of_the_file() {
    let utf16: Vec<u8> = "\u{FEFF}错误\r\nok\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let settings = Settings {
        encodings: vec![UTF_16LE],
        ..Settings::default()
    };
    let all = records_of(&settings, &utf16, &[usize::MAX / 4]);
    let seen: Vec<_> = all
        .iter()
        .map(|record| (record.text.as_str(), record.offset, record.end_offset))
        .collect();
    assert_eq!(seen, [("错误", 0, 10), ("ok", 10, 16)]);

    let (gb, ..) = GB18030.encode("错误\n");
    let mixed = [gb.as_ref(), "错误\n".as_bytes(), b"\xff\n"].concat();
    let mut assembler = Assembler::new(
        Settings {
            encodings: vec![UTF_8, GB18030],
            ..Settings::default()
        },
        1,
        "",
    );
    let mut texts = Vec::new();
    assembler.feed(&mixed, 0, false, 0, |record, _| {
        texts.push(String::from_utf8_lossy(record.text).into_owned())
    });
    assembler.close_all(|record, _| texts.push(String::from_utf8_lossy(record.text).into_owned()));
    assert_eq!(texts, ["错误", "错误", "\u{FFFD}"]);
    assert_eq!(assembler.take_odd_counts().replaced_bytes, 1);
}

#[test]
fn the_level_is_that_of_the_announcing_line_else_error() {
    let all = records(
        "2026-03-01 10:00:00 WARN x failed\njava.io.IOException: y\n\tat a.B.c(B.java:1)\ngoroutine 7 [running]:\n",
    );
    assert_eq!(
        all.iter().map(|record| record.level).collect::<Vec<_>>(),
        [Some(Level::Warn), Some(Level::Error)]
    );
}

#[test]
fn open_streams_are_bounded() {
    let mut assembler = Assembler::new(
        Settings {
            flush_after: Duration::from_secs(3600),
            ..Settings::default()
        },
        1,
        "",
    );
    let mut all = Vec::new();
    for pod in 0..1000 {
        let line = format!("{{\"log\":\"panic: {pod}\\n\",\"stream\":\"s{pod}\",\"time\":\"2026-03-01T10:00:00Z\"}}\n");
        all.extend(feed(&mut assembler, &line, 0, pod));
    }
    assert!(assembler.open_starts().len() <= MAX_OPEN_STREAMS);
}

/// Lines that traces are made of, and lines that only look so.
const PIECES: &[&str] = &[
    "",
    " ",
    "text",
    "Error: x",
    "java.lang.Error: x",
    "\tat a.B.c(B.java:1)",
    "  at bar",
    "    at f (/a.js:1:2)",
    "Traceback (most recent call last):",
    "  File \"a\", line 1, in f",
    "    code",
    "ValueError: x",
    "During handling of the above exception, another exception occurred:",
    "panic: x",
    "goroutine 1 [running]:",
    "main.f()",
    "\t/a.go:1 +0x1",
    "==================",
    "WARNING: DATA RACE",
    "thread 'a' panicked at a.rs:1:1:",
    "stack backtrace:",
    "   0: f",
    "Caused by:",
    "Unhandled exception:",
    "#0      f (dart:core)",
    "Stack trace:",
    "#0 /a.php(1): f()",
    "[   1.000001] BUG: KASAN: x",
    "[   1.000002]  f+0x1/0x2",
    "2026-03-01 10:00:00 ERROR x",
    "2026-03-01 10:00:00 INFO x",
    "a.rb:1:in `f': x (E)",
    "\tfrom a.rb:2:in `g'",
    "** (RuntimeError) x",
    "/a.js:1",
    "  ^",
    "2026-03-01T10:00:00.000000001Z stdout F panic: x",
    "2026-03-01T10:00:00.000000001Z stderr P pan",
    "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2026-03-01T10:00:00Z\"}",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_covered_once_and_the_chunking_does_not_matter(
        picks in proptest::collection::vec(0..PIECES.len(), 0..60),
        chunks in proptest::collection::vec(1usize..200, 1..8),
        last_newline in any::<bool>(),
    ) {
        let mut text = picks.iter().map(|at| PIECES[*at]).collect::<Vec<_>>().join("\n");
        if last_newline {
            text.push('\n');
        }
        let mut whole = records_of(&Settings::default(), text.as_bytes(), &[]);
        let mut pieces = records_of(&Settings::default(), text.as_bytes(), &chunks);
        whole.sort_by_key(|record| record.offset);
        pieces.sort_by_key(|record| record.offset);
        prop_assert_eq!(&whole, &pieces);
        let mut lines: Vec<u64> = whole.iter().flat_map(|record| record.lines.clone()).collect();
        lines.sort_unstable();
        let count = text.lines().count() as u64;
        prop_assert_eq!(lines, (1..=count).collect::<Vec<_>>());
        prop_assert_eq!(whole.last().map_or(0, |record| record.end_offset.max(text.len() as u64)), text.len() as u64);
    }

    #[test]
    fn no_bytes_are_lost_whatever_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..400), chunks in proptest::collection::vec(1usize..50, 1..4)) {
        let settings = Settings { format: crate::record::Format::Plain, max_record_bytes: 50, ..Settings::default() };
        let mut all = records_of(&settings, &bytes, &chunks);
        all.sort_by_key(|record| record.offset);
        let mut at = 0;
        for record in &all {
            prop_assert_eq!(record.offset, at);
            at = record.end_offset;
        }
        prop_assert_eq!(at, bytes.len() as u64);
    }
}
