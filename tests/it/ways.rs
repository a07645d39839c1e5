//! The way to a webhook: certificates that are not valid now, proxies of the environment, receivers that repeat secrets.

use crate::program::{Home, wait_until};
use crate::receiver::{Receiver, Reply, answer};
use crate::servers::Certificates;
use crate::webhook::{delivery, settings_of, to};
use exception_log_collector::alerter::webhook::{Secret, Settings as Webhook};
use exception_log_collector::alerter::{self, Kind, SendError, tls::Tls};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Python's HTTPS server with one of the certificates; its port.
struct Https {
    child: Child,
    port: String,
}

impl Https {
    fn start(certificates: &Certificates, certificate: &str) -> Self {
        let mut child = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/https.py"))
            .args([certificate, "server.key", "ca.pem"].map(|name| certificates.path(name)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        let mut port = String::new();
        let read = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut port);
        read.expect("a port");
        let port = port.trim().to_owned();
        Self { child, port }
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn send(webhook: Webhook) -> Option<SendError> {
    let mut alerter = alerter::build(&settings_of(Kind::Webhook(Box::new(webhook)))).expect("a valid webhook");
    alerter.send(&[delivery(1)]).error
}

#[test]
fn a_certificate_of_the_past_waits_for_somebody_and_one_of_the_future_for_the_clock() {
    let certificates = Certificates::new();
    certificates.add("expired", "200101000000Z", "210101000000Z");
    certificates.add("future", "400101000000Z", "410101000000Z");
    let outcome = |certificate: &str| {
        let server = Https::start(&certificates, certificate);
        send(Webhook {
            tls: Tls {
                ca_file: Some(certificates.path("ca.pem")),
                ..Tls::default()
            },
            ..to(&[format!("https://localhost:{}/SECRET", server.port)])
        })
    };
    let expired = outcome("expired.pem");
    assert!(
        matches!(&expired, Some(SendError::Blocked { reason }) if reason.contains("expired") && !reason.contains("SECRET")),
        "{expired:?}"
    );
    let future = outcome("future.pem");
    assert!(
        matches!(&future, Some(SendError::Retry { reason, .. }) if reason.contains("clock") && !reason.contains("SECRET")),
        "{future:?}"
    );
}

#[test]
fn a_receiver_that_repeats_what_it_was_sent_gives_no_secret_away() {
    let receiver = Receiver::start(|request| {
        let sent = request.header("Authorization").unwrap_or("").to_owned();
        Reply::Answer(401, "", format!("you said {sent}, which is wrong"))
    });
    let bearer = send(Webhook {
        bearer_token: Some(Secret::Value("hush-hush-1".into())),
        ..to(&[receiver.url("/")])
    });
    let basic = send(Webhook {
        basic_auth: Some(("edge".to_owned(), Secret::Value("hush-hush-2".into()))),
        ..to(&[receiver.url("/")])
    });
    for error in [bearer, basic] {
        // "edge:hush-hush-2" in base64.
        let told = format!("{error:?}");
        assert!(
            told.contains("you said") && !told.contains("hush") && !told.contains("ZWRnZTpodXNo"),
            "{told}"
        );
    }
}

/// A proxy that opens tunnels for https and hands on what names its target whole; says what it was asked for.
fn proxy() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let heard = heard.clone();
            std::thread::spawn(move || tunnel(client, &heard));
        }
    });
    (address, asked)
}

