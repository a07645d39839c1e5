//! The few operations that a transformer needs, over rows of `f32`, in plain code that the compiler makes vectors of.
//!
//! A [`Linear`] keeps its weights in panels of [`LANES`] outputs; [`ROWS`] rows of the input are multiplied at a time, so
//! that a panel is read once for all of them and the sums stay in registers. The sums' order is fixed: the same file
//! gives the same scores on every host of one architecture.

/// Outputs that are summed side by side: two SSE registers, or two NEON ones.
const LANES: usize = 8;
/// Rows of the input that are multiplied at a time: 4 × 8 sums fill half of the registers of x86.
const ROWS: usize = 4;

/// `y = x·Wᵀ + b`.
#[derive(Debug)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    /// For each panel of outputs one chunk for each input; missing outputs are zero.
    panels: Vec<[f32; LANES]>,
    bias: Vec<[f32; LANES]>,
}

impl Linear {
    /// `weights`: row by row, a row for each output; `bias`: one for each output.
    pub fn new(weights: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        let mut panels = vec![[0.0; LANES]; inputs * outputs.div_ceil(LANES)];
        for (output, row) in weights.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / LANES * inputs..][..inputs];
            for (chunk, weight) in panel.iter_mut().zip(row) {
                chunk[output % LANES] = *weight;
            }
        }
        let mut padded = vec![[0.0; LANES]; outputs.div_ceil(LANES)];
        for (output, bias) in bias.iter().enumerate() {
            padded[output / LANES][output % LANES] = *bias;
        }
        Self {
            inputs,
            outputs,
            panels,
            bias: padded,
        }
    }

    /// `rows`: whole rows of `inputs`; `out` becomes as many rows of `outputs`.
    pub fn apply(&self, rows: &[f32], gathered: &mut Vec<[f32; ROWS]>, out: &mut Vec<f32>) {
        out.clear();
        out.resize(rows.len() / self.inputs * self.outputs, 0.0);
        let blocks = rows.chunks(self.inputs * ROWS);
        for (block, out) in blocks.zip(out.chunks_mut(self.outputs * ROWS)) {
            self.gather(block, gathered);
            for (number, (panel, bias)) in self.panels.chunks_exact(self.inputs).zip(&self.bias).enumerate() {
                let sums = multiply(panel, gathered, bias);
                let first = number * LANES;
                let width = LANES.min(self.outputs - first);
                for (row, sums) in out.chunks_exact_mut(self.outputs).zip(&sums) {
                    row[first..first + width].copy_from_slice(&sums[..width]);
                }
            }
        }
    }

    /// The rows of a block side by side; rows that are missing in the last block are zero.
    fn gather(&self, block: &[f32], gathered: &mut Vec<[f32; ROWS]>) {
        gathered.clear();
        gathered.resize(self.inputs, [0.0; ROWS]);
        for (number, row) in block.chunks_exact(self.inputs).enumerate() {
            for (column, value) in gathered.iter_mut().zip(row) {
                column[number] = *value;
            }
        }
    }
}

#[inline]
fn multiply(panel: &[[f32; LANES]], gathered: &[[f32; ROWS]], bias: &[f32; LANES]) -> [[f32; LANES]; ROWS] {
    let mut sums = [*bias; ROWS];
    for (weights, values) in panel.iter().zip(gathered) {
        for (sums, value) in sums.iter_mut().zip(values) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    sums
}

/// The sum of products, in [`LANES`] partial sums.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// `out += factor · row`.
pub fn add_scaled(out: &mut [f32], row: &[f32], factor: f32) {
    for (out, value) in out.iter_mut().zip(row) {
        *out += factor * value;
    }
}

/// Exponentials over their sum.
pub fn softmax(row: &mut [f32]) {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - highest).exp();
        sum += *value;
    }
    for value in row.iter_mut() {
        *value /= sum;
    }
}

