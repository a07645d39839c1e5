//! SIGHUP: a changed configuration takes the place of the old one while the service runs.
//!
//! Everything that can fail comes first: loading, certificates, secrets, the state. Whatever fails there is told, and the
//! old settings stay. Then the keeper hears of the alerters out of band (one of them may be what blocks everything else),
//! the couriers of theirs, and the collector of the sources; analyzers and keeper change in band, behind what was read
//! before. What cannot change in a running service is named.

use super::build::{self, Identity};
use super::recall::recall;
use super::threads::Threads;
use super::worker::Plan;
use crate::alerter::courier::{Courier, Order, Replacement};
use crate::alerter::{self, Alerter};
use crate::cli::RunOptions;
use crate::collector;
use crate::collector::piped::Input;
use crate::config::{self, Loaded, Problems, Settings};
use crate::keeper;
use crate::metrics::Metrics;
use crate::own_log;
use crate::state::{self, outbox};
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The keeper has so long to commit what a reload changes: longer than its longest commit on a slow card.
const KEEPER_MAX: Duration = Duration::from_secs(20);

/// Reads the configuration again, as at the start.
pub type Load = Box<dyn Fn() -> Result<Loaded, Problems>>;

/// The way to tell each courier something, by the name of its alerter.
pub type Orders = BTreeMap<Arc<str>, Letterbox<Order>>;

/// Both ends of a channel, of which somebody else reads: what was not read yet can be taken back.
#[derive(Debug, Clone)]
pub struct Letterbox<T>(Sender<T>, Receiver<T>);

impl<T> Letterbox<T> {
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = bounded(capacity);
        Self(sender, receiver)
    }

    pub fn reader(&self) -> Receiver<T> {
        self.1.clone()
    }

    /// Dropped where there is no room.
    pub fn put(&self, letter: T) {
        self.0.try_send(letter).ok();
    }

    /// What is newer takes the place of all that was not read.
    fn replace(&self, letter: T) {
        while self.1.try_recv().is_ok() {}
        // It is empty, and nobody else writes.
        self.0.try_send(letter).ok();
    }
}

pub struct Parts {
    pub current: Settings,
    pub identity: Identity,
    pub options: RunOptions,
    pub collector: collector::Stop,
    /// One per analyzer.
    pub plans: Vec<Letterbox<Plan>>,
    pub keeper: Sender<keeper::Inbox>,
    pub orders: Orders,
    pub metrics: Arc<Metrics>,
    pub board: Arc<keeper::Board>,
}

/// Whatever has to hear of a reload. Dropped, it lets the keeper end: it holds an end of its inbox.
pub struct Reloader {
    parts: Parts,
    generation: u64,
}

/// What a reload needs of each alerter, built before anything changes.
struct Prepared {
    alerters: Vec<(alerter::Settings, Option<keeper::Line>)>,
    couriers: Vec<(Courier, Letterbox<Order>)>,
    replacements: Vec<Replacement>,
}

impl Reloader {
    pub fn new(parts: Parts) -> Self {
        Self { parts, generation: 0 }
    }

    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The collector's end, when everything stops.
    pub fn into_stop(self) -> collector::Stop {
        self.parts.collector
    }

    /// A reload's new settings are in force.
    pub fn is_through(&self) {
        log::info!("reload {}: the new settings are in force", self.generation);
        self.parts.metrics.reloads.add(1);
    }

    /// What answers when the new settings are in force; none: the old ones stay.
    pub fn reload(&mut self, load: &Load, threads: &mut Threads) -> Option<Receiver<()>> {
        self.generation += 1;
        let outcome = match load() {
            Ok(loaded) => {
                let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
                own_log::tell_all(log::Level::Warn, &warnings);
                self.change(loaded.settings, threads)
                    .map_err(|error| format!("{error:#}"))
            }
            Err(problems) => {
                let shown: Vec<String> = problems.shown.iter().map(ToString::to_string).collect();
                own_log::tell_all(log::Level::Error, &shown);
                Err("the configuration is invalid (`check` says the same)".to_owned())
            }
        };
        let failed = outcome.is_err();
        self.parts.metrics.reload_failed.store(failed, Ordering::Relaxed);
        if let Err(why) = &outcome {
            log::error!("reload {}: the old settings stay: {why}", self.generation);
            self.parts.metrics.reloads.add(1);
        }
        outcome.ok()
    }

    fn change(&mut self, mut settings: Settings, threads: &mut Threads) -> Result<Receiver<()>> {
        keep_what_needs_a_restart(&self.parts.current, &mut settings);
        let Prepared {
            alerters,
            couriers,
            replacements,
        } = self.prepare(&settings)?;
        let sources = build::source_parts(&settings);
        let composer = build::composer(&self.parts.identity, &settings);
        let known = self.tell_keeper(&settings, alerters)?;
        // From here on nothing fails but what ends the service anyway.
        self.tell_couriers(&settings, couriers, replacements, threads)?;
        let (done, in_force) = bounded(1);
        let plan = Plan {
            sources,
            board: (settings.alert.novelty.enabled || settings.judge.is_some()).then(|| self.parts.board.clone()),
            keeper: Arc::new(keeper::Change {
                generation: self.generation,
                composer,
                alert: settings.alert.clone(),
                rules: settings.analyzer.rules.clone(),
                labels: build::labels(&settings),
                done,
            }),
        };
        for analyzer in &self.parts.plans {
            analyzer.replace(plan.clone());
        }
        self.parts.collector.tell(collector::Inbox::Reload(collector::Reload {
            sources: settings
                .sources
                .iter()
                .filter(|source| source.input == Input::Files)
                .map(|source| source.collector.clone())
                .collect(),
            own: build::own_files(&settings),
            resumed: known.resumed,
            first_starts: known.first_starts,
        }));
        self.parts.current = settings;
        Ok(in_force)
    }

