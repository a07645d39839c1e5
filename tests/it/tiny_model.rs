//! Model files made by code: one that knows a few words and finds all others strange, and one of waves.
//!
//! Used by the tests of the program and by those of `analyzer::electra`; it needs no Python and no training.

use serde_json::{Map, Value, json};

/// A model file, put together tensor by tensor.
#[derive(Debug)]
pub struct TinyModel {
    pub config: Value,
    pub calibration: Value,
    pub vocabulary: Vec<String>,
    /// Name, shape, numbers.
    pub tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
    /// Texts of the header beside those above.
    pub metadata: Vec<(&'static str, String)>,
}

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

impl TinyModel {
    /// A line scores 0.02 where all its words are `known`, 4.0 where none is; abnormal above 1.
    pub fn that_knows(known: &[&str]) -> Self {
        let mut model = Self::of_zeros(known, 4, 4, 1);
        model.set("word_embeddings.weight", |at| {
            let unknown = at / 4 == 1;
            if unknown == (at % 2 == 0) { -1.0 } else { 1.0 }
        });
        model.set("discriminator_predictions.dense.weight", |at| {
            f32::from(u8::from(at / 4 == at % 4))
        });
        model.set("dense_prediction.weight", |at| [-4.0, 4.0, 0.0, 0.0][at]);
        model
    }

    /// Numbers that differ everywhere: two layers, two heads, embeddings narrower than the layers.
    pub fn of_waves(known: &[&str]) -> Self {
        let mut model = Self::of_zeros(known, 6, 8, 2);
        for (number, (name, _, numbers)) in model.tensors.iter_mut().enumerate() {
            let offset = if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
            for (at, value) in numbers.iter_mut().enumerate() {
                *value = offset + (0.4 * (0.7 * at as f64 + number as f64).sin()) as f32;
            }
        }
        model
    }

    fn of_zeros(known: &[&str], embedding: usize, width: usize, layers: usize) -> Self {
        let vocabulary: Vec<String> = SPECIAL.iter().chain(known).map(|piece| (*piece).to_owned()).collect();
        let (heads, inner, positions) = (2, 2 * width, 16);
        let config = json!({
            "vocab_size": vocabulary.len(), "embedding_size": embedding, "hidden_size": width, "num_hidden_layers": layers,
            "num_attention_heads": heads, "intermediate_size": inner, "max_position_embeddings": positions,
            "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        });
        let scores: Vec<f64> = (0..100).map(|n| f64::from(n) / 100.0).collect();
        let calibration = json!({
            "lines": 1000, "strings": 100, "rate": 0.01, "threshold": 1.0, "thresholds": [[0.01, 1.0], [0.05, 0.95]],
            "scores": scores,
        });
        let mut model = Self {
            config,
            calibration,
            tensors: Vec::new(),
            metadata: vec![
                ("format", "log-electra".to_owned()),
                ("format_version", "1".to_owned()),
                ("normaliser", "1".to_owned()),
                ("name", "tiny".to_owned()),
                ("origin", "made by a test".to_owned()),
            ],
            vocabulary,
        };
        model.add_tensors(embedding, width, layers, inner, positions);
        model
    }

    fn add_tensors(&mut self, embedding: usize, width: usize, layers: usize, inner: usize, positions: usize) {
        let words = self.vocabulary.len();
        self.add("electra.embeddings.word_embeddings.weight", &[words, embedding]);
        self.add("electra.embeddings.position_embeddings.weight", &[positions, embedding]);
        self.add("electra.embeddings.token_type_embeddings.weight", &[2, embedding]);
        self.add_norm("electra.embeddings", embedding);
        if embedding != width {
            self.add_linear("electra.embeddings_project", embedding, width);
        }
        for layer in 0..layers {
            let layer = format!("electra.encoder.layer.{layer}");
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                self.add_linear(&format!("{layer}.attention.{part}"), width, width);
            }
            self.add_norm(&format!("{layer}.attention.output"), width);
            self.add_linear(&format!("{layer}.intermediate.dense"), width, inner);
            self.add_linear(&format!("{layer}.output.dense"), inner, width);
            self.add_norm(&format!("{layer}.output"), width);
        }
        self.add_linear("discriminator_predictions.dense", width, width);
        self.add_linear("discriminator_predictions.dense_prediction", width, 1);
    }

    fn add(&mut self, name: &str, shape: &[usize]) {
        let count = shape.iter().product();
        self.tensors.push((name.to_owned(), shape.to_vec(), vec![0.0; count]));
    }

    fn add_linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.add(&format!("{name}.weight"), &[outputs, inputs]);
        self.add(&format!("{name}.bias"), &[outputs]);
    }

    fn add_norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.LayerNorm.weight"), &[width]);
        self.set(&format!("{name}.LayerNorm.weight"), |_| 1.0);
        self.add(&format!("{name}.LayerNorm.bias"), &[width]);
    }

    /// The tensor whose name ends so.
    pub fn tensor(&mut self, name: &str) -> &mut (String, Vec<usize>, Vec<f32>) {
        let found = self.tensors.iter_mut().find(|(full, ..)| full.ends_with(name));
        found.expect("the model has this tensor")
    }

    pub fn set(&mut self, name: &str, number: impl Fn(usize) -> f32) {
        for (at, value) in self.tensor(name).2.iter_mut().enumerate() {
            *value = number(at);
        }
    }

    /// The file, as safetensors in single precision.
    pub fn bytes(&self) -> Vec<u8> {
        let mut header = Map::new();
        let mut texts: Map<String, Value> = self.metadata.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        texts.insert("config".to_owned(), json!(self.config.to_string()));
        texts.insert("calibration".to_owned(), json!(self.calibration.to_string()));
        texts.insert("vocabulary".to_owned(), json!(self.vocabulary.join("\n")));
        header.insert("__metadata__".to_owned(), Value::Object(texts));
        let mut data = Vec::new();
        for (name, shape, numbers) in &self.tensors {
            let begin = data.len();
            numbers.iter().for_each(|number| data.extend(number.to_le_bytes()));
            let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
            header.insert(name.clone(), entry);
        }
        let header = Value::Object(header).to_string();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }
}
