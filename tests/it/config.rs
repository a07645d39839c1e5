//! Configurations as users meet them: each bad one of `tests/fixtures/config` gives the messages that stand in it as
//! `#> …` lines, and each one that is shipped loads.

use exception_log_collector::config::{self, Problems, Request};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn load(path: &Path) -> Result<config::Loaded, Problems> {
    config::load(&Request {
        path: Some(path.to_owned()),
        ..Request::default()
    })
}

fn yaml_files(directory: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = std::fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

/// The messages without the file's name.
fn messages(told: Result<config::Loaded, Problems>, path: &Path) -> String {
    let told = told.err().map(|problems| problems.to_string()).unwrap_or_default();
    told.replace(&format!("{}: ", path.display()), "")
        .replace(&format!("{}:", path.display()), "")
}

fn write_with_mode(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode set");
}

#[test]
fn each_bad_configuration_gives_its_messages() {
    let files = yaml_files("tests/fixtures/config");
    assert!(files.len() >= 40, "{} fixtures", files.len());
    let mut wrong = String::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#> ")).collect();
        let (told, expected) = (messages(load(&path), &path), expected.join("\n"));
        if told != expected || expected.is_empty() {
            wrong.push_str(&format!(
                "--- {}\nexpected:\n{expected}\ntold:\n{told}\n",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_configuration_that_is_shipped_loads_without_warnings() {
    let shipped: Vec<PathBuf> = [yaml_files("configs"), yaml_files("configs/examples")].concat();
    assert!(shipped.len() >= 6, "{shipped:?}");
    let dir = tempfile::tempdir().unwrap();
    for path in shipped {
        // The secrets that they name lie in a directory that only an installed host has.
        let text = std::fs::read_to_string(&path).unwrap();
        let etc = format!("{}/", dir.path().display());
        let text = text.replace("/etc/exception-log-collector/", &etc);
        for name in ["url", "secret", "token", "slack-url", "telegram-url", "pagerduty-key"] {
            write_with_mode(&dir.path().join(name), "https://hooks.example.org/x\n", 0o640);
        }
        let copy = dir.path().join("config.yaml");
        std::fs::write(&copy, text).unwrap();
        let loaded = load(&copy).unwrap_or_else(|problems| panic!("{}:\n{problems}", path.display()));
        assert_eq!(loaded.warnings, [], "{}", path.display());
        assert_eq!(loaded.failing_rule_tests(), [], "{}", path.display());
        assert!(!config::describe(&loaded.settings).is_empty());
    }
}

#[test]
fn the_smallest_example_is_small() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/examples/minimal.yaml");
    assert!(std::fs::read_to_string(path).unwrap().lines().count() <= 8);
}

#[test]
fn secrets_that_others_can_read_or_that_are_empty_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("url");
    let config = dir.path().join("config.yaml");
    let text = format!(
        "alerters:\n  - name: a\n    webhook:\n      url_file: {}\n",
        secret.display()
    );
    std::fs::write(&config, text).unwrap();

    write_with_mode(&secret, "https://hooks.example.org/hush\n", 0o644);
    let told = messages(load(&config), &config);
    let expected = format!(
        "4:17: alerters.a.webhook.url_file: every user of this host can read {}",
        secret.display()
    );
    assert!(told.starts_with(&expected) && !told.contains("hush"), "{told}");

    write_with_mode(&secret, "\n \n", 0o640);
    let told = messages(load(&config), &config);
    assert!(
        told.contains("4:17: alerters.a.webhook.url_file:") && told.contains("is empty"),
        "{told}"
    );

    write_with_mode(&secret, "hooks.example.org/hush\n", 0o640);
    let told = messages(load(&config), &config);
    assert_eq!(
        told,
        "4:17: alerters.a.webhook.url_file: the URL does not begin with http:// or https://"
    );

    write_with_mode(&secret, "https://hooks.example.org/hush\n", 0o640);
    assert!(load(&config).is_ok());
}

#[test]
fn a_secret_in_a_file_for_everybody_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yaml");
    let text = "alerters:\n  - {name: a, webhook: {url: 'https://example.org/', bearer_token: hush}}\n";
    write_with_mode(&config, text, 0o644);
    let warnings = load(&config).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].key, "alerters.a.webhook.bearer_token");
    assert!(!warnings[0].to_string().contains("hush"));
    write_with_mode(&config, text, 0o640);
    assert_eq!(load(&config).unwrap().warnings, []);
}

