//! The courier: one thread per alerter, which takes deliveries from its outbox to its receiver.
//!
//! Promises: order per fingerprint; nothing sent twice in one life; one receiver in trouble holds up nobody else's
//! alerts. What became of each delivery goes to the keeper as marks; the courier never writes the state itself, and
//! remembers what it has sent until the outbox no longer returns it: also while the keeper cannot commit (full disk).
//!
//! It works in sweeps: from the outbox's first queued delivery to its last, skipping what is sent, not due yet, or
//! behind another of its fingerprint. A failure ends the sweep and closes the gate for a while; a bell opens a new one.

mod bell;
mod clock;
mod feed;
mod memory;
mod orders;
mod outcomes;
mod parked;

pub use bell::{Bell, Ear, bell};
pub use clock::{Clock, SystemClock, Wake};
pub use feed::{Fed, Feed, Feeder, feed};
pub use orders::{Order, Replacement};

use super::{Alerter, Delivery, Send, SendError, Sent, Settings};
use crate::keeper::{Inbox, Mark, Outcome};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use memory::Memory;
use std::time::Duration;

/// Deliveries read from the outbox at a time: enough for one batch of any alerter, little enough to hold.
const PAGE: usize = 512;
/// Marks are handed over at this number at the latest …
const MARKS_MAX: usize = 256;
/// … or this age: what a `kill -9` makes a receiver see twice is what was sent within it.
const MARKS_AGE_MAX: Duration = Duration::from_millis(200);
/// After an error of the outbox itself.
const OUTBOX_RETRY: Duration = Duration::from_secs(5);

/// Where deliveries wait: read only; the keeper writes it.
pub trait Outbox: std::marker::Send {
    /// Queued deliveries with `seq > after_seq`, ascending, at most `limit`; without parked ones.
    fn next(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>>;
    /// Parked ones, in the same way.
    fn parked(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>>;
    /// What is in memory of it may differ from what is written: a delivery has failed, and its tries are counted there.
    fn doubt(&mut self) {}
}

/// How long the courier lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until the bell is closed.
    Service,
    /// The same, but one try per delivery: a failed one waits for the next run, and when the bell closes the others are
    /// tried whatever became of it (`run --once`).
    Once,
}

/// What a courier is made of; [`Courier::run`] is its thread.
pub struct Courier {
    pub settings: Settings,
    pub alerter: Box<dyn Alerter>,
    pub outbox: Box<dyn Outbox>,
    /// Rings when there may be something new; closed: stop.
    pub ear: Ear,
    /// What main tells besides; closed: nothing will come.
    pub orders: Receiver<Order>,
    pub keeper: Sender<Inbox>,
    pub mode: Mode,
    /// For what is due when the bell closes. It is looked at
    /// between deliveries: one that is under way has its own time-out.
    pub deadline: Duration,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier")
            .field("settings", &self.settings)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Courier {
    /// Until the bell closes, or the keeper is gone.
    pub fn run(self) {
        self.run_by(&mut SystemClock::default());
    }

    /// The same by a clock of the caller's.
    pub fn run_by(self, clock: &mut dyn Clock) {
        let now = clock.now();
        let mut round = Round {
            memory: Memory::new(self.settings.send == Send::Grouped, self.alerter.batch_max() == 1),
            courier: self,
            clock,
            marks: Vec::new(),
            marks_since: now,
            gate: now,
            failures: 0,
            parked_gate: now,
            parked_cursor: 0,
            blocked: None,
            stop_at: None,
            apart_due: None,
            tick_at: None,
            rung: false,
            keeper_gone: false,
            retired: false,
        };
        round.live();
        round.flush();
    }
}

/// A courier at work.
struct Round<'a> {
    courier: Courier,
    clock: &'a mut dyn Clock,
    memory: Memory,
    marks: Vec<Mark>,
    marks_since: Duration,
    /// Nothing is tried before.
    gate: Duration,
    /// In a row.
    failures: u32,
    /// No parked delivery is tried before.
    parked_gate: Duration,
    /// The parked delivery that failed last: the next round begins behind it, so that one bad one starves no other.
    parked_cursor: i64,
    /// Why the way is blocked, as last told to the keeper.
    blocked: Option<String>,
    /// The bell is closed: no new try after this.
    stop_at: Option<Duration>,
    /// The earliest of what this sweep put off without ending.
    apart_due: Option<Duration>,
    /// When the alerter wants to be called without a delivery.
    tick_at: Option<Duration>,
    /// The bell rang while a sweep was under way.
    rung: bool,
    keeper_gone: bool,
    /// Its alerter is no longer configured.
    retired: bool,
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swept {
    /// Everything was looked at; the earliest that was not due yet.
    Through { due: Option<Duration> },
    /// A failure closed the gate, or there is no time left.
    Stopped,
}

impl Round<'_> {
    fn live(&mut self) {
        if let Err(error) = self.learn_parked() {
            self.outbox_failed(error);
        }
        loop {
            self.take_orders();
            let until = self.serve();
            if self.keeper_gone || self.retired || self.stop_at.is_some() {
                return;
            }
            if std::mem::take(&mut self.rung) || !self.courier.orders.is_empty() {
                continue;
            }
            match self.clock.wait(&self.courier.ear.bell, &self.courier.orders, until) {
                Wake::Rung | Wake::Due => {}
                Wake::Told(order) => self.obey(order),
                Wake::NoMoreOrders => self.courier.orders = crossbeam_channel::never(),
                Wake::Closed => {
                    self.take_orders();
                    if self.retired {
                        return;
                    }
                    self.begin_stop();
                    // The last that the analyzers found is in the outbox by now; a receiver in trouble gets none, but
                    // for the one try that everything gets of `Once`.
                    if self.is_last_chance() || self.clock.now() >= self.gate {
                        self.sweep_all();
                    }
                    return;
                }
            }
        }
    }

