//! What whoever reads our log sees.

use super::*;
use std::io;
use std::sync::Arc;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const OURS: &str = "exception_log_collector::keeper";

fn tell(log: &OwnLog, level: Level, target: &str, message: &str) {
    log.log(
        &Record::builder()
            .level(level)
            .target(target)
            .file(Some("src/keeper.rs"))
            .line(Some(7))
            .args(format_args!("{message}"))
            .build(),
    );
}

fn written(level: LevelFilter, form: Form, told: &[(Level, &str, &str)]) -> String {
    let page = Page::default();
    let log = OwnLog::new(level, form, Box::new(page.clone()));
    for (level, target, message) in told {
        tell(&log, *level, target, message);
    }
    log.flush();
    page.text()
}

#[test]
fn text_has_time_level_and_message() {
    let text = written(LevelFilter::Info, Form::Text, &[(Level::Warn, OURS, "disk is slow")]);
    let (time, rest) = text.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{text}");
    assert_eq!(time.len(), "2026-11-23T06:00:01.214Z".len(), "{text}");
    assert_eq!(rest, "WARN  disk is slow\n");
}

#[test]
fn a_json_line_is_one_object_whatever_the_message() {
    let text = written(
        LevelFilter::Info,
        Form::Json,
        &[(Level::Error, OURS, "say \"no\"\nand 世界")],
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
        "{text}"
    );
    assert_eq!(line["level"], "error");
    assert_eq!(line["target"], OURS);
    assert_eq!(line["message"], "say \"no\"\\nand 世界");
}

#[test]
fn the_journal_gets_priorities_and_no_second_clock() {
    let told = [
        (Level::Error, OURS, "a"),
        (Level::Warn, OURS, "b"),
        (Level::Info, OURS, "c"),
        (Level::Debug, OURS, "d"),
    ];
    assert_eq!(
        written(LevelFilter::Trace, Form::Journal, &told),
        "<3>a\n<4>b\n<6>c\n<7>d\n"
    );
}

#[test]
fn no_line_is_forged_and_no_terminal_driven_by_what_others_sent() {
    let hostile = "answer: ok\n<0>forged\r\u{1b}[2Jcleared\u{9b}";
    let text = written(LevelFilter::Info, Form::Journal, &[(Level::Warn, OURS, hostile)]);
    assert_eq!(text, "<4>answer: ok\\n<0>forged\\r\\u{1b}[2Jcleared\\u{9b}\n");
    let long = written(
        LevelFilter::Info,
        Form::Journal,
        &[(Level::Warn, OURS, &"界".repeat(100_000))],
    );
    assert!(
        long.len() < MESSAGE_MAX_BYTES + 16 && long.ends_with("界…\n"),
        "{} bytes",
        long.len()
    );
}

#[test]
fn other_crates_are_heard_from_warn_up() {
    let told = [
        (
            Level::Debug,
            "ureq::run",
            "POST https://chat.example/robot?token=secret",
        ),
        (Level::Warn, "rustls::conn", "odd handshake"),
        (Level::Debug, "exception_log_collector_else", "not ours"),
    ];
    assert_eq!(written(LevelFilter::Trace, Form::Journal, &told), "<4>odd handshake\n");
}

#[test]
fn a_message_in_a_loop_is_told_once_and_its_count_at_the_end() {
    let told = vec![(Level::Error, OURS, "cannot read"); 1000];
    let text = written(LevelFilter::Info, Form::Journal, &told);
    assert_eq!(text, "<3>cannot read\n<3>cannot read (said 999 times more)\n");
    let asked_for = written(LevelFilter::Debug, Form::Journal, &[(Level::Debug, OURS, "each"); 20]);
    assert_eq!(asked_for.lines().count(), 20);
}

#[test]
fn only_the_stream_that_systemd_names_is_the_journal() {
    let file = tempfile::tempfile().unwrap();
    let stat = rustix::fs::fstat(&file).unwrap();
    let name = format!("{}:{}", stat.st_dev, stat.st_ino);
    assert!(is_journal(Some(&name), &file));
    for other in [None, Some(""), Some("8:1"), Some("x:y")] {
        assert!(!is_journal(other, &file), "{other:?}");
    }
}

#[test]
fn the_command_line_wins_over_the_configuration_and_cron_hears_only_errors() {
    let settled = |configured, typed, once, file: Option<&str>| {
        let mut settings = Settings {
            level: configured,
            file: file.map(PathBuf::from),
            ..Settings::default()
        };
        settings.settle_level(typed, once);
        settings.level
    };
    let (info, warn, debug) = (LevelFilter::Info, LevelFilter::Warn, LevelFilter::Debug);
    assert_eq!(settled(Some(warn), Some(debug), true, None), Some(debug));
    assert_eq!(settled(Some(warn), None, true, None), Some(warn));
    assert_eq!(settled(None, None, false, None), Some(info));
    assert_eq!(settled(None, None, true, Some("/var/log/own.log")), Some(info));
    // On a terminal somebody watches.
    let unasked = if io::stderr().is_terminal() {
        info
    } else {
        LevelFilter::Error
    };
    assert_eq!(settled(None, None, true, None), Some(unasked));
}
