//! Bodies against golden files, limits and hostile text on every channel, and what each provider's answer means.

use super::*;
use crate::alerter::webhook::Secret;
use crate::sample::alert;

fn settings(preset: Preset) -> Settings {
    Settings {
        urls: Vec::new(),
        preset,
        mention: Mention {
            mobiles: Vec::new(),
            user_ids: vec!["u1".to_owned()],
            all: true,
        },
        title_prefix: "[plant]".to_owned(),
        headers: Vec::new(),
        bearer_token: None,
        basic_auth: None,
        hmac_secret: None,
        template: None,
        timeout: Duration::from_secs(1),
        tls: crate::alerter::tls::Tls::default(),
    }
}

fn presets() -> Vec<(&'static str, Preset)> {
    let secret = || Some(Secret::Value("s".into()));
    vec![
        ("alertmanager", Preset::Alertmanager),
        ("slack", Preset::Slack),
        ("teams", Preset::Teams),
        ("discord", Preset::Discord),
        (
            "telegram",
            Preset::Telegram {
                chat_id: "-100".to_owned(),
            },
        ),
        (
            "pagerduty",
            Preset::Pagerduty {
                routing_key: Secret::Value("key".into()),
            },
        ),
        ("dingtalk", Preset::Dingtalk { secret: secret() }),
        ("feishu", Preset::Feishu { secret: secret() }),
        ("wecom", Preset::Wecom),
    ]
}

fn body(settings: &Settings, alert: &Alert) -> Value {
    let context = Context {
        settings,
        wording: &Wording::default(),
        key: Some("key"),
        now: "2026-11-23T06:00:05Z".parse().unwrap(),
    };
    serde_json::from_slice(&request("https://h/x", alert, &context).unwrap().1).unwrap()
}

/// Every kind of message that a provider may be told of.
fn messages() -> Vec<(&'static str, Alert)> {
    let own = |kind, title: &str| Alert {
        kind,
        title: title.to_owned(),
        message: Some(title.to_owned()),
        text: None,
        template: None,
        level: None,
        timestamp: None,
        source: None,
        detectors: Vec::new(),
        fields: serde_json::Map::new(),
        context: crate::alert::Context::default(),
        ..alert()
    };
    let group = |count: u64, severity: &str, title: &str| json!({"count": count, "severity": severity, "title": title});
    vec![
        ("firing", alert()),
        (
            "repeated",
            Alert {
                status: Status::Repeated,
                reason: crate::alert::Reason::Ongoing,
                id: "r1".to_owned(),
                firing_id: Some("k3v9q2".to_owned()),
                count: 1834,
                total: Some(2001),
                period_ms: Some(4 * 3600 * 1000),
                ..alert()
            },
        ),
        (
            "resolved",
            Alert {
                status: Status::Resolved,
                reason: crate::alert::Reason::Quiet,
                count: 0,
                total: Some(3),
                period_ms: Some(1_800_000),
                ..alert()
            },
        ),
        (
            "digest",
            Alert {
                count: 9,
                severity: Level::Fatal,
                groups: vec![
                    group(7, "fatal", "out of memory"),
                    group(2, "error", "pool <!channel> exhausted"),
                ],
                ..own(crate::alert::Kind::Digest, "9 alerts of 2 kinds were held back")
            },
        ),
        (
            "loss",
            own(
                crate::alert::Kind::Loss,
                "512 bytes of /var/log/app.log were lost (rotated)",
            ),
        ),
        ("agent", own(crate::alert::Kind::Agent, "was down from 06:00 to 07:00")),
        (
            "absence",
            own(crate::alert::Kind::Absence, "no match of heartbeat for 5m"),
        ),
        ("hostile", hostile()),
    ]
}

/// `UPDATE_GOLDEN=1` writes them; what is written is to be read before it is committed.
#[test]
fn every_provider_is_sent_what_its_golden_file_holds() {
    for (name, preset) in presets() {
        let path = format!("{}/tests/fixtures/presets/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let settings = settings(preset);
        let bodies = messages()
            .into_iter()
            .map(|(message, alert)| (message.to_owned(), body(&settings, &alert)));
        let made = Value::Object(bodies.collect());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        }
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(made, golden, "{name}: {made:#}");
    }
}

fn hostile() -> Alert {
    let text = "\u{1b}[31m<!channel> <@U1> @everyone @here @user <at id=all></at> <@all> ```\n\
                [click](http://evil) ![x](http://evil) </pre><b>&amp;\u{202e}\u{0}\u{9b}2J";
    Alert {
        title: text.to_owned(),
        text: Some(text.to_owned()),
        message: Some(text.to_owned()),
        ..alert()
    }
}

