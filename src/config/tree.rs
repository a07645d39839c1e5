//! One YAML document as a tree of ours: what a place, a merge and a collecting decoder need, and serde does not keep.
//!
//! Promises: duplicate keys are reported, each at its place; scalars keep the text they were written with (`1.10` stays
//! `1.10`); anchors are unfolded within a budget, so that an alias bomb is refused after a bounded amount of work.

use super::place::Spot;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// A configuration file is small; more is a mistake (a log, say).
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Nodes of one document after anchors are unfolded.
const NODES_MAX: u32 = 100_000;
/// Bytes of text of one document after anchors are unfolded.
const TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Number of a key or value over all documents, environment and command line: leads to its place.
pub type NodeId = u32;

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub id: NodeId,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing was written, or `null`.
    Null,
    /// Its text; numbers and booleans are told apart only by who wants them.
    Scalar(String),
    Seq(Vec<Node>),
    Map(Vec<Entry>),
    /// It was wrong, and a problem was reported.
    Gone,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    /// Place of the key.
    pub id: NodeId,
    pub node: Node,
}

impl Node {
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            Value::Null | Value::Seq(_) | Value::Map(_) | Value::Gone => None,
        }
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Null | Value::Scalar(_) | Value::Seq(_) | Value::Gone => None,
        }
    }

    /// The text of `name`, which list items are known by.
    pub fn name(&self) -> Option<&str> {
        self.entry("name").and_then(|entry| entry.node.text())
    }
}

/// What is wrong with a document as a whole: the rest of it was not read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub spot: Option<Spot>,
    pub what: String,
    pub hint: String,
}

/// Reads a document. Nodes get the ids `first_id..`, in the order of reading: keys and values alike.
pub fn parse(text: &str, first_id: NodeId) -> Result<Node, Unreadable> {
    refuse_odd_bytes(text)?;
    let budget = Budget::new(first_id, None);
    let mut root = Load(&budget)
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| unreadable(text, &error))?;
    if budget.retext.get() {
        Retext(&mut root)
            .deserialize(serde_yaml::Deserializer::from_str(text))
            .map_err(|error| unreadable(text, &error))?;
    }
    Ok(root)
}

/// The place of the `nth` node: the document is read again, and refused at just this node, since the reader tells the
/// places of errors only.
pub fn locate(text: &str, nth: u32) -> Option<Spot> {
    let budget = Budget::new(0, Some(nth));
    let error = Load(&budget)
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .err()?;
    let location = error.location()?;
    Some(Spot {
        line: location.line(),
        column: location.column(),
    })
}

/// How many ids a tree took: the next document begins behind them.
pub fn ids_end(node: &Node) -> NodeId {
    let last = match &node.value {
        Value::Null | Value::Scalar(_) | Value::Gone => None,
        Value::Seq(items) => items.last(),
        Value::Map(entries) => entries.last().map(|entry| &entry.node),
    };
    last.map_or(node.id + 1, ids_end)
}

/// The reader counts in bytes and stops at NUL; both would give wrong places.
fn refuse_odd_bytes(text: &str) -> Result<(), Unreadable> {
    let odd = text
        .char_indices()
        .find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}'));
    match odd {
        None => Ok(()),
        Some((at, c)) => Err(Unreadable {
            spot: Some(Spot::of_byte(text, at)),
            what: format!("control character U+{:04X}", u32::from(c)),
            hint: "remove it; in double quotes it can be written as \\xNN".into(),
        }),
    }
}

/// Words of a reading error, and what to do about it; the first that fits.
const READING_HINTS: &[(&str, &str)] = &[
    (
        "more than one document",
        "remove the line `---`: one file is one document",
    ),
    ("unknown anchor", "quote a value that begins with * or &"),
    ("scanning an alias", "quote a value that begins with * or &"),
    ("scanning an anchor", "quote a value that begins with * or &"),
    (
        "mapping values are not allowed",
        "quote a value that contains `: `, and look at the indentation",
    ),
    (
        "escape",
        "write patterns in 'single quotes': there \\ stands for itself",
    ),
    ("scanning a quoted scalar", "a quote that begins here is not closed"),
    ("expected a key", "put the key into quotes"),
    ("cannot start any token", "quote a value that begins with @, ` or %"),
    ("recursion limit", "sections stand in each other too deeply"),
];

fn unreadable(text: &str, error: &serde_yaml::Error) -> Unreadable {
    let mut spot = error.location().map(|location| Spot {
        line: location.line(),
        column: location.column(),
    });
    let message = error.to_string();
    // The reader's own message is `PROBLEM at line 6 column 1, while scanning CONTEXT at line 2 column 9`. What is being
    // scanned is what its writer got wrong: an open quote is only found out at the end of the file.
    if let Some((_, context)) = message.split_once(", while scanning ") {
        spot = spot_in(context).or(spot);
    }
    let mut what = message.split(" at line ").next().unwrap_or(&message).to_owned();
    for ours in [TAGS_REFUSED, TOO_MUCH] {
        if what.contains(ours) {
            what = ours.to_owned();
        }
    }
    if what.contains("expected a key") {
        what = "a key must be text".to_owned();
    }
    let line = spot
        .and_then(|spot| text.lines().nth(spot.line.saturating_sub(1)))
        .unwrap_or("");
    let hint = if line.contains("${") && line.contains(['{', '[']) && what.contains("did not find expected") {
        "inside { } and [ ] write \"${…}\" in quotes"
    } else if line.trim_start_matches(' ').starts_with('\t') {
        "indent by spaces, not by tabs"
    } else {
        READING_HINTS
            .iter()
            .find(|(words, _)| message.contains(words))
            .map_or("", |(_, hint)| hint)
    };
    Unreadable {
        spot,
        what,
        hint: hint.into(),
    }
}

