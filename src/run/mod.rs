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

mod begin;
mod build;
mod careful;
mod desk;
mod notify;
mod pulse;
mod recall;
mod reload;
mod streams;
mod threads;
#[cfg(test)]
pub mod watcher;
pub mod worker;

use crate::alerter::courier::Courier;
use crate::cli::RunOptions;
use crate::collector::piped::{Input, PipedStop};
use crate::collector::{Collector, FirstLook};
use crate::config::Settings;
use crate::control::Control;
use crate::judge::Judge;
use crate::keeper::{self, CouriersEnd, Keeper};
use crate::state::{self, Lock};
use crate::status_page::StatusPage;
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, bounded};
use desk::{Desk, Wait};
use notify::Notifier;
use reload::{Load, Reloader};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use streams::Streams;
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
    let mut first_look = FirstLook::began(SystemTime::now());
    let lock = match state::lock(&settings.state_dir)? {
        Ok(lock) => lock,
        Err(_) if options.single_instance => return Ok(Ended::AlreadyRunning),
        Err(held) => {
            let who = held.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            bail!("another instance{who} holds {}", settings.state_dir.display());
        }
    };
    let signals = threads::signals()?;
    if !state::exists(&settings.state_dir) {
        // Making one takes as long as the disk likes: what is written meanwhile is no old line.
        let of_files = settings.sources.iter().filter(|source| source.input == Input::Files);
        first_look.take(of_files.map(|source| &source.collector));
    }
    let service = Service::build(settings, options, Opening { lock, first_look }, &|| {
        !signals.stop.is_empty()
    })?;
    service.run(&signals, &load)
}

/// What a start begins with.
struct Opening {
    lock: Lock,
    /// How long the files were then.
    first_look: FirstLook,
}

/// Everything that can fail has been done.
struct Service {
    options: RunOptions,
    collector: Collector,
    reloader: Reloader,
    streams: Streams,
    workers: Vec<Worker>,
    keeper: Keeper,
    batches: Receiver<keeper::Message>,
    inbox: Receiver<keeper::Inbox>,
    couriers: Vec<Courier>,
    judge: Option<Judge>,
    control: Control,
    page: Option<StatusPage>,
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
            reloader,
            streams,
            workers,
            keeper,
            batches,
            inbox,
            couriers,
            judge,
            control,
            page,
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
        judge.map_or(Ok(()), |judge| threads.spawn("judge", move || judge.run()))?;
        for worker in workers {
            threads.spawn("analyzer", move || worker.run())?;
        }
        threads.spawn("control", move || control.run())?;
        page.map_or(Ok(()), |page| threads.spawn("status page", move || page.run()))?;
        let (stops, all_read) = spawn_readers(&mut threads, collector, streams, options.once)?;
        log::info!("started");

        let deadline = match options.once {
            true => crossbeam_channel::after(options.deadline),
            false => crossbeam_channel::never(),
        };
        let notifier = Arc::new(Notifier::from_environment());
        notifier.ready();
        let mut desk = Desk::new(reloader, load, threads, notifier.clone(), options.once);
        let waiting = Wait {
            signals,
            all_read: &all_read,
            keeper: &keeper,
            deadline: &deadline,
        };
        let ended = waiting.live(&mut desk);
        notifier.stopping();
        desk.into_stop().stop();
        stops.into_iter().for_each(PipedStop::stop);
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

/// Starts all that reads. The channel is closed when nobody reads any more: with `once`, or when standard input, the only
/// input, has ended.
fn spawn_readers(
    threads: &mut Threads,
    collector: Collector,
    streams: Streams,
    once: bool,
) -> Result<(Vec<PipedStop>, Receiver<()>)> {
    let (alive, all_read) = bounded(0);
    let holds_on = once || streams.is_beside_files();
    let stops = streams.spawn(threads, &alive)?;
    let held = holds_on.then_some(alive);
    threads.spawn("collector", move || {
        collector.run();
        drop(held);
    })?;
    Ok((stops, all_read))
}
