//! Loads a configuration: finds the files, lays all sources over each other, and answers with settings or with every
//! problem.
//!
//! Precedence of a value: `--set` > environment > `conf.d/*.yaml` (in the order of their names) > file > default.

use super::place::{Input, Inputs, Spot};
use super::problem::{Place, Problem, Problems, Warning};
use super::tree::{self, FILE_BYTES_MAX, Node, Value};
use super::{DEFAULT_PATH, Settings, check, decode, file, merge, substitute};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What to load.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `-c FILE`; none: `$ELC_CONFIG`, else [`DEFAULT_PATH`].
    pub path: Option<PathBuf>,
    /// `--set KEY=VALUE`, in order.
    pub set: Vec<String>,
    pub environment: BTreeMap<String, String>,
}

/// A valid configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    pub warnings: Vec<Warning>,
    /// The main file.
    pub path: PathBuf,
    /// The rules' own tests, for `check`.
    pub rule_tests: Vec<RuleTest>,
}

/// One text that a rule must match, or must not.
#[derive(Debug, Clone)]
pub struct RuleTest {
    pub rule: String,
    pub pattern: regex::bytes::Regex,
    pub text: String,
    pub must_match: bool,
    pub place: Place,
    pub key: String,
}

impl Request {
    /// The main file: named by option or environment, or at its usual place.
    pub fn main_path(&self) -> PathBuf {
        let named = self.environment.get("ELC_CONFIG").filter(|path| !path.is_empty());
        match (&self.path, named) {
            (Some(path), _) => path.clone(),
            (None, Some(path)) => path.into(),
            (None, None) => DEFAULT_PATH.into(),
        }
    }
}

impl Loaded {
    /// Runs the rules' own tests: the ones that fail.
    pub fn failing_rule_tests(&self) -> Vec<Problem> {
        let fails = |test: &&RuleTest| test.pattern.is_match(test.text.as_bytes()) != test.must_match;
        let problem = |test: &RuleTest| Problem {
            place: test.place.clone(),
            key: test.key.clone(),
            what: match test.must_match {
                true => format!("the rule `{}` does not match this text", test.rule),
                false => format!("the rule `{}` matches this text, and must not", test.rule),
            },
            hint: Some(format!("its pattern is {}", decode::clip(test.pattern.as_str()))),
        };
        self.rule_tests.iter().filter(fails).map(problem).collect()
    }
}

/// Reads and checks everything; touches nothing. All problems of all sources come at once, except that a file whose YAML
/// cannot be read hides what is in it.
pub fn load(request: &Request) -> Result<Loaded, Problems> {
    let path = request.main_path();
    let mut inputs = Inputs::default();
    let mut unreadable = Vec::new();
    let mut root: Option<Node> = None;
    for file in files(&path)? {
        match read_file(&file, &mut inputs) {
            Ok(mut node) => {
                merge::drop_duplicates(&mut node, "", &mut inputs);
                substitute::substitute(&mut node, "", &request.environment, &mut inputs);
                match &mut root {
                    Some(root) => merge::merge(root, node, ""),
                    None => root = Some(node),
                }
            }
            Err(problem) => unreadable.push(problem),
        }
    }
    let mut root = root.unwrap_or(Node {
        id: 0,
        value: Value::Null,
    });
    if !unreadable.is_empty() {
        unreadable.extend(inputs.problems(&root).shown);
        return Err(Problems::new(unreadable));
    }
    if root.value == Value::Null {
        root.value = Value::Map(Vec::new());
    }
    merge::merge_environment(&mut root, &request.environment, &mut inputs);
    merge::merge_set(&mut root, &request.set, &mut inputs);
    let (shape, faults) = decode::decode::<file::Root>(&root);
    for fault in faults {
        inputs.push_fault(fault);
    }
    check::not_built(&root, &mut inputs);
    let checked = check::check(shape, &mut inputs);
    if !inputs.is_faultless() {
        return Err(inputs.problems(&root));
    }
    let rule_tests = checked
        .rule_tests
        .into_iter()
        .map(|test| test.placed(&inputs, &root))
        .collect();
    let warnings = inputs.warnings(&root);
    Ok(Loaded {
        settings: checked.settings,
        warnings,
        path,
        rule_tests,
    })
}

/// The main file and its `conf.d`, in the order in which they are laid over each other.
fn files(path: &Path) -> Result<Vec<PathBuf>, Problems> {
    let whole = |path: &Path| Place::Whole { path: path.to_owned() };
    if !path.is_file() {
        let what = if path.exists() {
            "this is not a file"
        } else {
            "there is no such file"
        };
        let hint = "run `exception-log-collector init` to write one, or name one with -c FILE";
        return Err(Problems::one(whole(path), what, hint));
    }
    let mut files = vec![path.to_owned()];
    let drop_ins = path.parent().unwrap_or(Path::new("")).join("conf.d");
    if drop_ins.is_dir() {
        let entries = std::fs::read_dir(&drop_ins)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(|error| Problems::one(whole(&drop_ins), format!("cannot be listed: {error}"), ""))?;
        let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
        let mut found: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).filter(is_yaml).collect();
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

fn read_file(path: &Path, inputs: &mut Inputs) -> Result<Node, Problem> {
    let problem = |place, what: String, hint: &str| Problem {
        place,
        key: String::new(),
        what,
        hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
    };
    let whole = || Place::Whole { path: path.to_owned() };
    let at = |spot: Spot| Place::File {
        path: path.to_owned(),
        line: spot.line,
        column: spot.column,
    };
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| problem(whole(), format!("cannot be read: {error}"), ""))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(problem(whole(), "larger than 1 MiB".into(), "is this a configuration?"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid_to = error.utf8_error().valid_up_to();
        let valid = String::from_utf8_lossy(&error.as_bytes()[..valid_to]).into_owned();
        problem(
            at(Spot::of_byte(&valid, valid_to)),
            "not UTF-8".into(),
            "save the file as UTF-8",
        )
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
    let node = tree::parse(&text, inputs.next_id())
        .map_err(|tree::Unreadable { spot, what, hint }| problem(spot.map_or_else(whole, at), what, &hint))?;
    inputs.add(
        Input::File {
            path: path.to_owned(),
            text,
        },
        tree::ids_end(&node),
    );
    Ok(node)
}
