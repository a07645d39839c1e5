//! The webhook: POST of JSON, with the provider's own idea of success.
//!
//! Several URLs are tried in turn, beginning with the one that worked last; Alertmanager's are all told. A secret that is refused is read from its
//! file again, and tried at once if it is another one now.

use super::http::Client;
use super::secret::Held;
mod presets;
pub mod template;

pub use super::secret::Secret;
pub use super::tls::Tls;
use super::{Alerter, Delivery, SendError, Sent};
use crate::alert::Alert;
use crate::alert::render::Wording;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
pub use presets::Active;
use presets::Context;
use std::sync::Arc;
use std::time::Duration;

/// One webhook of the configuration. Secrets are read from files again when they are refused.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tried in turn (`alertmanager`: to all). Secrets themselves for chat bots: never printed whole. A file may hold
    /// several, one a line (`urls_file`).
    pub urls: Vec<Secret>,
    pub preset: Preset,
    pub mention: Mention,
    /// Set before each title; empty: nothing.
    pub title_prefix: String,
    pub headers: Vec<(String, String)>,
    pub bearer_token: Option<Secret>,
    pub basic_auth: Option<(String, Secret)>,
    pub hmac_secret: Option<Secret>,
    /// A body of one's own, in place of the preset's.
    pub template: Option<template::Template>,
    /// Of one request, from connecting to the last byte of the answer.
    pub timeout: Duration,
    pub tls: Tls,
}

/// Whose language is spoken, with what only this provider needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preset {
    Generic,
    Alertmanager,
    Slack,
    Teams,
    Discord,
    Telegram {
        chat_id: String,
    },
    /// `urls` empty: the provider's own.
    Pagerduty {
        routing_key: Secret,
    },
    Dingtalk {
        secret: Option<Secret>,
    },
    Feishu {
        secret: Option<Secret>,
    },
    Wecom,
}

/// Who is called by name in chats; nobody by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mention {
    /// Telephone numbers (dingtalk).
    pub mobiles: Vec<String>,
    /// The provider's own user ids.
    pub user_ids: Vec<String>,
    pub all: bool,
}

/// Alerts that Alertmanager is told at once.
const ALERTMANAGER_BATCH_MAX: usize = 64;

#[derive(Debug)]
pub struct Webhook {
    client: Client,
    settings: Settings,
    wording: Wording,
    urls: Vec<Arc<str>>,
    /// Of `urls`: the one that worked last.
    current: usize,
    /// Signing secret or routing key of the preset.
    key: Option<Held>,
    bearer_token: Option<Held>,
    basic_password: Option<Held>,
    hmac_secret: Option<Held>,
    /// What Alertmanager has to be told again.
    active: Active,
}

impl Webhook {
    pub fn new(settings: &Settings, wording: Wording) -> anyhow::Result<Self> {
        let key = match &settings.preset {
            Preset::Dingtalk { secret } | Preset::Feishu { secret } => secret.as_ref(),
            Preset::Pagerduty { routing_key } => Some(routing_key),
            Preset::Generic
            | Preset::Alertmanager
            | Preset::Slack
            | Preset::Teams
            | Preset::Discord
            | Preset::Telegram { .. }
            | Preset::Wecom => None,
        };
        let mut webhook = Self {
            client: Client::new(&settings.tls, settings.timeout)?,
            settings: settings.clone(),
            wording,
            urls: Vec::new(),
            current: 0,
            key: Held::optional(key)?,
            bearer_token: Held::optional(settings.bearer_token.as_ref())?,
            basic_password: Held::optional(settings.basic_auth.as_ref().map(|(_, password)| password))?,
            hmac_secret: Held::optional(settings.hmac_secret.as_ref())?,
            active: Active::default(),
        };
        webhook.urls = webhook.read_urls()?;
        anyhow::ensure!(!webhook.urls.is_empty(), "a webhook needs a URL");
        Ok(webhook)
    }

