//! `engine: service`: a model behind HTTP, at one URL or several. `POST /analyze {"log"}` → `{"label": 0|1, "confidence"}`,
//! `POST /analyze/batch {"logs"}` → `{"results": […]}` where the service has it, `GET /healthz`.
//!
//! A request goes to the endpoint with the fewest under way; where it fails another one is asked. Nothing that comes back
//! is trusted: it is bounded in time and size, and an answer that is no answer is a failure of that endpoint.

use super::endpoint::{Endpoint, Gate};
use super::{Answer, Unavailable};
use crate::alert::verdict::Verdict;
use crate::alerter::tls::Tls;
use crate::metrics::Metrics;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The share of abnormal verdicts that a service is taken to be calibrated to: it does not say.
pub const RATE: f64 = 0.01;
/// Of an answer, per message of the request, and for its frame.
const ANSWER_MESSAGE_MAX_BYTES: u64 = 4 * 1024;
const ANSWER_FRAME_MAX_BYTES: u64 = 16 * 1024;
/// Of a model's name.
const MODEL_MAX_CHARS: usize = 100;
/// Endpoints that are asked for one batch.
const TRIES_MAX: usize = 3;
/// After a failure of all that may be asked.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Service {
    agent: ureq::Agent,
    endpoints: Vec<Endpoint>,
    /// Where the search for the least busy begins: equals take turns.
    turn: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// What became of one request.
enum Outcome {
    Answered(Answer),
    /// 400, 413, 422: it does not take this message, and never will.
    Refused,
    /// 404, 405.
    Unknown,
    Failed {
        /// The word of the metric.
        word: &'static str,
        reason: String,
    },
}

impl Outcome {
    /// As the metric has it.
    const fn word(&self) -> &'static str {
        match self {
            Outcome::Answered(_) => "ok",
            Outcome::Refused => "refused",
            Outcome::Unknown => "unknown",
            Outcome::Failed { word, .. } => word,
        }
    }
}

/// What one request asks about.
#[derive(Clone, Copy)]
enum Question<'a> {
    One(&'a str),
    Batch(&'a [String]),
}

impl Question<'_> {
    const fn path(self) -> &'static str {
        match self {
            Question::One(_) => "/analyze",
            Question::Batch(_) => "/analyze/batch",
        }
    }

    fn body(self) -> Value {
        match self {
            Question::One(log) => json!({ "log": log }),
            Question::Batch(logs) => json!({ "logs": logs }),
        }
    }

    /// So much is read of an answer.
    const fn answer_max_bytes(self) -> u64 {
        let messages = match self {
            Question::One(_) => 1,
            Question::Batch(logs) => logs.len() as u64,
        };
        ANSWER_FRAME_MAX_BYTES + ANSWER_MESSAGE_MAX_BYTES * messages
    }

    fn read(self, answer: &Value) -> Result<Answer, &'static str> {
        match self {
            Question::Batch(logs) => read_batch(answer, logs.len()),
            Question::One(_) => {
                let verdict = read_one(answer).ok_or("no label and confidence")?;
                Ok(Answer {
                    model: model_of(answer),
                    verdicts: vec![Some(verdict)],
                })
            }
        }
    }
}

impl Service {
    pub fn new(urls: &[String], timeout: Duration, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .user_agent(concat!("exception-log-collector/", env!("CARGO_PKG_VERSION")))
            .tls_config(Tls::default().http_config()?)
            .build()
            .new_agent();
        Ok(Self {
            agent,
            endpoints: urls.iter().map(|url| Endpoint::new(url)).collect(),
            turn: AtomicUsize::new(0),
            metrics,
        })
    }

    pub fn endpoints(&self) -> usize {
        self.endpoints.len()
    }

