//! The ledger of one incarnation of a file: where each of its bytes went.
//!
//! Promises: `size_seen = handed_on + skipped + lost + pending`, where pending is what lies between the position and the
//! largest size seen. What a power cut took lies behind that size, and counts besides.
//! [`FileState::pending_bytes`] computes it and the tests of `collector` check that it balances.

use super::FileState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the bytes of one incarnation of a file went: largest size seen = judged + skipped + lost + pending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Bytes handed on to be judged, each counted once, also when a restart reads it again.
    pub handed_on: u64,
    /// Bytes not read on purpose, by reason: see [`skipped`].
    pub skipped: ByReason,
    /// Bytes that could not be read, by reason: see [`lost`].
    pub lost: ByReason,
    /// Moments at which lines may have been lost that nobody could see (between copy and truncate).
    pub possible_losses: u64,
}

/// Bytes by reason, in the order of the reasons' names. No map: few files have more than one reason, and a node of a map for
/// each of ten thousand files takes 4 MB in each of the three places that know them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, u64>", into = "BTreeMap<String, u64>")]
pub struct ByReason(Vec<(Box<str>, u64)>);

impl From<BTreeMap<String, u64>> for ByReason {
    fn from(bytes: BTreeMap<String, u64>) -> Self {
        Self(
            bytes
                .into_iter()
                .map(|(reason, bytes)| (reason.into(), bytes))
                .collect(),
        )
    }
}

impl From<ByReason> for BTreeMap<String, u64> {
    fn from(bytes: ByReason) -> Self {
        bytes
            .0
            .into_iter()
            .map(|(reason, bytes)| (reason.into(), bytes))
            .collect()
    }
}

impl ByReason {
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(reason, bytes)| (&**reason, *bytes))
    }

    /// None where there never were any.
    pub fn get(&self, reason: &str) -> Option<u64> {
        self.iter().find(|(known, _)| *known == reason).map(|(_, bytes)| bytes)
    }

    fn total(&self) -> u64 {
        self.iter().map(|(_, bytes)| bytes).sum()
    }

    fn add(&mut self, reason: &str, bytes: u64) {
        if bytes == 0 {
            return;
        }
        match self.0.binary_search_by(|(known, _)| (**known).cmp(reason)) {
            Ok(at) => self.0[at].1 += bytes,
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (reason.into(), bytes));
            }
        }
    }

    fn take(&mut self, reason: &str, bytes: u64) {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| **known == *reason) {
            *count = count.saturating_sub(bytes);
        }
    }
}

/// Reasons of bytes that are not read on purpose.
pub mod skipped {
    pub const READ_FROM_END: &str = "read_from_end";
    pub const IGNORE_OLDER: &str = "ignore_older";
    pub const CUT: &str = "cut";
    pub const NUL: &str = "nul";
    /// The same bytes were read from the file that this one is a copy of.
    pub const COPY_KNOWN: &str = "copy_known";
    pub const ARCHIVE_KNOWN: &str = "archive_known";
}

/// Reasons of bytes that could not be read.
pub mod lost {
    pub const DELETED: &str = "deleted";
    pub const TRUNCATED: &str = "truncated";
    pub const POWER_CUT: &str = "power_cut";
    pub const POISON: &str = "poison";
    pub const UNREADABLE: &str = "unreadable";
    pub const ALL: [&str; 5] = [DELETED, TRUNCATED, POWER_CUT, POISON, UNREADABLE];
}

impl Ledger {
    pub fn skip(&mut self, reason: &'static str, bytes: u64) {
        self.skipped.add(reason, bytes);
    }

    pub fn lose(&mut self, reason: &'static str, bytes: u64) {
        self.lost.add(reason, bytes);
    }

    /// What was given up has turned up after all.
    pub fn find(&mut self, reason: &'static str, bytes: u64) {
        self.lost.take(reason, bytes);
    }

    pub fn skipped_bytes(&self) -> u64 {
        self.skipped.total()
    }

    pub fn lost_bytes(&self) -> u64 {
        self.lost.total()
    }
}

impl FileState {
    /// Bytes below the largest size seen that went somewhere.
    pub fn accounted_bytes(&self) -> u64 {
        let cut = self.ledger.lost.get(lost::POWER_CUT).unwrap_or(0);
        (self.ledger.handed_on + self.ledger.skipped_bytes() + self.ledger.lost_bytes()).saturating_sub(cut)
    }

    /// Bytes seen in the file that are neither judged nor skipped nor lost yet.
    pub fn pending_bytes(&self) -> u64 {
        self.size_seen.saturating_sub(self.accounted_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::render::{Language, Wording};
    use crate::alert::tidings::Loss;

    #[test]
    fn every_loss_says_what_to_do_in_both_languages() {
        for reason in lost::ALL {
            let loss = Loss {
                path: "/var/log/app.log",
                bytes: 512,
                reason,
            };
            for language in [Language::English, Language::Chinese] {
                let wording = Wording {
                    language,
                    ..Wording::default()
                };
                let said = loss.title(&wording);
                assert!(
                    said.contains("512") && said.contains("/var/log/app.log") && said.contains(reason),
                    "{said}"
                );
                assert!(loss.text(&wording).is_some(), "{reason}");
            }
        }
    }
}
