use super::*;
use crate::alert::Reason;
use crate::sample::alert;

#[test]
fn a_person_reads_severity_title_place_and_text() {
    let wording = Wording {
        zone: TimeZone::fixed(jiff::tz::offset(8)),
        language: Language::English,
    };
    assert_eq!(
        console(&alert(), &wording),
        "[ERROR] java.lang.IllegalStateException: pool exhausted
  Time: 2026-11-23 14:00:01 +08:00
  Host: gw-17
  Source: app
  Place: /var/log/app/app.log:120-121
  Found by: rule pool
  Captured: pool=main
  Labels: site=plant-7
  Alert: k3v9q2 · 5f2c9a7e11d04b3c
    | before
    > 2026-11-23 06:00:01 ERROR checkout failed
    > java.lang.IllegalStateException: pool exhausted
    | after
"
    );
}

#[test]
fn what_goes_on_tells_its_count_and_what_is_over_says_so() {
    let wording = Wording {
        zone: TimeZone::UTC,
        language: Language::Chinese,
    };
    let repeated = Alert {
        status: Status::Repeated,
        reason: Reason::Ongoing,
        count: 1834,
        total: Some(2001),
        period_ms: Some(4 * 3600 * 1000),
        ..alert()
    };
    assert_eq!(headline(&repeated, &wording, 20), "[错误 ×1834] java.lan…");
    let counted = facts(&repeated, &wording)
        .into_iter()
        .find(|f| f.name == "次数")
        .expect("a count");
    let said = "4 小时内 1834 次（7.6/分钟），共 2001 次 (2026-11-23 06:00:01 +00:00";
    assert!(counted.value.starts_with(said), "{counted:?}");
    let resolved = Alert {
        status: Status::Resolved,
        reason: Reason::Quiet,
        ..alert()
    };
    assert!(headline(&resolved, &wording, 200).starts_with("[已恢复] java"));
    let once = Alert {
        status: Status::Repeated,
        ..alert()
    };
    assert!(
        headline(&once, &wording, 200).starts_with("[错误] java"),
        "an absence that goes on has no count"
    );
}

#[test]
fn hostile_text_cannot_forge_a_line_or_move_the_cursor() {
    let hostile = Alert {
        title: "a\n[RESOLVED] b\u{1b}[2J".to_owned(),
        text: Some("x\u{1b}]0;t\u{7}y\u{202e}".to_owned()),
        ..alert()
    };
    let text = console(&hostile, &Wording::default());
    assert!(text.starts_with("[ERROR] a [RESOLVED] b\n"), "{text}");
    assert!(text.contains("    > xy\n"), "{text}");
}
