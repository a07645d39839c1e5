//! Secrets of alerters: tokens, passwords, and the URLs of chat bots.
//!
//! A [`Secret`] is what the configuration names: never printed whole. A [`Held`] is its value in use: a file is read
//! when the alerter is built, and again when the receiver refuses what it held, so that a rotated password needs no
//! restart.

use anyhow::Context as _;
use std::path::PathBuf;
use std::sync::Arc;

/// A value that is never printed: given in the configuration, or the first line of a file (read again when refused).
#[derive(Clone, PartialEq, Eq)]
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

impl Secret {
    /// All values: the one given, or each line of the file that is not empty (`urls_file` names several).
    pub fn read_all(&self) -> anyhow::Result<Vec<Arc<str>>> {
        match self {
            Secret::Value(value) => Ok(vec![value.clone()]),
            Secret::File(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                let lines: Vec<Arc<str>> = text
                    .lines()
                    .map(str::trim)
                    .filter(|l| !l.is_empty())
                    .map(Arc::from)
                    .collect();
                anyhow::ensure!(!lines.is_empty(), "{} is empty", path.display());
                Ok(lines)
            }
        }
    }

    /// The one value: the first line of a file.
    pub fn read(&self) -> anyhow::Result<Arc<str>> {
        let mut all = self.read_all()?;
        Ok(all.swap_remove(0))
    }
}

/// A secret in use: its value, and where it can be had anew.
#[derive(Clone)]
pub struct Held {
    secret: Secret,
    value: Arc<str>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.secret.fmt(f)
    }
}

impl Held {
    pub fn new(secret: &Secret) -> anyhow::Result<Self> {
        Ok(Self {
            secret: secret.clone(),
            value: secret.read()?,
        })
    }

    /// None stays none.
    pub fn optional(secret: Option<&Secret>) -> anyhow::Result<Option<Self>> {
        secret.map(Self::new).transpose()
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    /// Reads the file again; whether the value is another one now. A file that cannot be read changes nothing: the old
    /// value was refused already, and the refusal is what gets told.
    pub fn renew(&mut self) -> bool {
        match self.secret.read() {
            Ok(value) if value != self.value => {
                self.value = value;
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}
