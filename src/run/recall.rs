//! What fires is told to an alerter that has to be reminded of it, and forgets it with a restart or a reload:
//! Alertmanager ends what it hears no more of.

use crate::alert::Alert;
use crate::alert::silence::Silences;
use crate::alerter::{self, Alerter, Kind, webhook};
use crate::state::{groups, silences};
use anyhow::Result;
use rusqlite::Connection;
use std::sync::Arc;

/// Tells `alerter` what it was told by the state: what fires, passes its filters, and is not silenced.
pub fn recall(alerter: &mut dyn Alerter, settings: &alerter::Settings, state: &Connection) -> Result<()> {
    let reminds = matches!(&settings.kind, Kind::Webhook(webhook) if webhook.preset == webhook::Preset::Alertmanager);
    // Who is sent each record was told of no life.
    if !reminds || settings.send == alerter::Send::Each {
        return Ok(());
    }
    let mut silenced = Silences::default();
    silenced.replace(silences::load(state)?);
    let now = jiff::Timestamp::now();
    let told = |alert: &Alert| {
        settings.filter.accepts(settings.min_severity, alert) && silenced.covering(alert, now).is_none()
    };
    let firing = groups::firing(state)?.into_iter().filter(told);
    alerter.recall(firing.map(Arc::new).collect());
    Ok(())
}
