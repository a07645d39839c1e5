//! Compressed generations: each line once, whatever its archive is called and whatever inode it got.

use super::bench::{Bench, Options};
use super::rotation::gzip;
use std::fs;
use std::time::Duration;

/// Longer than the head that is hashed, as some programs write it at the beginning of each file.
fn banner() -> String {
    format!("{}\n", "#".repeat(3000))
}

fn lines(from: usize, to: usize) -> Vec<String> {
    (from..=to).map(|number| format!("line {number}")).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Follows a log of which so much has been read.
fn read_300_lines() -> Bench {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &text(&lines(1, 300)));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 300).then_some(()));
    bench
}

/// Writes the archive under a passing name first, as careful rotation programs do; its own name comes at the end.
fn gzip_slowly(bench: &mut Bench, name: &str) {
    gzip(bench, name);
    let (whole, passing) = (bench.path(&format!("{name}.gz")), bench.path(&format!("{name}.tmp")));
    fs::rename(&whole, &passing).unwrap();
    bench.settle();
    fs::rename(&passing, &whole).unwrap();
}

/// An archive of what was read, `a.log.1.gz`, has been looked at.
fn know_archive(bench: &mut Bench) {
    fs::copy(bench.path("a.log"), bench.path("state/a.log.1")).unwrap();
    gzip(bench, "state/a.log.1");
    fs::rename(bench.path("state/a.log.1.gz"), bench.path("a.log.1.gz")).unwrap();
    bench.wait_for_state(|bench| bench.skipped("archive_known") > 0);
}

/// As if it had been freed and given to the next file that was born.
fn give_inode_of_archive_to(bench: &Bench, name: &str, content: &[u8]) {
    let archive = fs::File::options().write(true).open(bench.path("a.log.1.gz")).unwrap();
    fs::rename(bench.path("a.log.1.gz"), bench.path("state/gone")).unwrap();
    std::io::Write::write_all(&mut &archive, content).unwrap();
    archive.set_len(content.len() as u64).unwrap();
    fs::rename(bench.path("state/gone"), bench.path(name)).unwrap();
}

#[test]
fn archive_that_is_written_under_a_passing_name_is_known_by_its_content() {
    let mut bench = read_300_lines();
    bench.stop();
    bench.append("a.log", "in the archive only\n");
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    gzip(&bench, "a.log.1");
    fs::rename(bench.path("a.log.1.gz"), bench.path("a.log.1.tmp")).unwrap();
    bench.append("a.log", "next\n");
    bench.start();
    bench.settle();
    fs::rename(bench.path("a.log.1.tmp"), bench.path("a.log.1.gz")).unwrap();
    bench.wait_for(|lines| (lines.len() == 302).then_some(()));
    assert!(bench.lines.contains(&"in the archive only".to_owned()));
    assert_eq!(bench.lost("deleted"), 0);
}

#[test]
fn archive_under_a_passing_name_of_what_is_followed_is_not_read() {
    let mut bench = read_300_lines();
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    gzip_slowly(&mut bench, "a.log.1");
    bench.expect_nothing_for(Duration::from_secs(3));
}

#[test]
fn archives_of_generations_that_begin_alike_are_told_apart() {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &(banner() + "1\n"));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 2).then_some(()));
    bench.stop();
    // Two generations pass while we are away, both of which begin as what was read.
    bench.append("a.log", "2\n");
    fs::rename(bench.path("a.log"), bench.path("a.log.2")).unwrap();
    gzip(&bench, "a.log.2");
    bench.append("a.log.1", &(banner() + "3\n"));
    gzip(&bench, "a.log.1");
    bench.append("a.log", &(banner() + "4\n"));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 7).then_some(()));
    let mut numbers: Vec<&str> = bench
        .lines
        .iter()
        .map(String::as_str)
        .filter(|line| line.len() == 1)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["1", "2", "3", "4"]);
    bench.expect_nothing_for(Duration::from_secs(3));
}

#[test]
fn archive_of_a_file_that_went_on_growing_is_not_read_besides() {
    for count in [10, 300] {
        let mut bench = Bench::new("*.log*");
        bench.append("a.log", &text(&lines(1, count)));
        bench.start();
        bench.wait_for(|lines| (lines.len() == count).then_some(()));
        fs::copy(bench.path("a.log"), bench.path("state/a.log")).unwrap();
        bench.append("a.log", &text(&lines(count + 1, count + 300)));
        bench.wait_for(|lines| (lines.len() == count + 300).then_some(()));
        gzip(&bench, "state/a.log");
        fs::rename(bench.path("state/a.log.gz"), bench.path("a.log.gz")).unwrap();
        bench.wait_for_state(|bench| bench.skipped("archive_known") > 0);
        assert_each_once(&mut bench, lines(1, count + 300));
    }
}

