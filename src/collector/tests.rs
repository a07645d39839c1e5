//! Each behaviour of the file system, seen from the analyzers' end of the channel.

mod archives;
mod bench;
mod descriptors;
mod random;
mod restart;
mod rotation;

use bench::{Bench, Options};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

#[test]
fn what_is_there_is_read_and_then_what_comes() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "1\n2\n");
    bench.start();
    bench.expect(&["1", "2"]);
    bench.append("a.log", "3\n");
    bench.append("new.log", "4\n");
    bench.expect(&["1", "2", "3", "4"]);
}

#[test]
fn unfinished_line_is_held_back_until_it_ends() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "1\nhalf ");
    bench.start();
    bench.expect(&["1"]);
    bench.append("a.log", "line\n");
    bench.expect(&["1", "half line"]);
}

#[test]
fn reading_from_the_end_begins_at_a_whole_line_and_new_files_at_their_beginning() {
    let mut bench = Bench::with(
        "*.log",
        Options {
            from_end: true,
            ..Options::default()
        },
    );
    bench.append("a.log", "old\nhalf ");
    bench.wait_until_older_than_now("a.log");
    bench.start();
    bench.append("a.log", "line\n");
    bench.expect(&["half line"]);
    bench.append("b.log", "born later\n");
    bench.expect(&["half line", "born later"]);
}

#[test]
fn line_written_while_the_start_still_looks_around_is_no_old_one() {
    let mut bench = Bench::with(
        "*.log",
        Options {
            from_end: true,
            ..Options::default()
        },
    );
    bench.append("a.log", "old\n");
    bench.wait_until_older_than_now("a.log");
    bench.look();
    bench.append("a.log", "new\n");
    bench.start();
    bench.expect(&["new"]);
}

#[test]
fn line_written_after_the_start_and_before_the_first_look_is_no_old_one() {
    let mut bench = Bench::with(
        "*.log",
        Options {
            from_end: true,
            ..Options::default()
        },
    );
    bench.append("a.log", "old\nolder\n");
    bench.append("b.log", "old\n");
    bench.begin("b.log");
    bench.append("a.log", "new\n");
    bench.start();
    bench.expect(&["new"]);
}

#[test]
fn file_that_nobody_wrote_to_for_long_is_skipped_up_to_its_end() {
    let old = Some(Duration::from_secs(30));
    let mut bench = Bench::with(
        "*.log",
        Options {
            ignore_older: old,
            ..Options::default()
        },
    );
    bench.append("a.log", "old\n");
    let past = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options()
        .append(true)
        .open(bench.path("a.log"))
        .unwrap()
        .set_modified(past)
        .unwrap();
    bench.start();
    bench.append("a.log", "new\n");
    bench.expect(&["new"]);
}

#[test]
fn directory_may_come_later_and_deep() {
    let mut bench = Bench::new("x/**/*.log");
    bench.start();
    bench.append("x/y/z/a.log", "1\n");
    bench.expect(&["1"]);
    bench.append("x/b.log", "2\n");
    bench.expect(&["1", "2"]);
}

#[test]
fn fifo_directory_and_our_own_state_are_not_read() {
    let mut bench = Bench::new("**/*.log");
    bench.append("state/own.log", "never\n");
    fs::create_dir(bench.path("dir.log")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, bench.path("p.log"), fifo, 0o600.into(), 0).unwrap();
    bench.start();
    bench.append("a.log", "1\n");
    bench.expect(&["1"]);
}

#[test]
fn file_of_two_names_or_two_globs_is_read_once() {
    let mut bench = Bench::new("{a,b}*.log");
    bench.options.more_globs = vec!["a*".to_owned()];
    bench.append("a.log", "1\n");
    fs::hard_link(bench.path("a.log"), bench.path("b.log")).unwrap();
    fs::create_dir(bench.path("other")).unwrap();
    fs::hard_link(bench.path("a.log"), bench.path("other/c")).unwrap();
    bench.start();
    bench.expect(&["1"]);
    // Its directory does not tell of what is written under a name elsewhere.
    bench.append("other/c", "2\n");
    bench.expect(&["1", "2"]);
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.append("b.log", "3\n");
    bench.expect(&["1", "2", "3"]);
}

