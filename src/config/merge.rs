//! Several sources of one configuration laid over each other: file, `conf.d/*.yaml`, environment, `--set`.
//!
//! Sections are merged key by key. Lists of named things are merged by name; the lists in [`JOINED`] are appended to; any
//! other list, and any single value, is replaced by the later one.

use super::place::{Input, Inputs, key_path};
use super::problem::nearest;
use super::tree::{self, Entry, Node, Value};
use std::collections::BTreeMap;

/// Lists whose items are known by their `name`.
const NAMED: [&str; 3] = ["sources", "alerters", "analyzers.rules"];
/// Lists to which each file adds.
const JOINED: [&str; 4] = ["analyzers.ignore", "alerts.quiet", "alerts.silences", "alerts.redact"];

const ENVIRONMENT_PREFIX: &str = "ELC_";
/// Variables of that prefix that are no keys.
const ENVIRONMENT_NO_KEYS: [&str; 2] = ["ELC_CONFIG", "ELC_CORPUS"];

/// Reports every key that stands twice in one section; the first one counts.
pub fn drop_duplicates(node: &mut Node, path: &str, inputs: &mut Inputs) {
    match &mut node.value {
        Value::Seq(items) => {
            for (n, item) in items.iter_mut().enumerate() {
                let path = super::place::item_path(path, n, item);
                drop_duplicates(item, &path, inputs);
            }
        }
        Value::Map(entries) => {
            let mut seen: BTreeMap<String, ()> = BTreeMap::new();
            entries.retain(|entry| {
                let first = seen.insert(entry.key.clone(), ()).is_none();
                if !first {
                    inputs.fault_at_key(
                        entry.id,
                        &key_path(path, &entry.key),
                        "this key is here twice",
                        "remove one",
                    );
                }
                first
            });
            for entry in entries {
                drop_duplicates(&mut entry.node, &key_path(path, &entry.key), inputs);
            }
        }
        Value::Null | Value::Scalar(_) | Value::Gone => {}
    }
}

/// Lays a later file over an earlier one.
pub fn merge(base: &mut Node, over: Node, path: &str) {
    match (&mut base.value, over.value) {
        (_, Value::Null) => {}
        (Value::Map(entries), Value::Map(later)) => {
            for Entry { key, id, node } in later {
                let path = key_path(path, &key);
                match entries.iter_mut().find(|entry| entry.key == key) {
                    Some(entry) => merge(&mut entry.node, node, &path),
                    None => entries.push(Entry { key, id, node }),
                }
            }
        }
        (Value::Seq(items), Value::Seq(later)) if NAMED.contains(&path) => {
            // Two of one name within the later file are its writer's mistake: they stay two, and are reported.
            let earlier = items.len();
            for item in later {
                let name = item.name().map(str::to_owned);
                match items[..earlier]
                    .iter_mut()
                    .find(|known| name.is_some() && known.name() == name.as_deref())
                {
                    Some(known) => merge(known, item, "*"),
                    None => items.push(item),
                }
            }
        }
        (Value::Seq(items), Value::Seq(later)) if JOINED.contains(&path) => items.extend(later),
        (_, value) => *base = Node { id: over.id, value },
    }
}

/// Lays the variables `ELC_SECTION__KEY` over the files. An empty variable is as good as none.
pub fn merge_environment(root: &mut Node, environment: &BTreeMap<String, String>, inputs: &mut Inputs) {
    for (name, value) in environment {
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
            continue;
        };
        if ENVIRONMENT_NO_KEYS.contains(&name.as_str()) || value.is_empty() {
            continue;
        }
        let steps: Vec<&str> = key.split("__").collect();
        overlay(
            root,
            &steps,
            &ENVIRONMENT,
            value,
            Input::Environment(name.clone()),
            inputs,
        );
    }
}

/// Lays `--set KEY=VALUE` over all else; later ones win.
pub fn merge_set(root: &mut Node, set: &[String], inputs: &mut Inputs) {
    for argument in set {
        let Some((key, value)) = argument.split_once('=') else {
            let at = inputs.next_id();
            inputs.add(Input::Set(argument.clone()), at + 1);
            inputs.fault(
                at,
                "a `=` is missing",
                "write --set KEY=VALUE, for example --set log.level=debug",
            );
            continue;
        };
        let steps: Vec<&str> = key.trim().split('.').collect();
        overlay(root, &steps, &SET, value, Input::Set(key.trim().to_owned()), inputs);
    }
}

