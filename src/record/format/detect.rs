//! `auto`: each line shows its own form; the file's form is what its lines keep showing.
//!
//! Forms that cannot be mistaken (CRI, docker, JSON, a syslog priority) are taken from any line, so that a file that
//! mixes them is read right. The form of the file decides where a line alone does not say enough, and it is what
//! `status` and the checkpoint name. It changes after [`LINES_TO_CHANGE`] lines in a row that show another one.

use super::syslog::{self, Strictness};
use super::{cri, docker, json, logfmt};

/// The forms of lines, by the names of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Json,
    Logfmt,
    Syslog,
    Cri,
    Docker,
    Regex,
}

impl Form {
    pub const fn name(self) -> &'static str {
        match self {
            Form::Plain => "plain",
            Form::Json => "json",
            Form::Logfmt => "logfmt",
            Form::Syslog => "syslog",
            Form::Cri => "cri",
            Form::Docker => "docker",
            Form::Regex => "regex",
        }
    }

    /// The form of a name that a checkpoint kept; the pattern of a regex is the configuration's, so that it is not one.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Form::Plain,
            Form::Json,
            Form::Logfmt,
            Form::Syslog,
            Form::Cri,
            Form::Docker,
        ]
        .into_iter()
        .find(|form| form.name() == name)
    }
}

/// So many lines in a row change the mind of `auto`.
const LINES_TO_CHANGE: u32 = 3;

/// What `auto` has learned of one file.
#[derive(Debug, Clone)]
pub(super) struct Detector {
    current: Option<Form>,
    other: Form,
    in_a_row: u32,
}

impl Detector {
    pub fn new(resumed: &str) -> Self {
        Self {
            current: Form::from_name(resumed),
            other: Form::Plain,
            in_a_row: 0,
        }
    }

    pub fn current(&self) -> Form {
        self.current.unwrap_or(Form::Plain)
    }

    /// All that what it says from here on depends on.
    pub fn standing(&self) -> String {
        let other = (self.in_a_row > 0).then_some(self.other);
        format!("{:?} {other:?} {}", self.current, self.in_a_row)
    }

    /// How the form of the file bears on a line that may be syslog.
    pub fn syslog_strictness(&self) -> Strictness {
        match self.current {
            Some(Form::Syslog) => Strictness::Expected,
            Some(Form::Plain | Form::Json | Form::Logfmt | Form::Cri | Form::Docker | Form::Regex) | None => {
                Strictness::Unknown
            }
        }
    }

    /// Counts a line of this form. True if it broke with the form of the file, which is not plain.
    pub fn saw(&mut self, form: Form) -> bool {
        let Some(current) = self.current else {
            self.current = Some(form);
            return false;
        };
        if form == current {
            self.in_a_row = 0;
            return false;
        }
        self.in_a_row = if form == self.other { self.in_a_row + 1 } else { 1 };
        self.other = form;
        if self.in_a_row >= LINES_TO_CHANGE {
            self.current = Some(form);
            self.in_a_row = 0;
        }
        form == Form::Plain
    }
}

/// The form that a line shows; `Plain` if none.
pub(super) fn form_of(line: &[u8], strictness: Strictness) -> Form {
    match line.first() {
        Some(b'{') if docker::is_probable(line) && docker::parse(line).is_some() => Form::Docker,
        Some(b'{') if json::scan(line).is_some() => Form::Json,
        Some(b'0'..=b'9') if cri::parse(line).is_some() => Form::Cri,
        Some(b'<' | b'0'..=b'9' | b'A'..=b'Z') if syslog::parse(line, strictness).is_some() => Form::Syslog,
        Some(b'a'..=b'z' | b'@') if logfmt::is_probable(line) && logfmt::scan(line).is_some() => Form::Logfmt,
        _ => Form::Plain,
    }
}
