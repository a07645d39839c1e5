//! Builds the service: everything that can fail is done here, before a thread starts.

use super::recall::recall;
use super::reload::{self, Letterbox, Orders, Reloader};
use super::streams::Streams;
use super::worker::{AtEnd, Plan, SourceParts, Sources, Worker};
use super::{COURIERS_DEADLINE, Opening, Service, begin, careful};
use crate::alert::redact::Redactor;
use crate::alert::{Composer, Host, id};
use crate::alerter::courier::{self, Bell, Courier, Feed, Feeder, Mode, Order};
use crate::analyzer::stream::Analyzers;
use crate::analyzer::template::Known;
use crate::cli::RunOptions;
use crate::collector::piped::Input;
use crate::collector::{self, Collector, FirstLook};
use crate::config::{self, Settings};
use crate::control::Control;
use crate::judge::{self, Judge};
use crate::keeper::{self, BOOT_ID, Board, Keeper};
use crate::metrics::Metrics;
use crate::state::{self, Durability, State, checkpoints, outbox, verdicts};
use crate::status_page::StatusPage;
use crate::{alerter, record};
use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Chunks on their way to one analyzer: enough to keep it busy while the disk answers, at 256 KiB each.
const EVENTS_PER_ANALYZER: usize = 3;
/// Batches on their way to the keeper: one beside the one it works on; each may hold thousands of records in full.
const BATCHES: usize = 1;
/// Marks and commands on their way to the keeper.
const KEEPER_INBOX: usize = 64;
/// What a courier is told: a reload, a ping.
const ORDERS: usize = 4;
/// Spent buffers on their way back to the collector.
const SPENT_BUFFERS: usize = 8;

impl Service {
    /// `stop`: whether somebody wants us to end before we have begun.
    pub(super) fn build(
        mut settings: Settings,
        options: &RunOptions,
        Opening { lock, first_look }: Opening,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let started = Instant::now();
        let waits = || !options.once && !stop();
        let (state, incident) = begin::open_state(&mut settings, &waits)?;
        let metrics = Arc::new(metrics(&settings));
        let mut state = careful::read(state, &settings, options, &metrics, stop)?;
        let (to_keeper, inbox) = bounded(KEEPER_INBOX);
        let ((batch_sender, batches), (spent_sender, spent)) = (bounded(BATCHES), bounded(SPENT_BUFFERS));
        let threads = 0..settings.analyzer_threads;
        let (event_senders, event_receivers): (Vec<_>, Vec<_>) = threads.map(|_| bounded(EVENTS_PER_ANALYZER)).unzip();
        let identity = identity(&mut state)?;
        let composer = composer(&identity, &settings);
        let streams = Streams::build(&state, &settings, options, &composer.host.id, &event_senders)?;
        let ends = (first_look, event_senders, spent);
        let (mut collector, collector_stop) = collector(&mut state, &settings, options, &composer.host, ends)?;
        let (couriers, lines, orders) = couriers(&state, &settings, options, &to_keeper)?;
        let plans: Vec<Letterbox<Plan>> = event_receivers.iter().map(|_| Letterbox::new(1)).collect();
        let (board, shown) = board(&settings, &state)?;
        let (judge, judge_bell) = judge(&settings, &state, &to_keeper, &metrics, options.once)?.unzip();
        let belt = Belt::new(&settings, shown, &metrics, spent_sender, batch_sender);
        let workers = belt.workers(event_receivers, &plans, &collector, options.once);
        let reloader = Reloader::new(reload::Parts {
            current: settings.clone(),
            identity,
            options: options.clone(),
            collector: collector_stop,
            plans,
            keeper: to_keeper.clone(),
            orders,
            metrics: metrics.clone(),
            board: board.clone(),
        });
        let (control, control_stop) = control(&settings, to_keeper.clone())?;
        let page = StatusPage::bind(&settings.metrics, to_keeper, metrics.clone(), control_stop.try_clone()?)?;
        let mut keeper = Keeper::new(keeper::Parts {
            state,
            composer,
            labels: labels(&settings),
            rules: settings.analyzer.rules.clone(),
            alert: settings.alert,
            alerters: lines,
            metrics: metrics.clone(),
            board,
            judge: settings.judge.zip(judge_bell),
        })?;
        let found = begin::first_sight(&mut collector, &streams);
        begin::begin(&mut keeper, incident, found, options.once, &waits)?;
        Ok(Self {
            options: options.clone(),
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
            page: page.filter(|_| !options.once),
            control_stop,
            started,
            _lock: lock,
        })
    }
}

/// What all analyzers share.
struct Belt {
    board: Option<Arc<Board>>,
    sources: Sources,
    metrics: Arc<Metrics>,
    spent: Sender<Vec<u8>>,
    batches: Sender<keeper::Message>,
}

