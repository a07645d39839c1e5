//! What the kernel does not tell: watches or instances of inotify that ran out, a queue that overflowed, files with a
//! second name or under a mount. Lines are found all the same, and the log says which sysctl to raise.

use crate::program::{Home, Program, read_lossily};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

const USER: &[&str] = &["--user", "--map-root-user"];
const MOUNTS: &[&str] = &["--mount"];

fn home() -> Home {
    let home = Home::new();
    home.configure(
        "sources:\n  - {name: app, paths: ['{home}/logs/**/*.log'], read_from: beginning}\n\
         alerters:\n  - {name: out, send: each, file: {path: '{home}/alerts', format: raw}}\n",
    );
    home
}

fn append(path: &Path, text: &str) {
    let file = File::options().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(format!("ERROR {text}\n").as_bytes()))
        .expect("the log takes lines");
}

#[track_caller]
fn wait_for(program: &mut Program, home: &Home, text: &str) {
    let line = format!("ERROR {text}");
    program.wait_until(text, || {
        read_lossily(&home.path("alerts")).lines().any(|told| told == line)
    });
}

fn start(home: &Home, namespaces: &[&str], before: &str) -> Option<Program> {
    let program = home.start_unshared(&["run"], namespaces, before);
    let Some(mut program) = program else {
        writeln!(std::io::stderr(), "skipped: this user may not unshare {namespaces:?}").expect("stderr is open");
        return None;
    };
    program.wait_until_log("started");
    Some(program)
}

#[test]
fn without_watches_left_directories_are_polled_and_the_sysctl_is_named() {
    let home = home();
    for directory in 0..20 {
        fs::create_dir(home.path(&format!("logs/{directory}"))).expect("a new folder");
    }
    let limit = "echo 5 > /proc/sys/user/max_inotify_watches";
    let Some(mut program) = start(&home, USER, limit) else {
        return;
    };
    for directory in 0..20 {
        append(
            &home.path(&format!("logs/{directory}/a.log")),
            &format!("in {directory}"),
        );
    }
    for directory in 0..20 {
        wait_for(&mut program, &home, &format!("in {directory}"));
    }
    let said = program.stderr();
    assert_eq!(said.matches("fs.inotify.max_user_watches").count(), 1, "{said}");
}

#[test]
fn without_inotify_everything_is_polled_and_the_sysctl_is_named() {
    let home = home();
    let limit = "echo 0 > /proc/sys/user/max_inotify_instances";
    let Some(mut program) = start(&home, USER, limit) else {
        return;
    };
    append(&home.path("logs/a.log"), "first");
    wait_for(&mut program, &home, "first");
    fs::create_dir(home.path("logs/new")).expect("a new folder");
    append(&home.path("logs/new/a.log"), "in a new directory");
    wait_for(&mut program, &home, "in a new directory");
    let said = program.stderr();
    assert_eq!(said.matches("fs.inotify.max_user_instances").count(), 1, "{said}");
}

#[test]
fn what_happened_while_the_queue_overflowed_is_found() {
    let home = home();
    let mut program = home.start(&["run"]);
    program.wait_until_log("started");
    program.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", program.pid());
    program.wait_until("it stands still", || read_lossily(Path::new(&stat)).contains(") T "));
    let events: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .expect("a kernel with inotify")
        .trim()
        .parse()
        .expect("a number");
    // Of equal events in a row the kernel keeps one.
    let mut files = ["a.txt", "b.txt"].map(|name| File::create(home.path("logs").join(name)).expect("a new file"));
    for _ in 0..events {
        for file in &mut files {
            file.write_all(b"x").expect("the file takes bytes");
        }
    }
    append(&home.path("logs/a.log"), "after the overflow");
    fs::create_dir(home.path("logs/new")).expect("a new folder");
    append(&home.path("logs/new/a.log"), "in a new directory");
    program.signal(Signal::CONT);
    wait_for(&mut program, &home, "after the overflow");
    wait_for(&mut program, &home, "in a new directory");
    let said = program.stderr();
    assert_eq!(said.matches("overflowed").count(), 1, "{said}");
}

#[test]
fn mounted_file_and_directory_are_followed_when_written_to_by_their_other_names() {
    let home = home();
    append(&home.path("elsewhere.txt"), "before");
    for name in ["logs/mounted", "elsewhere"] {
        fs::create_dir(home.path(name)).expect("a new folder");
    }
    File::create(home.path("logs/a.log")).expect("a new file");
    let mounts =
        "mount --bind {home}/elsewhere.txt {home}/logs/a.log && mount --bind {home}/elsewhere {home}/logs/mounted";
    let Some(mut program) = start(&home, MOUNTS, mounts) else {
        return;
    };
    wait_for(&mut program, &home, "before");
    append(&home.path("elsewhere.txt"), "by its other name");
    wait_for(&mut program, &home, "by its other name");
    append(&home.path("elsewhere/b.log"), "in a mounted directory");
    wait_for(&mut program, &home, "in a mounted directory");
}