    /// One verdict per message, from whichever endpoint answers.
    pub fn judge(&self, messages: &[String]) -> Result<Answer, Unavailable> {
        let mut tried = Vec::new();
        let mut reason = "every endpoint rests after failures".to_owned();
        while tried.len() < TRIES_MAX.min(self.endpoints.len()) {
            let Some((index, gate)) = self.pick(&tried, Instant::now()) else {
                break;
            };
            tried.push(index);
            let endpoint = &self.endpoints[index];
            if !endpoint.begin(Instant::now()) {
                continue;
            }
            let outcome = match gate {
                Gate::Probe if !self.is_healthy(endpoint) => {
                    self.metrics.ai.request(&endpoint.label(), "unhealthy");
                    Err("it is not healthy".to_owned())
                }
                Gate::Probe | Gate::Open | Gate::Closed(_) => self.ask(endpoint, messages),
            };
            match outcome {
                Ok(answer) => {
                    endpoint.succeeded();
                    return Ok(answer);
                }
                Err(failed) => {
                    // It rests from now on, not from when it was asked: a time-out may take longer than a rest.
                    endpoint.failed(Instant::now());
                    log::debug!("{}: {failed}", endpoint.label());
                    reason = format!("{}: {failed}", endpoint.label());
                }
            }
        }
        Err(Unavailable {
            retry_after: self.retry_after(Instant::now()),
            reason,
        })
    }

    /// Of those that may be asked, the one with the fewest requests under way.
    fn pick(&self, tried: &[usize], now: Instant) -> Option<(usize, Gate)> {
        let count = self.endpoints.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        (0..count)
            .map(|n| (first + n) % count)
            .filter(|index| !tried.contains(index))
            .map(|index| (index, self.endpoints[index].gate(now)))
            .filter(|(_, gate)| !matches!(gate, Gate::Closed(_)))
            .min_by_key(|(index, _)| self.endpoints[*index].under_way())
    }

    fn retry_after(&self, now: Instant) -> Duration {
        let gates = self.endpoints.iter().map(|endpoint| match endpoint.gate(now) {
            Gate::Open | Gate::Probe => RETRY_AFTER,
            Gate::Closed(wait) => wait,
        });
        gates.min().unwrap_or(RETRY_AFTER).max(RETRY_AFTER)
    }

    /// A service without `/healthz` is asked at once.
    fn is_healthy(&self, endpoint: &Endpoint) -> bool {
        let answer = self.agent.get(format!("{}/healthz", endpoint.url)).call();
        answer.is_ok_and(|answer| matches!(answer.status().as_u16(), 200..=299 | 404 | 405))
    }

    fn ask(&self, endpoint: &Endpoint, messages: &[String]) -> Result<Answer, String> {
        if !endpoint.is_one_by_one() && messages.len() > 1 {
            match self.post(endpoint, Question::Batch(messages)) {
                Outcome::Answered(answer) => return Ok(answer),
                Outcome::Unknown => endpoint.take_one_by_one(),
                // One of them is too large, or not to its liking: each is asked for itself.
                Outcome::Refused => {}
                Outcome::Failed { reason, .. } => return Err(reason),
            }
        }
        let mut answer = Answer {
            model: DEFAULT_MODEL.to_owned(),
            verdicts: Vec::with_capacity(messages.len()),
        };
        for message in messages {
            match self.post(endpoint, Question::One(message)) {
                Outcome::Answered(one) => {
                    if answer.verdicts.iter().any(Option::is_some) && answer.model != one.model {
                        return Err(format!("{} and {} answer by turns", answer.model, one.model));
                    }
                    answer.model = one.model;
                    answer.verdicts.extend(one.verdicts);
                }
                Outcome::Refused => answer.verdicts.push(None),
                Outcome::Unknown => return Err("it has no /analyze".to_owned()),
                Outcome::Failed { reason, .. } => return Err(reason),
            }
        }
        Ok(answer)
    }

