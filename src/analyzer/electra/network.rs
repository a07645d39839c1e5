//! The forward pass of ELECTRA's discriminator (Clark et al. 2020, arXiv:2003.10555), as `ElectraForPreTraining` of
//! transformers computes it without dropout: for each piece a logit of having been replaced.

use super::ModelError;
use super::matrix::{LayerNorm, Linear, add_scaled, dot, gelu, softmax};
use super::metadata::Sizes;
use super::safetensors::Tensors;

#[derive(Debug)]
pub struct Network {
    heads: usize,
    width: usize,
    embedding_width: usize,
    words: Vec<f32>,
    /// Of the position and of the first token type, added: every piece has that type.
    positions: Vec<f32>,
    embedding_norm: LayerNorm,
    /// Where embeddings are not as wide as the layers.
    projection: Option<Linear>,
    layers: Vec<Layer>,
    head: Linear,
    head_out: Vec<f32>,
    head_bias: f32,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attention_norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    norm: LayerNorm,
}

/// Memory of one forward pass, kept for the next.
#[derive(Debug, Default)]
pub struct Buffers {
    gathered: Vec<[f32; 4]>,
    hidden: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    inner: Vec<f32>,
    out: Vec<f32>,
    weights: Vec<f32>,
}

impl Network {
    /// # Errors
    /// A tensor is missing or has another shape than `sizes` say.
    pub fn read(sizes: &Sizes, file: &mut Tensors<'_>) -> Result<Self, ModelError> {
        let (width, embedding_width) = (sizes.hidden_size, sizes.embedding_size);
        let embedding = |file: &mut Tensors<'_>, name: &str, rows: usize| {
            file.take(
                &format!("electra.embeddings.{name}_embeddings.weight"),
                &[rows, embedding_width],
            )
        };
        let words = embedding(file, "word", sizes.vocab_size)?;
        let mut positions = embedding(file, "position", sizes.max_position_embeddings)?;
        let types = embedding(file, "token_type", sizes.type_vocab_size)?;
        for position in positions.chunks_exact_mut(embedding_width) {
            add_scaled(position, &types[..embedding_width], 1.0);
        }
        let embedding_norm = norm(file, "electra.embeddings", embedding_width, sizes.layer_norm_eps)?;
        let projection = (embedding_width != width)
            .then(|| linear(file, "electra.embeddings_project", embedding_width, width))
            .transpose()?;
        let mut layers = Vec::new();
        for number in 0..sizes.num_hidden_layers {
            layers.push(Layer::read(sizes, &format!("electra.encoder.layer.{number}"), file)?);
        }
        let head = linear(file, "discriminator_predictions.dense", width, width)?;
        let head_out = file.take("discriminator_predictions.dense_prediction.weight", &[1, width])?;
        let head_bias = file.take("discriminator_predictions.dense_prediction.bias", &[1])?[0];
        Ok(Self {
            heads: sizes.num_attention_heads,
            width,
            embedding_width,
            words,
            positions,
            embedding_norm,
            projection,
            layers,
            head,
            head_out,
            head_bias,
        })
    }

    /// One logit for each piece. `pieces` are numbers of the vocabulary, at most as many as there are positions.
    pub fn logits(&self, pieces: &[u32], buffers: &mut Buffers, logits: &mut Vec<f32>) {
        self.embed(pieces, buffers);
        for layer in &self.layers {
            layer.attend(self.heads, self.width, buffers);
            layer.transform(buffers);
        }
        let Buffers {
            gathered, hidden, out, ..
        } = buffers;
        self.head.apply(hidden, gathered, out);
        gelu(out);
        logits.clear();
        let rows = out.chunks_exact(self.width);
        logits.extend(rows.map(|row| dot(row, &self.head_out) + self.head_bias));
    }

    fn embed(&self, pieces: &[u32], buffers: &mut Buffers) {
        let Buffers {
            gathered, hidden, out, ..
        } = buffers;
        let wide = self.embedding_width;
        hidden.clear();
        for (piece, position) in pieces.iter().zip(self.positions.chunks_exact(wide)) {
            let word = &self.words[*piece as usize * wide..][..wide];
            hidden.extend(word.iter().zip(position).map(|(word, position)| word + position));
        }
        self.embedding_norm.apply(hidden);
        if let Some(projection) = &self.projection {
            projection.apply(hidden, gathered, out);
            std::mem::swap(hidden, out);
        }
    }
}

