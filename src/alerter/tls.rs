//! TLS of alerters: what the configuration says, and the one rustls configuration that HTTP, SMTP and Kafka are built on.
//!
//! Roots: `ca_file`, else the system's certificates, else the built-in ones. Keys and certificates are tried together
//! when the alerter is built, so that a wrong pair is a message then and not a failure later.

use std::path::PathBuf;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub insecure_skip_verify: bool,
}
