//! What a model file says of itself beside its numbers: sizes, and what its scores mean ([`Calibration`]).

use super::ModelError;
use super::safetensors::Tensors;
use serde::Deserialize;

/// The kind of file and its version: what another version means is not guessed.
const FORMAT: &str = "log-electra";
const FORMAT_VERSION: &str = "1";
/// The paper's model is 512 wide, with 6 layers; these bounds leave room.
const WIDTH_MAX: usize = 2048;
const INNER_MAX: usize = 8192;
const LAYERS_MAX: usize = 24;
const POSITIONS_MAX: usize = 1024;
const VOCABULARY_MAX: usize = 1 << 16;
/// Held-out scores that a file may hold; thinned out by training.
const SCORES_MAX: usize = 4096;

/// Engines round differently: a line that was held out scores what it scored then, give or take so much.
const ROUNDING: f64 = 1e-5;

/// Sizes of the network, by their names in `config.json` of transformers.
#[derive(Debug, Clone, Deserialize)]
pub struct Sizes {
    pub vocab_size: usize,
    pub embedding_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f32,
}

impl Sizes {
    fn check(&self) -> Result<(), ModelError> {
        let bounds = [
            ("vocab_size", self.vocab_size, 4, VOCABULARY_MAX),
            ("embedding_size", self.embedding_size, 1, WIDTH_MAX),
            ("hidden_size", self.hidden_size, 1, WIDTH_MAX),
            ("num_hidden_layers", self.num_hidden_layers, 1, LAYERS_MAX),
            ("num_attention_heads", self.num_attention_heads, 1, self.hidden_size),
            ("intermediate_size", self.intermediate_size, 1, INNER_MAX),
            (
                "max_position_embeddings",
                self.max_position_embeddings,
                3,
                POSITIONS_MAX,
            ),
            ("type_vocab_size", self.type_vocab_size, 1, 16),
        ];
        for (name, value, low, high) in bounds {
            if !(low..=high).contains(&value) {
                return Err(ModelError::new(format!("{name} is {value}, wanted {low} to {high}")));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let why = format!(
                "{} heads do not divide a width of {}",
                self.num_attention_heads, self.hidden_size
            );
            return Err(ModelError::new(why));
        }
        if self.hidden_act != "gelu" {
            let why = format!("hidden_act is {:?}: only gelu is known", self.hidden_act);
            return Err(ModelError::new(why));
        }
        let plausible = (0.0..=1.0).contains(&self.layer_norm_eps);
        plausible
            .then_some(())
            .ok_or_else(|| ModelError::new("layer_norm_eps is no small number"))
    }
}

/// What scores mean, measured on normal lines that were held out of training.
#[derive(Debug, Clone, Deserialize)]
pub struct Calibration {
    /// How many lines were held out, and how many distinct strings they were.
    pub lines: u64,
    pub strings: u64,
    /// The share of normal lines that are found abnormal by the threshold in use.
    pub rate: f64,
    pub threshold: f64,
    /// Thresholds for other rates: (rate, threshold).
    pub thresholds: Vec<(f64, f64)>,
    /// The held-out scores, ascending, thinned out evenly.
    pub scores: Vec<f64>,
}

impl Calibration {
    fn check(&self) -> Result<(), ModelError> {
        let wrong = |why: &str| Err(ModelError::new(format!("calibration: {why}")));
        if self.scores.is_empty() || self.scores.len() > SCORES_MAX {
            return wrong(&format!("{} scores, wanted 1 to {SCORES_MAX}", self.scores.len()));
        }
        let pairs = self.thresholds.iter().flat_map(|(rate, threshold)| [rate, threshold]);
        let mut all = pairs.chain(&self.scores).chain([&self.rate, &self.threshold]);
        if !all.all(|number| number.is_finite() && *number >= 0.0) {
            return wrong("a number that is negative or not finite");
        }
        if !self.scores.is_sorted() {
            return wrong("the scores do not ascend");
        }
        if self.rate > 1.0 || self.thresholds.iter().any(|(rate, _)| *rate > 1.0) {
            return wrong("a rate above 1");
        }
        Ok(())
    }

    /// The share of held-out normal lines that do not score higher: near 1, hardly any normal line looks like this.
    pub fn confidence(&self, score: f64) -> f64 {
        let below = self.scores.partition_point(|held_out| *held_out <= score + ROUNDING);
        below as f64 / self.scores.len() as f64
    }
}

/// All of it, checked.
#[derive(Debug)]
pub struct Metadata {
    pub name: String,
    /// Where it came from, in the words of who trained it.
    pub origin: String,
    pub sizes: Sizes,
    pub calibration: Calibration,
    pub vocabulary: super::wordpiece::Vocabulary,
}

impl Metadata {
    /// # Errors
    /// Says which part is missing or wrong.
    pub fn read(tensors: &Tensors<'_>) -> Result<Self, ModelError> {
        for (key, known) in [
            ("format", FORMAT),
            ("format_version", FORMAT_VERSION),
            ("normaliser", &super::normalise::VERSION.to_string()),
        ] {
            let found = tensors.text(key)?;
            if found != known {
                let why = format!("{key} is {found:?}, this program knows {known:?}: train it again, or update");
                return Err(ModelError::new(why));
            }
        }
        let sizes: Sizes = parse("config", tensors.text("config")?)?;
        sizes.check()?;
        let calibration: Calibration = parse("calibration", tensors.text("calibration")?)?;
        calibration.check()?;
        let vocabulary = super::wordpiece::Vocabulary::new(tensors.text("vocabulary")?)?;
        if vocabulary.len() != sizes.vocab_size {
            let (found, wanted) = (vocabulary.len(), sizes.vocab_size);
            return Err(ModelError::new(format!(
                "vocabulary: {found} pieces, vocab_size is {wanted}"
            )));
        }
        Ok(Self {
            name: tensors.text("name")?.to_owned(),
            origin: tensors.text("origin")?.to_owned(),
            sizes,
            calibration,
            vocabulary,
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(key: &str, text: &'a str) -> Result<T, ModelError> {
    serde_json::from_str(text).map_err(|error| ModelError::new(format!("{key}: {error}")))
}
