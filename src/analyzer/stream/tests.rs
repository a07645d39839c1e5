use super::*;
use crate::collector::lines::Newline;
use proptest::prelude::*;

/// A log with traces, levels, blank lines and lines without anything.
const LINES: &[&str] = &[
    "2026-11-23 06:00:00,000 INFO  [main] Shop - order placed",
    "2026-11-23 06:00:01,000 ERROR [main] Shop - checkout failed",
    "java.lang.IllegalStateException: pool exhausted",
    "\tat com.example.shop.Pool.take(Pool.java:41)",
    "\tat com.example.shop.Checkout.run(Checkout.java:17)",
    "Caused by: java.net.SocketTimeoutException: connect timed out",
    "\t... 12 more",
    "",
    "Traceback (most recent call last):",
    "  File \"/srv/app/worker.py\", line 7, in run",
    "    handle(job)",
    "ValueError: bad job",
    "plain words",
    "panic: runtime error: index out of range [3] with length 3",
    "goroutine 1 [running]:",
    "main.main()",
    "\t/srv/gw/main.go:12 +0x1d",
];

fn analyzers() -> Arc<Analyzers> {
    let settings = Settings {
        alert_at: Some(Level::Warn),
        ..Settings::default()
    };
    Arc::new(Analyzers::new(&settings, "app", None, 2, 2))
}

fn stream(resume: &Resume) -> Stream {
    Stream::new(analyzers(), record::Settings::default(), resume)
}

fn run(bytes: &[u8], offset: u64) -> Run<'_> {
    Run {
        offset,
        bytes,
        newline: Newline::Byte,
        end_offset: offset + bytes.len() as u64,
        cut: false,
    }
}

/// What is said of a record, so far as it may not depend on chunking or restarts.
type Said = (u64, u64, String, String);

fn said(seen: Seen<'_>, to: &mut Vec<Said>) {
    if let Seen::Exceptional(found) = seen {
        to.push((
            found.place.offset,
            found.place.first_line,
            found.fingerprint,
            found.text,
        ));
    }
}

fn feed(stream: &mut Stream, bytes: &[u8], offset: u64, to: &mut Vec<Said>) {
    stream.feed(run(bytes, offset), 0, jiff::Timestamp::UNIX_EPOCH, &mut |seen| {
        said(seen, to)
    });
}

fn whole(log: &[u8]) -> Vec<Said> {
    let mut found = Vec::new();
    let mut stream = stream(&Resume::default());
    feed(&mut stream, log, 0, &mut found);
    stream.close_all(&mut |seen| said(seen, &mut found));
    found
}

