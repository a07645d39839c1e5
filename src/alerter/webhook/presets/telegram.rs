//! Telegram: `sendMessage` of the Bot API, `parse_mode: HTML`; the URL is `https://api.telegram.org/bot<token>/sendMessage`.
//!
//! `& < >` are escaped; in a `<pre>` Telegram looks for no mentions, and outside of it an `@` is followed by a word
//! joiner. 4,096 UTF-16 units after the entities are parsed (core.telegram.org/bots/api#sendmessage). Failures are
//! `{"ok": false, "error_code", "description", "parameters": {"retry_after"}}`.

use super::discord::cut_utf16;
use super::{Answer, Chat, Class, SendError, Value, json};

const TITLE_MAX_CHARS: usize = 300;
const FACTS_MAX_UNITS: usize = 1000;
const TEXT_MAX_UNITS: usize = 2500;

pub(super) fn body(chat: &Chat<'_>, chat_id: &str) -> Value {
    let mention = chat.mention();
    let calls: Vec<String> = mention
        .user_ids
        .iter()
        .map(|id| format!("<a href=\"tg://user?id={}\">@{}</a>", escape(id), escape(id)))
        .collect();
    let mut text = format!(
        "<b>{}</b>\n{}",
        escape(&unmentioned(&chat.title(TITLE_MAX_CHARS))),
        escape(&unmentioned(&cut_utf16(&chat.fact_lines(), FACTS_MAX_UNITS)))
    );
    let record = chat.text();
    if !record.is_empty() {
        text.push_str(&format!("\n<pre>{}</pre>", escape(&cut_utf16(&record, TEXT_MAX_UNITS))));
    }
    if !calls.is_empty() {
        text.push_str(&format!("\n{}", calls.join(" ")));
    }
    json!({"chat_id": chat_id, "text": text, "parse_mode": "HTML", "link_preview_options": {"is_disabled": true}})
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn unmentioned(text: &str) -> String {
    text.replace('@', "@\u{2060}")
}

pub(super) fn judge(url: &str, answer: &Answer) -> Result<(), SendError> {
    let Ok(body) = serde_json::from_str::<Value>(&answer.body) else {
        return answer.judge(url);
    };
    let description = body
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_lowercase();
    let mut answer = answer.clone();
    answer.retry_after = answer
        .retry_after
        .or_else(|| super::seconds(body.pointer("/parameters/retry_after")));
    match (body.get("ok").and_then(Value::as_bool), answer.status) {
        (Some(true), 200..=299) => Ok(()),
        // 400 is the message's fault but for these, which are the chat's.
        (_, 400)
            if [
                "chat not found",
                "group chat was upgraded",
                "chat_id is empty",
                "not enough rights",
                "have no rights",
            ]
            .iter()
            .any(|words| description.contains(words)) =>
        {
            Class::Blocked.outcome(url, &answer)
        }
        (_, 200..=299) => Class::Blocked.outcome(url, &answer),
        (_, _) => answer.judge(url),
    }
}
