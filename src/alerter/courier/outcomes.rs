//! What the outcome of a try means: marks for the keeper, and when the courier tries what again.

use super::{Mode, Round, memory};
use crate::alerter::{Apart, Delivery, backoff};
use crate::keeper::{Inbox, Outcome};
use std::time::Duration;

/// Failed tries after which a delivery is parked behind the others.
const TRIES_BEFORE_PARKING: u32 = 8;
/// Longer than any run of `run --once`.
const NEXT_RUN: Duration = Duration::from_secs(24 * 3600);
/// So much longer than the gate is closed the delivery that closed it waits.
const STAND_BACK: Duration = Duration::from_millis(250);
impl Round<'_> {
    pub(super) fn delivered(&mut self, delivery: &Delivery) {
        self.through();
        self.memory.done(delivery.seq, memory::Done::Delivered);
        self.mark(delivery.seq, Outcome::Delivered);
    }

    pub(super) fn rejected(&mut self, delivery: &Delivery, error: String) {
        self.through();
        let name = &self.courier.settings.name;
        log::warn!("alerter {name}: alert {} is dead: {error}", delivery.alert.id);
        let tries = self.memory.tries(delivery) + 1;
        self.memory
            .done(delivery.seq, memory::Done::Dead { at: self.clock.now() });
        self.mark(delivery.seq, Outcome::Dead { tries, error });
    }

    /// Something got through to be judged: the receiver is well.
    pub(super) fn through(&mut self) {
        let name = &self.courier.settings.name;
        if self.failures > 1 || self.blocked.is_some() {
            log::info!("alerter {name}: getting through again");
        }
        if self.failures > 1 || self.blocked.is_some() {
            // What was parked meanwhile was not to blame: it may go behind the others, without waiting.
            self.parked_gate = self.clock.now();
        }
        self.failures = 0;
        self.unblock();
    }

    pub(super) fn unblock(&mut self) {
        if self.blocked.take().is_some() {
            self.tell(Inbox::Blocked {
                alerter: self.courier.settings.name.clone(),
                reason: None,
            });
        }
    }

    pub(super) fn blocked(&mut self, delivery: &Delivery, reason: String) {
        self.gate = self.clock.now() + backoff::CAP;
        self.courier.outbox.doubt();
        let tries = self.memory.tries(delivery) + 1;
        self.memory.tried(delivery, tries, self.gate);
        let error = reason.clone();
        self.mark(delivery.seq, Outcome::Blocked { tries, error });
        if self.blocked.as_ref() == Some(&reason) {
            return;
        }
        let alerter = self.courier.settings.name.clone();
        log::error!("alerter {alerter}: blocked: {reason}; trying again every 5 min");
        self.blocked = Some(reason.clone());
        self.tell(Inbox::Blocked {
            alerter,
            reason: Some(reason),
        });
    }

    pub(super) fn failed(&mut self, delivery: &Delivery, after: Option<Duration>, error: String) {
        self.failures = self.failures.saturating_add(1);
        self.courier.outbox.doubt();
        let tries = self.memory.tries(delivery) + 1;
        let name = &self.courier.settings.name;
        if self.failures == 1 {
            log::warn!("alerter {name}: {error}; trying again");
        } else {
            log::debug!("alerter {name}: {error}; try {tries} of alert {}", delivery.alert.id);
        }
        let wait = match self.courier.mode {
            Mode::Service => after.unwrap_or_else(|| backoff::after(self.failures, self.clock.chance())),
            Mode::Once => NEXT_RUN,
        };
        self.gate = self.clock.now() + wait;
        // One that fails alone must not hold the others up: it stands back a little longer than the gate is closed, so
        // that another is tried first. Where deliveries go in batches, order counts for more.
        let own = if self.courier.alerter.batch_max() > 1 {
            wait
        } else {
            wait.max(backoff::after(tries, 1.0)) + STAND_BACK
        };
        self.put_off_or_park(delivery, tries, own, error);
    }

    fn put_off_or_park(&mut self, delivery: &Delivery, tries: u32, wait: Duration, error: String) {
        let now = self.clock.now();
        let parked = tries >= TRIES_BEFORE_PARKING;
        if parked {
            self.memory.park(delivery, tries);
            self.parked_gate = self.parked_gate.max(now + backoff::CAP);
        } else {
            self.memory.put_off(delivery.seq, tries, now + wait);
        }
        self.mark(delivery.seq, Outcome::Failed { tries, parked, error });
    }

    /// Takes out of `batch` what was settled by itself.
    pub(super) fn settle_apart(&mut self, batch: &mut Vec<Delivery>, settled: Vec<(i64, Apart)>) {
        for (seq, outcome) in settled {
            let Some(index) = batch.iter().position(|delivery| delivery.seq == seq) else {
                continue;
            };
            let delivery = batch.remove(index);
            let after = match outcome {
                Apart::Arrived => {
                    self.delivered(&delivery);
                    continue;
                }
                Apart::Failed { after, reason } => self.failed_apart(&delivery, after, reason),
                Apart::Waits { after } => {
                    let tries = self.memory.tries(&delivery);
                    self.memory.tried(&delivery, tries, self.clock.now() + after);
                    after
                }
            };
            let at = self.clock.now() + after;
            self.apart_due = Some(self.apart_due.map_or(at, |due| due.min(at)));
            self.memory.hold(&delivery);
        }
    }

    /// It failed, and the others go on; how long it waits.
    fn failed_apart(&mut self, delivery: &Delivery, after: Duration, error: String) -> Duration {
        self.courier.outbox.doubt();
        let tries = self.memory.tries(delivery) + 1;
        let name = &self.courier.settings.name;
        if tries == 1 {
            log::warn!("alerter {name}: {error}; trying again");
        } else {
            log::debug!("alerter {name}: {error}; try {tries} of alert {}", delivery.alert.id);
        }
        let wait = match self.courier.mode {
            Mode::Service => after,
            Mode::Once => NEXT_RUN,
        };
        self.put_off_or_park(delivery, tries, wait, error);
        wait
    }
}
