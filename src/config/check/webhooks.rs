//! `alerters.*.webhook`: one receiver, with what only its provider needs.

use super::{list, span, words};
use crate::alerter::tls::Tls;
use crate::alerter::webhook::template::Template;
use crate::alerter::webhook::{Mention, Preset, Secret, Settings};
use crate::config::alerter_file as file;
use crate::config::key::Key;
use crate::config::place::Inputs;
use crate::config::secret;
use crate::config::tree::NodeId;
use crate::record::Level;
use std::time::Duration;

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// The webhook and its usual least severity: people in chats are told less than machines.
pub fn webhook(key: Key<file::Webhook>, inputs: &mut Inputs) -> Option<(Settings, Level)> {
    let at = key.at();
    key.get()?;
    let file = key.section();
    let word = file.preset.or(file::Preset::Generic);
    only_for(&file, word, inputs);
    let settings = Settings {
        urls: urls(at, &file, word, inputs),
        preset: preset(at, &file, word, inputs),
        mention: mention(&file),
        title_prefix: file.title_prefix.or(String::new()),
        headers: headers(&file, inputs),
        bearer_token: secret::either("bearer_token", &file.bearer_token, &file.bearer_token_file, inputs),
        basic_auth: basic_auth(&file, inputs),
        hmac_secret: secret::either("hmac_secret", &file.hmac_secret, &file.hmac_secret_file, inputs),
        template: template(&file, inputs),
        timeout: timeout(&file, inputs),
        tls: tls(&file.tls, inputs),
    };
    let usual_severity = match word {
        file::Preset::Generic | file::Preset::Alertmanager | file::Preset::Pagerduty => Level::Warn,
        file::Preset::Slack
        | file::Preset::Teams
        | file::Preset::Discord
        | file::Preset::Telegram
        | file::Preset::Dingtalk
        | file::Preset::Feishu
        | file::Preset::Wecom => Level::Error,
    };
    Some((settings, usual_severity))
}

fn urls(at: Option<NodeId>, file: &file::Webhook, word: file::Preset, inputs: &mut Inputs) -> Vec<Secret> {
    let ways = [
        ("url", file.url.at()),
        ("urls", file.urls.at()),
        ("url_file", file.url_file.at()),
        ("urls_file", file.urls_file.at()),
    ];
    let given: Vec<(&str, NodeId)> = ways.iter().filter_map(|(name, at)| at.map(|at| (*name, at))).collect();
    for (name, at) in given.iter().skip(1) {
        inputs.fault(
            *at,
            format!("`{}` and `{name}` are both given", given[0].0),
            "keep one of them",
        );
    }
    if let (true, Some(at)) = (given.is_empty() && word != file::Preset::Pagerduty, at) {
        inputs.fault(at, "`url` is missing", "add one of url, urls, url_file, urls_file");
    }
    let listed = file.urls.get().into_iter().flat_map(|list| &list.0);
    let mut urls = Vec::new();
    for (at, url) in file.url.placed().into_iter().chain(listed.filter_map(Key::placed)) {
        check_url(at, url, inputs);
        // Only the URLs of chat bots are secrets that deserve the warning; any URL is kept from being printed.
        urls.extend(match word {
            file::Preset::Generic | file::Preset::Alertmanager | file::Preset::Pagerduty => {
                Some(Secret::Value(url.trim().into()))
            }
            _ => secret::inline(at, url, inputs),
        });
    }
    for key in [&file.url_file, &file.urls_file] {
        let Some((at, path)) = key.placed() else { continue };
        if let Some(url) = secret::first_line(at, path.as_ref(), inputs) {
            check_url(at, &url, inputs);
            urls.push(Secret::File(path.into()));
        }
    }
    urls
}

/// The URL itself is never told: it may be a secret.
fn check_url(at: NodeId, url: &str, inputs: &mut Inputs) {
    let rest = url
        .trim()
        .strip_prefix("https://")
        .or_else(|| url.trim().strip_prefix("http://"));
    match rest {
        None => inputs.fault(at, "the URL does not begin with http:// or https://", ""),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':', '?', '#']) => {
            inputs.fault(at, "the URL names no host", "");
        }
        Some(rest) if rest.contains(char::is_whitespace) => inputs.fault(at, "the URL contains a blank", ""),
        Some(_) => {}
    }
}

fn preset(at: Option<NodeId>, file: &file::Webhook, word: file::Preset, inputs: &mut Inputs) -> Preset {
    match word {
        file::Preset::Generic => Preset::Generic,
        file::Preset::Alertmanager => Preset::Alertmanager,
        file::Preset::Slack => Preset::Slack,
        file::Preset::Teams => Preset::Teams,
        file::Preset::Discord => Preset::Discord,
        file::Preset::Wecom => Preset::Wecom,
        file::Preset::Telegram => {
            if let (Some(at), false) = (at, file.chat_id.is_given()) {
                inputs.fault(
                    at,
                    "`chat_id` is missing",
                    "telegram needs the id of the chat, such as -1001234567890",
                );
            }
            Preset::Telegram {
                chat_id: file.chat_id.or(String::new()),
            }
        }
        file::Preset::Pagerduty => {
            let key = secret::either("routing_key", &file.routing_key, &file.routing_key_file, inputs);
            let given = file.routing_key.is_given() || file.routing_key_file.is_given();
            if let (Some(at), false) = (at, given) {
                inputs.fault(
                    at,
                    "`routing_key_file` is missing",
                    "pagerduty needs the integration key of a service",
                );
            }
            Preset::Pagerduty {
                routing_key: key.unwrap_or_else(|| Secret::Value("".into())),
            }
        }
        file::Preset::Dingtalk => Preset::Dingtalk {
            secret: secret::either("secret", &file.secret, &file.secret_file, inputs),
        },
        file::Preset::Feishu => Preset::Feishu {
            secret: secret::either("secret", &file.secret, &file.secret_file, inputs),
        },
    }
}

