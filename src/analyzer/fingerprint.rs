//! Fingerprints: the same on every host and after every restart.
//!
//! An exception is known by its root type and its own frames: functions with class and module, without line numbers,
//! addresses, lambdas, generated classes and build paths; frames of the runtime and of libraries are skipped where they
//! are known. Anything else is known by its masked message. Golden values in the tests make a change a decision.

mod frames;
mod pattern;
mod root;

use super::mask::mask;
use crate::record::{Details, Kind, Language, Record};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// So many own frames, nearest to the throw, enter a fingerprint: recursion and callers further out do not split groups.
const OWN_FRAMES: usize = 8;
/// Where no frame is our own, the nearest of any kind stand for them.
const ANY_FRAMES: usize = 3;
/// Titles are cut here, at the border of a character.
const TITLE_BYTES: usize = 300;

/// What a record is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// 16 hex digits.
    pub fingerprint: String,
    /// What a person would say.
    pub title: String,
    /// The masked message.
    pub template: String,
}

/// Identifies a record, of which `details` have been parsed.
pub fn of(record: &Record<'_>, details: &Details) -> Identified {
    let template = mask(details.message.as_bytes());
    match (record.kind, record.language) {
        (Kind::Exception, Some(language)) => of_exception(record, details, language, template),
        (Kind::Exception, None) | (Kind::Record, _) => Identified {
            fingerprint: digest(&["record", &template]),
            title: title(&details.message),
            template,
        },
    }
}

fn of_exception(record: &Record<'_>, details: &Details, language: Language, template: String) -> Identified {
    let text = root::readable(record.body);
    let root = root::find(&text, language);
    let frames = frames::own(&text[root.frames_from..], language);
    let (kind, message) = match (&root.kind, &root.message) {
        (None, None) => (String::new(), details.message.clone()),
        (kind, message) => (kind.clone().unwrap_or_default(), message.clone().unwrap_or_default()),
    };
    let mut parts = vec!["exception", language.as_str(), kind.as_str()];
    // A type says what it is; where a language has none, or no frame is known, the masked message does.
    let masked = mask(message.as_bytes());
    if kind.is_empty() || root.is_generic || frames.is_empty() {
        parts.push(&masked);
    }
    parts.extend(frames.iter().map(String::as_str));
    let name = match (kind.is_empty(), message.is_empty()) {
        (true, _) => message.clone(),
        (false, true) => kind.clone(),
        (false, false) => format!("{kind}: {message}"),
    };
    Identified {
        fingerprint: digest(&parts),
        title: title(&name),
        template,
    }
}

/// 16 hex digits of SHA-256 over the parts, each with its end marked.
fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher
        .finalize()
        .iter()
        .take(8)
        .fold(String::with_capacity(16), |mut hex, byte| {
            // Writing to a string cannot fail.
            write!(hex, "{byte:02x}").ok();
            hex
        })
}

fn title(text: &str) -> String {
    let line = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim();
    let mut end = line.len().min(TITLE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line[..end].to_owned()
}

#[cfg(test)]
mod tests;
