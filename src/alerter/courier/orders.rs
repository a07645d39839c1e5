//! What main tells a courier while it lives: a reload changes or ends its alerter, a ping asks whether it answers.
//!
//! The courier keeps its memory of what it has sent over a change of its alerter: else what the keeper has not yet
//! committed would be sent again.

use super::Round;
use crate::alerter::{Alerter, Send, Settings};
use crossbeam_channel::Sender;

pub enum Order {
    /// The same outbox, by other settings from now on; what is under way is finished by the old ones.
    Become(Box<Replacement>),
    /// The alerter is no longer configured: send nothing more, and end.
    Retire,
    /// Answered between two deliveries.
    Ping(Sender<()>),
}

pub struct Replacement {
    pub settings: Settings,
    pub alerter: Box<dyn Alerter>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Order::Become(replacement) => replacement.fmt(f),
            Order::Retire => f.write_str("Retire"),
            Order::Ping(_) => f.write_str("Ping"),
        }
    }
}

impl std::fmt::Debug for Replacement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Become").field(&self.settings).finish()
    }
}

impl Round<'_> {
    pub(super) fn take_orders(&mut self) {
        while let Ok(order) = self.courier.orders.try_recv() {
            self.obey(order);
        }
    }

    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Become(replacement) => self.become_another(*replacement),
            Order::Retire => self.retired = true,
            // Whoever asked may have gone.
            Order::Ping(answer) => drop(answer.try_send(())),
        }
    }

    fn become_another(&mut self, replacement: Replacement) {
        let Replacement { settings, mut alerter } = replacement;
        alerter.take_over(self.courier.alerter.as_mut());
        let one_by_one = alerter.batch_max() == 1;
        self.memory.set_way(settings.send == Send::Grouped, one_by_one);
        self.courier.alerter = alerter;
        self.courier.settings = settings;
        // Whoever changed it wants to see it tried.
        self.failures = 0;
        self.gate = self.clock.now();
        self.parked_gate = self.gate;
        self.tick_at = None;
        self.unblock();
    }
}
