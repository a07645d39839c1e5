//! The root of an exception: its type and message, and where in the text its frames begin.

use super::pattern::Pattern;
use crate::record::Language;
use regex::{Regex, RegexBuilder};
use std::sync::LazyLock;

/// What a trace says of its root.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Root {
    pub kind: Option<String>,
    pub message: Option<String>,
    /// The type says so little (`panic`, `Error` of anyhow) that the message has to stand for it.
    pub is_generic: bool,
    /// Byte offset in the text from which its frames stand.
    pub frames_from: usize,
}

/// Which of several heads is the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Last,
}

/// How the heads of a language look. Groups: `t` type, `m` message; several alternatives in order.
struct Heads {
    languages: &'static [Language],
    which: Which,
    is_generic: bool,
    patterns: &'static [&'static str],
}

const TYPE: &str = r"(?P<t>(?:[\w$]+[.:/\\]{1,2})*[\w$`+]*(?:Exception|Error|Throwable|Failure|Warning|Interrupt|Exit|Fault|Timeout|Death)[\w$`]*)";

static HEADS: &[Heads] = &[
    // The innermost cause stands last; what was suppressed is no cause.
    Heads {
        languages: &[Language::Java],
        which: Which::Last,
        is_generic: false,
        patterns: &[r"^[ \t]*Caused by: (?P<t>[\w$.]+)(?:: (?P<m>.*))?$"],
    },
    Heads {
        languages: &[Language::CSharp],
        which: Which::Last,
        is_generic: false,
        patterns: &[r"---> (?:\(Inner Exception #\d+\) )?(?P<t>[\w.`+]+)(?:: (?P<m>.*?))?(?: --->.*)?$"],
    },
    Heads {
        languages: &[Language::JavaScript],
        which: Which::Last,
        is_generic: false,
        patterns: &[r"^\s*(?:\[cause\]|Caused by): (?P<t>[\w$.]+)(?: \[\w+\])?: (?P<m>.*?)\s*\{?$"],
    },
    Heads {
        languages: &[Language::Php],
        which: Which::First,
        is_generic: false,
        patterns: &[
            r"exception '(?P<t>[\w\\]+)' with message '(?P<m>.*?)' in ",
            r"Uncaught (?:exception )?(?P<t>[\w\\]+)(?:: (?P<m>.*?))?(?: in \S+:\d+)?$",
            r"\[object\] \((?P<t>[\w\\]+)\(code: \d+\): (?P<m>.*?) at [^ ]+:\d+\)$",
        ],
    },
    Heads {
        languages: &[Language::Ruby],
        which: Which::First,
        is_generic: false,
        patterns: &[
            r"^\S+:\d+:in [`'].*?': (?P<m>.*) \((?P<t>[\w:]+)\)$",
            r"(?:^|[ \]])(?P<t>(?:[A-Z]\w*::)*[A-Z]\w*(?:Error|Exception|Invalid|NotFound|Missing|\w)) \((?P<m>.*)\):?$",
        ],
    },
    Heads {
        languages: &[Language::Elixir, Language::Erlang],
        which: Which::First,
        is_generic: false,
        patterns: &[
            r"\*\* \((?P<t>[\w.: ]+)\) ?(?P<m>.*)$",
            r"\*\* exception (?P<t>\w+): (?P<m>.*)$",
            r"\*\* (?P<m>(?:Generic server|State machine).*)$",
            r"(?:Reason for termination|exception \w+|reason|errorContext).*?: *(?P<m>\S.*)$",
        ],
    },
    Heads {
        languages: &[Language::Go],
        which: Which::Last,
        is_generic: true,
        patterns: &[
            r"^\s*(?P<t>panic|fatal error): (?P<m>.*?)(?: \[recovered\].*)?$",
            r"(?P<t>panic) serving \S+: (?P<m>.*)$",
            r"^WARNING: (?P<t>DATA RACE)$",
        ],
    },
    Heads {
        languages: &[Language::Rust],
        which: Which::First,
        is_generic: true,
        patterns: &[
            r"(?P<t>panicked) at '(?P<m>.*?)'?, [^ ]+:\d+(?::\d+)?$",
            r"(?P<t>panicked) at [^\n]*:\d+:\d+:\n(?P<m>.*)$",
            r"^Message: +(?P<m>.*)$",
            r"^Error: ?\n +0: (?P<m>.*)$",
            r"^Error: (?P<m>.+)$",
            r"(?P<m>has overflowed its stack)",
        ],
    },
    Heads {
        languages: &[Language::Dart],
        which: Which::First,
        is_generic: true,
        patterns: &[r"Unhandled [Ee]xception:\s(?P<m>.*)$", r"was thrown[^\n]*:\n(?P<m>.*)$"],
    },
    Heads {
        languages: &[Language::Swift],
        which: Which::First,
        is_generic: true,
        patterns: &[
            r"(?P<t>Fatal error|Precondition failed|Assertion failed): (?P<m>.*?)(?:: file .*)?$",
            r"uncaught exception '(?P<t>\w+)', reason: '(?P<m>.*)'$",
            r"Program crashed: (?P<m>.*?)(?: at 0x[0-9a-f]+)?$",
        ],
    },
    Heads {
        languages: &[Language::Perl],
        which: Which::First,
        is_generic: true,
        patterns: &[r"^(?:.*?\] )?(?P<m>.*?) at \S+ line \d+"],
    },
    Heads {
        languages: &[Language::Cpp],
        which: Which::First,
        is_generic: true,
        patterns: &[
            r"(?P<t>\w+Sanitizer): (?P<m>[\w\- ]+?)(?: on | \(|:|$)",
            r"instance of '(?P<t>[^']+)'(?:\n\s*what\(\):\s+(?P<m>.*))?$",
            r"(?P<t>runtime error): (?P<m>.*)$",
            r"^# (?P<t>Fatal error) in .*\n# (?P<m>.*)$",
            r"\*\*\* (?:Error in `[^']*': )?(?P<m>.*?)(?:: 0x[0-9a-f]+)? \*\*\*",
            r"received signal (?P<m>\w+)",
            r"signal \d+ \((?P<m>\w+)\)",
        ],
    },
    Heads {
        languages: &[Language::Kernel],
        which: Which::First,
        is_generic: true,
        patterns: &[
            r"(?P<m>(?:kernel )?BUG(?:: |\b at ).*)$",
            r"(?P<m>WARNING: .*)$",
            r"(?P<m>Unable to handle kernel.*|general protection fault.*|Kernel panic - .*|Oops.*|\S+ invoked oom-killer|INFO: .*|UBSAN: .*|Internal error: .*|divide error.*)$",
        ],
    },
    Heads {
        languages: &[Language::Java],
        which: Which::First,
        is_generic: false,
        patterns: &[r#"^Exception in thread ".*?" (?P<t>[\w$.]+)(?:: (?P<m>.*))?$"#],
    },
    // Everywhere else, and where no cause is named: the first line that begins with a type, then any type.
    Heads {
        languages: &[Language::Java, Language::CSharp, Language::JavaScript, Language::Dart],
        which: Which::First,
        is_generic: false,
        patterns: &[HEAD, ANYWHERE, ELASTIC],
    },
];

const HEAD: &str = "HEAD";
const ANYWHERE: &str = "ANYWHERE";
/// `SomeException[message]` of Elasticsearch.
const ELASTIC: &str = "ELASTIC";

struct Compiled {
    heads: &'static Heads,
    patterns: Vec<Pattern>,
}

static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let compiled = |heads: &'static Heads| Compiled {
        heads,
        patterns: heads.patterns.iter().map(|pattern| compiled_later(pattern)).collect(),
    };
    HEADS.iter().map(compiled).collect()
});

