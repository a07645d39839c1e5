//! Kafka against a real Apache Kafka in KRaft mode, read back by its own Java client.

use crate::broker::{Broker, Ports};
use crate::program::{Home, wait_until};
use crate::servers::{Certificates, kafka as kafka_folder, kafka_3, skipped};
use crate::webhook::{alert, settings_of};
use exception_log_collector::alert::Alert;
use exception_log_collector::alerter::kafka::{Acks, Compression, Key, Mechanism, Sasl, Settings};
use exception_log_collector::alerter::tls::Tls;
use exception_log_collector::alerter::webhook::Secret;
use exception_log_collector::alerter::{self, Alerter, Apart, Delivery, Kind, SendError};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

pub fn settings(port: u16, topic: &str) -> Settings {
    Settings {
        brokers: vec![format!("127.0.0.1:{port}")],
        topic: topic.to_owned(),
        key: Key::Fingerprint,
        acks: Acks::All,
        compression: Compression::None,
        tls: None,
        sasl: None,
        timeout: Duration::from_secs(10),
    }
}

pub fn build(settings: Settings) -> Box<dyn Alerter> {
    alerter::build(&settings_of(Kind::Kafka(Box::new(settings)))).expect("valid settings")
}

fn deliveries(alerts: &[Alert]) -> Vec<Delivery> {
    let one = |(seq, alert): (i64, &Alert)| Delivery {
        seq,
        tries: 0,
        alert: Arc::new(alert.clone()),
    };
    (1..).zip(alerts).map(one).collect()
}

/// As a courier does: until all that is left is delivered, or one fails.
fn send_rest(alerter: &mut dyn Alerter, left: &mut Vec<Delivery>) -> Option<SendError> {
    while !left.is_empty() {
        let before = left.len();
        let sent = alerter.send(&left[..before.min(alerter.batch_max())]);
        left.drain(..sent.delivered);
        for (seq, outcome) in sent.apart {
            assert_eq!(outcome, Apart::Arrived, "there is one topic here");
            left.retain(|delivery| delivery.seq != seq);
        }
        if sent.error.is_some() {
            return sent.error;
        }
        assert!(left.len() < before, "nothing sent, and no error");
    }
    None
}

pub fn send(alerter: &mut dyn Alerter, alerts: &[Alert]) -> (usize, Option<SendError>) {
    let mut left = deliveries(alerts);
    let error = send_rest(alerter, &mut left);
    (alerts.len() - left.len(), error)
}

/// A new topic is there only after a moment: the courier tries again, and so does this.
fn send_all(alerter: &mut dyn Alerter, alerts: &[Alert]) {
    let mut left = deliveries(alerts);
    wait_until("all are delivered", || {
        let error = send_rest(alerter, &mut left);
        assert!(matches!(error, None | Some(SendError::Retry { .. })), "{error:?}");
        left.is_empty()
    });
}

fn by_key(records: impl Iterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    records.for_each(|(key, id)| by_key.entry(key).or_default().push(id));
    by_key
}

fn numbered(count: usize) -> Vec<Alert> {
    let one = |n: usize| Alert {
        fingerprint: format!("fingerprint-{}", n % 37),
        ..alert(&format!("id-{n}"))
    };
    (0..count).map(one).collect()
}

