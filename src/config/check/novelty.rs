//! `analyzers.novelty`: what is news, and when a source has learned.

use crate::alert::novelty::{LearnFor, Settings};
use crate::config::file;
use crate::config::place::Inputs;
use crate::config::units::Span;
use std::time::Duration;

/// News of one source within an hour that a person may ask for.
const PER_HOUR_MAX: u32 = 10_000;

pub fn novelty(file: &file::Novelty, inputs: &mut Inputs) -> Settings {
    let default = Settings::default();
    if let Some((at, value)) = file.max_per_hour.placed().filter(|(_, value)| **value > PER_HOUR_MAX) {
        inputs.fault(at, format!("{value} is not between 0 and {PER_HOUR_MAX}"), "");
    }
    let learn_for = match file.learn_for.placed() {
        None => default.learn_for,
        Some((_, word)) if word == "auto" => LearnFor::Auto,
        Some((at, text)) => match Span::parse(text) {
            Ok(Span(duration)) => LearnFor::Duration(duration),
            Err(_) => {
                let hint = "write auto, or a duration such as 24h or 7d";
                inputs.fault(at, "is neither `auto` nor a duration", hint);
                LearnFor::Duration(Duration::ZERO)
            }
        },
    };
    Settings {
        enabled: file.enabled.or(default.enabled),
        learn_for,
        severity: file.severity.or(default.severity),
        max_per_hour: file.max_per_hour.or(default.max_per_hour),
    }
}