proptest! {
    /// A kill at any committed point: the next life reads again from `resume`, and says exactly what was not said.
    #[test]
    fn restarts_at_any_line_lose_nothing_and_repeat_nothing(
        picks in prop::collection::vec(0..LINES.len(), 1..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        waits in any::<bool>(),
    ) {
        let lines: Vec<String> = picks.iter().map(|&n| format!("{}\n", LINES[n])).collect();
        let log = lines.concat().into_bytes();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| lines[..cut.index(lines.len())].concat().len()).collect();
        ends.sort_unstable();
        ends.push(log.len());
        let wait = Duration::from_secs(if waits { 1 } else { 0 });
        let (mut found, mut resume) = (Vec::new(), Resume { line: Some(1), ..Resume::default() });
        for end in ends {
            let start = usize::try_from(resume.offset).unwrap();
            let mut life = stream(&resume).waiting_for_context(wait);
            feed(&mut life, &log[start..end.max(start)], resume.offset, &mut found);
            resume = life.resume();
        }
        let mut life = stream(&resume).waiting_for_context(wait);
        let start = usize::try_from(resume.offset).unwrap();
        feed(&mut life, &log[start..], resume.offset, &mut found);
        life.close_all(&mut |seen| said(seen, &mut found));
        found.sort();
        let mut expected = whole(&log);
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

/// Found by killing the program between the checkpoint that it writes when it starts and the first chunk.
#[test]
fn a_life_that_ends_before_it_reads_anything_forgets_no_open_record() {
    let log = b"INFO paid\nERROR refused\n";
    let (mut found, mut first_life) = (Vec::new(), stream(&Resume::default()));
    feed(&mut first_life, log, 0, &mut found);
    let resume = first_life.resume();
    assert_eq!(
        (resume.offset, resume.committed_to, &found[..]),
        (10, 24, &[][..]),
        "the error is still open"
    );
    let resume = stream(&resume).resume();
    let mut third_life = stream(&resume);
    feed(&mut third_life, &log[10..], 10, &mut found);
    third_life.close_all(&mut |seen| said(seen, &mut found));
    assert_eq!(found, whole(log));
}

#[test]
fn a_record_is_told_with_the_lines_around_it_also_across_chunks() {
    let log = b"one\ntwo\nthree\n2026-11-23 06:00:01,000 ERROR broken\n2026-11-23 06:00:02,000 INFO four\n2026-11-23 06:00:03,000 INFO five\n";
    for border in [0, 4, 8, 14] {
        let mut contexts = Vec::new();
        let mut stream = stream(&Resume::default());
        for (bytes, offset) in [(&log[..border], 0), (&log[border..], border as u64)] {
            stream.feed(run(bytes, offset), 0, jiff::Timestamp::UNIX_EPOCH, &mut |seen| {
                if let Seen::Exceptional(found) = seen {
                    contexts.push((found.before, found.after));
                }
            });
        }
        let after = vec![
            "2026-11-23 06:00:02,000 INFO four".to_string(),
            "2026-11-23 06:00:03,000 INFO five".to_string(),
        ];
        assert_eq!(
            contexts,
            [(vec!["two".to_string(), "three".to_string()], after)],
            "border at {border}"
        );
    }
}

/// Offsets, line numbers and rules that are said of a log whose every line is a record, with rules alone.
fn said_by_rules(log: &[u8], chunk_bytes: usize, wants_all: bool) -> Vec<(u64, u64, String)> {
    let rule = |name: &str, pattern: &str| crate::analyzer::Rule {
        name: name.into(),
        pattern: regex::bytes::RegexBuilder::new(pattern)
            .multi_line(true)
            .build()
            .unwrap(),
        severity: Level::Error,
        overrides: false,
        sources: Vec::new(),
        fields: Vec::new(),
        threshold: None,
        absent_for: None,
    };
    let settings = Settings {
        rules: vec![rule("failed", "failed$"), rule("number", r"length \d+")],
        ..Settings::default()
    };
    let analyzers = Analyzers::new(&settings, "app", None, 2, 2).wanting_all(wants_all);
    let record = record::Settings {
        multiline: record::Multiline::Off,
        ..record::Settings::default()
    };
    let mut stream = Stream::new(
        Arc::new(analyzers),
        record,
        &Resume {
            line: Some(1),
            ..Resume::default()
        },
    );
    let (mut found, mut records, mut at) = (Vec::new(), 0, 0);
    let mut see = |seen: Seen<'_>| match seen {
        Seen::Exceptional(kept) => {
            records += 1;
            let name = kept.findings[0].name.clone().unwrap();
            found.push((kept.place.offset, kept.place.first_line, name));
        }
        Seen::Unremarkable { .. } | Seen::Unfamiliar(_) => records += 1,
        Seen::Skipped(skipped) => {
            assert!(!wants_all);
            records += skipped;
        }
    };
    while at < log.len() {
        let end = memchr::memchr(b'\n', &log[(at + chunk_bytes).min(log.len())..]);
        let end = end.map_or(log.len(), |end| at + chunk_bytes + end + 1);
        stream.feed(run(&log[at..end], at as u64), 0, jiff::Timestamp::UNIX_EPOCH, &mut see);
        at = end;
    }
    stream.close_all(&mut see);
    assert_eq!(records, LINES.len() as u64 * 400, "each line is counted");
    found
}

#[test]
fn lines_that_no_rule_can_match_are_left_out_and_nothing_else() {
    let log = format!("{}\n", LINES.join("\n")).repeat(400);
    let log = log.trim_end().as_bytes();
    let expected = said_by_rules(log, 8 * 1024, true);
    assert_eq!(expected.len(), 2 * 400);
    for chunk_bytes in [1024, 8 * 1024, 256 * 1024] {
        assert_eq!(said_by_rules(log, chunk_bytes, false), expected, "{chunk_bytes}");
    }
}

/// Offsets of what was found, with the lines after each.
fn afters(stream: &mut Stream, drive: impl FnOnce(&mut Stream, &mut dyn FnMut(Seen<'_>))) -> Vec<(u64, Vec<String>)> {
    let mut found = Vec::new();
    drive(stream, &mut |seen| {
        if let Seen::Exceptional(exceptional) = seen {
            found.push((exceptional.place.offset, exceptional.after));
        }
    });
    found
}

const BROKEN: &[u8] = b"2026-11-23 06:00:01,000 ERROR broken\n2026-11-23 06:00:02,000 INFO one\n";

#[test]
fn a_finding_waits_for_the_lines_after_it_and_no_longer_than_asked() {
    let mut stream = stream(&Resume::default()).waiting_for_context(Duration::from_millis(500));
    let fed = afters(&mut stream, |stream, sink| {
        stream.feed(run(BROKEN, 0), 100, jiff::Timestamp::UNIX_EPOCH, sink)
    });
    assert_eq!(fed, []);
    assert_eq!(stream.next_close_ms(), Some(600));
    let open = stream.resume();
    assert_eq!((open.offset, open.open_starts[0]), (0, 0), "a kill has it read again");
    let more = b"2026-11-23 06:00:03,000 INFO two\n2026-11-23 06:00:04,000 INFO three\n";
    let more = run(more, BROKEN.len() as u64);
    let fed = afters(&mut stream, |stream, sink| {
        stream.feed(more, 200, jiff::Timestamp::UNIX_EPOCH, sink)
    });
    let lines = ["2026-11-23 06:00:02,000 INFO one", "2026-11-23 06:00:03,000 INFO two"];
    assert_eq!(fed, [(0, lines.map(str::to_owned).to_vec())]);
}

#[test]
fn what_never_comes_is_not_waited_for_for_ever_and_fatal_ones_do_not_wait() {
    let mut one = stream(&Resume::default()).waiting_for_context(Duration::from_millis(500));
    afters(&mut one, |stream, sink| {
        stream.feed(run(BROKEN, 0), 100, jiff::Timestamp::UNIX_EPOCH, sink)
    });
    assert_eq!(afters(&mut one, |stream, sink| stream.close_silent(599, sink)), []);
    let given_up = afters(&mut one, |stream, sink| stream.close_silent(600, sink));
    assert_eq!(given_up, [(0, vec!["2026-11-23 06:00:02,000 INFO one".to_owned()])]);
    let fatal = BROKEN.to_vec();
    let fatal = String::from_utf8(fatal).unwrap().replace("ERROR", "FATAL");
    let mut other = stream(&Resume::default()).waiting_for_context(Duration::from_millis(500));
    let at_once = afters(&mut other, |stream, sink| {
        stream.feed(run(fatal.as_bytes(), 0), 100, jiff::Timestamp::UNIX_EPOCH, sink);
    });
    assert_eq!(at_once.len(), 1);
}

#[test]
fn the_last_line_of_a_log_is_told_with_what_stands_before_it() {
    let mut stream = stream(&Resume::default());
    let mut befores = Vec::new();
    let mut see = |seen: Seen<'_>| {
        if let Seen::Exceptional(found) = seen {
            befores.push(found.before);
        }
    };
    let log = b"2026-11-23 06:00:00,000 INFO one\n2026-11-23 06:00:01,000 ERROR broken\n";
    stream.feed(run(log, 0), 0, jiff::Timestamp::UNIX_EPOCH, &mut see);
    stream.close_silent(5000, &mut see);
    assert_eq!(befores, [vec!["2026-11-23 06:00:00,000 INFO one".to_owned()]]);
}
