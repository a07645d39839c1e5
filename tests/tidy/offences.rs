//! Each house rule sees its offence, and lets the neighbour pass: a rule that never speaks protects nothing.

use super::{LOCKED_PACKAGES_MAX, RULES, Rule, Tree};

/// Shows `rule` one file with an offence and one without.
#[track_caller]
fn tells_apart(rule: Rule, offence: (&str, &str), neighbour: (&str, &str)) {
    let complaints = |(path, text): (&str, &str)| rule(&Tree::new([(path.to_owned(), text.to_owned())].into()));
    assert_eq!(complaints(offence).len(), 1, "the offence: {:?}", complaints(offence));
    assert_eq!(complaints(neighbour), Vec::<String>::new(), "the neighbour");
    assert!(
        RULES.iter().any(|known| std::ptr::fn_addr_eq(*known, rule)),
        "a rule that nobody applies"
    );
}

fn function_of(lines: usize) -> String {
    format!("fn long(a: [u8; 2]) {{\n{}}}\n", "    // {\n".repeat(lines - 2))
}

#[test]
fn sizes() {
    let (long, short) = ("//! x\n".repeat(501), "//! x\n".repeat(500));
    tells_apart(super::files_have_one_subject, ("src/a.rs", &long), ("src/a.rs", &short));
    let rule = super::functions_have_one_subject;
    tells_apart(rule, ("src/a.rs", &function_of(71)), ("src/a.rs", &function_of(70)));
    let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(71));
    tells_apart(
        rule,
        ("src/a.rs", &format!("fn f() {{}}\n{}", function_of(71))),
        ("src/a.rs", &test),
    );
    let after_test = format!("{test}{}", function_of(71));
    tells_apart(rule, ("src/a.rs", &after_test), ("tests/it/a.rs", &function_of(71)));
}

