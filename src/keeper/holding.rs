//! Messages that are held back, for one alerter each: above its rate, while it cannot be reached, within a maintenance
//! window; and the digests that take their places.
//!
//! What is held stands in the outbox, durable as all else, where no courier sees it. Our own news, digests and tests are
//! never held, nor is anything for `send: each`.

use super::pending::Released;
use super::{Keeper, Mark, Outcome, Queue, now};
use crate::alert::book::Now;
use crate::alert::digest::Digest;
use crate::alert::rate::Rate;
use crate::alert::tidings::Held;
use crate::alert::{Alert, Kind, Status, clock};
use crate::alerter::{self, CatchUp};
use crate::metrics::Suppressed;
use crate::record::Level;
use crate::state::{State, held, outbox};
use anyhow::Result;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A receiver that has taken nothing for so long is out.
pub(super) const OUTAGE_MIN: Duration = Duration::from_secs(300);
/// A key of `meta`: when messages were sent, by alerter.
const RATES: &str = "rates";
const MINUTE_MS: i64 = 60_000;

/// One alerter's, beside its queue.
#[derive(Debug, Default)]
pub(super) struct Holding {
    rate: Rate,
    /// Something is held for these reasons.
    reasons: Vec<Held>,
    /// The first failure since something got through.
    pub failing_since: Option<Now>,
    pub last_error: Option<String>,
    /// Something got through in this life.
    pub well: bool,
    /// It is out: nothing got through for [`OUTAGE_MIN`].
    pub out: bool,
}

impl Holding {
    fn holds(&self, why: Held) -> bool {
        self.reasons.contains(&why)
    }

    fn begin(&mut self, why: Held) {
        if !self.holds(why) {
            self.reasons.push(why);
        }
    }
}

/// What the queues of these alerters hold since an earlier life.
pub(super) fn load(state: &State, alerters: &[Arc<str>], now: Now) -> Result<BTreeMap<Arc<str>, Holding>> {
    let rates = state.meta(RATES)?;
    // Of another version: counting begins anew.
    let mut rates: BTreeMap<String, Rate> = rates
        .and_then(|rates| serde_json::from_str(&rates).ok())
        .unwrap_or_default();
    let connection = state.connection();
    let mut holdings = BTreeMap::new();
    for name in alerters {
        let mut holding = Holding {
            rate: rates.remove(&**name).unwrap_or_default(),
            ..Holding::default()
        };
        for why in Held::ALL {
            if held::count(connection, name, why.as_str())? > 0 {
                holding.begin(why);
            }
        }
        let (_, tried_since_ms) = held::knocking(connection, name)?;
        let tried_ms = tried_since_ms.map_or(0, |since| now.wall.as_millisecond() - since);
        let long = i64::try_from(OUTAGE_MIN.as_millis()).unwrap_or(i64::MAX);
        holding.out = holding.holds(Held::Outage) || tried_ms > long && clock::is_possible(now.wall);
        holdings.insert(name.clone(), holding);
    }
    Ok(holdings)
}

impl Keeper {
    /// Why this alerter does not get a message now.
    pub(super) fn hold_reason(&mut self, index: usize, alert: &Alert) -> Option<Held> {
        match alert.kind {
            Kind::Agent | Kind::Test | Kind::Digest => return None,
            Kind::Exception | Kind::Record | Kind::Absence | Kind::Loss => {}
        }
        let now = now();
        let quiet = self.is_quiet(now, Some(alert.severity));
        let Queue { settings, holding, .. } = &mut self.queues[index];
        if settings.send == alerter::Send::Each {
            return None;
        }
        if quiet {
            return Some(Held::Quiet);
        }
        if holding.out && settings.catch_up == CatchUp::Digest {
            return Some(Held::Outage);
        }
        let fatal = alert.severity == Level::Fatal && alert.status != Status::Resolved;
        let queued_behind = holding.holds(Held::Rate) && !fatal;
        if queued_behind || !holding.rate.take(settings.limits, now.wall.as_millisecond(), fatal) {
            return Some(Held::Rate);
        }
        self.note_rates();
        None
    }

    /// Puts a message aside.
    pub(super) fn hold_back(&mut self, index: usize, entry: outbox::Entry, why: Held) {
        let reason = match why {
            Held::Rate => Suppressed::Rate,
            Held::Outage => Suppressed::Outage,
            Held::Quiet => Suppressed::Quiet,
        };
        self.metrics.suppressed(reason).add(1);
        let queue = &mut self.queues[index];
        queue.holding.begin(why);
        queue.bytes += entry.payload.len() as u64;
        let name = queue.settings.name.clone();
        let id = entry.alert.id.clone();
        self.pending
            .happened(&id, Some(name), "held back", Some(why.as_str().to_owned()));
        self.pending.hold(index, entry, why);
    }

    fn is_quiet(&self, now: Now, severity: Option<Level>) -> bool {
        let zone = &self.composer.wording.zone;
        let mut windows = self.quiet.iter();
        // A clock that cannot be right knows no nights.
        clock::is_possible(now.wall)
            && windows.any(|quiet| match severity {
                Some(severity) => quiet.holds(severity, now.wall, zone),
                None => quiet.is_on(now.wall, zone),
            })
    }

    fn note_rates(&mut self) {
        let rates: BTreeMap<&str, &Rate> = self
            .queues
            .iter()
            .filter(|queue| !queue.settings.limits.are_none())
            .map(|queue| (&*queue.settings.name, &queue.holding.rate))
            .collect();
        if !rates.is_empty() {
            // Strings and numbers are always JSON.
            self.pending.note(RATES, serde_json::to_string(&rates).ok());
        }
    }

