//! Any file is a model with finite scores, or an error; never a panic, and no memory beyond what the file holds.
#![no_main]

use exception_log_collector::analyzer::electra::{Model, Scratch};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/tiny_model.rs"]
mod tiny_model;

fuzz_target!(|data: &[u8]| {
    judge(data);
    // A good file with one stretch of it replaced: what is random from the start is refused at its first bytes.
    if let [a, b, rest @ ..] = data {
        let mut file = tiny_model::TinyModel::of_waves(&["job", "done", "##e"]).bytes();
        let at = usize::from(u16::from_le_bytes([*a, *b])) % file.len();
        let end = file.len().min(at + rest.len());
        file[at..end].copy_from_slice(&rest[..end - at]);
        judge(&file);
        judge(&file[..at]);
    }
});

fn judge(file: &[u8]) {
    match Model::from_bytes(file) {
        Ok(model) => {
            let mut scratch = Scratch::default();
            for text in ["", "job 17 done, jobe x", "错误 job"] {
                let score = model.score(text, &mut scratch);
                assert!(score.score.is_finite() && (0.0..=1.0).contains(&score.confidence), "{score:?}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