    fn prepare(&self, settings: &Settings) -> Result<Prepared> {
        let parts = &self.parts;
        let reader = state::reader(&parts.current.state_dir)?;
        let newest_seq = outbox::newest_seq(&reader)?;
        let mut prepared = Prepared {
            alerters: Vec::new(),
            couriers: Vec::new(),
            replacements: Vec::new(),
        };
        for settings in &settings.alerters {
            let mut alerter: Box<dyn Alerter> = alerter::build_named(settings)?;
            recall(&mut *alerter, settings, &reader)?;
            let mut line = None;
            if parts.orders.contains_key(&settings.name) {
                let settings = settings.clone();
                prepared.replacements.push(Replacement { settings, alerter });
            } else {
                let (courier, its_line, orders) = build::courier(
                    settings,
                    alerter,
                    newest_seq,
                    &parts.current.state_dir,
                    &parts.options,
                    &parts.keeper,
                )?;
                prepared.couriers.push((courier, orders));
                line = Some(its_line);
            }
            prepared.alerters.push((settings.clone(), line));
        }
        Ok(prepared)
    }

    fn tell_keeper(
        &self,
        settings: &Settings,
        alerters: Vec<(alerter::Settings, Option<keeper::Line>)>,
    ) -> Result<keeper::Known> {
        let names = |settings: &Settings| {
            settings
                .sources
                .iter()
                .map(|source| source.collector.name.clone())
                .collect()
        };
        let (known, sources): (Vec<Arc<str>>, Vec<Arc<str>>) = (names(&self.parts.current), names(settings));
        let (reply, answer) = bounded(1);
        let reload = keeper::Reload {
            alerters,
            new_sources: sources.iter().filter(|name| !known.contains(name)).cloned().collect(),
            sources,
            reply,
        };
        let message = keeper::Inbox::Reload(Box::new(reload));
        if self.parts.keeper.send_timeout(message, KEEPER_MAX).is_err() {
            bail!("the keeper takes no messages");
        }
        answer.recv_timeout(KEEPER_MAX).context("the keeper does not answer")?
    }

    fn tell_couriers(
        &mut self,
        settings: &Settings,
        couriers: Vec<(Courier, Letterbox<Order>)>,
        replacements: Vec<Replacement>,
        threads: &mut Threads,
    ) -> Result<()> {
        let orders = &mut self.parts.orders;
        for replacement in replacements {
            if let Some(courier) = orders.get(&replacement.settings.name) {
                courier.replace(Order::Become(Box::new(replacement)));
            }
        }
        orders.retain(|name, courier| {
            let stays = settings.alerters.iter().any(|alerter| alerter.name == *name);
            if !stays {
                courier.replace(Order::Retire);
            }
            stays
        });
        for (courier, teller) in couriers {
            orders.insert(courier.settings.name.clone(), teller);
            let name = format!("courier {}", courier.settings.name);
            threads.spawn(&name, move || courier.run())?;
        }
        Ok(())
    }
}

/// Says what of the new settings needs a restart, and keeps the old for it.
fn keep_what_needs_a_restart(current: &Settings, new: &mut Settings) {
    let mut kept = Vec::new();
    if new.state_dir != current.state_dir {
        new.state_dir.clone_from(&current.state_dir);
        kept.push("state_dir".to_owned());
    }
    let streams = |settings: &Settings| -> Vec<config::Source> {
        let sources = settings.sources.iter();
        sources.filter(|source| source.input != Input::Files).cloned().collect()
    };
    let (old_streams, new_streams) = (streams(current), streams(new));
    let inputs = |sources: &[config::Source]| -> Vec<(Arc<str>, Input)> {
        let pairs = sources
            .iter()
            .map(|source| (source.collector.name.clone(), source.input.clone()));
        pairs.collect()
    };
    if inputs(&old_streams) != inputs(&new_streams) {
        new.sources.retain(|source| source.input == Input::Files);
        new.sources.extend(old_streams);
        kept.push("sources of the journal or of standard input".to_owned());
    }
    if new.analyzer_threads != current.analyzer_threads {
        new.analyzer_threads = current.analyzer_threads;
        kept.push("analyzers.threads".to_owned());
    }
    if new.judge != current.judge {
        new.judge.clone_from(&current.judge);
        kept.push("analyzers.ai".to_owned());
    }
    if new.log.differs_but_for_its_level(&current.log) {
        kept.push("log".to_owned());
    }
    new.log.clone_from(&current.log);
    if new.metrics != current.metrics {
        new.metrics.clone_from(&current.metrics);
        kept.push("metrics".to_owned());
    }
    let is_new = |name: &str| current.sources.iter().all(|source| *source.collector.name != *name);
    let is_gone = |name: &str, new: &Settings| new.sources.iter().all(|source| *source.collector.name != *name);
    for old in &current.sources {
        let old = &old.collector;
        if !is_gone(&old.name, new) {
            continue;
        }
        let renamed = new
            .sources
            .iter_mut()
            .find(|source| source.collector.paths == old.paths && is_new(&source.collector.name));
        if let Some(source) = renamed {
            // Under another name its files would be new ones: what was not read of them yet would be skipped.
            kept.push(format!(
                "the name of the source {} (was {})",
                source.collector.name, old.name
            ));
            source.collector.name = old.name.clone();
        }
    }
    for what in kept {
        log::warn!("reload: {what} changes with a restart only; the old one stays");
    }
}
