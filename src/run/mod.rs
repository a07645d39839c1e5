//! The service: build everything that can fail, spawn, wait for signals and exits, drain front to back.
//!
//! ```text
//! files ──► collector ══► analyzer ×N ══► keeper ──► state.db
//!                                           │ bells  ▲ marks, commands
//!                                           ▼        │
//!                                        couriers, control
//! ```
//!
//! Stop is the channel closing: the collector returns and drops its senders, each stage finishes what it holds, the
//! keeper tells the couriers by dropping their bells, and they get a deadline. What is unsent stays in the outbox.

mod build;
mod careful;
mod recall;
mod reload;
mod threads;
pub mod worker;

use crate::alerter::courier::Courier;
use crate::cli::RunOptions;
use crate::collector::Collector;
use crate::config::Settings;
use crate::control::Control;
use crate::judge::Judge;
use crate::keeper::{self, CouriersEnd, Keeper};
use crate::state::{self, Lock};
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, bounded, never, select};
use reload::{Load, Reloader};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use threads::{Signals, Threads};
use worker::Worker;

/// What couriers get at a stop: well below the time after which supervisors kill; what is unsent stays in the outbox.
const COURIERS_DEADLINE: Duration = Duration::from_secs(5);

/// What the analyzers and the keeper get at a stop before they are told to leave the rest to the next start.
const DRAIN_DEADLINE: Duration = Duration::from_secs(6);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// Another instance runs, and `single_instance` was asked for.
    AlreadyRunning,
}

/// Runs the service until SIGTERM or SIGINT (or, with `once`, until everything is read).
pub fn run(settings: Settings, options: &RunOptions, load: Load) -> Result<Ended> {
    let lock = match state::lock(&settings.state_dir)? {
        Ok(lock) => lock,
        Err(_) if options.single_instance => return Ok(Ended::AlreadyRunning),
        Err(held) => {
            let who = held.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            bail!("another instance{who} holds {}", settings.state_dir.display());
        }
    };
    let signals = threads::signals()?;
    let service = Service::build(settings, options, lock, &|| !signals.stop.is_empty())?;
    service.run(&signals, &load)
}

/// Everything that can fail has been done.
struct Service {
    options: RunOptions,
    collector: Collector,
    reloader: Reloader,
    workers: Vec<Worker>,
    keeper: Keeper,
    batches: Receiver<keeper::Message>,
    inbox: Receiver<keeper::Inbox>,
    couriers: Vec<Courier>,
    judge: Option<Judge>,
    control: Control,
    control_stop: OwnedFd,
    started: Instant,
    _lock: Lock,
}

fn send_out(couriers: Vec<Courier>, threads: &mut Threads) -> Result<()> {
    for courier in couriers {
        let name = format!("courier {}", courier.settings.name);
        threads.spawn(&name, move || courier.run())?;
    }
    Ok(())
}

impl Service {
    fn run(self, signals: &Signals, load: &Load) -> Result<Ended> {
        let Self {
            options,
            collector,
            mut reloader,
            workers,
            keeper,
            batches,
            inbox,
            couriers,
            judge,
            control,
            control_stop,
            started,
            _lock,
        } = self;
        let (couriers_end, drain_until) = match options.once {
            true => (CouriersEnd::At(started + options.deadline), started + options.deadline),
            false => (CouriersEnd::After(COURIERS_DEADLINE), started),
        };
        let mut threads = Threads::default();
        send_out(couriers, &mut threads)?;
        let (patience, give_up) = bounded::<()>(0);
        let keeper = threads.spawn_with("keeper", move || keeper.run(batches, &inbox, &give_up, couriers_end))?;
        if let Some(judge) = judge {
            threads.spawn("judge", move || judge.run())?;
        }
        for worker in workers {
            threads.spawn("analyzer", move || worker.run())?;
        }
        threads.spawn("control", move || control.run())?;
        let collecting = threads.spawn_with("collector", move || collector.run())?;
        log::info!("started");

        let deadline = if options.once {
            crossbeam_channel::after(options.deadline)
        } else {
            crossbeam_channel::never()
        };
        let waiting = Wait {
            signals,
            collecting: &collecting,
            keeper: &keeper,
            deadline: &deadline,
        };
        let ended = waiting.live(|news| match news {
            News::Hangup => reloader.reload(load, &mut threads),
            News::InForce => {
                reloader.is_through();
                None
            }
        });
        reloader.into_stop().stop();
        // The keeper ends when the analyzers have, and those when the collector has; couriers and control are ended by it
        // and by us, so that its inbox closes.
        rustix::io::write(&control_stop, &1u64.to_ne_bytes()).context("ringing the control thread")?;
        let wait = || {
            keeper
                .recv_deadline(drain_until.max(Instant::now() + DRAIN_DEADLINE))
                .or_else(|_| {
                    log::debug!("an outbox blocks the reading: what is not taken yet is read again by the next start");
                    drop(patience);
                    keeper.recv()
                })
        };
        let outcome = ended.unwrap_or_else(wait).context("the keeper ended without a word")?;
        log::info!("stopped");
        outcome.map(|()| Ended::Done)
    }
}

type Outcome = std::result::Result<Result<()>, crossbeam_channel::RecvError>;

/// What happens between start and stop.
enum News {
    Hangup,
    /// The new settings of the last reload are in force.
    InForce,
}

/// What main waits for.
struct Wait<'a> {
    signals: &'a Signals,
    collecting: &'a Receiver<()>,
    keeper: &'a Receiver<Result<()>>,
    deadline: &'a Receiver<Instant>,
}

impl Wait<'_> {
    /// Main's life between start and stop. What became of the keeper, if it ended first: only for want of a state that
    /// can be used.
    fn live(&self, mut hear: impl FnMut(News) -> Option<Receiver<()>>) -> Option<Outcome> {
        let (mut in_force, never): (Option<Receiver<()>>, _) = (None, never());
        loop {
            // Behind a full outbox the last reload may not have gone through: the next may be what empties it.
            let changed = in_force.as_ref().unwrap_or(&never);
            select! {
                recv(self.signals.reload) -> _ => in_force = hear(News::Hangup).or(in_force),
                recv(changed) -> done => in_force = done.ok().and_then(|()| hear(News::InForce)),
                recv(self.keeper) -> outcome => return Some(outcome),
                recv(self.signals.stop) -> signal => {
                    log::info!("stopping: {}", threads::signal_name(signal.unwrap_or_default()));
                    return None;
                }
                recv(self.collecting) -> _ => {
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
