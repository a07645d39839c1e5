//! `scan` from outside: what it reads, how it tells of it, and its exit statuses.

use crate::program::program_path;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const LOG: &str = "\
2026-11-23T06:00:01Z INFO started, 0 errors
2026-11-23T06:10:00Z WARN disk is 91 % full
2026-11-23T06:20:00Z ERROR writing the spool failed
2026-11-23T06:30:00Z INFO still here
2026-11-23T06:40:00Z FATAL giving up
";

fn samples() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/samples").to_owned()
}

fn scan_in(folder: &Path, arguments: &[&str], stdin: Option<&[u8]>) -> Output {
    let mut command = Command::new(program_path());
    command
        .current_dir(folder)
        .arg("scan")
        .args(arguments)
        .env_remove("ELC_CONFIG");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // Who does not read its standard input closes it early.
    pipe.write_all(stdin.unwrap_or_default()).ok();
    drop(pipe);
    child.wait_with_output().expect("the program ends")
}

fn scan(arguments: &[&str]) -> Output {
    scan_in(Path::new("."), arguments, None)
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("results are UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn objects(output: &Output) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    out(output).lines().map(parse).collect()
}

fn column<'a>(objects: &'a [Value], key: &str) -> Vec<&'a str> {
    objects
        .iter()
        .map(|object| object[key].as_str().unwrap_or("null"))
        .collect()
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a new folder");
        fs::write(path, bytes).expect("a new file");
    }
    folder
}

