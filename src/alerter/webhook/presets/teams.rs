//! Microsoft Teams: workflow webhooks ("Post to a channel when a webhook request is received") with an Adaptive Card.
//!
//! Log text stands in `TextRun`s, which know no markdown and no mentions; each line has its own block, because clients
//! differ in what a newline within a run is. A message is at most 28 KB. Workflows answer
//! 202; the older connectors answer 200 and say a failure in the body.

use super::{Answer, Chat, Class, Colour, SendError, Value, fit, json};

const BODY_MAX_BYTES: usize = 27_000;
const TITLE_MAX_CHARS: usize = 300;
const LINES_MAX: usize = 60;

pub(super) fn body(chat: &Chat<'_>) -> Value {
    let colour = match chat.colour() {
        Colour::Red => "attention",
        Colour::Orange => "warning",
        Colour::Blue => "accent",
        Colour::Green => "good",
    };
    let title = chat.title(TITLE_MAX_CHARS);
    let facts = chat.facts();
    fit(&chat.text(), BODY_MAX_BYTES, |text| {
        let title = json!({"type": "TextRun", "text": title, "weight": "bolder", "size": "medium", "color": colour});
        let mut blocks = vec![block(title, "default")];
        for fact in &facts {
            let run = json!({"type": "TextRun", "text": format!("{}: {}", fact.name, fact.value), "isSubtle": true});
            blocks.push(block(run, "none"));
        }
        for (n, line) in text.lines().take(LINES_MAX).enumerate() {
            // Indentation is what makes a stack trace readable, and clients fold plain spaces.
            let indent = line.len() - line.trim_start().len();
            let line = "\u{a0}".repeat(indent) + line.trim_start();
            let run = json!({"type": "TextRun", "text": line, "fontType": "monospace", "size": "small"});
            blocks.push(block(run, if n == 0 { "default" } else { "none" }));
        }
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": {"width": "Full"},
                    "body": blocks,
                },
            }],
        })
    })
}

fn block(run: Value, spacing: &str) -> Value {
    json!({"type": "RichTextBlock", "spacing": spacing, "inlines": [run]})
}

pub(super) fn judge(url: &str, answer: &Answer) -> Result<(), SendError> {
    let failed = answer.status < 300 && answer.body.contains("delivery failed");
    match failed {
        true if answer.body.contains("429") => Class::Retry.outcome(url, answer),
        true if answer.body.contains("413") => Class::Dead.outcome(url, answer),
        true => Class::Retry.outcome(url, answer),
        false => answer.judge(url),
    }
}
