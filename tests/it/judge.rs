//! The judge, as a user meets it: what a model finds abnormal is alerted, perhaps late; rules never wait for it; whatever
//! the service does, no template is lost and none is judged twice.

mod models;
mod trouble;

use crate::program::{Home, Program, read_lossily, wait_until};
use crate::receiver::{Receiver, Reply, Request, answer};
use crate::tiny_model::TinyModel;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn append(home: &Home, lines: &str) {
    let mut options = File::options();
    let file = options.create(true).append(true).open(home.path("logs/app.log"));
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .expect("the log takes lines");
}

fn configure(home: &Home, ai: &str) {
    home.configure(&format!(
        "sources:\n  - {{name: app, paths: ['{{home}}/logs/*.log'], read_from: beginning, multiline: off}}\n\
         analyzers:\n  novelty: {{enabled: false}}\n  ai: {ai}\n\
         alerters:\n  - {{name: archive, send: each, file: {{path: '{{home}}/alerts', format: json}}}}\n"
    ));
}

/// Each once: who is killed between a delivery and its mark delivers it again, under the same id.
fn alerts(home: &Home) -> Vec<Value> {
    let mut ids = BTreeSet::new();
    let alerts = read_lossily(&home.path("alerts"));
    let whole = alerts.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let alerts = whole.map(|line| serde_json::from_str::<Value>(line).expect("one alert a line"));
    alerts.filter(|alert| ids.insert(alert["id"].to_string())).collect()
}

fn messages(home: &Home) -> Vec<String> {
    let message = |alert: &Value| alert["message"].as_str().unwrap_or_default().to_owned();
    alerts(home).iter().map(message).collect()
}

/// What a model says that finds abnormal what speaks of fire.
fn verdict(text: &Value) -> Value {
    let abnormal = text.as_str().is_some_and(|text| text.contains("fire"));
    json!({"label": i32::from(abnormal), "confidence": 0.97})
}

/// A service that works.
fn judge(request: &Request) -> Reply {
    let path = request.line.split(' ').nth(1).unwrap_or_default();
    let body = match path {
        "/analyze" => verdict(&request.json()["log"]),
        "/analyze/batch" => {
            let logs = request.json()["logs"].as_array().cloned().unwrap_or_default();
            json!({"results": logs.iter().map(verdict).collect::<Vec<_>>()})
        }
        _ => json!({"status": "ok"}),
    };
    Reply::Answer(200, "", body.to_string())
}

/// All messages that a service was asked about, in order.
fn asked(receiver: &Receiver) -> Vec<String> {
    let requests = receiver.requests();
    let posts = requests.iter().filter(|request| request.line.starts_with("POST"));
    let texts = posts.flat_map(|request| {
        let body = request.json();
        let many = body["logs"].as_array().cloned();
        many.unwrap_or_else(|| vec![body["log"].clone()])
    });
    texts.map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
}

fn start(home: &Home) -> Program {
    let mut program = home.start(&["run"]);
    program.wait_until("it runs", || home.path("state/control.sock").exists());
    program
}

