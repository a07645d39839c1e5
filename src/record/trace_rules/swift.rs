//! Swift and Objective-C crashes; Dart and Flutter.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const SWIFT: Table = Table {
    language: Language::Swift,
    announced: true,
    openings: &[
        "Fatal error: ",
        "*** Terminating app",
        "*** Signal",
        "*** Program crashed",
        "\u{1f4a3}",
        "Swift/",
        "Thread 0",
        "Precondition failed",
        "Assertion failed",
    ],
    rules: SWIFT_RULES,
};

const FATAL: &str =
    r"^(?:\S+\.swift:\d+: )?(?:Fatal error|Precondition failed|Assertion failed|Simultaneous accesses)\b.*";
const IMAGE_FRAME: &str = r"^\s*\d+\s+\S.*\s0x[0-9a-f]{6,}";

const SWIFT_RULES: &[Rule] = &[
    tells(
        &[Begin],
        r"^\S+\.swift:\d+: (?:Fatal error|Precondition failed|Assertion failed)\b",
        Head,
    ),
    tells(&[Begin], r"^Fatal error: .*: file .*\.swift, line \d+$", Head),
    held(&[Begin], FATAL, Head),
    tells(&[Head, Frames, Tail], r"^Current stack trace:$", Frames),
    sure(&[Frames], IMAGE_FRAME, Frames),
    held(&[Head, Frames, Tail], BLANK, Gap),
    // The backtracer of 5.9 and later.
    tells(
        &[Begin, Head, Gap],
        r"^\*\*\* (?:Signal \d+: Backtracing|Program crashed: )",
        Block,
    ),
    tells(&[Begin, Head, Gap, Block], "^\u{1f4a3} Program crashed: ", Block),
    tells(&[Begin, Head, Gap], r"^Thread \d+ .*crashed(?: .*)?:$", Block),
    sure(
        &[Block],
        r"^Thread \d+.*:$|^\d+ .* in .*(?: at .*)?$|^\d+ \[ra\]|^\s+\d+.*\||^\s+\S|^Registers:|^Images |^Backtrace took|^\w{2,4} 0x[0-9a-f]{8,}|^0x[0-9a-f]{8,}|^\.\.\.|^(?:Crash|Platform|Press) ",
        Block,
    ),
    held(&[Block], BLANK, Block),
    // NSException.
    tells(
        &[Begin, Alarm],
        r"^\*\*\* Terminating app due to uncaught exception ",
        Properties,
    ),
    sure(
        &[Properties],
        r"^\*\*\* First throw call stack:|^\($|^\(0x|^\)$|^libc\+\+abi|^terminating",
        Properties,
    ),
    sure(&[Properties], IMAGE_FRAME, Properties),
];

pub(super) const DART: Table = Table {
    language: Language::Dart,
    announced: true,
    openings: &[
        "Unhandled exception:",
        "Unhandled Exception:",
        "\u{2550}\u{2550}",
        "[ERROR:flutter",
    ],
    rules: DART_RULES,
};

const FRAME: &str = r"^\s*#\d+ +\S.* \((?:package|dart|file|org-dartlang[\w\-]*|http|https|data|<anonymous)[^()]*\)$";
const FRAME_LIKE: &str = r"^#\d+ +\S.* \(.*\)$";

const DART_RULES: &[Rule] = &[
    sure(&[Begin], r"^Unhandled [eE]xception:$", Head),
    tells(&[Begin], r"^\[ERROR:flutter/.*Unhandled Exception: ", Message),
    sure(&[Head], TEXT, Message),
    tells(&[Line, Head, Message, Frames], FRAME, Frames),
    sure(&[Head, Message, Frames], FRAME_LIKE, Frames),
    sure(
        &[Frames],
        r"^<asynchronous suspension>$|^\(elided .* frames?|^\.\.\.\s+Normal element mounting",
        Frames,
    ),
    held(&[Message, Head], TEXT, Message),
    held(&[Message, Head], BLANK, Message),
    held(&[Alarm], TEXT, Message),
    // Flutter's frame around a report.
    tells(
        &[Begin, Alarm],
        "^\u{2550}+\u{2561} EXCEPTION CAUGHT BY .* \u{255e}\u{2550}+$",
        Block,
    ),
    sure(&[Block], "^\u{2550}{10,}$", End),
    sure(
        &[Block],
        r"^\s*#\d+ +\S|^The following .* was thrown|^When the exception was thrown|^The relevant error-causing|^\s+\S",
        Block,
    ),
    held(&[Block], TEXT, Block),
    held(&[Block], BLANK, Block),
];
