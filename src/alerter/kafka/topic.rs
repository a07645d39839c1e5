//! The topic of an alert: the configured name, its placeholders filled, and only characters that Kafka takes.

use crate::alert::Alert;

/// `org.apache.kafka.common.internals.Topic`: at most so long, of `[a-zA-Z0-9._-]`, not `.` or `..`.
const NAME_MAX_BYTES: usize = 249;

/// `{{ source }}`, `{{ host }}`, `{{ severity }}`, `{{ labels.x }}`; an unknown or empty one is `unknown`.
pub(super) fn of(template: &str, alert: &Alert) -> String {
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        name.push_str(before);
        let Some((placeholder, after)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        let value = match placeholder.trim() {
            "source" => alert.source.as_ref().map(|source| source.name.as_str()),
            "host" => Some(alert.host.name.as_str()),
            "severity" => Some(alert.severity.as_str()),
            other => other
                .strip_prefix("labels.")
                .and_then(|label| alert.labels.get(label))
                .map(String::as_str),
        };
        name.push_str(value.filter(|value| !value.is_empty()).unwrap_or("unknown"));
        rest = after;
    }
    name.push_str(rest);
    let fit = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(fit).take(NAME_MAX_BYTES).collect();
    if matches!(name.as_str(), "" | "." | "..") {
        "_".to_owned()
    } else {
        name
    }
}

/// `host:port`, IPv6 in brackets.
pub(super) fn address(host: &str, port: i32) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::render::tests::alert;

    #[test]
    fn placeholders_are_filled_and_what_kafka_refuses_is_replaced() {
        let mut alert = alert();
        alert.labels.insert("team".to_owned(), "pay/ments 中".to_owned());
        for (template, topic) in [
            ("exceptions", "exceptions"),
            ("logs.{{ source }}.{{severity}}", "logs.app.error"),
            ("x-{{ labels.team }}", "x-pay_ments__"),
            ("x-{{ labels.none }}", "x-unknown"),
            ("a b{{", "a_b"),
            ("..", "_"),
        ] {
            assert_eq!(of(template, &alert), topic);
        }
        assert_eq!(of(&"x".repeat(1000), &alert).len(), NAME_MAX_BYTES);
    }
}
