//! Rotation, truncation, deletion, links, copies and archives, while we look.

use super::bench::{Bench, Options};
use std::fs;
use std::io::Write;
use std::time::Duration;

pub fn gzip(bench: &Bench, name: &str) {
    let content = fs::read(bench.path(name)).unwrap();
    let archive = fs::File::create(bench.path(&format!("{name}.gz"))).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(archive, flate2::Compression::fast());
    encoder.write_all(&content).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(bench.path(name)).unwrap();
}

fn numbered(from: usize, to: usize) -> String {
    (from..=to).map(|number| format!("line {number}\n")).collect()
}

#[test]
fn rotated_file_is_read_to_its_end_before_the_new_one() {
    for glob in ["*.log", "*.log*"] {
        let mut bench = Bench::new(glob);
        bench.start();
        bench.append("a.log", "1\n");
        bench.expect(&["1"]);
        bench.append("a.log", "2\n");
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        bench.append("a.log", "3\n");
        bench.expect(&["1", "2", "3"]);
        // Its writer does not know yet.
        bench.append("a.log.1", "late\n");
        bench.expect(&["1", "2", "3", "late"]);
    }
}

#[test]
fn unfinished_last_line_of_a_rotated_file_is_handed_on_when_nobody_goes_on_with_it() {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", "1\nno newline");
    bench.start();
    bench.expect(&["1"]);
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "2\n");
    bench.expect(&["1", "2"]);
    bench.wait_for(|lines| (lines.last()? == "no newline").then_some(()));
}

#[test]
fn generations_that_pass_faster_than_we_look_are_all_read() {
    let mut bench = Bench::new("*.log*");
    bench.start();
    for generation in 0..5 {
        bench.append("a.log", &format!("{generation}\n"));
        for older in (1..=generation).rev() {
            fs::rename(
                bench.path(&format!("a.log.{older}")),
                bench.path(&format!("a.log.{}", older + 1)),
            )
            .unwrap();
        }
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    }
    bench.expect_in_any_order(&["0", "1", "2", "3", "4"]);
}

#[test]
fn deleted_file_is_read_to_its_end_and_let_go() {
    let mut bench = Bench::new("*.log");
    bench.start();
    bench.append("a.log", "1\n");
    bench.expect(&["1"]);
    let mut writer = fs::File::options().append(true).open(bench.path("a.log")).unwrap();
    fs::remove_file(bench.path("a.log")).unwrap();
    writer.write_all(b"2\nunfinished").unwrap();
    bench.append("a.log", "new\n");
    bench.wait_for(|lines| (lines.len() == 4).then_some(()));
    // Which of the two files comes first is nobody's promise; within the deleted one the order is.
    let mut lines = bench.lines.clone();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2", "new", "unfinished"]);
    bench.wait_for_state(|bench| bench.rows.values().any(|(.., state)| state.finished));
    let ours = format!("{} (deleted)", bench.path("a.log").display());
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let held: Vec<_> = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    // The one that is left is the writer of this test.
    assert_eq!(
        held.iter().filter(|path| path.to_string_lossy() == ours).count(),
        1,
        "{held:?}"
    );
}

#[test]
fn copy_and_truncate_loses_nothing_that_is_in_the_copy() {
    for glob in ["*.log", "*.log*"] {
        let mut bench = Bench::new(glob);
        bench.append("a.log", "1\n2\n");
        bench.start();
        bench.expect(&["1", "2"]);
        // What we have not read yet when the file is cut off stands in the copy.
        let copy = [fs::read(bench.path("a.log")).unwrap(), b"only in the copy\n".to_vec()].concat();
        fs::write(bench.path("a.log.1"), copy).unwrap();
        fs::File::create(bench.path("a.log")).unwrap();
        bench.append("a.log", "3\n");
        bench.expect_in_any_order(&["1", "2", "3", "only in the copy"]);
        bench.wait_for_state(|bench| bench.rows.values().any(|(.., state)| state.ledger.possible_losses == 1));
    }
}

