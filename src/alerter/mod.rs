//! Alerters: what brings an alert to people and systems. Each has its own courier thread and its own outbox.
//!
//! An alerter answers one question of its courier: delivered, or [`SendError`]. Order, retries, back-off, parking and
//! durability are the courier's and the keeper's.

pub mod backoff;
pub mod console;
pub mod courier;
pub mod email;
pub mod file;
pub mod http;
pub mod kafka;
pub mod secret;
pub mod tls;
pub mod webhook;

pub use crate::alert::rate::Limits;
use crate::alert::render::Wording;
pub use crate::alert::route::Filter;
use crate::record::Level;
use anyhow::Context as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What is shorter is as likely a part of some word.
const SECRET_MIN_BYTES: usize = 4;

/// One alerter of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: Arc<str>,
    pub min_severity: Level,
    pub send: Send,
    pub send_resolved: bool,
    pub filter: Filter,
    /// Of grouped alerts: what is above is held back.
    pub limits: Limits,
    /// After an outage: one digest, or all that was meant for it.
    pub catch_up: CatchUp,
    pub outbox_max_bytes: u64,
    pub when_full: WhenFull,
    /// Zone and language of what people read.
    pub wording: Wording,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    /// By fingerprint: first occurrence at once, then counted.
    Grouped,
    /// Every record as it comes.
    Each,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    Digest,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    Compact,
    DropOldest,
    /// Stop reading; only with [`Send::Each`].
    Block,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Console { format: TextFormat },
    File { path: PathBuf, format: TextFormat },
    Webhook(Box<webhook::Settings>),
    Email(Box<email::Settings>),
    Kafka(Box<kafka::Settings>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    Text,
    Json,
    /// The record's own text (file only).
    Raw,
}

/// One alert on its way to one alerter.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its place in the outbox: unique, ascending.
    pub seq: i64,
    /// Failed tries so far, kept over restarts.
    pub tries: u32,
    pub alert: Arc<crate::alert::Alert>,
}

/// What became of a batch: the first `delivered` of it arrived, of the rest some were settled `apart`, and `error` befell
/// the first of those that are left. Without an error they are to be sent again, and at least one was settled.
#[derive(Debug)]
pub struct Sent {
    pub delivered: usize,
    /// By their seq.
    pub apart: Vec<(i64, Apart)>,
    pub error: Option<SendError>,
}

/// What became of one delivery, and says nothing about the others: its topic is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apart {
    Arrived,
    Failed {
        after: Duration,
        reason: String,
    },
    /// It was not tried, for what it needs was missing for another one.
    Waits {
        after: Duration,
    },
}

/// Why a delivery did not arrive: the only question that a courier asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// Try again, after `after` if the receiver named a time, else with back-off.
    Retry { after: Option<Duration>, reason: String },
    /// Nothing will get through until somebody mends it (authentication, redirect, wrong URL): one try every 5 min.
    Blocked { reason: String },
    /// This delivery will never be taken: dead, kept and listed.
    Reject { reason: String },
}

impl SendError {
    /// Without secrets of ours: a receiver may repeat what it was sent.
    pub(crate) fn without(mut self, secrets: &[&str]) -> Self {
        let (Self::Retry { reason, .. } | Self::Blocked { reason } | Self::Reject { reason }) = &mut self;
        for secret in secrets.iter().filter(|secret| secret.len() >= SECRET_MIN_BYTES) {
            *reason = reason.replace(*secret, "…");
        }
        self
    }
}

/// Brings deliveries to one receiver. Blocking; every wait has a time-out. Texts of errors never hold secrets.
pub trait Alerter: std::marker::Send {
    /// The most deliveries that one call of `send` takes.
    fn batch_max(&self) -> usize {
        1
    }

    fn send(&mut self, batch: &[Delivery]) -> Sent;

    /// What still fires, told before the first `tick`: for who has to be reminded of it, and has forgotten it in a restart.
    fn recall(&mut self, _firing: Vec<Arc<crate::alert::Alert>>) {}

    /// Called when the courier begins and again after the wait it returned: for what has to be done without a delivery.
    fn tick(&mut self) -> Option<Duration> {
        None
    }

    /// What outlives the alerter: Alertmanager's active alerts. Called on the one that takes its place (reload).
    fn active(&mut self) -> Option<webhook::Active> {
        None
    }

    /// Goes on where `old`, which it replaces, was.
    fn take_over(&mut self, _old: &mut dyn Alerter) {}
}

impl Sent {
    /// All of a batch of so many.
    pub fn all(delivered: usize) -> Self {
        Self {
            delivered,
            apart: Vec::new(),
            error: None,
        }
    }

    pub fn failed(delivered: usize, error: SendError) -> Self {
        Self {
            delivered,
            apart: Vec::new(),
            error: Some(error),
        }
    }
}

/// The alerter that the settings describe: keys, certificates and secrets read, nothing connected yet.
pub fn build(settings: &Settings) -> anyhow::Result<Box<dyn Alerter>> {
    Ok(match &settings.kind {
        Kind::Console { format } => Box::new(console::Console::new(*format, settings.wording.clone())),
        Kind::File { path, format } => Box::new(file::File::new(path.clone(), *format, settings.wording.clone())),
        Kind::Webhook(webhook) => Box::new(webhook::Webhook::new(webhook, settings.wording.clone())?),
        Kind::Kafka(kafka) => Box::new(kafka::Kafka::new(kafka)?),
        Kind::Email(email) => Box::new(email::Email::new(email, settings.wording.clone())?),
    })
}

/// The same; the error names the alerter.
pub fn build_named(settings: &Settings) -> anyhow::Result<Box<dyn Alerter>> {
    build(settings).with_context(|| format!("alerter {}", settings.name))
}
