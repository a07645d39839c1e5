use super::*;
use crate::sample::alert;

fn rendered(source: &str, alert: &Alert) -> Value {
    let template = Template::new(source).unwrap_or_else(|fault| panic!("{fault}"));
    let body = template
        .render(alert, &Wording::default())
        .unwrap_or_else(|fault| panic!("{fault}"));
    serde_json::from_slice(&body).unwrap()
}

fn faulty(source: &str) -> String {
    Template::new(source).unwrap_err().to_string()
}

#[test]
fn values_escape_by_themselves_within_strings_and_outside() {
    let alert = Alert {
        title: "say \"hi\" \\ and\nbye".to_owned(),
        ..alert()
    };
    let made = rendered(
        r#"{"inside": "{{ title }} on {{ host.name }}", "outside": {{ title }}, "n": {{ count }}, "as text": "{{ count }}",
            "labels": {{ labels }}, "none": {{ fields.nobody }}, "": "a \" {{ severity }}", "cut": "{{ title|cut(5) }}",
            "lines": [{% for line in context.before %}{{ line }}{% if not loop.last %}, {% endif %}{% endfor %}],
            "tojson": {{ host|tojson }}, "maybe": "{{ source.name if source else 'own' }}"}"#,
        &alert,
    );
    assert_eq!(made["inside"], format!("{} on {}", alert.title, alert.host.name));
    assert_eq!(made["outside"], alert.title);
    assert_eq!(
        (&made["n"], &made["as text"]),
        (&alert.count.into(), &alert.count.to_string().into())
    );
    assert_eq!(made["labels"], serde_json::to_value(&alert.labels).unwrap());
    assert_eq!((&made["none"], &made[""]), (&Value::Null, &"a \" error".into()));
    assert_eq!(made["cut"].as_str().map(|cut| cut.chars().count()), Some(5));
    assert_eq!(made["lines"], serde_json::to_value(&alert.context.before).unwrap());
    assert_eq!(made["tojson"]["name"], alert.host.name);
}

#[test]
fn no_log_text_leaves_its_string() {
    let hostile = Alert {
        title: "\", \"admin\": true, \"x\": \"\u{1b}[31m\u{202e}{{ 7 * 7 }}\\".to_owned(),
        ..alert()
    };
    let made = rendered(
        r#"{"text": "{{ title }}", "again": {{ headline }}, "body": "{{ body }}"}"#,
        &hostile,
    );
    assert_eq!(made.as_object().map(|made| made.len()), Some(3), "{made}");
    let text = made["text"].as_str().unwrap();
    assert!(
        text.contains("{{ 7 * 7 }}") && !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text:?}"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (source, said) in [
        (
            "{\n\"a\": {{ titel }}\n}",
            "line 2 of the template: an alert has no `titel`; did you mean `title`?",
        ),
        (
            "{\"a\": 1,\n\n \"b\": {{ title }",
            "line 3 of the template: syntax error",
        ),
        ("{% for x in labels %}", "line 1 of the template: syntax error"),
        (
            "{\"a\": {{ title|nofilter }}}",
            "line 1 of the template: unknown filter",
        ),
        ("{\"a\": \"{{ title }}}", "what it gives is no JSON"),
        ("plain {{ title }}", "what it gives is no JSON"),
        (
            "[{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}]",
            "takes too long",
        ),
    ] {
        let fault = faulty(source);
        assert!(fault.contains(said), "{source}: {fault}");
    }
    let long = format!(
        "\"{}\"",
        "{% for x in range(9000) %}0123456789012345678901234567890123456789{{ title }}0123456789012345678901234567890123456789012345678901234567890{% endfor %}"
    );
    assert!(faulty(&long).contains("larger than 1 MiB"), "{}", faulty(&long));
}
