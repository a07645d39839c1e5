use super::*;
use crate::record::{Settings, Zone};
use serde_json::json;

fn now() -> jiff::Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn reader(format: Format) -> LineReader {
    let settings = Settings {
        format,
        zone: Zone::Named(jiff::tz::TimeZone::UTC),
        ..Settings::default()
    };
    LineReader::new(&settings, "")
}

fn details(format: Format, line: &str) -> Details {
    let mut reader = reader(format);
    let body = reader.read(line.as_bytes()).body.into_owned();
    reader.details(line.as_bytes(), &body, now())
}

fn fields(details: &Details) -> Value {
    Value::Object(details.fields.clone())
}

fn time(details: &Details) -> Option<String> {
    details.timestamp.map(|t| t.to_string())
}

#[test]
fn rfc5424_gives_all_its_parts() {
    let line = r#"<131>1 2026-11-23T06:00:01.5+02:00 gw-17 app 4711 ID7 [a@1 k="v \"x\" \]" e=""][b@2] refused: 3"#;
    let mut reader = reader(Format::Auto);
    let read = reader.read(line.as_bytes());
    assert_eq!(read.level, Some(Level::Error));
    assert_eq!(&*read.body, b"refused: 3");
    assert_eq!(reader.format_name(), "syslog");
    let got = details(Format::Auto, line);
    assert_eq!(got.message, "refused: 3");
    assert_eq!(time(&got).as_deref(), Some("2026-11-23T04:00:01.5Z"));
    assert!(!got.timestamp_guessed);
    let want = json!({"host": "gw-17", "app": "app", "procid": "4711", "msgid": "ID7", "facility": "local0",
        "structured_data": {"a@1": [["k", "v \\\"x\\\" \\]"], ["e", ""]], "b@2": []}});
    assert_eq!(fields(&got), want);
}

#[test]
fn rfc5424_without_its_version_is_read_too() {
    let line = "<28>2026-05-22T14:59:09.250-03:00 mx204 lab:rpd 6589 - - bgp_accept: %DAEMON-4: refused";
    let got = details(Format::Auto, line);
    assert_eq!(got.message, "bgp_accept: %DAEMON-4: refused");
    assert_eq!(
        fields(&got),
        json!({"host": "mx204", "app": "lab:rpd", "procid": "6589", "facility": "daemon"})
    );
    assert_eq!(time(&got).as_deref(), Some("2026-05-22T17:59:09.25Z"));
    let told = details(Format::Auto, "<28>2026-05-22T14:59:09Z mx204 lab: 6589 - - left");
    assert_eq!(told.message, "6589 - - left");
}

#[test]
fn rfc3164_of_switches_is_counted_and_marked() {
    for (line, host, message, at) in [
        (
            "<187>25: *Nov 23 06:00:01.123: %LINK-3-UPDOWN: down",
            "",
            "down",
            "2026-11-23T06:00:01.123Z",
        ),
        (
            "<187>237: core-1: Nov 23 06:00:01 UTC: %LINK-3-UPDOWN: down",
            "core-1",
            "down",
            "2026-11-23T06:00:01Z",
        ),
        (
            "<187>: 2025 Nov 23 06:00:01 UTC: %ETH-3-DOWN: down",
            "",
            "down",
            "2025-11-23T06:00:01Z",
        ),
        (
            "<187>2025 Nov 23 06:00:01 gw app: down",
            "gw",
            "down",
            "2025-11-23T06:00:01Z",
        ),
    ] {
        let got = details(Format::Auto, line);
        assert_eq!(got.message, message, "{line}");
        assert_eq!(
            got.fields.get("host").and_then(Value::as_str).unwrap_or(""),
            host,
            "{line}"
        );
        assert_eq!(time(&got).as_deref(), Some(at), "{line}");
    }
}

#[test]
fn structured_data_is_read_as_loosely_as_it_is_written() {
    let got = details(
        Format::Auto,
        r#"<13>1 2026-11-23T06:00:01Z gw app 1 - [a@1 k= "v" l="w"] x"#,
    );
    assert_eq!(got.fields["structured_data"], json!({"a@1": [["k", "v"], ["l", "w"]]}));
    let got = details(
        Format::Auto,
        r#"<46>Nov 23 06:00:01 gw rsyslogd: [software="rsyslogd" pid="1"] start"#,
    );
    assert_eq!(
        (got.message.as_str(), got.fields.get("structured_data")),
        ("start", None)
    );
}

