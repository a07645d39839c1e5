//! One URL of the service: how many requests are under way there, and whether it is worth asking.
//!
//! A circuit breaker: after a few failures in a row nobody asks it for a while, longer each time; then one request probes
//! it, and its outcome closes the circuit or opens it again. Time is an argument.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that eject it.
const FAILURES_MAX: u32 = 3;
/// The first pause, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Endpoint {
    pub url: String,
    under_way: AtomicUsize,
    health: Mutex<Health>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Health {
    failures: u32,
    pauses: u32,
    /// Nobody asks it before.
    open_until: Option<Instant>,
    /// The one request that may probe it is under way.
    probing: bool,
    /// It knows no `/analyze/batch`.
    one_by_one: bool,
}

/// Whether it may be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// One request may try, behind a look at its health.
    Probe,
    /// Not before.
    Closed(Duration),
}

impl Endpoint {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            under_way: AtomicUsize::new(0),
            health: Mutex::default(),
        }
    }

    /// Scheme, host and port: what may be shown of it.
    pub fn label(&self) -> String {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return "service".to_owned();
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}")
    }

    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    pub fn gate(&self, now: Instant) -> Gate {
        let health = self.health();
        match health.open_until {
            None => Gate::Open,
            Some(until) if until > now => Gate::Closed(until - now),
            Some(_) if health.probing => Gate::Closed(PAUSE_MIN),
            Some(_) => Gate::Probe,
        }
    }

    /// A request begins; false: another one has just begun to probe it.
    pub fn begin(&self, now: Instant) -> bool {
        let mut health = self.health();
        match health.open_until {
            Some(until) if until > now || health.probing => return false,
            Some(_) => health.probing = true,
            None => {}
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
        true
    }

    pub fn succeeded(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut health = self.health();
        *health = Health {
            one_by_one: health.one_by_one,
            ..Health::default()
        };
    }

    pub fn failed(&self, now: Instant) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut health = self.health();
        health.failures += 1;
        if health.probing || health.failures >= FAILURES_MAX {
            let pause = PAUSE_MIN.saturating_mul(1 << health.pauses.min(6)).min(PAUSE_MAX);
            health.open_until = Some(now + pause);
            health.pauses += 1;
            health.probing = false;
        }
    }

    pub fn is_one_by_one(&self) -> bool {
        self.health().one_by_one
    }

    pub fn take_one_by_one(&self) {
        self.health().one_by_one = true;
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // A panic ends the process: nobody is left to find the lock poisoned.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_it_rests_then_one_request_probes_it() {
        let (endpoint, begin) = (Endpoint::new("http://h/"), Instant::now());
        for _ in 0..FAILURES_MAX {
            assert!(endpoint.begin(begin));
            endpoint.failed(begin);
        }
        assert_eq!(endpoint.gate(begin), Gate::Closed(PAUSE_MIN));
        let hour_later = begin + Duration::from_secs(3600);
        assert_eq!(endpoint.gate(hour_later), Gate::Probe);
        assert!(
            endpoint.begin(hour_later) && !endpoint.begin(hour_later),
            "one probe at a time"
        );
        endpoint.failed(hour_later);
        assert_eq!(
            endpoint.gate(hour_later),
            Gate::Closed(2 * PAUSE_MIN),
            "one failed probe is enough, and the pause grows"
        );
        let later = hour_later + Duration::from_secs(3600);
        assert!(endpoint.begin(later));
        endpoint.succeeded();
        assert_eq!((endpoint.gate(later), endpoint.under_way()), (Gate::Open, 0));
        assert!(endpoint.begin(later));
        endpoint.failed(later);
        assert_eq!(endpoint.gate(later), Gate::Open, "one failure is no reason yet");
    }

    #[test]
    fn the_pause_has_an_end() {
        let (endpoint, mut now) = (Endpoint::new("http://h"), Instant::now());
        for _ in 0..50 {
            if endpoint.begin(now) {
                endpoint.failed(now);
            }
            if let Gate::Closed(wait) = endpoint.gate(now) {
                assert!(wait <= PAUSE_MAX, "{wait:?}");
                now += wait;
            }
        }
    }
}