#[test]
fn file_that_got_the_inode_of_a_known_archive_is_read() {
    let mut bench = read_300_lines();
    know_archive(&mut bench);
    give_inode_of_archive_to(&bench, "b.log", text(&lines(301, 400)).as_bytes());
    assert_each_once(&mut bench, lines(1, 400));
}

/// While the program runs, under another name or the same one.
#[test]
fn archive_that_got_the_inode_of_a_known_one_is_read_before_the_next_start() {
    for name in ["b.log.1.gz", "a.log.1.gz"] {
        let mut bench = read_300_lines();
        know_archive(&mut bench);
        bench.append("state/b", &text(&lines(301, 600)));
        gzip(&bench, "state/b");
        give_inode_of_archive_to(&bench, name, &fs::read(bench.path("state/b.gz")).unwrap());
        assert_each_once(&mut bench, lines(1, 600));
    }
}

/// It is known by what it held, not by its own bytes.
#[test]
fn archive_that_was_read_before_a_restart_is_not_read_again_when_it_moves_up() {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log.1", &text(&lines(1, 300)));
    gzip(&bench, "a.log.1");
    bench.start();
    bench.wait_for(|lines| (lines.len() == 300).then_some(()));
    bench.wait_for_state(|bench| bench.rows.values().any(|(.., state)| state.finished));
    bench.stop();
    bench.start();
    // It has been judged by then.
    bench.expect_nothing_for(Duration::from_secs(3));
    fs::rename(bench.path("a.log.1.gz"), bench.path("a.log.2.gz")).unwrap();
    bench.expect_nothing_for(Duration::from_secs(3));
}

#[test]
fn archive_that_got_the_inode_of_an_older_one_is_read() {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log.1", &text(&lines(1, 300)));
    gzip(&bench, "a.log.1");
    bench.start();
    bench.wait_for(|lines| (lines.len() == 300).then_some(()));
    bench.wait_for_state(|bench| bench.rows.values().any(|(.., state)| state.finished));
    bench.stop();
    // As when its inode was free again: the same number, other content.
    bench.append("b", &text(&lines(301, 600)));
    gzip(&bench, "b");
    fs::copy(bench.path("b.gz"), bench.path("a.log.1.gz")).unwrap();
    bench.start();
    bench.wait_for(|lines| (lines.len() == 600).then_some(()));
}

#[test]
fn known_archive_that_got_new_content_is_read() {
    let mut bench = read_300_lines();
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    gzip(&bench, "a.log.1");
    bench.wait_for_state(|bench| bench.skipped("archive_known") > 0);
    bench.stop();
    bench.append("b", &text(&lines(301, 600)));
    gzip(&bench, "b");
    fs::copy(bench.path("b.gz"), bench.path("a.log.1.gz")).unwrap();
    bench.start();
    bench.wait_for(|lines| (lines.len() == 600).then_some(()));
}

#[test]
fn copy_made_while_older_copies_move_up_is_not_read_again() {
    let mut bench = read_300_lines();
    let mut all = 300;
    for round in 0..3 {
        for older in (1..=round).rev() {
            let name = |number: usize| bench.path(&format!("a.log.{number}"));
            fs::rename(name(older), name(older + 1)).unwrap();
        }
        fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        fs::write(bench.path("a.log"), "").unwrap();
        bench.append("a.log", &text(&lines(all + 1, all + 100)));
        all += 100;
        bench.wait_for(|lines| (lines.len() >= all).then_some(()));
    }
    bench.expect_nothing_for(Duration::from_secs(3));
    assert_eq!(bench.lines.len(), all);
}

/// A source that may read nothing for seconds: a whole archive is judged while its original waits for its turn.
fn throttled() -> Bench {
    throttled_with(usize::MAX)
}

fn throttled_with(open_max: usize) -> Bench {
    let options = Options {
        read_rate: 50_000,
        open_max,
        ..Options::default()
    };
    let mut bench = Bench::with("*.log*", options);
    bench.append("a.log", &text(&lines(1, 300)));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 300).then_some(()));
    bench.append("b.log", &format!("{}\n", "x".repeat(200_000)));
    bench.wait_for(|lines| (lines.len() == 301).then_some(()));
    bench.lines.pop();
    bench
}

