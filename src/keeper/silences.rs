//! What silences do to alerts: records count, messages are withheld, and what still fires when one ends is said.

use super::{Keeper, now};
use crate::alert::Alert;
use crate::alert::book::{Key, Said};
use crate::alert::silence::{Silences, Wanted};
use crate::metrics::Suppressed;
use crate::state::{Durability, silences};
use anyhow::Result;
use rusqlite::Connection;
use std::time::Duration;

impl Keeper {
    /// What the configuration silences from here on.
    pub fn configure_silences(&mut self, wanted: &[Wanted]) -> Result<()> {
        self.state.commit(Durability::Full, |connection| {
            silences::configure(connection, wanted, now().wall)
        })?;
        self.load_silences()
    }

    /// Takes them from the state: somebody has changed them.
    pub(super) fn load_silences(&mut self) -> Result<()> {
        self.silences.replace(silences::load(self.state.connection())?);
        Ok(())
    }

    /// Counts a record that a silence covers; whether one does.
    pub(super) fn silence_record(&mut self, alert: &Alert) -> bool {
        let Some(id) = self.silences.hit(alert, now().wall) else {
            return false;
        };
        self.metrics.suppressed(Suppressed::Silence).add(1);
        log::trace!("alert {} is silenced by {id}", alert.id);
        self.pending.note_life();
        true
    }

    /// Whether a silence covers a message of a group; then nobody hears it.
    pub(super) fn withhold_if_silenced(&mut self, said: &Said, alert: &Alert) -> bool {
        let Some(silence) = self.silences.covering(alert, now().wall) else {
            return false;
        };
        let id = silence.id.clone();
        self.pending.happened(&alert.id, None, "silenced", Some(id));
        self.book.withhold(said);
        true
    }

    /// When a silence has gone, groups that it covered are said, as far as they still fire.
    pub(super) fn say_what_was_withheld(&mut self) {
        if !self.silences.take_fewer(now().wall) {
            return;
        }
        for key in self.book.withheld() {
            if let Some(alert) = self.sample(&key)
                && self.silences.covering(&alert, now().wall).is_none()
            {
                let said = self.book.release(&key, now());
                said.into_iter()
                    .for_each(|said| self.say(&said, alert.clone(), now().wall));
                self.pending.note_life();
            }
        }
    }

    /// A step in the life of a group, for `explain`.
    pub(super) fn note_said(&mut self, alert: &Alert) {
        let reason = alert.reason.as_str();
        let detail = match alert.count {
            0 | 1 => reason.to_owned(),
            count => format!("{reason}, {count} records"),
        };
        self.pending
            .happened(&alert.id, None, alert.status.as_str(), Some(detail));
    }

    /// The message that was said first of a group, as it would be of its severity now.
    fn sample(&self, key: &Key) -> Option<Alert> {
        let sample = self.pending.sample(&self.state, key);
        let sample = sample.inspect_err(|error| log::error!("{}: {error:#}", key.fingerprint));
        let mut alert = sample.ok().flatten()?;
        let (_, group) = self.book.groups().find(|(known, _)| *known == key)?;
        alert.severity = group.severity;
        Some(alert)
    }

    /// How long until the next silence ends.
    pub(super) fn silence_left(&self) -> Option<Duration> {
        let left = self.silences.next_end()?.duration_since(now().wall);
        Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
    }
}

/// Hits, and silences that have ended.
pub(super) fn write_silences(connection: &Connection, changed: &Silences) -> Result<()> {
    let (hits, ended) = changed.changes();
    for (id, hits) in hits {
        silences::set_hits(connection, id, hits)?;
    }
    for id in ended {
        silences::remove(connection, id)?;
    }
    Ok(())
}
