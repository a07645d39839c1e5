//! The redactor: every text passes here on its way out of the process or into the state.
//!
//! There is one call site, [`Redactor::apply`], in `compose`: ids and fingerprints are computed before it, everything
//! that is stored, sent or shown after it. A redacted value becomes `<name:hash>`, where the hash is short and keyed with
//! a secret of this host: equal values stay recognisable, and the value cannot be looked up from outside.

use super::Alert;
use hmac::{Hmac, KeyInit, Mac};
use regex::{Regex, RegexSet};
use serde_json::Value;
use sha2::Sha256;

/// What is redacted.
#[derive(Debug, Clone)]
pub enum Pattern {
    Builtin(Set),
    /// The whole match is replaced, or its group `value` if it has one.
    Own {
        name: String,
        regex: Regex,
    },
}

/// Built-in sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    Secrets,
    Emails,
    Ips,
    Cards,
}

/// Words before a value that make it a secret, in keys of any spelling (`apiKey`, `API_KEY`, `db.password`).
const SECRET_KEY: &str = r"(?:pass(?:word|wd|phrase|code)?|pwd|passwort|secret|token|credentials?|api[-_. ]?key|access[-_. ]?key(?:[-_. ]?id)?|account[-_. ]?key|shared[-_. ]?access[-_. ]?key|private[-_. ]?key|encryption[-_. ]?key|signing[-_. ]?key|client[-_. ]?secret|session[-_. ]?id|sid|otp|cvv|密码|口令|密钥)";

/// Patterns of `secrets`, tried in this order. `{key}` is [`SECRET_KEY`]; the group `value` is what is replaced.
const SECRETS: &[&str] = &[
    // Key material over several lines; cut off at the end of the text if its end is missing.
    r"-----BEGIN (?:[A-Z0-9]+ )*(?:PRIVATE KEY|CERTIFICATE REQUEST|PGP MESSAGE)(?: BLOCK)?-----(?P<value>[\s\S]*?)(?:-----END|\z)",
    r"(?i)\b(?:proxy-)?authorization[\x22']?\s*[:=]\s*[\x22']?(?:(?:bearer|basic|digest|token|negotiate|aws4-hmac-sha256|apikey)\s+)?(?P<value>[^\s\x22',;][^\r\n\x22']*)",
    r"(?i)\b(?:set-)?cookie[\x22']?\s*[:=]\s*(?P<value>[^\r\n\x22']+)",
    // user:password@host in URLs and data source names.
    r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@\x22']*:(?P<value>[^\s/@\x22']+)@",
    // JSON Web Tokens.
    r"\b(?P<value>ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?)",
    // Tokens that name their issuer.
    r"\b(?P<value>(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16})\b",
    r"\b(?P<value>(?:gh[pousr]_|github_pat_|glpat-|gldt-|npm_|pypi-|dop_v1_|hf_|shpat_|sk_live_|sk_test_|rk_live_|pk_live_|whsec_|sk-|xox[abeoprs]-|xapp-|SG\.|AIza|ya29\.|GOCSPX-|AGE-SECRET-KEY-|eyJhbGci|lin_api_|PMAK-|hvs\.|hvb\.)[A-Za-z0-9_.=-]{10,})",
    r"\b(?P<value>\d{8,10}:AA[A-Za-z0-9_-]{30,})",
    r"hooks\.slack\.com/services/(?P<value>[A-Za-z0-9/]+)",
    r"(?:discord(?:app)?\.com/api/webhooks|open-apis/bot/v2/hook|webhook\.office\.com/webhookb2)/(?P<value>[^\s\x22']+)",
    // Hashes of passwords: crypt(3).
    r"(?P<value>\$(?:1|2[abxy]?|5|6|7|y|argon2id?)\$[A-Za-z0-9./$=,+]{8,})",
    // <password>value</password>
    r"(?i)<(?:[a-z0-9]+:)?{key}(?:\s[^<>]*)?>(?P<value>[^<]+)<",
    // key="a value with spaces", also with escaped quotes; then key=value.
    r"(?i){key}[a-z0-9_]*\\?[\x22']?\s*(?:=>|:=|[:=])\s*\\?\x22(?P<value>[^\x22\\\r\n]+)",
    r"(?i){key}[a-z0-9_]*\\?[\x22']?\s*(?:=>|:=|[:=])\s*\\?'(?P<value>[^'\\\r\n]+)",
    r"(?i){key}[a-z0-9_]*\\?[\x22']?(?:\s*(?:=>|:=|=)\s*|:\s*)(?P<value>[^\s\x22'`,;&|<>()\[\]{}]{2,})",
    // Command lines and SQL.
    r"(?i)--?{key}[ \t]+(?P<value>[^\s\x22'-][^\s\x22']*)",
    r"(?i)\b(?:{key})\s+(?:is\s+|was\s+)?['\x22`](?P<value>[^'\x22`\r\n]+)",
    r"(?i)\bidentified\s+by\s+['\x22](?P<value>[^'\x22\r\n]+)",
    r"(?i)\bcurl\b[^\r\n]*?\s(?:-u|--user)\s+[^\s:]+:(?P<value>\S+)",
];

/// A scheme of HTTP authentication and what follows it; words without a digit are words ("basic settings").
const SCHEME: &str = r"(?i)\b(?:bearer|basic)\s+(?P<value>[a-z0-9+/_.=~-]{8,})";

/// Not one of the words of [`SECRET_KEY`], so that a mask is never taken for a secret itself.
const SECRET: &str = "redacted";

const EMAIL: &str = r"[A-Za-z0-9.!#$%&*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+";
const IPV4: &str = r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b";
const IPV6: &str = r"(?i)(?:\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}\b|\b(?:[0-9a-f]{1,4}:){1,7}:(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?|(?:^|[^\w:>])(?P<value>::(?:[0-9a-f]{1,4}:){0,6}[0-9a-f]{1,4})\b)";
const CARD: &str = r"\b(?:\d[ -]?){12,18}\d\b";

