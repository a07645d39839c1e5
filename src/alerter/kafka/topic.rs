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

/// Whether it depends on the alert.
pub(super) fn varies(template: &str) -> bool {
    template.contains("{{")
}

/// Whether [`of`] could fill this template with something, and Kafka would take what stands around it.
///
/// # Errors
/// What is wrong, and what to do.
pub fn check(template: &str) -> Result<(), (String, &'static str)> {
    const PLACEHOLDERS: &str = "there are {{ source }}, {{ host }}, {{ severity }} and {{ labels.x }}";
    let mut literal = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        literal.push_str(before);
        let Some((placeholder, after)) = after.split_once("}}") else {
            return Err(("a `{{` is never closed".to_owned(), PLACEHOLDERS));
        };
        let name = placeholder.trim();
        let label = name.strip_prefix("labels.").is_some_and(|label| !label.is_empty());
        if !label && !["source", "host", "severity"].contains(&name) {
            return Err((format!("`{{{{ {name} }}}}` stands for nothing"), PLACEHOLDERS));
        }
        // Something will stand there.
        literal.push('x');
        rest = after;
    }
    literal.push_str(rest);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if literal.is_empty()
        || literal.len() > NAME_MAX_BYTES
        || matches!(literal.as_str(), "." | "..")
        || !literal.chars().all(fits)
    {
        return Err((
            "is not a name of a topic".to_owned(),
            "up to 249 letters, digits, `.`, `_` and `-`",
        ));
    }
    Ok(())
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
    use crate::sample::alert;

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
        for (template, good) in [
            ("exceptions", true),
            ("{{ labels.team }}", true),
            ("", false),
            ("..", false),
            ("a b", false),
            ("x-{{ labels. }}", false),
            ("x-{{ sorce }}", false),
            ("x-{{ source", false),
        ] {
            assert_eq!(check(template).is_ok(), good, "{template}");
        }
        assert_eq!(of(&"x".repeat(1000), &alert).len(), NAME_MAX_BYTES);
    }
}
