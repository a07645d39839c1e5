//! The shape of the YAML under `alerters`: one struct per kind.
//!
//! Only data, as in `file`. The kind of an alerter is the one of its kind keys that is there.

use super::key::{Key, OneOrMany};
use super::units::{Size, Span};
use serde::Deserialize;
use std::collections::BTreeMap;

type List<T> = Key<Vec<Key<T>>>;
type Words = Key<BTreeMap<String, Key<String>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerter {
    pub name: Key<String>,
    pub min_severity: Key<crate::record::Level>,
    pub send: Key<Send>,
    pub send_resolved: Key<bool>,
    pub sources: List<String>,
    pub rules: List<String>,
    pub labels: Words,
    pub detectors: List<crate::analyzer::AnalyzerKind>,
    pub max_per_minute: Key<u32>,
    pub max_per_hour: Key<u32>,
    pub catch_up: Key<CatchUp>,
    pub outbox: Key<Outbox>,
    pub console: Key<Console>,
    pub file: Key<File>,
    pub webhook: Key<Webhook>,
    pub email: Key<Email>,
    pub kafka: Key<Kafka>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Send {
    Grouped,
    Each,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    Digest,
    All,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbox {
    pub max_size: Key<Size>,
    pub when_full: Key<WhenFull>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    Compact,
    DropOldest,
    Block,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    pub format: Key<ConsoleFormat>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleFormat {
    Text,
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    pub path: Key<String>,
    pub format: Key<FileFormat>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    Json,
    Text,
    Raw,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    pub url: Key<String>,
    pub urls: Key<OneOrMany<String>>,
    pub url_file: Key<String>,
    pub urls_file: Key<String>,
    pub preset: Key<Preset>,
    pub chat_id: Key<String>,
    pub routing_key: Key<String>,
    pub routing_key_file: Key<String>,
    pub secret: Key<String>,
    pub secret_file: Key<String>,
    pub mention: Key<Mention>,
    pub title_prefix: Key<String>,
    pub headers: Words,
    pub bearer_token: Key<String>,
    pub bearer_token_file: Key<String>,
    pub basic_auth: Key<BasicAuth>,
    pub hmac_secret: Key<String>,
    pub hmac_secret_file: Key<String>,
    pub template: Key<String>,
    pub timeout: Key<Span>,
    pub tls: Key<Tls>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    Generic,
    Alertmanager,
    Slack,
    Teams,
    Discord,
    Telegram,
    Pagerduty,
    Dingtalk,
    Feishu,
    Wecom,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mention {
    pub mobiles: List<String>,
    pub user_ids: List<String>,
    pub all: Key<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicAuth {
    pub username: Key<String>,
    pub password: Key<String>,
    pub password_file: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub ca_file: Key<String>,
    pub cert_file: Key<String>,
    pub key_file: Key<String>,
    pub insecure_skip_verify: Key<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Email {
    pub smtp: Key<String>,
    pub tls: Key<EmailTls>,
    pub username: Key<String>,
    pub password: Key<String>,
    pub password_file: Key<String>,
    pub from: Key<String>,
    pub to: Key<OneOrMany<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailTls {
    Starttls,
    Implicit,
    None,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    pub brokers: List<String>,
    pub topic: Key<String>,
    pub key: Key<KafkaKey>,
    pub acks: Key<KafkaAcks>,
    pub compression: Key<KafkaCompression>,
    pub tls: Key<Tls>,
    pub sasl: Key<Sasl>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaKey {
    Fingerprint,
    Host,
    Source,
    None,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaAcks {
    All,
    Leader,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaCompression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sasl {
    pub mechanism: Key<Mechanism>,
    pub username: Key<String>,
    pub password: Key<String>,
    pub password_file: Key<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}
