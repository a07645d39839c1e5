//! `alerters.*.email`: one mail server, a sender and whom it reaches.

use crate::alerter::email::{Settings, TlsMode, mailbox};
use crate::alerter::tls::Tls;
use crate::config::alerter_file as file;
use crate::config::decode::clip;
use crate::config::key::Key;
use crate::config::place::Inputs;
use crate::config::secret;
use crate::config::tree::NodeId;
use std::time::Duration;

/// Mail servers scan and grey-list before they answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const RECIPIENTS_MAX: usize = 100;

pub fn email(key: Key<file::Email>, inputs: &mut Inputs) -> Option<Settings> {
    let section_at = key.at()?;
    key.get()?;
    let file = key.section();
    let mode = match file.tls.or(file::EmailTls::Starttls) {
        file::EmailTls::Starttls => TlsMode::Starttls,
        file::EmailTls::Implicit => TlsMode::Implicit,
        file::EmailTls::None => TlsMode::None,
    };
    let login = login(section_at, &file, inputs);
    if let (TlsMode::None, Some(_), Some(at)) = (mode, &login, file.tls.at()) {
        inputs.warn(at, "the password is sent unencrypted", "use starttls or implicit");
    }
    let to = recipients(section_at, &file, inputs);
    let smtp = required(section_at, "smtp", "smtp.example.org:587", &file.smtp, inputs);
    if let (Some(smtp), Some(at)) = (&smtp, file.smtp.at()) {
        let port = smtp.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port
            .and_then(|(_, port)| port.parse::<u16>().ok())
            .is_none_or(|port| port == 0)
        {
            let what = format!("`{}` is not host:port", clip(smtp));
            inputs.fault(at, what, "587 is usual for starttls, 465 for implicit");
        }
    }
    let from = required(section_at, "from", "elc@example.org", &file.from, inputs);
    if let (Some(from), Some(at)) = (&from, file.from.at()) {
        check_mailbox(at, from, inputs);
    }
    Some(Settings {
        smtp: smtp?,
        mode,
        tls: Tls::default(),
        login,
        from: from?,
        to,
        timeout: TIMEOUT,
    })
}

fn required(at: NodeId, name: &str, example: &str, key: &Key<String>, inputs: &mut Inputs) -> Option<String> {
    if !key.is_given() {
        inputs.fault(at, format!("`{name}` is missing"), format!("add `{name}: {example}`"));
    }
    key.get().cloned()
}

fn check_mailbox(at: NodeId, text: &str, inputs: &mut Inputs) {
    if mailbox(text).is_err() {
        let hint = "ASCII, such as ops@example.org or Ops <ops@example.org>";
        inputs.fault(at, format!("`{}` is not an e-mail address", clip(text)), hint);
    }
}

fn recipients(at: NodeId, file: &file::Email, inputs: &mut Inputs) -> Vec<String> {
    if !file.to.is_given() {
        inputs.fault(at, "`to` is missing", "add `to: [ops@example.org]`");
    }
    let list = file.to.placed().map(|(at, list)| (at, &list.0));
    let Some((list_at, items)) = list else {
        return Vec::new();
    };
    if items.is_empty() || items.len() > RECIPIENTS_MAX {
        inputs.fault(list_at, format!("must name 1 to {RECIPIENTS_MAX} addresses"), "");
    }
    let placed: Vec<(NodeId, &String)> = items.iter().filter_map(Key::placed).collect();
    for (at, text) in &placed {
        check_mailbox(*at, text, inputs);
    }
    placed.into_iter().map(|(_, text)| text.clone()).collect()
}

/// User name and password belong together; neither is a server that trusts this host.
fn login(at: NodeId, file: &file::Email, inputs: &mut Inputs) -> Option<(String, crate::alerter::secret::Secret)> {
    let has_password = file.password.is_given() || file.password_file.is_given();
    match (file.username.is_given(), has_password) {
        (false, true) => inputs.fault(at, "a password without `username`", "add `username: …`"),
        (true, false) => inputs.fault(at, "`username` without a password", "add `password_file: …`"),
        (false, false) | (true, true) => {}
    }
    let password = secret::either("password", &file.password, &file.password_file, inputs);
    Some((file.username.get()?.clone(), password?))
}
