//! Against a real Prometheus Alertmanager: what fires is active there, once, also after a restart of ours; what is over
//! is resolved; every URL is told.

use crate::program::{Home, wait_until};
use crate::receiver::{Receiver, answer};
use crate::servers::skipped;
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};

struct Alertmanager {
    child: Child,
    url: String,
    _storage: tempfile::TempDir,
}

impl Alertmanager {
    /// None where the machine has none.
    fn start() -> Option<Self> {
        let storage = tempfile::tempdir().expect("a temporary folder");
        let config = storage.path().join("alertmanager.yml");
        fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").expect("written");
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", storage.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let alertmanager = Self {
            child,
            url: format!("http://{address}"),
            _storage: storage,
        };
        wait_until("Alertmanager answers", || {
            ureq::get(format!("{}/-/ready", alertmanager.url)).call().is_ok()
        });
        Some(alertmanager)
    }

    fn active(&self) -> Vec<Value> {
        let answer = ureq::get(format!("{}/api/v2/alerts", self.url)).call();
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        serde_json::from_str(&text.expect("it answers")).expect("an array")
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn configuration(urls: &[&str], resolve_after: &str) -> String {
    format!(
        "host: {{name: gw-17, labels: {{site: plant-7}}}}\n\
         sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
         alerts: {{resolve_after: {resolve_after}, context: {{wait: 0s}}}}\n\
         alerters:\n  - {{name: am, webhook: {{preset: alertmanager, urls: [{}]}}}}\n",
        urls.join(", ")
    )
}

#[test]
fn what_fires_is_active_once_also_after_a_restart_and_resolved_when_it_is_over() {
    let Some(alertmanager) = Alertmanager::start() else {
        return skipped("no prometheus-alertmanager");
    };
    let other = Receiver::start(|_| answer(200));
    let home = Home::new();
    let urls = [alertmanager.url.as_str(), &other.url("")];
    home.configure(&configuration(&urls, "1h"));
    fs::write(
        home.path("logs/app.log"),
        "2026-11-23 06:00:01 ERROR pool <b>exhausted</b>\n",
    )
    .expect("written");

    let mut program = home.start(&["run"]);
    program.wait_until("it is active", || !alertmanager.active().is_empty());
    let first = alertmanager.active().remove(0);
    assert_eq!(first["labels"]["alertname"], "LogRecord", "{first:#}");
    assert_eq!(
        (
            &first["labels"]["host"],
            &first["labels"]["site"],
            &first["labels"]["source"]
        ),
        (&"gw-17".into(), &"plant-7".into(), &"app".into())
    );
    assert_eq!(first["labels"]["severity"], "error");
    assert_eq!(first["annotations"]["summary"], "pool <b>exhausted</b>");
    let time = |alert: &Value, key: &str| -> jiff::Timestamp {
        alert[key].as_str().and_then(|at| at.parse().ok()).expect("a time")
    };
    let ahead = time(&first, "endsAt")
        .duration_since(time(&first, "updatedAt"))
        .as_secs();
    assert!((290..=300).contains(&ahead), "five minutes ahead, not {ahead} s");
    program.wait_until("the other was told too", || !other.requests().is_empty());
    assert_eq!(other.requests()[0].line, "POST /api/v2/alerts HTTP/1.1");
    program.kill();

    // Nothing new is in the log: who forgot what fires would be silent, and the alert would end by itself.
    let mut program = home.start(&["run"]);
    program.wait_until("it is told again", || {
        time(&alertmanager.active()[0], "updatedAt") > time(&first, "updatedAt")
    });
    let again = alertmanager.active();
    assert_eq!(again.len(), 1, "{again:#?}");
    assert_eq!(
        again[0]["fingerprint"], first["fingerprint"],
        "the same alert for Alertmanager"
    );
    assert_eq!(again[0]["startsAt"], first["startsAt"]);
    assert_eq!(program.stop().code(), Some(0));

    home.configure(&configuration(&urls, "1s"));
    let mut program = home.start(&["run"]);
    program.wait_until("it is resolved", || alertmanager.active().is_empty());
    assert_eq!(program.stop().code(), Some(0));
}
