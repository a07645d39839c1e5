//! Every option of every alerter, wrong in turn: a message at its place that names it. Options come from the shapes
//! themselves, so that none is left out.

use super::super::key_lister::KeyLister;
use super::super::{Loaded, Problems, Request, file, load};
use serde_json::{Value, json};

/// One configuration of one alerter, as JSON, which is YAML.
fn load_alerter(alerter: &Value) -> Result<Loaded, Problems> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let text = serde_json::to_string_pretty(&json!({"alerters": [alerter]})).unwrap();
    std::fs::write(&path, text).unwrap();
    load(&Request {
        path: Some(path),
        ..Request::default()
    })
}

/// A good alerter of the kind that has this option.
fn good(option: &str) -> Value {
    let kind = option.split('.').next().unwrap_or("");
    let body = match kind {
        "console" => json!({}),
        "file" => json!({"path": "/tmp/alerts"}),
        "email" => json!({"smtp": "mail:25", "tls": "none", "from": "a@example.org", "to": ["b@example.org"]}),
        "kafka" => json!({"brokers": ["127.0.0.1:9092"], "topic": "alerts"}),
        _ => json!({"url": "https://example.org/"}),
    };
    let kind = if ["console", "file", "email", "kafka"].contains(&kind) {
        kind
    } else {
        "webhook"
    };
    json!({"name": "a", kind: body})
}

fn with(mut alerter: Value, option: &str, value: Value) -> Value {
    let mut at = &mut alerter;
    for step in option.split('.') {
        at = &mut at[step];
    }
    *at = value;
    alerter
}

/// Options of an alerter without those of lists in them: `webhook.tls.ca_file`.
fn options() -> Vec<String> {
    let keys = KeyLister::keys_of::<file::Root>();
    let of_alerters = keys.iter().filter_map(|key| key.strip_prefix("alerters[]."));
    let options: Vec<String> = of_alerters
        .filter(|key| !key.contains("[]"))
        .map(str::to_owned)
        .collect();
    assert!(options.len() > 60, "{options:?}");
    options
}

