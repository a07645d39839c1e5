//! Compressed generations: each line once, whatever its archive is called and whatever inode it got.

use super::bench::Bench;
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

/// Writes the archive under a passing name first, as careful rotation programs do; its own name comes at the end.
fn gzip_slowly(bench: &mut Bench, name: &str) {
    gzip(bench, name);
    let (whole, passing) = (bench.path(&format!("{name}.gz")), bench.path(&format!("{name}.tmp")));
    fs::rename(&whole, &passing).unwrap();
    bench.settle();
    fs::rename(&passing, &whole).unwrap();
}

#[test]
fn archive_that_is_written_under_a_passing_name_is_known_by_its_content() {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &text(&lines(1, 300)));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 300).then_some(()));
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
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &text(&lines(1, 300)));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 300).then_some(()));
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
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &text(&lines(1, 300)));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 300).then_some(()));
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
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &text(&lines(1, 300)));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 300).then_some(()));
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
