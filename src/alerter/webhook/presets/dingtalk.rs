//! DingTalk: custom robots, markdown, signed (open.dingtalk.com, "custom robot"): `timestamp` in ms and
//! `sign = base64(HMAC-SHA256(secret, "{timestamp}\n{secret}"))` in the query.
//!
//! Whom a message calls is said by its `at`, so that an `@` in log text calls nobody; links and pictures are broken. Text
//! at most 20,000 bytes. Success is `errcode: 0` inside 200.

use super::{Answer, Chat, Class, RATE_WINDOW, SendError, Value, code, fit, json, judge_code};
use crate::alerter::webhook::hmac_sha256;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

const BODY_MAX_BYTES: usize = 19_000;
const TITLE_MAX_CHARS: usize = 200;

pub(super) fn body(chat: &Chat<'_>) -> Value {
    let mention = chat.mention();
    let title = chat.title(TITLE_MAX_CHARS);
    let calls: Vec<String> = mention
        .mobiles
        .iter()
        .chain(&mention.user_ids)
        .map(|who| format!("@{who}"))
        .collect();
    let facts: Vec<String> = chat
        .facts()
        .iter()
        .map(|f| format!("- **{}**: {}", f.name, harmless(&f.value)))
        .collect();
    fit(&chat.text(), BODY_MAX_BYTES, |text| {
        let quoted: Vec<String> = text.lines().map(|line| format!("> {}  ", harmless(line))).collect();
        let parts = [
            format!("#### {}", harmless(&title)),
            facts.join("\n"),
            quoted.join("\n"),
            calls.join(" "),
        ];
        let parts: Vec<&str> = parts
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        json!({
            "msgtype": "markdown",
            "markdown": {"title": title, "text": parts.join("\n\n")},
            "at": {"atMobiles": mention.mobiles, "atUserIds": mention.user_ids, "isAtAll": mention.all},
        })
    })
}

/// `[…](…)` is no link and no picture any more.
fn harmless(line: &str) -> String {
    line.replace("](", "]\u{200b}(").replace('<', "&lt;")
}

/// The URL, signed where there is a secret.
pub(super) fn signed(url: &str, secret: Option<&str>, now: jiff::Timestamp) -> String {
    let Some(secret) = secret else { return url.to_owned() };
    let timestamp = now.as_millisecond();
    let sign = BASE64_STANDARD.encode(hmac_sha256(
        secret.as_bytes(),
        format!("{timestamp}\n{secret}").as_bytes(),
    ));
    let sign = sign.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}timestamp={timestamp}&sign={sign}")
}

pub(super) fn judge(url: &str, answer: &Answer) -> Result<(), SendError> {
    judge_code(url, answer, code(answer, &["errcode"]), |code| match code {
        0 => Class::Delivered,
        // More than 20 messages a minute.
        130_101 | 410_100 | 660_026 => Class::Rate(RATE_WINDOW),
        -1 => Class::Retry,
        // Keyword, signature or address not allowed; token wrong; robot or group gone or stopped.
        310_000 | 300_001 | 300_005 | 400_013 | 400_101 | 400_102 | 400_106 => Class::Blocked,
        // Parameters, message type, forbidden content, too long.
        40_035 | 43_004 | 400_105 | 430_101..=430_104 | 460_101 => Class::Dead,
        _ => Class::Retry,
    })
}