#[test]
fn hole_before_the_text_is_skipped_and_counted() {
    let mut bench = Bench::new("*.log");
    fs::write(bench.path("a.log"), "").unwrap();
    bench.start();
    // A writer without O_APPEND goes on at its old offset after a truncation.
    let file = fs::File::options().write(true).open(bench.path("a.log")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"after the hole\n", 3 << 30).unwrap();
    bench.expect(&["after the hole"]);
    assert_eq!(bench.skipped("nul"), 3 << 30);
}

#[test]
fn line_of_any_length_is_cut_and_reading_goes_on_behind_it() {
    let mut bench = Bench::with(
        "*.log",
        Options {
            max_line_bytes: 100,
            ..Options::default()
        },
    );
    bench.append("a.log", &format!("1\n{}\n2\n", "x".repeat(3_000_000)));
    bench.start();
    bench.expect(&["1", &"x".repeat(100), "2"]);
    assert_eq!(bench.skipped("cut"), 3_000_000 - 100 + 1);
}

#[test]
fn small_file_does_not_wait_for_a_big_one() {
    let mut bench = Bench::new("*.log");
    bench.append("big.log", &"x\n".repeat(1_000_000));
    bench.append("small.log", "small\n");
    bench.start();
    let small = bench.wait_for(|lines| lines.iter().position(|line| line == "small"));
    assert!(small < 500_000, "after {small} lines of the big file");
}

#[test]
fn read_rate_is_kept() {
    let mut bench = Bench::with(
        "*.log",
        Options {
            read_rate: 400_000,
            ..Options::default()
        },
    );
    bench.append("a.log", &"0123456789abcdef\n".repeat(60_000));
    let begun = Instant::now();
    bench.start();
    bench.wait_for(|lines| (lines.len() == 60_000).then_some(()));
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1200), "1 MB at 400 kB/s took {took:?}");
}

#[test]
fn without_inotify_files_are_polled() {
    let mut bench = Bench::with(
        "*.log",
        Options {
            polling: true,
            ..Options::default()
        },
    );
    bench.start();
    bench.append("a.log", "1\n");
    bench.expect(&["1"]);
    fs::rename(bench.path("a.log"), bench.path("a.old")).unwrap();
    bench.append("a.old", "2\n");
    bench.append("a.log", "3\n");
    bench.expect_in_any_order(&["1", "2", "3"]);
}

#[test]
fn once_reads_to_the_end_and_returns() {
    let mut bench = Bench::with(
        "*.log",
        Options {
            once: true,
            ..Options::default()
        },
    );
    bench.append("a.log", "1\n2\n");
    bench.start();
    bench.expect_end();
    assert_eq!(bench.lines, ["1", "2"]);
    bench.append("a.log", "3\n");
    bench.start();
    bench.expect_end();
    assert_eq!(bench.lines, ["1", "2", "3"]);
}

/// In UTF-16, without a byte order mark.
fn utf16(order: fn(u16) -> [u8; 2], text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

#[test]
fn byte_order_mark_says_how_lines_end_also_after_a_restart_and_from_the_end() {
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let mut bench = Bench::new("*.log*");
        // U+0A0A and U+010A have a byte of a newline, and are none.
        bench.append_bytes("a.log", &utf16(order, "\u{feff}first \u{0a0a}\u{010a} line\nhal"));
        bench.append("b.log", "other\n");
        bench.start();
        bench.expect_in_any_order(&["first \u{0a0a}\u{010a} line", "other"]);
        bench.stop();
        bench.lines.clear();
        bench.append_bytes("a.log", &utf16(order, "f line\n"));
        bench.start();
        bench.expect(&["half line"]);
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        bench.append_bytes("a.log.1", &utf16(order, "last\n"));
        bench.append("a.log", "next\n");
        bench.expect_in_any_order(&["half line", "last", "next"]);

        let from_end = Options {
            from_end: true,
            ..Options::default()
        };
        let mut bench = Bench::with("*.log", from_end);
        bench.append_bytes("a.log", &utf16(order, "\u{feff}old\nhal"));
        bench.wait_until_older_than_now("a.log");
        bench.start();
        bench.append_bytes("a.log", &utf16(order, "f \u{0a0a} line\n"));
        bench.expect(&["half \u{0a0a} line"]);
    }
}

#[test]
fn byte_order_mark_of_a_truncated_file_is_forgotten() {
    let mut bench = Bench::new("*.log");
    bench.append_bytes("a.log", &utf16(u16::to_le_bytes, "\u{feff}wide\n"));
    bench.start();
    bench.expect(&["wide"]);
    fs::write(bench.path("a.log"), "narrow\n").unwrap();
    bench.expect(&["wide", "narrow"]);
}
