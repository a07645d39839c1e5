//! The alerts that were heard of last, with a sample of each: for people who may see what logs say.

use super::Keeper;
use crate::record::Level;
use crate::state::groups;
use serde::Serialize;

const RECENT_MAX: usize = 30;
/// Of a sample's text.
const TEXT_MAX_CHARS: usize = 4_000;

/// One alert and its sample, redacted.
#[derive(Debug, Clone, Serialize)]
pub struct Recent {
    pub source: String,
    pub fingerprint: String,
    pub severity: Level,
    pub firing: bool,
    pub count: u64,
    pub first_seen: jiff::Timestamp,
    pub last_seen: jiff::Timestamp,
    pub title: String,
    pub text: String,
}

impl Keeper {
    /// What fires first, then what was seen last.
    pub(super) fn recent(&self) -> Vec<Recent> {
        let mut all: Vec<_> = self.book.groups().collect();
        all.sort_by_key(|(_, group)| std::cmp::Reverse((group.firing, group.last_seen)));
        all.truncate(RECENT_MAX);
        let told = all.into_iter().map(|(key, group)| {
            // One that cannot be read is shown without its sample.
            let sample = groups::sample(self.state.connection(), key).ok().flatten();
            let (title, text) = sample.map_or_else(Default::default, |alert| (alert.title, alert.text));
            Recent {
                source: key.source.to_string(),
                fingerprint: key.fingerprint.to_string(),
                severity: group.severity,
                firing: group.firing,
                count: group.count,
                first_seen: group.first_seen,
                last_seen: group.last_seen,
                title,
                text: text.unwrap_or_default().chars().take(TEXT_MAX_CHARS).collect(),
            }
        });
        told.collect()
    }
}
