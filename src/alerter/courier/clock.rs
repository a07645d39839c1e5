//! Time and waiting of a courier: the bell, orders, and the clock, which tests replace.

use super::Order;
use crossbeam_channel::{Receiver, after, never, select};
use std::time::{Duration, Instant};

/// Time and waiting, so that tests need neither. Times are since some fixed moment.
pub trait Clock: std::marker::Send {
    fn now(&self) -> Duration;
    /// Waits for the bell or an order, at the longest until `until`.
    fn wait(&mut self, bell: &Receiver<()>, orders: &Receiver<Order>, until: Option<Duration>) -> Wake;
    /// For jitter, in 0…1.
    fn chance(&mut self) -> f64;
}

#[derive(Debug)]
pub enum Wake {
    Rung,
    Due,
    Told(Order),
    /// Nobody is left who could give any.
    NoMoreOrders,
    /// The bell is closed: stop.
    Closed,
}

/// The real clock: monotonic.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&mut self, bell: &Receiver<()>, orders: &Receiver<Order>, until: Option<Duration>) -> Wake {
        let due = match until {
            Some(until) => after(until.saturating_sub(self.now())),
            None => never(),
        };
        select! {
            recv(bell) -> rung => if rung.is_ok() { Wake::Rung } else { Wake::Closed },
            recv(orders) -> order => order.map_or(Wake::NoMoreOrders, Wake::Told),
            recv(due) -> _ => Wake::Due,
        }
    }

    fn chance(&mut self) -> f64 {
        fastrand::f64()
    }
}
