//! Levels: the six words that everything is mapped to, and the words that logs use for them.
//!
//! Promises: `Level` is ordered from `Trace` to `Fatal`; severities of findings and alerts are levels too. Which
//! position in a line holds a level is `header`'s business.

use serde::{Deserialize, Serialize};

/// Level of a record, severity of a finding or alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    pub const ALL: [Level; 6] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ];

    /// The word of configuration and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }
}

/// How a word is written: what counts as a level in one place is only a word in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Upper,
    Lower,
    /// First letter upper, the others lower.
    Title,
    Mixed,
}

impl Case {
    /// Of ASCII letters; a single capital is `Upper`.
    pub fn of(word: &[u8]) -> Self {
        let Some((first, rest)) = word.split_first() else {
            return Case::Mixed;
        };
        let rest_lower = rest.iter().all(|b| !b.is_ascii_uppercase());
        let rest_upper = rest.iter().all(|b| !b.is_ascii_lowercase());
        match (first.is_ascii_uppercase(), rest_upper, rest_lower) {
            (true, true, _) => Case::Upper,
            (true, false, true) => Case::Title,
            (false, _, true) => Case::Lower,
            (true, false, false) | (false, _, false) => Case::Mixed,
        }
    }
}

/// The longest word of [`from_word`].
const MAX_WORD_BYTES: usize = 13;

/// The level that a word stands for where a level is expected, in any case; none for all other words.
///
/// Words of syslog, log4j, java.util.logging, glog, PostgreSQL, MySQL, zap, logrus, Serilog, .NET, monolog, loguru.
pub fn from_word(word: &[u8]) -> Option<Level> {
    let mut lower = [0_u8; MAX_WORD_BYTES];
    let lower = lower.get_mut(..word.len())?;
    for (to, from) in lower.iter_mut().zip(word) {
        *to = from.to_ascii_lowercase();
    }
    Some(match &*lower {
        b"info" | b"inf" | b"information" | b"informational" | b"notice" | b"noti" | b"note" | b"ntc" | b"log"
        | b"audit" | b"system" | b"success" => Level::Info,
        b"debug" | b"dbg" | b"dbug" | b"debu" | b"deb" | b"fine" | b"config" | b"debug1" | b"debug2" | b"debug3"
        | b"debug4" | b"debug5" => Level::Debug,
        b"warn" | b"warning" | b"wrn" => Level::Warn,
        b"error" | b"err" | b"erro" | b"eror" | b"severe" | b"fail" | b"failure" => Level::Error,
        b"trace" | b"trc" | b"trce" | b"trac" | b"finer" | b"finest" | b"verbose" | b"verb" | b"vrb" | b"silly" => {
            Level::Trace
        }
        b"fatal" | b"ftl" | b"fata" | b"critical" | b"crit" | b"crt" | b"alert" | b"emerg" | b"emergency"
        | b"panic" | b"pani" | b"dpanic" => Level::Fatal,
        _ => return None,
    })
}

/// Whether a word is a level even where a sentence could begin with it: not so `log`, `fine`, `system`, `alert`.
pub fn is_plain_level_word(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"info",
        b"error",
        b"warn",
        b"debug",
        b"warning",
        b"trace",
        b"fatal",
        b"critical",
        b"err",
        b"verbose",
        b"severe",
        b"crit",
    ];
    WORDS.iter().any(|w| w.eq_ignore_ascii_case(word))
}

/// One letter of glog, klog, logcat, MongoDB, Rails, CUPS.
pub fn from_letter(letter: u8) -> Option<Level> {
    Some(match letter {
        b'V' | b'T' => Level::Trace,
        b'D' => Level::Debug,
        b'I' | b'N' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' | b'C' => Level::Fatal,
        _ => return None,
    })
}

/// Chinese level words: java.util.logging in a Chinese locale, Windows, and what applications write.
/// 严重 is SEVERE there, so it is `Error`.
pub fn from_chinese(text: &[u8]) -> Option<(Level, usize)> {
    const WORDS: [(&str, Level); 15] = [
        ("错误", Level::Error),
        ("严重", Level::Error),
        ("警告", Level::Warn),
        ("信息", Level::Info),
        ("调试", Level::Debug),
        ("致命", Level::Fatal),
        ("紧急", Level::Fatal),
        ("跟踪", Level::Trace),
        ("追踪", Level::Trace),
        ("通知", Level::Info),
        ("提示", Level::Info),
        ("配置", Level::Debug),
        ("详细", Level::Debug),
        ("较详细", Level::Trace),
        ("非常详细", Level::Trace),
    ];
    WORDS
        .iter()
        .find(|(word, _)| text.starts_with(word.as_bytes()))
        .map(|&(word, level)| (level, word.len()))
}

