//! Model files, good and bad, and the scores of good ones.

use super::tiny_model::TinyModel;
use super::*;

fn model(tiny: &TinyModel) -> Model {
    Model::from_bytes(&tiny.bytes()).expect("the model is good")
}

fn error(file: &[u8]) -> String {
    Model::from_bytes(file).expect_err("the model is bad").to_string()
}

#[test]
fn words_that_training_never_saw_are_abnormal() {
    let model = model(&TinyModel::that_knows(&["job", "done", "<num>"]));
    let mut scratch = Scratch::default();
    let normal = model.score("Job 17 done", &mut scratch);
    let strange = model.score("panic: heap corrupted", &mut scratch);
    assert!(!normal.abnormal && strange.abnormal, "{normal:?} {strange:?}");
    // softplus(∓4·(gelu(1) − gelu(−1))) = softplus(∓4).
    assert!((normal.score - 0.018_15).abs() < 1e-4, "{normal:?}");
    assert!((strange.score - 4.018_15).abs() < 1e-4, "{strange:?}");
    // Held out were 0.00, 0.01 … 0.99.
    assert_eq!((normal.confidence, strange.confidence), (0.02, 1.0));
    assert_eq!(
        model.score("job 17 done", &mut scratch),
        normal,
        "scratch leaves no trace"
    );
}

#[test]
fn a_line_without_words_is_normal_and_a_long_one_is_cut() {
    let model = model(&TinyModel::that_knows(&["job"]));
    let mut scratch = Scratch::default();
    for text in ["", "  ", "---"] {
        assert_eq!(model.score(text, &mut scratch).score, 0.0, "{text:?}");
    }
    let long = "job ".repeat(14) + "strange words behind sixteen pieces";
    let score = model.score(&long, &mut scratch);
    assert!((score.score - 0.018_15).abs() < 1e-4, "{score:?}");
}

#[test]
fn scores_equal_those_of_transformers() {
    // By tests/ai/test_golden.py, which builds this model in transformers 5.23.0 and checks the same numbers.
    let known = ["job", "done", "fail", "##ed", "<num>"];
    let model = model(&TinyModel::of_waves(&known));
    let mut scratch = Scratch::default();
    for (text, want) in GOLDEN {
        let score = model.score(text, &mut scratch).score;
        assert!((score - want).abs() < 1e-5, "{text}: {score}, wanted {want}");
    }
}

const GOLDEN: [(&str, f64); 3] = [
    ("job 17 done", 0.226_964_554_3),
    ("job failed: panic", 0.272_337_706_4),
    (
        "done done done job fail failed 1 x job job job job job job job job job",
        0.229_133_128_9,
    ),
];

#[test]
fn a_file_that_is_cut_off_anywhere_is_an_error() {
    let file = TinyModel::that_knows(&["job"]).bytes();
    for end in 0..file.len() {
        error(&file[..end]);
    }
    assert!(error(&[]).contains("0 bytes: no model, or cut off"));
    assert!(
        error(&file[..40]).contains("header is cut off: 32 of"),
        "{}",
        error(&file[..40])
    );
    let longer = [file.as_slice(), b"x"].concat();
    assert!(error(&longer).contains("cut off or too long"), "{}", error(&longer));
}

#[test]
fn a_file_of_another_kind_is_an_error() {
    assert!(error(b"#!/bin/sh\necho this is no model\n").contains("no model (safetensors) file"));
    assert!(error(b"\x02\0\0\0\0\0\0\0{}").contains("no `format` in its metadata"));
    assert!(error(b"\x04\0\0\0\0\0\0\0[[[[").contains("no safetensors header"));
    let deep = [&4_000_000u64.to_le_bytes()[..], &vec![b'['; 4_000_000]].concat();
    error(&deep);
}