fn compiled_later(pattern: &'static str) -> Pattern {
    match pattern {
        HEAD => Pattern::new(format!(
            r#"^(?:Exception in thread ".*" |Unhandled [Ee]xception[.:] |Uncaught )?(?:\(in promise\) )?{TYPE}(?: \[\w+\])?(?:: (?P<m>.*?))?(?: --->.*)?$"#
        )),
        ANYWHERE => Pattern::new(format!(r"[\s\]:\-(]{TYPE}(?:: (?P<m>.*))?$")),
        ELASTIC => Pattern::new(format!(r"{TYPE}\[(?P<m>.*)\]$")),
        _ => Pattern::new(pattern),
    }
}

/// The text of a record without colours and kernel stamps.
pub(super) fn readable(body: &[u8]) -> String {
    static NOISE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let noise = RegexBuilder::new(r"\x1b\[[0-9;]*[A-Za-z]|^(?:<\d>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?|\r$");
        noise.clone().multi_line(true).build().ok()
    });
    let text = String::from_utf8_lossy(body);
    match &*NOISE {
        Some(noise) => noise.replace_all(&text, "").into_owned(),
        None => text.into_owned(),
    }
}

/// Finds the root in the readable text of a trace.
pub(super) fn find(text: &str, language: Language) -> Root {
    if language == Language::Python {
        return python(text);
    }
    for compiled in COMPILED
        .iter()
        .filter(|compiled| compiled.heads.languages.contains(&language))
    {
        let heads = compiled.heads;
        for pattern in compiled.patterns.iter().filter_map(|pattern| pattern.of(text)) {
            let found = match heads.which {
                Which::First => pattern.captures(text.as_bytes()),
                Which::Last => pattern.captures_iter(text.as_bytes()).last(),
            };
            let Some(found) = found else { continue };
            let group = |name| {
                let group = text.get(found.name(name)?.range())?.trim();
                (!group.is_empty()).then(|| group.to_owned())
            };
            return Root {
                kind: group("t"),
                message: group("m"),
                is_generic: heads.is_generic,
                frames_from: if heads.which == Which::Last && !heads.is_generic {
                    frames_from(text, found.get(0).map(|head| head.start()), language)
                } else {
                    0
                },
            };
        }
    }
    Root::default()
}

