//! Rust: panics of all editions of the message, with and without backtrace; anyhow, eyre and color-eyre reports.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Rust,
    announced: false,
    openings: &[
        "thread '",
        "thread caused",
        "fatal runtime error: ",
        "Error:",
        "The application panicked",
        "Oh no! The application",
        "stack backtrace:",
    ],
    rules: RULES,
};

/// The message stands on the next line since 1.73.
const PANICKED_NEW: &str = r"^thread '[^']*' (?:\(\d+\) )?panicked at \S.*:\d+:\d+:$";
const PANICKED: &str = r"^thread '[^']*' (?:\(\d+\) )?panicked at ";
const FRAME: &str =
    r"^\s+\d+:\s|^\s+at \S|^\s+\[\.\.\. omitted \d+|^ \[\[\[ELF module|^\s+#\d+(?:\.\d+)?\s+0x[0-9a-f]+ in ";
const NOTE: &str = r"^note: (?:run with|Run with|[Ss]ome details are omitted|the panic|we would appreciate)";
const THEME: &str = "^\\s*(?:\u{2501}{3,}|\u{22ee} \\d+ frames? hidden)";
const HINT: &str = r"^(?:Run with \w+=|Backtrace omitted|(?:Note|Warning|Suggestion|Help|Error): |note: |Location:|Stack backtrace:|Backtrace:)";

const RULES: &[Rule] = &[
    tells(&[Begin], PANICKED_NEW, Head),
    tells(&[Begin], PANICKED, Message),
    tells(
        &[Begin],
        r"^thread '[^']*' (?:\(\d+\) )?has overflowed its stack",
        Message,
    ),
    tells(
        &[Begin, Message, Tail, Frames],
        r"^(?:thread caused non-unwinding panic|fatal runtime error: )",
        Tail,
    ),
    sure(&[Head], r"^", Message),
    tells(&[Message, Frames, Tail, Gap], NOTE, Tail),
    tells(&[Message, Gap], r"^stack backtrace:$", Frames),
    sure(&[Message], r"^\s*(?:left|right): ", Message),
    tells(&[Message], r"^.*', \S+\.rs:\d+(?::\d+)?$", Message),
    tells(&[Frames], FRAME, Frames),
    held(&[Message], TEXT, Message),
    held(&[Message], BLANK, Message),
    // anyhow and eyre: what `main` returned.
    held(&[Begin], r"^Error: \S", Source),
    held(&[Begin], r"^Error:$", Block),
    held(&[Source], TEXT, Source),
    held(&[Source], BLANK, Gap),
    tells(&[Source, Gap], r"^Caused by:$", Cause),
    tells(&[Gap, Cause, Caret], r"^(?:Stack backtrace|Backtrace):$", Frames),
    tells(&[Gap], r"^Location:$", Cause),
    sure(&[Cause], r"^\s+\S", Cause),
    held(&[Cause, Caret], TEXT, Caret),
    held(&[Cause, Caret], BLANK, Caret),
    tells(&[Caret], r"^Location:$", Cause),
    held(&[Frames], BLANK, Tail),
    // color-eyre.
    tells(&[Block], r"^\s+\d+: \S", Properties),
    tells(&[Begin], r"^The application panicked \(crashed\)\.$", Properties),
    tells(&[Properties], r"^(?:Message:  |Location: ?)", Properties),
    tells(&[Properties], THEME, Properties),
    sure(&[Properties], HINT, Properties),
    sure(&[Properties], r"^\s+\S", Properties),
    held(&[Properties], BLANK, Properties),
];
