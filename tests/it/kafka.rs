//! Kafka against a real Apache Kafka in KRaft mode, read back by its own Java client.

use crate::program::{DEADLINE, wait_until, wait_until_or};
use crate::servers::{Certificates, kafka as kafka_folder, kafka_3, skipped};
use crate::webhook::{alert, settings_of};
use exception_log_collector::alert::Alert;
use exception_log_collector::alerter::kafka::{Acks, Compression, Key, Mechanism, Sasl, Settings};
use exception_log_collector::alerter::tls::Tls;
use exception_log_collector::alerter::webhook::Secret;
use exception_log_collector::alerter::{self, Alerter, Delivery, Kind, SendError};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

/// One broker, its own controller.
pub struct Broker {
    folder: tempfile::TempDir,
    jars: PathBuf,
    ports: Ports,
    child: Child,
}

#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    controller: u16,
    sasl: u16,
    tls: u16,
}

impl Broker {
    pub fn start(jars: PathBuf, certificates: &Certificates) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Held together, so that they differ.
        let held: Vec<TcpListener> = (0..4)
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
            .collect();
        let port = |n: usize| held[n].local_addr().expect("bound").port();
        let ports = Ports {
            plain: port(0),
            controller: port(1),
            sasl: port(2),
            tls: port(3),
        };
        drop(held);
        let keystore =
            ["server.key", "server.pem"].map(|name| fs::read_to_string(certificates.path(name)).expect("made"));
        fs::write(folder.path().join("keystore.pem"), keystore.concat()).expect("written");
        let Ports {
            plain,
            controller,
            sasl,
            tls,
        } = ports;
        let home = folder.path().display();
        let authority = certificates.path("ca.pem");
        let settings = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{tls}\n\
             controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL\n\
             sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_edge=\"edge-secret\";\n\
             listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             ssl.keystore.type=PEM\nssl.keystore.location={home}/keystore.pem\n\
             ssl.truststore.type=PEM\nssl.truststore.location={}\nssl.client.auth=required\n\
             log.dirs={home}/data\nnum.partitions=4\noffsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n",
            authority.display()
        );
        fs::write(folder.path().join("server.properties"), settings).expect("written");
        let format = java(&jars, &folder)
            .args([
                "kafka.tools.StorageTool",
                "format",
                "-t",
                "4L6g3nShT-eMCtK--X86sw",
                "-c",
                "server.properties",
            ])
            .args(["--add-scram", "SCRAM-SHA-256=[name=edge,password=edge-secret]"])
            .args(["--add-scram", "SCRAM-SHA-512=[name=edge,password=edge-secret]"])
            .output()
            .expect("java starts");
        assert!(format.status.success(), "{format:?}");
        let child = Self::run(&jars, &folder);
        let broker = Self {
            folder,
            jars,
            ports,
            child,
        };
        broker.wait_until_it_answers();
        broker
    }

    fn run(jars: &Path, folder: &tempfile::TempDir) -> Child {
        let log = fs::File::create(folder.path().join("broker.log")).expect("a new file");
        java(jars, folder)
            .args(["kafka.Kafka", "server.properties"])
            .stderr(log.try_clone().expect("a second handle"))
            .stdout(log)
            .spawn()
            .expect("java starts")
    }

    fn wait_until_it_answers(&self) {
        let mut alerter = build(settings(self.ports.plain, "awake"));
        let mut answer = None;
        let answers = wait_until_or(DEADLINE, || {
            let (delivered, error) = send(&mut *alerter, &[alert("awake")]);
            answer = error;
            delivered == 1
        });
        let log = fs::read_to_string(self.folder.path().join("broker.log")).unwrap_or_default();
        let said = &log[log.len().saturating_sub(3000)..];
        assert!(answers, "the broker does not answer: {answer:?}; it said:\n{said}");
    }

    /// It holds its connections, and answers nothing.
    pub fn hold(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("our own child");
    }

    /// Of the listener without protection.
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    fn restart(&mut self) {
        self.child = Self::run(&self.jars, &self.folder);
        self.wait_until_it_answers();
    }

    /// Key and value of every record of a topic, by the Java client; each in the partition that Java would choose.
    pub fn consumed(&self, topic: &str) -> Vec<(String, String)> {
        let output = java(&self.jars, &self.folder)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/ConsumeAll.java"))
            .arg(format!("127.0.0.1:{}", self.ports.plain))
            .arg(topic)
            .output()
            .expect("java starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let record = |line: &str| {
            let parts: Vec<&str> = line.splitn(5, '\t').collect();
            assert!(
                parts[2] == "-1" || parts[1] == parts[2],
                "partition {} instead of {}",
                parts[1],
                parts[2]
            );
            (parts[3].to_owned(), parts[4].to_owned())
        };
        text.lines().map(record).collect()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn java(jars: &Path, folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{}/*", jars.display()));
    command.current_dir(folder.path());
    command
}

fn settings(port: u16, topic: &str) -> Settings {
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

fn build(settings: Settings) -> Box<dyn Alerter> {
    alerter::build(&settings_of(Kind::Kafka(Box::new(settings)))).expect("valid settings")
}

/// As a courier does: until all are delivered, or one fails. `done` of them were delivered before.
fn send_from(alerter: &mut dyn Alerter, alerts: &[Alert], done: &mut usize) -> Option<SendError> {
    let deliveries: Vec<Delivery> = (1..)
        .zip(alerts)
        .map(|(seq, alert)| Delivery {
            seq,
            tries: 0,
            alert: Arc::new(alert.clone()),
        })
        .collect();
    while *done < deliveries.len() {
        let rest = &deliveries[*done..];
        let sent = alerter.send(&rest[..rest.len().min(alerter.batch_max())]);
        *done += sent.delivered;
        if sent.error.is_some() {
            return sent.error;
        }
        assert!(sent.delivered > 0, "nothing sent, and no error");
    }
    None
}

fn send(alerter: &mut dyn Alerter, alerts: &[Alert]) -> (usize, Option<SendError>) {
    let mut done = 0;
    let error = send_from(alerter, alerts, &mut done);
    (done, error)
}

/// A new topic is there only after a moment: the courier tries again, and so does this.
fn send_all(alerter: &mut dyn Alerter, alerts: &[Alert]) {
    let mut done = 0;
    wait_until("all are delivered", || {
        let error = send_from(alerter, alerts, &mut done);
        assert!(matches!(error, None | Some(SendError::Retry { .. })), "{error:?}");
        done == alerts.len()
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
    let (delivered, error) = send(&mut *alerter, &alerts[1..]);
    assert!(
        delivered == 3 && matches!(error, Some(SendError::Reject { .. })),
        "{delivered} {error:?}"
    );
    send_all(&mut *alerter, &alerts[5..]);
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
