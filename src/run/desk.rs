//! Main between start and stop: signals, reloads, pings, and the ends of threads.

use super::notify::Notifier;
use super::pulse::Pulse;
use super::reload::{Load, Reloader};
use super::threads::{self, Signals, Threads};
use crate::collector;
use anyhow::Result;
use crossbeam_channel::{Receiver, after, never, select};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything: `run --once` has no pulse.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

pub type Outcome = std::result::Result<Result<()>, crossbeam_channel::RecvError>;

/// What main works with.
pub struct Desk<'a> {
    reloader: Reloader,
    load: &'a Load,
    threads: Threads,
    notifier: Arc<Notifier>,
    pulse: Option<Pulse>,
}

impl<'a> Desk<'a> {
    pub fn new(reloader: Reloader, load: &'a Load, threads: Threads, notifier: Arc<Notifier>, once: bool) -> Self {
        let parts = reloader.parts();
        let pulse = Pulse::new(notifier.clone(), &parts.current.state_dir, parts.metrics.clone());
        Self {
            reloader,
            load,
            threads,
            notifier,
            pulse: (!once).then_some(pulse),
        }
    }

    pub fn into_stop(self) -> collector::Stop {
        self.reloader.into_stop()
    }

    fn reload(&mut self) -> Option<Receiver<()>> {
        self.notifier.reloading();
        let in_force = self.reloader.reload(self.load, &mut self.threads);
        if in_force.is_none() {
            self.notifier.ready();
        }
        in_force
    }

    fn is_through(&self) {
        self.reloader.is_through();
        self.notifier.ready();
    }

    fn pulse(&mut self) {
        if let Some(pulse) = &mut self.pulse {
            pulse.turn(self.reloader.parts());
        }
    }
}

/// What main waits for.
pub struct Wait<'a> {
    pub signals: &'a Signals,
    pub all_read: &'a Receiver<()>,
    pub keeper: &'a Receiver<Result<()>>,
    pub deadline: &'a Receiver<Instant>,
}

impl Wait<'_> {
    /// Until something ends the service. What became of the keeper, if it ended first: only for want of a state that can
    /// be used.
    pub fn live(&self, desk: &mut Desk<'_>) -> Option<Outcome> {
        let (mut in_force, never): (Option<Receiver<()>>, _) = (None, never());
        loop {
            // Behind a full outbox the last reload may not have gone through: the next may be what empties it.
            let changed = in_force.as_ref().unwrap_or(&never);
            let pulse = after(desk.pulse.as_ref().map_or(NEVER, Pulse::wait));
            select! {
                recv(self.signals.reload) -> _ => in_force = desk.reload().or(in_force),
                recv(changed) -> done => {
                    in_force = None;
                    if done.is_ok() {
                        desk.is_through();
                    }
                }
                recv(pulse) -> _ => desk.pulse(),
                recv(self.keeper) -> outcome => return Some(outcome),
                recv(self.signals.stop) -> signal => {
                    log::info!("stopping: {}", threads::signal_name(signal.unwrap_or_default()));
                    return None;
                }
                recv(self.all_read) -> _ => {
                    log::debug!("everything is read");
                    return None;
                }
                recv(self.deadline) -> _ => {
                    log::warn!("stopping at the deadline: the next run goes on");
                    return None;
                }
            }
        }
    }
}