#[test]
fn heads_and_names() {
    let rule = super::files_say_what_they_are_for;
    tells_apart(rule, ("src/a.rs", "// not this\n"), ("src/a.rs", "//! this\n"));
    tells_apart(
        rule,
        ("tests/it/a.rs", &"//! x\n".repeat(13)),
        ("tests/it/a.rs", &"//! x\n".repeat(12)),
    );
    let child = Tree::new(
        [
            ("src/a.rs", "//! a\n#[cfg(test)]\npub(crate) mod tests;\nfn f() {}"),
            ("src/a/tests.rs", "use super::*;"),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into(),
    );
    assert_eq!(rule(&child), Vec::<String>::new(), "a module of tests needs no head");
    let rule = super::files_are_named_for_their_subject;
    tells_apart(rule, ("src/record/utils.rs", ""), ("src/record/utility_bills.rs", ""));
    tells_apart(rule, ("src/misc/level.rs", ""), ("src/record/level.rs", ""));
    tells_apart(rule, ("tests/it/test_helpers.rs", ""), ("tests/it/program.rs", ""));
}

#[test]
fn layers() {
    let rule = super::layers_are_kept;
    tells_apart(
        rule,
        ("src/record/level.rs", "use crate::analyzer::Finding;"),
        ("src/record/level.rs", "use crate::collector::lines::{self, Newline};"),
    );
    tells_apart(
        rule,
        (
            "src/alert/book.rs",
            "use crate::{analyzer, record::{self, Level}, state::Db};",
        ),
        (
            "src/alert/book.rs",
            "#[cfg(test)]\nmod tests { use crate::state::Db; }\n/// [`crate::state`]\nfn f() {}",
        ),
    );
    tells_apart(
        rule,
        (
            "src/analyzer/rules.rs",
            "fn f() { super::super::state::open(\"crate::state\") }",
        ),
        (
            "src/analyzer/rules.rs",
            "fn f() { super::super::record::open(\"crate::state::x\") }",
        ),
    );
    tells_apart(
        rule,
        ("src/keeper.rs", "use crate::config::Settings;"),
        ("src/run.rs", "use crate::config::Settings;"),
    );
    tells_apart(rule, ("src/newcomer.rs", ""), ("src/metrics.rs", ""));
}

#[test]
fn threads() {
    let rule = super::threads_are_in_few_places;
    let bounded = "use crossbeam_channel::bounded;";
    tells_apart(rule, ("src/state/mod.rs", bounded), ("src/keeper.rs", bounded));
    tells_apart(
        rule,
        ("src/scan.rs", "use std::{fs, thread};"),
        ("src/scan.rs", "use std::{fs, io};"),
    );
    tells_apart(
        rule,
        ("src/keeper.rs", "fn f() { crossbeam_channel::unbounded() }"),
        ("src/keeper.rs", "fn f() { crossbeam_channel::bounded(1) }"),
    );
}

#[test]
fn purity() {
    let rule = super::the_core_is_pure;
    let time = "fn f() { jiff::Timestamp::now() }";
    tells_apart(rule, ("src/alert/book.rs", time), ("src/run.rs", time));
    tells_apart(
        rule,
        ("src/record/mod.rs", "use std::{fmt, fs::File};"),
        ("src/record/mod.rs", "use std::fmt;"),
    );
    tells_apart(
        rule,
        ("src/collector/lines.rs", "fn f() { log::warn!(\"x\") }"),
        ("src/collector/lines.rs", "fn f() { logfmt::parse(\"log::warn\") }"),
    );
    let rule = super::only_config_knows_yaml;
    let yaml = "use serde_yaml::Value;";
    tells_apart(rule, ("src/scan.rs", yaml), ("src/config/file.rs", yaml));
}

#[test]
fn tests() {
    let rule = super::tests_wait_for_conditions;
    tells_apart(
        rule,
        ("tests/it/run.rs", "fn f() { std::thread::sleep(T) }"),
        ("tests/it/run.rs", "fn wait_until_gone() { std::thread::sleep(T) }"),
    );
    let rule = super::tests_are_not_ignored;
    tells_apart(
        rule,
        ("tests/it/run.rs", "#[ignore = \"slow\"]"),
        ("tests/it/run.rs", "// #[ignore]"),
    );
}

#[test]
fn examples() {
    let rule = super::examples_are_loaded_by_a_test;
    tells_apart(rule, ("configs/examples/a.yaml", ""), ("configs/examples/a.txt", ""));
    tells_apart(
        rule,
        ("README.md", "see `configs/gone.yaml`"),
        ("README.md", "see `conf.d/gone.yaml`"),
    );
    let example = ("configs/examples/a.yaml".to_owned(), String::new());
    let test = |text: &str| ("tests/it/config.rs".to_owned(), format!("#[test]\n{text}"));
    let loaded = Tree::new([example.clone(), test("fn f() { read_dir(\"configs/examples\") }")].into());
    assert_eq!(rule(&loaded), Vec::<String>::new());
    assert_eq!(rule(&Tree::new([example, test("fn f() {}")].into())).len(), 1);
}

#[test]
fn links() {
    let rule = super::links_lead_somewhere;
    tells_apart(
        rule,
        ("docs/A.md", "see [b](B.md#part)"),
        (
            "docs/A.md",
            "see [a](A.md#part), [a](../docs/A.md), [a](#part), [b](https://example.org/B.md)",
        ),
    );
    tells_apart(
        rule,
        ("README.md", "![x](docs/x.png)"),
        ("docs/README.md", "[folder](../docs)"),
    );
}

#[test]
fn dependencies() {
    let locked = |count: usize| "[[package]]\nname = \"a\"\n".repeat(count);
    let rule = super::dependencies_are_few;
    let (many, few) = (locked(LOCKED_PACKAGES_MAX + 1), locked(LOCKED_PACKAGES_MAX));
    tells_apart(rule, ("Cargo.lock", &many), ("Cargo.lock", &few));
    tells_apart(
        rule,
        ("Cargo.lock", "name = \"tokio\""),
        ("Cargo.lock", "name = \"tokio-less\""),
    );
    let rule = super::dependencies_give_their_reason;
    tells_apart(
        rule,
        ("Cargo.toml", "[dependencies]\n# For x.\na = \"1\"\nb = \"1\"\n"),
        (
            "Cargo.toml",
            "[package]\nname = \"x\"\n[dev-dependencies]\n# For x.\na = \"1\"\n",
        ),
    );
}

#[test]
fn places() {
    let rule = super::no_paths_of_a_workplace;
    let place = ["\"/wo", "rk/main\""].concat();
    tells_apart(
        rule,
        ("docs/A.md", &place),
        ("docs/A.md", "\"target/work/main\", /home/work/x, a library/"),
    );
}