/// Mean 0 and variance 1, then scale and shift.
#[derive(Debug)]
pub struct LayerNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    pub fn new(scale: Vec<f32>, shift: Vec<f32>, epsilon: f32) -> Self {
        Self { scale, shift, epsilon }
    }

    pub fn apply(&self, rows: &mut [f32]) {
        let width = self.scale.len();
        for row in rows.chunks_exact_mut(width) {
            let mean = row.iter().sum::<f32>() / width as f32;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / width as f32;
            let factor = 1.0 / (variance + self.epsilon).sqrt();
            for ((value, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
                *value = (*value - mean) * factor * scale + shift;
            }
        }
    }
}

/// `x · Φ(x)`, Φ the normal distribution.
pub fn gelu(values: &mut [f32]) {
    for value in values {
        *value = 0.5 * *value * (1.0 + erf(*value * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// The error function, within 1e-6: `x · p(x²)` up to ±3.5, where it is 1 but for 7e-7; p is the Chebyshev interpolation
/// of degree 12 in `u = 2·x²/3.5² − 1`. Without `exp`, so that the compiler can make vectors of it.
fn erf(x: f32) -> f32 {
    const LIMIT: f32 = 3.5;
    // p by powers of u, from the highest.
    const COEFFICIENTS: [f32; 13] = [
        0.001_714_718_3,
        -0.004_132_792_4,
        0.003_848_249_6,
        -0.006_865_867,
        0.017_669_313,
        -0.030_355_94,
        0.044_737_89,
        -0.064_645_38,
        0.088_456_996,
        -0.114_632_17,
        0.146_746_35,
        -0.200_700_21,
        0.403_873_03,
    ];
    let x = x.clamp(-LIMIT, LIMIT);
    let u = x * x * (2.0 / (LIMIT * LIMIT)) - 1.0;
    let p = COEFFICIENTS.iter().fold(0.0, |p, coefficient| p * u + coefficient);
    x * p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_layer_of_any_size_is_the_sum_of_products() {
        for (rows, inputs, outputs) in [(1, 1, 1), (3, 5, 7), (4, 8, 8), (9, 12, 17)] {
            let numbers = |count: usize, step: f32| (0..count).map(|n| (n as f32 * step).sin()).collect::<Vec<_>>();
            let (x, w, b) = (
                numbers(rows * inputs, 0.7),
                numbers(inputs * outputs, 1.3),
                numbers(outputs, 2.1),
            );
            let mut out = vec![9.0; 3];
            Linear::new(&w, &b, inputs).apply(&x, &mut Vec::new(), &mut out);
            assert_eq!(out.len(), rows * outputs);
            for row in 0..rows {
                for output in 0..outputs {
                    let products = (0..inputs).map(|k| x[row * inputs + k] * w[output * inputs + k]);
                    let want = b[output] + products.sum::<f32>();
                    let got = out[row * outputs + output];
                    assert!((got - want).abs() < 1e-5, "{rows}×{inputs}×{outputs}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn the_error_function_agrees_with_tables() {
        // Abramowitz and Stegun, table 7.1.
        for (x, want) in [
            (0.0, 0.0),
            (0.1, 0.112_462_92),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (1.5, 0.966_105_15),
            (2.0, 0.995_322_3),
            (3.0, 0.999_977_9),
            (9.0, 1.0),
        ] {
            assert!((erf(x) - want).abs() < 1e-6, "{x}: {}", erf(x));
            assert!((erf(-x) + want).abs() < 1e-6, "-{x}: {}", erf(-x));
        }
    }

    #[test]
    fn softmax_sums_to_one_and_survives_large_numbers() {
        let mut row = [1000.0, 999.0, -1000.0];
        softmax(&mut row);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((row[0] - 0.731_058_6).abs() < 1e-6, "{row:?}");
    }

    #[test]
    fn dot_takes_what_is_left_behind_the_last_chunk() {
        let a: Vec<f32> = (1..=11).map(|n| n as f32).collect();
        assert_eq!(dot(&a, &a), 506.0);
    }
}
