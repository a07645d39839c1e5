//! Kafka: a thin synchronous producer. The outbox owns retries, order and durability; here one batch is sent and its
//! acknowledgements are waited for, so that there is no queue, no linger and no thread of the client's.
//!
//! Works from Kafka 0.11 (record batches) to 4.x. At least once: a lost acknowledgement means that the same alerts, with
//! the same ids, are produced again. Where the topic depends on the alert, one that is not there, or may not be written,
//! holds up only its own.

mod batch;
mod partition;
mod sasl;
pub mod topic;
mod trouble;
mod wire;

pub use sasl::Mechanism;

use super::secret::{Held, Secret};
use super::tls::Tls;
use super::{Alerter, Apart, Delivery, SendError, Sent};
use anyhow::ensure;
use batch::{key, name, record, request};
use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use kafka_protocol::records::Record;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};
use trouble::{Fault, Troubles};
use wire::{Access, Connection};

const BATCH_MAX: usize = 256;
/// Values of one request: under the broker's default `message.max.bytes` of 1 MiB with their headers.
const REQUEST_MAX_BYTES: usize = 900_000;
/// Leaders move: asked again after this, or after an error.
const METADATA_MAX_AGE: Duration = Duration::from_secs(300);
/// Brokers close what has been idle for ten minutes, firewalls sooner.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Version 12 is transactions anew, 13 names topics by id.
const PRODUCE_VERSION_MAX: i16 = 11;
const METADATA_VERSION_MAX: i16 = 12;

#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, any of which tells of the others.
    pub brokers: Vec<String>,
    /// `{{ source }}`, `{{ host }}`, `{{ severity }}` and `{{ labels.x }}` may appear.
    pub topic: String,
    pub key: Key,
    pub acks: Acks,
    pub compression: Compression,
    pub tls: Option<Tls>,
    pub sasl: Option<Sasl>,
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Fingerprint,
    Host,
    Source,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    All,
    Leader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
}

#[derive(Debug, Clone)]
pub struct Sasl {
    pub mechanism: Mechanism,
    pub username: String,
    pub password: Secret,
}

#[derive(Debug)]
pub struct Kafka {
    settings: Settings,
    access: Access,
    password: Option<Held>,
    connections: HashMap<String, Connection>,
    metadata: Option<Metadata>,
    troubles: Troubles,
    /// Without a key: one partition per batch, the next one after it.
    turn: usize,
}

/// Who leads what.
#[derive(Debug)]
struct Metadata {
    since: Instant,
    topics: HashMap<String, Result<Leaders, SendError>>,
}

/// Of each partition, its leader's address; none while one is being elected.
type Leaders = BTreeMap<i32, Option<String>>;

/// What became of deliveries, by their place in the batch.
type Outcomes = BTreeMap<usize, Result<(), SendError>>;

impl Metadata {
    fn of(answer: &MetadataResponse, told_by: &str) -> Self {
        let brokers: HashMap<i32, String> = answer
            .brokers
            .iter()
            .map(|b| (b.node_id.0, topic::address(&b.host, b.port)))
            .collect();
        let mut topics = HashMap::new();
        for topic in &answer.topics {
            let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
            let leader = |id: i32| brokers.get(&id).cloned();
            let leaders = topic
                .partitions
                .iter()
                .map(|p| (p.partition_index, leader(p.leader_id.0)))
                .collect();
            let known = match ResponseError::try_from_code(topic.error_code) {
                Some(ResponseError::UnknownTopicOrPartition) => Err(wire::retry(
                    told_by,
                    &format!(
                        "there is no topic {name}, and it is not made by itself (auto.create.topics.enable) or not yet"
                    ),
                )),
                Some(error) => Err(judge(error, &format!("{told_by}: topic {name}"))),
                None => Ok(leaders),
            };
            topics.insert(name.to_owned(), known);
        }
        Self {
            since: Instant::now(),
            topics,
        }
    }
}

/// By the key among all partitions, as the Java producer does it; without one, any that has a leader, a batch at a time.
fn choose(leaders: &Leaders, key: Option<&[u8]>, turn: usize) -> Result<(i32, String), SendError> {
    let led = |(partition, leader): (&i32, &Option<String>)| leader.clone().map(|leader| (*partition, leader));
    let chosen = match key {
        Some(key) => leaders.iter().nth(partition::of_key(key, leaders.len())).and_then(led),
        None => leaders
            .iter()
            .cycle()
            .skip(turn % leaders.len().max(1))
            .take(leaders.len())
            .find_map(led),
    };
    chosen.ok_or_else(|| wire::retry("kafka", "the partition has no leader now"))
}

/// One alert on its way to one partition.
#[derive(Debug)]
struct Placed {
    index: usize,
    topic: String,
    partition: i32,
    leader: String,
    record: Record,
}

