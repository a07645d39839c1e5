//! The building blocks of the shapes in `file`: values that remember where they were given, and the short forms that
//! YAML users expect (`off`, one value instead of a list of one, text instead of a section with one key).
//!
//! They ask the decoder for more than serde's data model has by names that begin with `$`.

use super::tree::NodeId;
use serde::de::{self, Deserialize, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A value of the configuration that remembers where it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Key<T> {
    at: Option<NodeId>,
    value: Option<T>,
}

impl<T> Default for Key<T> {
    fn default() -> Self {
        Self { at: None, value: None }
    }
}

impl<T> Key<T> {
    /// The value, unless it is absent or wrong.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The value with its place.
    pub fn placed(&self) -> Option<(NodeId, &T)> {
        self.at.zip(self.value.as_ref())
    }

    /// Where it was given, right or wrong.
    pub fn at(&self) -> Option<NodeId> {
        self.at
    }

    pub fn is_given(&self) -> bool {
        self.at.is_some()
    }
}

impl<T: Clone> Key<T> {
    pub fn or(&self, default: T) -> T {
        self.value.clone().unwrap_or(default)
    }
}

impl<T: Default> Key<T> {
    /// The section, an empty one where it is absent or wrong.
    pub fn section(self) -> T {
        self.value.unwrap_or_default()
    }
}

/// Names by which the types of `file` ask the decoder for more than serde's data model has.
pub(super) const KEY: &str = "$key";
pub(super) const ONE_OR_MANY: &str = "$one-or-many";
pub(super) const SWITCH: &str = "$switch";
pub(super) const SHORT_MATCH: &str = "$short:match";
pub(super) const SHORT_NAME: &str = "$short:name";

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename = "$one-or-many")]
pub struct OneOrMany<T>(pub Vec<Key<T>>);

/// `off`, or a section.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename = "$switch")]
pub struct Switch<T>(pub Option<T>);

/// A section, or only the text of its `match`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename = "$short:match")]
pub struct ShortMatch<T>(pub T);

/// A section, or only the text of its `name`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename = "$short:name")]
pub struct ShortName<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Key<T> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for KeyVisitor<T> {
            type Value = Key<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Key<T>, E> {
                Ok(Key::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Key<T>, A::Error> {
                Ok(Key {
                    at: seq.next_element()?,
                    value: seq.next_element()?,
                })
            }
        }

        deserializer.deserialize_newtype_struct(KEY, KeyVisitor(PhantomData))
    }
}
