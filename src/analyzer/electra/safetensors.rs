//! The container of a model file: safetensors, of which nothing is trusted.
//!
//! Eight bytes, little-endian: the length of the header; the header: JSON, names to `{dtype, shape, data_offsets}` and
//! `__metadata__` to texts; then the numbers. See <https://github.com/huggingface/safetensors>. Every length is checked
//! against the bytes that there are before anything is allocated for it.

use super::ModelError;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Vocabulary and calibration are in the header; a large vocabulary has half of this.
const HEADER_BYTES_MAX: usize = 4 << 20;
const LENGTH_BYTES: usize = 8;

#[derive(Debug, Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: Type,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Type {
    F16,
    F32,
}

impl Type {
    const fn bytes(self) -> usize {
        match self {
            Type::F16 => 2,
            Type::F32 => 4,
        }
    }
}

/// What is in the file and was not taken yet.
#[derive(Debug)]
pub struct Tensors<'a> {
    metadata: BTreeMap<String, String>,
    entries: BTreeMap<String, Entry>,
    data: &'a [u8],
}

impl<'a> Tensors<'a> {
    /// # Errors
    /// Says what is wrong with the file.
    pub fn parse(file: &'a [u8]) -> Result<Self, ModelError> {
        let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
            let why = format!("it has {} bytes: no model, or cut off", file.len());
            return Err(ModelError::new(why));
        };
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > HEADER_BYTES_MAX {
            let why = format!("it says that its header has {length} bytes: no model (safetensors) file");
            return Err(ModelError::new(why));
        }
        let Some((header, data)) = rest.split_at_checked(length) else {
            let why = format!("its header is cut off: {} of {length} bytes", rest.len());
            return Err(ModelError::new(why));
        };
        let header: Header = serde_json::from_slice(header)
            .map_err(|error| ModelError::new(format!("its header is no safetensors header: {error}")))?;
        check_layout(&header.tensors, data.len())?;
        Ok(Self {
            metadata: header.metadata,
            entries: header.tensors,
            data,
        })
    }

    /// # Errors
    /// The text is missing: a safetensors file, but not one of ours.
    pub fn text(&self, key: &str) -> Result<&str, ModelError> {
        let text = self.metadata.get(key).map(String::as_str);
        text.ok_or_else(|| {
            ModelError::new(format!(
                "no `{key}` in its metadata: not written by train_log_electra.py"
            ))
        })
    }

    /// Numbers in all tensors.
    pub fn parameters(&self) -> usize {
        let sizes = self.entries.values();
        sizes.map(|entry| entry.shape.iter().product::<usize>()).sum()
    }

    /// The numbers of a tensor, which must have this shape; row by row.
    ///
    /// # Errors
    /// It is missing, of another shape, or a number is not finite.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Some(entry) = self.entries.remove(name) else {
            return Err(ModelError::new(format!("tensor {name} is missing")));
        };
        if entry.shape != shape {
            let why = format!("tensor {name} has shape {:?}, wanted {shape:?}", entry.shape);
            return Err(ModelError::new(why));
        }
        let (begin, end) = entry.data_offsets;
        let bytes = &self.data[begin..end];
        let numbers: Vec<f32> = match entry.dtype {
            Type::F16 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|two| from_f16(u16::from_le_bytes(*two)))
                .collect(),
            Type::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|four| f32::from_le_bytes(*four))
                .collect(),
        };
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(ModelError::new(format!(
                "tensor {name} holds a number that is not finite"
            )));
        }
        Ok(numbers)
    }

    /// # Errors
    /// Tensors that nobody took: the file is of another kind of model than it says.
    pub fn finish(self) -> Result<(), ModelError> {
        self.entries.keys().next().map_or(Ok(()), |name| {
            Err(ModelError::new(format!(
                "tensor {name} has no place in this kind of model"
            )))
        })
    }
}

/// Each tensor has the bytes that its shape needs, and together they are the data: no hole, no overlap.
fn check_layout(tensors: &BTreeMap<String, Entry>, data: usize) -> Result<(), ModelError> {
    let mut spans = Vec::with_capacity(tensors.len());
    for (name, entry) in tensors {
        let needed = entry
            .shape
            .iter()
            .try_fold(entry.dtype.bytes(), |product, side| product.checked_mul(*side));
        let (begin, end) = entry.data_offsets;
        if needed.is_none() || end.checked_sub(begin) != needed {
            let why = format!(
                "tensor {name}: bytes {begin} to {end} do not hold a shape of {:?}",
                entry.shape
            );
            return Err(ModelError::new(why));
        }
        spans.push((begin, end, name));
    }
    spans.sort_unstable();
    let mut expected = 0;
    for (begin, end, name) in spans {
        if begin != expected {
            let why = format!("tensor {name} begins at byte {begin} of the data, wanted {expected}");
            return Err(ModelError::new(why));
        }
        expected = end;
    }
    if expected != data {
        return Err(ModelError::new(format!(
            "its data is cut off or too long: {data} bytes, wanted {expected}"
        )));
    }
    Ok(())
}

/// IEEE 754 half precision, exactly.
fn from_f16(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7FFF);
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    match magnitude >> 10 {
        // Subnormal: a multiple of 2^-24.
        0 => sign * magnitude as f32 * 2f32.powi(-24),
        31 if magnitude & 0x3FF == 0 => sign * f32::INFINITY,
        31 => f32::NAN,
        // The exponent's bias is 15 there, 127 here.
        _ => sign * f32::from_bits((magnitude << 13) + ((127 - 15) << 23)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_read_exactly() {
        for (bits, want) in [
            (0x0000, 0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0400, 2f32.powi(-14)),
            (0x0001, 2f32.powi(-24)),
            (0x83FF, -1023.0 * 2f32.powi(-24)),
            (0x3555, 0.333_251_95),
            (0xFC00, f32::NEG_INFINITY),
        ] {
            assert_eq!(from_f16(bits), want, "{bits:#06x}");
        }
        assert!(from_f16(0x7C01).is_nan());
    }
}
