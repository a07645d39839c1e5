//! What is counted about the judge.

use super::Counter;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The judge.
#[derive(Debug, Default)]
pub struct Ai {
    pub verdicts: Counter,
    /// 1: nobody can judge.
    pub away: Counter,
    requests: Mutex<BTreeMap<(String, &'static str), u64>>,
    /// Requests by the bounds of [`AI_SECONDS`], the last for all above.
    seconds: [Counter; AI_SECONDS.len() + 1],
    micros: Counter,
}

/// Upper bounds of the histogram of the requests' times, in seconds.
pub const AI_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

impl Ai {
    /// A request to an endpoint has ended so.
    pub fn request(&self, endpoint: &str, outcome: &'static str) {
        // A panic ends the process: nobody is left to find the lock poisoned.
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((endpoint.to_owned(), outcome)).or_default() += 1;
    }

    /// The same of one that was answered in so long.
    pub fn answered(&self, endpoint: &str, time: Duration) {
        self.request(endpoint, "ok");
        let seconds = time.as_secs_f64();
        let bucket = AI_SECONDS.iter().position(|bound| seconds <= *bound);
        self.seconds[bucket.unwrap_or(AI_SECONDS.len())].add(1);
        self.micros.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Endpoint, outcome, number.
    pub fn requests(&self) -> Vec<(String, &'static str, u64)> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |((endpoint, outcome), count): (&(String, &'static str), &u64)| (endpoint.clone(), *outcome, *count);
        requests.iter().map(row).collect()
    }

    /// Requests within each bound of [`AI_SECONDS`] (not summed up) and above, and the sum of their seconds.
    pub fn seconds(&self) -> (Vec<u64>, f64) {
        (
            self.seconds.iter().map(Counter::get).collect(),
            self.micros.get() as f64 / 1e6,
        )
    }
}