    pub(super) fn count_marks(&self, alerter: &str, marks: &[Mark]) {
        let Some(metrics) = self.metrics.alerter(alerter) else {
            return;
        };
        for mark in marks {
            match mark.outcome {
                Outcome::Delivered => {
                    metrics.delivered.add(1);
                    metrics
                        .last_delivery
                        .set(u64::try_from(now().wall.as_second()).unwrap_or(0));
                }
                Outcome::Failed { .. } | Outcome::Blocked { .. } => metrics.failed.add(1),
                Outcome::Dead { .. } => metrics.dead.add(1),
            }
        }
    }

    /// What marks say of the receiver.
    pub(super) fn heed_marks(&mut self, alerter: &str, marks: &[Mark]) {
        let Some(queue) = self.queues.iter_mut().find(|queue| *queue.settings.name == *alerter) else {
            return;
        };
        for mark in marks {
            match &mark.outcome {
                Outcome::Delivered | Outcome::Dead { .. } => {
                    queue.holding.failing_since = None;
                    queue.holding.out = false;
                    queue.holding.well = true;
                }
                Outcome::Failed { error, .. } | Outcome::Blocked { error, .. } => {
                    queue.holding.failing_since.get_or_insert_with(now);
                    queue.holding.last_error = Some(error.clone());
                }
            }
        }
    }

    /// Receivers that have been failing for so long that they are out.
    pub(super) fn notice_outages(&mut self) {
        let now = now();
        for (index, queue) in self.queues.iter_mut().enumerate() {
            let holding = &mut queue.holding;
            let failing_ms = holding
                .failing_since
                .map_or(0, |since| now.boot_ms.saturating_sub(since.boot_ms));
            let begins = !holding.out && u128::from(failing_ms) >= OUTAGE_MIN.as_millis();
            holding.out |= begins;
            let digests = queue.settings.catch_up == CatchUp::Digest && queue.settings.send == alerter::Send::Grouped;
            // Of an earlier life, or begun now: one goes on knocking, all else waits for the digest.
            if holding.out && digests && !holding.holds(Held::Outage) {
                holding.begin(Held::Outage);
                self.pending.put_aside.push(index);
                self.pending.checkpoints_due = true;
            }
        }
    }

    /// Makes digests of what needs not be held any longer. Only where nothing waits to be committed: it reads the rows.
    pub(super) fn release_held(&mut self) {
        if !self.pending.is_clean() {
            return;
        }
        for index in 0..self.queues.len() {
            for why in self.queues[index].holding.reasons.clone() {
                match self
                    .may_release(index, why)
                    .and_then(|may| if may { self.release(index, why) } else { Ok(()) })
                {
                    Ok(()) => {}
                    Err(error) => log::error!(
                        "what is held for {} cannot be told: {error:#}",
                        self.queues[index].settings.name
                    ),
                }
            }
        }
    }

    fn may_release(&mut self, index: usize, why: Held) -> Result<bool> {
        let now = now();
        let quiet = self.is_quiet(now, None);
        let Queue { settings, holding, .. } = &mut self.queues[index];
        Ok(match why {
            Held::Quiet => !quiet && !holding.out,
            // Where nothing knocks any more (somebody dropped it), the digest does.
            Held::Outage => !holding.out || !held::knocking(self.state.connection(), &settings.name)?.0,
            Held::Rate => !holding.out && holding.rate.wait_ms(settings.limits, now.wall.as_millisecond(), false) == 0,
        })
    }

    fn release(&mut self, index: usize, why: Held) -> Result<()> {
        let name = self.queues[index].settings.name.clone();
        let mut digest = Digest::default();
        let (to_seq, bytes) = held::read(self.state.connection(), &name, why.as_str(), |alert| digest.add(alert))?;
        let now = now();
        let queue = &mut self.queues[index];
        queue.holding.reasons.retain(|held| *held != why);
        if digest.is_empty() {
            return Ok(());
        }
        // It counts as a message, whatever else has gone out.
        queue
            .holding
            .rate
            .take(queue.settings.limits, now.wall.as_millisecond(), false);
        log::info!(
            "alerter {name}: {} messages that were held back ({}) go out as one",
            digest.messages(),
            why.as_str()
        );
        let mut alert = digest.message(&self.composer, &name, why, now.wall);
        alert.labels = self.host_labels();
        self.note_said(&alert);
        let digest = alert.id.clone();
        self.metrics.alerts(alert.status, alert.severity).add(1);
        let entry = outbox::Entry::of(alert.into());
        let queue = &mut self.queues[index];
        queue.bytes = queue.bytes.saturating_sub(bytes) + entry.payload.len() as u64;
        self.pending.push(index, entry);
        self.pending.released.push(Released {
            queue: index,
            why,
            to_seq,
            digest,
        });
        self.note_rates();
        Ok(())
    }

    /// When something may be released next.
    pub(super) fn release_in(&mut self) -> Option<Duration> {
        let now_ms = now().wall.as_millisecond();
        let waits = self.queues.iter_mut().flat_map(|queue| {
            let Queue { settings, holding, .. } = queue;
            let rate = (holding.holds(Held::Rate) && !holding.out)
                .then(|| holding.rate.wait_ms(settings.limits, now_ms, false).max(1));
            // Windows end with a minute.
            let quiet = (holding.holds(Held::Quiet) && !holding.out).then(|| MINUTE_MS - now_ms.rem_euclid(MINUTE_MS));
            rate.into_iter().chain(quiet)
        });
        waits.min().map(|ms| Duration::from_millis(ms.unsigned_abs()))
    }
}
