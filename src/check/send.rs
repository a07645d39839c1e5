//! `check --send`: a test alert to every alerter, each with what came of it.
//!
//! Sent past outbox, filters and limits, so that what is tried is the way to the receiver. What an incident system
//! opened for it is closed again.

use crate::alert::compose::Composer;
use crate::alert::redact::Redactor;
use crate::alert::render::Language;
use crate::alert::{Alert, Host, Kind, News, Reason, Status, id};
use crate::alerter::webhook::Preset;
use crate::alerter::{self, Apart, Delivery, SendError, Settings, TextFormat};
use crate::config;
use crate::record::Level;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// # Errors
/// At least one alerter did not take it; all were tried.
pub fn send(settings: &config::Settings, out: &mut dyn Write) -> Result<()> {
    let own_name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let composer = Composer {
        host: Host {
            id: String::new(),
            name: settings.alert.host_name.clone().unwrap_or_else(own_name),
        },
        redactor: Redactor::new(&settings.alert.redact, b""),
        wording: settings
            .alerters
            .first()
            .map(|alerter| alerter.wording.clone())
            .unwrap_or_default(),
    };
    let mut failed = 0;
    for alerter in &settings.alerters {
        let outcome = try_one(alerter, &composer, &settings.alert.host_labels);
        let way = way_of(alerter);
        match outcome {
            Ok(()) => writeln!(out, "{}: delivered ({way})", alerter.name)?,
            Err(why) => {
                failed += 1;
                writeln!(out, "{}: failed ({way}): {why}", alerter.name)?;
            }
        }
        // Who waits for the next one sees that this one is done.
        out.flush()?;
    }
    match failed {
        0 => Ok(()),
        _ => bail!(
            "{failed} of {} alerters did not take the test alert",
            settings.alerters.len()
        ),
    }
}

fn try_one(settings: &Settings, composer: &Composer, labels: &BTreeMap<String, String>) -> Result<(), String> {
    let mut alerter = alerter::build(settings).map_err(|error| format!("{error:#}"))?;
    let mut alert = test_alert(settings, composer, labels);
    hand_over(alerter.as_mut(), &alert)?;
    if opens_incidents(settings) {
        let resolved = id::of_sequel(&alert.id, Status::Resolved.as_str(), 1);
        alert.firing_id = Some(std::mem::replace(&mut alert.id, resolved));
        (alert.status, alert.reason) = (Status::Resolved, Reason::Quiet);
        hand_over(alerter.as_mut(), &alert).map_err(|why| format!("it was taken, but not its resolution: {why}"))?;
    }
    Ok(())
}

fn test_alert(settings: &Settings, composer: &Composer, labels: &BTreeMap<String, String>) -> Alert {
    let now = jiff::Timestamp::now();
    let name = &settings.name;
    let title = match settings.wording.language {
        Language::English => format!("Test alert: whoever reads this is reached by the alerter {name}"),
        Language::Chinese => format!("测试告警：看到这条消息，说明告警器 {name} 可用"),
    };
    let news = News {
        kind: Kind::Test,
        subject: &["test", name],
        occasion: &now.to_string(),
        severity: Level::Info,
        title,
        text: None,
        place: None,
    };
    composer.news(news, labels, now)
}

fn hand_over(alerter: &mut dyn alerter::Alerter, alert: &Alert) -> Result<(), String> {
    let delivery = Delivery {
        seq: 1,
        tries: 0,
        alert: Arc::new(alert.clone()),
    };
    let sent = alerter.send(&[delivery]);
    match sent.error {
        None if sent.delivered == 1 => Ok(()),
        None => Err(match sent.apart.into_iter().next() {
            Some((_, Apart::Failed { reason, .. })) => reason,
            Some((_, Apart::Arrived | Apart::Waits { .. })) | None => "nothing was sent".to_owned(),
        }),
        Some(SendError::Retry { reason, .. }) => Err(reason),
        Some(SendError::Blocked { reason }) => Err(format!("blocked until somebody mends it: {reason}")),
        Some(SendError::Reject { reason }) => Err(format!("rejected: {reason}")),
    }
}

fn opens_incidents(settings: &Settings) -> bool {
    match &settings.kind {
        alerter::Kind::Webhook(webhook) => matches!(webhook.preset, Preset::Pagerduty { .. } | Preset::Alertmanager),
        alerter::Kind::Console { .. }
        | alerter::Kind::File { .. }
        | alerter::Kind::Email(_)
        | alerter::Kind::Kafka(_) => false,
    }
}

/// How it goes there, without anything secret.
fn way_of(settings: &Settings) -> String {
    match &settings.kind {
        alerter::Kind::Console {
            format: TextFormat::Text | TextFormat::Json | TextFormat::Raw,
        } => "console".to_owned(),
        alerter::Kind::File { path, .. } => format!("file {}", path.display()),
        alerter::Kind::Webhook(_) => "webhook".to_owned(),
        alerter::Kind::Email(_) => "email".to_owned(),
        alerter::Kind::Kafka(_) => "kafka".to_owned(),
    }
}
