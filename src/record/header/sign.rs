//! Tokens of a head that are no words: separators, the signs that Redis uses for levels, Chinese level words.

use super::{Before, Step, Walk};
use crate::record::level::{self, Level};

impl Walk<'_> {
    pub(super) fn sign(&mut self) -> Step {
        let sign = self.bytes[self.at];
        let next = self.byte(self.at + 1);
        let alone = matches!(next, None | Some(b' ' | b'\t'));
        // Redis: `1:M 23 Nov 2026 06:00:01.123 # message`; its `-` is a level too.
        if alone && self.numbers == 0 && self.before == Before::Stamp && self.gap == 1 && self.redis_lead() {
            let level = match sign {
                b'#' => Some(Level::Warn),
                b'*' | b'-' => Some(Level::Info),
                b'.' => Some(Level::Debug),
                _ => None,
            };
            if let Some(level) = level {
                self.at += 1;
                return Step::Level(level);
            }
        }
        match sign {
            b'|' | b',' | b';' | b':' => {
                self.at += 1;
                Step::Next(Before::Separator)
            }
            b'-' => {
                while self.byte(self.at) == Some(b'-') {
                    self.at += 1;
                }
                match self.byte(self.at) {
                    None | Some(b' ' | b'\t') => Step::Next(Before::Separator),
                    Some(_) if self.stamp.is_some() => Step::Next(Before::Separator),
                    Some(_) => Step::Stop,
                }
            }
            // A path that is cut at its beginning: `...routing/logger.go:68:func() [W] message`.
            b'.' if self.stamp.is_some() && next == Some(b'.') => self.other_token(),
            _ => Step::Stop,
        }
    }

    /// A line of Redis begins with `pid:role ` or `[pid] `.
    fn redis_lead(&self) -> bool {
        let digits = |bytes: &[u8]| bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        match self.byte(0) {
            Some(b'0'..=b'9') => {
                let n = digits(self.bytes);
                self.byte(n) == Some(b':')
                    && matches!(self.byte(n + 1), Some(b'A'..=b'Z' | b'a'..=b'z'))
                    && self.byte(n + 2) == Some(b' ')
            }
            Some(b'[') => {
                let n = digits(&self.bytes[1..]) + 1;
                n > 1 && matches!(self.byte(n), Some(b']' | b':'))
            }
            _ => false,
        }
    }

    pub(super) fn chinese(&mut self) -> Step {
        let mut at = self.at;
        let bracketed = self.bytes[at..].starts_with("【".as_bytes());
        if bracketed {
            at += "【".len();
        }
        let Some((level, len)) = level::from_chinese(&self.bytes[at..]) else {
            return Step::Stop;
        };
        at += len;
        let rest = &self.bytes[at..];
        let colon = "：".as_bytes();
        let closed = if bracketed {
            rest.starts_with("】".as_bytes())
        } else {
            rest.starts_with(colon) || matches!(rest.first(), None | Some(b':' | b' ' | b'\t' | b'|' | b']'))
        };
        if !closed {
            return Step::Stop;
        }
        self.at = at
            + if rest.starts_with(colon) || bracketed {
                colon.len()
            } else {
                0
            };
        Step::Level(level)
    }
}