#[test]
fn an_option_that_is_a_list_of_lists_is_told_at_its_place() {
    let mut wrong = Vec::new();
    for option in options() {
        assert!(
            load_alerter(&good(&option)).is_ok(),
            "{option}: {:?}",
            load_alerter(&good(&option)).err()
        );
        let told = load_alerter(&with(good(&option), &option, json!([[1]])));
        let told = told.err().map(|problems| problems.to_string()).unwrap_or_default();
        let named = told.lines().any(|line| {
            let name = if option == "name" {
                "alerters[0]".to_owned()
            } else {
                format!("alerters.a.{option}")
            };
            let place = line.split_once("config.yaml:").map_or("", |(_, rest)| rest);
            let placed = place.splitn(3, ':').take(2).all(|part| part.parse::<u32>().is_ok());
            placed && line.contains(&name)
        });
        if !named {
            wrong.push(format!("{option}:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_option_whose_value_makes_no_sense_is_told_with_what_would() {
    let mut wrong = Vec::new();
    for (option, value, said) in [
        ("name", json!("a b"), "is not a name"),
        ("min_severity", json!("loud"), "fatal"),
        ("send", json!("all"), "grouped"),
        ("send_resolved", json!("yes"), "true"),
        ("sources", json!(["nobody"]), "no source is named `nobody`"),
        ("rules", json!(["nobody"]), "no rule is named `nobody`"),
        ("detectors", json!(["nose"]), "novelty"),
        ("outbox.max_size", json!("16 mb"), "MiB"),
        ("outbox.when_full", json!("explode"), "drop_oldest"),
        ("console.format", json!("raw"), "json"),
        ("file.format", json!("xml"), "raw"),
        ("file.path", json!(""), "is empty"),
        ("file.path", json!("/tmp"), "directory"),
        ("file.path", json!("/nonexistent/alerts"), "no directory /nonexistent"),
        ("webhook.url", json!("example.org"), "http://"),
        ("webhook.urls", json!([]), "url"),
        ("webhook.url_file", json!("/nonexistent"), "/nonexistent"),
        ("webhook.urls_file", json!("/nonexistent"), "/nonexistent"),
        ("webhook.preset", json!("slak"), "did you mean `slack`"),
        ("webhook.chat_id", json!("1"), "telegram"),
        ("webhook.routing_key", json!("1"), "pagerduty"),
        ("webhook.routing_key_file", json!("/nonexistent"), "pagerduty"),
        ("webhook.secret", json!("s"), "dingtalk, feishu"),
        ("webhook.secret_file", json!("/nonexistent"), "dingtalk, feishu"),
        ("webhook.mention", json!({"all": true}), "slack"),
        ("webhook.title_prefix", json!("x"), "slack"),
        ("webhook.headers", json!({"a b": "c"}), "header"),
        ("webhook.bearer_token", json!(""), "empty"),
        ("webhook.bearer_token_file", json!("/nonexistent"), "/nonexistent"),
        ("webhook.basic_auth", json!({"username": "a"}), "password_file"),
        ("webhook.hmac_secret_file", json!("/nonexistent"), "/nonexistent"),
        ("webhook.template", json!("{{ x"), "line 1 of the template"),
        ("webhook.timeout", json!("10"), "500ms"),
        ("webhook.tls.ca_file", json!("/nonexistent"), "/nonexistent"),
        ("webhook.tls.cert_file", json!("/dev/null"), "belong together"),
        ("webhook.tls.key_file", json!("/nonexistent"), "/nonexistent"),
        ("webhook.tls.insecure_skip_verify", json!("perhaps"), "true"),
        ("email.smtp", json!("mail"), "host:port"),
        ("email.tls", json!("ssl"), "starttls"),
        ("email.username", json!("bob"), "password"),
        ("email.password_file", json!("/nonexistent"), "/nonexistent"),
        ("email.from", json!("bob"), "address"),
        ("email.to", json!(["bob"]), "address"),
        ("kafka.brokers", json!(["kafka"]), "host:port"),
        ("kafka.topic", json!("a/b"), "topic"),
        ("kafka.topic", json!("x-{{ sorce }}"), "{{ source }}"),
        ("kafka.key", json!("id"), "fingerprint"),
        ("kafka.acks", json!("none"), "leader"),
        ("kafka.compression", json!("brotli"), "gzip"),
        ("kafka.tls.ca_file", json!("/nonexistent"), "/nonexistent"),
        ("kafka.sasl.mechanism", json!("GSSAPI"), "SCRAM-SHA-512"),
        ("kafka.sasl.password_file", json!("/nonexistent"), "/nonexistent"),
    ] {
        let told = load_alerter(&with(good(option), option, value));
        let told = told.err().map(|problems| problems.to_string()).unwrap_or_default();
        if !told.contains(said) || !told.contains("config.yaml:") {
            wrong.push(format!("{option} should say {said}:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_of_secrets_are_looked_at_as_they_would_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    for (content, mode, said) in [
        ("https://example.org/x\n", 0o600, ""),
        ("https://example.org/x\r\n", 0o600, ""),
        ("\u{feff}https://example.org/x\n", 0o600, "http://"),
        ("", 0o600, "empty"),
        ("\n\n", 0o600, "empty"),
        ("https://example.org/x", 0o644, "every user"),
    ] {
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let told = load_alerter(&json!({"name": "a", "webhook": {"url_file": path}}));
        let told = told.err().map(|problems| problems.to_string()).unwrap_or_default();
        assert!(
            told.is_empty() == said.is_empty() && told.contains(said),
            "{content:?} {mode:o}: {told}"
        );
        assert!(!told.contains("example.org"), "{told}");
    }
    let told = load_alerter(&json!({"name": "a", "webhook": {"url_file": dir.path()}})).unwrap_err();
    assert!(told.to_string().contains("not a file"), "{told}");
}