/// .NET prints the frames of the innermost exception first; elsewhere they follow the head of the cause.
fn frames_from(text: &str, head: Option<usize>, language: Language) -> usize {
    match (language, head) {
        (Language::CSharp, _) | (_, None) => 0,
        (_, Some(head)) if text.is_char_boundary(head) => head,
        (_, Some(_)) => 0,
    }
}

/// Python says what happened in the last line of a traceback. Of a chain by cause the first one is the root; of errors
/// while handling others, and else, the last.
fn python(text: &str) -> Root {
    let cause = text.find("\nThe above exception was the direct cause");
    let section = &text[..cause.unwrap_or(text.len())];
    let start = if cause.is_none() {
        section.rfind("Traceback (most recent call last)").unwrap_or(0)
    } else {
        0
    };
    let lines = || {
        section[start..]
            .lines()
            .map(|line| line.trim_start_matches([' ', '|', '+', '-']))
    };
    let is_frame = |line: &str| {
        line.starts_with("File \"") || line.starts_with("Traceback (") || line.starts_with("Exception Group")
    };
    let verdict = lines().filter(|line| !is_frame(line)).filter_map(verdict).next_back();
    let (kind, message) = verdict.unwrap_or_default();
    Root {
        kind: Some(kind).filter(|kind| !kind.is_empty()),
        message: Some(message).filter(|message| !message.is_empty()),
        is_generic: false,
        frames_from: start,
    }
}

fn verdict(line: &str) -> Option<(String, String)> {
    let (kind, message) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
    let name = kind.rsplit('.').next().unwrap_or(kind);
    let shaped = !kind.is_empty()
        && kind
            .split('.')
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_'));
    let known = [
        "Error",
        "Exception",
        "Warning",
        "Group",
        "Interrupt",
        "Exit",
        "Iteration",
        "Timeout",
    ]
    .iter()
    .any(|ending| name.ends_with(ending));
    let own = name.starts_with(char::is_uppercase) && !message.is_empty();
    let dotted = kind.contains('.') && !message.is_empty();
    (shaped && (known || own || dotted)).then(|| (kind.to_owned(), message.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_in_both_forms() {
        for pattern in COMPILED.iter().flat_map(|compiled| &compiled.patterns) {
            assert!(pattern.of("a").is_some() && pattern.of("ä").is_some(), "{pattern:?}");
        }
    }
}
