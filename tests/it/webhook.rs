//! The webhook against receivers that are down, busy, wrong, or slow.

use crate::receiver::{Receiver, Reply, answer};
use crate::servers::Certificates;
use crossbeam_channel::Receiver as Bell;
use exception_log_collector::alert::render::Wording;
use exception_log_collector::alert::{Alert, Context, Host, Kind as AlertKind, Reason, Status};
use exception_log_collector::alerter::courier::{self, Clock, Courier, Mode, Order, Outbox, Wake};
use exception_log_collector::alerter::webhook::{Mention, Preset, Secret, Settings as Webhook};
use exception_log_collector::alerter::{self, Alerter, Delivery, Kind, SendError, Settings};
use exception_log_collector::keeper::{Inbox, Outcome};
use exception_log_collector::record::Level;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub fn alert(id: &str) -> Alert {
    let at = "2026-11-23T06:00:01Z".parse().expect("a time");
    Alert {
        schema: 1,
        id: id.to_owned(),
        firing_id: None,
        status: Status::Firing,
        reason: Reason::New,
        severity: Level::Error,
        fingerprint: "5f2c9a7e11d04b3c".to_owned(),
        fingerprint_version: 1,
        title: "pool exhausted".to_owned(),
        message: Some("pool exhausted".to_owned()),
        text: Some("ERROR pool exhausted".to_owned()),
        template: None,
        level: Some(Level::Error),
        kind: AlertKind::Record,
        language: None,
        timestamp: Some(at),
        observed_at: at,
        clock_suspect: false,
        late: false,
        truncated: false,
        source: None,
        detectors: Vec::new(),
        fields: serde_json::Map::new(),
        context: Context::default(),
        count: 1,
        total: None,
        period_ms: None,
        first_seen: at,
        last_seen: at,
        host: Host {
            id: "h1".to_owned(),
            name: "gw-17".to_owned(),
        },
        labels: BTreeMap::new(),
        groups: Vec::new(),
    }
}

pub fn delivery(seq: i64) -> Delivery {
    Delivery {
        seq,
        tries: 0,
        alert: Arc::new(alert(&format!("id-{seq}"))),
    }
}

pub fn to(urls: &[String]) -> Webhook {
    Webhook {
        urls: urls.iter().map(|url| Secret::Value(url.as_str().into())).collect(),
        preset: Preset::Generic,
        mention: Mention::default(),
        title_prefix: String::new(),
        headers: Vec::new(),
        bearer_token: None,
        basic_auth: None,
        hmac_secret: None,
        template: None,
        timeout: Duration::from_secs(2),
        tls: alerter::tls::Tls::default(),
    }
}

fn settings(webhook: Webhook) -> Settings {
    settings_of(Kind::Webhook(Box::new(webhook)))
}

pub fn settings_of(kind: Kind) -> Settings {
    Settings {
        name: "ops".into(),
        min_severity: Level::Warn,
        send: alerter::Send::Each,
        send_resolved: true,
        limits: exception_log_collector::alerter::Limits::default(),
        catch_up: exception_log_collector::alerter::CatchUp::All,
        filter: alerter::Filter::default(),
        outbox_max_bytes: 1 << 20,
        when_full: alerter::WhenFull::Compact,
        wording: Wording::default(),
        kind,
    }
}

fn build(webhook: Webhook) -> Box<dyn Alerter> {
    alerter::build(&settings(webhook)).expect("a valid webhook")
}

fn send(alerter: &mut dyn Alerter, seq: i64) -> Option<SendError> {
    alerter.send(&[delivery(seq)]).error
}

/// A clock on which a minute passes in a second.
struct Hurry(Instant);

impl Clock for Hurry {
    fn now(&self) -> Duration {
        self.0.elapsed() * 60
    }

    fn wait(&mut self, bell: &Bell<()>, _orders: &Bell<Order>, until: Option<Duration>) -> Wake {
        let wait = until.map_or(Duration::from_secs(3600), |until| until.saturating_sub(self.now()) / 60);
        match bell.recv_timeout(wait) {
            Ok(()) => Wake::Rung,
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => Wake::Due,
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Wake::Closed,
        }
    }

    fn chance(&mut self) -> f64 {
        0.5
    }
}

#[derive(Clone)]
struct Queue(Arc<Mutex<BTreeMap<i64, Delivery>>>);