    /// [`Mode::Once`] at its end: what has not been tried yet is tried, whatever became of the others.
    fn is_last_chance(&self) -> bool {
        self.courier.mode == Mode::Once && self.stop_at.is_some()
    }

    /// Does what is due; when there is something to do again (`None`: when the bell rings).
    fn serve(&mut self) -> Option<Duration> {
        if self.retired {
            return None;
        }
        self.tick();
        if self.courier.ear.is_hurried() {
            self.hurry();
        }
        if self.clock.now() < self.gate {
            return self.earliest(Some(self.gate));
        }
        let swept = self.sweep_all();
        self.flush();
        match swept {
            Swept::Through { due } => {
                let parked = (!self.memory.parked.is_empty()).then_some(self.parked_gate);
                self.earliest(due.into_iter().chain(parked).min())
            }
            Swept::Stopped => self.earliest(Some(self.gate)),
        }
    }

    /// A person wants all of it tried now. What waits is taken from the outbox anew, which counts its tries.
    fn hurry(&mut self) {
        let now = self.clock.now();
        (self.gate, self.parked_gate, self.parked_cursor) = (now, now, 0);
        self.memory.forget_waits();
        if let Err(error) = self.learn_parked() {
            self.outbox_failed(error);
        }
    }

    fn earliest(&self, due: Option<Duration>) -> Option<Duration> {
        due.into_iter().chain(self.tick_at).min()
    }

    /// What an alerter has to do without a delivery (telling Alertmanager again what is still active).
    fn tick(&mut self) {
        if self.tick_at.is_none_or(|at| at <= self.clock.now()) {
            self.tick_at = self.courier.alerter.tick().map(|wait| self.clock.now() + wait);
        }
    }

    fn begin_stop(&mut self) {
        if self.stop_at.is_none() {
            self.stop_at = Some(self.clock.now() + self.courier.deadline);
        }
    }

    /// Notices a closed bell within a long sweep; whether there is time for another try.
    fn may_go_on(&mut self) -> bool {
        match self.courier.ear.bell.try_recv() {
            Ok(()) => self.rung = true,
            Err(TryRecvError::Disconnected) => self.begin_stop(),
            Err(TryRecvError::Empty) => {}
        }
        match self.stop_at {
            Some(at) => !self.keeper_gone && self.clock.now() < at,
            // Orders are obeyed between sweeps.
            None => !self.keeper_gone && self.courier.orders.is_empty(),
        }
    }

    fn sweep_all(&mut self) -> Swept {
        let swept = match self.sweep_queued() {
            Ok(swept) => swept,
            Err(error) => return self.outbox_failed(error),
        };
        if swept == Swept::Stopped {
            return swept;
        }
        if self.clock.now() < self.parked_gate {
            return swept;
        }
        match self.sweep_parked() {
            Ok(()) => swept,
            Err(error) => self.outbox_failed(error),
        }
    }