#[test]
fn a_real_kafka_gets_every_alert_once_over_every_way_in() {
    let Some(jars) = kafka_folder() else {
        return skipped("no Apache Kafka, or no Java");
    };
    let certificates = Certificates::new();
    let mut broker = Broker::start(jars, &certificates);
    let Ports { plain, sasl, tls, .. } = broker.ports;

    // 1. Every compression; keys and partitions are those of Java.
    for (topic, compression) in [
        ("plain", Compression::None),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
    ] {
        let alerts = numbered(1000);
        send_all(
            &mut *build(Settings {
                compression,
                ..settings(plain, topic)
            }),
            &alerts,
        );
        let consumed = broker.consumed(topic);
        let id = |value: &str| serde_json::from_str::<Alert>(value).expect("an alert").id;
        let sent = alerts.iter().map(|a| (a.fingerprint.clone(), a.id.clone()));
        let read = consumed.iter().map(|(key, value)| (key.clone(), id(value)));
        assert_eq!(by_key(sent), by_key(read), "{topic}: in order by key");
        let json = serde_json::to_string(&alerts[0]).expect("JSON");
        assert!(
            consumed.iter().any(|(_, value)| *value == json),
            "{topic}: the JSON of the contract"
        );
    }

    // 2. A record that the broker does not take is dead, and holds nothing back.
    let mut alerts = numbered(10);
    alerts[4].text = Some("x".repeat(2 << 20));
    let mut alerter = build(settings(plain, "large"));
    send_all(&mut *alerter, &alerts[..1]);
    let mut left = deliveries(&alerts[1..]);
    let error = send_rest(&mut *alerter, &mut left);
    assert!(matches!(error, Some(SendError::Reject { .. })), "{error:?}");
    assert_eq!(left.remove(0).alert.id, alerts[4].id, "it is that one which is refused");
    assert_eq!(send_rest(&mut *alerter, &mut left), None);
    assert_eq!(broker.consumed("large").len(), 9);

    // 3. Logged in by each mechanism; a wrong password waits for somebody.
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        let login = |password: &str| {
            let password = Secret::Value(password.into());
            Settings {
                sasl: Some(Sasl {
                    mechanism,
                    username: "edge".to_owned(),
                    password,
                }),
                ..settings(sasl, "sasl")
            }
        };
        send_all(&mut *build(login("edge-secret")), &numbered(5));
        let (_, error) = send(&mut *build(login("wrong")), &numbered(1));
        assert!(
            matches!(&error, Some(SendError::Blocked { reason }) if !reason.contains("wrong")),
            "{error:?}"
        );
    }

    // 4. TLS with a client certificate; without one, or with a stranger's authority, it waits for somebody.
    let ours = Tls {
        ca_file: Some(certificates.path("ca.pem")),
        cert_file: Some(certificates.path("client.pem")),
        key_file: Some(certificates.path("client.key")),
        insecure_skip_verify: false,
    };
    let over = |tls_settings: Tls| Settings {
        tls: Some(tls_settings),
        ..settings(tls, "tls")
    };
    // Over 16 KiB: more than one TLS record.
    send_all(&mut *build(over(ours.clone())), &numbered(500));
    assert_eq!(broker.consumed("tls").len(), 500);
    for wrong in [
        Tls {
            cert_file: None,
            key_file: None,
            ..ours.clone()
        },
        Tls { ca_file: None, ..ours },
    ] {
        let (_, error) = send(&mut *build(over(wrong)), &numbered(1));
        assert!(matches!(error, Some(SendError::Blocked { .. })), "{error:?}");
    }

    // 5. A broker that dies and comes back: the same alerter goes on.
    let mut alerter = build(settings(plain, "restart"));
    send_all(&mut *alerter, &numbered(3));
    broker.kill();
    let (_, error) = send(&mut *alerter, &numbered(3));
    assert!(matches!(error, Some(SendError::Retry { .. })), "{error:?}");
    broker.restart();
    send_all(&mut *alerter, &numbered(3));
    assert_eq!(broker.consumed("restart").len(), 6);
}

/// Many still run it; what differs from 4 is how old requests may be.
#[test]
fn a_kafka_of_before_4_takes_the_same() {
    let Some(jars) = kafka_3() else {
        return skipped("no Apache Kafka 3.9, or no Java");
    };
    let broker = Broker::start(jars, &Certificates::new());
    let gzipped = Settings {
        compression: Compression::Gzip,
        ..settings(broker.ports.plain, "old")
    };
    send_all(&mut *build(gzipped), &numbered(100));
    assert_eq!(broker.consumed("old").len(), 100);
}

/// So many alerts were produced; one of which the acknowledgement was lost comes again, under its id.
fn expect_ids(broker: &Broker, topic: &str, count: usize) {
    let consumed = broker.consumed(topic);
    let id = |value: &str| serde_json::from_str::<Alert>(value).expect("an alert").id;
    let ids: BTreeSet<String> = consumed.iter().map(|(_, value)| id(value)).collect();
    assert_eq!(ids.len(), count, "{topic}: {consumed:?}");
}

#[test]
fn a_topic_that_is_not_there_holds_up_only_its_own_and_is_delivered_once_it_is() {
    let Some(jars) = kafka_folder() else {
        return skipped("no Apache Kafka, or no Java");
    };
    let broker = Broker::start_with(jars, &Certificates::new(), "auto.create.topics.enable=false\n");
    broker.create("log-app");
    let home = Home::new();
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/app.log'], read_from: beginning}}\n  \
         - {{name: db, paths: ['{{home}}/logs/db.log'], read_from: beginning}}\n\
         alerters:\n  - {{name: bus, send: each, kafka: {{brokers: ['127.0.0.1:{}'], topic: 'log-{{{{ source }}}}'}}}}\n",
        broker.port()
    ));
    let errors =
        |what: &str, count: usize| -> String { (0..count).map(|n| format!("ERROR {what} {n} refused\n")).collect() };
    fs::write(home.path("logs/db.log"), errors("query", 300)).expect("the log takes lines");
    let mut program = home.start(&["run"]);
    let alerter = || -> serde_json::Value {
        let status: serde_json::Value =
            serde_json::from_slice(&home.output(&["status", "--json"]).stdout).unwrap_or_default();
        status["alerters"][0].clone()
    };
    program.wait_until("the missing topic is noticed", || {
        alerter()["failed"].as_u64() >= Some(1)
    });
    fs::write(home.path("logs/app.log"), errors("order", 50)).expect("the log takes lines");
    program.wait_until("the other topic gets its own", || alerter()["delivered"] == 50);
    assert!(
        program.stderr().contains("there is no topic log-db"),
        "{}",
        program.stderr()
    );
    assert!(
        alerter()["failed"].as_u64() < Some(20),
        "one of a topic is tried, not each: {}",
        alerter()
    );
    broker.create("log-db");
    program.wait_until("all are delivered", || alerter()["delivered"] == 350);
    assert!(program.stop().success());
    for (topic, count) in [("log-app", 50), ("log-db", 300)] {
        expect_ids(&broker, topic, count);
    }
}

