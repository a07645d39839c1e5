use super::*;

fn level(line: &str) -> Option<Level> {
    scan(line.as_bytes()).expect("an object").level
}

#[test]
fn levels_of_all_loggers() {
    for (want, line) in [
        (Some(Level::Error), r#"{"ts":1.7e9,"level":"error","msg":"x"}"#),
        (
            Some(Level::Error),
            r#"{"name":"a","pid":1,"level":50,"msg":"level 10","v":0}"#,
        ),
        (
            Some(Level::Info),
            r#"{"reqId":"a","level":1,"time":"2026-11-23T06:00:01+00:00","message":"x"}"#,
        ),
        (Some(Level::Error), r#"{"version":"1.1","short_message":"x","level":3}"#),
        (
            Some(Level::Error),
            r#"{"message":"x","context":{"level":"info"},"level":400,"level_name":"ERROR"}"#,
        ),
        (
            Some(Level::Warn),
            r#"{"t":{"$date":"2026-11-23T06:00:01Z"},"s":"W",  "c":"A","ctx":"m","msg":"x"}"#,
        ),
        (
            Some(Level::Error),
            r#"{"@timestamp":"2026-11-23T06:00:01Z","log.level":"error","message":"x"}"#,
        ),
        (
            Some(Level::Warn),
            r#"{"log":{"level":"warn","logger":"a"},"message":"x"}"#,
        ),
        (
            Some(Level::Info),
            r#"{"@t":"2026-11-23T06:00:01Z","@mt":"x {y}","y":1}"#,
        ),
        (
            Some(Level::Fatal),
            r#"{"@t":"2026-11-23T06:00:01Z","@mt":"x","@l":"Fatal"}"#,
        ),
        (Some(Level::Error), r#"{"MESSAGE":"x","PRIORITY":"3","_PID":"1"}"#),
        (Some(Level::Error), r#"{"severityNumber":17,"body":"x"}"#),
        (Some(Level::Debug), r#"{"levelno":10,"message":"x"}"#),
        (Some(Level::Error), r#"{"Level":"Error","Message":"x"}"#),
        (
            Some(Level::Warn),
            r#"{"logLevel":"WARNING","text":"a \" quote, {brace} and \\"}"#,
        ),
        (None, r#"{"msg":"\"level\":\"error\"","nested":{"level":"error"}}"#),
        (None, r#"{"level":"purple"}"#),
        (None, r#"{"s":"W","msg":"not MongoDB"}"#),
        (None, "{}"),
        (None, " { } "),
    ] {
        assert_eq!(level(line), want, "{line}");
    }
}

#[test]
fn what_is_no_object_is_told() {
    for line in [
        "",
        "{",
        "}",
        "[1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":1,}",
        "{a:1}",
        "x{\"a\":1}",
        "{\"a\":\"b}",
        "{'a':1}",
    ] {
        assert_eq!(scan(line.as_bytes()), None, "{line}");
    }
}

fn read(line: &str) -> Details {
    let zone = jiff::tz::TimeZone::UTC;
    let moments = detail::Moments {
        zone: &zone,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    details(line.as_bytes(), &moments).expect("valid JSON")
}

#[test]
fn message_time_and_level_are_lifted_out_and_all_else_is_a_field() {
    let got = read(r#"{"time":"2026-11-23T06:00:01Z","level":"error","msg":"refused","user":{"id":7},"n":1}"#);
    assert_eq!(got.message, "refused");
    assert_eq!(
        got.timestamp.map(|t| t.to_string()).as_deref(),
        Some("2026-11-23T06:00:01Z")
    );
    assert_eq!(Value::Object(got.fields).to_string(), r#"{"user":{"id":7},"n":1}"#);
}

#[test]
fn times_in_all_their_shapes() {
    for (want, line) in [
        ("2026-11-23T06:00:01.25Z", r#"{"ts":1795413601.25,"msg":"zap"}"#),
        ("2026-11-23T06:00:01.123Z", r#"{"time":1795413601123,"msg":"pino"}"#),
        (
            "2026-11-23T06:00:01.123Z",
            r#"{"t":{"$date":"2026-11-23T06:00:01.123+00:00"},"msg":"mongo"}"#,
        ),
        (
            "2026-11-23T06:00:01.000000005Z",
            r#"{"instant":{"epochSecond":1795413601,"nanoOfSecond":5},"message":"log4j2"}"#,
        ),
        (
            "2026-11-23T06:00:01.000001Z",
            r#"{"__REALTIME_TIMESTAMP":"1795413601000001","MESSAGE":"journald"}"#,
        ),
        (
            "2026-11-23T06:00:01.123Z",
            r#"{"asctime":"2026-11-23 06:00:01,123","message":"python"}"#,
        ),
    ] {
        assert_eq!(
            read(line).timestamp.map(|t| t.to_string()).as_deref(),
            Some(want),
            "{line}"
        );
    }
    let odd = read(r#"{"time":"yesterday","msg":"x"}"#);
    assert_eq!(odd.timestamp, None);
    assert_eq!(odd.fields.get("time"), Some(&Value::from("yesterday")));
}

#[test]
fn messages_inside_other_members_are_found() {
    assert_eq!(
        read(r#"{"fields":{"message":"yaks","n":3},"level":"INFO"}"#).message,
        "yaks"
    );
    assert_eq!(read(r#"{"body":{"stringValue":"otel"}}"#).message, "otel");
    assert_eq!(
        read(r#"{"err":{"message":"pino","stack":"s"},"level":50}"#).message,
        "pino"
    );
    assert_eq!(read(r#"{"a":1}"#).message, "");
}

#[test]
fn escapes_are_resolved() {
    assert_eq!(
        unescape(br#"a\tb\\n\"\/\u00e9\ud83d\ude00\q"#),
        "a\tb\\n\"/é😀\\q".as_bytes()
    );
    assert_eq!(unescape(br"\ud83d \u12"), "\u{FFFD} \u{FFFD}12".as_bytes());
    assert_eq!(unescape(br"\"), b"\\");
}

proptest::proptest! {
    #[test]
    fn what_serde_accepts_the_scanner_accepts(level in "(error|warn|info)", text in "\\PC{0,20}", n in proptest::num::i64::ANY, late in proptest::bool::ANY) {
        let mut map = Map::new();
        if !late {
            map.insert("level".to_owned(), Value::from(level.clone()));
        }
        map.insert("text".to_owned(), Value::from(text.clone()));
        map.insert("deep".to_owned(), serde_json::json!({"a": [n, text, {"level": "fatal"}]}));
        if late {
            map.insert("level".to_owned(), Value::from(level.clone()));
        }
        let line = Value::Object(map).to_string();
        assert_eq!(scan(line.as_bytes()).map(|scan| scan.level), Some(level::from_word(level.as_bytes())));
    }

    #[test]
    fn any_bytes_are_scanned_without_a_panic(any in proptest::collection::vec(proptest::num::u8::ANY, 0..60), near in "[{}\\[\\]\",:\\\\u0-9a-f ]{0,50}") {
        for text in [any, [b"{".as_slice(), near.as_bytes(), b"}"].concat()] {
            scan(&text);
            unescape(&text);
        }
    }
}
