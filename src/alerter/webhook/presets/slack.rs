//! Slack: incoming webhooks, Block Kit. Mentions need `<…>` in mrkdwn, which log text cannot make: `& < >` are escaped.
//!
//! Limits (docs.slack.dev, Block Kit reference): header 150 characters, section text 3,000, ten fields of 2,000. The
//! answer is the status: 200 `ok`; 400 is the message's fault; 403, 404 and 410 are the webhook's.

use super::{Chat, Value, json};
use crate::alert::render;

const HEADER_MAX_CHARS: usize = 150;
const SECTION_MAX_CHARS: usize = 3000;

pub(super) fn body(chat: &Chat<'_>) -> Value {
    let mention = chat.mention();
    let mut calls: Vec<String> = mention.user_ids.iter().map(|id| format!("<@{id}>")).collect();
    if mention.all {
        calls.push("<!channel>".to_owned());
    }
    let title = cut_escaped(&chat.title(HEADER_MAX_CHARS), HEADER_MAX_CHARS);
    calls.push(title.clone());
    let facts = cut_escaped(&chat.fact_lines(), SECTION_MAX_CHARS);
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": false}}),
        json!({"type": "section", "text": {"type": "mrkdwn", "text": facts, "verbatim": true}}),
    ];
    let text = chat.text();
    if !text.is_empty() {
        // A code block cannot be left by what stands in it.
        let code = cut_escaped(&text.replace("```", "'''"), SECTION_MAX_CHARS - "```\n\n```".len());
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("```\n{code}\n```"), "verbatim": true}}));
    }
    // The text is what notifications show; the blocks stand in an attachment for its colour.
    json!({
        "text": calls.join(" "),
        "attachments": [{"color": format!("#{:06x}", chat.colour().rgb()), "fallback": title, "blocks": blocks}],
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escaped, then within the limit, and no entity cut in two.
fn cut_escaped(text: &str, max_chars: usize) -> String {
    let mut room = max_chars;
    loop {
        let escaped = escape(&render::cut(text, room));
        let length = escaped.chars().count();
        if length <= max_chars {
            return escaped;
        }
        room -= (length - max_chars).div_ceil(5).min(room);
    }
}
