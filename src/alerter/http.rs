//! HTTP of alerters: one POST, and what its outcome means by the classes of the contract.
//!
//! Promises: redirects are not followed; connections are kept alive; every request ends within its time-out; no error
//! holds the path or query of a URL, which are secrets for chat bots.

mod proxy;

use super::{SendError, tls};
use crate::alert::render;
use std::time::Duration;
use ureq::unversioned::resolver::DefaultResolver;

/// Of an answer: enough for any provider's code and message.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;
/// Of an answer, in an error.
const EXCERPT_MAX_CHARS: usize = 200;
/// A receiver that asks for more is asked again after this: it may have been mended meanwhile.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub struct Client {
    /// For https URLs, and for http ones: each has its own proxy.
    secure: ureq::Agent,
    plain: ureq::Agent,
}

/// What the receiver said.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: String,
}

impl Client {
    /// Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    pub fn new(settings: &tls::Tls, timeout: Duration) -> anyhow::Result<Self> {
        let tls = settings.http_config()?;
        let config = |proxy| {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .timeout_global(Some(timeout))
                .user_agent(concat!("exception-log-collector/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls.clone())
                .proxy(proxy)
                .build()
        };
        let for_plain = proxy::of("http");
        let forwarding = for_plain
            .as_ref()
            .and_then(|proxy| proxy::Forwarding::new(proxy, config(None)));
        let plain = match forwarding {
            Some(forwarding) => ureq::Agent::with_parts(config(for_plain), forwarding, DefaultResolver::default()),
            None => config(for_plain).new_agent(),
        };
        Ok(Self {
            secure: config(proxy::of("https")).new_agent(),
            plain,
        })
    }

    /// POST of JSON; the error is told already by its class.
    pub fn post(&self, url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Answer, SendError> {
        let place = masked(url);
        let agent = if url.starts_with("http:") {
            &self.plain
        } else {
            &self.secure
        };
        let mut request = agent.post(url).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body).map_err(|error| failed(error, &place))?;
        let retry_after = response
            .headers()
            .get("Retry-After")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| parse_retry_after(value, jiff::Timestamp::now()));
        // The status has been said; an answer that breaks off afterwards, or is no text, changes nothing about it.
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_MAX_BYTES)
            .lossy_utf8(true)
            .read_to_string();
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after,
            body: body.unwrap_or_default(),
        })
    }
}

impl Answer {
    /// By the status alone; `Err` holds the start of the answer.
    pub fn judge(&self, url: &str) -> Result<(), SendError> {
        let after = self.retry_after;
        match self.status {
            200..=299 => Ok(()),
            // 409: another request with our Idempotency-Key is under way (draft-ietf-httpapi-idempotency-key-header).
            408 | 409 | 425 | 429 | 500..=599 => Err(SendError::Retry {
                after,
                reason: self.reason(url),
            }),
            400 | 413 | 422 => Err(SendError::Reject {
                reason: self.reason(url),
            }),
            _ => Err(SendError::Blocked {
                reason: self.reason(url),
            }),
        }
    }

    /// For an error: where, what status, and how the answer begins.
    pub fn reason(&self, url: &str) -> String {
        let status = ureq::http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|s| s.canonical_reason())
            .unwrap_or("");
        // A server may repeat the path it was asked for.
        let secret = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .map_or("", |(_, path)| path);
        let mut body = render::one_line(&self.body);
        if secret.len() > 3 {
            body = body.replace(secret, "…");
        }
        let colon = if body.is_empty() { "" } else { ": " };
        format!(
            "{}: {} {status}{colon}{}",
            masked(url),
            self.status,
            render::cut(&body, EXCERPT_MAX_CHARS)
        )
    }
}

/// `https://oapi.dingtalk.com/…`: what may be shown of a URL.
pub fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "…".to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    let path = if rest.len() > authority.len() + 1 { "/…" } else { "" };
    format!("{scheme}://{host}{path}")
}

/// Seconds (also with a fraction, as Discord sends them) or an HTTP date, RFC 9110 section 10.2.3.
fn parse_retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(at.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Of a request that got no answer.
fn failed(error: ureq::Error, place: &str) -> SendError {
    use ureq::Error;
    let retry = |what: &str| SendError::Retry {
        after: None,
        reason: format!("{place}: {what}"),
    };
    let blocked = |what: &str| SendError::Blocked {
        reason: format!("{place}: {what}"),
    };
    match error {
        Error::Rustls(error) => tls::judge(&error, place),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(inner) => tls::judge(inner, place),
            None => retry(&error.to_string()),
        },
        Error::Timeout(which) => retry(&format!("timed out: {which}")),
        Error::HostNotFound => retry("host not found"),
        Error::ConnectionFailed => retry("connection failed"),
        Error::ConnectProxyFailed(what) if what.contains("407") || what.contains("403") => {
            blocked(&format!("proxy: {what}"))
        }
        Error::ConnectProxyFailed(what) => retry(&format!("proxy: {what}")),
        // `BadUri` would show the URL.
        Error::BadUri(_) => blocked("not a valid URL"),
        Error::InvalidProxyUrl => blocked("the proxy of the environment has no valid URL"),
        Error::Http(_) => blocked("a header or the URL holds characters that HTTP does not allow"),
        Error::Tls(what) => blocked(what),
        Error::Pem(error) => blocked(&format!("{error:?}")),
        Error::TlsRequired => blocked("TLS could not be set up"),
        other => retry(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_only_scheme_and_host() {
        for (url, shown) in [
            (
                "https://hooks.example.org/services/T0/SECRET?x=1",
                "https://hooks.example.org/…",
            ),
            ("https://user:password@example.org:8443/x", "https://example.org:8443/…"),
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
            ("https://h?access_token=SECRET", "https://h/…"),
            ("SECRET", "…"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_a_limit() {
        let now = "2026-11-23T06:00:00Z".parse().unwrap();
        for (value, seconds) in [
            ("120", Some(120.0)),
            (" 1.5 ", Some(1.5)),
            ("Mon, 23 Nov 2026 06:01:00 GMT", Some(60.0)),
            ("Mon, 23 Nov 2026 05:00:00 GMT", Some(0.0)),
            ("86400", Some(3600.0)),
            ("-1", None),
            ("nan", None),
            ("soon", None),
        ] {
            assert_eq!(
                parse_retry_after(value, now).map(|d| d.as_secs_f64()),
                seconds,
                "{value}"
            );
        }
    }

    #[test]
    fn every_status_has_its_class() {
        let class = |status| match (Answer {
            status,
            retry_after: None,
            body: String::new(),
        })
        .judge("http://h/x")
        {
            Ok(()) => "delivered",
            Err(SendError::Retry { .. }) => "retry",
            Err(SendError::Blocked { .. }) => "blocked",
            Err(SendError::Reject { .. }) => "dead",
        };
        for (expected, statuses) in [
            ("delivered", &[200, 201, 202, 204][..]),
            ("retry", &[408, 409, 425, 429, 500, 501, 502, 503, 504, 599]),
            ("blocked", &[301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 410]),
            ("dead", &[400, 413, 422]),
        ] {
            for &status in statuses {
                assert_eq!(class(status), expected, "{status}");
            }
        }
    }

    #[test]
    fn an_answer_that_repeats_the_path_gives_no_secret_away() {
        let answer = Answer {
            status: 404,
            retry_after: None,
            body: "no route for /robot/send?token=SECRET\n".to_owned(),
        };
        let reason = answer.reason("https://h/robot/send?token=SECRET");
        assert_eq!(reason, "https://h/…: 404 Not Found: no route for /…");
    }
}
