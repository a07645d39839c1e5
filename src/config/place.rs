//! Places: from a node of the merged configuration back to the file, line and column, variable or option that gave it.
//!
//! Ids of nodes ascend over all documents, variables and `--set`s in the order in which they were read; each of these is
//! an [`Input`] that owns a range of ids. Lines and columns are found only for what is wrong, by [`tree::locate`].

use super::problem::{PROBLEMS_MAX, Place, Problem, Problems};
use super::tree::{self, Node, NodeId, Value};
use std::collections::HashMap;
use std::path::PathBuf;

/// Line and column, from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub line: usize,
    pub column: usize,
}

impl Spot {
    pub fn of_byte(text: &str, at: usize) -> Self {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Spot {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// One source of nodes.
#[derive(Debug)]
pub enum Input {
    File { path: PathBuf, text: String },
    Environment(String),
    Set(String),
    Option(&'static str),
}

/// All inputs, and what was found wrong in them so far.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Each with the first of its ids.
    all: Vec<(NodeId, Input)>,
    next_id: NodeId,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

/// Something wrong at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub at: NodeId,
    /// Path of the key where the merged tree no longer holds the node.
    pub key: Option<String>,
    pub what: String,
    pub hint: Option<String>,
}

impl Inputs {
    /// The id that the next node gets.
    pub fn next_id(&self) -> NodeId {
        self.next_id
    }

    /// Takes over an input whose nodes have the ids from [`Inputs::next_id`] to `ids_end`.
    pub fn add(&mut self, input: Input, ids_end: NodeId) {
        self.all.push((self.next_id, input));
        self.next_id = ids_end.max(self.next_id + 1);
    }

    pub fn fault(&mut self, at: NodeId, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::new(at, what, hint));
    }

    /// A fault at a node that the merged tree may not hold.
    pub fn fault_at_key(&mut self, at: NodeId, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        let key = Some(key.to_owned());
        self.faults.push(Fault {
            key,
            ..Fault::new(at, what, hint)
        });
    }

    pub fn push_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub fn warn(&mut self, at: NodeId, what: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(Fault::new(at, what, hint));
    }

    pub fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    /// Every fault with its place and key; consumes the faults.
    pub fn problems(&mut self, root: &Node) -> Problems {
        let faults = std::mem::take(&mut self.faults);
        Problems::new(self.placed(faults, root))
    }

    pub fn warnings(&mut self, root: &Node) -> Vec<Problem> {
        let warnings = std::mem::take(&mut self.warnings);
        Problems::new(self.placed(warnings, root)).shown
    }

    fn placed(&self, mut faults: Vec<Fault>, root: &Node) -> Vec<Problem> {
        // Each place costs a reading of its file: what would not be shown is not looked for. Ids ascend with the lines.
        faults.sort_by_key(|fault| fault.at);
        faults.dedup();
        let mut keys = HashMap::new();
        name_keys(root, String::new(), &mut keys);
        let whole = |at| self.input(at).map(|(_, input)| input.whole());
        let place = |n: usize, at| if n < PROBLEMS_MAX { self.place(at) } else { whole(at) };
        let problem = |(n, fault): (usize, Fault)| Problem {
            place: place(n, fault.at).unwrap_or_else(|| Place::Whole { path: PathBuf::new() }),
            key: fault.key.or_else(|| keys.get(&fault.at).cloned()).unwrap_or_default(),
            what: fault.what,
            hint: fault.hint,
        };
        faults.into_iter().enumerate().map(problem).collect()
    }

    fn input(&self, at: NodeId) -> Option<&(NodeId, Input)> {
        self.all.iter().rev().find(|(first, _)| *first <= at)
    }

    /// The file in which a node stands, if it is one.
    pub fn file_of(&self, at: NodeId) -> Option<PathBuf> {
        match self.input(at)? {
            (_, Input::File { path, .. }) => Some(path.clone()),
            (_, Input::Environment(_) | Input::Set(_) | Input::Option(_)) => None,
        }
    }

    pub fn place(&self, at: NodeId) -> Option<Place> {
        let (first, input) = self.input(at)?;
        match input {
            Input::File { path, text } => match tree::locate(text, at - first) {
                Some(Spot { line, column }) => Some(Place::File {
                    path: path.clone(),
                    line,
                    column,
                }),
                None => Some(input.whole()),
            },
            Input::Environment(_) | Input::Set(_) | Input::Option(_) => Some(input.whole()),
        }
    }
}

impl Input {
    fn whole(&self) -> Place {
        match self {
            Input::File { path, .. } => Place::Whole { path: path.clone() },
            Input::Environment(name) => Place::Environment(name.clone()),
            Input::Set(key) => Place::Set(key.clone()),
            Input::Option(name) => Place::Option(name),
        }
    }
}

impl Fault {
    pub fn new(at: NodeId, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            at,
            key: None,
            what: what.into(),
            hint: Some(hint.into()).filter(|hint| !hint.is_empty()),
        }
    }
}

/// The path of the key of every node, as `--set` takes it: list items by their `name`, else by number from 0.
pub fn name_keys(node: &Node, path: String, keys: &mut HashMap<NodeId, String>) {
    match &node.value {
        Value::Seq(items) => {
            for (n, item) in items.iter().enumerate() {
                name_keys(item, item_path(&path, n, item), keys);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let path = key_path(&path, &entry.key);
                keys.insert(entry.id, path.clone());
                name_keys(&entry.node, path, keys);
            }
        }
        Value::Null | Value::Scalar(_) | Value::Gone => {}
    }
    keys.insert(node.id, path);
}

pub fn key_path(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

pub fn item_path(path: &str, n: usize, item: &Node) -> String {
    match item.name() {
        Some(name) if !name.is_empty() => format!("{path}.{name}"),
        Some(_) | None => format!("{path}[{n}]"),
    }
}
