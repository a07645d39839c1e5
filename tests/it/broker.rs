//! Apache Kafka in KRaft mode: one broker that is its own controller, more that join it. Killed, held, restarted.

use crate::kafka::{build, send, settings};
use crate::program::wait_until_or;
use crate::servers::Certificates;
use crate::webhook::alert;
use exception_log_collector::alerter::SendError;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// A JVM starts, and recovers what a kill has left, on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(180);
/// The id of every cluster here.
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

/// One broker, its own controller.
pub struct Broker {
    folder: tempfile::TempDir,
    jars: PathBuf,
    pub ports: Ports,
    child: Child,
}

#[derive(Clone, Copy)]
pub struct Ports {
    pub plain: u16,
    controller: u16,
    pub sasl: u16,
    pub tls: u16,
}

impl Broker {
    pub fn start(jars: PathBuf, certificates: &Certificates) -> Self {
        Self::start_with(jars, certificates, "")
    }

    /// The same with more settings.
    pub fn start_with(jars: PathBuf, certificates: &Certificates, more: &str) -> Self {
        let broker = Self::launch(jars, certificates, more);
        broker.wait_until_it_answers();
        broker
    }

    /// The same, which may not answer yet.
    pub fn launch(jars: PathBuf, certificates: &Certificates, more: &str) -> Self {
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
        // A copy of its own: it is read again after a restart, and the test's may be gone by then.
        fs::copy(certificates.path("ca.pem"), folder.path().join("ca.pem")).expect("made");
        let Ports {
            plain,
            controller,
            sasl,
            tls,
        } = ports;
        let home = folder.path().display();
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
             ssl.truststore.type=PEM\nssl.truststore.location={home}/ca.pem\nssl.client.auth=required\n\
             log.dirs={home}/data\nnum.partitions=4\noffsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n{more}"
        );
        fs::write(folder.path().join("server.properties"), settings).expect("written");
        let format = java(&jars, &folder)
            .args([
                "kafka.tools.StorageTool",
                "format",
                "-t",
                CLUSTER,
                "-c",
                "server.properties",
            ])
            .args(["--add-scram", "SCRAM-SHA-256=[name=edge,password=edge-secret]"])
            .args(["--add-scram", "SCRAM-SHA-512=[name=edge,password=edge-secret]"])
            .output()
            .expect("java starts");
        assert!(format.status.success(), "{format:?}");
        let child = Self::run(&jars, &folder);
        Self {
            folder,
            jars,
            ports,
            child,
        }
    }

    /// A second broker of this one's cluster.
    pub fn join(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let plain = held.local_addr().expect("bound").port();
        drop(held);
        let settings = format!(
            "process.roles=broker\nnode.id=2\ncontroller.quorum.voters=1@127.0.0.1:{}\n\
             listeners=PLAINTEXT://127.0.0.1:{plain}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs={}/data\n\
             num.partitions=4\ndefault.replication.factor=2\n",
            self.ports.controller,
            folder.path().display()
        );
        fs::write(folder.path().join("server.properties"), settings).expect("written");
        let format = java(&self.jars, &folder)
            .args([
                "kafka.tools.StorageTool",
                "format",
                "-t",
                CLUSTER,
                "-c",
                "server.properties",
            ])
            .output()
            .expect("java starts");
        assert!(format.status.success(), "{format:?}");
        Self {
            child: Self::run(&self.jars, &folder),
            folder,
            jars: self.jars.clone(),
            ports: Ports { plain, ..self.ports },
        }
    }

    /// Makes a topic, where brokers do not do that by themselves.
    pub fn create(&self, topic: &str) {
        self.administer("CreateTopic", &[topic]);
    }

    /// Allows `edge` one operation on a topic, and nobody any other (with an authorizer among the settings).
    pub fn grant(&self, topic: &str, operation: &str) {
        self.administer("GrantTopic", &[topic, "edge", operation]);
    }

    fn administer(&self, program: &str, arguments: &[&str]) {
        let output = java(&self.jars, &self.folder)
            .arg(format!("{}/tests/servers/{program}.java", env!("CARGO_MANIFEST_DIR")))
            .arg(format!("127.0.0.1:{}", self.ports.plain))
            .args(arguments)
            .output()
            .expect("java starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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

    pub fn wait_until_it_answers(&self) {
        let mut alerter = build(settings(self.ports.plain, "awake"));
        let mut answer = None;
        let answers = wait_until_or(PATIENCE, || {
            let (delivered, error) = send(&mut *alerter, &[alert("awake")]);
            let knows_no_topic = matches!(&error, Some(SendError::Retry { reason, .. }) if reason.contains("no topic"));
            answer = error;
            delivered == 1 || knows_no_topic
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

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    pub fn restart(&mut self) {
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
