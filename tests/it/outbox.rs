//! `outbox list | retry | drop`, asked of a service that runs and of a state that nobody holds.

use crate::program::{Home, Program, wait_until};
use crate::receiver::{Receiver, Reply, answer};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// A receiver that answers with whatever status is set.
struct Moody {
    receiver: Receiver,
    status: Arc<AtomicU16>,
}

impl Moody {
    fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let mood = status.clone();
        let receiver = Receiver::start(move |_| match mood.load(Ordering::SeqCst) {
            // Long enough that nothing but a person ends the wait.
            429 => Reply::Answer(429, "Retry-After: 3600\r\n", String::new()),
            status => answer(status),
        });
        Self { receiver, status }
    }

    fn now_answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn ids(&self) -> Vec<String> {
        let requests = self.receiver.requests();
        let id = |request: &crate::receiver::Request| request.json()["id"].as_str().expect("an id").to_owned();
        requests.iter().map(id).collect()
    }
}

fn configure(home: &Home, moody: &Moody) {
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\n\
         alerters:\n  - {{name: ops, send: each, webhook: {{url: '{}'}}}}\n",
        moody.receiver.url("/hook")
    ));
}

fn write_log(home: &Home, lines: &str) {
    std::fs::write(home.path("logs/app.log"), lines).expect("the log takes lines");
}

fn list(home: &Home) -> Value {
    let output = home.output(&["outbox", "list", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn states(home: &Home) -> Vec<String> {
    let listed = list(home);
    let deliveries = listed["deliveries"].as_array().expect("a list").clone();
    deliveries
        .iter()
        .map(|delivery| delivery["state"].as_str().expect("a state").to_owned())
        .collect()
}

fn said(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let output = home.output(arguments);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn start_with(home: &Home, moody: &Moody, lines: &str) -> Program {
    configure(home, moody);
    write_log(home, lines);
    home.start(&["run"])
}

#[test]
fn what_was_rejected_is_listed_and_goes_out_when_somebody_says_so() {
    let (home, moody) = (Home::new(), Moody::start(400));
    let program = start_with(&home, &moody, "ERROR order 7 refused\n");
    wait_until("it is dead", || {
        home.path("state/control.sock").exists() && states(&home) == ["dead"]
    });
    let dead = list(&home)["deliveries"][0].clone();
    let id = dead["alert_id"].as_str().expect("an id").to_owned();
    assert_eq!(moody.ids(), std::slice::from_ref(&id));
    assert_eq!(
        (&dead["alerter"], &dead["severity"], &dead["title"], &dead["tries"]),
        (&"ops".into(), &"error".into(), &"order 7 refused".into(), &1.into())
    );
    assert!(dead["error"].as_str().expect("an error").contains("400"), "{dead}");
    let (code, text) = said(&home, &["outbox", "list"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains(&id) && text.contains("dead") && text.contains("400"),
        "{text}"
    );

    moody.now_answers(200);
    assert_eq!(
        said(&home, &["outbox", "retry", &id]),
        (Some(0), "1 delivery queued again\n".to_owned())
    );
    wait_until("it has arrived", || moody.ids() == [id.clone(), id.clone()]);
    wait_until("the outbox is empty", || states(&home).is_empty());
    assert!(program.stop().success());
}

#[test]
fn a_person_does_not_wait_for_the_back_off() {
    let (home, moody) = (Home::new(), Moody::start(429));
    let program = start_with(&home, &moody, "ERROR order 7 refused\nERROR order 8 refused\n");
    wait_until("the first was put off for an hour, and the other is behind it", || {
        home.path("state/control.sock").exists() && moody.ids().len() == 1 && states(&home) == ["queued", "queued"]
    });
    moody.now_answers(200);
    let (code, text) = said(&home, &["outbox", "retry", "--all"]);
    assert_eq!((code, text.as_str()), (Some(0), "2 deliveries queued again\n"));
    wait_until("both have arrived", || moody.ids().len() == 3);
    wait_until("the outbox is empty", || states(&home).is_empty());
    assert!(program.stop().success());
}

#[test]
fn without_a_service_the_same_is_done_on_the_state() {
    let (home, moody) = (Home::new(), Moody::start(400));
    configure(&home, &moody);
    let (code, text) = said(&home, &["outbox", "list"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("nothing has run there yet"), "{text}");
    assert!(!home.state_dir().exists(), "to look makes nothing");

    write_log(
        &home,
        "ERROR order 7 refused\nERROR order 8 refused\nERROR order 9 refused\n",
    );
    assert!(home.output(&["run", "--once"]).status.success());
    assert_eq!(states(&home), ["dead", "dead", "dead"]);
    let ids = moody.ids();
    assert_eq!(
        said(&home, &["outbox", "drop", &ids[0]]),
        (Some(0), "1 delivery dropped\n".to_owned())
    );
    assert_eq!(
        said(&home, &["outbox", "retry", &ids[1]]),
        (Some(0), "1 delivery queued again\n".to_owned())
    );
    assert_eq!(states(&home), ["dead", "queued"]);
    moody.now_answers(200);
    assert!(home.output(&["run", "--once"]).status.success());
    assert_eq!(moody.ids().last(), Some(&ids[1]));
    assert_eq!(
        said(&home, &["outbox", "drop", "--all"]),
        (Some(0), "1 delivery dropped\n".to_owned())
    );
    assert_eq!(
        said(&home, &["outbox", "list"]),
        (Some(0), "the outbox is empty: everything was delivered\n".to_owned())
    );
}

#[test]
fn what_is_not_there_is_named_and_nothing_is_done() {
    let (home, moody) = (Home::new(), Moody::start(400));
    configure(&home, &moody);
    write_log(&home, "ERROR order 7 refused\n");
    assert!(home.output(&["run", "--once"]).status.success());
    let id = moody.ids()[0].clone();
    let (code, text) = said(&home, &["outbox", "drop", &id, "nonsense"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("`nonsense`"), "{text}");
    assert_eq!(states(&home), ["dead"], "also the one that is there stays");
    let (code, text) = said(&home, &["outbox", "retry", "--all", "--alerter", "opps"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("`opps`") && text.contains("there are ops"), "{text}");
    let (code, text) = said(&home, &["outbox", "drop"]);
    assert_eq!(code, Some(2), "{text}");
}
