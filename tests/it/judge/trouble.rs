//! The judge in trouble: services that fail in every way, too much that waits, kills. Rules
//! are never late, no template is lost, no verdict counts twice.

use super::*;
use crate::program::DEADLINE;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[test]
fn batches_that_are_no_answers_are_asked_about_again_and_judged_once() {
    let results = |count: usize| json!({"results": vec![json!({"label": 1, "confidence": 1}); count]}).to_string();
    let wrong = [
        Reply::Answer(200, "", results(5)),
        Reply::Answer(200, "", results(7)),
        Reply::Answer(200, "", r#"{"results": [1, 2, 3, 4, 5, 6]}"#.to_owned()),
        Reply::Answer(500, "", results(6)),
        Reply::Answer(302, "Location: http://127.0.0.1:1/\r\n", results(6)),
        Reply::Hang,
        Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"results\": ["),
    ];
    let count = Arc::new(AtomicUsize::new(0));
    let service = Receiver::start({
        let (count, wrong) = (count.clone(), wrong.clone());
        move |request| match request.line.starts_with("POST") {
            true => match wrong.get(count.fetch_add(1, Ordering::SeqCst)) {
                Some(reply) => reply.clone(),
                None => judge(request),
            },
            false => answer(200),
        }
    });
    let home = Home::new();
    // One and the same service by two names: the rests after failures are shorter.
    let urls = [service.url(""), service.url("").replace("127.0.0.1", "localhost")];
    by_service(&home, &urls, "timeout: 300ms, ");
    append(
        &home,
        "INFO fire\nINFO water\nINFO earth\nINFO air\nINFO fire again and again\nINFO dust\n",
    );
    let mut program = start(&home);
    program.wait_until("all are judged", || judged(&home) == 6);
    wait_until("both are told", || alerts(&home).len() == 2);
    assert_eq!(count.load(Ordering::SeqCst), wrong.len() + 1, "one answer was enough");
    let mut told = messages(&home);
    told.sort();
    assert_eq!(told, ["fire", "fire again and again"]);
    let requests = &status(&home)["ai"]["requests"];
    let of = |outcome: &str| -> u64 {
        let endpoints = requests.as_object().expect("endpoints").values();
        endpoints.filter_map(|outcomes| outcomes[outcome].as_u64()).sum()
    };
    assert_eq!(
        ["ok", "garbage", "error", "timeout"].map(of),
        [1, 3, 3, 1],
        "each request is counted once: {requests:#}"
    );
    assert_eq!(program.stop().code(), Some(0));
}

/// How long each rule's alert took from the write of its line.
struct Delays {
    written: Mutex<BTreeMap<String, Instant>>,
    seen: BTreeMap<String, Duration>,
}

impl Delays {
    fn look(&mut self, home: &Home) {
        let now = Instant::now();
        let written = self.written.lock().expect("no test panics within");
        for message in messages(home) {
            if let (Some(at), false) = (written.get(&message), self.seen.contains_key(&message)) {
                self.seen.insert(message, now - *at);
            }
        }
    }

    fn percentile(&self, share: f64) -> Duration {
        let mut all: Vec<Duration> = self.seen.values().copied().collect();
        all.sort_unstable();
        all[((all.len() as f64 * share).ceil() as usize).clamp(1, all.len()) - 1]
    }
}

#[test]
fn two_of_three_instances_die_under_load_and_rules_do_not_notice() {
    const LINES: usize = 400;
    const RULE_EVERY: usize = 4;
    // More new templates in one chunk would be left out.
    const AT_ONCE: usize = 100;
    let deaths: [Arc<AtomicUsize>; 3] = Default::default();
    let answered: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let services = deaths.clone().map(|death| {
        let answered = answered.clone();
        Receiver::start(move |request| match death.load(Ordering::SeqCst) {
            0 => {
                let body = if request.line.starts_with("POST") {
                    request.json()
                } else {
                    Value::Null
                };
                let logs = body["logs"]
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![body["log"].clone()]);
                let mut answered = answered.lock().expect("no test panics within");
                for log in logs.iter().filter_map(Value::as_str) {
                    *answered.entry(log.to_owned()).or_default() += 1;
                }
                judge(request)
            }
            1 => Reply::Raw("HTTP/1.1 200 OK\r\nContent-"),
            _ => Reply::Hang,
        })
    });
    let home = Home::new();
    by_service(
        &home,
        &services.each_ref().map(|service| service.url("")),
        "timeout: 500ms, batch: 4, ",
    );
    append(&home, "");
    let mut program = start(&home);
    let mut delays = Delays {
        written: Mutex::default(),
        seen: BTreeMap::new(),
    };
    for number in 0..LINES {
        match number {
            100 => deaths[0].store(1, Ordering::SeqCst),
            150 => deaths[2].store(2, Ordering::SeqCst),
            _ => {}
        }
        let text = unlike(number);
        append(&home, &format!("INFO {text}\n"));
        if number % RULE_EVERY == 0 {
            let message = format!("pump {text}");
            append(&home, &format!("ERROR {message}\n"));
            delays
                .written
                .lock()
                .expect("no test panics within")
                .insert(message, Instant::now());
        }
        delays.look(&home);
        if number % AT_ONCE == 0 {
            program.wait_until("all rules have spoken", || {
                delays.look(&home);
                delays.seen.len() == number / RULE_EVERY + 1
            });
        }
    }
    let rules = LINES / RULE_EVERY;
    program.wait_until("each rule has spoken", || {
        delays.look(&home);
        delays.seen.len() == rules
    });
    if !crate::program::wait_until_or(DEADLINE, || judged(&home) as usize == LINES + rules) {
        panic!("not all is judged: {:#}\n{}", status(&home)["ai"], program.stderr());
    }
    let (median, slow) = (delays.percentile(0.5), delays.percentile(0.99));
    println!("delay of rules while two of three instances die: median {median:?}, p99 {slow:?}");
    assert!(
        slow < Duration::from_secs(5),
        "a rule waited for the model: p99 {slow:?}"
    );
    let answered = answered.lock().expect("no test panics within");
    assert_eq!(answered.len(), LINES + rules, "no template is lost");
    let twice: Vec<_> = answered.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "asked about again after an answer: {twice:?}");
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn killed_again_and_again_it_judges_everything_and_tells_it_once() {
    const TEMPLATES: usize = 60;
    let service = Receiver::start(judge);
    let home = Home::new();
    by_service(&home, &[service.url("")], "batch: 2, ");
    let line = |number: usize| match number % 3 {
        0 => format!("INFO fire {}\n", unlike(number)),
        _ => format!("INFO {}\n", unlike(number)),
    };
    append(&home, &(0..TEMPLATES).map(line).collect::<String>());
    for kill in 0..8 {
        let before = service.count();
        let mut program = start(&home);
        program.wait_until("it asks again", || {
            service.count() > before + kill % 3 || judged(&home) as usize == TEMPLATES
        });
        program.kill();
    }
    let mut program = start(&home);
    program.wait_until("all is judged", || judged(&home) as usize == TEMPLATES);
    wait_until("all is told", || alerts(&home).len() >= TEMPLATES / 3);
    let mut told = messages(&home);
    told.sort();
    let all = told.len();
    told.dedup();
    assert_eq!((all, told.len()), (TEMPLATES / 3, TEMPLATES / 3), "each once: {told:?}");
    assert!(alerts(&home).iter().all(|alert| alert["late"] == true));
    assert_eq!(program.stop().code(), Some(0));
    assert_eq!(alerts(&home).len(), TEMPLATES / 3);
}

