//! From the tree to the shapes of `file`, by serde, with every fault and not only the first.
//!
//! Each value of a shape is a [`Key`]: absent, given, or given and wrong. A wrong one is reported where it stands, and
//! its neighbours are read as if nothing had happened. Unknown keys are reported with the nearest known one.

use super::key::{KEY, Key, ONE_OR_MANY, SHORT_MATCH, SHORT_NAME, SWITCH};
use super::place::Fault;
use super::problem::nearest;
use super::tree::{Entry, Node, NodeId, Value};
use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{self, Deserialize, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;

/// Decodes a whole tree. Faults come in no particular order.
pub fn decode<T: de::DeserializeOwned + Default>(root: &Node) -> (T, Vec<Fault>) {
    let faults = RefCell::new(Vec::new());
    let key = Key::<T>::deserialize(Decoder {
        node: root,
        faults: &faults,
    });
    let value = key.map(Key::section).unwrap_or_default();
    (value, faults.into_inner())
}

/// Why one value was not taken: what is wrong, and a hint behind the first newline. Both empty: it was reported already.
#[derive(Debug)]
pub struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Wrong(message.to_string())
    }
}

#[derive(Clone, Copy)]
struct Decoder<'de> {
    node: &'de Node,
    faults: &'de RefCell<Vec<Fault>>,
}

impl<'de> Decoder<'de> {
    fn fault(self, at: NodeId, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.borrow_mut().push(Fault::new(at, what, hint));
    }

    fn text(self, wanted: &str) -> Result<&'de str, Wrong> {
        match &self.node.value {
            Value::Scalar(text) => Ok(text),
            Value::Null | Value::Seq(_) | Value::Map(_) | Value::Gone => Err(self.mismatch(wanted)),
        }
    }

    fn number<N: std::str::FromStr>(self, wanted: &str) -> Result<N, Wrong> {
        let text = self.text(wanted)?;
        text.parse()
            .map_err(|_| Wrong(format!("`{}` is not {wanted}", clip(text))))
    }

    fn mismatch(self, wanted: &str) -> Wrong {
        let (found, hint) = match &self.node.value {
            Value::Null => ("nothing", String::new()),
            Value::Scalar(_) if wanted.starts_with("a list") => ("a single value", "\nput it into [ ]".to_owned()),
            Value::Scalar(_) => ("a single value", String::new()),
            Value::Seq(_) => ("a list", String::new()),
            Value::Map(_) => ("a section", String::new()),
            Value::Gone => return Wrong(String::new()),
        };
        Wrong(format!("{wanted} is expected, {found} was found{hint}"))
    }

    fn on(self, node: &'de Node) -> Self {
        Self { node, ..self }
    }

    fn report_unknown(self, entry: &Entry, known: &[&'static str]) {
        let hint = match (entry.key.as_str(), nearest(&entry.key, known.iter().copied())) {
            ("<<", _) => "merge keys are not part of YAML 1.2: repeat the keys, or alias the whole value".to_owned(),
            (_, Some(key)) => format!("did you mean `{key}`?"),
            (_, None) => format!("known here: {}", known.join(", ")),
        };
        self.fault(entry.id, "unknown key", hint);
    }
}

