//! `analyzers.ai`: who judges, and what its word does.

use super::{at_most, list, positive};
use crate::analyzer::electra::Model;
use crate::config::file::{self, AiEngine, AiMode, AiScope};
use crate::config::key::Key;
use crate::config::place::Inputs;
use crate::config::tree::NodeId;
use crate::judge::{Engine, Mode, Scope, Settings};
use crate::record::Level;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_BATCH: usize = 32;
const BATCH_MAX: usize = 1000;
const DEFAULT_PENDING: usize = 10_000;
const PENDING_MAX: usize = 1_000_000;
const URLS_MAX: usize = 32;
pub const DEFAULT_MODEL: &str = "/var/lib/exception-log-collector/model.elc";

/// None: the engine is off. `at_root` is `ai_service_url` at the top of the file, as the predecessor had it: alone it
/// means `engine: service`.
pub fn ai(file: &file::Ai, at_root: &Key<String>, inputs: &mut Inputs) -> Option<Settings> {
    let urls = urls(file, at_root, inputs);
    let timeout = positive(&file.timeout, DEFAULT_TIMEOUT, inputs);
    if let Some((at, value)) = file
        .min_confidence
        .placed()
        .filter(|(_, value)| !(0.0..=1.0).contains(*value))
    {
        inputs.fault(at, format!("{value} is not between 0 and 1"), "");
    }
    let batch = at_most(&file.batch, DEFAULT_BATCH, 1, BATCH_MAX, inputs);
    let max_pending = at_most(&file.max_pending, DEFAULT_PENDING, 1, PENDING_MAX, inputs);
    let model = file.model.or(DEFAULT_MODEL.to_owned());
    let wanted = match (file.engine.get(), at_root.is_given()) {
        (Some(engine), _) => *engine,
        (None, true) => AiEngine::Service,
        (None, false) => AiEngine::Off,
    };
    let engine = match wanted {
        AiEngine::Off => return None,
        AiEngine::Service => {
            if let (true, Some(at)) = (urls.is_empty(), file.engine.at()) {
                inputs.fault(
                    at,
                    "`service` needs a URL",
                    "add `service_urls: [http://127.0.0.1:5000]`",
                );
            }
            Engine::Service { urls, timeout }
        }
        AiEngine::Electra => {
            check_model(file.model.at().or(file.engine.at()), &model, inputs);
            Engine::Electra { model: model.into() }
        }
    };
    Some(Settings {
        engine,
        scope: match file.scope.or(AiScope::Template) {
            AiScope::Template => Scope::Template,
            AiScope::Line => Scope::Line,
        },
        batch,
        min_confidence: file.min_confidence.or(0.5),
        max_pending,
        mode: match file.mode.or(AiMode::Alert) {
            AiMode::Alert => Mode::Alert,
            AiMode::Shadow => Mode::Shadow,
        },
        severity: file.severity.or(Level::Warn),
    })
}

fn urls(file: &file::Ai, at_root: &Key<String>, inputs: &mut Inputs) -> Vec<String> {
    let listed = file.service_urls.get().into_iter().flatten();
    for key in listed.chain([&file.ai_service_url, at_root]) {
        let Some((at, url)) = key.placed() else { continue };
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/') || url.parse::<ureq::http::Uri>().is_err()) {
            inputs.fault(at, "is not the URL of a service", "write http://127.0.0.1:5000");
        }
    }
    let mut urls: Vec<String> = list(&file.service_urls);
    urls.extend(
        [&file.ai_service_url, at_root]
            .into_iter()
            .filter_map(Key::get)
            .cloned(),
    );
    // The service's own path was given: it is asked for by us.
    let base = |url: &String| {
        let url = url.trim().trim_end_matches('/');
        url.strip_suffix("/analyze").unwrap_or(url).to_owned()
    };
    let mut urls: Vec<String> = urls.iter().map(base).collect();
    let mut seen = std::collections::BTreeSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    if let (true, Some(at)) = (urls.len() > URLS_MAX, file.service_urls.at()) {
        inputs.fault(at, format!("{} URLs, at most {URLS_MAX} are possible", urls.len()), "");
    }
    urls
}

/// A file that is there must be a model; one that is not there yet may come.
fn check_model(at: Option<NodeId>, model: &str, inputs: &mut Inputs) {
    let Some(at) = at else { return };
    let path = PathBuf::from(model);
    if !path.is_absolute() {
        inputs.fault(
            at,
            "must be an absolute path",
            "services do not start in the directory of this file",
        );
        return;
    }
    if !path.exists() {
        let hint = "templates wait in the state until it is there; scripts/train_log_electra.py makes one";
        inputs.warn(at, format!("{model} does not exist yet"), hint);
        return;
    }
    let read = File::open(&path).map_err(|error| error.to_string());
    let read = read.and_then(|file| Model::read(file).map_err(|error| error.to_string()));
    if let Err(error) = read {
        let hint = "`exception-log-collector model info FILE` shows what a model is";
        inputs.fault(at, format!("{model}: {error}"), hint);
    }
}