fn gz(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn zst(text: &str) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn the_samples_make_a_report_that_names_each_trouble_of_that_night() {
    let output = scan(&[&samples()]);
    let text = out(&output);
    assert!(output.status.success(), "{}", err(&output));
    for trouble in [
        "index out of range [3] with length 3",
        "unhandled rejection",
        "No space left on device",
        "Caused by: java.net.SocketTimeoutException",
        "lost carrier on wwan0",
        "checksum mismatch",
    ] {
        assert!(text.contains(trouble), "{trouble:?} is missing in\n{text}");
    }
    assert!(text.contains("exceptional records in"), "{text}");
    assert!(!text.contains('\x1b'), "colours in a pipe");
    assert_eq!(err(&output), "", "nobody looks: no progress");
}

#[test]
fn json_has_one_alert_a_line_in_file_order() {
    let folder = folder(&[("app.log", LOG.as_bytes())]);
    let output = scan_in(folder.path(), &["--json", "app.log"], None);
    let alerts = objects(&output);
    assert_eq!(column(&alerts, "severity"), ["warn", "error", "fatal"]);
    assert_eq!(
        column(&alerts, "timestamp"),
        ["2026-11-23T06:10:00Z", "2026-11-23T06:20:00Z", "2026-11-23T06:40:00Z"]
    );
    let lines: Vec<_> = alerts
        .iter()
        .map(|alert| alert["source"]["first_line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [2, 3, 5]);
    for alert in &alerts {
        assert_eq!(
            (&alert["schema"], &alert["status"], &alert["count"]),
            (&1.into(), &"firing".into(), &1.into())
        );
        assert_eq!(alert["source"]["path"], "app.log");
        let offset = usize::try_from(alert["source"]["offset"].as_u64().unwrap()).unwrap();
        assert!(LOG[offset..].starts_with(alert["text"].as_str().unwrap()), "{alert}");
    }
}

#[test]
fn with_all_every_record_is_printed_and_says_whether_it_is_exceptional() {
    let output = scan_in(Path::new("."), &["--all", "--json", "-"], Some(LOG.as_bytes()));
    let records = objects(&output);
    let exceptional: Vec<_> = records
        .iter()
        .map(|record| record["exceptional"].as_bool().unwrap())
        .collect();
    assert_eq!(exceptional, [false, true, true, false, true]);
    assert_eq!(column(&records, "level"), ["info", "warn", "error", "info", "fatal"]);
    for record in records.iter().filter(|record| record["exceptional"] == false) {
        assert_eq!(record["detectors"], serde_json::json!([]));
    }
}

#[test]
fn archives_directories_globs_and_links_are_read_once_each() {
    let (one, two) = (LOG.replace("spool", "first"), LOG.replace("spool", "second"));
    let folder = folder(&[
        ("logs/app.log", LOG.as_bytes()),
        ("logs/deep/app.log.1.gz", &gz(&one)),
        ("logs/app.log.2.zst", &zst(&two)),
        ("logs/picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    ]);
    std::os::unix::fs::symlink("app.log", folder.path().join("logs/current")).unwrap();
    let output = scan_in(
        folder.path(),
        &[
            "--json",
            "--min-severity",
            "error",
            "logs",
            "logs/**/*.log*",
            "logs/app.log",
        ],
        None,
    );
    let alerts = objects(&output);
    let texts: Vec<_> = alerts
        .iter()
        .filter(|alert| alert["severity"] == "error")
        .map(|alert| alert["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    for word in ["spool", "first", "second"] {
        assert!(
            texts.iter().any(|text| text.contains(word)),
            "{word} is missing in {texts:?}"
        );
    }
    assert!(err(&output).contains("1 file without text skipped"), "{}", err(&output));
    assert!(output.status.success());
}

#[test]
fn fail_on_decides_the_exit_status_by_what_is_told() {
    let folder = folder(&[("app.log", LOG.as_bytes())]);
    let status = |arguments: &[&str]| scan_in(folder.path(), arguments, None).status.code();
    assert_eq!(status(&["app.log"]), Some(0));
    assert_eq!(status(&["--fail-on", "fatal", "app.log"]), Some(3));
    assert_eq!(status(&["--fail-on", "warn", "--json", "app.log"]), Some(3));
    assert_eq!(
        status(&["--fail-on", "fatal", "--until", "2026-11-23T06:35:00Z", "app.log"]),
        Some(0)
    );
    assert_eq!(status(&["--fail-on", "silly", "app.log"]), Some(2));
}

#[test]
fn since_and_until_cut_out_a_stretch_of_time() {
    let folder = folder(&[("app.log", LOG.as_bytes())]);
    let output = scan_in(
        folder.path(),
        &[
            "--json",
            "--since",
            "2026-11-23T06:20:00Z",
            "--until",
            "2026-11-23T06:40:00Z",
            "app.log",
        ],
        None,
    );
    assert_eq!(column(&objects(&output), "severity"), ["error"]);
}

#[test]
fn a_lower_severity_that_is_asked_for_is_shown() {
    let output = scan_in(
        Path::new("."),
        &["--json", "--min-severity", "info", "-"],
        Some(LOG.as_bytes()),
    );
    assert_eq!(
        column(&objects(&output), "severity"),
        ["info", "warn", "error", "info", "fatal"]
    );
    let output = scan_in(
        Path::new("."),
        &["--json", "--min-severity", "error", "-"],
        Some(LOG.as_bytes()),
    );
    assert_eq!(column(&objects(&output), "severity"), ["error", "fatal"]);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_scanned() {
    let mut damaged = gz(&LOG.repeat(2000));
    damaged.truncate(damaged.len() / 2);
    let folder = folder(&[
        ("app.log", LOG.as_bytes()),
        ("cut.gz", &damaged),
        ("old.xz", b"\xfd7zXZ\0\0\x04"),
    ]);
    let output = scan_in(
        folder.path(),
        &["--json", "gone.log", "cut.gz", "old.xz", "*.nothing", "app.log"],
        None,
    );
    assert_eq!(output.status.code(), Some(1));
    let told = err(&output);
    for part in [
        "gone.log: no such file",
        "cut.gz: the archive ends too early",
        "old.xz: compressed with xz",
        "*.nothing: no file matches",
    ] {
        assert!(told.contains(part), "{part:?} is missing in\n{told}");
    }
    let app = objects(&output)
        .iter()
        .filter(|alert| alert["source"]["path"] == "app.log")
        .count();
    assert_eq!(app, 3);
}

#[test]
fn without_arguments_a_pipe_is_read() {
    let output = scan_in(Path::new("."), &[], Some(LOG.as_bytes()));
    assert!(
        out(&output).contains("3 exceptional records in 3 groups"),
        "{}",
        out(&output)
    );
}

#[test]
fn a_quiet_log_is_praised() {
    let output = scan_in(Path::new("."), &["-"], Some(b"2026-11-23T06:00:01Z INFO started\n"));
    assert!(out(&output).contains("Nothing exceptional"), "{}", out(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let folder = folder(&[("app.log", LOG.repeat(5000).as_bytes())]);
    let mut child = Command::new(program_path())
        .args(["scan", "--json", "app.log"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
}

#[test]
fn its_own_output_is_not_scanned() {
    // More than is held back in memory: the results lie in the folder while it is read.
    let folder = folder(&[("logs/app.log", LOG.repeat(500).as_bytes())]);
    let results = fs::File::create(folder.path().join("logs/found.log")).unwrap();
    let status = Command::new(program_path())
        .args(["scan", "--json", "logs"])
        .current_dir(folder.path())
        .stdout(results)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(
        fs::read_to_string(folder.path().join("logs/found.log"))
            .unwrap()
            .lines()
            .count(),
        1500
    );
}

#[test]
fn the_page_holds_the_groups_and_is_one_file() {
    let folder = folder(&[(
        "app.log",
        format!("{LOG}2026-11-23T06:50:00Z ERROR <script>alert(1)</script>\n").as_bytes(),
    )]);
    let output = scan_in(folder.path(), &["--html", "report.html", "app.log"], None);
    assert!(output.status.success(), "{}", err(&output));
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("writing the spool failed") && !page.contains("<script>alert"));
    for reference in ["http:", "https:", "src="] {
        let uses = page
            .match_indices(reference)
            .filter(|(at, _)| !page[*at..].starts_with("http://www.w3.org/"))
            .count();
        assert_eq!(uses, 0, "{reference}");
    }
    let output = scan_in(
        folder.path(),
        &["--html", "no/such/folder/report.html", "app.log"],
        None,
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("no/such/folder/report.html"), "{}", err(&output));
}

#[test]
fn a_page_is_written_over_a_page_and_over_nothing_else() {
    let folder = folder(&[("app.log", LOG.as_bytes())]);
    for (page, status) in [("report.html", 0), ("report.html", 0), ("app.log", 1)] {
        let output = scan_in(folder.path(), &["--html", page, "app.log"], None);
        assert_eq!(output.status.code(), Some(status), "{page}: {}", err(&output));
        if status != 0 {
            assert!(
                err(&output).contains("app.log: exists and is no page"),
                "{}",
                err(&output)
            );
        }
    }
    assert_eq!(fs::read_to_string(folder.path().join("app.log")).unwrap(), LOG);
}

#[test]
fn a_stack_trace_is_one_record() {
    let log = "\
2026-11-23T06:00:00Z ERROR request failed
java.lang.IllegalStateException: pool exhausted
\tat com.example.Pool.take(Pool.java:17)
\tat com.example.Web.handle(Web.java:3)
Caused by: java.io.IOException: refused
\tat com.example.Pool.open(Pool.java:44)
\t... 1 more
2026-11-23T06:00:01Z INFO next request
";
    let output = scan_in(Path::new("."), &["--json", "-"], Some(log.as_bytes()));
    let alerts = objects(&output);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(
        (&alerts[0]["kind"], &alerts[0]["language"]),
        (&"exception".into(), &"java".into())
    );
    assert_eq!(
        (&alerts[0]["source"]["first_line"], &alerts[0]["source"]["last_line"]),
        (&1.into(), &7.into())
    );
}

#[test]
fn the_same_findings_have_the_same_ids_on_every_run() {
    let ids = || column(&objects(&scan(&["--json", &samples()])), "id").join(" ");
    assert_eq!(ids(), ids());
}

/// Parts of a large file are read at once; a trace over the border of two is whole, and numbers of lines are true.
#[test]
fn what_is_found_in_a_large_file_does_not_depend_on_the_threads() {
    let folder = folder(&[]);
    let mut log = String::with_capacity(21 << 20);
    while log.len() < 20 << 20 {
        let n = log.len();
        log.push_str(&format!(
            "2026-11-23 06:{:02}:{:02} INFO served page {n} to customer {}\n",
            n / 60 % 60,
            n % 60,
            "x".repeat(n % 300)
        ));
        if n.is_multiple_of(41) {
            let frames = "\tat com.shop.Pool.take(Pool.java:7)\n".repeat(n % 60);
            log.push_str(&format!(
                "2026-11-23 06:00:00 ERROR pool {n}\njava.lang.IllegalStateException: {n}\n{frames}"
            ));
        }
    }
    fs::write(folder.path().join("app.log"), &log).expect("a log");
    let by = |threads: &str| {
        let mut found = objects(&scan_in(folder.path(), &["--json", "-j", threads, "app.log"], None));
        // When it was scanned.
        let alerts = found.iter_mut().filter_map(Value::as_object_mut);
        alerts.for_each(|alert| drop(alert.remove("observed_at")));
        found
    };
    let (found, many) = (by("1"), by("5"));
    for (alert, other) in found.iter().zip(&many) {
        assert_eq!(alert, other);
    }
    assert_eq!(found.len(), many.len());
    let expected = log.lines().filter(|line| line.contains(" ERROR ")).count();
    assert_eq!(found.len(), expected);
    for alert in found {
        let line = alert["source"]["first_line"].as_u64().expect("a number") as usize;
        let offset = alert["source"]["offset"].as_u64().expect("a number") as usize;
        assert_eq!(log[..offset].lines().count() + 1, line);
        if offset > (1 << 20) {
            break;
        }
    }
}