#[test]
fn rfc3164_as_daemons_and_devices_write_it() {
    for (line, host, app, procid, message) in [
        (
            "<34>Nov 23 06:00:01 gw su: 'su root' failed",
            "gw",
            "su",
            "",
            "'su root' failed",
        ),
        ("<13>Nov 23 06:00:01 gw app[12]: hello", "gw", "app", "12", "hello"),
        ("<13>Nov 23 06:00:01 gw app[12]:hello", "gw", "app", "12", "hello"),
        (
            "<13>Nov  3 06:00:01 10.0.0.99 Use the thing",
            "10.0.0.99",
            "",
            "",
            "Use the thing",
        ),
        (
            "<133>Nov 23 06:00:01 haproxy[9]: started.",
            "",
            "haproxy",
            "9",
            "started.",
        ),
        (
            "<13>2026-11-23T06:00:01.123+00:00 gw app: hello",
            "gw",
            "app",
            "",
            "hello",
        ),
        ("<13>app: no stamp", "", "app", "", "no stamp"),
        ("<13>nothing but text", "", "", "", "nothing but text"),
        (
            "Nov 23 06:00:01 gw sshd(pam_unix)[7]: check pass; user unknown",
            "gw",
            "sshd(pam_unix)",
            "7",
            "check pass; user unknown",
        ),
        (
            "Nov 23 06:00:01 gw kernel: [WAN-D]IN=eth0 OUT=",
            "gw",
            "kernel",
            "",
            "[WAN-D]IN=eth0 OUT=",
        ),
        (
            "2026-11-23T06:00:01.123456+00:00 gw systemd[1]: Started a thing.",
            "gw",
            "systemd",
            "1",
            "Started a thing.",
        ),
    ] {
        let got = details(Format::Auto, line);
        assert_eq!(got.message, message, "{line}");
        for (key, want) in [("host", host), ("app", app), ("procid", procid)] {
            assert_eq!(
                got.fields.get(key).and_then(Value::as_str).unwrap_or(""),
                want,
                "{key} of {line}"
            );
        }
    }
    let got = details(Format::Auto, "<13>Dec 28 16:49:07 gw app: x");
    assert_eq!(
        (time(&got).as_deref(), got.timestamp_guessed),
        (Some("2025-12-28T16:49:07Z"), true)
    );
    let got = details(
        Format::Auto,
        r#"<46>Nov 23 06:00:01 gw rsyslogd:  [origin software="rsyslogd" x-pid="1"] start"#,
    );
    assert_eq!(got.message, "start");
    assert_eq!(
        got.fields["structured_data"],
        json!({"origin": [["software", "rsyslogd"], ["x-pid", "1"]]})
    );
}

