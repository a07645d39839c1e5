//! Does every thread answer? A ping goes through each inbox at most once a minute; as long as all answer, systemd's
//! watchdog is fed and `heartbeat` is touched.
//!
//! Idle threads answer at once. Analyzers answer behind the data: while the keeper takes nothing on purpose (an outbox
//! blocks, the disk is full) they are not expected to. Couriers answer between two deliveries, each of which has its own
//! time-outs.

use super::notify::Notifier;
use super::reload::Parts;
use crate::alerter::courier::Order;
use crate::metrics::Metrics;
use crate::{collector, control, keeper};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const ROUND_EVERY_MAX: Duration = Duration::from_secs(60);
/// Answers of a round are looked for so often until all are there.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A thread of the pipeline that does not answer for so long is stuck: longer than a commit on a slow card.
const PATIENCE: Duration = Duration::from_secs(60);
const COURIER: &str = "courier ";
/// The same of a courier: longer than all time-outs of one delivery.
const COURIER_PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug)]
enum Answer {
    Channel(Receiver<()>),
    Socket(UnixStream),
}

#[derive(Debug)]
struct Waiting {
    answer: Answer,
    since: Instant,
    patience: Duration,
    /// Answers only while the keeper takes what comes down.
    behind_data: bool,
}

#[derive(Debug)]
pub struct Pulse {
    notifier: Arc<Notifier>,
    heartbeat: PathBuf,
    metrics: Arc<Metrics>,
    every: Duration,
    started: Instant,
    round_due: Instant,
    /// Everybody has answered since the last beat.
    beaten: bool,
    waiting: BTreeMap<String, Waiting>,
    stuck: Vec<String>,
}

impl Pulse {
    pub fn new(notifier: Arc<Notifier>, state_dir: &Path, metrics: Arc<Metrics>) -> Self {
        let now = Instant::now();
        let every = notifier.watchdog().map_or(ROUND_EVERY_MAX, |watchdog| watchdog / 2);
        Self {
            notifier,
            heartbeat: state_dir.join("heartbeat"),
            metrics,
            every: every.min(ROUND_EVERY_MAX),
            started: now,
            round_due: now,
            beaten: true,
            waiting: BTreeMap::new(),
            stuck: Vec::new(),
        }
    }

    /// So long nothing has to be done.
    pub fn wait(&self) -> Duration {
        let round = self.round_due.saturating_duration_since(Instant::now());
        if self.beaten { round } else { round.min(LOOK_EVERY) }
    }

    pub fn turn(&mut self, parts: &Parts) {
        self.collect(Instant::now());
        if !self.beaten && self.may_beat() {
            self.beat();
        }
        if Instant::now() >= self.round_due {
            self.metrics.sample(self.started.elapsed().as_secs());
            self.ask(parts);
            self.round_due = Instant::now() + self.every;
            self.beaten = false;
        }
    }

    fn ask(&mut self, parts: &Parts) {
        let collector = self.expect("collector", PATIENCE, false);
        // All of them are asked by the collector: as long as one has not answered none is asked again.
        let idle = !self.waiting.keys().any(|name| name.starts_with("analyzer "));
        if let Some(answer) = collector {
            let analyzers = (0..parts.plans.len()).filter(|_| idle);
            let analyzers = analyzers.filter_map(|n| self.expect(&format!("analyzer {n}"), PATIENCE, true));
            let ping = collector::Inbox::Ping(answer, analyzers.collect());
            parts.collector.try_tell(ping);
        }
        if let Some(answer) = self.expect("keeper", PATIENCE, false) {
            // Full: then it has not answered, which is what is looked at.
            parts.keeper.try_send(keeper::Inbox::Ping(answer)).ok();
        }
        for (name, orders) in &parts.orders {
            if let Some(answer) = self.expect(&format!("{COURIER}{name}"), COURIER_PATIENCE, false) {
                orders.put(Order::Ping(answer));
            }
        }
        self.ask_control(&parts.current.state_dir);
    }

    /// Its inbox is its socket. One that is gone was removed with its directory: no reason to call the thread stuck.
    fn ask_control(&mut self, state_dir: &Path) {
        if self.waiting.contains_key("control") {
            return;
        }
        let ask = || -> std::io::Result<UnixStream> {
            let mut stream = UnixStream::connect(control::socket_path(state_dir))?;
            stream.set_nonblocking(true)?;
            stream.write_all(b"{\"command\":\"ping\"}\n")?;
            Ok(stream)
        };
        if let Ok(stream) = ask() {
            self.wait_for("control", Answer::Socket(stream), PATIENCE, false);
        }
    }

    /// None: it has not answered yet.
    fn expect(&mut self, name: &str, patience: Duration, behind_data: bool) -> Option<Sender<()>> {
        if self.waiting.contains_key(name) {
            return None;
        }
        let (sender, receiver) = bounded(1);
        self.wait_for(name, Answer::Channel(receiver), patience, behind_data);
        Some(sender)
    }

    fn wait_for(&mut self, name: &str, answer: Answer, patience: Duration, behind_data: bool) {
        let waiting = Waiting {
            answer,
            since: Instant::now(),
            patience,
            behind_data,
        };
        self.waiting.insert(name.to_owned(), waiting);
    }

    /// Who has answered, or was let off, is no longer waited for; who takes too long is stuck.
    fn collect(&mut self, now: Instant) {
        let blocked = self.metrics.reading_blocked.load(Ordering::Relaxed);
        self.waiting.retain(|_, waiting| {
            if blocked && waiting.behind_data {
                // Counted from the end of the blockade.
                waiting.since = now;
            }
            match &mut waiting.answer {
                // Dropped: the question found no room, or its thread has ended in order.
                Answer::Channel(receiver) => receiver.try_recv() == Err(TryRecvError::Empty),
                Answer::Socket(stream) => {
                    matches!(stream.read(&mut [0; 64]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
                }
            }
        });
        let late = |waiting: &Waiting| now.saturating_duration_since(waiting.since) >= waiting.patience;
        let stuck: Vec<String> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| late(waiting))
            .map(|(name, _)| name.clone())
            .collect();
        if stuck != self.stuck {
            match stuck.is_empty() {
                true => log::info!("all threads answer again"),
                false => log::error!("threads that do not answer: {}", stuck.join(", ")),
            }
            self.stuck.clone_from(&stuck);
            self.metrics.set_stuck(stuck);
        }
    }

    /// All have answered but those who may take longer.
    fn may_beat(&self) -> bool {
        let blocked = self.metrics.reading_blocked.load(Ordering::Relaxed);
        self.stuck.is_empty()
            && self
                .waiting
                .iter()
                .all(|(name, waiting)| name.starts_with(COURIER) || waiting.behind_data && blocked)
    }

    /// What `systemctl status` shows.
    fn words(&self) -> String {
        let sources = self.metrics.sources();
        let records: u64 = sources.values().map(|source| source.records.sum()).sum();
        let exceptional: u64 = sources.values().map(|source| source.exceptional.get()).sum();
        format!(
            "{} sources, {records} records since the start, {exceptional} exceptional",
            sources.len()
        )
    }

    fn beat(&mut self) {
        self.beaten = true;
        self.notifier.alive(&self.words());
        if let Err(error) = std::fs::write(&self.heartbeat, "") {
            log::warn!("the heartbeat cannot be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
