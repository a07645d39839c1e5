//! Feishu (Lark): custom bots, interactive card, signed (open.feishu.cn, "custom bot"): `timestamp` in seconds and
//! `sign = base64(HMAC-SHA256("{timestamp}\n{secret}", ""))` in the body.
//!
//! Log text stands in `plain_text`, which knows no markup; only configured mentions are `lark_md`. A body is at most
//! 20 KB. Success is `code: 0` (older: `StatusCode: 0`) inside 200.

use super::{Answer, Chat, Class, Colour, Context, RATE_WINDOW, SendError, Value, code, fit, json, judge_code};
use crate::alerter::webhook::hmac_sha256;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

const BODY_MAX_BYTES: usize = 19_000;
const TITLE_MAX_CHARS: usize = 200;

pub(super) fn body(chat: &Chat<'_>) -> Value {
    let mention = chat.mention();
    let mut calls: Vec<String> = mention.user_ids.iter().map(|id| format!("<at id={id}></at>")).collect();
    if mention.all {
        calls.push("<at id=all></at>".to_owned());
    }
    let template = match chat.colour() {
        Colour::Red => "red",
        Colour::Orange => "orange",
        Colour::Blue => "blue",
        Colour::Green => "green",
    };
    let title = chat.title(TITLE_MAX_CHARS);
    let facts = chat.fact_lines();
    let mut body = fit(&chat.text(), BODY_MAX_BYTES, |text| {
        let mut elements = vec![json!({"tag": "div", "text": {"tag": "plain_text", "content": facts}})];
        if !text.is_empty() {
            elements.push(json!({"tag": "hr"}));
            elements.push(json!({"tag": "div", "text": {"tag": "plain_text", "content": text}}));
        }
        if !calls.is_empty() {
            elements.push(json!({"tag": "div", "text": {"tag": "lark_md", "content": calls.join(" ")}}));
        }
        json!({
            "msg_type": "interactive",
            "card": {
                "config": {"wide_screen_mode": true},
                "header": {"template": template, "title": {"tag": "plain_text", "content": title}},
                "elements": elements,
            },
        })
    });
    sign(&mut body, &chat.context);
    body
}

/// What a template of one's own gives, signed if it is an object.
pub(super) fn signed_template(body: Vec<u8>, context: &Context<'_>) -> Vec<u8> {
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut value) if value.is_object() && context.key.is_some() => {
            sign(&mut value, context);
            super::bytes(&value)
        }
        Ok(_) | Err(_) => body,
    }
}

fn sign(body: &mut Value, context: &Context<'_>) {
    if let Some(secret) = context.key {
        let timestamp = context.now.as_second();
        body["timestamp"] = timestamp.to_string().into();
        body["sign"] = BASE64_STANDARD
            .encode(hmac_sha256(format!("{timestamp}\n{secret}").as_bytes(), b""))
            .into();
    }
}

pub(super) fn judge(url: &str, answer: &Answer) -> Result<(), SendError> {
    judge_code(url, answer, code(answer, &["code", "StatusCode"]), |code| match code {
        0 => Class::Delivered,
        // More than 100 a minute or 5 a second.
        11_232 | 11_233 => Class::Rate(RATE_WINDOW),
        // Token, signature or time stamp, address, keyword; bot stopped.
        19_001 | 19_021 | 19_022 | 19_024 | 19_007 => Class::Blocked,
        // Malformed, message type, content.
        9_499 | 19_002 | 19_003 | 11_246 => Class::Dead,
        _ => Class::Retry,
    })
}
