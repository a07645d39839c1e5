//! Text of an alert for people: console, e-mail, titles of chats. Pure.
//!
//! Log text is hostile: whatever a person reads goes through [`clean`] first.

/// Zone and language of the texts around log lines.
#[derive(Debug, Clone)]
pub struct Wording {
    pub zone: jiff::tz::TimeZone,
    pub language: Language,
}

impl Default for Wording {
    fn default() -> Self {
        Self {
            zone: jiff::tz::TimeZone::UTC,
            language: Language::English,
        }
    }
}

/// `alerts.language`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    English,
    Chinese,
}