impl Outbox for Queue {
    fn next(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>> {
        Ok(self
            .0
            .lock()
            .expect("a whole map")
            .range(after_seq + 1..)
            .take(limit)
            .map(|(_, d)| d.clone())
            .collect())
    }

    fn parked(&mut self, _after_seq: i64, _limit: usize) -> anyhow::Result<Vec<Delivery>> {
        Ok(Vec::new())
    }
}

#[test]
fn a_receiver_that_is_down_then_busy_then_well_gets_everything_and_nothing_twice_but_with_the_same_key() {
    const ALERTS: i64 = 50;
    // A port that nobody listens on: the receiver is down at first.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port");
    let queue = Queue(Arc::new(Mutex::new(
        (1..=ALERTS).map(|seq| (seq, delivery(seq))).collect(),
    )));
    let (ring, ear) = courier::bell();
    let (keeper, inbox) = crossbeam_channel::bounded(64);
    let settings = settings(to(&[format!("http://{address}/hook")]));
    let alerter = alerter::build(&settings).expect("a valid webhook");
    let outbox = Box::new(queue.clone());
    let deadline = Duration::from_secs(10);
    let courier = Courier {
        settings,
        alerter,
        outbox,
        ear,
        orders: crossbeam_channel::never(),
        keeper,
        mode: Mode::Service,
        deadline,
    };
    let thread = std::thread::spawn(move || courier.run_by(&mut Hurry(Instant::now())));

    let mut receiver = None;
    let mut failures = 0;
    while !queue.0.lock().expect("a whole map").is_empty() {
        let message = inbox
            .recv_timeout(Duration::from_secs(30))
            .expect("the courier goes on");
        let Inbox::Marks { marks, .. } = message else {
            panic!("{message:?}")
        };
        for mark in marks {
            match mark.outcome {
                Outcome::Delivered => assert!(queue.0.lock().expect("a whole map").remove(&mark.seq).is_some()),
                Outcome::Failed { .. } => failures += 1,
                Outcome::Blocked { .. } | Outcome::Dead { .. } => panic!("{mark:?}"),
            }
        }
        if failures >= 2 && receiver.is_none() {
            let mut busy = 3;
            receiver = Some(Receiver::start_on(address, move |_| {
                busy -= i32::from(busy >= 0);
                answer(if busy >= 0 { 503 } else { 200 })
            }));
        }
    }
    drop(ring);
    thread.join().expect("the courier ends");

    let requests = receiver.expect("it was started").requests();
    let mut ids: Vec<String> = Vec::new();
    for request in &requests {
        let id = request.json()["id"].as_str().expect("an id").to_owned();
        assert_eq!(request.header("Idempotency-Key"), Some(id.as_str()));
        ids.push(id);
    }
    // The three that were answered by 503 came again; nothing else came twice.
    assert_eq!(ids.len() as i64, ALERTS + 3, "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len() as i64, ALERTS);
}

#[test]
fn the_request_is_what_the_contract_says() {
    let receiver = Receiver::start(|_| answer(204));
    let webhook = Webhook {
        headers: vec![("X-Site".to_owned(), "plant-7".to_owned())],
        bearer_token: Some(Secret::Value("token".into())),
        hmac_secret: Some(Secret::Value("key".into())),
        ..to(&[receiver.url("/alerts?site=7")])
    };
    let mut alerter = build(webhook);
    assert_eq!(send(&mut *alerter, 1), None);
    assert_eq!(send(&mut *alerter, 2), None);
    let requests = receiver.requests();
    let first = &requests[0];
    assert_eq!(first.line, "POST /alerts?site=7 HTTP/1.1");
    assert_eq!(first.header("Content-Type"), Some("application/json"));
    assert_eq!(first.header("X-Site"), Some("plant-7"));
    assert_eq!(first.header("Authorization"), Some("Bearer token"));
    let signature = first.header("X-Signature-256").expect("a signature").to_owned();
    assert_eq!(signature, openssl_hmac(b"key", &first.body));
    assert_eq!(first.json()["title"], "pool exhausted");
    assert_eq!(requests[1].connection, first.connection, "the connection is kept");
}

/// The signature as somebody else's program makes it.
fn openssl_hmac(key: &[u8], body: &[u8]) -> String {
    let script =
        "import hmac,sys;print('sha256='+hmac.new(sys.argv[1].encode(),sys.stdin.buffer.read(),'sha256').hexdigest())";
    let mut child = std::process::Command::new("python3")
        .args(["-c", script, std::str::from_utf8(key).expect("text")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), body).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("hex").trim().to_owned()
}

#[test]
fn a_password_that_was_changed_in_its_file_needs_no_restart() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "old\n").expect("written");
    let receiver = Receiver::start(|request| {
        // "edge:new" and "edge:old" in base64.
        answer(if request.header("Authorization") == Some("Basic ZWRnZTpuZXc=") {
            200
        } else {
            401
        })
    });
    let basic_auth = Some(("edge".to_owned(), Secret::File(file.path().to_owned())));
    let mut alerter = build(Webhook {
        basic_auth,
        ..to(&[receiver.url("/")])
    });
    assert!(matches!(send(&mut *alerter, 1), Some(SendError::Blocked { .. })));
    std::fs::write(file.path(), "new\n").expect("written");
    assert_eq!(send(&mut *alerter, 1), None);
}