    /// One request, counted once, whatever became of it.
    fn post(&self, endpoint: &Endpoint, question: Question<'_>) -> Outcome {
        let begun = Instant::now();
        let outcome = self.send(endpoint, question);
        let metrics = &self.metrics.ai;
        match &outcome {
            Outcome::Answered(_) => metrics.answered(&endpoint.label(), begun.elapsed()),
            Outcome::Refused | Outcome::Unknown | Outcome::Failed { .. } => {
                metrics.request(&endpoint.label(), outcome.word())
            }
        }
        outcome
    }

    fn send(&self, endpoint: &Endpoint, question: Question<'_>) -> Outcome {
        let request = self.agent.post(format!("{}{}", endpoint.url, question.path()));
        let request = request.header("Content-Type", "application/json");
        let failed = |error: ureq::Error| Outcome::Failed {
            word: match error {
                ureq::Error::Timeout(_) => "timeout",
                _ => "error",
            },
            // A bad URI would show itself; the configuration was checked for that.
            reason: error.to_string(),
        };
        let garbage = |what: &str| Outcome::Failed {
            word: "garbage",
            reason: format!("its answer makes no sense: {what}"),
        };
        let mut response = match request.send(question.body().to_string()) {
            Ok(response) => response,
            Err(error) => return failed(error),
        };
        match response.status().as_u16() {
            200..=299 => {}
            400 | 413 | 422 => return Outcome::Refused,
            404 | 405 => return Outcome::Unknown,
            status => {
                return Outcome::Failed {
                    word: "error",
                    reason: format!("status {status}"),
                };
            }
        }
        let body = response.body_mut().with_config();
        let body = body.limit(question.answer_max_bytes()).lossy_utf8(true);
        match body.read_to_string() {
            Ok(text) => match serde_json::from_str(&text).map(|answer| question.read(&answer)) {
                Ok(Ok(answer)) => Outcome::Answered(answer),
                Ok(Err(what)) => garbage(what),
                Err(_) => garbage("it is no JSON"),
            },
            Err(ureq::Error::BodyExceedsLimit(_)) => garbage("it is too long"),
            Err(error) => failed(error),
        }
    }
}

/// What a service that does not name its model is called.
const DEFAULT_MODEL: &str = "service";

fn read_batch(answer: &Value, expected: usize) -> Result<Answer, &'static str> {
    let results = answer.get("results").and_then(Value::as_array).ok_or("no results")?;
    if results.len() != expected {
        return Err("not as many results as messages");
    }
    let verdicts: Option<Vec<Verdict>> = results.iter().map(read_one).collect();
    let verdicts = verdicts.ok_or("a result without label or confidence")?;
    Ok(Answer {
        model: results.first().map_or_else(|| DEFAULT_MODEL.to_owned(), model_of),
        verdicts: verdicts.into_iter().map(Some).collect(),
    })
}

/// None: that is no verdict.
fn read_one(result: &Value) -> Option<Verdict> {
    let label = match result.get("label")? {
        Value::Bool(label) => *label,
        Value::Number(number) if number.as_f64() == Some(0.0) => false,
        Value::Number(number) if number.as_f64() == Some(1.0) => true,
        Value::Number(_) | Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let number = |key: &str| {
        result
            .get(key)
            .and_then(Value::as_f64)
            .filter(|number| number.is_finite())
    };
    let confidence = match result.get("confidence") {
        None | Some(Value::Null) => None,
        Some(_) => Some(number("confidence").filter(|confidence| (0.0..=1.0).contains(confidence))?),
    };
    Some(Verdict {
        abnormal: label,
        score: number("score"),
        confidence,
        threshold: number("threshold"),
    })
}

fn model_of(result: &Value) -> String {
    match result.get("model").and_then(Value::as_str) {
        Some(model) if !model.trim().is_empty() => {
            let shown = model.trim().chars().filter(|c| !c.is_control());
            shown.take(MODEL_MAX_CHARS).collect()
        }
        Some(_) | None => DEFAULT_MODEL.to_owned(),
    }
}

#[cfg(test)]
mod tests;
