use super::*;

fn pulse(folder: &Path) -> Pulse {
    Pulse::new(
        Arc::new(Notifier::from_environment()),
        folder,
        Arc::new(Metrics::default()),
    )
}

fn beats(pulse: &mut Pulse, after: Duration) -> bool {
    pulse.beaten = false;
    pulse.collect(Instant::now() + after);
    pulse.may_beat()
}

#[test]
fn it_beats_when_all_have_answered_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut pulse = pulse(folder.path());
    let collector = pulse.expect("collector", PATIENCE, false).unwrap();
    let analyzer = pulse.expect("analyzer 0", PATIENCE, true).unwrap();
    assert!(!beats(&mut pulse, Duration::ZERO));
    collector.send(()).unwrap();
    assert!(!beats(&mut pulse, Duration::ZERO));
    analyzer.send(()).unwrap();
    assert!(beats(&mut pulse, Duration::ZERO));
    pulse.beat();
    assert!(folder.path().join("heartbeat").exists());
}

#[test]
fn a_thread_that_never_answers_is_stuck_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut pulse = pulse(folder.path());
    let _silent = pulse.expect("keeper", PATIENCE, false).unwrap();
    assert!(!beats(&mut pulse, PATIENCE));
    assert_eq!(pulse.metrics.stuck(), ["keeper"]);
}

#[test]
fn analyzers_behind_a_full_outbox_and_couriers_at_work_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut pulse = pulse(folder.path());
    let _analyzer = pulse.expect("analyzer 0", PATIENCE, true).unwrap();
    let _courier = pulse.expect("courier ops", COURIER_PATIENCE, false).unwrap();
    pulse.metrics.reading_blocked.store(true, Ordering::Relaxed);
    assert!(beats(&mut pulse, PATIENCE));
    assert!(!beats(&mut pulse, COURIER_PATIENCE), "but not for ever");
}