    fn is_alertmanager(&self) -> bool {
        self.settings.preset == Preset::Alertmanager
    }

    fn read_urls(&self) -> anyhow::Result<Vec<Arc<str>>> {
        if let (Preset::Pagerduty { .. }, []) = (&self.settings.preset, &*self.settings.urls) {
            return Ok(vec![presets::PAGERDUTY_URL.into()]);
        }
        let lists: anyhow::Result<Vec<_>> = self.settings.urls.iter().map(Secret::read_all).collect();
        let mut urls = lists?.concat();
        if self.is_alertmanager() {
            urls = urls.iter().map(|url| presets::alertmanager_url(url).into()).collect();
        }
        Ok(urls)
    }

    /// Reads every file again; whether something is different now.
    fn renew(&mut self) -> bool {
        let urls = match self.read_urls() {
            Ok(urls) if urls != self.urls => {
                (self.urls, self.current) = (urls, 0);
                true
            }
            Ok(_) | Err(_) => false,
        };
        let held = [
            &mut self.key,
            &mut self.bearer_token,
            &mut self.basic_password,
            &mut self.hmac_secret,
        ];
        held.into_iter()
            .flatten()
            .fold(urls, |renewed, held| held.renew() | renewed)
    }

    fn headers(&self, body: &[u8]) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        if let Some(token) = &self.bearer_token {
            headers.push(("Authorization".to_owned(), format!("Bearer {}", token.value())));
        }
        if let (Some((user, _)), Some(password)) = (&self.settings.basic_auth, &self.basic_password) {
            let credentials = BASE64_STANDARD.encode(format!("{user}:{}", password.value()));
            headers.push(("Authorization".to_owned(), format!("Basic {credentials}")));
        }
        if let Some(secret) = &self.hmac_secret {
            let signature = hex(&hmac_sha256(secret.value().as_bytes(), body));
            headers.push(("X-Signature-256".to_owned(), format!("sha256={signature}")));
        }
        headers.extend(self.settings.headers.iter().cloned());
        headers
    }

    /// One request, judged by the provider's own words.
    fn post(&self, url: &str, body: &[u8], id: Option<&str>) -> Result<(), SendError> {
        let mut headers = self.headers(body);
        headers.extend(id.map(|id| ("Idempotency-Key".to_owned(), id.to_owned())));
        let answer = self.client.post(url, &headers, body)?;
        presets::judge(&self.settings.preset, url, &answer).map_err(|error| {
            let held = [&self.key, &self.bearer_token, &self.basic_password, &self.hmac_secret];
            let sent = headers.iter().filter(|(name, _)| name == "Authorization");
            // `Bearer x`, `Basic x`: with what was made of the secret.
            let sent = sent.filter_map(|(_, value)| value.split_once(' ').map(|(_, value)| value));
            error.without(
                &held
                    .into_iter()
                    .flatten()
                    .map(Held::value)
                    .chain(sent)
                    .collect::<Vec<_>>(),
            )
        })
    }

    /// To one URL after the other, until one takes it or says that it never will be taken.
    fn try_in_turn(&mut self, alert: &Alert) -> Result<(), SendError> {
        let mut errors = Vec::new();
        for turn in 0..self.urls.len() {
            let index = (self.current + turn) % self.urls.len();
            let key = self.key.as_ref().map(Held::value);
            let context = Context {
                settings: &self.settings,
                wording: &self.wording,
                key,
                now: Timestamp::now(),
            };
            let (url, body) = presets::request(&self.urls[index], alert, &context)?;
            match self.post(&url, &body, Some(&alert.id)) {
                Ok(()) => {
                    self.current = index;
                    return Ok(());
                }
                Err(error @ SendError::Reject { .. }) => return Err(error),
                Err(error @ (SendError::Retry { .. } | SendError::Blocked { .. })) => errors.push(error),
            }
        }
        Err(mildest(errors))
    }

    /// To all URLs; one that takes it is enough, for Alertmanagers tell each other.
    fn tell_all(&self, body: &[u8], id: Option<&str>) -> Result<(), SendError> {
        let results: Vec<_> = self.urls.iter().map(|url| self.post(url, body, id)).collect();
        if results.iter().any(Result::is_ok) {
            return Ok(());
        }
        Err(mildest(results.into_iter().filter_map(Result::err).collect()))
    }

    fn tell_alertmanager(&mut self, batch: &[Delivery]) -> Result<(), SendError> {
        let id = if let [only] = batch {
            Some(only.alert.id.as_str())
        } else {
            None
        };
        let now = Timestamp::now();
        self.tell_all(
            &presets::alertmanager_body(&presets::latest(batch), &self.wording, now),
            id,
        )?;
        for delivery in batch {
            self.active.heard(&delivery.alert, now);
        }
        Ok(())
    }

    fn try_batch(&mut self, batch: &[Delivery]) -> Result<(), SendError> {
        match batch {
            [only] if !self.is_alertmanager() => self.try_in_turn(&only.alert),
            batch => self.tell_alertmanager(batch),
        }
    }
}

