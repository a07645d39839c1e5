//! The house rules as a test: what reviewers would otherwise have to say again and again.
//!
//! Each rule is a function from the tree (all text files of the repository) to complaints. The first test shows the
//! repository to all of them; the second shows each an offence that it must see, and a neighbour that it must let pass.
//! The reasons stand in `docs/ARCHITECTURE.md`.

#[path = "tidy/source.rs"]
mod source;

use source::{Source, functions, is_word, line_of};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const HEAD_LINES_MAX: usize = 12;
const LOCKED_PACKAGES_MAX: usize = 180;

/// Words that name no subject: what is in such a file belongs to somebody.
const NAMES_OF_NOTHING: [&str; 8] = [
    "util", "utils", "helper", "helpers", "common", "types", "misc", "manager",
];

/// The only files that may name threads and channels.
const FILES_WITH_THREADS: [&str; 14] = [
    // Whatever these two are made of.
    "src/run/",
    "src/keeper/",
    "src/keeper.rs",
    "src/collector/mod.rs",
    "src/collector/piped.rs", // Each stream has a thread of its own: it waits for a pipe, not for files.
    "src/alerter/courier.rs",
    // What wakes a courier (a channel of one place), how it waits, and what main tells it.
    "src/alerter/courier/bell.rs",
    "src/alerter/courier/feed.rs",
    "src/alerter/courier/clock.rs",
    "src/alerter/courier/orders.rs",
    "src/judge/mod.rs",
    // Readers that run ahead.
    "src/scan/crew.rs",
    "src/control.rs",
    "src/status_page.rs",
];

/// What each module may use of its siblings (itself always; `*`: any that is not named in `ONLY_AT_THE_TOP`).
const LAYERS: [(&str, &[&str]); 15] = [
    ("record", &["collector::lines"]),
    ("analyzer", &["record", "collector::lines"]),
    ("alert", &["analyzer", "record"]),
    // Couriers answer the keeper.
    (
        "alerter",
        &["alert", "analyzer::AnalyzerKind", "record::Level", "keeper", "metrics"],
    ),
    // The id of a file is made with the ids of alerts; the analyzer's input is a chunk, its half of the checkpoint.
    ("collector", &["metrics", "alert::id", "analyzer"]),
    (
        "state",
        &[
            "alert",
            "alerter::Delivery",
            // What couriers read their queue by; the state keeps the queue.
            "alerter::courier::Outbox",
            "analyzer",
            "collector",
            "keeper::Mark",
            "keeper::Outcome",
            "record",
        ],
    ),
    // The service is reached by TLS as alerters are.
    (
        "judge",
        &[
            "alert",
            "analyzer",
            "record",
            "keeper",
            "metrics",
            "state",
            "alerter::tls",
        ],
    ),
    ("metrics", &["record::Level", "alert", "analyzer::AnalyzerKind"]),
    ("own_log", &[]),
    // Works on the state alone, so that service and command line do the same.
    ("command", &["alert", "analyzer", "collector", "record", "state"]),
    ("config", &["*"]),
    ("control", &["*"]),
    ("keeper", &["*"]),
    ("status_page", &["*"]),
    // Modules at the top use what they like.
    (
        "ask check cli core explain init lib main model run sample scan status upkeep",
        &[
            "*", "ask", "check", "cli", "config", "model", "run", "scan", "status", "upkeep",
        ],
    ),
];
const ONLY_AT_THE_TOP: [&str; 9] = [
    "ask", "check", "cli", "config", "model", "run", "scan", "status", "upkeep",
];

/// What the pure core never names.
const IMPURE: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::os",
    "crossbeam_channel",
    "log",
];

/// Never in the tree of dependencies; cargo-deny says it too, but is not on every machine.
const BANNED_PACKAGES: [&str; 5] = ["tokio", "async-std", "smol", "openssl-sys", "aws-lc-sys"];

struct Tree {
    /// All text files by path below the root.
    files: BTreeMap<String, String>,
    /// Paths of files that are no text: pictures, archives.
    others: BTreeSet<String>,
    sources: Vec<Source>,
}