/// How keys and names are spelt.
struct Spelling {
    separator: &'static str,
    /// Whether a key or name of the files is meant by what was written.
    same: fn(&str, &str) -> bool,
    /// A key that the files do not have.
    key: fn(&str) -> String,
}

const SET: Spelling = Spelling {
    separator: ".",
    same: |known, written| known == written,
    key: str::to_owned,
};

const ENVIRONMENT: Spelling = Spelling {
    separator: "__",
    same: |known, written| {
        let upper = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        };
        known.chars().map(upper).eq(written.chars().map(upper))
    },
    key: str::to_lowercase,
};

fn overlay(root: &mut Node, steps: &[&str], spelling: &Spelling, value: &str, input: Input, inputs: &mut Inputs) {
    let first_id = inputs.next_id();
    let mut node = value_node(value, first_id);
    let mut next_id = tree::ids_end(&node);
    let placed = match steps.iter().any(|step| step.is_empty()) {
        true => Err(("a part of the key is empty".to_owned(), String::new())),
        false => put(root, steps, spelling, &mut node, &mut next_id),
    };
    inputs.add(input, next_id);
    if let Err((what, hint)) = placed {
        // With a key of its own: parts of the way may be in the tree.
        inputs.fault_at_key(first_id, "", what, hint);
    }
}

/// A list or section in YAML's flow style, or quoted text; everything else is the text as it is.
pub fn value_node(value: &str, first_id: tree::NodeId) -> Node {
    let flow = value.trim_start().starts_with(['[', '{', '"', '\'']);
    let parsed = if flow { tree::parse(value, first_id).ok() } else { None };
    parsed.unwrap_or_else(|| {
        let value = match value {
            "" | "null" | "~" => Value::Null,
            text => Value::Scalar(text.to_owned()),
        };
        Node { id: first_id, value }
    })
}

type Refused = (String, String);

fn put(
    root: &mut Node,
    mut steps: &[&str],
    spelling: &Spelling,
    node: &mut Node,
    next_id: &mut tree::NodeId,
) -> Result<(), Refused> {
    let mut new_id = || {
        *next_id += 1;
        *next_id - 1
    };
    let mut path = String::new();
    let mut at = root;
    while let Some((step, rest)) = steps.split_first() {
        if NAMED.contains(&path.as_str()) {
            let (item, taken) = find_named(at, steps, spelling, &path)?;
            (at, steps) = (item, &steps[taken..]);
            path.push_str(".*");
            continue;
        }
        if at.value == Value::Null {
            *at = Node {
                id: new_id(),
                value: Value::Map(Vec::new()),
            };
        }
        let Value::Map(entries) = &mut at.value else {
            return Err((
                format!("`{path}` has no keys below it"),
                "give it as a whole: [a, b]".into(),
            ));
        };
        let known = entries.iter().position(|entry| (spelling.same)(&entry.key, step));
        let n = known.unwrap_or_else(|| {
            let node = Node {
                id: new_id(),
                value: Value::Null,
            };
            entries.push(Entry {
                key: (spelling.key)(step),
                id: new_id(),
                node,
            });
            entries.len() - 1
        });
        path = key_path(&path, &entries[n].key);
        (at, steps) = (&mut entries[n].node, rest);
    }
    std::mem::swap(at, node);
    Ok(())
}

/// The item of a named list that the next steps name, and how many they are: names may hold the separator.
fn find_named<'n>(
    list: &'n mut Node,
    steps: &[&str],
    spelling: &Spelling,
    path: &str,
) -> Result<(&'n mut Node, usize), Refused> {
    let mut names: Vec<String> = Vec::new();
    let items = match &mut list.value {
        Value::Seq(items) => items.as_mut_slice(),
        Value::Null | Value::Scalar(_) | Value::Map(_) | Value::Gone => &mut [],
    };
    for item in items {
        let name = item.name().unwrap_or_default().to_owned();
        let taken = (1..=steps.len()).find(|n| (spelling.same)(&name, &steps[..*n].join(spelling.separator)));
        if let Some(taken) = taken {
            return Ok((item, taken));
        }
        names.push(name);
    }
    let wanted = (spelling.key)(steps[0]);
    let hint = match nearest(&wanted, names.iter().map(String::as_str)) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names.is_empty() => "the configuration has none".to_owned(),
        None => format!("there are: {}", names.join(", ")),
    };
    Err((format!("nothing in `{path}` is named `{wanted}`"), hint))
}