impl Kafka {
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        ensure!(!settings.brokers.is_empty(), "kafka needs a broker");
        let password = Held::optional(settings.sasl.as_ref().map(|sasl| &sasl.password))?;
        let tls = settings.tls.as_ref().map(Tls::client_config).transpose()?;
        let mut kafka = Self {
            access: Access {
                tls,
                login: None,
                timeout: settings.timeout,
            },
            password,
            connections: HashMap::new(),
            metadata: None,
            troubles: Troubles::new(&settings.topic),
            turn: fastrand::usize(..1 << 16),
            settings: settings.clone(),
        };
        kafka.take_login();
        Ok(kafka)
    }

    fn take_login(&mut self) {
        self.access.login = match (&self.settings.sasl, &self.password) {
            (Some(sasl), Some(password)) => Some(sasl::Login {
                mechanism: sasl.mechanism,
                username: sasl.username.clone(),
                password: password.value().to_owned(),
            }),
            (_, _) => None,
        };
    }

    /// The open connection, if it is not too old, or a new one. What is not put back is closed.
    fn connection(&mut self, address: &str) -> Result<Connection, SendError> {
        match self
            .connections
            .remove(address)
            .filter(|connection| connection.used.elapsed() < IDLE_MAX)
        {
            Some(connection) => Ok(connection),
            None => Connection::open(address, &self.access),
        }
    }

    fn put_back(&mut self, connection: Connection) {
        self.connections.insert(connection.address().to_owned(), connection);
    }

    /// Asks any broker who leads `topics`; one that does not exist is made where brokers do that.
    fn learn_leaders(&mut self, topics: &HashSet<String>) -> Result<(), SendError> {
        let fresh = self.metadata.as_ref().is_some_and(|metadata| {
            let known = |topic| matches!(metadata.topics.get(topic), Some(Ok(_)));
            metadata.since.elapsed() < METADATA_MAX_AGE && topics.iter().all(known)
        });
        if fresh {
            return Ok(());
        }
        let asked = topics
            .iter()
            .map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic))))
            .collect();
        let request = MetadataRequest::default()
            .with_topics(Some(asked))
            .with_allow_auto_topic_creation(true);
        let known: Vec<String> = self.connections.keys().cloned().collect();
        let mut last = None;
        for address in known.iter().chain(&self.settings.brokers.clone()) {
            let answer = self.connection(address).and_then(|mut connection| {
                let answer = connection.call(METADATA_VERSION_MAX, &request);
                if answer.is_ok() {
                    self.put_back(connection);
                }
                answer
            });
            match answer {
                Ok(answer) => {
                    self.metadata = Some(Metadata::of(&answer, address));
                    return Ok(());
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| wire::blocked("kafka", "no broker")))
    }

    /// Topic, partition and record of each delivery, or why it has none.
    fn place(&mut self, batch: &[(usize, &Delivery)]) -> Result<(Vec<Placed>, Vec<Fault>), SendError> {
        let topics: Vec<String> = batch
            .iter()
            .map(|(_, d)| topic::of(&self.settings.topic, &d.alert))
            .collect();
        self.learn_leaders(&topics.iter().cloned().collect())?;
        self.turn = self.turn.wrapping_add(1);
        let (mut placed, mut faults) = (Vec::new(), Vec::new());
        for (&(index, delivery), topic) in batch.iter().zip(topics) {
            let key = key(self.settings.key, &delivery.alert);
            let found = match self.metadata.as_ref().and_then(|metadata| metadata.topics.get(&topic)) {
                Some(Ok(leaders)) => choose(leaders, key.as_deref(), self.turn),
                Some(Err(error)) => Err(error.clone()),
                None => Err(wire::retry("kafka", &format!("nobody knows topic {topic} yet"))),
            };
            match found {
                Ok((partition, leader)) => {
                    let record = record(key, &delivery.alert);
                    placed.push(Placed {
                        index,
                        topic,
                        partition,
                        leader,
                        record,
                    });
                }
                Err(error) => faults.push(Fault { index, topic, error }),
            }
        }
        Ok((placed, faults))
    }

    /// Produces, one request per leader; what became of each by its index, and what only its topic is to blame for.
    fn produce(&mut self, placed: Vec<Placed>) -> (Outcomes, Vec<Fault>) {
        let mut by_leader: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
        for one in placed {
            by_leader.entry(one.leader.clone()).or_default().push(one);
        }
        let (mut outcomes, mut faults) = (Outcomes::new(), Vec::new());
        for (leader, placed) in by_leader {
            let result = self.connection(&leader).and_then(|mut connection| {
                let answer = request(&self.settings, &placed)
                    .map_err(|error| wire::retry(&leader, &format!("{error:#}")))
                    .and_then(|request| connection.call(PRODUCE_VERSION_MAX, &request));
                if answer.is_ok() {
                    self.put_back(connection);
                }
                answer
            });
            let codes: HashMap<(String, i32), i16> = match &result {
                Err(_) => HashMap::new(),
                Ok(answer) => answer
                    .responses
                    .iter()
                    .flat_map(|t| {
                        t.partition_responses
                            .iter()
                            .map(|p| ((t.name.0.to_string(), p.index), p.error_code))
                    })
                    .collect(),
            };
            for Placed {
                index,
                topic,
                partition,
                ..
            } in placed
            {
                let place = format!("{leader}: {topic}/{partition}");
                let code = codes.get(&(topic.clone(), partition)).copied();
                let outcome = match (&result, code.map(ResponseError::try_from_code)) {
                    (Err(error), _) => Err(error.clone()),
                    (Ok(_), None) => Err(wire::retry(&place, "the broker said nothing of it")),
                    (Ok(_), Some(None)) => {
                        self.troubles.over(&topic);
                        Ok(())
                    }
                    (Ok(_), Some(Some(code))) => {
                        let error = judge(code, &place);
                        if self.troubles.is_of_topic(&error, code) {
                            faults.push(Fault { index, topic, error });
                            continue;
                        }
                        Err(error)
                    }
                };
                outcomes.insert(index, outcome);
            }
        }
        if !faults.is_empty() || outcomes.values().any(Result::is_err) {
            // The leader may be another one by now.
            self.metadata = None;
        }
        (outcomes, faults)
    }

    /// As many as one request holds; what became of each.
    fn try_batch(&mut self, batch: &[Delivery]) -> Result<(Outcomes, Vec<Fault>), SendError> {
        let open: Vec<(usize, &Delivery)> = batch.iter().enumerate().collect();
        let (placed, mut faults) = match self.place(&open) {
            Err(SendError::Blocked { .. }) if self.renew() => self.place(&open)?,
            placed => placed?,
        };
        let mut bytes = 0;
        let placed: Vec<Placed> = placed
            .into_iter()
            .enumerate()
            .take_while(|(n, placed)| {
                bytes += placed.record.value.as_ref().map_or(0, Bytes::len);
                *n == 0 || bytes <= REQUEST_MAX_BYTES
            })
            .map(|(_, placed)| placed)
            .collect();
        let Some(first) = placed.first().map(|placed| placed.index) else {
            return Ok((Outcomes::new(), faults));
        };
        let several = placed.len() > 1;
        let (mut produced, unwritten) = self.produce(placed);
        faults.extend(unwritten);
        if several {
            // A batch is refused whole, and nobody says for which record: the first goes alone, and the others, of which
            // nothing is said here, come again.
            let refused = matches!(produced.get(&first), Some(Err(SendError::Reject { .. })));
            produced.retain(|_, outcome| !matches!(outcome, Err(SendError::Reject { .. })));
            if refused {
                let alone: Vec<_> = open.iter().copied().filter(|(index, _)| *index == first).collect();
                let (placed, unplaced) = self.place(&alone)?;
                faults.extend(unplaced);
                let (alone, unwritten) = self.produce(placed);
                faults.extend(unwritten);
                produced.extend(alone);
            }
        }
        Ok((produced, faults))
    }

    fn renew(&mut self) -> bool {
        let renewed = self.password.as_mut().is_some_and(Held::renew);
        if renewed {
            self.connections.clear();
            self.take_login();
        }
        renewed
    }
}

