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
    pub skipped: BTreeMap<String, u64>,
    /// Bytes that could not be read, by reason: see [`lost`].
    pub lost: BTreeMap<String, u64>,
    /// Moments at which lines may have been lost that nobody could see (between copy and truncate).
    pub possible_losses: u64,
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
        add(&mut self.skipped, reason, bytes);
    }

    pub fn lose(&mut self, reason: &'static str, bytes: u64) {
        add(&mut self.lost, reason, bytes);
    }

    /// What was given up has turned up after all.
    pub fn find(&mut self, reason: &'static str, bytes: u64) {
        if let Some(count) = self.lost.get_mut(reason) {
            *count = count.saturating_sub(bytes);
        }
    }

    pub fn skipped_bytes(&self) -> u64 {
        self.skipped.values().sum()
    }

    pub fn lost_bytes(&self) -> u64 {
        self.lost.values().sum()
    }
}

impl FileState {
    /// Bytes below the largest size seen that went somewhere.
    pub fn accounted_bytes(&self) -> u64 {
        let cut = self.ledger.lost.get(lost::POWER_CUT).copied().unwrap_or(0);
        (self.ledger.handed_on + self.ledger.skipped_bytes() + self.ledger.lost_bytes()).saturating_sub(cut)
    }

    /// Bytes seen in the file that are neither judged nor skipped nor lost yet.
    pub fn pending_bytes(&self) -> u64 {
        self.size_seen.saturating_sub(self.accounted_bytes())
    }
}

fn add(entries: &mut BTreeMap<String, u64>, reason: &str, bytes: u64) {
    if bytes == 0 {
        return;
    }
    match entries.get_mut(reason) {
        Some(count) => *count += bytes,
        None => drop(entries.insert(reason.to_owned(), bytes)),
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