#[test]
fn of_several_urls_the_first_that_takes_it_is_kept() {
    let (busy, well) = (Receiver::start(|_| answer(503)), Receiver::start(|_| answer(200)));
    let mut alerter = build(to(&[busy.url("/a"), well.url("/b")]));
    assert_eq!((send(&mut *alerter, 1), send(&mut *alerter, 2)), (None, None));
    assert_eq!((busy.requests().len(), well.requests().len()), (1, 2));
}

#[test]
fn redirects_are_not_followed_and_block() {
    let elsewhere = Receiver::start(|_| answer(200));
    let location: &'static str = Box::leak(format!("Location: {}\r\n", elsewhere.url("/")).into_boxed_str());
    for status in [301, 302, 303, 307, 308] {
        let receiver = Receiver::start(move |_| Reply::Answer(status, location, String::new()));
        let error = send(&mut *build(to(&[receiver.url("/SECRET")])), 1);
        assert!(
            matches!(&error, Some(SendError::Blocked { reason }) if !reason.contains("SECRET")),
            "{error:?}"
        );
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn faults_of_the_receiver_are_tried_again_and_tell_no_secret() {
    for reply in [
        Reply::Hang,
        Reply::Raw(""),
        Reply::Raw("HTTP/1.1 200"),
        Reply::Raw("\u{1}garbage\r\n\r\n"),
        Reply::Answer(429, "Retry-After: 7\r\n", "slow down".to_owned()),
    ] {
        let named = matches!(reply, Reply::Answer(..)).then_some(Duration::from_secs(7));
        let fault = reply.clone();
        let receiver = Receiver::start(move |_| reply.clone());
        let webhook = Webhook {
            timeout: Duration::from_millis(300),
            ..to(&[receiver.url("/robot/SECRET")])
        };
        match send(&mut *build(webhook), 1) {
            Some(SendError::Retry { after, reason }) => {
                assert_eq!(after, named, "{fault:?}");
                assert!(!reason.contains("SECRET"), "{reason}");
            }
            other => panic!("{fault:?}: {other:?}"),
        }
    }
}

#[test]
fn an_answer_that_breaks_off_after_its_status_has_been_given() {
    let receiver = Receiver::start(|_| Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhal"));
    assert_eq!(send(&mut *build(to(&[receiver.url("/")])), 1), None);
}

#[test]
fn plain_http_on_a_tls_port_waits_for_somebody() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // What nginx says to a TLS hello; the client's error is what the test looks at.
            drop(std::io::Write::write_all(
                &mut stream,
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
            ));
            drop(std::io::Read::read(&mut stream, &mut [0; 4096]));
        }
    });
    let error = send(&mut *build(to(&[format!("https://{address}/SECRET")])), 1);
    assert!(
        matches!(&error, Some(SendError::Blocked { reason }) if !reason.contains("SECRET")),
        "{error:?}"
    );
}

#[test]
fn https_with_a_client_certificate_of_an_own_authority() {
    let certificates = Certificates::new();
    let mut server = std::process::Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/https.py"))
        .args(["server.pem", "server.key", "ca.pem"].map(|name| certificates.path(name)))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("python3");
    let mut output = std::io::BufReader::new(server.stdout.take().expect("piped"));
    let mut line = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
        line.trim().to_owned()
    };
    let url = format!("https://localhost:{}/SECRET", line());
    let ours = alerter::tls::Tls {
        ca_file: Some(certificates.path("ca.pem")),
        cert_file: Some(certificates.path("client.pem")),
        key_file: Some(certificates.path("client.key")),
        insecure_skip_verify: false,
    };
    let with = |tls: alerter::tls::Tls| Webhook {
        tls,
        ..to(std::slice::from_ref(&url))
    };
    let sent = send(&mut *build(with(ours.clone())), 1);
    let seen = if sent.is_none() { line() } else { String::new() };
    let stranger = send(
        &mut *build(with(alerter::tls::Tls {
            ca_file: None,
            ..ours.clone()
        })),
        1,
    );
    let nobody = alerter::tls::Tls {
        cert_file: None,
        key_file: None,
        ..ours.clone()
    };
    let nobody = send(&mut *build(with(nobody)), 1);
    let mismatched = alerter::tls::Tls {
        key_file: Some(certificates.path("server.key")),
        ..ours
    };
    let mismatched = alerter::build(&settings(with(mismatched)));
    server.kill().expect("our own child");
    server.wait().expect("our own child");
    assert_eq!(sent, None);
    assert!(seen.starts_with("client "), "{seen}");
    assert!(
        matches!(&stranger, Some(SendError::Blocked { reason }) if !reason.contains("SECRET")),
        "{stranger:?}"
    );
    // TLS 1.3 refuses a client after its handshake: who writes first hears a closed connection, who reads first the alert.
    let refused = match &nobody {
        Some(SendError::Blocked { reason } | SendError::Retry { reason, .. }) => !reason.contains("SECRET"),
        Some(SendError::Reject { .. }) | None => false,
    };
    assert!(refused, "{nobody:?}");
    assert!(
        mismatched.is_err(),
        "a key of another certificate is told before anything is sent"
    );
}