impl Tree {
    fn new(files: BTreeMap<String, String>) -> Self {
        let rust = files.iter().filter(|(path, _)| path.ends_with(".rs"));
        let mut sources: Vec<Source> = rust.map(|(path, text)| Source::new(path, text)).collect();
        let tests: BTreeSet<String> = sources.iter().flat_map(Source::test_children).collect();
        for source in &mut sources {
            let folder_is_test = tests
                .iter()
                .any(|test| source.path.starts_with(&format!("{}/", test.trim_end_matches(".rs"))));
            if tests.contains(&source.path) || folder_is_test || source.path.starts_with("tests/") {
                source.live.clear();
            }
        }
        let others = BTreeSet::new();
        Self { files, others, sources }
    }

    fn read(root: &Path) -> Self {
        let (mut files, mut others) = (BTreeMap::new(), BTreeSet::new());
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("the folder was just listed") {
                let path = entry.expect("the folder is readable").path();
                let below = path
                    .strip_prefix(root)
                    .expect("it is below the root")
                    .to_string_lossy()
                    .into_owned();
                let ignored = ["target", "out", "fuzz/target", "fuzz/corpus"].contains(&below.as_str());
                let hidden = below.starts_with('.') && !below.starts_with(".ci") && !below.starts_with(".gitignore");
                if ignored || hidden || path.is_symlink() {
                    continue;
                } else if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = std::fs::read_to_string(&path) {
                    files.insert(below, text);
                } else {
                    others.insert(below);
                }
            }
        }
        Self {
            others,
            ..Self::new(files)
        }
    }

    fn in_src(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.path.starts_with("src/"))
    }

    fn core(&self) -> impl Iterator<Item = &Source> {
        let folders = ["src/record/", "src/analyzer/", "src/alert/"];
        self.in_src().filter(move |source| {
            source.path == "src/collector/lines.rs" || folders.iter().any(|folder| source.path.starts_with(folder))
        })
    }
}

/// Whether `path` is `prefix` or stands below it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn files_have_one_subject(tree: &Tree) -> Vec<String> {
    let lines = |source: &Source| source.text.lines().count();
    let long = tree.sources.iter().filter(|source| lines(source) > FILE_LINES_MAX);
    long.map(|source| format!("{}: {} lines, at most {FILE_LINES_MAX}", source.path, lines(source)))
        .collect()
}

fn functions_have_one_subject(tree: &Tree) -> Vec<String> {
    let all = tree
        .sources
        .iter()
        .flat_map(|source| functions(&source.live).into_iter().map(move |f| (source, f)));
    all.map(|(source, f)| (source, f.last_line + 1 - f.first_line, f))
        .filter(|(_, lines, _)| *lines > FUNCTION_LINES_MAX)
        .map(|(source, lines, f)| {
            format!(
                "{}:{}: fn {} has {lines} lines, at most {FUNCTION_LINES_MAX}",
                source.path, f.first_line, f.name
            )
        })
        .collect()
}

fn files_say_what_they_are_for(tree: &Tree) -> Vec<String> {
    let heads = tree
        .sources
        .iter()
        .map(|source| (source, source.text.lines().take_while(|l| l.starts_with("//!")).count()));
    heads
        .filter(|(source, _)| !source.live.is_empty() || source.path.starts_with("tests/"))
        .filter(|(_, lines)| !(1..=HEAD_LINES_MAX).contains(lines))
        .map(|(source, lines)| {
            format!(
                "{}: opens with {lines} lines of `//!`, wanted 1 to {HEAD_LINES_MAX}",
                source.path
            )
        })
        .collect()
}

fn files_are_named_for_their_subject(tree: &Tree) -> Vec<String> {
    let nameless = |path: &str| {
        let words = path.trim_end_matches(".rs").split(['/', '_']);
        words.into_iter().any(|word| NAMES_OF_NOTHING.contains(&word))
    };
    let paths = tree.sources.iter().map(|source| source.path.as_str());
    paths
        .filter(|path| nameless(path))
        .map(|path| format!("{path}: a name that says nothing"))
        .collect()
}