#[test]
fn unread_rest_of_a_truncated_file_is_a_loss() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "1\nunfinished");
    bench.start();
    bench.expect(&["1"]);
    fs::File::create(bench.path("a.log")).unwrap();
    bench.append("a.log", "2\n");
    bench.expect(&["1", "2"]);
    bench.wait_for_state(|bench| bench.lost("truncated") > 0);
    assert_eq!(bench.lost("truncated"), "unfinished".len() as u64);
}

#[test]
fn file_filled_again_past_the_old_offset_is_read_from_its_beginning() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "1\n2\n");
    bench.start();
    bench.expect(&["1", "2"]);
    fs::write(bench.path("a.log"), "3\n4\n5\n").unwrap();
    bench.expect(&["1", "2", "3", "4", "5"]);
    fs::write(bench.path("a.log"), "6\n7\n8\n").unwrap();
    bench.expect(&["1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[test]
fn file_replaced_by_one_that_begins_alike_goes_on() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "1\n2\n");
    bench.start();
    bench.expect(&["1", "2"]);
    bench.append("tmp", "1\n2\n3\n");
    fs::rename(bench.path("tmp"), bench.path("a.log")).unwrap();
    bench.expect(&["1", "2", "3"]);
    bench.append("tmp", "other\n");
    fs::rename(bench.path("tmp"), bench.path("a.log")).unwrap();
    bench.expect(&["1", "2", "3", "other"]);
}

#[test]
fn next_generation_that_begins_alike_is_read_whole() {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", "#Version: 1.0\n1\n");
    bench.start();
    bench.expect(&["#Version: 1.0", "1"]);
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "#Version: 1.0\n");
    bench.expect(&["#Version: 1.0", "1", "#Version: 1.0"]);
}

#[test]
fn link_that_is_switched_leads_on() {
    let mut bench = Bench::new("*.log");
    bench.append("pod/0", "1\n");
    std::os::unix::fs::symlink("pod/0", bench.path("a.log")).unwrap();
    bench.start();
    bench.expect(&["1"]);
    bench.append("pod/0", "2\n");
    std::os::unix::fs::symlink("pod/1", bench.path("new")).unwrap();
    fs::rename(bench.path("new"), bench.path("a.log")).unwrap();
    bench.expect(&["1", "2"]);
    // The target comes later than the link.
    bench.append("pod/1", "3\n");
    bench.expect(&["1", "2", "3"]);
    bench.append("pod/1", "4\n");
    bench.expect(&["1", "2", "3", "4"]);
}

#[test]
fn archive_of_what_was_read_is_not_read_again() {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &numbered(1, 500));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 500).then_some(()));
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    gzip(&bench, "a.log.1");
    bench.append("a.log", "next\n");
    bench.wait_for(|lines| (lines.len() == 501).then_some(()));
    bench.wait_for_state(|bench| bench.skipped("archive_known") > 0);
    bench.stop();
    bench.start();
    bench.expect_nothing_for(Duration::from_secs(3));
}

#[test]
fn archive_of_what_was_never_seen_is_read() {
    let mut bench = Bench::new("*.log*");
    bench.append("a.log.1", &numbered(1, 500));
    gzip(&bench, "a.log.1");
    bench.start();
    bench.wait_for(|lines| (lines.len() == 500).then_some(()));
    bench.stop();
    bench.start();
    bench.expect_nothing_for(Duration::from_secs(3));
}

#[test]
fn copy_made_by_hand_is_not_read_again() {
    let mut bench = Bench::with("*.log*", Options::default());
    bench.append("a.log", &numbered(1, 50));
    bench.start();
    bench.wait_for(|lines| (lines.len() == 50).then_some(()));
    fs::copy(bench.path("a.log"), bench.path("a.log.bak")).unwrap();
    bench.expect_nothing_for(Duration::from_secs(3));
    bench.append("a.log", "more\n");
    bench.wait_for(|lines| (lines.len() == 51).then_some(()));
}

