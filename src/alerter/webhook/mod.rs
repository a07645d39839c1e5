//! The webhook: POST of JSON, with the provider's own idea of success.
//!
//! Several URLs are tried in turn, beginning with the one that worked last. A secret that is refused is read from its
//! file again, and tried at once if it is another one now.

use super::http::Client;
use super::secret::Held;
pub use super::secret::Secret;
pub use super::tls::Tls;
use super::{Alerter, Delivery, SendError, Sent};
use crate::alert::render::Wording;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
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

#[derive(Debug)]
pub struct Webhook {
    client: Client,
    settings: Settings,
    wording: Wording,
    urls: Vec<Arc<str>>,
    /// Of `urls`: the one that worked last.
    current: usize,
    bearer_token: Option<Held>,
    basic_password: Option<Held>,
    hmac_secret: Option<Held>,
}

impl Webhook {
    pub fn new(settings: &Settings, wording: Wording) -> anyhow::Result<Self> {
        let mut webhook = Self {
            client: Client::new(&settings.tls, settings.timeout)?,
            settings: settings.clone(),
            wording,
            urls: Vec::new(),
            current: 0,
            bearer_token: Held::optional(settings.bearer_token.as_ref())?,
            basic_password: Held::optional(settings.basic_auth.as_ref().map(|(_, password)| password))?,
            hmac_secret: Held::optional(settings.hmac_secret.as_ref())?,
        };
        webhook.urls = webhook.read_urls()?;
        anyhow::ensure!(!webhook.urls.is_empty(), "a webhook needs a URL");
        Ok(webhook)
    }

    fn read_urls(&self) -> anyhow::Result<Vec<Arc<str>>> {
        let lists: anyhow::Result<Vec<_>> = self.settings.urls.iter().map(Secret::read_all).collect();
        Ok(lists?.concat())
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
        let held = [&mut self.bearer_token, &mut self.basic_password, &mut self.hmac_secret];
        held.into_iter()
            .flatten()
            .fold(urls, |renewed, held| held.renew() | renewed)
    }

    fn headers(&self, delivery: &Delivery, body: &[u8]) -> Vec<(String, String)> {
        let mut headers = vec![("Idempotency-Key".to_owned(), delivery.alert.id.clone())];
        if let Some(token) = &self.bearer_token {
            headers.push(("Authorization".to_owned(), format!("Bearer {}", token.value())));
        }
        if let (Some((user, _)), Some(password)) = (&self.settings.basic_auth, &self.basic_password) {
            let credentials = BASE64_STANDARD.encode(format!("{user}:{}", password.value()));
            headers.push(("Authorization".to_owned(), format!("Basic {credentials}")));
        }
        if let Some(secret) = &self.hmac_secret {
            headers.push((
                "X-Signature-256".to_owned(),
                format!("sha256={}", hex(&hmac_sha256(secret.value().as_bytes(), body))),
            ));
        }
        headers.extend(self.settings.headers.iter().cloned());
        headers
    }

    /// To one URL after the other, until one takes it or says that it never will be taken.
    fn try_in_turn(&mut self, delivery: &Delivery) -> Result<(), SendError> {
        let body = super::console::json(&delivery.alert);
        let mut errors = Vec::new();
        for turn in 0..self.urls.len() {
            let index = (self.current + turn) % self.urls.len();
            let url = self.urls[index].clone();
            let headers = self.headers(delivery, &body);
            match self
                .client
                .post(&url, &headers, &body)
                .and_then(|answer| answer.judge(&url))
            {
                Ok(()) => {
                    self.current = index;
                    return Ok(());
                }
                Err(error @ SendError::Reject { .. }) => return Err(error),
                Err(error @ (SendError::Retry { .. } | SendError::Blocked { .. })) => errors.push(error),
            }
        }
        Err(worst(errors))
    }
}

impl Alerter for Webhook {
    fn send(&mut self, batch: &[Delivery]) -> Sent {
        for (delivered, delivery) in batch.iter().enumerate() {
            let mut result = self.try_in_turn(delivery);
            if matches!(result, Err(SendError::Blocked { .. })) && self.renew() {
                result = self.try_in_turn(delivery);
            }
            if let Err(error) = result {
                return Sent::failed(delivered, error);
            }
        }
        Sent::all(batch.len())
    }
}

/// Of several URLs: as long as one may come back by itself, the alerter is not blocked.
fn worst(mut errors: Vec<SendError>) -> SendError {
    let index = errors
        .iter()
        .position(|error| matches!(error, SendError::Retry { .. }))
        .unwrap_or(0);
    if errors.is_empty() {
        SendError::Blocked {
            reason: "no URL".to_owned(),
        }
    } else {
        errors.swap_remove(index)
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
