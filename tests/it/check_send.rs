//! `check --send`: a test alert to every alerter, each with what came of it.

use crate::program::{Home, read_lossily};
use crate::receiver::{Receiver, answer};
use serde_json::Value;

#[test]
fn every_alerter_is_tried_and_each_outcome_is_told() {
    let home = Home::new();
    let (well, ill) = (Receiver::start(|_| answer(200)), Receiver::start(|_| answer(503)));
    let gone = Receiver::start(|_| answer(404));
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log']}}\n\
         alerts: {{language: zh-CN}}\nhost: {{labels: {{site: plant-7}}}}\n\
         alerters:\n  - {{name: well, min_severity: fatal, webhook: {{url: '{}'}}}}\n  \
         - {{name: ill, webhook: {{url: '{}'}}}}\n  - {{name: gone, webhook: {{preset: slack, url: '{}'}}}}\n  \
         - {{name: archive, file: {{path: '{{home}}/alerts', format: json}}}}\n",
        well.url("/hook"),
        ill.url("/hook"),
        gone.url("/services/T0/B0/very-secret-token")
    ));
    let output = home.output(&["check", "--send"]);
    let (told, error) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(output.status.code(), Some(1), "{told}{error}");
    let said = |name: &str| {
        let line = told.lines().find(|line| line.starts_with(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("nothing of {name} in:\n{told}"))
            .to_owned()
    };
    assert_eq!(said("well"), "well: delivered (webhook)");
    assert!(said("ill").contains("failed") && said("ill").contains("503"), "{told}");
    assert!(
        said("gone").contains("blocked") && said("gone").contains("404"),
        "{told}"
    );
    assert!(said("archive").contains("delivered (file"), "{told}");
    assert!(!told.contains("very-secret-token"), "the url of a chat bot in:\n{told}");
    assert!(error.contains("2 of 4 alerters"), "{error}");

    let alert = well.requests()[0].json();
    assert_eq!((&alert["kind"], &alert["status"]), (&"test".into(), &"firing".into()));
    assert!(
        alert["title"].as_str().expect("a title").contains("测试告警"),
        "{alert}"
    );
    assert_eq!(alert["labels"]["site"], "plant-7");
    let written: Value = serde_json::from_str(&read_lossily(&home.path("alerts"))).expect("one line");
    assert_eq!(written["kind"], "test");
    assert!(!home.state_dir().exists(), "a test leaves nothing behind");
}

#[test]
fn an_incident_that_the_test_opened_is_closed() {
    let home = Home::new();
    let pager = Receiver::start(|_| answer(202));
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log']}}\n\
         alerters:\n  - {{name: pager, webhook: {{preset: pagerduty, url: '{}', routing_key: k}}}}\n",
        pager.url("/v2/enqueue")
    ));
    let output = home.output(&["check", "--send"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let events: Vec<Value> = pager.requests().iter().map(crate::receiver::Request::json).collect();
    let actions: Vec<_> = events.iter().map(|event| &event["event_action"]).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(events[0]["dedup_key"], events[1]["dedup_key"]);
}
