//! More files than may be open: those that were read longest ago are closed, and opened again when something happens.

use super::bench::{Bench, Options};
use std::fs;

const FILES: usize = 8;

/// Each file holds one line, which has been read; only two are open.
fn many() -> (Bench, Vec<String>) {
    let mut bench = Bench::with(
        "*.log",
        Options {
            open_max: 2,
            ..Options::default()
        },
    );
    let mut written = Vec::new();
    for file in 0..FILES {
        bench.append(&format!("{file}.log"), &format!("first {file}\n"));
        written.push(format!("first {file}"));
    }
    bench.start();
    expect(&mut bench, &mut written);
    (bench, written)
}

fn expect(bench: &mut Bench, written: &mut [String]) {
    written.sort();
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    bench.expect_in_any_order(&written);
}

fn open_files(bench: &Bench) -> Vec<String> {
    let ours = bench.path("").to_string_lossy().into_owned();
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    let open = open.map(|path| path.to_string_lossy().into_owned());
    open.filter(|path| path.starts_with(&ours) && path.contains(".log"))
        .collect()
}

#[test]
fn file_that_was_closed_is_read_on_when_it_is_written_to() {
    let (mut bench, mut written) = many();
    for round in 0..3 {
        for file in 0..FILES {
            bench.append(&format!("{file}.log"), &format!("{round} {file}\n"));
            written.push(format!("{round} {file}"));
        }
        expect(&mut bench, &mut written);
        let open = open_files(&bench);
        assert!(open.len() <= 2, "{open:?}");
    }
}

#[test]
fn file_that_was_closed_is_finished_after_its_rename_also_outside_the_glob() {
    let (mut bench, mut written) = many();
    for file in 0..FILES {
        let (old, new) = (bench.path(&format!("{file}.log")), bench.path(&format!("{file}.old")));
        bench.append(&format!("{file}.log"), &format!("before {file}\n"));
        fs::rename(&old, &new).unwrap();
        bench.append(&format!("{file}.old"), &format!("after {file}\n"));
        bench.append(&format!("{file}.log"), &format!("next {file}\n"));
        written.extend(["before", "after", "next"].map(|when| format!("{when} {file}")));
    }
    expect(&mut bench, &mut written);
}

#[test]
fn file_that_was_closed_and_truncated_is_read_from_its_beginning() {
    let (mut bench, mut written) = many();
    for file in 0..FILES {
        fs::write(bench.path(&format!("{file}.log")), format!("anew {file}\n")).unwrap();
        written.push(format!("anew {file}"));
    }
    expect(&mut bench, &mut written);
}

#[test]
fn copy_of_a_file_that_was_closed_is_known() {
    let (mut bench, mut written) = many();
    bench.options.more_globs = vec!["*.log.1".to_owned()];
    bench.stop();
    bench.start();
    for file in 0..FILES {
        let path = bench.path(&format!("{file}.log"));
        fs::copy(&path, bench.path(&format!("{file}.log.1"))).unwrap();
    }
    bench.wait_for_state(|bench| bench.skipped("copy_known") == "first 0\n".len() as u64 * FILES as u64);
    expect(&mut bench, &mut written);
}

#[test]
fn file_that_was_closed_and_deleted_is_let_go_as_a_possible_loss() {
    let (mut bench, mut written) = many();
    for file in 0..FILES {
        fs::remove_file(bench.path(&format!("{file}.log"))).unwrap();
    }
    bench.wait_for_state(|bench| bench.rows.values().all(|(.., state)| state.finished));
    // Two were open until their end.
    assert_eq!(bench.possible_losses(), FILES as u64 - 2);
    for file in 0..FILES {
        bench.append(&format!("{file}.log"), &format!("new {file}\n"));
        written.push(format!("new {file}"));
    }
    expect(&mut bench, &mut written);
}