#[test]
fn priority_is_the_level_unless_the_message_says_worse_or_has_a_key() {
    for (want, line) in [
        (Level::Info, "<13>Nov 23 06:00:01 gw app: all is well, no ERROR"),
        (Level::Fatal, "<0>Nov 23 06:00:01 gw app: gone"),
        (Level::Error, "<13>Nov 23 06:00:01 gw app: ERROR: refused"),
        (Level::Info, r#"<11>Nov 23 06:00:01 gw app: {"level":"info","msg":"x"}"#),
        (
            Level::Error,
            r#"<14>Nov 23 06:00:01 gw app: @cee: {"severity":"error","msg":"x"}"#,
        ),
        (
            Level::Error,
            "<14>Nov 23 06:00:01 gw app: time=2026-11-23T06:00:01Z level=error msg=x",
        ),
        (
            Level::Warn,
            "Nov 23 06:00:01 gw postfix/smtpd[1]: warning: hostname does not resolve",
        ),
    ] {
        assert_eq!(reader(Format::Auto).read(line.as_bytes()).level, Some(want), "{line}");
    }
}

#[test]
fn lines_of_one_process_are_a_stream() {
    let mut reader = reader(Format::Auto);
    let mut stream = |line: &str| reader.read(line.as_bytes()).stream;
    let one = stream("Nov 23 06:00:01 gw app[1]: a");
    assert_eq!(stream("Nov 23 06:00:02 gw app[1]: b"), one);
    assert_ne!(stream("Nov 23 06:00:02 gw app[2]: c"), one);
    assert_ne!(stream("Nov 23 06:00:02 gw2 app[1]: d"), one);
    assert_eq!(stream("plain text"), 0);
}

#[test]
fn cri_is_peeled() {
    let mut reader = reader(Format::Auto);
    let line = b"2026-11-23T06:00:01.123456789Z stderr P     at a.b(C.java:1)";
    let read = reader.read(line);
    assert_eq!(
        (&*read.body, read.partial, read.headed),
        (b"    at a.b(C.java:1)".as_slice(), true, false)
    );
    let other = reader.read(b"2026-11-23T06:00:01.1+02:00 stdout F ").stream;
    assert_ne!(other, reader.read(line).stream);
    let got = details(
        Format::Auto,
        "2026-11-23T06:00:01.123456789Z stderr F 05:00:00 ERROR refused",
    );
    assert_eq!(got.message, "refused");
    assert_eq!(time(&got).as_deref(), Some("2026-11-23T06:00:01.123456789Z"));
    assert_eq!(fields(&got), json!({"stream": "stderr"}));
    for line in [
        "2026-11-23T06:00:01.1Z stdin F x",
        "2026-11-23T06:00:01.1Z stdout X x",
        "2026-11-23T06:00:01.1Z stdout",
    ] {
        assert_eq!(&*reader.read(line.as_bytes()).body, line.as_bytes());
    }
}

#[test]
fn docker_is_peeled_and_json_inside_is_read() {
    let mut reader = reader(Format::Auto);
    let line = r#"{"log":"{\"level\":\"error\",\"msg\":\"refused\",\"user\":7}\n","stream":"stderr","time":"2026-11-23T06:00:01.5Z"}"#;
    let read = reader.read(line.as_bytes());
    assert_eq!(&*read.body, br#"{"level":"error","msg":"refused","user":7}"#);
    assert_eq!(
        (read.level, read.partial, read.headed),
        (Some(Level::Error), false, true)
    );
    assert_eq!(reader.format_name(), "docker");
    let got = details(Format::Auto, line);
    assert_eq!(got.message, "refused");
    assert_eq!(fields(&got), json!({"stream": "stderr", "user": 7}));
    assert_eq!(time(&got).as_deref(), Some("2026-11-23T06:00:01.5Z"));

    let part = reader.read(br#"{"log":"half \\n","stream":"stdout","time":"2026-11-23T06:00:01.5Z"}"#);
    assert_eq!((&*part.body, part.partial), (br"half \n".as_slice(), true));
    let plain = reader.read(br#"{"log":"plain\r\n","stream":"stdout","time":"2026-11-23T06:00:01.5Z"}"#);
    assert!(
        matches!(plain.body, Cow::Borrowed(b"plain")),
        "no escape left, so nothing is copied: {plain:?}"
    );
}

#[test]
fn what_is_not_docker_stays_as_it_is() {
    for line in [
        r#"{"log": 1, "stream": "stderr", "time": "2026-11-23T06:00:01Z"}"#,
        r#"{"log": "x", "stream": "stdout", "time": 1}"#,
        "{",
        "hello",
    ] {
        let mut reader = reader(Format::Docker);
        assert_eq!(&*reader.read(line.as_bytes()).body, line.as_bytes());
        assert_eq!(reader.take_unparsed(), 1, "{line}");
        assert_eq!(reader.take_unparsed(), 0);
    }
}

#[test]
fn logfmt_gives_its_pairs() {
    let line = r#"time=2026-11-23T06:00:01Z level=warn msg="slow \"query\"" took=3s n= bare"#;
    let read = reader(Format::Auto).read(line.as_bytes()).level;
    assert_eq!(read, Some(Level::Warn));
    let got = details(Format::Auto, line);
    assert_eq!(got.message, "slow \"query\"");
    assert_eq!(time(&got).as_deref(), Some("2026-11-23T06:00:01Z"));
    assert_eq!(fields(&got), json!({"took": "3s", "n": "", "bare": true}));
    let odd = details(Format::Logfmt, "y=\"f\\n\"y=g \u{1e} ƒ=2h3s");
    assert_eq!(fields(&odd), json!({"y": "g", "ƒ": "2h3s"}));
}

#[test]
fn what_breaks_logfmt_is_text_and_no_field_is_invented() {
    for line in [
        "=bar",
        "a==",
        "k=b=c",
        "k=b\"ar",
        "a=\"1",
        "k=\"",
        "a sentence with many words and one=pair",
    ] {
        let mut reader = reader(Format::Logfmt);
        assert_eq!(&*reader.read(line.as_bytes()).body, line.as_bytes());
        assert_eq!(reader.take_unparsed(), 1, "{line}");
        let got = details(Format::Logfmt, line);
        assert_eq!(got.message, line);
        assert!(got.fields.is_empty(), "{line}: {:?}", got.fields);
    }
}

#[test]
fn own_pattern_names_the_parts() {
    let pattern =
        regex::bytes::Regex::new(r"^(?P<timestamp>\S+) <(?P<level>\w+)> (?P<unit>\w+): (?P<message>.*)$").unwrap();
    let mut reader = reader(Format::Regex(pattern.clone()));
    let line = "2026-11-23T06:00:01Z <err> pump: stuck";
    let read = reader.read(line.as_bytes());
    assert_eq!(
        (read.level, read.header_len),
        (Some(Level::Error), line.len() - "stuck".len())
    );
    assert_eq!(reader.format_name(), "regex");
    assert!(reader.read(b"something else").level.is_none());
    assert_eq!(reader.take_unparsed(), 1);
    let got = details(Format::Regex(pattern), line);
    assert_eq!(got.message, "stuck");
    assert_eq!(fields(&got), json!({"unit": "pump"}));
    assert_eq!(time(&got).as_deref(), Some("2026-11-23T06:00:01Z"));
}

#[test]
fn auto_names_the_format_and_changes_its_mind_with_the_file() {
    let mut reader = reader(Format::Auto);
    reader.read(br#"{"level":"info","msg":"a"}"#);
    assert_eq!(reader.format_name(), "json");
    reader.read(b"a stray line");
    assert_eq!((reader.format_name(), reader.take_unparsed()), ("json", 1));
    for _ in 0..3 {
        reader.read(b"Nov 23 06:00:01 gw app[1]: x");
    }
    assert_eq!((reader.format_name(), reader.take_unparsed()), ("syslog", 0));
    let settings = Settings::default();
    assert_eq!(LineReader::new(&settings, "cri").format_name(), "cri");
    assert_eq!(LineReader::new(&settings, "unheard of").format_name(), "plain");
}

#[test]
fn only_the_first_line_of_a_trace_is_its_message() {
    let text = b"2026-11-23 06:00:01 ERROR refused\njava.lang.X: y\n\tat a.b(C.java:1)";
    let got = reader(Format::Auto).details(text, text, now());
    assert_eq!(got.message, "refused");
    assert_eq!(time(&got).as_deref(), Some("2026-11-23T06:00:01Z"));
}

#[test]
fn carriage_return_is_no_part_of_the_line() {
    let mut reader = reader(Format::Auto);
    assert_eq!(
        &*reader.read(b"2026-11-23 06:00:01 ERROR refused\r").body,
        b"2026-11-23 06:00:01 ERROR refused"
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_in_any_format_lose_nothing(
        any in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        near in "(<13>|<165>1 |2026-11-23T06:00:01Z |stderr |[FP] |\\{\"log\":\"|\"stream\":\"x\",|\"time\":\"2026|\\}|\\[a b=\"|\\]|level=|\"|\\\\|Nov 23 06:00:01 |gw |app\\[1\\]: |- ){0,12}",
    ) {
        for line in [any, near.into_bytes()] {
            if line.contains(&b'\n') {
                continue;
            }
            for format in [Format::Auto, Format::Plain, Format::Json, Format::Logfmt, Format::Syslog, Format::Cri, Format::Docker] {
                let mut reader = reader(format);
                let read = reader.read(&line);
                assert!(read.header_len <= read.body.len());
                // A body is empty only where an envelope holds nothing.
                assert!(!read.body.is_empty() || line.trim_ascii().is_empty() || read.stream != 0, "{line:?}");
                let body = read.body.into_owned();
                reader.details(&line, &body, now());
            }
        }
    }
}

/// They are taken for plain lines without a look at envelopes.
#[test]
fn the_commonest_heads_are_no_envelopes() {
    let stamps = [
        "2026-11-23T06:00:01Z",
        "2026-11-23T06:00:01.123456+02:00",
        "2026-11-23T06:00:01 UTC",
        "2026-11-23 06:00:01,123",
        "23.11.2026 06:00:01",
        "06:00:01.123",
        "1795413601",
    ];
    for stamp in stamps {
        for blanks in [" ", "  ", "   "] {
            for rest in [
                "INFO up",
                "WARN  app: up",
                "ERROR app[7]: up",
                "DEBUG F up",
                "FATAL stdout F up",
            ] {
                let line = format!("{stamp}{blanks}{rest}");
                assert!(header::commonest(line.as_bytes()).is_some(), "{line}");
                for strictness in [Strictness::Unknown, Strictness::Expected] {
                    assert_eq!(detect::form_of(line.as_bytes(), strictness), Form::Plain, "{line}");
                }
            }
        }
    }
}
