//! More is found than a receiver takes: the log waits where an alerter asks for it, else the outbox is compacted.

use crate::program::{Home, Program};
use crate::receiver::{Receiver, answer};
use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};

const LINES: usize = 8000;

/// An address at which nobody listens, as long as nobody else takes it.
fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener")
}

fn write_log(home: &Home) -> u64 {
    let line = |n| format!("2026-11-23T06:00:00Z ERROR order {n} refused\n");
    let text: String = (0..LINES).map(line).collect();
    fs::write(home.path("logs/app.log"), &text).expect("the log is written");
    text.len() as u64
}

fn configure(home: &Home, alerter: &str, receiver: SocketAddr) {
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
         analyzers: {{novelty: {{enabled: false}}}}\n\
         alerts: {{context: {{before: 0, after: 0}}}}\n\
         alerters:\n  - {{name: hook, {alerter}, webhook: {{url: 'http://{receiver}/'}}}}\n"
    ));
}

fn status(home: &Home) -> serde_json::Value {
    let told = home.output(&["status", "--json"]).stdout;
    serde_json::from_slice(&told).unwrap_or_default()
}

fn rss_kib(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.pid())).expect("it runs");
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse().ok());
    kib.expect("a number of KiB")
}

#[test]
fn reading_stops_for_an_alerter_that_asks_for_it_and_all_is_delivered_afterwards() {
    let (home, address) = (Home::new(), closed_port());
    let size = write_log(&home);
    let alerter = "send: each, outbox: {max_size: 1MiB, when_full: block}";
    configure(&home, alerter, address);
    let mut program = home.start(&["run"]);
    program.wait_until("the outbox is full", || {
        let bytes = status(&home)["alerters"][0]["outbox_bytes"].as_u64();
        bytes.is_some_and(|bytes| bytes >= 1024 * 1024)
    });
    // Some chunks may be on their way.
    let read = status(&home)["sources"][0]["read_bytes"].as_u64();
    assert!(read.is_some_and(|read| read < size), "{:#}", status(&home));
    let rss = rss_kib(&program);
    assert!(rss < 100 * 1024, "{rss} KiB");

    let receiver = Receiver::start_on(address, |_| answer(200));
    let orders = || -> BTreeSet<String> {
        let texts = receiver
            .requests()
            .into_iter()
            .map(|request| request.json()["text"].to_string());
        texts.filter(|text| text.contains("order")).collect()
    };
    // The courier waits longer after each try: somebody has mended it.
    home.output(&["outbox", "retry", "--all"]);
    program.wait_until("all of it is delivered", || {
        receiver.count() >= LINES && orders().len() == LINES
    });
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn reading_goes_on_where_alerts_are_grouped() {
    let (home, address) = (Home::new(), closed_port());
    write_log(&home);
    configure(&home, "outbox: {max_size: 1MiB}", address);
    let mut program = home.start(&["run"]);
    program.wait_until("all of it is read", || {
        let source = &status(&home)["sources"][0];
        source["records"].as_u64() == Some(LINES as u64) && source["lag_bytes"].as_u64() == Some(0)
    });
    assert_eq!(program.stop().code(), Some(0));
}