/// What is left of the hash: enough to see that two values are equal.
const HASH_HEX_DIGITS: usize = 6;

/// The patterns in force. Without any, texts stay as they are.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    rules: Vec<Rule>,
    /// The patterns of `rules` as one: most texts hold nothing, and are looked at once.
    any: Option<RegexSet>,
    /// A field with such a key is redacted whole.
    secret_keys: Option<Regex>,
    hash_key: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    regex: Regex,
    confirm: fn(&str) -> bool,
}

impl Redactor {
    /// `hash_key` is a secret of this host.
    pub fn new(patterns: &[Pattern], hash_key: &[u8]) -> Self {
        let mut redactor = Self {
            hash_key: hash_key.to_vec(),
            ..Self::default()
        };
        for pattern in patterns {
            match pattern {
                Pattern::Builtin(Set::Secrets) => {
                    for pattern in SECRETS {
                        redactor.add(SECRET, builtin(&pattern.replace("{key}", SECRET_KEY)), anything);
                    }
                    redactor.add(SECRET, builtin(SCHEME), has_digit);
                    redactor.secret_keys = Some(builtin(&format!("(?i)(?:^|[-_. a-z0-9]){SECRET_KEY}$|^{SECRET_KEY}")));
                }
                Pattern::Builtin(Set::Emails) => redactor.add("email", builtin(EMAIL), anything),
                Pattern::Builtin(Set::Ips) => {
                    redactor.add("ip", builtin(IPV4), anything);
                    redactor.add("ip", builtin(IPV6), is_ip);
                }
                Pattern::Builtin(Set::Cards) => redactor.add("card", builtin(CARD), passes_luhn),
                Pattern::Own { name, regex } => redactor.add(name, regex.clone(), anything),
            }
        }
        let patterns = redactor.rules.iter().map(|rule| rule.regex.as_str());
        let set = regex::RegexSetBuilder::new(patterns).size_limit(usize::MAX).build();
        redactor.any = Some(set.expect("each of these patterns has been compiled before"));
        redactor
    }

    fn add(&mut self, name: &str, regex: Regex, confirm: fn(&str) -> bool) {
        self.rules.push(Rule {
            name: name.to_string(),
            regex,
            confirm,
        });
    }

    /// Replaces what must not be seen in all texts of an alert: text, title, message, template, fields, captures,
    /// context, path.
    pub fn apply(&self, alert: &mut Alert) {
        if self.rules.is_empty() {
            return;
        }
        let Alert {
            text,
            title,
            message,
            template,
            fields,
            detectors,
            context,
            source,
            ..
        } = alert;
        let plain = [
            Some(title),
            text.as_mut(),
            message.as_mut(),
            template.as_mut(),
            source.as_mut().map(|s| &mut s.path),
        ];
        plain.into_iter().flatten().for_each(|text| self.redact(text));
        // Lines of context are joined, so that a secret over several of them is seen whole.
        for lines in [&mut context.before, &mut context.after] {
            let mut joined = lines.join("\n");
            self.redact(&mut joined);
            *lines = if lines.is_empty() {
                Vec::new()
            } else {
                joined.split('\n').map(str::to_string).collect()
            };
        }
        self.redact_map(fields);
        detectors
            .iter_mut()
            .for_each(|finding| self.redact_map(&mut finding.captures));
    }

    fn redact_map(&self, map: &mut serde_json::Map<String, Value>) {
        for (key, value) in map {
            match value {
                Value::String(text) if self.secret_keys.as_ref().is_some_and(|keys| keys.is_match(key)) => {
                    *text = self.mask(SECRET, text);
                }
                other => self.redact_value(other),
            }
        }
    }

    fn redact_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.redact(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_value(item)),
            Value::Object(map) => self.redact_map(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// One text, in place.
    pub fn redact(&self, text: &mut String) {
        let Some(any) = &self.any else { return };
        for index in any.matches(text) {
            let rule = &self.rules[index];
            let mut clean = String::new();
            let mut copied_to = 0;
            for captures in rule.regex.captures_iter(text) {
                let Some(found) = captures.name("value").or_else(|| captures.get(0)) else {
                    continue;
                };
                let value = found.as_str();
                if is_masked(value) || found.start() < copied_to || !(rule.confirm)(value) {
                    continue;
                }
                clean.push_str(&text[copied_to..found.start()]);
                clean.push_str(&self.mask(&rule.name, value));
                copied_to = found.end();
            }
            if copied_to > 0 {
                clean.push_str(&text[copied_to..]);
                *text = clean;
            }
        }
    }

    fn mask(&self, name: &str, value: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.hash_key).expect("HMAC takes keys of any length");
        mac.update(value.as_bytes());
        let hex: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("<{name}:{}>", &hex[..HASH_HEX_DIGITS])
    }
}

/// An earlier pattern was here already.
fn is_masked(value: &str) -> bool {
    value.starts_with('<') && value.contains(':')
}

fn anything(_: &str) -> bool {
    true
}

fn has_digit(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_ip(value: &str) -> bool {
    value.parse::<core::net::Ipv6Addr>().is_ok()
}

/// The check digit of ISO/IEC 7812-1.
fn passes_luhn(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).rev();
    let sum: u32 = digits
        .enumerate()
        .map(|(n, digit)| {
            let digit = u32::from(digit - b'0');
            if n % 2 == 0 {
                digit
            } else {
                digit * 2 / 10 + digit * 2 % 10
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

fn builtin(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the built-in patterns are compiled by a test")
}

#[cfg(test)]
mod tests;
