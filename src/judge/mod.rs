//! The judge: what waits in the state goes to a model, verdicts come back to the keeper. One thread; rules never wait for it.
//!
//! The disk carries what is to be judged, the bell only rings. A verdict is handed to the keeper, and nothing more is asked
//! until that is on disk: so a kill loses no verdict that counts, and no template is judged twice but after a kill. While
//! the engine is away everything waits where it is.

pub mod device;
pub mod endpoint;
pub mod service;
mod versions;

use crate::alert::Alert;
use crate::alert::verdict::Verdict;
use crate::keeper::{Inbox, Judged};
use crate::metrics::Metrics;
use crate::record::Level;
use crate::state::verdicts;
use anyhow::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use device::Device;
use rusqlite::Connection;
use service::Service;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use versions::Versions;

/// Requests under way at a time, at most: a service that answers is never the bottleneck, and a small host has few threads.
const LANES_MAX: usize = 8;
/// Read from the state at once, where more wait: each reading looks at all of them.
const QUEUE: usize = 1024;
/// What the engine on this device is called where endpoints are counted.
const DEVICE: &str = "device";
/// With nothing to do it looks so often whether the model has changed.
const IDLE: Duration = Duration::from_secs(30);
/// After an answer of a model that was replaced: another instance is asked next.
const REPLACED: Duration = Duration::from_secs(1);
/// After trouble of ours (the state cannot be read).
const TROUBLE: Duration = Duration::from_secs(5);

/// `analyzers.ai` of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub engine: Engine,
    pub scope: Scope,
    /// Messages of one request.
    pub batch: usize,
    pub min_confidence: f64,
    /// Templates that wait; more are counted, and asked for when they come again.
    pub max_pending: usize,
    pub mode: Mode,
    pub severity: Level,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Engine {
    Service {
        urls: Vec<String>,
        /// Of one request.
        timeout: Duration,
    },
    /// On this device.
    Electra { model: PathBuf },
}

impl Engine {
    /// Its name among the detectors.
    pub const fn name(&self) -> &'static str {
        match self {
            Engine::Service { .. } => "service",
            Engine::Electra { .. } => "electra",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each distinct template is judged once.
    Template,
    /// Each distinct line.
    Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Alert,
    /// Verdicts are counted and logged, nobody is told.
    Shadow,
}

impl Mode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Alert => "alert",
            Mode::Shadow => "shadow",
        }
    }
}

/// What an engine made of some messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Name and version.
    pub model: String,
    /// One per message; none: it refuses this message for good.
    pub verdicts: Vec<Option<Verdict>>,
}

/// Nobody can judge now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// Before this it makes no sense to ask again.
    pub retry_after: Duration,
    pub reason: String,
}

/// Who judges.
#[derive(Debug)]
enum Judges {
    Service(Service),
    Device(Box<Device>),
}

#[derive(Debug)]
pub struct Judge {
    judges: Judges,
    name: &'static str,
    batch: usize,
    state: Connection,
    bell: Receiver<()>,
    keeper: Sender<Inbox>,
    metrics: Arc<Metrics>,
    /// `run --once`: what waits is judged before it ends.
    finishes: bool,
    /// The next ones of those that wait.
    queue: VecDeque<(u64, String)>,
    /// Nobody can judge since.
    away: Option<String>,
    versions: Versions,
}

/// What is to be done next.
enum Next {
    Wait(Duration),
    Again,
    /// The keeper is gone.
    End,
}

impl Judge {
    pub fn new(
        settings: &Settings,
        state: Connection,
        bell: Receiver<()>,
        keeper: Sender<Inbox>,
        metrics: Arc<Metrics>,
        finishes: bool,
    ) -> Result<Self> {
        let judges = match &settings.engine {
            Engine::Service { urls, timeout } => Judges::Service(Service::new(urls, *timeout, metrics.clone())?),
            Engine::Electra { model } => Judges::Device(Box::new(Device::new(model.clone()))),
        };
        Ok(Self {
            judges,
            name: settings.engine.name(),
            batch: settings.batch,
            state,
            bell,
            keeper,
            metrics,
            finishes,
            queue: VecDeque::new(),
            away: None,
            versions: Versions::default(),
        })
    }

    /// Until the keeper drops the bell.
    pub fn run(mut self) {
        loop {
            match self.turn() {
                Next::Again => {}
                Next::End => break,
                Next::Wait(time) => {
                    if !self.wait(time) {
                        while self.finishes && matches!(self.turn(), Next::Again) {}
                        break;
                    }
                }
            }
        }
        // A keeper that is gone waits for nobody.
        self.keeper.send(Inbox::JudgeEnded).ok();
    }

