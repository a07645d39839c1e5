//! The basic analyzer: a record at or above a level is exceptional. A stack trace without a level counts as an error.

use super::{AnalyzerKind, Finding};
use crate::record::{Kind, Level, Record};

/// The level that counts for a record: its own, or `error` for a stack trace that has none.
pub fn effective(record: &Record<'_>) -> Option<Level> {
    record.level.or(match record.kind {
        Kind::Exception => Some(Level::Error),
        Kind::Record => None,
    })
}

/// `alert_at` none: the analyzer is off.
pub fn analyze(record: &Record<'_>, alert_at: Option<Level>) -> Option<Finding> {
    let level = effective(record)?;
    (level >= alert_at?).then(|| Finding::new(AnalyzerKind::Level, level))
}
