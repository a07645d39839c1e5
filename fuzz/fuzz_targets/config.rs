//! Any configuration gives settings, or problems with their places; never a panic.
#![no_main]

use exception_log_collector::config::{self, Request};
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

/// One file per process: several may run at the same time.
static PATH: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("elc-fuzz-config-{}.yaml", std::process::id())));

fuzz_target!(|data: &[u8]| {
    if std::fs::write(&*PATH, data).is_err() {
        return;
    }
    let request = Request {
        path: Some(PATH.clone()),
        set: Vec::new(),
        environment: [("HOME".to_owned(), "/root".to_owned())].into(),
    };
    match config::load(&request) {
        Ok(loaded) => assert!(!loaded.settings.alerters.is_empty()),
        Err(problems) => assert!(!problems.shown.is_empty() && !problems.to_string().is_empty()),
    }
});