#[test]
fn a_topic_that_may_not_be_written_holds_up_only_its_own() {
    let Some(jars) = kafka_folder() else {
        return skipped("no Apache Kafka, or no Java");
    };
    let access = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
                  super.users=User:ANONYMOUS\nallow.everyone.if.no.acl.found=true\n";
    let broker = Broker::start_with(jars, &Certificates::new(), access);
    // A test alert has no source.
    for topic in ["log-db", "log-unknown"] {
        broker.create(topic);
        broker.grant(topic, "DESCRIBE");
    }
    let home = Home::new();
    home.write_secret("password", "edge-secret");
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/app.log'], read_from: beginning}}\n  \
         - {{name: db, paths: ['{{home}}/logs/db.log'], read_from: beginning}}\n\
         alerters:\n  - {{name: bus, send: each, kafka: {{brokers: ['127.0.0.1:{}'], topic: 'log-{{{{ source }}}}', \
         sasl: {{mechanism: PLAIN, username: edge, password_file: '{{home}}/password'}}}}}}\n",
        broker.ports.sasl
    ));
    let tried = home.output(&["check", "--send"]).stdout;
    let tried = String::from_utf8_lossy(&tried);
    assert!(
        tried.contains("log-unknown") && tried.contains("TopicAuthorizationFailed"),
        "{tried}"
    );
    let errors =
        |what: &str, count: usize| -> String { (0..count).map(|n| format!("ERROR {what} {n} refused\n")).collect() };
    fs::write(home.path("logs/db.log"), errors("query", 2000)).expect("the log takes lines");
    let mut program = home.start(&["run"]);
    let alerter = || -> serde_json::Value {
        let status: serde_json::Value =
            serde_json::from_slice(&home.output(&["status", "--json"]).stdout).unwrap_or_default();
        status["alerters"][0].clone()
    };
    program.wait_until("the refusal is noticed", || alerter()["failed"].as_u64() >= Some(1));
    fs::write(home.path("logs/app.log"), errors("order", 50)).expect("the log takes lines");
    program.wait_until("the other topic gets its own", || alerter()["delivered"] == 50);
    assert!(
        program.stderr().contains("TopicAuthorizationFailed"),
        "{}",
        program.stderr()
    );
    assert_eq!(alerter()["blocked"], serde_json::Value::Null, "{}", alerter());
    broker.grant("log-db", "WRITE");
    program.wait_until("all are delivered", || alerter()["delivered"] == 2050);
    assert!(program.stop().success());
    for (topic, count) in [("log-app", 50), ("log-db", 2000)] {
        expect_ids(&broker, topic, count);
    }
}

#[test]
fn when_a_leader_dies_another_gets_everything() {
    let Some(jars) = kafka_folder() else {
        return skipped("no Apache Kafka, or no Java");
    };
    let replicated = "default.replication.factor=2\nbroker.session.timeout.ms=3000\n";
    let first = Broker::launch(jars, &Certificates::new(), replicated);
    let mut second = first.join();
    second.wait_until_it_answers();
    let both = Settings {
        brokers: vec![
            format!("127.0.0.1:{}", second.ports.plain),
            format!("127.0.0.1:{}", first.ports.plain),
        ],
        ..settings(0, "moves")
    };
    let mut alerter = build(both);
    let alerts = numbered(400);
    send_all(&mut *alerter, &alerts[..200]);
    second.kill();
    let (mut left, mut failures) = (deliveries(&alerts[200..]), 0);
    wait_until("the others are delivered", || {
        let error = send_rest(&mut *alerter, &mut left);
        assert!(matches!(error, None | Some(SendError::Retry { .. })), "{error:?}");
        failures += usize::from(error.is_some());
        left.is_empty()
    });
    assert!(failures > 0, "half of the partitions had to move");
    let id = |value: &str| serde_json::from_str::<Alert>(value).expect("an alert").id;
    let consumed: std::collections::BTreeSet<String> =
        first.consumed("moves").iter().map(|(_, value)| id(value)).collect();
    assert_eq!(consumed.len(), alerts.len());
}
