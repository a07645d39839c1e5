//! Patterns of heads and frames, in two forms: for ASCII, as almost every trace is, and for all else.
//!
//! Promises: both find the same in ASCII. In the other form `\w` and `\d` are all letters and digits of all scripts, which
//! makes automata of up to a MiB; each form is compiled when a text first asks for it.

use regex::bytes::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::sync::OnceLock;

#[derive(Debug)]
pub(super) struct Pattern {
    pattern: Cow<'static, str>,
    ascii: OnceLock<Option<Regex>>,
    unicode: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub fn new(pattern: impl Into<Cow<'static, str>>) -> Self {
        Self {
            pattern: pattern.into(),
            ascii: OnceLock::new(),
            unicode: OnceLock::new(),
        }
    }

    /// What finds it in this text: `^` and `$` are borders of lines. None: the pattern is invalid, which a test excludes.
    pub fn of(&self, text: &str) -> Option<&Regex> {
        let is_ascii = text.is_ascii();
        let form = if is_ascii { &self.ascii } else { &self.unicode };
        let build = || {
            let mut builder = RegexBuilder::new(&self.pattern);
            builder.multi_line(true).unicode(!is_ascii).build().ok()
        };
        form.get_or_init(build).as_ref()
    }
}