    fn outbox_failed(&mut self, error: anyhow::Error) -> Swept {
        log::error!("alerter {}: reading its outbox: {error:#}", self.courier.settings.name);
        self.gate = self.clock.now() + OUTBOX_RETRY;
        // Whoever writes the state may not have noticed yet that it cannot be read.
        self.tell(Inbox::Unreadable(error));
        Swept::Stopped
    }

    /// What an earlier life parked holds back the later ones of its fingerprint from the start.
    fn learn_parked(&mut self) -> anyhow::Result<()> {
        let mut after_seq = 0;
        loop {
            let page = self.courier.outbox.parked(after_seq, PAGE)?;
            for delivery in &page {
                self.memory.know_parked(delivery);
                after_seq = delivery.seq;
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// From the first queued delivery to the last.
    fn sweep_queued(&mut self) -> anyhow::Result<Swept> {
        let batch_max = self.courier.alerter.batch_max().clamp(1, PAGE);
        self.memory.begin_sweep();
        self.apart_due = None;
        let mut due: Option<Duration> = None;
        let mut after_seq = self.memory.settled();
        loop {
            let page = self.courier.outbox.next(after_seq, PAGE)?;
            let last = page.len() < PAGE;
            let reached = if last {
                i64::MAX
            } else {
                page.last().map_or(i64::MAX, |d| d.seq)
            };
            self.memory.forget_absent(after_seq, reached, &page);
            let mut batch: Vec<Delivery> = Vec::new();
            for delivery in &page {
                match self.memory.verdict(delivery, self.clock.now()) {
                    memory::Verdict::Due(delivery) => batch.push(delivery),
                    memory::Verdict::NotBefore(at) => due = Some(due.map_or(at, |d| d.min(at))),
                    memory::Verdict::Skip => {}
                }
                if batch.len() == batch_max && !self.send(std::mem::take(&mut batch)) {
                    return Ok(Swept::Stopped);
                }
            }
            if !batch.is_empty() && !self.send(batch) {
                return Ok(Swept::Stopped);
            }
            self.memory.settle(after_seq, &page);
            if last {
                self.memory.end_round();
                let due = due.into_iter().chain(self.apart_due).min();
                return Ok(Swept::Through { due });
            }
            after_seq = reached;
        }
    }

    /// Sends; whether the sweep may go on.
    fn send(&mut self, mut batch: Vec<Delivery>) -> bool {
        loop {
            // What may not overtake one that was put off since the batch was made.
            batch.retain(|delivery| !self.memory.is_held(delivery));
            if batch.is_empty() {
                return true;
            }
            if !self.may_go_on() {
                return false;
            }
            let Sent {
                delivered,
                apart,
                error,
            } = self.courier.alerter.send(&batch);
            for delivery in batch.drain(..delivered.min(batch.len())) {
                self.delivered(&delivery);
            }
            let settled = delivered + apart.len();
            self.settle_apart(&mut batch, apart);
            let nothing = || SendError::Retry {
                after: None,
                reason: "nothing was sent".to_owned(),
            };
            let error = error.or_else(|| (settled == 0).then(nothing));
            let (Some(error), Some(unsent)) = (error, batch.first().cloned()) else {
                continue;
            };
            match error {
                SendError::Reject { reason } => {
                    self.rejected(&unsent, reason);
                    batch.remove(0);
                }
                SendError::Blocked { reason } => {
                    self.blocked(&unsent, reason);
                    return false;
                }
                SendError::Retry { after, reason } => {
                    self.failed(&unsent, after, reason);
                    // One try per due delivery: what follows is tried too, but not what waits behind this one.
                    if !self.is_last_chance() || after.is_some() {
                        return false;
                    }
                    self.memory.hold(&unsent);
                    batch.remove(0);
                }
            }
        }
    }

    fn mark(&mut self, seq: i64, outcome: Outcome) {
        let now = self.clock.now();
        if self.marks.is_empty() {
            self.marks_since = now;
        }
        self.marks.push(Mark { seq, outcome });
        if self.marks.len() >= MARKS_MAX || now >= self.marks_since + MARKS_AGE_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.marks.is_empty() {
            let marks = std::mem::take(&mut self.marks);
            self.tell(Inbox::Marks {
                alerter: self.courier.settings.name.clone(),
                marks,
            });
        }
    }

    /// The keeper never waits for a courier, so that waiting for the keeper is safe. When it is gone, what we did can no
    /// longer be marked: going on would only repeat after the next start.
    fn tell(&mut self, message: Inbox) {
        self.keeper_gone |= self.courier.keeper.send(message).is_err();
    }
}

#[cfg(test)]
mod tests;
