//! A body of one's own: a template in the language of Jinja2, rendered to JSON.
//!
//! Values escape by themselves: within a JSON string (`"text": "{{ title }} on {{ host.name }}"`) as a part of it, outside
//! (`"count": {{ count }}`, `"text": {{ title }}`) as a JSON value with its quotes. Which of both it is, is read off what
//! has been written so far, so that no log text can leave its string. Strings are cleaned of what a terminal or a chat
//! would obey. Time and output are bounded, and a template is tried on sample alerts when the configuration is checked.

use crate::alert::Alert;
use crate::alert::render::{self, Wording};
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, Value as Shown};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SOURCE_MAX_BYTES: usize = 64 * 1024;
const BODY_MAX_BYTES: usize = 1024 * 1024;
/// Instructions of one rendering: a loop over all lines of context is a few hundred.
const FUEL: u64 = 200_000;
const TITLE_MAX_CHARS: usize = 500;
/// What the language itself brings.
const GLOBALS: [&str; 4] = ["range", "dict", "namespace", "debug"];
/// Fields that an alert leaves out where they say nothing.
const OPTIONAL: [(&str, Value); 4] = [
    ("firing_id", Value::Null),
    ("clock_suspect", Value::Bool(false)),
    ("late", Value::Bool(false)),
    ("truncated", Value::Bool(false)),
];
/// An exception with everything, a resolution, a digest, and news that have neither record nor source.
const SAMPLES: &str = include_str!("template/samples.json");

/// A template that has been tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: Arc<str>,
}

/// What is wrong, and where in the template if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: Option<usize>,
    pub what: String,
}

impl Template {
    /// # Errors
    /// It is no template, names a variable that no alert has, or makes no JSON of one of the samples.
    pub fn new(source: &str) -> Result<Self, Fault> {
        let whole = |what: &str| Fault {
            line: None,
            what: what.to_owned(),
        };
        if source.len() > SOURCE_MAX_BYTES {
            return Err(whole("longer than 64 KiB"));
        }
        let template = Self { source: source.into() };
        let samples: Vec<Alert> = serde_json::from_str(SAMPLES).expect("the samples are read by a test");
        for alert in &samples {
            template.check_names(alert)?;
            template.render(alert, &Wording::default())?;
        }
        Ok(template)
    }

    fn check_names(&self, alert: &Alert) -> Result<(), Fault> {
        let environment = Environment::new();
        let used = environment
            .template_from_str(&self.source)
            .map_err(fault)?
            .undeclared_variables(false);
        let known = variables(alert, &Wording::default());
        let mut unknown: Vec<&String> = used
            .iter()
            .filter(|name| known.get(name.as_str()).is_none() && !GLOBALS.contains(&name.as_str()))
            .collect();
        unknown.sort();
        let Some(name) = unknown.first() else { return Ok(()) };
        let line = self.source.lines().position(|line| line.contains(name.as_str()));
        let names: Vec<&String> = known.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let near = names
            .iter()
            .map(|known| (strsim::jaro_winkler(known, name), known))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let what = match near {
            Some((_, near)) => format!("an alert has no `{name}`; did you mean `{near}`?"),
            None => format!("an alert has no `{name}`"),
        };
        Err(Fault {
            line: line.map(|line| line + 1),
            what,
        })
    }

    /// The body that tells of `alert`.
    ///
    /// # Errors
    /// Rendering fails, or what it gives is no JSON.
    pub fn render(&self, alert: &Alert, wording: &Wording) -> Result<Vec<u8>, Fault> {
        let in_string = Arc::new(AtomicBool::new(false));
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.add_filter("cut", |text: String, max_chars: usize| render::cut(&text, max_chars));
        let seen = in_string.clone();
        environment.set_formatter(move |out, _, value| format(out, value, seen.load(Ordering::Relaxed)));
        let mut body = Body {
            bytes: Vec::new(),
            in_string,
            escaped: false,
        };
        environment
            .template_from_str(&self.source)
            .and_then(|template| {
                let shown = Shown::from(Serde(variables(alert, wording)));
                template.render_captured_to(shown, &mut body).map(|_| ())
            })
            .map_err(fault)?;
        match serde_json::from_slice::<serde::de::IgnoredAny>(&body.bytes) {
            Ok(_) => Ok(body.bytes),
            Err(error) => {
                let line = String::from_utf8_lossy(&body.bytes)
                    .lines()
                    .nth(error.line() - 1)
                    .unwrap_or("")
                    .to_owned();
                let what = format!(
                    "what it gives is no JSON: {error}: {}",
                    render::cut(&render::one_line(&line), 100)
                );
                Err(Fault { line: None, what })
            }
        }
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line} of the template: {}", self.what),
            None => write!(f, "the template: {}", self.what),
        }
    }
}

fn fault(error: Error) -> Fault {
    let source = std::error::Error::source(&error)
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "takes too long".to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    Fault {
        line: error.line(),
        what: what + &source,
    }
}

/// The alert as in the contract, and what presets would show of it: `headline`, `body`, `facts`.
fn variables(alert: &Alert, wording: &Wording) -> Value {
    let mut variables = serde_json::to_value(alert).unwrap_or_default();
    clean(&mut variables);
    if let Some(variables) = variables.as_object_mut() {
        for (name, value) in OPTIONAL {
            variables.entry(name).or_insert(value);
        }
        variables.entry("groups").or_insert(json!([]));
        let facts = render::facts(alert, wording);
        let facts = facts
            .iter()
            .map(|fact| json!({"name": fact.name, "value": fact.value}))
            .collect();
        variables.insert("facts".to_owned(), facts);
        variables.insert("body".to_owned(), render::body(alert, wording).into());
        let headline = render::headline(alert, wording, TITLE_MAX_CHARS);
        variables.insert("headline".to_owned(), headline.into());
    }
    variables
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = render::clean(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(map) => map.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A value as JSON: whole, or as a part of the string in which it stands.
fn format(out: &mut Output, value: &Shown, in_string: bool) -> Result<(), Error> {
    if value.is_safe() && !in_string {
        return Ok(out.write_str(value.as_str().unwrap_or(""))?);
    }
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let json = match value.kind() {
        ValueKind::Undefined => Value::Null,
        _ => serde_json::to_value(value).map_err(failed)?,
    };
    let text = match (&json, in_string) {
        (Value::Null, true) => String::new(),
        (Value::String(text), true) => quoted(text),
        (json, true) => quoted(&json.to_string()),
        (json, false) => json.to_string(),
    };
    Ok(out.write_str(&text)?)
}

/// With JSON's escapes, without its quotes.
fn quoted(text: &str) -> String {
    let whole = Value::from(text).to_string();
    whole.get(1..whole.len().saturating_sub(1)).unwrap_or("").to_owned()
}

/// What has been rendered so far, and whether a JSON string is open at its end.
struct Body {
    bytes: Vec<u8>,
    in_string: Arc<AtomicBool>,
    escaped: bool,
}

impl Write for &mut Body {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + part.len() > BODY_MAX_BYTES {
            return Err(io::Error::other("the body is larger than 1 MiB"));
        }
        let mut in_string = self.in_string.load(Ordering::Relaxed);
        for byte in part {
            match (byte, self.escaped) {
                (b'\\', false) if in_string => self.escaped = true,
                (b'"', false) => in_string = !in_string,
                (_, _) => self.escaped = false,
            }
        }
        self.in_string.store(in_string, Ordering::Relaxed);
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
