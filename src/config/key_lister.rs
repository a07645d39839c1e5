//! Every key that the shapes of `file` know, found by decoding a document that has them all. For tests: what is
//! documented is compared with what is there.

use super::key::KEY;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use std::cell::RefCell;

#[derive(Clone)]
pub struct KeyLister<'k> {
    path: String,
    keys: &'k RefCell<Vec<String>>,
}

impl KeyLister<'_> {
    /// Paths such as `sources[].labels`, in the order of the shapes.
    pub fn keys_of<T: de::DeserializeOwned>() -> Vec<String> {
        let keys = RefCell::new(Vec::new());
        let decoded = T::deserialize(KeyLister {
            path: String::new(),
            keys: &keys,
        });
        assert!(decoded.is_ok(), "{:?}", decoded.err());
        keys.into_inner()
    }

    fn below(&self, key: &str) -> Self {
        let path = super::place::key_path(&self.path, key);
        self.keys.borrow_mut().push(path.clone());
        Self { path, keys: self.keys }
    }
}

impl<'de, 'k> de::Deserializer<'de> for KeyLister<'k> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("0")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u32(0)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(0.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            KEY => visitor.visit_seq(Parts {
                lister: self,
                left: 2,
                of_key: true,
            }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let item = Self {
            path: format!("{}[]", self.path),
            keys: self.keys,
        };
        visitor.visit_seq(Parts {
            lister: item,
            left: 1,
            of_key: false,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Fields {
            lister: self,
            fields: [].iter(),
            next: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields {
            lister: self,
            fields: fields.iter(),
            next: None,
        })
    }

    /// The variants with content come last.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let last = variants.last().copied().unwrap_or_default();
        visitor.visit_enum(Variant {
            lister: self,
            name: last,
        })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

struct Parts<'k> {
    lister: KeyLister<'k>,
    left: u8,
    /// The first of two parts is an id.
    of_key: bool,
}

impl<'de> de::SeqAccess<'de> for Parts<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if self.of_key && self.left == 1 {
            return seed.deserialize(0u32.into_deserializer()).map(Some);
        }
        seed.deserialize(self.lister.clone()).map(Some)
    }
}

struct Fields<'k> {
    lister: KeyLister<'k>,
    fields: std::slice::Iter<'static, &'static str>,
    next: Option<&'static str>,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next = self.fields.next().copied();
        self.next
            .map(|field| seed.deserialize(StrDeserializer::new(field)))
            .transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.lister.below(self.next.unwrap_or_default()))
    }
}

struct Variant<'k> {
    lister: KeyLister<'k>,
    name: &'static str,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        Ok((seed.deserialize(StrDeserializer::<Error>::new(self.name))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.lister.below(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}
