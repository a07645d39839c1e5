//! Discord: webhooks with one embed. `allowed_mentions` names whom a message may call, so that log text calls nobody.
//!
//! Limits (discord.com/developers, Channel resource): title 256, description 4,096, field value 1,024, 6,000 for the
//! whole embed; counted here in UTF-16 units, which is never less than Discord counts. A rate is said by 429 with
//! `Retry-After` and `retry_after` in the body.

use super::{Answer, Chat, SendError, Value, json};
use crate::alert::render;

const TITLE_MAX: usize = 256;
const FIELD_MAX: usize = 512;
const DESCRIPTION_MAX: usize = 3000;

pub(super) fn body(chat: &Chat<'_>) -> Value {
    let mention = chat.mention();
    let mut calls: Vec<String> = mention.user_ids.iter().map(|id| format!("<@{id}>")).collect();
    if mention.all {
        calls.push("@everyone".to_owned());
    }
    let field = |fact: &render::Fact| json!({"name": fact.name, "value": code_span(&cut_utf16(&fact.value, FIELD_MAX)), "inline": true});
    let mut embed = json!({
        "title": cut_utf16(&chat.title(TITLE_MAX), TITLE_MAX),
        "color": chat.colour().rgb(),
        "fields": chat.facts().iter().filter(|fact| !fact.value.is_empty()).take(5).map(field).collect::<Vec<_>>(),
        "timestamp": chat.alert.timestamp.unwrap_or(chat.alert.observed_at).to_string(),
        "footer": {"text": format!("{} · {}", chat.alert.id, chat.alert.fingerprint)},
    });
    let text = chat.text();
    if !text.is_empty() {
        let code = cut_utf16(&text.replace("```", "'''"), DESCRIPTION_MAX - "```\n\n```".len());
        embed["description"] = format!("```\n{code}\n```").into();
    }
    let everyone = if mention.all { json!(["everyone"]) } else { json!([]) };
    json!({
        "content": calls.join(" "),
        "embeds": [embed],
        "allowed_mentions": {"parse": everyone, "users": mention.user_ids},
    })
}

/// Within a code span markdown says nothing.
fn code_span(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// At most so many UTF-16 units.
pub(super) fn cut_utf16(text: &str, max_units: usize) -> String {
    if text.encode_utf16().count() <= max_units {
        return text.to_owned();
    }
    let mut units = 1; // the ellipsis
    let kept: String = text
        .chars()
        .take_while(|c| {
            units += c.len_utf16();
            units <= max_units
        })
        .collect();
    kept + "…"
}

pub(super) fn judge(url: &str, answer: &Answer) -> Result<(), SendError> {
    let mut answer = answer.clone();
    if answer.status == 429 && answer.retry_after.is_none() {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        answer.retry_after = super::seconds(body.get("retry_after"));
    }
    answer.judge(url)
}
