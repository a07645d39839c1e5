//! How it goes: what `status` shows.

use super::Keeper;
use crate::collector::FileState;
use crate::collector::ledger::{ByReason, lost};
use crate::metrics::{Minute, STATUSES, Suppressed};
use crate::record::Level;
use crate::state::outbox;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Undelivered for so long: degraded.
const DELIVERY_AGE_MAX: Duration = Duration::from_secs(300);

/// A source that is further behind is a reason to look.
const LAG_MAX_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_seconds: u64,
    /// Why it is degraded; empty: healthy.
    pub reasons: Vec<String>,
    /// People may not hear of what is found: a thread is stuck, the state cannot be written, alerts are not delivered.
    #[serde(default)]
    pub critical: bool,
    /// What the last whole minute brought; none yet in the first.
    #[serde(default)]
    pub last_minute: Option<Minute>,
    pub sources: Vec<Source>,
    pub alerts: Alerts,
    pub alerters: Vec<Alerter>,
    #[serde(default)]
    pub ai: Ai,
    pub state_commits: u64,
    /// Since the start, whatever came of them.
    pub reloads: u64,
    /// False: the last reload failed, and the old settings stay.
    pub config_reloaded: bool,
    /// What the keeper's thread gave the disk to write since the start: the state and its backups.
    #[serde(default)]
    pub state_written_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    pub files: u64,
    pub lag_bytes: u64,
    pub read_bytes: u64,
    /// Over the last seconds.
    pub read_bytes_per_s: u64,
    pub records: u64,
    pub exceptional: u64,
    pub ignored: u64,
    pub unparsed_lines: u64,
    pub replaced_bytes: u64,
    /// Kinds of messages it is known to say.
    #[serde(default)]
    pub templates: u64,
    /// `learning`, `learned`, `shadow` (its table of templates is full) or `off`.
    #[serde(default)]
    pub novelty: String,
    /// Records with an unknown mask for which there was no room to look at.
    #[serde(default)]
    pub unweighed: u64,
    /// Of the files that are followed now.
    #[serde(default)]
    pub ledger: Ledger,
    /// Since the start, by reason; what is skipped: of the files that are followed now.
    pub lost_bytes: BTreeMap<String, u64>,
    pub skipped_bytes: BTreeMap<String, u64>,
    pub possible_losses: u64,
}

/// Where the bytes of files went: `seen = judged + skipped + lost + pending`. Bytes that went with the power were judged
/// before and are not seen any more: they are in `lost_bytes` only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub seen: u64,
    pub judged: u64,
    pub skipped: u64,
    pub lost: u64,
    pub pending: u64,
}

/// The judge; all zero where none is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ai {
    /// `alert`, `shadow`, `off`, or why it is only listened to.
    pub mode: String,
    /// Name and version of the model that judged last.
    pub model: String,
    /// Nobody can judge now.
    pub away: bool,
    /// Templates that wait.
    pub pending: u64,
    /// Found no room among them, since the start.
    pub dropped: u64,
    /// Of this model, known now.
    pub verdicts: u64,
    /// Since the start.
    pub abnormal: u64,
    pub shadowed: u64,
    pub refused: u64,
    /// Requests by endpoint and outcome.
    pub requests: BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    pub firing: u64,
    /// Messages said since the start, by severity.
    pub said: BTreeMap<String, u64>,
    /// What nobody was told of since the start, by reason.
    #[serde(default)]
    pub suppressed: BTreeMap<String, u64>,
    /// Silences in force.
    #[serde(default)]
    pub silences: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerter {
    pub name: String,
    pub queued: u64,
    pub parked: u64,
    /// Put aside for a digest.
    #[serde(default)]
    pub held: u64,
    pub dead: u64,
    pub outbox_bytes: u64,
    pub oldest_seconds: Option<u64>,
    pub delivered: u64,
    pub failed: u64,
    pub shed: u64,
    pub blocked: Option<String>,
    pub last_error: Option<String>,
}

impl Ledger {
    fn add(&mut self, file: &FileState) {
        let cut = file.ledger.lost.get(lost::POWER_CUT).unwrap_or(0);
        self.seen += file.size_seen;
        self.judged += file.ledger.handed_on;
        self.skipped += file.ledger.skipped_bytes();
        self.lost += file.ledger.lost_bytes().saturating_sub(cut);
        self.pending += file.pending_bytes();
    }
}