fn assert_each_once(bench: &mut Bench, mut expected: Vec<String>) {
    bench.wait_for(|lines| (lines.len() >= expected.len()).then_some(()));
    bench.expect_nothing_for(Duration::from_secs(4));
    let mut lines = bench.lines.clone();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn archive_of_a_file_of_which_nothing_was_read_yet_is_not_read_besides() {
    for name in ["c.log.1", "c.log-20261130"] {
        let mut bench = throttled();
        bench.append("c.log", &text(&lines(301, 600)));
        bench.wait_for_state(|bench| bench.rows.values().any(|(path, ..)| path.ends_with("c.log")));
        fs::rename(bench.path("c.log"), bench.path(name)).unwrap();
        gzip(&bench, name);
        assert_each_once(&mut bench, lines(1, 600));
        assert_eq!(bench.lost("deleted"), 0);
    }
}

#[test]
fn archive_of_a_file_that_holds_no_newline_is_not_read_besides() {
    let mut bench = Bench::new("*.log*");
    bench.start();
    bench.append("a.log", "no newline");
    bench.wait_for_state(|bench| bench.rows.values().any(|(path, ..)| path.ends_with("a.log")));
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    gzip(&bench, "a.log.1");
    assert_each_once(&mut bench, vec!["no newline".to_owned()]);
}

#[test]
fn archive_of_a_file_that_was_deleted_unread_is_read_from_where_that_stopped() {
    for name in ["a.log", "c.log"] {
        let mut bench = throttled_with(1);
        bench.append(name, &text(&lines(301, 600)));
        bench.wait_for_state(|bench| bench.rows.values().any(|(path, ..)| path.ends_with(name)));
        // What is not open when it is deleted cannot be read any more.
        bench.append("d.log", "d\n");
        bench.wait_for_state(|bench| bench.rows.values().any(|(path, ..)| path.ends_with("d.log")));
        gzip(&bench, name);
        let mut expected = lines(1, 600);
        expected.push("d".to_owned());
        assert_each_once(&mut bench, expected);
        assert_eq!((bench.told_lost, bench.possible_losses()), (0, 0), "{name}");
    }
}

#[test]
fn archive_of_a_file_that_went_unread_while_the_program_was_off_is_no_loss() {
    let mut bench = throttled();
    bench.append("c.log", &text(&lines(301, 600)));
    bench.append("e.log", &text(&lines(601, 610)));
    let seen = |bench: &Bench, name: &str| bench.rows.values().any(|(path, ..)| path.ends_with(name));
    bench.wait_for_state(|bench| seen(bench, "c.log") && seen(bench, "e.log"));
    bench.kill();
    bench.lines.truncate(300);
    fs::rename(bench.path("c.log"), bench.path("c.log.2")).unwrap();
    gzip(&bench, "c.log.2");
    fs::remove_file(bench.path("e.log")).unwrap();
    bench.options.read_rate = 0;
    bench.start();
    assert_each_once(&mut bench, lines(1, 600));
    bench.wait_for_state(|bench| bench.lost("deleted") > 0);
    let gone = text(&lines(601, 610)).len() as u64;
    assert_eq!(bench.told_lost, gone, "what no archive holds is lost");
}

#[test]
fn archive_is_told_to_be_known_only_when_its_original_was_read() {
    let mut bench = throttled();
    // Its rest waits in the queue; with the process goes the only handle to it.
    bench.append("a.log", &text(&lines(301, 600)));
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    gzip(&bench, "a.log.1");
    bench.pump(Duration::from_secs(1));
    bench.kill();
    bench.lines.truncate(300);
    bench.start();
    assert_each_once(&mut bench, lines(1, 600));
    assert_eq!(bench.lost("deleted"), 0);
}

#[test]
fn known_archive_gives_what_of_its_original_was_not_committed() {
    let mut bench = read_300_lines();
    bench.stop();
    let before = bench.rows.clone();
    bench.append("a.log", &text(&lines(301, 600)));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 600).then_some(()));
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    gzip(&bench, "a.log.1");
    bench.wait_for_state(|bench| bench.skipped("archive_known") > 0);
    bench.kill();
    // Another analyzer committed the archive; what this one had of the original went with the process.
    bench.rows.extend(before);
    bench.lines.truncate(300);
    bench.start();
    assert_each_once(&mut bench, lines(1, 600));
    assert_eq!(bench.lost("deleted"), 0);
}