impl Alerter for Webhook {
    fn batch_max(&self) -> usize {
        if self.is_alertmanager() {
            ALERTMANAGER_BATCH_MAX
        } else {
            1
        }
    }

    fn send(&mut self, batch: &[Delivery]) -> Sent {
        let chunk_max = self.batch_max();
        let mut delivered = 0;
        for chunk in batch.chunks(chunk_max) {
            let mut result = self.try_batch(chunk);
            if matches!(result, Err(SendError::Blocked { .. })) && self.renew() {
                result = self.try_batch(chunk);
            }
            match result {
                Ok(()) => delivered += chunk.len(),
                // Which of them is to blame nobody says: the first goes alone, and the courier comes back with the rest.
                Err(SendError::Reject { .. }) if chunk.len() > 1 => {
                    return match self.try_batch(&chunk[..1]) {
                        Ok(()) => Sent::all(delivered + 1),
                        Err(error) => Sent::failed(delivered, error),
                    };
                }
                Err(error) => return Sent::failed(delivered, error),
            }
        }
        Sent::all(delivered)
    }

    fn recall(&mut self, firing: Vec<Arc<Alert>>) {
        if self.is_alertmanager() {
            let now = Timestamp::now();
            firing.iter().for_each(|alert| self.active.heard(alert, now));
        }
    }

    fn tick(&mut self) -> Option<Duration> {
        if !self.is_alertmanager() {
            return None;
        }
        if let Some(body) = self.active.body(&self.wording, Timestamp::now())
            && let Err(error) = self.tell_all(&presets::bytes(&body), None)
        {
            // Deliveries, which count, tell the same at `warn`; this is said again in a minute.
            log::debug!("telling Alertmanager what is still firing: {error:?}");
        }
        Some(presets::REPEAT_EVERY)
    }

    fn active(&mut self) -> Option<Active> {
        self.is_alertmanager().then(|| std::mem::take(&mut self.active))
    }

    fn take_over(&mut self, old: &mut dyn Alerter) {
        // Else what fires would be resolved there after five minutes.
        if let (true, Some(active)) = (self.is_alertmanager(), old.active()) {
            self.active = active;
        }
    }
}

/// Of several URLs: as long as one may come back by itself, the alerter is not blocked; and nothing is dead while
/// another may still take it.
fn mildest(mut errors: Vec<SendError>) -> SendError {
    let rank = |error: &SendError| match error {
        SendError::Retry { .. } => 0,
        SendError::Blocked { .. } => 1,
        SendError::Reject { .. } => 2,
    };
    errors.sort_by_key(rank);
    errors.into_iter().next().unwrap_or(SendError::Blocked {
        reason: "no URL".to_owned(),
    })
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