impl Belt {
    fn new(
        settings: &Settings,
        board: Option<Arc<Board>>,
        metrics: &Arc<Metrics>,
        spent: Sender<Vec<u8>>,
        batches: Sender<keeper::Message>,
    ) -> Self {
        Self {
            board,
            sources: source_parts(settings),
            metrics: metrics.clone(),
            spent,
            batches,
        }
    }

    fn workers(
        self,
        events: Vec<Receiver<collector::Event>>,
        plans: &[Letterbox<Plan>],
        collector: &Collector,
        once: bool,
    ) -> Vec<Worker> {
        let worker = |(events, plans): (_, &Letterbox<Plan>)| Worker {
            board: self.board.clone(),
            sources: self.sources.clone(),
            appetite: collector.appetite(),
            metrics: self.metrics.clone(),
            events,
            plans: plans.reader(),
            spent: self.spent.clone(),
            batches: self.batches.clone(),
            at_end: if once { AtEnd::WaitAndClose } else { AtEnd::StayOpen },
        };
        events.into_iter().zip(plans).map(worker).collect()
    }
}

/// Where what is known of templates is published; once more if anybody looks it up.
fn board(settings: &Settings, state: &State) -> Result<(Arc<Board>, Option<Arc<Board>>)> {
    let has_words = !verdicts::words(state.connection())?.is_empty();
    let by_line = settings
        .judge
        .as_ref()
        .is_some_and(|judge| judge.scope == judge::Scope::Line);
    let nothing = if by_line { Known::by_line() } else { Known::default() };
    let looks_up = settings.alert.novelty.enabled || settings.judge.is_some() || has_words;
    let board = Arc::new(Board::new(nothing));
    Ok((board.clone(), looks_up.then_some(board)))
}

/// The judge with its bell, if a model is to judge.
fn judge(
    settings: &Settings,
    state: &State,
    keeper: &Sender<keeper::Inbox>,
    metrics: &Arc<Metrics>,
    once: bool,
) -> Result<Option<(Judge, Sender<()>)>> {
    let Some(settings) = &settings.judge else {
        return Ok(None);
    };
    let (bell, ear) = bounded(1);
    let reader = state::reader(state.directory())?;
    let judge = Judge::new(settings, reader, ear, keeper.clone(), metrics.clone(), once)?;
    Ok(Some((judge, bell)))
}

fn metrics(settings: &Settings) -> Metrics {
    let sources = settings.sources.iter().map(|source| &source.collector.name);
    let metrics = Metrics::default();
    metrics.follow(sources, settings.alerters.iter().map(|alerter| &alerter.name));
    metrics
}

/// The control socket, and the eventfd that ends its thread.
fn control(settings: &Settings, keeper: Sender<keeper::Inbox>) -> Result<(Control, OwnedFd)> {
    let stop = eventfd(0, EventfdFlags::CLOEXEC).context("making an eventfd")?;
    let ear = stop.try_clone().context("doubling an eventfd")?;
    Ok((Control::bind(&settings.state_dir, keeper, ear)?, stop))
}

/// What the state says of this host, once and for all.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    host_id: String,
    redaction_key: String,
}

pub(super) fn identity(state: &mut State) -> Result<Identity> {
    let random = || id::of_news(&[b"random", &std::array::from_fn::<u8, 32, _>(|_| fastrand::u8(..))]);
    Ok(Identity {
        host_id: state.meta_or("host_id", random)?,
        redaction_key: state.meta_or("redaction_key", random)?,
    })
}

/// What alerts say of this host, and what they must not say.
pub(super) fn composer(identity: &Identity, settings: &Settings) -> Composer {
    let own_name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = settings.alert.host_name.clone().unwrap_or_else(own_name);
    Composer {
        host: Host {
            id: identity.host_id.clone(),
            name,
        },
        redactor: Redactor::new(&settings.alert.redact, identity.redaction_key.as_bytes()),
        // The same for all alerters: it is `alerts.language` and `alerts.time_zone`.
        wording: settings
            .alerters
            .first()
            .map(|alerter| alerter.wording.clone())
            .unwrap_or_default(),
    }
}

/// What was seen before anything was built, where chunks go, and where spent buffers come from.
type CollectorEnds = (FirstLook, Vec<Sender<collector::Event>>, Receiver<Vec<u8>>);