fn layers_are_kept(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in tree.in_src() {
        let own = source.path["src/".len()..]
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs");
        let Some((_, allowed)) = LAYERS
            .iter()
            .find(|(names, _)| names.split(' ').any(|name| name == own))
        else {
            complaints.push(format!(
                "{}: module `{own}` has no row in LAYERS of tests/tidy.rs",
                source.path
            ));
            continue;
        };
        for (line, path) in source.paths() {
            let Some(inside) = path.strip_prefix("crate::") else {
                continue;
            };
            let top = inside.split("::").next().unwrap_or_default();
            let anything = allowed.contains(&"*") && !ONLY_AT_THE_TOP.contains(&top);
            if top != own && !anything && !allowed.iter().any(|layer| is_below(inside, layer)) {
                complaints.push(format!("{}:{line}: `{own}` must not use `{inside}`", source.path));
            }
        }
    }
    complaints
}

/// An entry that ends with `/` stands for the whole folder.
fn may_have_threads(path: &str) -> bool {
    let folder_of = |entry: &str| entry.ends_with('/') && path.starts_with(entry);
    FILES_WITH_THREADS
        .iter()
        .any(|entry| *entry == path || folder_of(entry))
}

fn threads_are_in_few_places(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in tree.in_src() {
        for (line, path) in source.paths() {
            let threads = ["crossbeam_channel", "std::thread", "thread", "std::sync::mpsc", "mpsc"];
            let starts_nothing = path == "std::thread::current";
            if !starts_nothing && threads.iter().any(|name| is_below(&path, name)) && !may_have_threads(&source.path) {
                complaints.push(format!("{}:{line}: `{path}`: no threads or channels here", source.path));
            }
            if path.ends_with("::unbounded") || path.ends_with("mpsc::channel") {
                complaints.push(format!("{}:{line}: `{path}`: every channel is bounded", source.path));
            }
        }
    }
    complaints
}

fn the_core_is_pure(tree: &Tree) -> Vec<String> {
    let paths = tree
        .core()
        .flat_map(|source| source.paths().into_iter().map(move |(line, path)| (source, line, path)));
    let impure = paths.filter(|(_, _, path)| path.ends_with("::now") || IMPURE.iter().any(|name| is_below(path, name)));
    impure
        .map(|(source, line, path)| format!("{}:{line}: `{path}` in the pure core", source.path))
        .collect()
}

fn only_config_knows_yaml(tree: &Tree) -> Vec<String> {
    let others = tree.in_src().filter(|source| !source.path.starts_with("src/config/"));
    let named = others.filter(|source| {
        ["serde_yaml", "yaml_serde"]
            .iter()
            .any(|name| source.code.contains(name))
    });
    named
        .map(|source| format!("{}: YAML is known in src/config only", source.path))
        .collect()
}

fn tests_wait_for_conditions(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        let waiters: Vec<_> = functions(&source.code)
            .into_iter()
            .filter(|f| f.name.starts_with("wait_until"))
            .collect();
        for (at, _) in source.code.match_indices("sleep(") {
            let line = line_of(&source.code, at);
            let named = source.code[..at].ends_with(is_word);
            if !named && !waiters.iter().any(|f| (f.first_line..=f.last_line).contains(&line)) {
                complaints.push(format!("{}:{line}: sleeps outside `wait_until…`", source.path));
            }
        }
    }
    complaints
}

fn tests_are_not_ignored(tree: &Tree) -> Vec<String> {
    let marked = tree
        .sources
        .iter()
        .flat_map(|source| source.code.match_indices("#[ignore").map(move |(at, _)| (source, at)));
    marked
        .map(|(source, at)| format!("{}:{}: an ignored test", source.path, line_of(&source.code, at)))
        .collect()
}

fn examples_are_loaded_by_a_test(tree: &Tree) -> Vec<String> {
    let tested = |example: &str| {
        let (folder, name) = example.rsplit_once('/').unwrap_or(("", example));
        let words = [example.to_owned(), format!("{folder}\""), format!("{folder}/\"")];
        let tests = tree
            .sources
            .iter()
            .filter(|source| source.path != "tests/tidy.rs" && source.text.contains("#[test]"));
        tests.into_iter().any(|source| {
            words
                .iter()
                .any(|word| source.text.contains(word) && (word == example || !name.is_empty()))
        })
    };
    let mut complaints = Vec::new();
    for path in tree
        .files
        .keys()
        .filter(|path| path.starts_with("configs/") && path.ends_with(".yaml"))
    {
        if !tested(path) {
            complaints.push(format!("{path}: no test loads it"));
        }
    }
    let pages = tree.files.iter().filter(|(path, _)| path.ends_with(".md"));
    for (page, text) in pages {
        for (at, _) in text.match_indices("configs/") {
            let named: String = text[at..]
                .chars()
                .take_while(|c| is_word(*c) || "/.-".contains(*c))
                .collect();
            if named.ends_with(".yaml") && !tree.files.contains_key(&named) {
                complaints.push(format!("{page}: names {named}, which does not exist"));
            }
        }
    }
    complaints
}