impl Keeper {
    pub(super) fn status(&self) -> Status {
        let (alerters, sources) = (self.alerters(), self.sources());
        let mut reasons = self.reasons_not_heard(&alerters);
        let critical = !reasons.is_empty();
        reasons.extend(self.reasons_degraded(&sources));
        let of_level = |level| {
            STATUSES
                .iter()
                .map(|&status| self.metrics.alerts(status, level).get())
                .sum()
        };
        let said = Level::ALL.iter().map(|&level| (level.to_string(), of_level(level)));
        let suppressed = Suppressed::ALL
            .iter()
            .map(|&reason| (reason.as_str().to_owned(), self.metrics.suppressed(reason).get()));
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            reasons,
            critical,
            last_minute: self.metrics.minutes().last().copied(),
            sources,
            alerts: Alerts {
                firing: self.book.groups().filter(|(_, group)| group.firing).count() as u64,
                said: said.filter(|(_, count)| *count > 0).collect(),
                suppressed: suppressed.filter(|(_, count)| *count > 0).collect(),
                silences: self.silences.count() as u64,
            },
            alerters,
            ai: self.ai(),
            state_commits: self.metrics.commits.get(),
            reloads: self.metrics.reloads.get(),
            config_reloaded: !self.metrics.reload_failed.load(Ordering::Relaxed),
            state_written_bytes: self.count_written(),
        }
    }

    /// Why people may not hear of what is found.
    fn reasons_not_heard(&self, alerters: &[Alerter]) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.pending.failed_at.is_some() {
            reasons.push("the state cannot be written".into());
        }
        for thread in self.metrics.stuck() {
            reasons.push(format!("the thread {thread} does not answer"));
        }
        for alerter in alerters {
            let is_late = |age| age > DELIVERY_AGE_MAX.as_secs();
            if let Some(reason) = &alerter.blocked {
                reasons.push(format!("alerter {} is blocked: {reason}", alerter.name));
            } else if alerter.oldest_seconds.is_some_and(is_late) {
                reasons.push(format!(
                    "alerter {} has undelivered alerts older than 5 min",
                    alerter.name
                ));
            }
        }
        reasons
    }

    /// What else is not as it should be.
    fn reasons_degraded(&self, sources: &[Source]) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.metrics.reload_failed.load(Ordering::Relaxed) {
            reasons.push("the changed configuration could not be loaded; the old one is in force".into());
        }
        for source in sources.iter().filter(|source| source.lag_bytes > LAG_MAX_BYTES) {
            reasons.push(format!(
                "source {} is {} MiB behind",
                source.name,
                source.lag_bytes >> 20
            ));
        }
        reasons
    }

    fn ai(&self) -> Ai {
        let judging = &self.judging;
        let mut requests: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for (endpoint, outcome, count) in self.metrics.ai.requests() {
            requests.entry(endpoint).or_default().insert(outcome.to_owned(), count);
        }
        Ai {
            mode: judging.mode().to_owned(),
            model: judging.model().to_owned(),
            away: self.metrics.ai.away.get() > 0,
            pending: judging.pending(),
            dropped: judging.dropped,
            verdicts: judging.verdict_count(),
            abnormal: judging.abnormal,
            shadowed: judging.shadowed,
            refused: judging.refused,
            requests,
        }
    }

    fn sources(&self) -> Vec<Source> {
        let metrics = self.metrics.sources();
        metrics
            .iter()
            .map(|(name, counts)| {
                let (novelty, templates) = self.novelty.progress(name);
                let mut source = Source {
                    name: name.to_string(),
                    files: 0,
                    lag_bytes: 0,
                    read_bytes: counts.read_bytes.get(),
                    read_bytes_per_s: counts.speed.per_s(),
                    records: counts.records.sum(),
                    exceptional: counts.exceptional.get(),
                    ignored: counts.ignored.get(),
                    unparsed_lines: counts.unparsed_lines.get(),
                    replaced_bytes: counts.replaced_bytes.get(),
                    templates,
                    novelty: novelty.to_owned(),
                    unweighed: counts.unweighed.get(),
                    ledger: Ledger::default(),
                    lost_bytes: self.closed_losses.get(name).cloned().unwrap_or_default(),
                    skipped_bytes: BTreeMap::new(),
                    possible_losses: counts.possible_losses.get(),
                };
                for file in self.files.values().filter(|file| file.source == *name) {
                    let ledger = &file.checkpoint.file_state.ledger;
                    source.files += 1;
                    source.lag_bytes += file.lag_bytes;
                    source.ledger.add(&file.checkpoint.file_state);
                    add(&mut source.lost_bytes, &ledger.lost);
                    add(&mut source.skipped_bytes, &ledger.skipped);
                }
                source
            })
            .collect()
    }

    fn alerters(&self) -> Vec<Alerter> {
        let mut fills = outbox::fill(self.state.connection()).unwrap_or_default();
        let now_ms = super::now().wall.as_millisecond();
        self.queues
            .iter()
            .map(|queue| {
                let fill = fills.remove(&*queue.settings.name).unwrap_or_default();
                let counts = self.metrics.alerter(&queue.settings.name);
                let counts = counts.as_deref();
                Alerter {
                    name: queue.settings.name.to_string(),
                    queued: fill.queued,
                    parked: fill.parked,
                    held: fill.held,
                    dead: fill.dead,
                    outbox_bytes: fill.bytes,
                    oldest_seconds: fill
                        .oldest_ms
                        .map(|oldest| u64::try_from(now_ms - oldest).unwrap_or(0) / 1000),
                    delivered: counts.map_or(0, |counts| counts.delivered.get()),
                    failed: counts.map_or(0, |counts| counts.failed.get()),
                    shed: counts.map_or(0, |counts| counts.shed.get()),
                    blocked: queue.blocked.clone(),
                    last_error: fill.last_error,
                }
            })
            .collect()
    }
}

pub(super) fn add(sums: &mut BTreeMap<String, u64>, more: &ByReason) {
    for (reason, bytes) in more.iter() {
        *sums.entry(reason.to_owned()).or_default() += bytes;
    }
}
