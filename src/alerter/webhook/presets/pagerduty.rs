//! PagerDuty: Events API v2, `https://events.pagerduty.com/v2/enqueue`. One incident per host and fingerprint, which
//! `resolved` closes.
//!
//! Limits (developer.pagerduty.com): summary 1,024 characters, `dedup_key` 255, an event 512 KB. 202 is success; 400 is
//! the event's fault, or the routing key's; 429 a rate.

use super::{Answer, Chat, Class, SendError, Value, fit, json};
use crate::alert::Status;

pub(in super::super) const URL: &str = "https://events.pagerduty.com/v2/enqueue";
const SUMMARY_MAX_CHARS: usize = 1024;
const BODY_MAX_BYTES: usize = 500_000;

pub(super) fn body(chat: &Chat<'_>) -> Value {
    let alert = chat.alert;
    let routing_key = chat.context.key.unwrap_or("");
    let dedup_key = format!("{}/{}", alert.host.id, alert.fingerprint);
    let action = match alert.status {
        Status::Firing | Status::Repeated => "trigger",
        Status::Resolved => {
            return json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key});
        }
    };
    let facts: serde_json::Map<String, Value> = chat
        .facts()
        .into_iter()
        .map(|fact| (fact.name.to_owned(), fact.value.into()))
        .collect();
    fit(&chat.text(), BODY_MAX_BYTES, |text| {
        let mut details = facts.clone();
        details.insert("text".to_owned(), text.into());
        json!({
            "routing_key": routing_key,
            "event_action": action,
            "dedup_key": dedup_key,
            "payload": {
                "summary": chat.title(SUMMARY_MAX_CHARS),
                "source": alert.host.name,
                "severity": super::severity(alert.severity),
                "timestamp": alert.timestamp.unwrap_or(alert.observed_at).to_string(),
                "component": alert.source.as_ref().map(|source| source.name.as_str()),
                "class": alert.kind,
                "custom_details": details,
            },
            "client": "exception-log-collector",
        })
    })
}

pub(super) fn judge(url: &str, answer: &Answer) -> Result<(), SendError> {
    if answer.status == 400 && answer.body.to_lowercase().contains("routing") {
        return Class::Blocked.outcome(url, answer);
    }
    answer.judge(url)
}
