//! What each provider wants to be sent, and how it says that it took it.
//!
//! Log text is hostile: it stands in plain-text elements or code blocks where a provider has them, is escaped where it
//! has not, mentions nobody that the configuration does not name, and is cut to the provider's limits on character
//! boundaries. Codes and limits are those of the providers' documentation, named in each file.

mod alertmanager;
mod dingtalk;
mod discord;
mod feishu;
mod pagerduty;
mod slack;
mod teams;
mod telegram;
mod wecom;

pub use alertmanager::Active;
pub(super) use alertmanager::{REPEAT_EVERY, latest, url as alertmanager_url};
pub(super) use pagerduty::URL as PAGERDUTY_URL;

use super::{Mention, Preset, Settings};
use crate::alert::render::{self, Wording};
use crate::alert::{Alert, Status};
use crate::alerter::SendError;
use crate::alerter::http::Answer;
use crate::record::Level;
use serde_json::{Value, json};
use std::time::Duration;

/// What a message is made from, besides the alert.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub settings: &'a Settings,
    pub wording: &'a Wording,
    /// Signing secret (dingtalk, feishu) or routing key (pagerduty).
    pub key: Option<&'a str>,
    pub now: jiff::Timestamp,
}

/// URL and body of the request that tells of `alert`.
///
/// # Errors
/// Only a template of one's own can fail.
pub(super) fn request(url: &str, alert: &Alert, context: &Context<'_>) -> Result<(String, Vec<u8>), SendError> {
    if let Some(template) = &context.settings.template {
        let body = template.render(alert, context.wording);
        let body = body.map_err(|fault| SendError::Reject {
            reason: fault.to_string(),
        })?;
        return Ok(match &context.settings.preset {
            Preset::Dingtalk { .. } => (dingtalk::signed(url, context.key, context.now), body),
            Preset::Feishu { .. } => (url.to_owned(), feishu::signed_template(body, context)),
            Preset::Generic
            | Preset::Alertmanager
            | Preset::Slack
            | Preset::Teams
            | Preset::Discord
            | Preset::Telegram { .. }
            | Preset::Pagerduty { .. }
            | Preset::Wecom => (url.to_owned(), body),
        });
    }
    let chat = Chat {
        alert,
        context: *context,
    };
    let body = match &context.settings.preset {
        Preset::Generic => return Ok((url.to_owned(), alert.to_json().into_bytes())),
        Preset::Alertmanager => alertmanager::body(&[alert], context.wording, context.now),
        Preset::Slack => slack::body(&chat),
        Preset::Teams => teams::body(&chat),
        Preset::Discord => discord::body(&chat),
        Preset::Telegram { chat_id } => telegram::body(&chat, chat_id),
        Preset::Pagerduty { .. } => pagerduty::body(&chat),
        Preset::Dingtalk { .. } => {
            return Ok((
                dingtalk::signed(url, context.key, context.now),
                bytes(&dingtalk::body(&chat)),
            ));
        }
        Preset::Feishu { .. } => feishu::body(&chat),
        Preset::Wecom => wecom::body(&chat),
    };
    Ok((url.to_owned(), bytes(&body)))
}

/// Whether the provider took it: by its own code where it has one, else by the status.
pub(super) fn judge(preset: &Preset, url: &str, answer: &Answer) -> Result<(), SendError> {
    match preset {
        Preset::Generic | Preset::Alertmanager | Preset::Slack => answer.judge(url),
        Preset::Teams => teams::judge(url, answer),
        Preset::Discord => discord::judge(url, answer),
        Preset::Telegram { .. } => telegram::judge(url, answer),
        Preset::Pagerduty { .. } => pagerduty::judge(url, answer),
        Preset::Dingtalk { .. } => dingtalk::judge(url, answer),
        Preset::Feishu { .. } => feishu::judge(url, answer),
        Preset::Wecom => wecom::judge(url, answer),
    }
}

pub(super) fn bytes(body: &Value) -> Vec<u8> {
    serde_json::to_vec(body).expect("a value has only string keys, and no type that fails to serialise")
}

/// What a provider's code means for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Delivered,
    /// Too fast: again after the provider's window.
    Rate(Duration),
    Retry,
    Blocked,
    Dead,
}

/// A minute: the window of the rate limits of DingTalk, Feishu and WeCom.
const RATE_WINDOW: Duration = Duration::from_secs(60);

impl Class {
    /// `answer` goes into the reason.
    fn outcome(self, url: &str, answer: &Answer) -> Result<(), SendError> {
        let reason = answer.reason(url);
        match self {
            Class::Delivered => Ok(()),
            Class::Rate(after) => Err(SendError::Retry {
                after: Some(answer.retry_after.unwrap_or(after)),
                reason,
            }),
            Class::Retry => Err(SendError::Retry {
                after: answer.retry_after,
                reason,
            }),
            Class::Blocked => Err(SendError::Blocked { reason }),
            Class::Dead => Err(SendError::Reject { reason }),
        }
    }
}

