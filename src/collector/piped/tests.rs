use super::entry::Entry;

fn lines(entry: serde_json::Value) -> String {
    let mut out = Vec::new();
    Entry::parse(entry.to_string().as_bytes()).unwrap().write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn an_entry_is_written_as_syslog_with_a_header_on_each_line() {
    let entry = serde_json::json!({
        "__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1763877600000001", "_HOSTNAME": "gw 17", "SYSLOG_FACILITY": "3",
        "SYSLOG_IDENTIFIER": "my app", "_PID": "7", "PRIORITY": "4", "MESSAGE": "one\ntwo\u{0}\n",
        "_SYSTEMD_UNIT": "a\"b].service",
    });
    let header = "<28>1 2025-11-23T06:00:00.000001Z gw_17 my_app 7 - [journald unit=\"a_b_.service\"] ";
    assert_eq!(lines(entry), format!("{header}one\n{header}two \n"));
}

#[test]
fn what_a_service_prints_has_no_priority_of_its_own() {
    let entry = |priority: &str| {
        lines(serde_json::json!({
            "__REALTIME_TIMESTAMP": "1763877600000001", "_HOSTNAME": "gw", "SYSLOG_IDENTIFIER": "app", "_PID": "7",
            "PRIORITY": priority, "MESSAGE": "x", "_TRANSPORT": "stdout", "_SYSTEMD_UNIT": "a.service",
        }))
    };
    assert_eq!(
        entry("6"),
        "2025-11-23T06:00:00.000001Z gw app[7]: [journald unit=\"a.service\"] x\n"
    );
    assert!(entry("3").starts_with("<11>1 "));
}

#[test]
fn odd_values_are_data() {
    assert_eq!(lines(serde_json::json!({"PRIORITY": "3"})), "");
    assert_eq!(lines(serde_json::json!({"MESSAGE": null})), "");
    assert!(lines(serde_json::json!({"MESSAGE": ["first", "second"], "PRIORITY": "99"})).ends_with("first\n"));
    assert!(lines(serde_json::json!({"MESSAGE": [104, 105]})).ends_with(" hi\n"));
    for odd in ["", "[]", "7", "{\"MESSAGE\":"] {
        assert!(Entry::parse(odd.as_bytes()).is_none(), "{odd}");
    }
}

#[test]
fn own_entries_are_known_by_name_unit_and_pid() {
    let is_own = |entry: serde_json::Value| Entry::parse(entry.to_string().as_bytes()).unwrap().is_own(77);
    assert!(is_own(
        serde_json::json!({"SYSLOG_IDENTIFIER": "exception-log-collector"})
    ));
    assert!(is_own(
        serde_json::json!({"_SYSTEMD_UNIT": "exception-log-collector.service"})
    ));
    assert!(is_own(serde_json::json!({"_PID": "77"})));
    assert!(!is_own(
        serde_json::json!({"_PID": "78", "_SYSTEMD_UNIT": "nginx.service"})
    ));
}