impl Alerter for Kafka {
    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn send(&mut self, batch: &[Delivery]) -> Sent {
        let (mut outcomes, faults) = match self.try_batch(batch) {
            Ok(tried) => tried,
            Err(error) => return Sent::failed(0, error),
        };
        let mut sent = Sent::all(0);
        if self.troubles.vary() {
            sent.apart = self.troubles.set_apart(batch, faults, &outcomes);
        } else {
            outcomes.extend(faults.into_iter().map(|fault| (fault.index, Err(fault.error))));
        }
        let apart: HashSet<i64> = sent.apart.iter().map(|(seq, _)| *seq).collect();
        let mut is_first_left = true;
        let left = batch.iter().enumerate().filter(|(_, d)| !apart.contains(&d.seq));
        for (index, delivery) in left {
            match outcomes.remove(&index) {
                Some(Ok(())) if sent.delivered == index => sent.delivered += 1,
                Some(Ok(())) => sent.apart.push((delivery.seq, Apart::Arrived)),
                Some(Err(error)) if is_first_left => (sent.error, is_first_left) = (Some(error), false),
                Some(Err(_)) | None => is_first_left = false,
            }
        }
        sent
    }
}

/// What a broker's error means for the delivery.
fn judge(error: ResponseError, place: &str) -> SendError {
    use ResponseError as E;
    let reason = format!("{place}: {error}");
    match error {
        E::MessageTooLarge | E::RecordListTooLarge | E::InvalidRecord => SendError::Reject { reason },
        E::TopicAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::SaslAuthenticationFailed
        | E::InvalidTopicException
        | E::InvalidRequiredAcks
        | E::UnsupportedCompressionType
        | E::UnsupportedForMessageFormat
        | E::PolicyViolation => SendError::Blocked { reason },
        _ => SendError::Retry { after: None, reason },
    }
}
