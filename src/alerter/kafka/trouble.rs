//! Where the topic depends on the alert, what is wrong with one topic is no trouble of the others: it is not there, may not
//! be written, has no leader. The first of its deliveries fails, the rest of them waits with it, and nobody else does.
//! With one topic for all it is as if the broker were not there.

use super::{Outcomes, topic};
use crate::alerter::{Apart, Delivery, SendError, backoff};
use kafka_protocol::error::ResponseError;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A delivery that fails for its topic's sake.
#[derive(Debug)]
pub(super) struct Fault {
    pub index: usize,
    pub topic: String,
    pub error: SendError,
}

#[derive(Debug)]
pub(super) struct Troubles {
    template: String,
    /// By topic; bounded by the topics that the template makes.
    of: HashMap<String, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    /// In a row.
    failures: u32,
    /// A failure before is of the same try: what waits for a topic may be many batches.
    until: Instant,
}

impl Trouble {
    fn failed(&mut self, now: Instant) -> Duration {
        if now >= self.until {
            self.failures = self.failures.saturating_add(1);
            self.until = now + backoff::after(self.failures, fastrand::f64());
        }
        self.until - now
    }
}

impl Troubles {
    pub(super) fn new(template: &str) -> Self {
        Self {
            template: template.to_owned(),
            of: HashMap::new(),
        }
    }

    /// Whether the topic depends on the alert.
    pub(super) fn vary(&self) -> bool {
        topic::varies(&self.template)
    }

    /// Of an error that a broker answered for one partition: neither one of its own, nor of a record that it refuses.
    pub(super) fn is_of_topic(&self, error: &SendError, code: ResponseError) -> bool {
        use ResponseError as E;
        let of_broker = matches!(
            code,
            E::ClusterAuthorizationFailed
                | E::SaslAuthenticationFailed
                | E::InvalidRequiredAcks
                | E::UnsupportedCompressionType
        );
        self.vary() && !of_broker && !matches!(error, SendError::Reject { .. })
    }

    /// A record got there.
    pub(super) fn over(&mut self, topic: &str) {
        self.of.remove(topic);
    }

    /// The first of each topic in trouble fails; all of its topic that had no outcome, tried or not, wait.
    pub(super) fn set_apart(
        &mut self,
        batch: &[Delivery],
        faults: Vec<Fault>,
        outcomes: &Outcomes,
    ) -> Vec<(i64, Apart)> {
        let (mut apart, mut waits) = (Vec::new(), HashMap::new());
        let now = Instant::now();
        let mut failed = Vec::new();
        for Fault { index, topic, error } in faults {
            if waits.contains_key(&topic) {
                continue;
            }
            let (SendError::Retry { reason, .. } | SendError::Blocked { reason } | SendError::Reject { reason }) =
                error;
            let fresh = Trouble {
                failures: 0,
                until: now,
            };
            let after = self.of.entry(topic.clone()).or_insert(fresh).failed(now);
            waits.insert(topic, after);
            failed.push(index);
            apart.push((batch[index].seq, Apart::Failed { after, reason }));
        }
        if waits.is_empty() {
            return apart;
        }
        for (index, delivery) in batch.iter().enumerate() {
            if failed.contains(&index) || outcomes.contains_key(&index) {
                continue;
            }
            if let Some(&after) = waits.get(&topic::of(&self.template, &delivery.alert)) {
                apart.push((delivery.seq, Apart::Waits { after }));
            }
        }
        apart
    }
}
