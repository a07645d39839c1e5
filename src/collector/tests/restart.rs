//! What happened while we were away.

use super::bench::{Bench, Options};
use super::rotation::gzip;
use std::fs;

fn read_and_stopped(glob: &str) -> Bench {
    let mut bench = Bench::new(glob);
    bench.append("a.log", "1\n2\n");
    bench.start();
    bench.expect(&["1", "2"]);
    bench.stop();
    bench
}

#[test]
fn reading_goes_on_where_it_was_also_within_a_line() {
    let mut bench = read_and_stopped("*.log");
    bench.append("a.log", "half ");
    bench.start();
    bench.expect(&["1", "2"]);
    bench.stop();
    bench.append("a.log", "line\n");
    bench.start();
    bench.expect(&["1", "2", "half line"]);
}

#[test]
fn file_renamed_meanwhile_is_finished_also_outside_the_glob() {
    for (glob, name) in [("*.log*", "a.log.1"), ("*.log", "a.log.1"), ("*.log", "old")] {
        let mut bench = read_and_stopped(glob);
        bench.append("a.log", "3\n");
        fs::rename(bench.path("a.log"), bench.path(name)).unwrap();
        bench.append("a.log", "4\n");
        bench.start();
        bench.expect_in_any_order(&["1", "2", "3", "4"]);
    }
}

#[test]
fn generation_that_was_born_and_renamed_meanwhile_is_read_though_no_glob_names_it() {
    let mut bench = read_and_stopped("a.log");
    bench.append("a.log", "3\n");
    let name = |generation: usize| bench.path(&format!("a.log.{generation}"));
    fs::rename(bench.path("a.log"), name(1)).unwrap();
    bench.append("a.log", "4\n");
    fs::rename(name(1), name(2)).unwrap();
    fs::rename(bench.path("a.log"), name(1)).unwrap();
    bench.append("a.log", "5\n");
    bench.start();
    bench.expect_in_any_order(&["1", "2", "3", "4", "5"]);
}

#[test]
fn older_generation_that_no_glob_names_is_not_read() {
    let mut bench = Bench::new("a.log");
    bench.append("a.log.1", "never\n");
    bench.wait_until_older_than_now("a.log.1");
    bench.append("a.log", "1\n");
    bench.start();
    bench.expect(&["1"]);
    fs::rename(bench.path("a.log.1"), bench.path("a.log.2")).unwrap();
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "2\n");
    bench.expect(&["1", "2"]);
}

#[test]
fn unread_rest_of_a_file_compressed_meanwhile_comes_from_its_archive() {
    for glob in ["*.log*", "*.log"] {
        let mut bench = read_and_stopped(glob);
        bench.append("a.log", "3\n");
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        gzip(&bench, "a.log.1");
        bench.append("a.log", "4\n");
        bench.start();
        bench.expect_in_any_order(&["1", "2", "3", "4"]);
        assert_eq!(bench.lost("deleted"), 0);
    }
}

#[test]
fn unread_rest_of_a_file_copied_and_truncated_meanwhile_comes_from_the_copy() {
    let mut bench = read_and_stopped("*.log*");
    bench.append("a.log", "3\n");
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    fs::write(bench.path("a.log"), "4\n").unwrap();
    bench.start();
    bench.expect_in_any_order(&["1", "2", "3", "4"]);
}

#[test]
fn file_truncated_meanwhile_is_read_from_its_beginning() {
    // What a source reads from does not matter to a file that it knows.
    let cases = ["3\n", "3\n4\n", "3\n4\n5\n"].map(|content| [(content, false), (content, true)]);
    for (content, from_end) in cases.into_iter().flatten() {
        let mut bench = Bench::with(
            "*.log",
            Options {
                from_end,
                ..Options::default()
            },
        );
        bench.append("a.log", "");
        bench.wait_until_older_than_now("a.log");
        bench.start();
        bench.append("a.log", "1\n2\n");
        bench.expect(&["1", "2"]);
        bench.stop();
        fs::write(bench.path("a.log"), content).unwrap();
        bench.start();
        let lines: Vec<&str> = ["1", "2"].into_iter().chain(content.lines()).collect();
        bench.expect(&lines);
        // What was written between our stop and the truncation nobody has seen.
        bench.wait_for_state(|bench| bench.possible_losses() == 1);
    }
}

#[test]
fn file_deleted_meanwhile_is_a_loss_of_what_was_seen_and_not_read() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "1\nunfinished");
    bench.start();
    bench.expect(&["1"]);
    bench.stop();
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.start();
    bench.wait_for_state(|bench| bench.rows.values().all(|(.., state)| state.finished));
    assert_eq!(bench.lost("deleted"), "unfinished".len() as u64);
    assert_eq!(bench.possible_losses(), 1);
}

#[test]
fn after_a_power_cut_a_shorter_file_is_resumed_at_its_end() {
    let mut bench = Bench::with("*.log", Options::default());
    let long = "x".repeat(1100);
    bench.append("a.log", &format!("{long}\n2\n3\n"));
    bench.start();
    bench.expect(&[&long, "2", "3"]);
    bench.stop();
    let file = fs::File::options().write(true).open(bench.path("a.log")).unwrap();
    file.set_len(1103).unwrap();
    bench.options.boot_changed = true;
    bench.append("a.log", "");
    bench.start();
    bench.append("a.log", "4\n");
    bench.expect(&[&long, "2", "3", "4"]);
    assert_eq!(bench.lost("power_cut"), 2);
}

#[test]
fn crash_before_the_commit_reads_again_what_was_not_committed() {
    let mut bench = read_and_stopped("*.log");
    bench.start();
    bench.append("a.log", "3\n");
    bench.kill();
    bench.start();
    bench.expect(&["1", "2", "3"]);
}

#[test]
fn number_of_the_device_may_change() {
    let mut bench = read_and_stopped("*.log");
    for (.., state) in bench.rows.values_mut() {
        state.identity.dev += 1;
    }
    bench.append("a.log", "3\n");
    bench.start();
    bench.expect(&["1", "2", "3"]);
}

#[test]
fn file_that_held_no_whole_line_at_first_sight_is_read_on_also_after_a_restart() {
    for begun in ["", "half "] {
        let from_end = Options {
            from_end: true,
            ..Options::default()
        };
        let mut bench = Bench::with("*.log", from_end);
        bench.append("a.log", begun);
        bench.wait_until_older_than_now("a.log");
        bench.start();
        bench.stop();
        bench.append("a.log", "line\n");
        bench.start();
        bench.expect(&[&format!("{begun}line")]);
        assert_eq!(bench.rows.len(), 1, "one file, one row: {:?}", bench.rows);
    }
}

#[test]
fn strange_archive_beside_a_vanished_file_is_not_read() {
    let mut bench = read_and_stopped("*.log");
    bench.append("a.log", "3\nunfinished");
    bench.start();
    bench.expect(&["1", "2", "3"]);
    bench.stop();
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.append("a.log.7", "nobody asked for this\n");
    gzip(&bench, "a.log.7");
    bench.start();
    bench.wait_for_state(|bench| bench.lost("deleted") > 0);
    bench.expect(&["1", "2", "3"]);
}