pub(super) fn collector(
    state: &mut State,
    settings: &Settings,
    options: &RunOptions,
    host: &Host,
    (mut first_look, events, spent): CollectorEnds,
) -> Result<(Collector, collector::Stop)> {
    let began = jiff::Timestamp::try_from(first_look.began).context("reading the clock")?;
    let started = checkpoints::first_starts(state.connection())?;
    let of_files = |source: &&config::Source| source.input == Input::Files;
    let sources = settings.sources.iter().filter(of_files).map(|source| &source.collector);
    first_look.take(sources.filter(|source| !started.contains_key(&*source.name)));
    state.commit(Durability::Full, |connection| {
        settings.sources.iter().try_for_each(|source| {
            checkpoints::remember_first_start(connection, &source.collector.name, began.as_millisecond())
        })
    })?;
    let files = checkpoints::load(state.connection())?;
    let resumed = files.into_iter().map(checkpoints::resumed);
    let (mut collector, stop) = Collector::new(collector::Parts {
        sources: settings
            .sources
            .iter()
            .filter(of_files)
            .map(|source| source.collector.clone())
            .collect(),
        resumed: resumed.collect(),
        first_starts: checkpoints::first_starts(state.connection())?,
        host_id: host.id.clone(),
        first_look,
        state_dir: settings.state_dir.clone(),
        events,
        spent,
        once: options.once,
    })?;
    own_files(settings).iter().for_each(|path| collector.never_read(path));
    let boot_id = keeper::boot_id();
    if state.meta(BOOT_ID)?.is_some_and(|known| known != boot_id) {
        collector.boot_changed();
    }
    Ok((collector, stop))
}

/// Each alerter with the keeper's ends of what it shares with its courier.
type Lines = Vec<(alerter::Settings, Bell, Feeder)>;

/// What this program writes besides its state.
pub(super) fn own_files(settings: &Settings) -> Vec<PathBuf> {
    let written = settings.alerters.iter().filter_map(|alerter| match &alerter.kind {
        alerter::Kind::File { path, .. } => Some(path),
        alerter::Kind::Console { .. }
        | alerter::Kind::Webhook(_)
        | alerter::Kind::Email(_)
        | alerter::Kind::Kafka(_) => None,
    });
    settings.log.file.iter().chain(written).cloned().collect()
}

/// All couriers of the start, their bells, and the ways to tell them things.
fn couriers(
    state: &State,
    settings: &Settings,
    options: &RunOptions,
    keeper: &Sender<keeper::Inbox>,
) -> Result<(Vec<Courier>, Lines, Orders)> {
    let newest_seq = outbox::newest_seq(state.connection())?;
    let (mut couriers, mut lines, mut orders) = (Vec::new(), Lines::new(), Orders::new());
    for alerter in &settings.alerters {
        let mut built = alerter::build_named(alerter)?;
        recall(&mut *built, alerter, state.connection())?;
        let (made, (bell, feeder), teller) = courier(alerter, built, newest_seq, &settings.state_dir, options, keeper)?;
        couriers.push(made);
        lines.push((alerter.clone(), bell, feeder));
        orders.insert(alerter.name.clone(), teller);
    }
    Ok((couriers, lines, orders))
}

/// A courier for an alerter, what the keeper shares with it, and the way to tell it things. Above `newest_seq` its outbox is
/// empty.
pub(super) fn courier(
    settings: &alerter::Settings,
    alerter: Box<dyn alerter::Alerter>,
    newest_seq: i64,
    state_dir: &Path,
    options: &RunOptions,
    keeper: &Sender<keeper::Inbox>,
) -> Result<(Courier, (Bell, Feeder), Letterbox<Order>)> {
    let (bell, ear) = courier::bell();
    let (feeder, fed) = courier::feed(newest_seq);
    let orders = Letterbox::new(ORDERS);
    let queue = outbox::Queue::new(state::reader(state_dir)?, settings.name.clone());
    let courier = Courier {
        settings: settings.clone(),
        alerter,
        outbox: Box::new(Feed::new(Box::new(queue), fed)),
        ear,
        orders: orders.reader(),
        keeper: keeper.clone(),
        mode: if options.once { Mode::Once } else { Mode::Service },
        deadline: if options.once {
            options.deadline
        } else {
            COURIERS_DEADLINE
        },
    };
    Ok((courier, (bell, feeder), orders))
}

pub(super) fn source_parts(settings: &Settings) -> Sources {
    // Who wants each record wants it as it comes.
    let each = settings
        .alerters
        .iter()
        .any(|alerter| alerter.send == alerter::Send::Each);
    let context_wait = if each {
        Duration::ZERO
    } else {
        settings.alert.context_wait
    };
    let parts = |source: &config::Source| {
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
        let parts = SourceParts {
            analyzers,
            record,
            context_wait,
        };
        (name, parts)
    };
    Arc::new(settings.sources.iter().map(parts).collect())
}

/// Each source's labels over the host's.
pub(super) fn labels(settings: &Settings) -> BTreeMap<Arc<str>, BTreeMap<String, String>> {
    let merged = |source: &config::Source| {
        let mut labels = settings.alert.host_labels.clone();
        labels.extend(source.labels.clone());
        (source.collector.name.clone(), labels)
    };
    // What is of no source has the host's alone.
    let host = std::iter::once((Arc::from(""), settings.alert.host_labels.clone()));
    settings.sources.iter().map(merged).chain(host).collect()
}
