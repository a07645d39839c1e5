use super::*;

fn verdict(text: &str) -> Option<Verdict> {
    read_one(&serde_json::from_str(text).unwrap())
}

#[test]
fn only_a_label_of_0_or_1_with_a_confidence_between_them_is_a_verdict() {
    for (text, abnormal) in [
        (r#"{"label": 1, "confidence": 0.5}"#, Some(true)),
        (r#"{"label": 0}"#, Some(false)),
        (r#"{"label": 1.0, "confidence": null}"#, Some(true)),
        (r#"{"label": true, "confidence": 1}"#, Some(true)),
        (r#"{"label": 7, "confidence": 1}"#, None),
        (r#"{"label": -1}"#, None),
        (r#"{"label": "1"}"#, None),
        (r#"{"label": 1, "confidence": 1.01}"#, None),
        (r#"{"label": 1, "confidence": "high"}"#, None),
        (r#"{"confidence": 1}"#, None),
        (r#"[1]"#, None),
    ] {
        assert_eq!(verdict(text).map(|verdict| verdict.abnormal), abnormal, "{text}");
    }
}

#[test]
fn a_batch_has_as_many_results_as_messages() {
    let batch = |text: &str| read_batch(&serde_json::from_str(text).unwrap(), 2);
    let good = batch(r#"{"results": [{"label": 0, "model": " m 1\u0007 "}, {"label": 1}]}"#).unwrap();
    assert_eq!((good.model.as_str(), good.verdicts.len()), ("m 1", 2));
    for bad in [
        r#"{"results": [{"label": 0}]}"#,
        r#"{"results": [{"label": 0}, {"label": 0}, {"label": 0}]}"#,
        r#"{"results": [{"label": 0}, {}]}"#,
        r#"{"results": {"0": {"label": 0}}}"#,
        "[]",
    ] {
        assert!(batch(bad).is_err(), "{bad}");
    }
}

#[test]
fn equals_take_turns_the_busy_are_left_alone_and_the_ejected_are_not_asked() {
    let urls = ["http://a", "http://b", "http://c"].map(str::to_owned);
    let service = Service::new(&urls, Duration::from_secs(1), Arc::default()).unwrap();
    let now = Instant::now();
    let picks: Vec<usize> = (0..3)
        .filter_map(|_| service.pick(&[], now))
        .map(|(index, _)| index)
        .collect();
    assert_eq!(picks, [0, 1, 2]);
    assert!(service.endpoints[0].begin(now) && service.endpoints[1].begin(now));
    for _ in 0..3 {
        assert_eq!(
            service.pick(&[], now),
            Some((2, Gate::Open)),
            "the one with nothing under way"
        );
    }
    for _ in 0..3 {
        assert!(service.endpoints[2].begin(now));
        service.endpoints[2].failed(now);
    }
    assert_ne!(service.pick(&[], now).map(|(index, _)| index), Some(2), "it rests");
    assert_eq!(service.pick(&[0, 1], now), None);
    let hour_later = now + Duration::from_secs(3600);
    assert_eq!(service.pick(&[0, 1], hour_later), Some((2, Gate::Probe)));
    assert_eq!(service.endpoints[0].label(), "http://a");
    assert_eq!(Endpoint::new("https://u:p@h:8443/x/").label(), "https://h:8443");
}