/// By the code in the body if there is one; by the status if not, or if the status speaks of the way and not of the
/// message (a proxy's, a gateway's).
fn judge_code(url: &str, answer: &Answer, code: Option<i64>, class: impl Fn(i64) -> Class) -> Result<(), SendError> {
    match (answer.status, code) {
        (200..=299 | 400..=499, Some(code)) if answer.status != 429 => class(code).outcome(url, answer),
        // A success that is not in the provider's words is not the provider's.
        (200..=299, None) => Class::Blocked.outcome(url, answer),
        (_, _) => answer.judge(url),
    }
}

fn code(answer: &Answer, keys: &[&str]) -> Option<i64> {
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    keys.iter().find_map(|key| body.get(key)?.as_i64())
}

/// `retry_after` of a body.
fn seconds(value: Option<&Value>) -> Option<Duration> {
    Duration::try_from_secs_f64(value?.as_f64()?).ok()
}

/// The body that tells Alertmanager of several alerts.
pub(super) fn alertmanager_body(alerts: &[std::sync::Arc<Alert>], wording: &Wording, now: jiff::Timestamp) -> Vec<u8> {
    bytes(&alertmanager::body(
        &alerts.iter().map(|alert| &**alert).collect::<Vec<_>>(),
        wording,
        now,
    ))
}

const FACT_MAX_CHARS: usize = 200;
static NOBODY: Mention = Mention {
    mobiles: Vec::new(),
    user_ids: Vec::new(),
    all: false,
};

/// An alert on its way into a chat.
#[derive(Debug, Clone, Copy)]
struct Chat<'a> {
    alert: &'a Alert,
    context: Context<'a>,
}

impl Chat<'_> {
    /// Nobody is called to hear that something is over.
    fn mention(&self) -> &Mention {
        match self.alert.status {
            Status::Firing | Status::Repeated => &self.context.settings.mention,
            Status::Resolved => &NOBODY,
        }
    }

    /// `[ERROR] pool exhausted`, with the configured prefix.
    fn title(&self, max_chars: usize) -> String {
        let headline = render::headline(self.alert, self.context.wording, max_chars);
        let prefix = &self.context.settings.title_prefix;
        let space = if prefix.is_empty() { "" } else { " " };
        render::cut(&format!("{prefix}{space}{headline}"), max_chars)
    }

    /// Short enough for any chat: what is left out (hundreds of labels) a person would not read there.
    fn facts(&self) -> Vec<render::Fact> {
        let mut facts = render::facts(self.alert, self.context.wording);
        for fact in &mut facts {
            fact.value = render::cut(&fact.value, FACT_MAX_CHARS);
        }
        facts
    }

    /// `Host: gw-17` one a line.
    fn fact_lines(&self) -> String {
        let lines: Vec<String> = self
            .facts()
            .iter()
            .map(|fact| format!("{}: {}", fact.name, fact.value))
            .collect();
        lines.join("\n")
    }

    /// The record; of what is resolved nothing: it was told with the firing.
    fn text(&self) -> String {
        match self.alert.status {
            Status::Firing | Status::Repeated => render::body(self.alert, self.context.wording),
            Status::Resolved => String::new(),
        }
    }

    /// How bad it looks.
    fn colour(&self) -> Colour {
        match (self.alert.status, self.alert.severity) {
            (Status::Resolved, _) => Colour::Green,
            (Status::Firing | Status::Repeated, Level::Fatal | Level::Error) => Colour::Red,
            (Status::Firing | Status::Repeated, Level::Warn) => Colour::Orange,
            (Status::Firing | Status::Repeated, Level::Info | Level::Debug | Level::Trace) => Colour::Blue,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Red,
    Orange,
    Blue,
    Green,
}

impl Colour {
    fn rgb(self) -> u32 {
        match self {
            Colour::Red => 0x00d9_2d20,
            Colour::Orange => 0x00f7_9009,
            Colour::Blue => 0x0029_70ff,
            Colour::Green => 0x0012_b76a,
        }
    }
}

/// Severity for Alertmanager and PagerDuty.
fn severity(level: Level) -> &'static str {
    match level {
        Level::Fatal => "critical",
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info | Level::Debug | Level::Trace => "info",
    }
}

/// The largest body within `max_bytes`: `body` is given a text that is shortened until what it makes of it fits. JSON
/// escapes make it impossible to say beforehand.
fn fit(text: &str, max_bytes: usize, body: impl Fn(&str) -> Value) -> Value {
    let mut room = text.len();
    loop {
        let made = body(&render::cut_bytes(text, room));
        let length = bytes(&made).len();
        if length <= max_bytes || room == 0 {
            return made;
        }
        // By what is too much, and by a tenth at least: escapes are up to six bytes for one.
        room -= ((length - max_bytes) / 6).max(room / 10).max(1).min(room);
    }
}

#[cfg(test)]
mod tests;
