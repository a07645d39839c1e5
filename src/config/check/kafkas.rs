//! `alerters.*.kafka`: brokers, a topic, and how they are spoken to.

use super::list;
use super::webhooks::tls;
use crate::alerter::kafka::topic;
use crate::alerter::kafka::{Acks, Compression, Key as RecordKey, Mechanism, Sasl, Settings};
use crate::alerter::tls::Tls;
use crate::config::alerter_file as file;
use crate::config::decode::clip;
use crate::config::key::Key;
use crate::config::place::Inputs;
use crate::config::secret;
use crate::config::tree::NodeId;
use std::time::Duration;

/// Of connecting, writing, reading: longer than a broker waits for its replicas.
const TIMEOUT: Duration = Duration::from_secs(15);

pub fn kafka(key: Key<file::Kafka>, inputs: &mut Inputs) -> Option<Settings> {
    let section_at = key.at()?;
    key.get()?;
    let file = key.section();
    for (at, broker) in file.brokers.get().into_iter().flatten().filter_map(Key::placed) {
        let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port
            .and_then(|(_, port)| port.parse::<u16>().ok())
            .is_none_or(|port| port == 0)
        {
            inputs.fault(
                at,
                format!("`{}` is not host:port", clip(broker)),
                "9092 is usual, 9093 with TLS",
            );
        }
    }
    let brokers = list(&file.brokers);
    if brokers.is_empty() {
        inputs.fault(section_at, "`brokers` is missing", "add `brokers: [127.0.0.1:9092]`");
    }
    if !file.topic.is_given() {
        inputs.fault(section_at, "`topic` is missing", "add `topic: exceptions`");
    }
    if let Some((at, template)) = file.topic.placed()
        && let Err((what, hint)) = topic::check(template)
    {
        inputs.fault(at, what, hint);
    }
    let compression = match file.compression.or(file::KafkaCompression::None) {
        file::KafkaCompression::None => Compression::None,
        file::KafkaCompression::Gzip => Compression::Gzip,
        file::KafkaCompression::Snappy => Compression::Snappy,
        file::KafkaCompression::Lz4 | file::KafkaCompression::Zstd => {
            if let Some(at) = file.compression.at() {
                inputs.fault(at, "the client has no lz4 and no zstd", "use gzip or snappy, or none");
            }
            Compression::None
        }
    };
    let tls = kafka_tls(&file, inputs);
    let sasl = sasl(&file.sasl, tls.is_some(), inputs);
    Some(Settings {
        brokers,
        topic: file.topic.get()?.clone(),
        key: match file.key.or(file::KafkaKey::Fingerprint) {
            file::KafkaKey::Fingerprint => RecordKey::Fingerprint,
            file::KafkaKey::Host => RecordKey::Host,
            file::KafkaKey::Source => RecordKey::Source,
            file::KafkaKey::None => RecordKey::None,
        },
        acks: match file.acks.or(file::KafkaAcks::All) {
            file::KafkaAcks::All => Acks::All,
            file::KafkaAcks::Leader => Acks::Leader,
        },
        compression,
        tls,
        sasl,
        timeout: TIMEOUT,
    })
}

/// An empty section, which is the default, is none: the listener is then one without TLS.
fn kafka_tls(file: &file::Kafka, inputs: &mut Inputs) -> Option<Tls> {
    let section = file.tls.get()?;
    let given = section.ca_file.is_given()
        || section.cert_file.is_given()
        || section.key_file.is_given()
        || section.insecure_skip_verify.is_given();
    given.then(|| tls(&file.tls, inputs))
}

fn sasl(key: &Key<file::Sasl>, has_tls: bool, inputs: &mut Inputs) -> Option<Sasl> {
    let (at, file): (NodeId, _) = key.placed()?;
    let password = secret::either("password", &file.password, &file.password_file, inputs);
    let mut missing = |given: bool, name: &str, example: &str| {
        if !given {
            inputs.fault(at, format!("`{name}` is missing"), format!("add `{name}: {example}`"));
        }
    };
    missing(file.mechanism.is_given(), "mechanism", "SCRAM-SHA-512");
    missing(file.username.is_given(), "username", "elc");
    missing(
        file.password.is_given() || file.password_file.is_given(),
        "password_file",
        "/etc/exception-log-collector/kafka-password",
    );
    let mechanism = match file.mechanism.get()? {
        file::Mechanism::Plain => Mechanism::Plain,
        file::Mechanism::ScramSha256 => Mechanism::ScramSha256,
        file::Mechanism::ScramSha512 => Mechanism::ScramSha512,
    };
    if mechanism == Mechanism::Plain && !has_tls {
        let hint = "use SCRAM-SHA-512, or tls: {insecure_skip_verify: false} for TLS with the system's roots";
        inputs.warn(at, "the password is sent unencrypted", hint);
    }
    Some(Sasl {
        mechanism,
        username: file.username.get()?.clone(),
        password: password?,
    })
}