#[test]
fn mistakes_in_environment_and_set_are_told_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, "state_dir: /s\nalerters: [{name: ops, console: {}}]\n").unwrap();
    let environment = [
        ("ELC_ALERTERS__OPS__MIN_SEVERTY", "fatal"),
        ("ELC_ALERTERS__OSP__MIN_SEVERITY", "fatal"),
        ("ELC_LOG__LEVEL", "loud"),
        ("ELC_CORPUS", "/corpus"),
        ("ELC_HOST__NAME", ""),
    ];
    let request = Request {
        path: Some(path.clone()),
        set: [
            "nothing",
            "log.level",
            "a..b=1",
            "alerters.ops.send=[1]",
            "state_dir.x=1",
        ]
        .map(String::from)
        .to_vec(),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let told = config::load(&request).unwrap_err().to_string();
    let expected = [
        "environment ELC_ALERTERS__OPS__MIN_SEVERTY: alerters.ops.min_severty: unknown key",
        "    hint: did you mean `min_severity`?",
        "environment ELC_ALERTERS__OSP__MIN_SEVERITY: nothing in `alerters` is named `osp`",
        "    hint: did you mean `ops`?",
        "environment ELC_LOG__LEVEL: log.level: `loud` is not known here",
        "    hint: it is one of off, error, warn, info, debug, trace",
        "--set a..b: a part of the key is empty",
        "--set alerters.ops.send: alerters.ops.send: one of grouped, each is expected, a list was found",
        "--set log.level: a `=` is missing",
        "    hint: write --set KEY=VALUE, for example --set log.level=debug",
        "--set nothing: a `=` is missing",
        "    hint: write --set KEY=VALUE, for example --set log.level=debug",
        "--set state_dir.x: `state_dir` has no keys below it",
        "    hint: give it as a whole: [a, b]",
    ];
    assert_eq!(told, expected.join("\n"));
}

/// Exit status, standard output and standard error of the program.
fn program(args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_exception-log-collector"))
        .args(args)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_tells_every_problem_and_exits_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(
        &path,
        "sources:\n  - {name: app, paths: [/a], read_form: end}\nlog: {level: loud}\n",
    )
    .unwrap();
    let path = path.to_str().unwrap();
    for command in ["check", "run"] {
        let (status, out, err) = program(&["-config", path, command], &[]);
        assert_eq!((status, out.as_str()), (Some(78), ""), "{err}");
        let lines: Vec<&str> = err.lines().collect();
        assert_eq!(lines[0], format!("{path}:2:30: sources.app.read_form: unknown key"));
        assert_eq!(lines[1], "    hint: did you mean `read_from`?");
        assert_eq!(lines[2], format!("{path}:3:14: log.level: `loud` is not known here"));
        assert!(lines.len() == 4 && err.ends_with('\n'), "{err}");
    }
}

#[test]
fn check_says_what_a_configuration_means_wherever_its_values_come_from() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(
        &path,
        "sources:\n  - {name: app, paths: ['${LOGS}/*.log']}\nalerters:\n  - {name: ops, console: {}}\n",
    )
    .unwrap();
    let environment = [
        ("ELC_CONFIG", path.to_str().unwrap()),
        ("LOGS", "/srv"),
        ("ELC_ALERTERS__OPS__MIN_SEVERITY", "fatal"),
    ];
    let (status, out, err) = program(&["check", "--set", "sources.app.read_rate=2MiB"], &environment);
    assert_eq!(status, Some(0), "{err}");
    for part in [
        "/srv/*.log",
        "at most 2MiB a second",
        "from fatal on",
        "nobody is told while nobody looks",
    ] {
        assert!(out.contains(part), "{part} is missing in:\n{out}");
    }
}

#[test]
fn a_rule_whose_own_test_fails_is_told_by_check() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let text = "analyzers:\n  rules:\n    - {name: oom, match: killed, severity: fatal, tests: {match: [Killed]}}\n";
    std::fs::write(&path, text).unwrap();
    let (status, out, err) = program(&["check", "-c", path.to_str().unwrap()], &[]);
    assert_eq!(status, Some(78), "{out}{err}");
    assert!(
        err.contains(":3:67: analyzers.rules.oom.tests.match[0]: the rule `oom` does not match this text"),
        "{err}"
    );
}