impl Layer {
    fn read(sizes: &Sizes, name: &str, file: &mut Tensors<'_>) -> Result<Self, ModelError> {
        let (width, inner, epsilon) = (sizes.hidden_size, sizes.intermediate_size, sizes.layer_norm_eps);
        Ok(Self {
            query: linear(file, &format!("{name}.attention.self.query"), width, width)?,
            key: linear(file, &format!("{name}.attention.self.key"), width, width)?,
            value: linear(file, &format!("{name}.attention.self.value"), width, width)?,
            attended: linear(file, &format!("{name}.attention.output.dense"), width, width)?,
            attention_norm: norm(file, &format!("{name}.attention.output"), width, epsilon)?,
            inner: linear(file, &format!("{name}.intermediate.dense"), width, inner)?,
            outer: linear(file, &format!("{name}.output.dense"), inner, width)?,
            norm: norm(file, &format!("{name}.output"), width, epsilon)?,
        })
    }

    /// Self-attention, and what it adds to `hidden`.
    fn attend(&self, heads: usize, width: usize, buffers: &mut Buffers) {
        let Buffers {
            gathered,
            hidden,
            query,
            key,
            value,
            attended,
            out,
            weights,
            ..
        } = buffers;
        self.query.apply(hidden, gathered, query);
        self.key.apply(hidden, gathered, key);
        self.value.apply(hidden, gathered, value);
        attended.clear();
        attended.resize(hidden.len(), 0.0);
        let head_width = width / heads;
        let factor = 1.0 / (head_width as f32).sqrt();
        for first in (0..width).step_by(head_width) {
            let head = first..first + head_width;
            for (query, attended) in query.chunks_exact(width).zip(attended.chunks_exact_mut(width)) {
                let query = &query[head.clone()];
                let keys = key.chunks_exact(width);
                weights.clear();
                weights.extend(keys.map(|key| dot(query, &key[head.clone()]) * factor));
                softmax(weights);
                for (value, weight) in value.chunks_exact(width).zip(weights.iter()) {
                    add_scaled(&mut attended[head.clone()], &value[head.clone()], *weight);
                }
            }
        }
        self.attended.apply(attended, gathered, out);
        add_scaled(hidden, out, 1.0);
        self.attention_norm.apply(hidden);
    }

    /// The two layers for each position by itself, and what they add to `hidden`.
    fn transform(&self, buffers: &mut Buffers) {
        let Buffers {
            gathered,
            hidden,
            inner,
            out,
            ..
        } = buffers;
        self.inner.apply(hidden, gathered, inner);
        gelu(inner);
        self.outer.apply(inner, gathered, out);
        add_scaled(hidden, out, 1.0);
        self.norm.apply(hidden);
    }
}

fn linear(file: &mut Tensors<'_>, name: &str, inputs: usize, outputs: usize) -> Result<Linear, ModelError> {
    let weights = file.take(&format!("{name}.weight"), &[outputs, inputs])?;
    let bias = file.take(&format!("{name}.bias"), &[outputs])?;
    Ok(Linear::new(&weights, &bias, inputs))
}

fn norm(file: &mut Tensors<'_>, name: &str, width: usize, epsilon: f32) -> Result<LayerNorm, ModelError> {
    let scale = file.take(&format!("{name}.LayerNorm.weight"), &[width])?;
    let shift = file.take(&format!("{name}.LayerNorm.bias"), &[width])?;
    Ok(LayerNorm::new(scale, shift, epsilon))
}
