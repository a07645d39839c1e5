//! New settings while the keeper works (SIGHUP), in two halves.
//!
//! What comes with the data is judged and told by the settings of its time: [`Change`] arrives in band. Alerters change
//! out of band ([`Reload`]): one that is down and blocks the reading must not keep its own removal from being heard.

use super::holding::Holding;
use super::watching::Watching;
use super::{Keeper, Queue, outbox};
use crate::alert::{self, Composer};
use crate::alerter;
use crate::alerter::courier::{Bell, Feeder, bell, feed};
use crate::analyzer::Rule;
use crate::collector::Resumed;
use crate::state::{Durability, checkpoints};
use anyhow::Result;
use crossbeam_channel::Sender;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why deliveries of an alerter that is gone are dead.
pub const ORPHANED: &str = "its alerter is no longer configured";

/// What the keeper shares with a courier.
pub type Line = (Bell, Feeder);

/// The half that is ordered with the data.
#[derive(Debug)]
pub struct Change {
    /// Rises: each analyzer brings the same change, and the first one counts.
    pub generation: u64,
    pub composer: Composer,
    pub alert: alert::Settings,
    pub rules: Vec<Rule>,
    pub labels: BTreeMap<Arc<str>, BTreeMap<String, String>>,
    /// Told when it is in force.
    pub done: Sender<()>,
}

/// The half that is not.
#[derive(Debug)]
pub struct Reload {
    /// All alerters from now on; with the bell of those whose courier is new.
    pub alerters: Vec<(alerter::Settings, Option<Line>)>,
    /// All sources from now on: that a new one is started first now is committed before anything of it is read.
    pub sources: Vec<Arc<str>>,
    /// Those of them that were not followed so far.
    pub new_sources: Vec<Arc<str>>,
    /// Nothing has changed where it failed.
    pub reply: Sender<Result<Known>>,
}

/// What the state knows of new sources, from when they were configured before.
#[derive(Debug, Default)]
pub struct Known {
    pub resumed: Vec<Resumed>,
    pub first_starts: BTreeMap<String, i64>,
}

impl Keeper {
    pub(super) fn change(&mut self, change: &Change) {
        if change.generation <= self.generation {
            return;
        }
        self.generation = change.generation;
        self.composer = change.composer.clone();
        // Batches of sources that are gone may still come from other analyzers.
        self.labels.extend(change.labels.clone());
        self.book.set_timing(&change.alert);
        self.quiet.clone_from(&change.alert.quiet);
        self.own.configure(&change.alert, super::now());
        if let Err(error) = self.watch(change) {
            log::error!("reload: thresholds and absences stay as they were: {error:#}");
        }
        self.novelty.set(change.alert.novelty.clone());
        if let Err(error) = self.configure_silences(&change.alert.silences) {
            log::error!("reload: the silences of the configuration stay as they were: {error:#}");
        }
        for file in self
            .files
            .values_mut()
            .filter(|file| !change.labels.contains_key(&file.source))
        {
            // Nobody reads on: what waits for its end would wait for ever.
            (file.lag_bytes, file.unread_since) = (0, None);
        }
        self.pending.checkpoints_due = true;
        // Main may have gone.
        change.done.try_send(()).ok();
    }

    /// Counts go on for rules that stay: they are taken from the state.
    fn watch(&mut self, change: &Change) -> Result<()> {
        self.commit()?;
        let host_id = &self.composer.host.id;
        let clock = std::mem::take(&mut self.watching.clock);
        self.watching = Watching::load(&self.state, &change.rules, &change.alert, host_id, None, super::now())?;
        self.watching.clock = clock;
        Ok(())
    }

    pub(super) fn reload(&mut self, reload: Reload) {
        let outcome = self.write_reload(&reload);
        if outcome.is_ok() {
            self.take_over(reload.alerters);
            let names = self.queues.iter().map(|queue| &queue.settings.name);
            self.metrics.follow(reload.sources.iter(), names);
        }
        // Main may have gone.
        reload.reply.try_send(outcome).ok();
    }

    fn write_reload(&mut self, reload: &Reload) -> Result<Known> {
        // What is pending names alerters by their place in the old list.
        self.commit()?;
        let names: Vec<&str> = reload.alerters.iter().map(|(settings, _)| &*settings.name).collect();
        let now_ms = super::now().wall.as_millisecond();
        let orphans = self.state.commit(Durability::Full, |connection| {
            for source in &reload.sources {
                checkpoints::remember_first_start(connection, source, now_ms)?;
            }
            outbox::orphan(connection, &names, ORPHANED)
        })?;
        if orphans > 0 {
            log::warn!("{orphans} deliveries of alerters that are no longer configured are dead");
        }
        let mut known = Known {
            resumed: Vec::new(),
            first_starts: checkpoints::first_starts(self.state.connection())?,
        };
        if !reload.new_sources.is_empty() {
            let rows = checkpoints::load(self.state.connection())?.into_iter();
            let new = |source: &str| reload.new_sources.iter().any(|new| **new == *source);
            known.resumed = rows
                .filter(|(_, file)| new(&file.source))
                .map(checkpoints::resumed)
                .collect();
        }
        Ok(known)
    }

    fn take_over(&mut self, alerters: Vec<(alerter::Settings, Option<Line>)>) {
        let mut old = std::mem::take(&mut self.queues);
        for (settings, line) in alerters {
            let known = old.iter().position(|queue| queue.settings.name == settings.name);
            let queue = match (known.map(|at| old.swap_remove(at)), line) {
                (Some(known), None) => Queue { settings, ..known },
                // Its deliveries died when it was gone: it begins with nothing.
                (_, line) => {
                    let (bell, feeder) = line.unwrap_or_else(|| (bell().0, feed(0).0));
                    Queue {
                        settings,
                        bell,
                        feeder,
                        bytes: 0,
                        full: false,
                        blocked: None,
                        holding: Holding::default(),
                    }
                }
            };
            self.queues.push(queue);
        }
        // Dropped with their bells, the couriers of the others end.
        self.ring_all();
    }
}
