//! The whole way from files to settings, and what the documentation promises of it.

use super::decode::decode;
use super::key_lister::KeyLister;
use super::*;
mod alerter_options;

use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Loads one text as the main file, alone in its directory.
fn load_text(text: &str) -> Result<Loaded, Problems> {
    load_with(text, &[], &[])
}

fn load_with(text: &str, set: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    load(&Request {
        path: Some(path),
        set: set.iter().map(ToString::to_string).collect(),
        environment: environment
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
    })
}

const ONE_SOURCE: &str = "sources:\n  - {name: app, paths: [/var/log/app/*.log]}\n";

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "# only a comment\n", "---\n", "{}", "sources: []\nalerters:\n"] {
        let settings = load_text(text)
            .unwrap_or_else(|problems| panic!("{text:?}: {problems}"))
            .settings;
        assert_eq!(settings.analyzer.alert_at, Some(record::Level::Warn));
        assert_eq!(settings.state_dir, PathBuf::from(DEFAULT_STATE_DIR));
        assert_eq!(settings.alerters.len(), 1, "without alerters there is the console");
    }
}

#[test]
fn values_reach_the_settings_of_their_stage() {
    let text = "
host: {name: gw-17, labels: {version: 1.10, on: 1e3}}
sources:
  - name: app
    paths: [/a/*.log, /b/**]
    exclude: ['*.gz']
    read_from: beginning
    ignore_older: 0
    read_rate: 2MiB
    format: {regex: '^(?P<level>\\w+)'}
    encoding: [utf-8, gbk]
    timezone: -03:30
    multiline: {start: '^\\d'}
    max_record: 64KiB
    flush_after: 250ms
    alert_at: off
analyzers:
  rules:
    - {name: r, match: '^boom (?P<n>\\d+)', severity: fatal, override: true, sources: [app], fields: {status: '^5'}}
  ignore: [reset, {match: peer, sources: [app]}]
alerts: {context: {before: 0}, repeat_after: 1d}
log: {level: debug}
";
    let settings = load_text(text).unwrap_or_else(|problems| panic!("{problems}")).settings;
    let source = &settings.sources[0];
    assert_eq!(settings.alert.host_labels["version"], "1.10");
    assert_eq!(settings.alert.host_labels["on"], "1e3");
    assert_eq!(source.collector.paths, ["/a/*.log", "/b/**"]);
    assert_eq!(source.collector.read_from, collector::ReadFrom::Beginning);
    assert_eq!(source.collector.ignore_older, None);
    assert_eq!(source.collector.read_rate, 2 * 1024 * 1024);
    assert_eq!(source.record.encodings, [encoding_rs::UTF_8, encoding_rs::GBK]);
    assert_eq!(source.record.max_record_bytes, 65536);
    assert_eq!(source.record.flush_after, Duration::from_millis(250));
    assert_eq!(source.alert_at, Some(None));
    let record::Zone::Named(zone) = &source.record.zone else {
        panic!("{:?}", source.record.zone)
    };
    assert_eq!(zone.to_fixed_offset().unwrap().seconds(), -(3 * 3600 + 30 * 60));
    let rule = &settings.analyzer.rules[0];
    assert!(
        rule.overrides && rule.pattern.is_match(b"first line\nboom 7"),
        "(?m) is on"
    );
    assert_eq!(settings.analyzer.ignore.len(), 2);
    assert_eq!(settings.alert.context_before_lines, 0);
    assert_eq!(settings.alert.context_after_lines, 5);
    assert_eq!(settings.log.level, Some(log::LevelFilter::Debug));
}

#[test]
fn set_wins_over_environment_and_environment_over_the_file() {
    let environment = [
        ("ELC_LOG__LEVEL", "warn"),
        ("ELC_SOURCES__APP__FLUSH_AFTER", "9s"),
        ("ELC_CONFIG", "x"),
        ("PATH", "y"),
    ];
    let loaded = load_with(
        ONE_SOURCE,
        &["log.level=trace", "sources.app.paths=[/x, /y]"],
        &environment,
    )
    .unwrap();
    assert_eq!(loaded.settings.log.level, Some(log::LevelFilter::Trace));
    assert_eq!(loaded.settings.sources[0].record.flush_after, Duration::from_secs(9));
    assert_eq!(loaded.settings.sources[0].collector.paths, ["/x", "/y"]);
}

#[test]
fn names_with_dots_and_dashes_are_found_by_set_and_environment() {
    let text = "sources:\n  - {name: my.app-1, paths: [/a]}\n";
    let environment = [("ELC_SOURCES__MY_APP_1__READ_RATE", "5")];
    let loaded = load_with(text, &["sources.my.app-1.read_from=beginning"], &environment).unwrap();
    assert_eq!(loaded.settings.sources[0].collector.read_rate, 5);
    assert_eq!(
        loaded.settings.sources[0].collector.read_from,
        collector::ReadFrom::Beginning
    );
}

#[test]
fn drop_ins_are_merged_by_name_and_add_to_ignore() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    write("config.yaml", &format!("{ONE_SOURCE}analyzers: {{ignore: [a]}}\n"));
    write(
        "conf.d/10-db.yaml",
        "sources:\n  - {name: db, paths: [/db]}\nanalyzers: {ignore: [b]}\n",
    );
    write(
        "conf.d/20-app.yaml",
        "sources:\n  - {name: app, paths: [/other], read_from: beginning}\n",
    );
    write("conf.d/90-not.yaml.bak", "nonsense: [");
    let request = Request {
        path: Some(dir.path().join("config.yaml")),
        ..Request::default()
    };
    let settings = load(&request).unwrap().settings;
    let paths: Vec<_> = settings
        .sources
        .iter()
        .map(|source| source.collector.paths.join(" "))
        .collect();
    assert_eq!(paths, ["/other", "/db"]);
    assert_eq!(settings.sources[0].collector.read_from, collector::ReadFrom::Beginning);
    assert_eq!(settings.analyzer.ignore.len(), 2);

    write("conf.d/30-bad.yaml", "sources:\n  - {name: app, flush_after: soon}\n");
    let problems = load(&request).unwrap_err().to_string();
    assert!(
        problems.contains("conf.d/30-bad.yaml:2:30: sources.app.flush_after: `soon` is not a duration"),
        "{problems}"
    );
}

#[test]
fn a_variable_cannot_add_keys() {
    let text = "host:\n  name: ${NAME}\n  labels: {a: '${NAME}'}\nlog: {level: '${LEVEL:-debug}'}\n";
    let settings = load_with(text, &[], &[("NAME", "x\nlog: {level: off}")])
        .unwrap()
        .settings;
    assert_eq!(settings.alert.host_name.as_deref(), Some("x\nlog: {level: off}"));
    assert_eq!(settings.log.level, Some(log::LevelFilter::Debug));
}

#[test]
fn no_file_is_told_with_what_to_do() {
    let problems = load(&Request {
        path: Some("/no/such/file.yaml".into()),
        ..Request::default()
    })
    .unwrap_err();
    assert_eq!(
        problems.to_string(),
        "/no/such/file.yaml: there is no such file\n    \
         hint: run `exception-log-collector init` to write one, or name one with -c FILE"
    );
}

#[test]
fn an_alias_bomb_is_refused_at_once() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..12 {
        let below = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{below}]\n"));
    }
    let many = format!("x: &x [{}]\ny: [{}]\n", "a, ".repeat(20_000), "*x, ".repeat(20_000));
    let deep = "[".repeat(300_000);
    let started = Instant::now();
    for text in [laughs, many, deep] {
        assert!(load_text(&text).is_err());
    }
    // Unbounded, the second alone takes 20 s in a release build, and gigabytes.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn problems_beyond_a_hundred_are_counted() {
    let text: String = (0..150).map(|n| format!("key{n}: 1\n")).collect();
    let problems = load_text(&text).unwrap_err();
    assert_eq!((problems.shown.len(), problems.more), (PROBLEMS_MAX, 50));
    assert!(problems.to_string().ends_with("\n… and 50 more"));
    assert_eq!(problems.shown[99].key, "key99", "in the order of the lines");
}

#[test]
fn secrets_never_appear_in_problems_warnings_or_descriptions() {
    let text = "
alerters:
  - name: a
    webhook: {preset: slack, url: 'https://u:hush1@hooks.example.org/hush2?k=hush3', bearer_token: hush4, secret: hush5}
  - name: b
    webhook: {url: 'ftp://hush6', hmac_secret: 'hush7', hmac_secret_file: /nonexistent}
";
    let problems = load_text(text).unwrap_err().to_string();
    assert!(problems.contains("`secret` has no meaning here"), "{problems}");
    assert!(!problems.contains("hush"), "{problems}");

    let good = text
        .replace(", secret: hush5", "")
        .replace("ftp://", "https://h/")
        .replace(", hmac_secret_file: /nonexistent", "");
    let loaded = load_text(&good).unwrap_or_else(|problems| panic!("{problems}"));
    let told = format!(
        "{}{:?}{:?}",
        describe(&loaded.settings),
        loaded.warnings,
        loaded.settings.alerters
    );
    assert!(told.contains("https://hooks.example.org/…"), "{told}");
    assert!(!told.contains("hush"), "{told}");
}

#[test]
fn rules_tests_are_run_and_told_at_their_place() {
    let text = "analyzers:
  rules:
    - name: oom
      match: 'killed (?P<pid>\\d+)'
      severity: fatal
      tests:
        match: [killed 7, killed nobody]
        no_match: [killed 8]
";
    let failing: Vec<String> = load_text(text)
        .unwrap()
        .failing_rule_tests()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(failing.len(), 2, "{failing:?}");
    assert!(
        failing[0].contains(":7:27: analyzers.rules.oom.tests.match[1]: the rule `oom` does not match"),
        "{failing:?}"
    );
    assert!(
        failing[1].contains(":8:20: analyzers.rules.oom.tests.no_match[0]: the rule `oom` matches"),
        "{failing:?}"
    );
}

#[test]
fn patterns_that_cost_are_warned_of_and_good_ones_are_not() {
    let warnings = |pattern: &str| {
        let text = format!("analyzers:\n  rules:\n    - {{name: r, match: '{pattern}', severity: error}}\n");
        load_text(&text).unwrap().warnings.len()
    };
    for cheap in [
        "timeout after",
        "(?i)error",
        "(foo|bar)+ x",
        "^Out of memory",
        r"x (?P<n>\d+) ms total",
    ] {
        assert_eq!(warnings(cheap), 0, "{cheap}");
    }
    for costly in [r"\d+", "(foo|b)", "a*", r"^\S+ 5\d\d"] {
        assert_eq!(warnings(costly), 1, "{costly}");
    }
}

#[test]
fn a_description_names_what_storms_blocks_loses_and_exposes() {
    let text = "
sources: [{name: app, paths: [/a], read_from: beginning, alert_at: info}, {name: b, paths: [/b], alert_at: off}]
alerts: {redact: []}
alerters:
  - {name: w, send: each, outbox: {when_full: block}, webhook: {url: 'http://example.org/x', tls: {insecure_skip_verify: true}}}
  - {name: f, outbox: {when_full: drop_oldest}, file: {path: /tmp/x}}
";
    let told = describe(&load_text(text).unwrap().settings);
    for part in [
        "app alerts at info",
        "app is read from its beginning",
        "b has no level and no rule",
        "w sends a message for every",
        "no log is read any more",
        "f drops its oldest",
        "insecure_skip_verify",
        "unencrypted",
        "log text leaves this host",
    ] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
}

#[test]
fn every_key_is_documented_and_stands_in_the_commented_configuration() {
    let reference = include_str!("../../docs/CONFIG.md");
    let commented = include_str!("../../configs/config.yaml");
    let keys = KeyLister::keys_of::<file::Root>();
    assert!(keys.len() > 120, "{keys:?}");
    let documented = |key: &String| {
        // A section is documented by its keys.
        let section = keys
            .iter()
            .any(|other| other.starts_with(&format!("{key}.")) || other.starts_with(&format!("{key}[].")));
        section || reference.contains(&format!("| `{key}` |"))
    };
    let undocumented: Vec<_> = keys.iter().filter(|key| !documented(key)).collect();
    assert!(undocumented.is_empty(), "not in docs/CONFIG.md: {undocumented:?}");
    let in_file = |key: &String| {
        let last = key.trim_end_matches("[]").rsplit('.').next().unwrap();
        let word = |c: char| c.is_alphanumeric() || c == '_';
        commented.match_indices(last).any(|(at, _)| {
            let after = commented[at + last.len()..].chars().next();
            !commented[..at].ends_with(word) && !after.is_some_and(word)
        })
    };
    let missing: Vec<_> = keys.iter().filter(|key| !in_file(key)).collect();
    assert!(missing.is_empty(), "not in configs/config.yaml: {missing:?}");

    let documented_keys = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let invented: Vec<_> = documented_keys
        .filter(|key| !keys.iter().any(|known| known == key))
        .collect();
    assert!(invented.is_empty(), "documented, but no key: {invented:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_documents_never_panic(text in "([a-z_]{1,8}: |  |- |\\[|\\]|\\{|\\}|, |'|\"|\\$\\{[A-Z:-]{0,4}\\}?|&a |\\*a|!t |\n|[0-9]{1,3}[a-z]?|\\PC){0,60}") {
        let _outcome = load_text(&text).map_err(|problems| problems.to_string());
    }

    #[test]
    fn random_values_of_known_keys_never_panic(
        picks in proptest::collection::vec((0usize..400, "([a-z]{1,6}|-?[0-9]{1,20}|[0-9]{1,5}(s|MiB)|\\[[a-z, ]*\\]|\\{[a-z]: [a-z]\\}|'\\PC{0,8}'|\\$\\{A\\}|\\*\\*|null)"), 1..8)
    ) {
        let keys = KeyLister::keys_of::<file::Root>();
        let set: Vec<String> = picks.iter().map(|(n, value)| format!("{}={value}", keys[n % keys.len()].replace("[]", ".app"))).collect();
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let text = format!("{ONE_SOURCE}alerters: [{{name: app, console: {{}}}}]\nanalyzers: {{rules: [{{name: app, match: abc, severity: warn}}]}}\n");
        let _outcome = load_with(&text, &set, &[]).map_err(|problems| problems.to_string());
    }
}

#[test]
fn decoding_goes_on_behind_every_fault() {
    let node = tree::parse("{log: {level: 7, keep: x}, sources: [3, {name: a}], state_dir: /s}", 0).unwrap();
    let (root, faults) = decode::<file::Root>(&node);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert_eq!(root.state_dir.get().map(String::as_str), Some("/s"));
    assert_eq!(root.sources.get().map(Vec::len), Some(2));
}