/// Severity of syslog and journald (RFC 5424, 6.2.1): 0 emergency … 7 debug.
pub fn from_syslog(severity: u8) -> Level {
    match severity {
        0..=2 => Level::Fatal,
        3 => Level::Error,
        4 => Level::Warn,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    }
}

/// The scale of a number that stands where a level does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The key says only "level": 0–7 syslog, 10–60 bunyan and pino, 100–600 monolog, 5000–50000 log4j.
    Guess,
    /// Nextcloud: 0 debug … 4 fatal.
    ZeroToFour,
    /// Python's `levelno`: 10 debug … 50 critical.
    Python,
    /// OpenTelemetry's severity number: 1–24.
    OpenTelemetry,
}

/// The level of a number on its scale.
pub fn from_number(number: i64, scale: Scale) -> Option<Level> {
    const STEPS: [Level; 6] = Level::ALL;
    let step = match (scale, number) {
        (Scale::Guess, 0..=7) => return Some(from_syslog(u8::try_from(number).unwrap_or(7))),
        (Scale::Guess, 10..=69) => number / 10 - 1,
        (Scale::Guess, 100..=199) => 1,
        (Scale::Guess, 200..=299) => 2,
        (Scale::Guess, 300..=399) => 3,
        (Scale::Guess, 400..=499) => 4,
        (Scale::Guess, 500..=600) => 5,
        (Scale::Guess, 5000..=9999) => 0,
        (Scale::Guess, 10_000..=50_000) => number / 10_000,
        (Scale::ZeroToFour, 0..=4) => number + 1,
        (Scale::Python, 1..=9) => 0,
        (Scale::Python, 10..=59) => number / 10,
        (Scale::OpenTelemetry, 1..=24) => (number - 1) / 4,
        (Scale::Guess | Scale::ZeroToFour | Scale::Python | Scale::OpenTelemetry, _) => return None,
    };
    usize::try_from(step).ok().and_then(|step| STEPS.get(step).copied())
}

/// The level of a value of JSON or logfmt under a level key: a word, a letter, or a number as text.
pub fn from_value(value: &[u8], scale: Scale) -> Option<Level> {
    let value = value.trim_ascii();
    if let Some(level) = from_word(value) {
        return Some(level);
    }
    match value {
        [letter] if letter.is_ascii_alphabetic() => from_letter(letter.to_ascii_uppercase()),
        [first, ..] if first.is_ascii_digit() && value.len() <= 8 => {
            let text = std::str::from_utf8(value).ok()?;
            from_number(text.parse().ok()?, scale)
        }
        _ => from_chinese(value)
            .filter(|(_, len)| *len == value.len())
            .map(|(level, _)| level),
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_systems_map_to_the_six() {
        for (word, level) in [
            ("ERROR", Level::Error),
            ("Warning", Level::Warn),
            ("err", Level::Error),
            ("CRIT", Level::Fatal),
            ("FINEST", Level::Trace),
            ("Note", Level::Info),
            ("dbug", Level::Debug),
            ("informational", Level::Info),
        ] {
            assert_eq!(from_word(word.as_bytes()), Some(level), "{word}");
        }
        assert_eq!(from_word(b"errors"), None);
        assert_eq!(from_word(b"a-word-longer-than-any-level"), None);
    }

    #[test]
    fn numbers_are_read_on_the_scale_of_their_key() {
        assert_eq!(from_number(3, Scale::Guess), Some(Level::Error));
        assert_eq!(from_number(3, Scale::ZeroToFour), Some(Level::Error));
        assert_eq!(from_number(1, Scale::ZeroToFour), Some(Level::Info));
        assert_eq!(from_number(50, Scale::Guess), Some(Level::Error));
        assert_eq!(from_number(50, Scale::Python), Some(Level::Fatal));
        assert_eq!(from_number(400, Scale::Guess), Some(Level::Error));
        assert_eq!(from_number(17, Scale::OpenTelemetry), Some(Level::Error));
        assert_eq!(from_number(-1, Scale::Guess), None);
        assert_eq!(from_number(1_000_000, Scale::Guess), None);
        assert_eq!(from_value(b"40", Scale::Guess), Some(Level::Warn));
        assert_eq!(from_value("错误".as_bytes(), Scale::Guess), Some(Level::Error));
        assert_eq!(from_value("错误码".as_bytes(), Scale::Guess), None);
    }

    #[test]
    fn case_of_words() {
        assert_eq!(Case::of(b"ERROR"), Case::Upper);
        assert_eq!(Case::of(b"Error"), Case::Title);
        assert_eq!(Case::of(b"error"), Case::Lower);
        assert_eq!(Case::of(b"eRROR"), Case::Mixed);
    }
}