/// Reports options that the preset has no use for.
fn only_for(file: &file::Webhook, word: file::Preset, inputs: &mut Inputs) {
    use file::Preset::{Alertmanager, Dingtalk, Discord, Feishu, Generic, Pagerduty, Slack, Teams, Telegram, Wecom};
    let chats: &[file::Preset] = &[Slack, Teams, Discord, Telegram, Dingtalk, Feishu, Wecom];
    let options: [(&str, Option<NodeId>, &[file::Preset]); 10] = [
        ("chat_id", file.chat_id.at(), &[Telegram]),
        ("routing_key", file.routing_key.at(), &[Pagerduty]),
        ("routing_key_file", file.routing_key_file.at(), &[Pagerduty]),
        ("secret", file.secret.at(), &[Dingtalk, Feishu]),
        ("secret_file", file.secret_file.at(), &[Dingtalk, Feishu]),
        (
            "mention",
            file.mention.at(),
            &[Slack, Teams, Discord, Telegram, Dingtalk, Feishu, Wecom],
        ),
        // Alertmanager is told of several at once; PagerDuty's body holds the routing key.
        (
            "template",
            file.template.at(),
            &[Generic, Slack, Teams, Discord, Telegram, Dingtalk, Feishu, Wecom],
        ),
        ("title_prefix", file.title_prefix.at(), chats),
        ("hmac_secret", file.hmac_secret.at(), &[Generic, Alertmanager]),
        ("hmac_secret_file", file.hmac_secret_file.at(), &[Generic, Alertmanager]),
    ];
    for (name, at, presets) in options {
        if let (Some(at), false) = (at, presets.contains(&word)) {
            let names: Vec<String> = presets
                .iter()
                .map(|preset| format!("{preset:?}").to_lowercase())
                .collect();
            let hint = format!(
                "it is for the presets {}; `preset` is {}",
                names.join(", "),
                format!("{word:?}").to_lowercase()
            );
            inputs.fault(at, format!("`{name}` has no meaning here"), hint);
        }
    }
}

/// A template that makes JSON of sample alerts.
fn template(file: &file::Webhook, inputs: &mut Inputs) -> Option<Template> {
    let (at, source) = file.template.placed()?;
    Template::new(source)
        .map_err(|fault| inputs.fault(at, fault.to_string(), "docs/CONFIG.md says what a template can use"))
        .ok()
}

fn mention(file: &file::Webhook) -> Mention {
    let section = file.mention.get();
    Mention {
        mobiles: section.map(|mention| list(&mention.mobiles)).unwrap_or_default(),
        user_ids: section.map(|mention| list(&mention.user_ids)).unwrap_or_default(),
        all: section.is_some_and(|mention| mention.all.or(false)),
    }
}

fn headers(file: &file::Webhook, inputs: &mut Inputs) -> Vec<(String, String)> {
    /// Set by the program itself; a second one would be ambiguous.
    const OWN: [&str; 6] = [
        "content-type",
        "content-length",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "connection",
    ];
    for (name, key) in file.headers.get().into_iter().flatten() {
        let Some((at, value)) = key.placed() else { continue };
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            inputs.fault(at, "this is not a name of a header", "letters, digits and - only");
        } else if OWN.contains(&name.to_ascii_lowercase().as_str()) {
            inputs.fault(at, "this header is set by the program", "remove it");
        } else if value.chars().any(char::is_control) {
            inputs.fault(at, "a header's value cannot hold control characters", "");
        }
    }
    words(&file.headers).into_iter().collect()
}

fn basic_auth(file: &file::Webhook, inputs: &mut Inputs) -> Option<(String, Secret)> {
    let (at, auth) = file.basic_auth.placed()?;
    if file.bearer_token.is_given() || file.bearer_token_file.is_given() {
        inputs.fault(at, "`basic_auth` and a bearer token are both given", "keep one of them");
    }
    if !auth.username.is_given() {
        inputs.fault(at, "`username` is missing", "");
    }
    if !auth.password.is_given() && !auth.password_file.is_given() {
        inputs.fault(at, "`password_file` is missing", "");
    }
    let password = secret::either("password", &auth.password, &auth.password_file, inputs);
    Some((auth.username.get()?.clone(), password?))
}

fn timeout(file: &file::Webhook, inputs: &mut Inputs) -> Duration {
    let timeout = span(&file.timeout, TIMEOUT_DEFAULT);
    if let (true, Some(at)) = (timeout.is_zero() || timeout > TIMEOUT_MAX, file.timeout.at()) {
        inputs.fault(at, "is not between 1ms and 5m", "");
    }
    timeout
}

pub fn tls(key: &Key<file::Tls>, inputs: &mut Inputs) -> Tls {
    let Some((at, file)) = key.placed() else {
        return Tls::default();
    };
    let tls = Tls {
        ca_file: secret::readable(&file.ca_file, inputs),
        cert_file: secret::readable(&file.cert_file, inputs),
        key_file: file.key_file.placed().and_then(|(at, path)| {
            secret::first_line(at, path.as_ref(), inputs)?;
            Some(path.into())
        }),
        insecure_skip_verify: file.insecure_skip_verify.or(false),
    };
    if file.cert_file.is_given() != file.key_file.is_given() {
        inputs.fault(
            at,
            "`cert_file` and `key_file` belong together",
            "give both, or neither",
        );
    }
    tls
}
