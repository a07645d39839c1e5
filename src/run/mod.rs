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

mod threads;
pub mod worker;

use crate::alert::{Composer, Host};
use crate::alerter::courier::{Courier, Mode};
use crate::analyzer::stream::Analyzers;
use crate::cli::RunOptions;
use crate::collector::{self, Collector};
use crate::config::Settings;
use crate::control::Control;
use crate::keeper::{self, Keeper};
use crate::metrics::Metrics;
use crate::state::{self, Durability, Lock, State, checkpoints, outbox};
use crate::{alerter, record};
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use threads::Threads;
use worker::{AtEnd, SourceParts, Worker};

/// Chunks on their way to one analyzer: enough to keep it busy while the disk answers, at 256 KiB each.
const EVENTS_PER_ANALYZER: usize = 8;
/// Batches on their way to the keeper: one commit's worth.
const BATCHES: usize = 32;
/// Marks and commands on their way to the keeper.
const KEEPER_INBOX: usize = 64;
/// Spent buffers on their way back to the collector.
const SPENT_BUFFERS: usize = 8;
/// What couriers get at a stop: well below the time after which supervisors kill; what is unsent stays in the outbox.
const COURIERS_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// Another instance runs, and `single_instance` was asked for.
    AlreadyRunning,
}

/// Runs the service until SIGTERM or SIGINT (or, with `once`, until everything is read).
pub fn run(settings: Settings, options: &RunOptions) -> Result<Ended> {
    let lock = match state::lock(&settings.state_dir)? {
        Ok(lock) => lock,
        Err(_) if options.single_instance => return Ok(Ended::AlreadyRunning),
        Err(held) => {
            let who = held.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            bail!("another instance{who} holds {}", settings.state_dir.display());
        }
    };
    let signals = threads::signals()?;
    let service = Service::build(settings, options, lock)?;
    service.run(&signals)
}

/// Everything that can fail has been done.
struct Service {
    options: RunOptions,
    collector: Collector,
    collector_stop: collector::Stop,
    workers: Vec<Worker>,
    keeper: Keeper,
    batches: Receiver<keeper::Message>,
    inbox: Receiver<keeper::Inbox>,
    couriers: Vec<Courier>,
    control: Control,
    control_stop: OwnedFd,
    started: Instant,
    _lock: Lock,
}

impl Service {
    fn build(settings: Settings, options: &RunOptions, lock: Lock) -> Result<Self> {
        let started = Instant::now();
        let (mut state, incident) = State::open(&settings.state_dir)?;
        if let Some(incident) = &incident {
            log::error!(
                "the state was damaged and is set aside as {}: {:?}",
                incident.set_aside.display(),
                incident.recovered
            );
        }
        let names: Vec<&str> = settings.alerters.iter().map(|alerter| &*alerter.name).collect();
        let orphans = state.commit(Durability::Full, |connection| {
            outbox::orphan(connection, &names, "its alerter is no longer configured")
        })?;
        if orphans > 0 {
            log::warn!("{orphans} deliveries of alerters that are no longer configured are dead");
        }
        let metrics = Arc::new(Metrics::new(
            settings.sources.iter().map(|source| &source.collector.name),
            settings.alerters.iter().map(|alerter| &alerter.name),
        ));
        let (to_keeper, inbox) = bounded(KEEPER_INBOX);
        let (batch_sender, batches) = bounded(BATCHES);
        let (spent_sender, spent) = bounded(SPENT_BUFFERS);
        let (event_senders, event_receivers): (Vec<_>, Vec<_>) = (0..settings.analyzer_threads)
            .map(|_| bounded(EVENTS_PER_ANALYZER))
            .unzip();

        let host = host(&mut state, &settings)?;
        let (mut collector, collector_stop) = collector(&mut state, &settings, options, &host, event_senders, spent)?;
        let (couriers, bells) = couriers(&state, &settings, options, &to_keeper)?;
        let sources = Arc::new(source_parts(&settings));
        let workers = event_receivers
            .into_iter()
            .map(|events| Worker {
                sources: sources.clone(),
                metrics: metrics.clone(),
                events,
                spent: spent_sender.clone(),
                batches: batch_sender.clone(),
                at_end: if options.once {
                    AtEnd::WaitAndClose
                } else {
                    AtEnd::StayOpen
                },
            })
            .collect();
        let control_stop = eventfd(0, EventfdFlags::CLOEXEC).context("making an eventfd")?;
        let control_ear = control_stop.try_clone().context("doubling an eventfd")?;
        let control = Control::bind(&settings.state_dir, to_keeper, control_ear)?;
        let mut keeper = Keeper::new(keeper::Parts {
            state,
            composer: Composer {
                host,
                redactor: Default::default(),
            },
            labels: labels(&settings),
            alert: settings.alert,
            alerters: settings.alerters.into_iter().zip(bells).collect(),
            metrics,
        })?;
        // First positions are durable before reading goes on: a crash then loses nothing.
        keeper.adopt(collector.first_sight())?;
        let options = options.clone();
        Ok(Self {
            options,
            collector,
            collector_stop,
            workers,
            keeper,
            batches,
            inbox,
            couriers,
            control,
            control_stop,
            started,
            _lock: lock,
        })
    }

