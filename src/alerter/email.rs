//! E-mail: one message per alert, over SMTP.
//!
//! The dialogue is ours ([`smtp`]): it is four hundred lines, where the usual library brings forty packages, Unicode
//! tables for domain names among them. One connection serves a burst and is closed when it has been idle.

mod smtp;

use super::secret::{Held, Secret};
use super::tls::Tls;
use super::{Alerter, Delivery, SendError, Sent};
use crate::alert::render::Wording;
use crate::alert::render::email::{Envelope, message};
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use smtp::{Connection, Server};
use std::time::{Duration, Instant};

/// Of one message, from `MAIL` to the last reply. RFC 5321 (4.5.3.2.6) allows a server ten minutes after DATA; an
/// alerter that hangs so long tells nobody anything.
const MESSAGE_MAX: Duration = Duration::from_secs(60);
/// Servers close after five minutes (RFC 5321, 4.5.3.2.7), many sooner.
const IDLE_MAX: Duration = Duration::from_secs(30);
const BURST_MAX: usize = 16;

#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`
    pub smtp: String,
    pub mode: TlsMode,
    pub tls: Tls,
    pub login: Option<(String, Secret)>,
    /// `elc@example.org` or `Name <elc@example.org>`
    pub from: String,
    pub to: Vec<String>,
    /// Of one read or write.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    Starttls,
    Implicit,
    None,
}

#[derive(Debug)]
pub struct Email {
    settings: Settings,
    server: Server,
    wording: Wording,
    from: String,
    to: Vec<String>,
    password: Option<Held>,
    connection: Option<(Connection, Instant)>,
}

impl Email {
    pub fn new(settings: &Settings, wording: Wording) -> anyhow::Result<Self> {
        ensure!(!settings.to.is_empty(), "an e-mail needs somebody to go to");
        let port = settings
            .smtp
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        ensure!(port.is_some(), "smtp: {} is not host:port", settings.smtp);
        let to: anyhow::Result<Vec<String>> = settings.to.iter().map(|to| mailbox(to)).collect();
        Ok(Self {
            server: Server {
                address: settings.smtp.clone(),
                mode: settings.mode,
                tls: settings.tls.client_config()?,
                timeout: settings.timeout,
            },
            wording,
            from: mailbox(&settings.from)?,
            to: to?,
            password: Held::optional(settings.login.as_ref().map(|(_, password)| password))?,
            connection: None,
            settings: settings.clone(),
        })
    }

    /// The connection of the burst, or a new one.
    fn connection(&mut self) -> Result<Connection, SendError> {
        if let Some((mut connection, used)) = self.connection.take() {
            if used.elapsed() < IDLE_MAX && connection.reset(self.settings.timeout) {
                return Ok(connection);
            }
            connection.quit();
        }
        let mut connection = Connection::open(&self.server)?;
        if let (Some((username, _)), Some(password)) = (&self.settings.login, &self.password) {
            let encoded = [
                BASE64_STANDARD.encode(password.value()),
                BASE64_STANDARD.encode(format!("\0{username}\0{}", password.value())),
            ];
            let secrets = [password.value(), &encoded[0], &encoded[1]];
            connection
                .log_in(username, password.value())
                .map_err(|error| error.without(&secrets))?;
        }
        Ok(connection)
    }

    fn try_one(&mut self, delivery: &Delivery) -> Result<(), SendError> {
        let mut connection = self.connection()?;
        let envelope = Envelope {
            from: &self.settings.from,
            to: &self.settings.to,
        };
        let text = message(&delivery.alert, envelope, &self.wording, jiff::Timestamp::now());
        let result = connection.send(&self.from, &self.to, &text, MESSAGE_MAX);
        // After a refusal the dialogue is where it was; after anything else nobody knows.
        if matches!(result, Ok(_) | Err(SendError::Reject { .. })) {
            self.connection = Some((connection, Instant::now()));
        }
        let refused = result?;
        if !refused.is_empty() {
            log::warn!(
                "e-mail of alert {}: refused for {}",
                delivery.alert.id,
                refused.join(", ")
            );
        }
        Ok(())
    }
}

impl Alerter for Email {
    fn batch_max(&self) -> usize {
        BURST_MAX
    }

    fn send(&mut self, batch: &[Delivery]) -> Sent {
        for (delivered, delivery) in batch.iter().enumerate() {
            let mut result = self.try_one(delivery);
            if matches!(result, Err(SendError::Blocked { .. })) && self.password.as_mut().is_some_and(Held::renew) {
                result = self.try_one(delivery);
            }
            if let Err(error) = result {
                return Sent::failed(delivered, error);
            }
        }
        Sent::all(batch.len())
    }

    fn tick(&mut self) -> Option<Duration> {
        if let Some((connection, _)) = self.connection.take_if(|(_, used)| used.elapsed() >= IDLE_MAX) {
            connection.quit();
        }
        Some(IDLE_MAX)
    }
}

/// The address alone, fit to stand in a command: ASCII, no spaces, no brackets.
///
/// # Errors
/// The text is no address.
pub fn mailbox(text: &str) -> anyhow::Result<String> {
    ensure!(!text.contains(['\r', '\n']), "{text:?}: a line break in an address");
    let address = match text.split_once('<') {
        Some((_, rest)) => rest
            .split_once('>')
            .map(|(address, _)| address)
            .context("an address without its >")?,
        None => text.trim(),
    };
    let valid = address
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && address
            .bytes()
            .all(|b| matches!(b, b'!'..=b'~') && !b"<>(),;:\\\"".contains(&b));
    ensure!(
        valid && text.is_ascii(),
        "{text:?} is not an e-mail address (ASCII, local@domain)"
    );
    Ok(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_cannot_carry_commands() {
        for (text, address) in [
            ("ops@example.org", Some("ops@example.org")),
            ("Night shift <night@example.org>", Some("night@example.org")),
            ("a@b>\r\nRCPT TO:<c@d", None),
            ("no address", None),
            ("@b", None),
            ("<a@b", None),
            ("用户@example.org", None),
        ] {
            assert_eq!(mailbox(text).ok().as_deref(), address, "{text}");
        }
    }
}