fn status(home: &Home) -> Value {
    let output = home.output(&["status", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// A message whose words no other number's message has: templates of their own, which never become one.
fn unlike(number: usize) -> String {
    let word = |prefix: char| {
        let letter = |place: usize| char::from(b'a' + (number / 26usize.pow(place as u32) % 26) as u8);
        format!("{prefix}{}{}{}", letter(2), letter(1), letter(0))
    };
    ["k", "m", "p"]
        .map(|prefix| word(prefix.chars().next().expect("a letter")))
        .join(" ")
}

fn by_service(home: &Home, urls: &[String], more: &str) {
    let urls: Vec<String> = urls.iter().map(|url| format!("'{url}'")).collect();
    configure(
        home,
        &format!("{{engine: service, {more}service_urls: [{}]}}", urls.join(", ")),
    );
}

fn judged(home: &Home) -> u64 {
    status(home)["ai"]["verdicts"].as_u64().unwrap_or(0)
}

#[test]
fn what_the_service_finds_abnormal_is_alerted_late_once_and_later_at_once() {
    let service = Receiver::start(judge);
    let home = Home::new();
    configure(
        &home,
        &format!("{{engine: service, service_urls: ['{}']}}", service.url("")),
    );
    append(
        &home,
        "2026-11-23 06:00:00 INFO all is well\n2026-11-23 06:00:01 INFO there is fire in hall 3\n",
    );
    let mut program = start(&home);
    program.wait_until("the late alert is there", || !alerts(&home).is_empty());
    let alert = alerts(&home).remove(0);
    assert_eq!(
        (
            &alert["message"],
            &alert["late"],
            &alert["severity"],
            &alert["source"]["offset"]
        ),
        (
            &"there is fire in hall 3".into(),
            &true.into(),
            &"warn".into(),
            &37.into()
        )
    );
    let detector = &alert["detectors"][0];
    assert_eq!(
        (
            &detector["analyzer"],
            &detector["name"],
            &detector["confidence"],
            &detector["model"]
        ),
        (&"ai".into(), &"service".into(), &0.97.into(), &"service".into())
    );
    append(
        &home,
        "2026-11-23 06:00:02 INFO there is fire in hall 7\n2026-11-23 06:00:03 INFO all is well\n",
    );
    program.wait_until("it alerts again", || alerts(&home).len() > 1);
    assert_eq!(alerts(&home)[1]["late"], Value::Null, "known by now");
    let mut texts = asked(&service);
    texts.sort();
    assert_eq!(
        texts,
        ["all is well", "there is fire in hall 3"],
        "each template is asked about once"
    );
    let status = status(&home);
    assert_eq!(
        (
            &status["ai"]["pending"],
            &status["ai"]["verdicts"],
            &status["ai"]["abnormal"]
        ),
        (&0.into(), &2.into(), &1.into()),
        "{status:#}"
    );
    assert_eq!(program.stop().code(), Some(0));
    append(&home, "2026-11-23 06:00:04 INFO there is fire in hall 9\n");
    let mut program = start(&home);
    program.wait_until("a verdict outlives a restart", || alerts(&home).len() > 2);
    assert_eq!(asked(&service).len(), 2, "nothing is asked again");
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn once_waits_for_the_judge_within_its_deadline() {
    let service = Receiver::start(|request| match request.line.contains("/analyze/batch") {
        // A service that knows no batches.
        true => answer(404),
        false => judge(request),
    });
    let home = Home::new();
    configure(
        &home,
        &format!("{{engine: service, ai_service_url: '{}'}}", service.url("/analyze")),
    );
    append(&home, "INFO fire\nINFO water\nINFO earth\n");
    assert_eq!(home.output(&["run", "--once"]).status.code(), Some(0));
    assert_eq!(messages(&home), ["fire"]);
}

#[test]
fn rules_never_wait_and_nothing_is_lost_while_the_service_hangs_and_the_program_is_killed() {
    let works = Arc::new(AtomicUsize::new(0));
    let service = Receiver::start({
        let works = works.clone();
        move |request| match works.load(Ordering::SeqCst) {
            0 => Reply::Hang,
            1 => answer(500),
            _ => judge(request),
        }
    });
    let home = Home::new();
    configure(
        &home,
        &format!(
            "{{engine: service, timeout: 300ms, service_urls: ['{}']}}",
            service.url("")
        ),
    );
    append(&home, "INFO fire in the cellar\nERROR the pump stands still\n");
    let mut program = start(&home);
    program.wait_until("the level speaks while the service hangs", || !alerts(&home).is_empty());
    program.wait_until("the service was asked", || !service.requests().is_empty());
    assert_eq!(messages(&home), ["the pump stands still"]);
    program.kill();
    works.store(1, Ordering::SeqCst);
    append(&home, "INFO fire in the cellar\nERROR the pump stands still\n");
    let mut program = start(&home);
    program.wait_until("the level speaks while the service fails", || alerts(&home).len() > 1);
    wait_until("both templates wait", || status(&home)["ai"]["pending"] == 2);
    program.kill();
    works.store(2, Ordering::SeqCst);
    let mut program = start(&home);
    program.wait_until("the late alert comes", || alerts(&home).len() > 2);
    let last = alerts(&home).remove(2);
    assert_eq!(
        (&last["message"], &last["late"], &last["count"]),
        (&"fire in the cellar".into(), &true.into(), &2.into())
    );
    wait_until("nothing waits any more", || status(&home)["ai"]["pending"] == 0);
    assert_eq!(program.stop().code(), Some(0));
    assert_eq!(alerts(&home).len(), 3, "nothing twice: {:?}", messages(&home));
}

#[test]
fn answers_that_are_none_are_survived() {
    let nonsense = [
        "no JSON at all".to_owned(),
        r#"{"results": [{"label": NaN, "confidence": 1}]}"#.to_owned(),
        r#"{"results": [{"label": 7, "confidence": 1}]}"#.to_owned(),
        r#"{"results": [{"label": 1, "confidence": 1.5}]}"#.to_owned(),
        r#"{"results": []}"#.to_owned(),
        r#"{"label": "fire"}"#.to_owned(),
        "x".repeat(20_000_000),
    ];
    let left = nonsense.len();
    let count = Arc::new(AtomicUsize::new(0));
    let service = Receiver::start({
        let count = count.clone();
        move |request| {
            if !request.line.starts_with("POST") {
                return answer(200);
            }
            match nonsense.get(count.fetch_add(1, Ordering::SeqCst)) {
                Some(text) => Reply::Answer(200, "", text.clone()),
                None => judge(request),
            }
        }
    });
    // The endpoints are one and the same: so the pauses between failures are shorter.
    let other = service.url("").replace("127.0.0.1", "localhost");
    let home = Home::new();
    configure(
        &home,
        &format!("{{engine: service, service_urls: ['{}', '{other}']}}", service.url("")),
    );
    append(&home, "INFO fire\n");
    let mut program = start(&home);
    program.wait_until("the verdict comes in the end", || !alerts(&home).is_empty());
    assert_eq!(count.load(Ordering::SeqCst), left + 1, "judged once");
    assert_eq!(messages(&home), ["fire"]);
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn two_of_three_instances_die_and_the_third_judges_everything() {
    let dead: Vec<Receiver> = (0..2)
        .map(|_| Receiver::start(|_| Reply::Raw("HTTP/1.1 200 OK\r\nContent-")))
        .collect();
    let alive = Receiver::start(judge);
    let home = Home::new();
    let urls: Vec<String> = dead
        .iter()
        .chain([&alive])
        .map(|service| format!("'{}'", service.url("")))
        .collect();
    configure(
        &home,
        &format!(
            "{{engine: service, timeout: 500ms, batch: 2, service_urls: [{}]}}",
            urls.join(", ")
        ),
    );
    let words = [
        "fire", "water", "earth", "air", "wood", "metal", "salt", "ice", "dust", "smoke",
    ];
    let log: String = words.iter().map(|word| format!("INFO {word} {word}ing\n")).collect();
    append(&home, &log);
    let mut program = start(&home);
    program.wait_until("all are judged", || status(&home)["ai"]["verdicts"] == words.len());
    assert_eq!(messages(&home), ["fire fireing"]);
    let mut texts = asked(&alive);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), words.len());
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn a_model_on_the_device_judges_and_another_file_takes_its_place() {
    let home = Home::new();
    let path = home.path("model.elc");
    fs::write(&path, TinyModel::that_knows(&["all", "is", "well"]).bytes()).expect("a file");
    configure(&home, &format!("{{engine: electra, model: '{}'}}", path.display()));
    append(&home, "INFO all is well\nINFO zebra quagga okapi\n");
    let mut program = start(&home);
    program.wait_until("it alerts", || !alerts(&home).is_empty());
    let alert = alerts(&home).remove(0);
    assert_eq!(alert["message"], "zebra quagga okapi");
    let detector = &alert["detectors"][0];
    assert_eq!(
        (&detector["name"], &detector["threshold"]),
        (&"electra".into(), &1.0.into())
    );
    assert!(
        detector["score"].as_f64().is_some_and(|score| score > 1.0),
        "{detector}"
    );
    assert_eq!(program.stop().code(), Some(0));
    fs::write(&path, "no model").expect("a file");
    let check = home.output(&["check"]);
    assert_eq!(check.status.code(), Some(78), "{check:?}");
    assert!(
        String::from_utf8_lossy(&check.stderr).contains("no usable model"),
        "{check:?}"
    );
    fs::write(&path, TinyModel::that_knows(&["zebra", "quagga", "okapi"]).bytes()).expect("a file");
    let mut program = start(&home);
    program.wait_until("the new model judges", || {
        // What comes before the new model is loaded has the old one's verdict.
        append(&home, "INFO zebra quagga okapi\nINFO all is well\n");
        messages(&home).contains(&"all is well".to_owned())
    });
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn who_only_listens_tells_nobody_and_low_confidence_is_silence() {
    let service = Receiver::start(judge);
    for wanted in ["mode: shadow", "min_confidence: 0.99"] {
        let home = Home::new();
        configure(
            &home,
            &format!("{{engine: service, {wanted}, service_urls: ['{}']}}", service.url("")),
        );
        append(&home, "INFO fire\nINFO fire\n");
        assert_eq!(home.output(&["run", "--once"]).status.code(), Some(0));
        append(&home, "INFO fire\n");
        assert_eq!(home.output(&["run", "--once"]).status.code(), Some(0));
        assert_eq!(messages(&home), Vec::<String>::new(), "{wanted}");
    }
}

#[test]
fn with_scope_line_each_distinct_line_is_judged() {
    let service = Receiver::start(judge);
    let home = Home::new();
    configure(
        &home,
        &format!(
            "{{engine: service, scope: line, service_urls: ['{}']}}",
            service.url("")
        ),
    );
    append(
        &home,
        "INFO hall 1 on fire\nINFO hall 2 fine\nINFO hall 3 fine\nINFO hall 2 fine\n",
    );
    assert_eq!(home.output(&["run", "--once"]).status.code(), Some(0));
    let mut texts = asked(&service);
    texts.sort();
    assert_eq!(texts, ["hall 1 on fire", "hall 2 fine", "hall 3 fine"]);
    assert_eq!(messages(&home), ["hall 1 on fire"]);
}

#[test]
fn with_scope_line_none_of_many_new_lines_is_left_out() {
    let service = Receiver::start(judge);
    let home = Home::new();
    configure(
        &home,
        &format!(
            "{{engine: service, scope: line, service_urls: ['{}']}}",
            service.url("")
        ),
    );
    let lines: String = (0..1200)
        .map(|hall| {
            format!(
                "INFO hall {hall} {}\n",
                if hall % 400 == 7 { "on fire" } else { "fine" }
            )
        })
        .collect();
    append(&home, &lines);
    let mut program = start(&home);
    program.wait_until("all are judged", || status(&home)["ai"]["verdicts"] == 1200);
    wait_until("three are told", || alerts(&home).len() == 3);
    let mut told = messages(&home);
    told.sort();
    assert_eq!(told, ["hall 407 on fire", "hall 7 on fire", "hall 807 on fire"]);
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn a_persons_word_stands_above_the_model_and_travels_as_a_file() {
    let service = Receiver::start(judge);
    let home = Home::new();
    let ai = format!("{{engine: service, service_urls: ['{}']}}", service.url(""));
    configure(&home, &ai);
    append(&home, "INFO fire drill in hall 1\n");
    let mut program = start(&home);
    program.wait_until("the model speaks", || !alerts(&home).is_empty());
    let fingerprint = alerts(&home)[0]["fingerprint"].as_str().unwrap_or_default().to_owned();
    let said = home.output(&["verdict", "normal", &fingerprint]);
    assert!(said.status.success(), "{said:?}");
    append(&home, "INFO fire drill in hall 2\nERROR a mark\n");
    program.wait_until("the mark is there", || messages(&home).contains(&"a mark".to_owned()));
    assert_eq!(
        messages(&home),
        ["fire drill in hall 1", "a mark"],
        "a person says that it is normal"
    );
    let file = home.path("words.json");
    let file = file.to_str().expect("a path");
    let exported = home.output(&["verdict", "export", file]);
    assert!(exported.status.success(), "{exported:?}");
    assert_eq!(program.stop().code(), Some(0));

    let other = Home::new();
    configure(&other, &ai);
    let imported = other.output(&["verdict", "import", file]);
    assert!(imported.status.success(), "{imported:?}");
    append(&other, "INFO fire drill in hall 8\nINFO fire in hall 8\n");
    assert_eq!(other.output(&["run", "--once"]).status.code(), Some(0));
    assert_eq!(messages(&other), ["fire in hall 8"]);
    let id = alerts(&other)[0]["fingerprint"].as_str().unwrap_or_default().to_owned();
    for (arguments, works) in [
        (["verdict", "abnormal", "0123456789abcdef"], false),
        (["verdict", "normal", &id], true),
        (["verdict", "forget", &id], true),
        (["verdict", "forget", &id], false),
    ] {
        let output = other.output(&arguments);
        assert_eq!(output.status.success(), works, "{arguments:?}: {output:?}");
    }
}
