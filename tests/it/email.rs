//! E-mail through an SMTP server that somebody else wrote (aiosmtpd), read back by Python's own e-mail parser.

use crate::servers::{Certificates, skipped, venv_python};
use crate::webhook::{alert, settings_of};
use exception_log_collector::alert::{Alert, Status};
use exception_log_collector::alerter::email::{Settings, TlsMode};
use exception_log_collector::alerter::tls::Tls;
use exception_log_collector::alerter::webhook::Secret;
use exception_log_collector::alerter::{self, Alerter, Delivery, Kind, SendError};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    /// None: this machine lacks aiosmtpd.
    fn start(mode: &str, certificates: &Certificates, more: &[&str]) -> Option<Self> {
        let mut child = Command::new(venv_python()?)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/smtp.py"))
            .arg(mode)
            .args([certificates.path("server.pem"), certificates.path("server.key")])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut port = String::new();
        output.read_line(&mut port).expect("a port");
        let port = port.trim().parse().expect("a port");
        Some(Self { child, output, port })
    }

    /// The next message, as the server read it.
    fn message(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a message");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn settings(port: u16, mode: TlsMode, certificates: &Certificates) -> Settings {
    Settings {
        smtp: format!("localhost:{port}"),
        mode,
        tls: Tls {
            ca_file: Some(certificates.path("ca.pem")),
            ..Tls::default()
        },
        login: Some(("edge".to_owned(), Secret::Value("edge-secret".into()))),
        from: "Edge agent <elc@example.org>".to_owned(),
        to: vec!["ops@example.org".to_owned(), "night@example.org".to_owned()],
        timeout: Duration::from_secs(10),
    }
}

fn build(settings: Settings) -> Box<dyn Alerter> {
    alerter::build(&settings_of(Kind::Email(Box::new(settings)))).expect("valid settings")
}

fn send(alerter: &mut dyn Alerter, alert: Alert) -> Option<SendError> {
    alerter
        .send(&[Delivery {
            seq: 1,
            tries: 0,
            alert: Arc::new(alert),
        }])
        .error
}

#[test]
fn a_mail_arrives_as_it_was_meant_over_every_kind_of_connection() {
    let certificates = Certificates::new();
    for (name, mode, more) in [
        ("none", TlsMode::None, &[][..]),
        ("starttls", TlsMode::Starttls, &[]),
        ("implicit", TlsMode::Implicit, &[]),
        ("starttls", TlsMode::Starttls, &["only LOGIN"]),
    ] {
        let Some(mut server) = Server::start(name, &certificates, more) else {
            return skipped("no aiosmtpd");
        };
        let mut alerter = build(settings(server.port, mode, &certificates));
        let text = "ERROR 支付失败\n.\n..leading dots\nTraceback\u{1b}[31m red\n".repeat(200);
        let firing = Alert {
            title: "支付失败：连接池已耗尽，请检查数据库连接配置以及下游服务的健康状态".to_owned(),
            text: Some(text.clone()),
            ..alert("firing")
        };
        let sequel = Alert {
            firing_id: Some("firing".to_owned()),
            status: Status::Repeated,
            count: 7,
            id: "sequel".to_owned(),
            ..firing.clone()
        };
        let batch: Vec<Delivery> = [firing, sequel]
            .into_iter()
            .map(|alert| Delivery {
                seq: 1,
                tries: 0,
                alert: Arc::new(alert),
            })
            .collect();
        let sent = alerter.send(&batch);
        assert_eq!((sent.delivered, sent.error), (2, None), "{name}");
        let (first, second) = (server.message(), server.message());
        assert_eq!(first["from"], "elc@example.org");
        assert_eq!(first["to"], serde_json::json!(["ops@example.org", "night@example.org"]));
        assert_eq!(
            (&first["user"], &first["tls"]),
            (&"edge".into(), &(name != "none").into())
        );
        assert_eq!(first["defects"], serde_json::json!([]));
        assert_eq!(
            first["headers"]["subject"],
            "[ERROR] 支付失败：连接池已耗尽，请检查数据库连接配置以及下游服务的健康状态"
        );
        let shown = first["text"].as_str().expect("text").replace("\r\n", "\n");
        let expected: String = text
            .lines()
            .map(|line| format!("> {}\n", line.replace("\u{1b}[31m", "")))
            .collect();
        assert!(shown.ends_with(&expected), "{shown}");
        assert!(first["html"].as_str().expect("html").contains("支付失败"));
        assert_eq!(second["headers"]["references"], first["headers"]["message-id"]);
        assert_eq!(second["headers"]["in-reply-to"], first["headers"]["message-id"]);
        assert_eq!(first["peer"], second["peer"], "one connection for a burst");
    }
}

#[test]
fn what_a_server_refuses_is_told_apart() {
    let certificates = Certificates::new();
    let Some(mut server) = Server::start("starttls", &certificates, &[]) else {
        return skipped("no aiosmtpd");
    };
    let right = || settings(server.port, TlsMode::Starttls, &certificates);
    let class = |settings: Settings| match send(&mut *build(settings), alert("x")) {
        None => "delivered".to_owned(),
        Some(SendError::Retry { .. }) => "retry".to_owned(),
        Some(SendError::Reject { .. }) => "dead".to_owned(),
        Some(SendError::Blocked { reason }) => {
            assert!(!reason.contains("wrong"), "no password in {reason}");
            "blocked".to_owned()
        }
    };
    let to = |address: &str| vec![address.to_owned()];
    assert_eq!(
        class(Settings {
            to: to("refused@example.org"),
            ..right()
        }),
        "dead"
    );
    assert_eq!(
        class(Settings {
            to: to("later@example.org"),
            ..right()
        }),
        "retry"
    );
    assert_eq!(
        class(Settings {
            from: "slow@example.org".to_owned(),
            ..right()
        }),
        "retry"
    );
    let wrong = Some(("edge".to_owned(), Secret::Value("wrong".into())));
    assert_eq!(
        class(Settings {
            login: wrong,
            ..right()
        }),
        "blocked"
    );
    // A certificate that nobody we trust has signed.
    assert_eq!(
        class(Settings {
            tls: Tls::default(),
            ..right()
        }),
        "blocked"
    );
    assert_eq!(
        class(Settings {
            tls: Tls {
                insecure_skip_verify: true,
                ..Tls::default()
            },
            ..right()
        }),
        "delivered"
    );
    assert_eq!(
        class(Settings {
            mode: TlsMode::None,
            login: None,
            ..right()
        }),
        "blocked"
    );
    // One of two is refused: the other has its mail, and the delivery is done.
    let both = vec!["refused@example.org".to_owned(), "ops@example.org".to_owned()];
    assert_eq!(class(Settings { to: both, ..right() }), "delivered");
    assert_eq!(
        server.message()["to"],
        serde_json::json!(["ops@example.org", "night@example.org"])
    );
    assert_eq!(server.message()["to"], serde_json::json!(["ops@example.org"]));
}

#[test]
fn a_server_that_goes_away_is_tried_again() {
    let certificates = Certificates::new();
    let Some(mut server) = Server::start("none", &certificates, &[]) else {
        return skipped("no aiosmtpd");
    };
    let mut alerter = build(settings(server.port, TlsMode::None, &certificates));
    assert_eq!(send(&mut *alerter, alert("a")), None);
    assert_eq!(
        server.message()["headers"]["message-id"],
        "<a@h1.exception-log-collector>"
    );
    drop(server);
    assert!(
        matches!(send(&mut *alerter, alert("b")), Some(SendError::Retry { .. })),
        "refused while it is down"
    );
}