/// The place in `… at line 2 column 9…`.
fn spot_in(message: &str) -> Option<Spot> {
    let (_, rest) = message.split_once(" at line ")?;
    let (line, rest) = rest.split_once(" column ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(Spot {
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

const TAGS_REFUSED: &str = "tags (`!name`) have no meaning here";
const TOO_MUCH: &str = "too much: the document unfolds to more than a configuration can hold";

struct Budget {
    first_id: NodeId,
    next_id: Cell<NodeId>,
    bytes: Cell<usize>,
    /// A number was read whose text is lost by its reading.
    retext: Cell<bool>,
    /// The node at which reading fails on purpose.
    fail_at: Option<NodeId>,
}

impl Budget {
    fn new(first_id: NodeId, fail_at: Option<NodeId>) -> Self {
        Self {
            first_id,
            next_id: Cell::new(first_id),
            bytes: Cell::new(0),
            retext: Cell::new(false),
            fail_at,
        }
    }

    fn take<E: Error>(&self) -> Result<NodeId, E> {
        let id = self.next_id.get();
        if id - self.first_id >= NODES_MAX || self.bytes.get() > TEXT_BYTES_MAX {
            return Err(E::custom(
                "too much: the document unfolds to more than a configuration can hold",
            ));
        }
        self.next_id.set(id + 1);
        Ok(id)
    }

    fn scalar(&self, text: &str) -> Value {
        self.bytes.set(self.bytes.get() + text.len());
        Value::Scalar(text.to_owned())
    }
}

/// Builds the node that comes next.
#[derive(Clone, Copy)]
struct Load<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for Load<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let id = self.0.take()?;
        if self.0.fail_at == Some(id) {
            return deserializer.deserialize_any(Refuse).map(|never| match never {});
        }
        let value = deserializer.deserialize_any(self)?;
        Ok(Node { id, value })
    }
}

impl<'de> Visitor<'de> for Load<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    /// An empty document.
    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        self.visit_number()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        self.visit_number()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
        self.visit_number()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Value, E> {
        self.visit_number()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Value, E> {
        self.visit_number()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        self.visit_number()
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(self.0.scalar(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, id)) = map.next_key_seed(LoadKey(self.0))? {
            entries.push(Entry {
                key,
                id,
                node: map.next_value_seed(self)?,
            });
        }
        Ok(Value::Map(entries))
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(A::Error::custom(TAGS_REFUSED))
    }
}

impl Load<'_> {
    fn visit_number<E>(self) -> Result<Value, E> {
        self.0.retext.set(true);
        Ok(self.0.scalar(""))
    }
}

struct LoadKey<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for LoadKey<'_> {
    type Value = (String, NodeId);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let id = self.0.take()?;
        if self.0.fail_at == Some(id) {
            return deserializer.deserialize_str(Refuse).map(|never| match never {});
        }
        Ok((deserializer.deserialize_str(KeyText(self.0))?, id))
    }
}

struct KeyText<'b>(&'b Budget);

impl Visitor<'_> for KeyText<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        self.0.bytes.set(self.0.bytes.get() + text.len());
        Ok(text.to_owned())
    }
}

/// Takes nothing: every value is an error, which the reader marks with its place.
struct Refuse;

impl Visitor<'_> for Refuse {
    type Value = std::convert::Infallible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

/// Reads a document once more along its tree, and fills in the text of each scalar as it was written: the first reading
/// needs `deserialize_any` to learn the shape, and that makes `1.1` of `1.10`.
struct Retext<'n>(&'n mut Node);

impl<'de> DeserializeSeed<'de> for Retext<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match &self.0.value {
            Value::Scalar(_) => deserializer.deserialize_str(self),
            Value::Seq(_) => deserializer.deserialize_seq(self),
            Value::Map(_) => deserializer.deserialize_map(self),
            Value::Null | Value::Gone => deserializer.deserialize_ignored_any(serde::de::IgnoredAny).map(|_| ()),
        }
    }
}

impl<'de> Visitor<'de> for Retext<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same document")
    }

    fn visit_str<E: Error>(self, written: &str) -> Result<(), E> {
        if let Value::Scalar(text) = &mut self.0.value {
            written.clone_into(text);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if let Value::Seq(items) = &mut self.0.value {
            for item in items {
                seq.next_element_seed(Retext(item))?;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if let Value::Map(entries) = &mut self.0.value {
            for entry in entries {
                map.next_key::<String>()?;
                map.next_value_seed(Retext(&mut entry.node))?;
            }
        }
        Ok(())
    }
}
