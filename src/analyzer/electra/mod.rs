//! LogELECTRA on the device: a model file, read once, scores log lines without Python and without a network.
//!
//! The score of a line is −mean log(1 − D(piece)), D the discriminator's probability that a piece was replaced
//! (Yamanaka et al. 2024, arXiv:2402.10397). It equals what `scripts/log_electra_service.py` computes with transformers,
//! within 1e-4: both read weights that were rounded to half precision. Pure: whoever has the file hands its bytes to
//! [`Model::from_bytes`] or a reader to [`Model::read`]; a bad file is a [`ModelError`], never a panic.

mod matrix;
mod metadata;
mod network;
mod normalise;
mod safetensors;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[path = "../../../tests/it/tiny_model.rs"]
mod tiny_model;
mod wordpiece;

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::Read;

/// The paper's size has 60 MB in half precision. In memory a model has twice its file's size.
pub const MODEL_BYTES_MAX: u64 = 256 << 20;
/// Digits of the file's hash that stand for a version.
const VERSION_DIGITS: usize = 12;
/// Logits are cut here: a score stays a finite number, whatever a file holds.
const LOGIT_MAX: f32 = 30.0;

/// A model, ready to score. One for all threads; each has a [`Scratch`] of its own.
#[derive(Debug)]
pub struct Model {
    metadata: metadata::Metadata,
    network: network::Network,
    version: String,
    file_bytes: usize,
    parameters: usize,
}

/// Memory for scoring, reused from line to line.
#[derive(Debug, Default)]
pub struct Scratch {
    pieces: Vec<u32>,
    logits: Vec<f32>,
    buffers: network::Buffers,
}

/// What a model says of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// From 0; higher is stranger.
    pub score: f64,
    /// The share of held-out normal lines that do not score higher, 0 to 1.
    pub confidence: f64,
    /// The score is above the model's threshold.
    pub abnormal: bool,
}

/// What a person wants to know of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    pub name: String,
    /// The first digits of the file's SHA-256.
    pub version: String,
    /// Where it came from, in the words of who trained it.
    pub origin: String,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    /// Pieces that a line is cut to.
    pub positions: usize,
    pub vocabulary: usize,
    pub parameters: usize,
    pub file_bytes: usize,
    /// Share of held-out normal lines above the threshold in use.
    pub rate: f64,
    pub threshold: f64,
    /// Other rates and their thresholds.
    pub thresholds: Vec<(f64, f64)>,
    /// Normal lines that were held out, and how many distinct strings they were.
    pub calibration_lines: u64,
    pub calibration_strings: u64,
}

/// Why a file is no model that can be used; the caller adds the file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError(String);

impl ModelError {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no usable model: {}", self.0)
    }
}

impl std::error::Error for ModelError {}

impl Model {
    /// Reads a whole model file, at most [`MODEL_BYTES_MAX`].
    ///
    /// # Errors
    /// What the reader says, and whatever is wrong with the file.
    pub fn read(file: impl Read) -> Result<Self, ModelError> {
        let mut bytes = Vec::new();
        let read = file.take(MODEL_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| ModelError::new(error.to_string()))?;
        Self::from_bytes(&bytes)
    }

    /// # Errors
    /// Whatever is wrong with the file.
    pub fn from_bytes(file: &[u8]) -> Result<Self, ModelError> {
        if file.len() as u64 > MODEL_BYTES_MAX {
            let mib = MODEL_BYTES_MAX >> 20;
            return Err(ModelError::new(format!("the file is larger than {mib} MiB")));
        }
        let mut tensors = safetensors::Tensors::parse(file)?;
        let metadata = metadata::Metadata::read(&tensors)?;
        let parameters = tensors.parameters();
        let network = network::Network::read(&metadata.sizes, &mut tensors)?;
        tensors.finish()?;
        let mut version: String = Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect();
        version.truncate(VERSION_DIGITS);
        Ok(Self {
            metadata,
            network,
            version,
            file_bytes: file.len(),
            parameters,
        })
    }

    /// Scores one message: what its writer said, without time stamp and level, as `message` of an alert has it. Redacted
    /// or not makes little difference; only the first KiB counts.
    pub fn score(&self, text: &str, scratch: &mut Scratch) -> Score {
        let Scratch {
            pieces,
            logits,
            buffers,
        } = scratch;
        let positions = self.metadata.sizes.max_position_embeddings;
        self.metadata.vocabulary.encode(text, positions, pieces);
        // Between the marks of begin and end.
        let inner = 1..pieces.len() - 1;
        let calibration = &self.metadata.calibration;
        if inner.is_empty() {
            // Nothing was said, so nothing is strange.
            return Score {
                score: 0.0,
                confidence: 0.0,
                abnormal: false,
            };
        }
        self.network.logits(pieces, buffers, logits);
        let surprises = logits[inner.clone()].iter().map(|logit| surprise(*logit));
        let score = surprises.sum::<f64>() / inner.len() as f64;
        Score {
            score,
            confidence: calibration.confidence(score),
            abnormal: score > calibration.threshold,
        }
    }

    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Verdicts above this score are abnormal.
    pub fn threshold(&self) -> f64 {
        self.metadata.calibration.threshold
    }

    /// The share of normal lines that the threshold is calibrated to find abnormal.
    pub fn rate(&self) -> f64 {
        self.metadata.calibration.rate
    }

    pub fn info(&self) -> Info {
        let metadata::Metadata {
            name,
            origin,
            sizes,
            calibration,
            vocabulary,
        } = &self.metadata;
        Info {
            name: name.clone(),
            version: self.version.clone(),
            origin: origin.clone(),
            width: sizes.hidden_size,
            layers: sizes.num_hidden_layers,
            heads: sizes.num_attention_heads,
            positions: sizes.max_position_embeddings,
            vocabulary: vocabulary.len(),
            parameters: self.parameters,
            file_bytes: self.file_bytes,
            rate: calibration.rate,
            threshold: calibration.threshold,
            thresholds: calibration.thresholds.clone(),
            calibration_lines: calibration.lines,
            calibration_strings: calibration.strings,
        }
    }
}

/// −log(1 − D), D the logistic function of the logit.
fn surprise(logit: f32) -> f64 {
    let logit = if logit.is_nan() { LOGIT_MAX } else { logit };
    f64::from(logit.clamp(-LOGIT_MAX, LOGIT_MAX)).exp().ln_1p()
}
