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

/// Each line is JSON: a text, and the part of it that must never be seen. A `¦` keeps scanners of repositories from taking
/// what has an issuer's prefix for a secret of ours, and is not there.
fn samples() -> Vec<(String, String)> {
    let lines = include_str!("../../../tests/fixtures/redact/secrets.jsonl").lines();
    let whole = |line: &str| serde_json::from_str(&line.replace('¦', "")).unwrap();
    lines.map(whole).collect()
}

fn look_alikes() -> Vec<String> {
    let lines = include_str!("../../../tests/fixtures/redact/look-alikes.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn no_secret_of_the_list_is_seen() {
    let redactor = Redactor::new(&ALL, b"key of this host");
    let mut seen = Vec::new();
    for (text, secret) in samples() {
        let mut clean = text.clone();
        redactor.redact(&mut clean);
        if clean.contains(&secret) {
            seen.push((text, clean));
        }
    }
    assert!(samples().len() >= 200);
    assert!(seen.is_empty(), "{} are seen: {seen:#?}", seen.len());
}

#[test]
fn what_only_looks_like_a_secret_stays_as_it_is() {
    let redactor = Redactor::new(&ALL, b"key of this host");
    let mut changed = Vec::new();
    for text in look_alikes() {
        let mut clean = text.clone();
        redactor.redact(&mut clean);
        if clean != text {
            changed.push((text, clean));
        }
    }
    assert!(look_alikes().len() >= 200);
    assert!(changed.is_empty(), "{} are changed: {changed:#?}", changed.len());
}

#[test]
fn personal_data_goes_only_where_its_set_is_asked_for() {
    for (text, gone) in [
        ("mail to bob.smith+x@mail.example.co.uk bounced", "bob.smith"),
        ("to=<bob@example.org>, relay=x", "bob@example.org"),
        ("邮件 用户@例子.公司 退回", "用户@例子"),
        ("from 192.168.17.4 port 22", "192.168.17.4"),
        ("client=10.0.0.1:5432", "10.0.0.1"),
        ("from 2001:db8::8a2e:370:7334 port 22", "8a2e:370:7334"),
        ("peer fe80:0:0:0:0:0:0:1%eth0", "fe80:0:0"),
        ("listen on [::1]:8080", "::1"),
        ("mapped ::ffff:10.0.0.1", "10.0.0.1"),
        ("card 4111 1111 1111 1111 declined", "1111"),
        ("card 5500-0000-0000-0004 declined", "0000-0004"),
        ("amex 378282246310005", "378282246310005"),
    ] {
        let clean = redacted(text);
        assert!(!clean.contains(gone), "{clean}");
        let mut kept = text.to_owned();
        Redactor::new(&ALL[..1], b"k").redact(&mut kept);
        assert_eq!(kept, text, "only secrets were asked for");
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
    Redactor::new(&ALL, b"k").redact_map(&mut fields, &mut Known::new());
    let text = serde_json::to_string(&fields).unwrap();
    assert!(
        !text.contains("plain words") && !text.contains("\"k\"") && !text.contains("bob@"),
        "{text}"
    );
    assert!(text.contains("/a"), "{text}");
}

/// One alert through all that `apply` covers.
fn applied(alert: Alert) -> (Alert, String) {
    let mut alert = alert;
    Redactor::new(&ALL, b"k").apply(&mut alert);
    let json = serde_json::to_string(&alert).unwrap();
    (alert, json)
}

#[test]
fn what_was_masked_in_the_text_is_masked_wherever_else_it_stands() {
    let mut finding = crate::sample::alert().detectors[0].clone();
    finding.captures = serde_json::from_str(r#"{"who":"bob","what":"hunter2!"}"#).unwrap();
    let (alert, json) = applied(Alert {
        text: Some("login of bob with password=hunter2! failed".to_owned()),
        title: "hunter2! was refused".to_owned(),
        detectors: vec![finding],
        context: crate::alert::Context {
            before: vec!["trying hunter2!".to_owned(), "once more".to_owned()],
            after: Vec::new(),
        },
        ..crate::sample::alert()
    });
    assert!(!json.contains("hunter2"), "{json}");
    assert!(json.contains("bob"), "{json}");
    assert_eq!(alert.context.before.len(), 2);
}

#[test]
fn a_key_that_begins_before_the_record_and_ends_behind_it_is_masked_in_all_three() {
    let line = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfnygWyF0cLk7Qa9v8mN4uTtBhJ2WqRrXyPa";
    let (alert, json) = applied(Alert {
        text: Some(format!("ERROR {line}")),
        title: "x".to_owned(),
        message: None,
        context: crate::alert::Context {
            before: vec![
                "first".to_owned(),
                "-----BEGIN RSA PRIVATE KEY-----".to_owned(),
                line.to_owned(),
            ],
            after: vec![
                "short==".to_owned(),
                "-----END RSA PRIVATE KEY-----".to_owned(),
                "last".to_owned(),
            ],
        },
        ..crate::sample::alert()
    });
    assert!(!json.contains(line) && !json.contains("short=="), "{json}");
    assert_eq!(alert.context.before[0], "first");
    assert_eq!(alert.context.after.last().map(String::as_str), Some("last"));
}

#[test]
fn numbers_and_keys_of_fields_are_redacted_too() {
    let (_, json) = applied(Alert {
        fields: serde_json::from_str(
            r#"{"pin":{"password":12345678},"card":4111111111111111,"bob@example.org":3,"secrets":["s1","s2"],"max_tokens":512,"token":null}"#,
        )
        .unwrap(),
        ..crate::sample::alert()
    });
    for gone in ["12345678", "4111111111111111", "bob@", "\"s1\"", "\"s2\""] {
        assert!(!json.contains(gone), "{gone}: {json}");
    }
    assert!(
        json.contains("\"max_tokens\":512") && json.contains("\"token\":null"),
        "{json}"
    );
}

#[test]
fn a_path_and_news_are_redacted() {
    let composer = crate::alert::Composer {
        redactor: Redactor::new(&ALL, b"k"),
        ..Default::default()
    };
    let news = crate::alert::News {
        kind: crate::alert::Kind::Loss,
        subject: &["loss"],
        occasion: "1",
        severity: crate::record::Level::Error,
        title: "5 bytes of /log/token=q1w2e3r4t5/a were lost".to_owned(),
        text: None,
        place: Some(crate::alert::SourcePlace {
            name: "app".to_owned(),
            path: "/log/token=q1w2e3r4t5/a".to_owned(),
            first_line: None,
            last_line: None,
            offset: 0,
            end_offset: 5,
            line_numbers: None,
        }),
    };
    let alert = composer.news(news, &BTreeMap::new(), jiff::Timestamp::UNIX_EPOCH);
    let json = serde_json::to_string(&alert).unwrap();
    assert!(!json.contains("q1w2e3r4t5"), "{json}");
}

/// Each would take minutes if a stretch of it were read again for every candidate in it.
#[test]
fn hostile_text_takes_no_longer_than_its_length() {
    let redactor = Redactor::new(&ALL, b"k");
    for unit in [
        "password=",
        "password=\"",
        "password: '",
        "token=/a.a/",
        "sig=",
        "cookie: ",
        "\\\\",
        "token \\",
        "<password ",
        "-----BEGIN ",
        "-----BEGIN RSA PRIVATE KEY-----",
        "a://b:",
        "a@",
        "1:",
        "4111 ",
        "ey",
        "bearer ",
        "curl -u ",
        "[redacted:",
        "密码：",
        "key key key ",
        "password: |\n ",
        "AUTH LOGIN ",
        "tokens=[",
        "sk-",
        "mysql ",
        "\u{fdd0}",
        "é\\",
    ] {
        let mut text = unit.repeat(64 * 1024 / unit.len());
        let begun = std::time::Instant::now();
        redactor.redact(&mut text);
        // Unoptimised on a busy machine; quadratic would be a thousand times as much.
        assert!(begun.elapsed().as_secs() < 20, "{unit:?} took {:?}", begun.elapsed());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(parts in proptest::collection::vec("(password|token|密码|[=:\"'\\\\<>&\\[(]|&quot;|%22|-----BEGIN RSA PRIVATE KEY-----|\\PC{0,3}|\\n| ){1,3}", 0..30)) {
        let mut text = parts.concat();
        Redactor::new(&ALL[..1], b"k").redact(&mut text);
    }
}

#[test]
fn own_patterns_replace_their_match() {
    let pattern = Pattern::Own {
        name: "iccid".into(),
        regex: Regex::new(r"\b89\d{17}\b").unwrap(),
    };
    let mut text = "modem 8949123456789012345 lost".to_string();
    Redactor::new(&[pattern], b"k").redact(&mut text);
    assert!(text.starts_with("modem [iccid:") && text.ends_with("] lost"), "{text}");
}

#[test]
fn without_patterns_nothing_changes() {
    let mut text = "password=x".to_string();
    Redactor::default().redact(&mut text);
    assert_eq!(text, "password=x");
}

#[test]
fn the_prefilter_holds_back_no_pattern_that_would_find_something() {
    let redactor = Redactor::new(&ALL, b"k");
    let prefilter = redactor.prefilter.as_ref().unwrap();
    let texts = samples().into_iter().map(|(text, _)| text).chain(look_alikes());
    // Neighbours change what stands around a word, and its case.
    let changed = |text: String| {
        [
            text.to_uppercase(),
            format!("x{text}"),
            format!("\u{a0}{text}\u{a0}"),
            text,
        ]
    };
    let mut matches = 0;
    for text in texts.flat_map(changed) {
        let clues = prefilter.read(&text);
        for rule in &redactor.rules {
            if rule.regex.get().is_match(&text) {
                matches += 1;
                let hint = rule.number.is_none_or(|number| clues.hint_at(number));
                assert!(hint, "{} in {text}", rule.regex.pattern);
            }
        }
    }
    assert!(matches > 500, "{matches}");
}

#[test]
fn a_secret_reaches_from_the_lines_before_into_a_record() {
    let redactor = Redactor::new(&[Pattern::Builtin(Set::Secrets)], b"key");
    let before = ["password: |".to_owned(), "  line one of it".to_owned()];
    let rest = redactor.reached_from_before(&before, "  line two of it\nmore").unwrap();
    assert!(rest.starts_with("[redacted:") && !rest.contains("line two"), "{rest}");
    assert_eq!(redactor.reached_from_before(&before, "next: 1"), None);
    assert_eq!(redactor.reached_from_before(&[], "  line two of it"), None);
    // What shows by itself is left to the usual way.
    let above = ["nothing".to_owned()];
    assert_eq!(redactor.reached_from_before(&above, "token=a8f5f167f44f4964"), None);
}
