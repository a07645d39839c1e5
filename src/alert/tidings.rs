//! What we say of our own: titles and texts of absences, digests and the agent's news, in the language of the people who
//! read them. Pure. One place for all of them, so that no language lacks one.

use super::absence;
use super::render::{Language, Wording, time};
use std::fmt::Write as _;
use std::time::Duration;

/// A rule that should match again and again, and does not, or does again.
#[derive(Debug, Clone, Copy)]
pub struct Absence<'a> {
    pub rule: &'a str,
    pub absent_for: Duration,
    pub said: &'a absence::Said,
}

impl Absence<'_> {
    pub fn title(&self, wording: &Wording) -> String {
        let Self { rule, said, .. } = self;
        let silence = span(said.silence, wording.language);
        let over = said.status == super::Status::Resolved;
        match (wording.language, over, &said.last) {
            (Language::English, false, Some(_)) => format!("rule {rule} has not matched for {silence}"),
            (Language::English, false, None) => format!("rule {rule} has never matched, for {silence} now"),
            (Language::English, true, _) => format!("rule {rule} matches again, after {silence}"),
            (Language::Chinese, false, Some(_)) => format!("规则 {rule} 已有 {silence} 没有匹配"),
            (Language::Chinese, false, None) => format!("规则 {rule} 从未匹配，已等待 {silence}"),
            (Language::Chinese, true, _) => format!("规则 {rule} 恢复匹配，中断了 {silence}"),
        }
    }

    /// What was expected, and what was seen last.
    pub fn text(&self, wording: &Wording) -> String {
        let every = span(self.absent_for, wording.language);
        let rule = self.rule;
        let mut text = match wording.language {
            Language::English => format!("A match of rule {rule} is expected at least every {every}."),
            Language::Chinese => format!("规则 {rule} 至少应每 {every} 匹配一次。"),
        };
        if let Some(last) = &self.said.last {
            let at = time(last.at, &wording.zone);
            // Writing to a string cannot fail.
            _ = match wording.language {
                Language::English => write!(text, "\nLast match: {at}, in {} @{}", last.path, last.offset),
                Language::Chinese => write!(text, "\n最后一次匹配：{at}，{} @{}", last.path, last.offset),
            };
        }
        text
    }
}

/// `45 s`, `5 min`, `2 h 5 min`, `3 d 4 h`: two units say enough.
pub fn span(span: Duration, language: Language) -> String {
    let units = match language {
        Language::English => [" d", " h", " min", " s", " ms"],
        Language::Chinese => [" 天", " 小时", " 分钟", " 秒", " 毫秒"],
    };
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let parts = [
        ms / 86_400_000,
        ms / 3_600_000 % 24,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        if ms < 1000 { ms } else { 0 },
    ];
    let said = parts.iter().zip(units).skip_while(|(number, _)| **number == 0).take(2);
    let words: Vec<String> = said
        .filter(|(number, _)| **number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if words.is_empty() {
        format!("0{}", units[3])
    } else {
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_two_units_at_most() {
        let said = |ms| span(Duration::from_millis(ms), Language::English);
        assert_eq!(said(0), "0 s");
        assert_eq!(said(250), "250 ms");
        assert_eq!(said(61_000), "1 min 1 s");
        assert_eq!(said(3_600_000 + 59_000), "1 h");
        assert_eq!(said(90_061_000), "1 d 1 h");
        assert_eq!(span(Duration::from_secs(300), Language::Chinese), "5 分钟");
    }
}