#[test]
fn what_finds_no_room_is_counted_told_and_asked_about_when_it_comes_again() {
    let works = Arc::new(AtomicUsize::new(0));
    let service = Receiver::start({
        let works = works.clone();
        move |request| match works.load(Ordering::SeqCst) {
            0 => answer(500),
            _ => judge(request),
        }
    });
    let home = Home::new();
    by_service(&home, &[service.url("")], "max_pending: 3, ");
    let log = "INFO fire in the cellar\nINFO water\nINFO earth\nINFO air\nINFO fire on the roof\nERROR a mark\n";
    append(&home, log);
    let mut program = start(&home);
    program.wait_until("the mark is there", || !alerts(&home).is_empty());
    wait_until("what found no room is counted", || {
        status(&home)["ai"]["dropped"].as_u64() >= Some(2)
    });
    assert_eq!(status(&home)["ai"]["pending"], 3);
    assert_eq!(
        program.stderr().matches("find no room").count(),
        1,
        "{}",
        program.stderr()
    );
    let text = home.output(&["status"]).stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("3 wait (") && text.contains("found no room)"), "{text}");
    works.store(1, Ordering::SeqCst);
    program.wait_until("those that waited are judged", || judged(&home) == 3);
    append(&home, log);
    program.wait_until("the others are judged when they come again", || judged(&home) == 6);
    let both =
        |home: &Home| ["fire in the cellar", "fire on the roof"].map(|text| messages(home).contains(&text.to_owned()));
    wait_until("both fires are told", || both(&home) == [true, true]);
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn it_stops_in_time_while_the_service_hangs() {
    let service = Receiver::start(|_| Reply::Hang);
    let home = Home::new();
    by_service(&home, &[service.url("")], "timeout: 10m, ");
    append(&home, "INFO fire\n");
    let mut program = start(&home);
    program.wait_until("the service is asked", || service.count() > 0);
    let begun = Instant::now();
    assert_eq!(program.stop().code(), Some(0));
    assert!(begun.elapsed() < DEADLINE / 2, "{:?}", begun.elapsed());
}

#[test]
fn the_judge_is_in_the_metrics() {
    let service = Receiver::start(judge);
    let home = Home::new();
    by_service(&home, &[service.url("")], "");
    let configured = fs::read_to_string(home.path("config.yaml")).expect("just written");
    fs::write(
        home.path("config.yaml"),
        format!("{configured}metrics: {{listen: '127.0.0.1:0'}}\n"),
    )
    .expect("our folder");
    append(&home, "INFO fire\nINFO water\n");
    let mut program = start(&home);
    program.wait_until("both are judged", || judged(&home) == 2);
    let port = crate::observed::port(&program);
    let (_, text) = crate::observed::ask(port, "/metrics", "");
    let endpoint = service.url("");
    for line in [
        &format!("elc_ai_requests_total{{endpoint=\"{endpoint}\",outcome=\"ok\"}} ") as &str,
        "# TYPE elc_ai_seconds histogram",
        "elc_ai_seconds_bucket{le=\"0.005\"} ",
        "elc_ai_seconds_bucket{le=\"+Inf\"} ",
        "elc_ai_seconds_sum ",
        "elc_ai_seconds_count ",
        "elc_ai_verdicts_total{verdict=\"normal\"} 1",
        "elc_ai_verdicts_total{verdict=\"abnormal\"} 1",
        "elc_ai_pending 0",
        "elc_ai_dropped_total 0",
        "elc_ai_away 0",
        "elc_templates{source=\"app\"} 2",
    ] {
        assert!(text.contains(&format!("\n{line}")), "no `{line}` in\n{text}");
    }
    assert_eq!(program.stop().code(), Some(0));
}
