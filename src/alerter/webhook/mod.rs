//! The webhook: POST of JSON, with the provider's own idea of success.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One webhook of the configuration. Secrets are read from files again when they are refused.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tried in turn (`alertmanager`: to all). Secrets themselves for chat bots: never printed whole.
    pub urls: Vec<Secret>,
    pub preset: Preset,
    pub headers: Vec<(String, String)>,
    pub bearer_token: Option<Secret>,
    pub basic_auth: Option<(String, Secret)>,
    pub hmac_secret: Option<Secret>,
    pub timeout: Duration,
    pub tls: Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    Generic,
}

#[derive(Debug, Clone, Default)]
pub struct Tls {
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub insecure_skip_verify: bool,
}

/// A value that is never printed: given in the configuration, or the first line of a file (read again when refused).
#[derive(Clone)]
pub enum Secret {
    Value(Arc<str>),
    File(PathBuf),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Secret::Value(_) => f.write_str("Secret(…)"),
            Secret::File(path) => write!(f, "Secret({})", path.display()),
        }
    }
}