fn dependencies_are_few(tree: &Tree) -> Vec<String> {
    let lock = tree.files.get("Cargo.lock").map_or("", String::as_str);
    let names: Vec<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    let too_many = (names.len() > LOCKED_PACKAGES_MAX)
        .then(|| format!("Cargo.lock: {} packages, at most {LOCKED_PACKAGES_MAX}", names.len()));
    let banned = names
        .iter()
        .filter(|name| BANNED_PACKAGES.contains(name))
        .map(|name| format!("Cargo.lock: {name} is banned"));
    banned.chain(too_many).collect()
}

fn dependencies_give_their_reason(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for path in ["Cargo.toml", "core/Cargo.toml"] {
        let (mut section, mut before) = ("", "");
        for line in tree.files.get(path).map_or("", String::as_str).lines() {
            // Who uses a dependency of the workspace says what for.
            let asked = section.ends_with("dependencies]") && section != "[workspace.dependencies]";
            if line.starts_with('[') {
                section = line;
            } else if asked && line.contains('=') && !before.starts_with('#') {
                complaints.push(format!("{path}: no comment above `{line}`"));
            }
            before = line;
        }
    }
    complaints
}

fn no_paths_of_a_workplace(tree: &Tree) -> Vec<String> {
    // Put together here so that this file does not hold them.
    let places = [["/wo", "rk/"], ["/tmp", "/wt/"], ["/root", "/."], [".libr", "ary/"]].map(|halves| halves.concat());
    let mut complaints = Vec::new();
    for (path, text) in &tree.files {
        for (n, line) in text.lines().enumerate() {
            let part_of_longer = |at: usize| line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-./".contains(c));
            if places
                .iter()
                .any(|place| line.match_indices(place).any(|(at, _)| !part_of_longer(at)))
            {
                complaints.push(format!("{path}:{}: a path of somebody's machine", n + 1));
            }
        }
    }
    complaints
}

fn links_lead_somewhere(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (page, text) in tree.files.iter().filter(|(path, _)| path.ends_with(".md")) {
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, mark) in text.match_indices("](") {
            let target = text[at + mark.len()..].split([')', '#']).next().unwrap_or_default();
            let path = match target.strip_prefix("../") {
                Some(above) => above.to_owned(),
                None if folder.is_empty() => target.to_owned(),
                None => format!("{folder}/{target}"),
            };
            let known = tree.files.keys().chain(&tree.others);
            let is_there = target.is_empty()
                || target.contains(':')
                || known.into_iter().any(|known| {
                    known
                        .strip_prefix(&path)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                });
            if !is_there {
                complaints.push(format!(
                    "{page}:{}: a link to {target}, which does not exist",
                    line_of(text, at)
                ));
            }
        }
    }
    complaints
}

type Rule = fn(&Tree) -> Vec<String>;

const RULES: [Rule; 15] = [
    files_have_one_subject,
    functions_have_one_subject,
    files_say_what_they_are_for,
    files_are_named_for_their_subject,
    layers_are_kept,
    threads_are_in_few_places,
    the_core_is_pure,
    only_config_knows_yaml,
    tests_wait_for_conditions,
    tests_are_not_ignored,
    examples_are_loaded_by_a_test,
    links_lead_somewhere,
    dependencies_are_few,
    dependencies_give_their_reason,
    no_paths_of_a_workplace,
];

#[test]
fn the_house_is_tidy() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(tree.files.contains_key("src/lib.rs"), "the tree was not found");
    let complaints: Vec<String> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[path = "tidy/offences.rs"]
mod offences;