#[test]
fn no_control_reaches_a_person_and_nobody_is_called_whom_the_configuration_does_not_name() {
    for (name, preset) in presets() {
        let settings = Settings {
            mention: Mention::default(),
            title_prefix: String::new(),
            ..settings(preset)
        };
        let body = body(&settings, &hostile());
        let text = strings(&body).concat();
        let control =
            |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.contains(control), "{name}: {text:?}");
        match name {
            "slack" => assert!(
                !text.contains("<!") && !text.contains("<@") && !text.contains("```\n[click"),
                "{text}"
            ),
            "discord" => assert_eq!(body["allowed_mentions"], json!({"parse": [], "users": []})),
            "telegram" => {
                let shown = body["text"].as_str().unwrap();
                let (head, record) = shown.split_once("<pre>").unwrap();
                assert!(!head.contains("@user") && !record.contains("</pre><b>"), "{shown}");
            }
            "dingtalk" => {
                assert_eq!(body["at"], json!({"atMobiles": [], "atUserIds": [], "isAtAll": false}));
                let shown = body["markdown"]["text"].as_str().unwrap();
                assert!(!shown.contains("](http") && !shown.contains("</"), "{shown}");
            }
            "feishu" => {
                let marked = body["card"]["elements"].as_array().unwrap();
                assert!(marked.iter().all(|e| e["text"]["tag"] != "lark_md"), "{body}");
            }
            "wecom" => assert!(!text.contains("<@") && !text.contains("](http"), "{text}"),
            "teams" => assert!(!body.to_string().contains("\"TextBlock\""), "{body}"),
            _ => {}
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(map) => map.values().flat_map(strings).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[test]
fn the_longest_record_fits_every_provider() {
    for text in ["\u{6587}<&>\"\\\n", "\u{1f600}", "x"] {
        let long = text.repeat(256 * 1024 / text.len());
        let labels = (0..200)
            .map(|n| (format!("label{n}"), long[..text.len() * 50].to_owned()))
            .collect();
        let alert = Alert {
            title: long.clone(),
            text: Some(long),
            labels,
            ..alert()
        };
        for (name, preset) in presets() {
            let body = body(&settings(preset), &alert);
            let chars = |at: &str| body.pointer(at).and_then(Value::as_str).expect(at).chars().count();
            let units = |at: &str| {
                body.pointer(at)
                    .and_then(Value::as_str)
                    .expect(at)
                    .encode_utf16()
                    .count()
            };
            let length = bytes(&body).len();
            match name {
                "slack" => {
                    assert!(chars("/attachments/0/blocks/0/text/text") <= 150);
                    assert!(chars("/attachments/0/blocks/1/text/text") <= 3000);
                    assert!(chars("/attachments/0/blocks/2/text/text") <= 3000);
                }
                "teams" => assert!(length <= 28_000, "{length}"),
                "discord" => {
                    assert!(units("/embeds/0/title") <= 256 && units("/embeds/0/description") <= 4096);
                    let all: usize = strings(&body["embeds"]).iter().map(|s| s.encode_utf16().count()).sum();
                    assert!(all <= 6000, "{all}");
                }
                "telegram" => {
                    let shown = body["text"].as_str().unwrap();
                    let shown = shown
                        .replace("&lt;", "<")
                        .replace("&gt;", ">")
                        .replace("&quot;", "\"")
                        .replace("&amp;", "&");
                    assert!(shown.encode_utf16().count() <= 4096 + 60, "without tags");
                }
                "pagerduty" => assert!(chars("/payload/summary") <= 1024 && length <= 512_000),
                "dingtalk" | "feishu" => assert!(length <= 20_000, "{name} {length}"),
                "wecom" => assert!(body.pointer("/markdown/content").unwrap().as_str().unwrap().len() <= 4096),
                _ => {}
            }
        }
    }
}

#[test]
fn each_provider_is_understood_in_its_own_words() {
    let ok = "delivered";
    for (name, status, answer, outcome) in [
        ("slack", 200, "ok", ok),
        ("slack", 404, "no_service", "blocked"),
        ("slack", 400, "invalid_blocks", "dead"),
        ("teams", 202, "", ok),
        ("teams", 200, "1", ok),
        (
            "teams",
            200,
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
            "retry",
        ),
        ("discord", 204, "", ok),
        (
            "discord",
            429,
            r#"{"message": "rate", "retry_after": 1.5, "global": false}"#,
            "retry 1.5",
        ),
        (
            "discord",
            404,
            r#"{"message": "Unknown Webhook", "code": 10015}"#,
            "blocked",
        ),
        ("telegram", 200, r#"{"ok":true,"result":{}}"#, ok),
        (
            "telegram",
            429,
            r#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#,
            "retry 35",
        ),
        (
            "telegram",
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
            "blocked",
        ),
        (
            "telegram",
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities"}"#,
            "dead",
        ),
        (
            "telegram",
            401,
            r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
            "blocked",
        ),
        ("pagerduty", 202, r#"{"status":"success","dedup_key":"x"}"#, ok),
        (
            "pagerduty",
            400,
            r#"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect"]}"#,
            "blocked",
        ),
        (
            "pagerduty",
            400,
            r#"{"status":"invalid event","errors":["'payload.summary' is missing"]}"#,
            "dead",
        ),
        ("pagerduty", 429, "", "retry"),
        ("dingtalk", 200, r#"{"errcode":0,"errmsg":"ok"}"#, ok),
        (
            "dingtalk",
            200,
            r#"{"errcode":130101,"errmsg":"send too fast"}"#,
            "retry 60",
        ),
        (
            "dingtalk",
            200,
            r#"{"errcode":310000,"errmsg":"sign not match"}"#,
            "blocked",
        ),
        (
            "dingtalk",
            200,
            r#"{"errcode":460101,"errmsg":"message too long"}"#,
            "dead",
        ),
        (
            "dingtalk",
            200,
            r#"{"errcode":987654,"errmsg":"never heard of"}"#,
            "retry",
        ),
        ("dingtalk", 200, "<html>please log in</html>", "blocked"),
        ("dingtalk", 502, "<html>bad gateway</html>", "retry"),
        ("feishu", 200, r#"{"code":0,"msg":"success"}"#, ok),
        ("feishu", 200, r#"{"StatusCode":0,"StatusMessage":"success"}"#, ok),
        (
            "feishu",
            200,
            r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}"#,
            "blocked",
        ),
        ("feishu", 200, r#"{"code":11232,"msg":"frequency limited"}"#, "retry 60"),
        ("feishu", 400, r#"{"code":9499,"msg":"Bad Request"}"#, "dead"),
        ("wecom", 200, r#"{"errcode":0,"errmsg":"ok"}"#, ok),
        (
            "wecom",
            200,
            r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
            "retry 60",
        ),
        (
            "wecom",
            200,
            r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
            "blocked",
        ),
        (
            "wecom",
            200,
            r#"{"errcode":40058,"errmsg":"invalid Request Parameter"}"#,
            "dead",
        ),
        ("alertmanager", 200, "", ok),
        (
            "alertmanager",
            400,
            r#"{"code":601,"message":"labels in body is required"}"#,
            "dead",
        ),
    ] {
        let preset = presets().into_iter().find(|(n, _)| *n == name).unwrap().1;
        let answer = Answer {
            status,
            retry_after: None,
            body: answer.to_owned(),
        };
        let heard = match judge(&preset, "https://h/SECRET", &answer) {
            Ok(()) => "delivered".to_owned(),
            Err(SendError::Retry { after: None, .. }) => "retry".to_owned(),
            Err(SendError::Retry { after: Some(after), .. }) => format!("retry {}", after.as_secs_f64()),
            Err(SendError::Blocked { .. }) => "blocked".to_owned(),
            Err(SendError::Reject { .. }) => "dead".to_owned(),
        };
        assert_eq!(heard, outcome, "{name} {status} {}", answer.body);
    }
}

#[test]
fn signatures_are_those_of_the_documentation() {
    // Made by OpenSSL: printf '1763877605000\ns' | openssl dgst -sha256 -hmac s -binary | base64
    let now = jiff::Timestamp::from_millisecond(1_763_877_605_000).unwrap();
    assert_eq!(
        dingtalk::signed("https://h/send?access_token=t", Some("s"), now),
        DINGTALK_SIGNED
    );
    // printf '' | openssl dgst -sha256 -hmac "$(printf '1763877605\ns')" -binary | base64
    let settings = settings(Preset::Feishu { secret: None });
    let context = Context {
        settings: &settings,
        wording: &Wording::default(),
        key: Some("s"),
        now,
    };
    let (_, body) = request("https://h/x", &alert(), &context).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&body["timestamp"], &body["sign"]),
        (&json!("1763877605"), &json!(FEISHU_SIGN))
    );
}

const DINGTALK_SIGNED: &str =
    "https://h/send?access_token=t&timestamp=1763877605000&sign=%2FxgwPa9D1riUUCwbX7nBrOSVbCnC4amFRFTRhrNPO%2F8%3D";
const FEISHU_SIGN: &str = "eBJkGgwlDCQ+a2OMtI0QPbcXjXnyWom+TCaAl6V9chM=";
