use super::*;
use std::path::Path;

const NOW: &str = "2026-11-23T12:00:00Z";

fn try_typed(line: &[&str]) -> Result<Cli, clap::Error> {
    let args = std::iter::once("exception-log-collector")
        .chain(line.iter().copied())
        .map(OsString::from);
    parse(args, NOW.parse().unwrap())
}

fn typed(line: &[&str]) -> Cli {
    try_typed(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

fn scan(line: &[&str]) -> ScanOptions {
    match typed(&[&["scan"], line].concat()).command {
        Command::Scan(options) => *options,
        other => panic!("{other:?}"),
    }
}

fn refused(line: &[&str]) -> String {
    let error = try_typed(line).err().unwrap_or_else(|| panic!("{line:?} was taken"));
    assert_eq!(error.exit_code(), 2, "wrong usage");
    error.to_string()
}

#[test]
fn the_description_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn run_is_the_default_command() {
    let expected = RunOptions {
        once: false,
        deadline: Duration::from_secs(50),
        single_instance: false,
    };
    assert!(matches!(typed(&[]).command, Command::Run(options) if options == expected));
    let once = typed(&["run", "--once", "--deadline", "20s", "--single-instance"]).command;
    assert!(
        matches!(once, Command::Run(options) if options.once && options.single_instance && options.deadline.as_secs() == 20)
    );
    assert!(refused(&["run", "--deadline", "20s"]).contains("--once"));
    assert!(refused(&["run", "--once", "--deadline", "20"]).contains("500ms 30s"));
}

#[test]
fn status_is_shown_in_one_way() {
    let view = |line: &[&str]| match typed(line).command {
        Command::Status(options) => options.view,
        other => panic!("{other:?}"),
    };
    assert_eq!(view(&["status"]), StatusView::Text);
    assert_eq!(view(&["status", "--json"]), StatusView::Json);
    assert_eq!(view(&["status", "--nagios"]), StatusView::Nagios);
    assert_eq!(view(&["status", "--watch"]), StatusView::Watch);
    for two in [["--json", "--watch"], ["--json", "--nagios"], ["--watch", "--nagios"]] {
        assert!(
            refused(&["status", two[0], two[1]]).contains("cannot be used with"),
            "{two:?}"
        );
    }
}

#[test]
fn one_dash_is_enough_for_config() {
    for line in [
        &["-config", "a.yaml"][..],
        &["-config=a.yaml"],
        &["--config", "a.yaml"],
        &["-c", "a.yaml"],
        &["check", "-config", "a.yaml"],
    ] {
        assert_eq!(typed(line).config.as_deref(), Some(Path::new("a.yaml")), "{line:?}");
    }
    assert_eq!(scan(&["--", "-config"]).paths, ["-config"], "a file may be called so");
}

#[test]
fn set_is_repeated_in_order_and_before_or_after_the_command() {
    let cli = typed(&["--set", "a=1", "--set", "b=2", "check"]);
    assert_eq!(cli.set, ["a=1", "b=2"]);
    assert_eq!(typed(&["check", "--set", "a=1"]).set, ["a=1"]);
}

#[test]
fn verbosity_is_a_level_of_our_own_log() {
    assert_eq!(typed(&[]).log_level, None);
    assert_eq!(typed(&["-v"]).log_level, Some(log::LevelFilter::Debug));
    assert_eq!(typed(&["-vv"]).log_level, Some(log::LevelFilter::Trace));
    assert_eq!(typed(&["run", "-q"]).log_level, Some(log::LevelFilter::Error));
    assert!(refused(&["-v", "-q"]).contains("cannot be used with"));
}

#[test]
fn keys_of_a_source_mean_the_same_as_options_of_scan() {
    let options = scan(&[
        "--format",
        "{regex: '(?P<level>[A-Z]+)'}",
        "--encoding",
        "[utf-8, gbk]",
        "--multiline",
        "{start: '^x'}",
        "--timezone",
        "-03:00",
        "a",
        "b",
    ]);
    assert!(matches!(&options.format, Some(record::Format::Regex(pattern)) if pattern.is_match(b"WARN")));
    assert_eq!(options.encodings.unwrap(), [encoding_rs::UTF_8, encoding_rs::GBK]);
    assert!(matches!(&options.multiline, Some(record::Multiline::Start(_))));
    assert!(matches!(&options.timezone, Some(record::Zone::Named(_))));
    assert_eq!(options.paths, ["a", "b"]);
    assert!(matches!(scan(&["--format", "json"]).format, Some(record::Format::Json)));
    let nothing = scan(&[]);
    assert!(nothing.format.is_none() && nothing.encodings.is_none() && nothing.timezone.is_none());

    let message = refused(&["scan", "--format", "jsn"]);
    assert!(
        message.contains("--format: `jsn` is not known here") && message.contains("did you mean `json`"),
        "{message}"
    );
    assert!(refused(&["scan", "--encoding", "klingon"]).contains("--encoding: `klingon` is not an encoding"));
}

#[test]
fn levels_are_words() {
    let options = scan(&["--min-severity", "error", "--fail-on", "FATAL"]);
    assert_eq!(
        (options.min_severity, options.fail_on),
        (Some(Level::Error), Some(Level::Fatal))
    );
    assert!(refused(&["scan", "--fail-on", "loud"]).contains("trace, debug, info, warn, error, fatal"));
}

#[test]
fn a_scan_uses_as_many_threads_as_it_is_told() {
    assert_eq!(scan(&["-j", "3"]).threads, Some(3));
    assert_eq!((scan(&["--threads", "0"]).threads, scan(&[]).threads), (None, None));
    assert!(refused(&["scan", "-j", "many"]).contains("--threads"));
}

#[test]
fn times_are_absolute_local_or_ago() {
    let since = |line: &[&str]| scan(line).since.map(|time| time.to_string());
    assert_eq!(
        since(&["--since", "2026-11-23T06:00:00+08:00"]).as_deref(),
        Some("2026-11-22T22:00:00Z")
    );
    assert_eq!(
        since(&["--since", "2026-11-23 06:00", "--timezone", "+08:00"]).as_deref(),
        Some("2026-11-22T22:00:00Z")
    );
    assert_eq!(
        since(&["--since", "2026-11-23", "--timezone", "UTC"]).as_deref(),
        Some("2026-11-23T00:00:00Z")
    );
    assert_eq!(since(&["--since", "2h"]).as_deref(), Some("2026-11-23T10:00:00Z"));
    assert_eq!(since(&["--since", "1d ago"]).as_deref(), Some("2026-11-22T12:00:00Z"));
    let message = refused(&["scan", "--until", "yesterday"]);
    assert!(
        message.contains("--until: `yesterday` is not a time") && message.contains("2h (ago)"),
        "{message}"
    );
}

#[test]
fn a_stretch_that_ends_before_it_begins_is_refused() {
    let message = refused(&[
        "scan",
        "--since",
        "2026-11-23",
        "--until",
        "2026-11-22",
        "--timezone",
        "UTC",
    ]);
    assert!(
        message.contains("--since 2026-11-23T00:00:00Z is not before --until 2026-11-22T00:00:00Z"),
        "{message}"
    );
}

#[test]
fn all_needs_json() {
    assert!(refused(&["scan", "--all"]).contains("--json"));
    assert!(scan(&["--json", "--all"]).all);
}

#[test]
fn every_option_has_help_that_answers() {
    fn check(command: &clap::Command) {
        for arg in command
            .get_arguments()
            .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version" | "shell"))
        {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.len() > 15, "{} {}: {help:?}", command.get_name(), arg.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    check(&Args::command());
}

#[test]
fn completions_and_man_page_know_every_command() {
    for shell in [
        clap_complete::Shell::Bash,
        clap_complete::Shell::Zsh,
        clap_complete::Shell::Fish,
    ] {
        let mut script = Vec::new();
        write_completions(shell, &mut script).unwrap();
        assert!(
            String::from_utf8(script).unwrap().contains("single-instance"),
            "{shell}"
        );
    }
    let mut page = Vec::new();
    write_man(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.is_ascii(), "troff warns of everything else");
    for word in ["scan", "completions", "single", "ELC_CONFIG", "OUTBOX RETRY", "alerter"] {
        assert!(page.contains(word), "{word}");
    }
}
