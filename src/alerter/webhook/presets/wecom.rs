//! WeCom (企业微信): group robots (developer.work.weixin.qq.com, "group robot"). Markdown of at most 4,096 bytes; where
//! telephone numbers are to be called, plain text of at most 2,048, the only form that can.
//!
//! `<@user>` in markdown calls; in log text the `<` is followed by a zero-width space. Success is `errcode: 0` inside 200.

use super::{Answer, Chat, Class, RATE_WINDOW, SendError, Value, code, json, judge_code};
use crate::alert::render;

const MARKDOWN_MAX_BYTES: usize = 4096;
const TEXT_MAX_BYTES: usize = 2048;
const TITLE_MAX_CHARS: usize = 200;

pub(super) fn body(chat: &Chat<'_>) -> Value {
    let mention = chat.mention();
    let (title, facts, text) = (chat.title(TITLE_MAX_CHARS), chat.fact_lines(), chat.text());
    if !mention.mobiles.is_empty() {
        let all = mention.all.then(|| "@all".to_owned());
        let users: Vec<&String> = mention.user_ids.iter().chain(&all).collect();
        let content = render::cut_bytes(&format!("{title}\n{facts}\n\n{text}"), TEXT_MAX_BYTES);
        return json!({
            "msgtype": "text",
            "text": {"content": content, "mentioned_list": users, "mentioned_mobile_list": mention.mobiles},
        });
    }
    let mut calls: Vec<String> = mention.user_ids.iter().map(|id| format!("<@{id}>")).collect();
    if mention.all {
        calls.push("<@all>".to_owned());
    }
    // Configured mentions stand before what may be cut.
    let head = if calls.is_empty() {
        String::new()
    } else {
        format!("{}\n", calls.join(" "))
    };
    let quoted: Vec<String> = text.lines().map(|line| format!("> {line}")).collect();
    let rest = harmless(&format!("#### {title}\n{facts}\n\n{}", quoted.join("\n")));
    let content = head.clone() + render::cut_bytes(&rest, MARKDOWN_MAX_BYTES.saturating_sub(head.len())).trim_end();
    json!({"msgtype": "markdown", "markdown": {"content": content}})
}

fn harmless(text: &str) -> String {
    text.replace('<', "<\u{200b}").replace("](", "]\u{200b}(")
}

pub(super) fn judge(url: &str, answer: &Answer) -> Result<(), SendError> {
    judge_code(url, answer, code(answer, &["errcode"]), |code| match code {
        0 => Class::Delivered,
        // More than 20 a minute; too many at once.
        45_009 | 45_033 => Class::Rate(RATE_WINDOW),
        -1 => Class::Retry,
        // Key wrong, or the robot was removed.
        93_000 | 93_004 | 40_001 | 40_014 | 41_001 | 42_001 => Class::Blocked,
        // Parameters, message type, empty, too long.
        40_008 | 40_058 | 44_004 | 45_002 => Class::Dead,
        _ => Class::Retry,
    })
}
