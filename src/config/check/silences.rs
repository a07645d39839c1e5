//! Silences of the configuration: who must not be told of what, until when.

use super::{Inputs, Key, known_name, words};
use crate::alert::silence::{Matcher, SILENCES_MAX, Wanted};
use crate::config::decode::clip;
use crate::config::file;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Names that a silence may speak of.
pub struct Known<'a> {
    pub sources: &'a [String],
    pub rules: &'a [String],
    /// Of times without one.
    pub zone: &'a TimeZone,
}

pub fn silences(key: &Key<Vec<Key<file::Silence>>>, known: &Known<'_>, inputs: &mut Inputs) -> Vec<Wanted> {
    let items: Vec<_> = key.get().into_iter().flatten().collect();
    if let (Some((at, _)), true) = (key.placed(), items.len() > SILENCES_MAX) {
        let hint = "what is never to be told belongs under analyzers.ignore";
        inputs.fault(at, format!("more than {SILENCES_MAX} silences"), hint);
    }
    items
        .into_iter()
        .filter_map(|item| silence(item, known, inputs))
        .collect()
}

fn silence(item: &Key<file::Silence>, known: &Known<'_>, inputs: &mut Inputs) -> Option<Wanted> {
    let (at, silence) = item.placed()?;
    if let Some((at, text)) = silence.fingerprint.placed()
        && !is_fingerprint(text)
    {
        let hint = "a fingerprint is 16 hexadecimal digits: `fingerprint` in every alert";
        inputs.fault(at, format!("`{}` is not a fingerprint", clip(text)), hint);
    }
    known_name(&silence.rule, "rule", known.rules, inputs);
    known_name(&silence.source, "source", known.sources, inputs);
    let matcher = Matcher {
        fingerprint: silence.fingerprint.get().cloned(),
        rule: silence.rule.get().cloned(),
        source: silence.source.get().cloned(),
        labels: words(&silence.labels),
        severity: silence.severity.get().copied(),
    };
    if matcher.is_empty() {
        let hint = "say what it is about: fingerprint, rule, source, labels or severity";
        inputs.fault(at, "silences everything", hint);
    }
    let until = silence.until.placed().and_then(|(at, text)| {
        let until = time(text, known.zone);
        if until.is_none() {
            let hint = "write 2026-12-24T06:00:00Z, \"2026-12-24 06:00\" or 2026-12-24; without it: for ever";
            inputs.fault(at, format!("`{}` is not a time", clip(text)), hint);
        }
        until
    });
    Some(Wanted {
        matcher,
        until,
        comment: silence.comment.get().cloned(),
    })
}

fn is_fingerprint(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// RFC 3339, or a civil time or date in `zone`.
fn time(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let civil = || text.parse::<jiff::civil::DateTime>().ok();
    text.parse().ok().or_else(|| zone.to_timestamp(civil()?).ok())
}
