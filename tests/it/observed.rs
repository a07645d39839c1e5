//! The service as systemd, Prometheus and a browser meet it: READY and the watchdog by a socket of the test's own, metrics
//! under their promised names, health that tells of an alerter that is blocked, and pages that keep what logs say to
//! those who bring the token.

use crate::program::{Home, Program};
use crate::receiver::{Receiver, answer};
use crate::servers::skipped;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const QUIET: &str = "sources:\n  - {name: app, paths: ['{home}/logs/*.log'], read_from: beginning}\n\
     alerters:\n  - {name: archive, file: {path: '{home}/alerts'}}\n";

/// The address is chosen by the system, and told in the log.
pub fn port(program: &Program) -> u16 {
    let told = || -> Option<u16> {
        let said = program.stderr();
        let address = said.split("http://127.0.0.1:").nth(1)?;
        address.split('/').next()?.parse().ok()
    };
    crate::program::wait_until("it tells where it listens", || told().is_some());
    told().expect("just told")
}

pub fn ask(port: u16, target: &str, header: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let host = if header.starts_with("Host:") {
        ""
    } else {
        "Host: localhost\r\n"
    };
    write!(stream, "GET {target} HTTP/1.1\r\n{host}{header}\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .expect("a status");
    (status, text)
}

#[test]
fn systemd_is_told_of_start_reload_life_and_stop() {
    let home = Home::new();
    home.configure(QUIET);
    let socket = UnixDatagram::bind(home.path("notify")).expect("a socket");
    socket
        .set_read_timeout(Some(crate::program::DEADLINE))
        .expect("a socket");
    let heard = || {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).expect("it says something in time");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let variables = [
        ("NOTIFY_SOCKET", home.path("notify").display().to_string()),
        ("WATCHDOG_USEC", "400000".into()),
    ];
    let mut program = home.start_with(&["run"], &variables);
    assert_eq!(heard(), "READY=1");
    for _ in 0..3 {
        let said = heard();
        assert!(said.starts_with("WATCHDOG=1\nSTATUS="), "{said}");
    }
    assert!(home.path("state/heartbeat").exists());
    program.signal(Signal::HUP);
    let mut said = Vec::new();
    while said.last().is_none_or(|last| last != "READY=1") {
        said.extend(Some(heard()).filter(|said| !said.starts_with("WATCHDOG")));
    }
    assert!(said[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{said:?}");
    program.signal(Signal::TERM);
    while heard() != "STOPPING=1" {}
    assert_eq!(program.stopped().code(), Some(0));
}

#[test]
fn metrics_have_their_promised_names_and_a_rebound_name_is_refused() {
    let home = Home::new();
    home.configure(&format!(
        "{QUIET}metrics: {{listen: '127.0.0.1:0', textfile: '{{home}}/elc.prom'}}\n"
    ));
    std::fs::write(
        home.path("logs/app.log"),
        "ERROR the pump has stopped\nINFO all is well\n",
    )
    .expect("a log");
    let mut program = home.start(&["run"]);
    let port = port(&program);
    program.wait_until("what was read is counted, and told", || {
        let (_, text) = ask(port, "/metrics", "");
        text.contains("elc_records_total{source=\"app\",level=\"error\"} 1\n")
            && text.contains("elc_alerts_total{status=\"firing\",severity=\"error\"} 1\n")
    });
    let (status, text) = ask(port, "/metrics", "");
    assert_eq!(status, 200);
    assert!(text.contains("text/plain; version=0.0.4"), "{text}");
    for line in [
        "elc_read_bytes_total{source=\"app\"} ",
        "elc_read_lines_total{source=\"app\"} ",
        "elc_lag_bytes{source=\"app\"} 0",
        "elc_lost_bytes_total{source=\"app\",reason=\"deleted\"} 0",
        "elc_findings_total{analyzer=\"level\",severity=\"error\"} 1",
        "elc_alerts_total{status=\"firing\",severity=\"error\"} 1",
        "elc_suppressed_total{reason=\"ignore\"} 0",
        "elc_deliveries_total{alerter=\"archive\",outcome=\"dead\"} 0",
        "elc_last_delivery_timestamp_seconds{alerter=\"archive\"} ",
        "elc_outbox_deliveries{alerter=\"archive\",state=\"queued\"} ",
        "elc_outbox_oldest_seconds{alerter=\"archive\"} ",
        "elc_templates{source=\"app\"} ",
        "elc_ai_seconds_count 0",
        "elc_ai_pending 0",
        "elc_state_written_bytes_total ",
        "elc_config_last_reload_successful 1",
        "elc_build_info{version=",
    ] {
        assert!(text.contains(&format!("\n{line}")), "no `{line}` in\n{text}");
    }
    assert_eq!(ask(port, "/metrics", "Host: evil.example").0, 403);
    for path in ["/livez", "/healthz", "/readyz", "/"] {
        assert_eq!(ask(port, path, "").0, 200, "{path}");
    }
    let (_, told) = ask(port, "/status.json", "");
    assert!(!told.contains("pump"), "no content of logs without a token: {told}");
    program.wait_until("the text file is there", || home.path("elc.prom").exists());
    assert_eq!(program.stop().code(), Some(0));
    let (_, exposition) = text.split_once("\r\n\r\n").expect("a body");
    dashboard_and_alerts_name_what_is_told(exposition);
    promtool_is_content(exposition);
    promtool_is_content(&crate::program::read_lossily(&home.path("elc.prom")));
}

/// Dashboard and alert rules hang on names: each is one that `/metrics` has.
fn dashboard_and_alerts_name_what_is_told(exposition: &str) {
    for file in ["grafana-dashboard.json", "alerts.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("packaging/observability")
            .join(file);
        let text = std::fs::read_to_string(path).expect(file);
        for (at, _) in text.match_indices("elc_") {
            let rest = &text[at..];
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let name = rest[..end].trim_end_matches("_bucket");
            // Of the judge something is told only where there is one.
            let is_told = name.starts_with("elc_ai_") || exposition.contains(&format!("# TYPE {name} "));
            assert!(is_told, "{file}: no metric {name}");
        }
    }
}

fn promtool_is_content(exposition: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        return skipped("no promtool (Debian: prometheus)");
    };
    let mut stdin = promtool.stdin.take().expect("piped");
    stdin.write_all(exposition.as_bytes()).expect("it reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("it ends");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}\n{exposition}"
    );
}

#[test]
fn a_token_opens_what_logs_say_and_nothing_else_does() {
    let home = Home::new();
    home.write_secret("token", "s3cret\n");
    home.configure(&format!(
        "{QUIET}metrics: {{listen: '127.0.0.1:0', token_file: '{{home}}/token'}}\n"
    ));
    std::fs::write(home.path("logs/app.log"), "ERROR the pump has stopped\n").expect("a log");
    let mut program = home.start(&["run"]);
    let port = port(&program);
    for path in ["/", "/metrics", "/status.json", "/nothing"] {
        assert_eq!(ask(port, path, "").0, 401, "{path}");
        assert_eq!(ask(port, path, "Authorization: Bearer wrong").0, 401, "{path}");
    }
    assert_eq!(ask(port, "/livez", "").0, 200);
    let with_token = || ask(port, "/status.json", "Authorization: Bearer s3cret").1;
    program.wait_until("the sample is shown", || with_token().contains("the pump has stopped"));
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn health_tells_of_a_blocked_alerter_and_slow_askers_hold_up_nobody() {
    let home = Home::new();
    let refuses = Receiver::start(|_| answer(401));
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\nmetrics: {{listen: '127.0.0.1:0'}}\n\
         alerters:\n  - {{name: hook, send: each, webhook: {{url: '{}'}}}}\n",
        refuses.url("/")
    ));
    std::fs::write(home.path("logs/app.log"), "ERROR the pump has stopped\nINFO -\n").expect("a log");
    let mut program = home.start(&["run"]);
    let port = port(&program);
    program.wait_until("it is blocked", || {
        let (status, text) = ask(port, "/healthz", "");
        status == 503 && text.contains("alerter hook is blocked")
    });
    assert_eq!(
        ask(port, "/livez", "").0,
        200,
        "a receiver in trouble is no reason to restart"
    );
    let slow: Vec<TcpStream> = (0..4)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it listens"))
        .collect();
    for mut stream in &slow {
        stream.write_all(b"GET / HT").expect("it reads");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
    }
    assert_eq!(ask(port, "/livez", "").0, 200);
    let ended = slow
        .iter()
        .all(|mut stream| stream.read(&mut [0; 16]).is_ok_and(|length| length == 0));
    assert!(ended, "who says nothing is let go");
    assert_eq!(program.stop().code(), Some(0));
}
