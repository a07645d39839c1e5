//! What a model says, and which model counts: one that has lost touch, one that takes another's place, how sure it is, and
//! what others have told before it.

use super::*;
use std::sync::Mutex;

/// Finds everything abnormal, under the name that stands in `model`.
fn alarmist(model: &Arc<Mutex<&'static str>>) -> Receiver {
    let model = model.clone();
    Receiver::start(move |request| {
        let name = *model.lock().expect("no test panics within");
        let one = json!({"label": 1, "confidence": 1, "model": name});
        let body = match request.line.contains("/analyze/batch") {
            true => json!({"results": vec![one; request.json()["logs"].as_array().map_or(0, Vec::len)]}),
            false => one,
        };
        Reply::Answer(200, "", body.to_string())
    })
}

#[test]
fn a_model_that_has_lost_touch_is_told_once_and_only_listened_to_until_another_comes() {
    let model = Arc::new(Mutex::new("shop 1"));
    let service = alarmist(&model);
    let home = Home::new();
    by_service(&home, &[service.url("")], "batch: 8, ");
    append(
        &home,
        &(0..160)
            .map(|number| format!("INFO {}\n", unlike(number)))
            .collect::<String>(),
    );
    let mut program = start(&home);
    program.wait_until("all is judged", || judged(&home) == 160);
    let retrain = |home: &Home| -> Vec<Value> {
        let agents = alerts(home).into_iter();
        agents
            .filter(|alert| alert["kind"] == "agent" && alert["title"].as_str().is_some_and(|t| t.contains("retrain")))
            .collect()
    };
    wait_until("it says that the model is to be trained anew", || {
        !retrain(&home).is_empty()
    });
    let told = alerts(&home).len();
    assert!(told < 130, "it stops telling what such a model finds: {told}");
    assert_eq!(status(&home)["ai"]["mode"], "shadow: retrain the model");
    assert_eq!(program.stop().code(), Some(0));

    append(
        &home,
        &(160..300)
            .map(|number| format!("INFO {}\n", unlike(number)))
            .collect::<String>(),
    );
    append(&home, &format!("INFO {}\n", unlike(0)));
    let mut program = start(&home);
    program.wait_until("all is judged after a restart", || judged(&home) == 300);
    assert_eq!(status(&home)["ai"]["mode"], "shadow: retrain the model");
    assert_eq!(
        (alerts(&home).len(), retrain(&home).len()),
        (told, 1),
        "nothing more, also after a restart"
    );

    *model.lock().expect("no test panics within") = "shop 2";
    append(&home, &format!("INFO {}\n", unlike(300)));
    program.wait_until("the new model speaks", || messages(&home).contains(&unlike(300)));
    assert_eq!(status(&home)["ai"]["mode"], "alert");
    let last = alerts(&home).pop().unwrap_or_default();
    assert_eq!(last["detectors"][0]["model"], "shop 2", "{last:#}");
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn a_model_that_finds_all_news_abnormal_and_knows_the_rest_goes_on_alerting() {
    let service = Receiver::start(judge);
    let home = Home::new();
    by_service(&home, &[service.url("")], "");
    let usual: String = (0..30)
        .map(|number| format!("INFO {}\n", unlike(number)).repeat(8))
        .collect();
    append(&home, &usual);
    let mut program = start(&home);
    program.wait_until("the usual is judged", || judged(&home) == 30);
    append(
        &home,
        &(30..75)
            .map(|number| format!("INFO fire {}\n", unlike(number)))
            .collect::<String>(),
    );
    program.wait_until("the news are told", || alerts(&home).len() == 45);
    assert_eq!(status(&home)["ai"]["mode"], "alert");
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn while_instances_are_brought_up_to_date_the_newer_model_judges() {
    let models = [Arc::new(Mutex::new("shop 1")), Arc::new(Mutex::new("shop 1"))];
    let services = models.each_ref().map(alarmist);
    let home = Home::new();
    by_service(
        &home,
        &services.each_ref().map(|service| service.url("")),
        "mode: shadow, batch: 1, ",
    );
    append(&home, &format!("INFO {}\n", unlike(0)));
    let mut program = start(&home);
    program.wait_until("it is judged", || judged(&home) == 1);
    *models[1].lock().expect("no test panics within") = "shop 2";
    append(
        &home,
        &(1..30)
            .map(|number| format!("INFO {}\n", unlike(number)))
            .collect::<String>(),
    );
    program.wait_until("the newer model judges", || status(&home)["ai"]["model"] == "shop 2");
    append(
        &home,
        &(30..60)
            .map(|number| format!("INFO {}\n", unlike(number)))
            .collect::<String>(),
    );
    let newer_has_all = || {
        let status = status(&home);
        status["ai"]["model"] == "shop 2"
            && status["ai"]["pending"] == 0
            && status["ai"]["verdicts"].as_u64() >= Some(30)
    };
    program.wait_until("the newer model has judged what came since", newer_has_all);
    let asked = services.each_ref().map(Receiver::count).iter().sum::<usize>();
    append(
        &home,
        &(30..60)
            .map(|number| format!("INFO {}\n", unlike(number)))
            .collect::<String>(),
    );
    append(&home, "ERROR a mark\n");
    program.wait_until("they were read again", || {
        messages(&home).contains(&"a mark".to_owned())
    });
    wait_until("the mark is judged", || status(&home)["ai"]["pending"] == 0);
    let after = services.each_ref().map(Receiver::count).iter().sum::<usize>();
    assert!(
        after <= asked + 10,
        "what the newer model has judged is not asked about again: {asked}, {after}"
    );
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn what_a_level_has_told_already_is_said_again_only_if_the_model_finds_it_worse() {
    for (severity, said) in [("warn", 1), ("fatal", 2)] {
        let service = Receiver::start(judge);
        let home = Home::new();
        by_service(&home, &[service.url("")], &format!("severity: {severity}, "));
        append(&home, "ERROR fire in the cellar\n");
        let mut program = start(&home);
        program.wait_until("it is judged", || judged(&home) == 1);
        wait_until("it is told", || alerts(&home).len() >= said);
        let of_first = alerts(&home);
        assert_eq!(of_first.len(), said, "{severity}: {of_first:#?}");
        let last = &of_first[said - 1];
        let names = |alert: &Value| -> Vec<String> {
            let detectors = alert["detectors"].as_array().cloned().unwrap_or_default();
            detectors
                .iter()
                .map(|detector| detector["analyzer"].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        if said == 2 {
            assert_eq!(
                (&last["severity"], &last["late"]),
                (&"fatal".into(), &true.into()),
                "{last:#}"
            );
            assert_eq!(names(last), ["level", "ai"]);
        }
        append(&home, "ERROR fire in the cellar\n");
        program.wait_until("the next one is told", || alerts(&home).len() > said);
        let next = alerts(&home).pop().unwrap_or_default();
        let worst = if severity == "fatal" { "fatal" } else { "error" };
        assert_eq!(
            (names(&next), &next["severity"]),
            (vec!["level".into(), "ai".into()], &worst.into()),
            "{next:#}"
        );
        assert_eq!(program.stop().code(), Some(0));
    }
}

#[test]
fn a_verdict_without_confidence_passes_and_one_in_shadow_is_counted() {
    let service = Receiver::start(|request| {
        let one = json!({"label": 1});
        match request.line.contains("/analyze/batch") {
            true => answer(404),
            false if request.line.starts_with("POST") => Reply::Answer(200, "", one.to_string()),
            false => answer(200),
        }
    });
    for (more, told, shadowed) in [("min_confidence: 0.99, ", 2, 0), ("mode: shadow, ", 0, 2)] {
        let home = Home::new();
        by_service(&home, &[service.url("")], more);
        append(&home, "INFO fire\nINFO water\n");
        let mut program = start(&home);
        program.wait_until("both are judged", || judged(&home) == 2);
        wait_until("what is to be told is told", || alerts(&home).len() == told);
        let status = status(&home);
        assert_eq!(
            (&status["ai"]["abnormal"], &status["ai"]["shadowed"]),
            (&2.into(), &shadowed.into()),
            "{more}: {status:#}"
        );
        for alert in alerts(&home) {
            assert_eq!(alert["detectors"][0]["confidence"], Value::Null, "{alert:#}");
        }
        assert_eq!(program.stop().code(), Some(0));
    }
}