/// Enough of a wrong value to recognise it.
pub fn clip(text: &str) -> String {
    const CLIP_CHARS: usize = 60;
    let mut clipped: String = text.chars().take(CLIP_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(CLIP_CHARS).is_some() {
        clipped.push('…');
    }
    clipped
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $wanted:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            visitor.$visit(self.number::<$type>($wanted)?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Decoder<'de> {
    type Error = Wrong;

    numbers! {
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0";
        deserialize_u64 visit_u64 u64, "a whole number from 0";
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar(text) => visitor.visit_borrowed_str(text),
            Value::Seq(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Gone => Err(Wrong(String::new())),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.text("true or false")? {
            "true" | "True" | "TRUE" => visitor.visit_bool(true),
            "false" | "False" | "FALSE" => visitor.visit_bool(false),
            other => Err(Wrong(format!("`{}` is neither true nor false", clip(other)))),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_borrowed_str(self.text("text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            Value::Scalar(_) | Value::Seq(_) | Value::Map(_) | Value::Gone => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        match name {
            KEY if self.node.value == Value::Null => visitor.visit_unit(),
            KEY => visitor.visit_seq(KeyParts { decoder: self, part: 0 }),
            ONE_OR_MANY => visitor.visit_newtype_struct(ListOf(self)),
            SWITCH if self.node.text() == Some("off") => visitor.visit_newtype_struct(Off),
            SHORT_MATCH if self.node.text().is_some() => visitor.visit_newtype_struct(Short {
                key: "match",
                decoder: self,
            }),
            SHORT_NAME if self.node.text().is_some() => visitor.visit_newtype_struct(Short {
                key: "name",
                decoder: self,
            }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Seq(items) => visitor.visit_seq(Items {
                decoder: self,
                items: items.iter(),
            }),
            Value::Null | Value::Scalar(_) | Value::Map(_) | Value::Gone => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries {
                decoder: self,
                entries: entries.iter(),
                known: None,
                value: None,
            }),
            Value::Null | Value::Scalar(_) | Value::Seq(_) | Value::Gone => {
                Err(self.mismatch("a section of keys and values"))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries {
                decoder: self,
                entries: entries.iter(),
                known: Some(fields),
                value: None,
            }),
            Value::Null | Value::Scalar(_) | Value::Seq(_) | Value::Gone => {
                let wanted = if fields.len() > 6 {
                    "a section of keys and values".to_owned()
                } else {
                    format!("a section with the keys {}", fields.join(", "))
                };
                Err(self.mismatch(&wanted))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let entry = match &self.node.value {
            Value::Map(entries) => entries.first(),
            Value::Null | Value::Scalar(_) | Value::Seq(_) | Value::Gone => None,
        };
        let word = match entry {
            Some(entry) => entry.key.as_str(),
            None => self.text(&format!("one of {}", variants.join(", ")))?,
        };
        if !variants.contains(&word) {
            let hint = match nearest(word, variants.iter().copied()) {
                Some(variant) => format!("did you mean `{variant}`? It is one of {}", variants.join(", ")),
                None => format!("it is one of {}", variants.join(", ")),
            };
            return Err(Wrong(format!("`{}` is not known here\n{hint}", clip(word))));
        }
        if let Value::Map(entries) = &self.node.value {
            for more in entries.iter().skip(1) {
                self.fault(
                    more.id,
                    "only one key is possible here",
                    format!("`{word}` is there already"),
                );
            }
        }
        visitor.visit_enum(Choice {
            word,
            content: entry.map(|entry| self.on(&entry.node)),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

/// The two parts of a [`Key`]: where it was given, and its value; none where that is wrong, which is reported here.
struct KeyParts<'de> {
    decoder: Decoder<'de>,
    part: u8,
}

impl<'de> SeqAccess<'de> for KeyParts<'de> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        self.part += 1;
        if self.part == 1 {
            let id: U32Deserializer<Wrong> = self.decoder.node.id.into_deserializer();
            return seed.deserialize(id).map(Some);
        }
        match seed.deserialize(self.decoder) {
            Ok(value) => Ok(Some(value)),
            Err(Wrong(message)) => {
                let (what, hint) = message.split_once('\n').unwrap_or((&message, ""));
                if !what.is_empty() {
                    self.decoder.fault(self.decoder.node.id, what, hint);
                }
                Ok(None)
            }
        }
    }
}

struct Items<'de> {
    decoder: Decoder<'de>,
    items: std::slice::Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        for item in self.items.by_ref() {
            if item.value == Value::Null {
                self.decoder.fault(
                    item.id,
                    "an item of this list is empty",
                    "write a value, or remove the `-`",
                );
            } else {
                return seed.deserialize(self.decoder.on(item)).map(Some);
            }
        }
        Ok(None)
    }
}

struct Entries<'de> {
    decoder: Decoder<'de>,
    entries: std::slice::Iter<'de, Entry>,
    /// All keys that are possible here; none: any.
    known: Option<&'static [&'static str]>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        for entry in self.entries.by_ref() {
            if let Some(known) = self.known.filter(|known| !known.contains(&entry.key.as_str())) {
                self.decoder.report_unknown(entry, known);
                continue;
            }
            self.value = Some(&entry.node);
            return seed.deserialize(BorrowedStrDeserializer::new(&entry.key)).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let node = self
            .value
            .take()
            .ok_or_else(|| Wrong("a value without its key".to_owned()))?;
        seed.deserialize(self.decoder.on(node))
    }
}

/// A word, or a word with content: `auto`, `{regex: …}`.
struct Choice<'de> {
    word: &'de str,
    content: Option<Decoder<'de>>,
}

impl<'de> de::EnumAccess<'de> for Choice<'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Wrong> {
        Ok((seed.deserialize(BorrowedStrDeserializer::new(self.word))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Wrong(format!(
                "`{}` takes no value\nwrite only `{}`",
                self.word, self.word
            ))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Wrong> {
        match self.content {
            Some(content) => seed.deserialize(content),
            None => Err(Wrong(format!(
                "`{}` needs a value\nwrite {{{}: …}}",
                self.word, self.word
            ))),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Wrong> {
        Err(Wrong(format!("`{}` has no such form", self.word)))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _visitor: V) -> Result<V::Value, Wrong> {
        Err(Wrong(format!("`{}` has no such form", self.word)))
    }
}

/// A list, or one value seen as a list of one.
struct ListOf<'de>(Decoder<'de>);

impl<'de> de::Deserializer<'de> for ListOf<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.0.node.value {
            Value::Scalar(_) => visitor.visit_seq(Items {
                decoder: self.0,
                items: std::slice::from_ref(self.0.node).iter(),
            }),
            Value::Null | Value::Seq(_) | Value::Map(_) | Value::Gone => self.0.deserialize_seq(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// `off` of a [`Switch`].
struct Off;

impl<'de> de::Deserializer<'de> for Off {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// One value seen as a section that has only `key`.
struct Short<'de> {
    key: &'static str,
    decoder: Decoder<'de>,
}

impl<'de> de::Deserializer<'de> for Short<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let entry = std::iter::once((self.key, self.decoder));
        visitor.visit_map(de::value::MapDeserializer::new(entry))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Wrong> for Decoder<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
