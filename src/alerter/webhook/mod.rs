//! The webhook: POST of JSON, with the provider's own idea of success.

pub use super::secret::Secret;
pub use super::tls::Tls;
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