    fn run(self, signals: &Receiver<i32>) -> Result<Ended> {
        let Self {
            options,
            collector,
            collector_stop,
            workers,
            keeper,
            batches,
            inbox,
            couriers,
            control,
            control_stop,
            started,
            _lock,
        } = self;
        let couriers_deadline = if options.once {
            options.deadline.saturating_sub(started.elapsed())
        } else {
            COURIERS_DEADLINE
        };
        let mut threads = Threads::default();
        for courier in couriers {
            let name = format!("courier {}", courier.settings.name);
            match options.once {
                true => threads.spawn(&name, move || courier_once(courier))?,
                false => threads.spawn(&name, move || courier.run())?,
            }
        }
        let keeper = threads.spawn_with("keeper", move || keeper.run(&batches, &inbox, couriers_deadline))?;
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
        select! {
            recv(signals) -> signal => log::info!("stopping: {}", threads::signal_name(signal.unwrap_or_default())),
            recv(collecting) -> _ => log::debug!("everything is read"),
            recv(deadline) -> _ => log::warn!("stopping at the deadline: the next run goes on"),
        }
        collector_stop.stop();
        // The keeper ends when the analyzers have, and those when the collector has; couriers and control are ended by it
        // and by us, so that its inbox closes.
        rustix::io::write(&control_stop, &1u64.to_ne_bytes()).context("ringing the control thread")?;
        let outcome = keeper.recv().context("the keeper ended without a word")?;
        log::info!("stopped");
        outcome.map(|()| Ended::Done)
    }
}

/// `run --once`: the courier begins when everything is read and committed, which its bell's closing says.
fn courier_once(mut courier: Courier) {
    while courier.bell.recv().is_ok() {}
    courier.bell = crossbeam_channel::bounded(1).1;
    courier.run();
}

fn host(state: &mut State, settings: &Settings) -> Result<Host> {
    let id = state.meta_or("host_id", || {
        let random: [u8; 16] = std::array::from_fn(|_| fastrand::u8(..));
        crate::alert::id::of_news(&[b"host", &random])
    })?;
    let name = settings
        .alert
        .host_name
        .clone()
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    Ok(Host { id, name })
}

fn collector(
    state: &mut State,
    settings: &Settings,
    options: &RunOptions,
    host: &Host,
    events: Vec<Sender<collector::Event>>,
    spent: Receiver<Vec<u8>>,
) -> Result<(Collector, collector::Stop)> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    state.commit(Durability::Full, |connection| {
        settings
            .sources
            .iter()
            .try_for_each(|source| checkpoints::remember_first_start(connection, &source.collector.name, now_ms))
    })?;
    let files = checkpoints::load(state.connection())?;
    let resumed = files.into_iter().map(|(row, known)| collector::Resumed {
        row,
        source: known.source.into(),
        path: known.path,
        resume: known.resume,
        file_state: known.file_state,
    });
    Collector::new(collector::Parts {
        sources: settings.sources.iter().map(|source| source.collector.clone()).collect(),
        resumed: resumed.collect(),
        first_starts: checkpoints::first_starts(state.connection())?,
        host_id: host.id.clone(),
        state_dir: settings.state_dir.clone(),
        events,
        spent,
        once: options.once,
    })
}

fn couriers(
    state: &State,
    settings: &Settings,
    options: &RunOptions,
    keeper: &Sender<keeper::Inbox>,
) -> Result<(Vec<Courier>, Vec<Sender<()>>)> {
    let build = |settings: &alerter::Settings| {
        let (bell, ear) = bounded(1);
        let courier = Courier {
            settings: settings.clone(),
            alerter: alerter::build(settings).with_context(|| format!("alerter {}", settings.name))?,
            outbox: Box::new(outbox::Queue::new(state.reader()?, settings.name.clone())),
            bell: ear,
            keeper: keeper.clone(),
            mode: if options.once { Mode::Once } else { Mode::Service },
            deadline: if options.once {
                options.deadline
            } else {
                COURIERS_DEADLINE
            },
        };
        Ok((courier, bell))
    };
    settings
        .alerters
        .iter()
        .map(build)
        .collect::<Result<Vec<_>>>()
        .map(|pairs| pairs.into_iter().unzip())
}

fn source_parts(settings: &Settings) -> BTreeMap<Arc<str>, SourceParts> {
    let parts = |source: &crate::config::Source| {
        let name = source.collector.name.clone();
        let (before, after) = (settings.alert.context_before_lines, settings.alert.context_after_lines);
        let analyzers = Arc::new(Analyzers::new(
            &settings.analyzer,
            &name,
            source.alert_at,
            before,
            after,
        ));
        let record: record::Settings = source.record.clone();
        (name, SourceParts { analyzers, record })
    };
    settings.sources.iter().map(parts).collect()
}

/// Each source's labels over the host's.
fn labels(settings: &Settings) -> BTreeMap<Arc<str>, BTreeMap<String, String>> {
    let merged = |source: &crate::config::Source| {
        let mut labels = settings.alert.host_labels.clone();
        labels.extend(source.labels.clone());
        (source.collector.name.clone(), labels)
    };
    settings.sources.iter().map(merged).collect()
}