fn tunnel(mut client: TcpStream, heard: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heard.lock().expect("a whole list").push(head.clone());
    let mut server = match head.strip_prefix("CONNECT ") {
        Some(rest) => {
            let server = TcpStream::connect(rest.split(' ').next()?).ok()?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
            server
        }
        None => {
            let (target, rest) = head.strip_prefix("POST http://")?.split_once('/')?;
            let mut server = TcpStream::connect(target).ok()?;
            server.write_all(format!("POST /{rest}").as_bytes()).ok()?;
            server
        }
    };
    let (mut from_client, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    std::io::copy(&mut server, &mut client).ok().map(|_| ())
}

#[test]
fn the_proxy_of_the_environment_is_used_for_http_and_https() {
    let (address, asked) = proxy();
    let certificates = Certificates::new();
    let server = Https::start(&certificates, "server.pem");
    let plain = Receiver::start(|_| answer(200));
    let home = Home::new();
    let path = |name: &str| certificates.path(name).display().to_string();
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
         alerters:\n\
         \x20 - {{name: secure, webhook: {{url: 'https://localhost:{}/x', tls: {{ca_file: '{}', cert_file: '{}', key_file: '{}'}}}}}}\n\
         \x20 - {{name: plain, webhook: {{url: '{}'}}}}\n",
        server.port,
        path("ca.pem"),
        path("client.pem"),
        path("client.key"),
        plain.url("/y")
    ));
    fs::write(home.path("logs/app.log"), "2026-11-23 06:00:01 ERROR pool exhausted\n").expect("written");
    let mut command = home.command(&["run", "--once"]);
    for name in [
        "NO_PROXY",
        "no_proxy",
        "ALL_PROXY",
        "all_proxy",
        "https_proxy",
        "http_proxy",
    ] {
        command.env_remove(name);
    }
    let proxy = format!("http://edge:proxy-secret@{address}");
    let output = command
        .env("HTTPS_PROXY", &proxy)
        .env("HTTP_PROXY", &proxy)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("both came through the proxy", || {
        asked.lock().expect("a whole list").len() >= 2
    });
    let asked = asked.lock().expect("a whole list").clone();
    assert!(
        asked
            .iter()
            .any(|head| head.starts_with(&format!("POST {} HTTP/1.1\r\n", plain.url("/y")))),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .any(|head| head.starts_with(&format!("CONNECT localhost:{}", server.port))),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .all(|head| head.to_lowercase().contains("proxy-authorization: basic ")),
        "{asked:?}"
    );
    assert_eq!(plain.requests().len(), 1);
    let status = home.output(&["outbox", "list"]);
    assert!(!String::from_utf8_lossy(&status.stdout).contains("proxy-secret"));
}

#[test]
fn an_http_url_is_asked_of_the_environments_proxy_and_what_is_spared_is_not() {
    let (proxy, direct) = (Receiver::start(|_| answer(200)), Receiver::start(|_| answer(200)));
    let home = Home::new();
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
         alerts: {{context: {{wait: 0s}}}}\n\
         alerters:\n  - {{name: far, webhook: {{url: 'http://alerts.example.invalid/hook?x=1'}}}}\n  \
         - {{name: near, webhook: {{url: '{}'}}}}\n",
        direct.url("/direct")
    ));
    fs::write(home.path("logs/app.log"), "ERROR pool exhausted\nERROR disk is full\n").expect("the log takes lines");
    let variables = [
        ("http_proxy", format!("http://elc:s%3Aecret@{}", proxy.address)),
        ("no_proxy", "localhost, 127.0.0.1".to_owned()),
    ];
    let mut program = home.start_with(&["run"], &variables);
    program.wait_until("both have come both ways", || proxy.count() == 2 && direct.count() == 2);
    assert!(program.stop().success());
    let requests = proxy.requests();
    for request in &requests {
        assert_eq!(request.line, "POST http://alerts.example.invalid/hook?x=1 HTTP/1.1");
        assert_eq!(request.header("Host"), Some("alerts.example.invalid"));
        assert_eq!(request.header("Proxy-Authorization"), Some("Basic ZWxjOnM6ZWNyZXQ="));
        assert!(request.json()["id"].is_string());
    }
    assert_eq!(requests[0].connection, requests[1].connection, "the connection is kept");
    assert_eq!(direct.requests()[0].line, "POST /direct HTTP/1.1");
}

#[test]
fn a_receiver_that_hangs_for_ever_delays_no_other_and_no_stop() {
    let (hanging, well) = (Receiver::start(|_| Reply::Hang), Receiver::start(|_| answer(200)));
    let home = Home::new();
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
         alerters:\n  - {{name: hanging, send: each, webhook: {{url: '{}', timeout: 5m}}}}\n  \
         - {{name: well, send: each, webhook: {{url: '{}'}}}}\n",
        hanging.url("/x"),
        well.url("/y")
    ));
    let errors: String = (0..100).map(|n| format!("ERROR order {n} refused\n")).collect();
    fs::write(home.path("logs/app.log"), &errors).expect("the log takes lines");
    let mut program = home.start(&["run"]);
    program.wait_until("the other got all of the first", || {
        well.count() == 100 && hanging.count() == 1
    });
    fs::write(home.path("logs/more.log"), &errors).expect("the log takes lines");
    program.wait_until("and of the next", || well.count() == 200);
    assert_eq!(hanging.count(), 1, "it hangs on the first");
    assert!(program.stop().success());
}