#[test]
fn a_header_that_lies_is_an_error() {
    let entry = |shape: &str, offsets: &str| {
        let header = format!(r#"{{"t": {{"dtype": "F32", "shape": {shape}, "data_offsets": {offsets}}}}}"#);
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        file.extend([0; 16]);
        error(&file)
    };
    for (shape, offsets) in [
        ("[4]", "[4, 20]"),
        ("[4]", "[16, 0]"),
        ("[5]", "[0, 16]"),
        ("[4]", "[0, 18446744073709551615]"),
        ("[4611686018427387904, 4]", "[0, 16]"),
        ("[18446744073709551615, 18446744073709551615]", "[0, 16]"),
    ] {
        let said = entry(shape, offsets);
        assert!(said.contains("tensor t"), "{shape} {offsets}: {said}");
    }
    assert!(entry("[-1]", "[0, 16]").contains("no safetensors header"));
}

/// Changes a good model by `change` and gives what is said of it.
fn spoilt(change: impl Fn(&mut TinyModel)) -> String {
    let mut tiny = TinyModel::that_knows(&["job"]);
    change(&mut tiny);
    error(&tiny.bytes())
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    for (key, value, want) in [
        ("vocab_size", 7, "6 pieces, vocab_size is 7"),
        ("vocab_size", 100_000_000, "vocab_size is 100000000"),
        ("hidden_size", 0, "hidden_size is 0"),
        ("hidden_size", 2_000_000_000, "hidden_size is 2000000000"),
        ("hidden_size", 8, "embeddings_project.weight is missing"),
        ("num_attention_heads", 3, "3 heads do not divide a width of 4"),
        ("num_attention_heads", 0, "num_attention_heads is 0"),
        (
            "num_hidden_layers",
            2,
            "encoder.layer.1.attention.self.query.weight is missing",
        ),
        ("num_hidden_layers", 1_000_000, "num_hidden_layers is 1000000"),
        (
            "intermediate_size",
            9,
            "intermediate.dense.weight has shape [8, 4], wanted [9, 4]",
        ),
        ("max_position_embeddings", 2, "max_position_embeddings is 2"),
    ] {
        let said = spoilt(|tiny| tiny.config[key] = value.into());
        assert!(said.contains(want), "{key} = {value}: {said}");
    }
    let said = spoilt(|tiny| tiny.config["hidden_act"] = "relu".into());
    assert!(said.contains("only gelu"), "{said}");
    let said = spoilt(|tiny| tiny.tensors.push(("another".to_owned(), vec![1], vec![0.0])));
    assert!(said.contains("tensor another has no place"), "{said}");
    let said = spoilt(|tiny| tiny.set("dense_prediction.bias", |_| f32::NAN));
    assert!(
        said.contains("dense_prediction.bias holds a number that is not finite"),
        "{said}"
    );
}

#[test]
fn metadata_of_another_version_or_without_sense_is_an_error() {
    let with = |key: &'static str, value: &'static str| {
        spoilt(|tiny| {
            let texts = tiny.metadata.iter_mut();
            texts
                .filter(|(k, _)| *k == key)
                .for_each(|(_, text)| *text = value.to_owned());
        })
    };
    assert!(with("format", "gguf").contains("format is \"gguf\""));
    assert!(with("normaliser", "2").contains("train it again, or update"));
    for (key, value, want) in [
        ("scores", serde_json::json!([]), "0 scores"),
        ("scores", serde_json::json!([2.0, 1.0]), "do not ascend"),
        ("threshold", serde_json::json!(-1.0), "negative"),
        ("rate", serde_json::json!(1.5), "above 1"),
        ("lines", serde_json::json!("many"), "calibration: invalid type"),
    ] {
        let said = spoilt(|tiny| tiny.calibration[key] = value.clone());
        assert!(said.contains(want), "{key}: {said}");
    }
    let said = spoilt(|tiny| tiny.vocabulary[5] = "[PAD]".to_owned());
    assert!(said.contains("\"[PAD]\" stands there twice"), "{said}");
}

#[test]
fn weights_beyond_all_bounds_give_a_finite_score() {
    let mut tiny = TinyModel::that_knows(&["job"]);
    tiny.set("discriminator_predictions.dense.weight", |_| f32::MAX);
    tiny.set(
        "dense_prediction.weight",
        |at| if at % 2 == 0 { f32::MAX } else { f32::MIN },
    );
    let score = model(&tiny).score("job", &mut Scratch::default());
    assert!(score.score.is_finite(), "{score:?}");
}

#[test]
fn a_person_is_told_what_a_model_is() {
    let info = model(&TinyModel::of_waves(&["job"])).info();
    assert_eq!((info.width, info.layers, info.heads, info.vocabulary), (8, 2, 2, 6));
    assert_eq!((info.rate, info.threshold), (0.01, 1.0));
    assert_eq!(info.version.len(), VERSION_DIGITS);
    assert_eq!(info.name, "tiny");
    let weights = 6 * 6 + 16 * 6 + 2 * 6 + 12 + (6 * 8 + 8);
    let layer = 4 * (8 * 8 + 8) + 16 + (8 * 16 + 16) + (16 * 8 + 8) + 16;
    assert_eq!(info.parameters, weights + 2 * layer + (64 + 8) + 9);
}