    /// False: the bell is gone. While nobody can judge, ringing changes nothing.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            match self.bell.recv_deadline(until) {
                Ok(()) if self.away.is_some() => {}
                Ok(()) | Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Asks about the oldest that wait.
    fn turn(&mut self) -> Next {
        let lanes = match &self.judges {
            Judges::Service(service) => (2 * service.endpoints()).min(LANES_MAX),
            Judges::Device(_) => 1,
        };
        if self.queue.is_empty() {
            match verdicts::oldest_waiting(&self.state, QUEUE.max(self.batch * lanes)) {
                Ok(waiting) => self.queue.extend(waiting),
                Err(error) => {
                    log::error!("what waits for the judge cannot be read: {error:#}");
                    return Next::Wait(TROUBLE);
                }
            }
        }
        let waiting: Vec<_> = self.queue.drain(..self.queue.len().min(self.batch * lanes)).collect();
        if waiting.is_empty() {
            return self.look_after_model();
        }
        let messages: Vec<String> = waiting.iter().map(|(_, example)| message(example)).collect();
        let mut trouble = None;
        let mut next = Next::Again;
        let answers = self.ask(&messages);
        let chunks = waiting.chunks(self.batch);
        for (chunk, answer) in chunks.zip(answers) {
            match answer.and_then(|answer| self.admit(answer)) {
                Ok(answer) => {
                    let subjects = chunk.iter().map(|(subject, _)| *subject);
                    if !self.hand_over(answer, subjects) {
                        return Next::End;
                    }
                }
                Err(unavailable) => trouble = Some(unavailable),
            }
        }
        if let Some(unavailable) = &trouble {
            // Those that got no answer are still in the state.
            self.queue.clear();
            next = Next::Wait(unavailable.retry_after);
        }
        self.tell_away(trouble);
        next
    }

    /// One answer per batch.
    fn ask(&mut self, messages: &[String]) -> Vec<Result<Answer, Unavailable>> {
        let batches = messages.chunks(self.batch);
        match &mut self.judges {
            Judges::Device(device) => {
                let metrics = &self.metrics.ai;
                let judge = |batch| {
                    let begun = Instant::now();
                    let answer = device.judge(batch);
                    match &answer {
                        Ok(_) => metrics.answered(DEVICE, begun.elapsed()),
                        Err(_) => metrics.request(DEVICE, "error"),
                    }
                    answer
                };
                batches.map(judge).collect()
            }
            Judges::Service(service) => {
                let service = &*service;
                std::thread::scope(|scope| {
                    let lanes: Vec<_> = batches.map(|batch| scope.spawn(move || service.judge(batch))).collect();
                    let gone = || Unavailable {
                        retry_after: TROUBLE,
                        reason: "a request broke off".to_owned(),
                    };
                    lanes
                        .into_iter()
                        .map(|lane| lane.join().unwrap_or_else(|_| Err(gone())))
                        .collect()
                })
            }
        }
    }

    /// An answer of a model that was replaced counts for nothing.
    fn admit(&mut self, answer: Answer) -> Result<Answer, Unavailable> {
        match &self.judges {
            // A file that is put back is meant.
            Judges::Device(_) => Ok(answer),
            Judges::Service(_) => match self.versions.admit(&answer.model, Instant::now()) {
                Ok(()) => Ok(answer),
                Err(newer) => Err(Unavailable {
                    retry_after: REPLACED,
                    reason: format!("{} answered, and {newer} has replaced it", answer.model),
                }),
            },
        }
    }

    /// Gives verdicts to the keeper and waits until they are on disk. False: it is gone.
    fn hand_over(&self, answer: Answer, subjects: impl Iterator<Item = u64>) -> bool {
        let (done, written) = bounded(1);
        let rate = match &self.judges {
            Judges::Service(_) => service::RATE,
            Judges::Device(device) => device.rate(),
        };
        let judged = Judged {
            judge: self.name,
            model: answer.model,
            rate,
            verdicts: subjects.zip(answer.verdicts).collect(),
            done,
        };
        self.metrics.ai.verdicts.add(judged.verdicts.len() as u64);
        self.keeper.send(Inbox::Judged(judged)).is_ok() && written.recv().is_ok()
    }

    /// A model that was replaced judges anew, also where nothing waits.
    fn look_after_model(&mut self) -> Next {
        let changed = match &mut self.judges {
            Judges::Device(device) => device.look().map(|model| (model, device.rate())),
            Judges::Service(_) => return Next::Wait(IDLE),
        };
        match changed {
            Ok((Some(model), _)) => {
                let answer = Answer {
                    model,
                    verdicts: Vec::new(),
                };
                if !self.hand_over(answer, std::iter::empty()) {
                    return Next::End;
                }
                self.tell_away(None);
            }
            Ok((None, _)) => {}
            Err(unavailable) => self.tell_away(Some(unavailable)),
        }
        Next::Wait(IDLE)
    }

    /// Once when nobody can judge, once when somebody can again.
    fn tell_away(&mut self, trouble: Option<Unavailable>) {
        match (&self.away, trouble) {
            (None, Some(unavailable)) => {
                log::warn!("nothing can be judged for now, templates wait: {}", unavailable.reason);
                self.away = Some(unavailable.reason);
            }
            (Some(_), None) => {
                log::info!("the judge is back");
                self.away = None;
            }
            (Some(_), Some(unavailable)) => self.away = Some(unavailable.reason),
            (None, None) => {}
        }
        self.metrics.ai.away.set(u64::from(self.away.is_some()));
    }
}

/// What the model is to see of an example: what its writer said.
fn message(example: &str) -> String {
    let alert: Option<Alert> = serde_json::from_str(example).ok();
    let said = alert.and_then(|alert| alert.message.filter(|message| !message.is_empty()).or(alert.text));
    said.unwrap_or_default()
}
