use super::*;

const ALL: [Pattern; 4] = [
    Pattern::Builtin(Set::Secrets),
    Pattern::Builtin(Set::Emails),
    Pattern::Builtin(Set::Ips),
    Pattern::Builtin(Set::Cards),
];

fn redacted(text: &str) -> String {
    let mut text = text.to_string();
    Redactor::new(&ALL, b"key of this host").redact(&mut text);
    text
}

/// Each sample with the part of it that must never be seen.
const SAMPLES: &[(&str, &str)] = &[
    ("login failed password=hunter2secret for bob", "hunter2secret"),
    ("login failed Password: hunter2secret", "hunter2secret"),
    (r#"{"user":"bob","password":"hunt er2"}"#, "hunt er2"),
    (r#"body={\"password\":\"hunter2\"}"#, "hunter2"),
    ("db.password=hunter2", "hunter2"),
    ("DB_PASSWORD=hunter2", "hunter2"),
    ("dbPassword => 'hunt er2'", "hunt er2"),
    ("passwd:hunter2", "hunter2"),
    ("pwd = hunter2;", "hunter2"),
    ("?user=a&token=abcdef12345&x=1", "abcdef12345"),
    ("api_key=abcdef12345", "abcdef12345"),
    ("apiKey: abcdef12345", "abcdef12345"),
    ("X-API-Key: abcdef12345", "abcdef12345"),
    ("client_secret=abcdef12345", "abcdef12345"),
    ("AccountKey=abc+def/12345==;EndpointSuffix=core", "abc+def/12345"),
    ("Server=db;User Id=sa;Password=hunter2;", "hunter2"),
    ("Authorization: Bearer abc.def-123456", "abc.def-123456"),
    ("authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
    (r#""Authorization": "Token abcdef12345""#, "abcdef12345"),
    ("curl -u bob:hunter2 https://example.org", "hunter2"),
    ("postgres://bob:hunter2@db.example.org/shop", "hunter2"),
    ("amqp://svc:p%40ss@mq:5672", "p%40ss"),
    ("https://:onlypassword@example.org", "onlypassword"),
    (
        "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl ok",
        "eyJzdWIiOiJib2IifQ",
    ),
    ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "0123456789abcdefghij"),
    ("glpat-ABCdef0123456789xyz_", "ABCdef0123456789xyz"),
    (concat!("xox", "b-123456789012-abcdefABCDEF"), "abcdefABCDEF"),
    (concat!("sk_", "live_abcdefghij0123456789"), "abcdefghij0123456789"),
    ("AIzaSyA0123456789abcdefghijklmnopqrstuvw", "SyA0123456789abcdef"),
    (
        "bot 123456789:AAabcdefghijklmnopqrstuvwxyz0123456 said",
        "AAabcdefghijklmnopqrstuvwxyz0123456",
    ),
    ("POST https://hooks.slack.com/services/T0/B0/abcdef", "T0/B0/abcdef"),
    (
        "https://oapi.dingtalk.com/robot/send?access_token=abcdef12345",
        "abcdef12345",
    ),
    (
        "https://open.feishu.cn/open-apis/bot/v2/hook/abcdef-12345",
        "abcdef-12345",
    ),
    (
        "root:$6$saltsalt$abcdefghijklmnopqrstuv:19000:0",
        "abcdefghijklmnopqrstuv",
    ),
    ("<password>hunter2</password>", "hunter2"),
    ("mysqldump --password hunter2 shop", "hunter2"),
    ("CREATE USER bob IDENTIFIED BY 'hunter2'", "hunter2"),
    ("the password is 'hunter2'", "hunter2"),
    ("Cookie: session=abcdef12345; theme=dark", "abcdef12345"),
    ("Set-Cookie: sid=abcdef12345; HttpOnly", "abcdef12345"),
    ("sessionId=abcdef12345", "abcdef12345"),
    ("密码: hunter2", "hunter2"),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef\n-----END RSA PRIVATE KEY-----",
        "MIIEabc",
    ),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\ncut off", "b3BlbnNz"),
    ("mail to bob.smith+x@mail.example.co.uk bounced", "bob.smith"),
    ("from 192.168.17.4 port 22", "192.168.17.4"),
    ("from 2001:db8::8a2e:370:7334 port 22", "8a2e:370:7334"),
    ("peer fe80:0:0:0:0:0:0:1", "fe80:0:0"),
    ("card 4111 1111 1111 1111 declined", "1111"),
    ("card 5500-0000-0000-0004 declined", "0000-0004"),
];

#[test]
fn no_secret_of_the_list_is_seen() {
    let seen: Vec<_> = SAMPLES
        .iter()
        .map(|(text, secret)| (redacted(text), *secret))
        .filter(|(text, secret)| text.contains(secret))
        .collect();
    assert!(seen.is_empty(), "{seen:#?}");
}

#[test]
fn ordinary_text_stays_as_it_is() {
    for text in [
        "2026-11-23 06:00:01,123 ERROR pool exhausted after 30 s",
        "connection from port 8080 closed: reset by peer",
        "user bob logged in",
        "token expired",
        "password authentication failed for user bob",
        "version 1.2.3.4567 built at 12:34:56",
        "order 1234567890123456 shipped",
        "at com.example.Foo.bar(Foo.java:42)",
        "std::vector<int>::at and ns::f",
        "basic settings loaded",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn equal_values_stay_recognisable_and_differ_between_hosts() {
    let twice = redacted("password=hunter2 then password=hunter2");
    let parts: Vec<&str> = twice.split(' ').collect();
    assert_eq!(parts[0], parts[2], "{twice}");
    let mut other = "password=hunter2".to_string();
    Redactor::new(&ALL, b"another host").redact(&mut other);
    assert_ne!(other, parts[0]);
}

#[test]
fn fields_with_secret_keys_are_redacted_whole() {
    let mut fields = serde_json::from_str::<serde_json::Map<String, Value>>(
        r#"{"password":"plain words","nested":{"api_key":"k","path":"/a"},"note":"mail bob@example.org"}"#,
    )
    .unwrap();
    Redactor::new(&ALL, b"k").redact_map(&mut fields);
    let text = serde_json::to_string(&fields).unwrap();
    assert!(
        !text.contains("plain words") && !text.contains("\"k\"") && !text.contains("bob@"),
        "{text}"
    );
    assert!(text.contains("/a"), "{text}");
}

#[test]
fn own_patterns_replace_their_match() {
    let pattern = Pattern::Own {
        name: "iccid".into(),
        regex: Regex::new(r"\b89\d{17}\b").unwrap(),
    };
    let mut text = "modem 8949123456789012345 lost".to_string();
    Redactor::new(&[pattern], b"k").redact(&mut text);
    assert!(text.starts_with("modem <iccid:") && text.ends_with("> lost"), "{text}");
}

#[test]
fn without_patterns_nothing_changes() {
    let mut text = "password=x".to_string();
    Redactor::default().redact(&mut text);
    assert_eq!(text, "password=x");
}