/// What is written between copy and truncation is in no copy; who has read it must still know the copy.
#[test]
fn copy_that_is_shorter_than_what_was_read_is_not_read_again() {
    let first: Vec<String> = (0..400).map(|n| format!("line {n} of many")).collect();
    let mut expected: Vec<&str> = first.iter().map(String::as_str).collect();
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &(first.join("\n") + "\n"));
    bench.start();
    bench.expect(&expected);
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "within the gap\n");
    expected.push("within the gap");
    bench.expect(&expected);
    fs::write(bench.path("a.log"), "next\n").unwrap();
    expected.push("next");
    bench.expect(&expected);
    bench.expect_nothing_for(Duration::from_secs(3));
}

#[test]
fn copy_that_is_shorter_than_what_was_read_is_known_also_after_a_restart() {
    let first: Vec<String> = (0..400).map(|n| format!("line {n} of many")).collect();
    let mut expected: Vec<&str> = first.iter().map(String::as_str).collect();
    expected.push("within the gap");
    let mut bench = Bench::new("*.log*");
    bench.append("a.log", &(first.join("\n") + "\n"));
    let text = fs::read(bench.path("a.log")).unwrap();
    bench.append("a.log", "within the gap\n");
    bench.start();
    bench.expect(&expected);
    bench.stop();
    fs::write(bench.path("a.log.1"), text).unwrap();
    fs::write(bench.path("a.log"), "next\n").unwrap();
    expected.push("next");
    bench.start();
    bench.expect(&expected);
    bench.expect_nothing_for(Duration::from_secs(3));
}

/// What was copied is called after its original also when that has moved on before the copy is judged.
#[test]
fn short_copy_is_known_though_its_original_is_renamed_right_after_it_was_truncated() {
    for restarted in [false, true] {
        let lines: Vec<String> = (0..16).map(|n| format!("line {n} of what was written")).collect();
        let mut expected: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut bench = Bench::new("*.log*");
        bench.start();
        bench.append("a.log", &(lines[..12].join("\n") + "\n"));
        bench.expect(&expected[..12]);
        let text = lines.join("\n") + "\n";
        bench.append("a.log", &(lines[12..].join("\n") + "\nwithin the gap\n"));
        expected.push("within the gap");
        bench.expect(&expected);
        fs::write(bench.path("a.log.1"), text).unwrap();
        fs::write(bench.path("a.log"), "next\n").unwrap();
        expected.push("next");
        bench.expect(&expected);
        fs::rename(bench.path("a.log.1"), bench.path("a.log.2")).unwrap();
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        if restarted {
            bench.stop();
            bench.start();
        }
        bench.append("a.log", "last\n");
        expected.push("last");
        bench.expect(&expected);
        bench.expect_nothing_for(Duration::from_secs(3));
    }
}

#[test]
fn generations_that_pass_faster_than_we_look_are_all_read_also_if_no_glob_names_them() {
    let mut bench = Bench::new("a.log");
    bench.start();
    let mut expected = Vec::new();
    for round in 0..2 {
        for line in 0..6 {
            for generation in (1..12).rev() {
                // Those that are not there yet cannot be renamed.
                let name = |number: usize| bench.path(&format!("a.log.{number}"));
                fs::rename(name(generation), name(generation + 1)).ok();
            }
            if line + round > 0 {
                fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
            }
            bench.append("a.log", &format!("line {round}{line}\n"));
            expected.push(format!("line {round}{line}"));
        }
        let lines: Vec<&str> = expected.iter().map(String::as_str).collect();
        bench.expect_in_any_order(&lines);
    }
    // Neither are copies of what was read, nor what else is called so.
    fs::copy(bench.path("a.log"), bench.path("a.log.0")).unwrap();
    bench.append("a.log.tmp", "never\n");
    bench.expect_nothing_for(Duration::from_secs(3));
}

#[test]
fn tar_archive_is_no_log() {
    let mut bench = Bench::new("*.log*");
    let mut tar = vec![0u8; 1024];
    tar[..5].copy_from_slice(b"a.log");
    tar[257..262].copy_from_slice(b"ustar");
    tar.extend(b"never\n");
    fs::write(bench.path("a.log.tar"), tar).unwrap();
    gzip(&bench, "a.log.tar");
    bench.append("b.log", "1\n");
    bench.start();
    bench.expect(&["1"]);
    bench.expect_nothing_for(Duration::from_secs(3));
}
