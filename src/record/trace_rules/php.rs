//! PHP: uncaught exceptions old and new, Xdebug, Laravel, Symfony's console.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Php,
    announced: true,
    openings: &[
        "PHP Fatal error: ",
        "Fatal error: Uncaught",
        "PHP Parse error: ",
        "Uncaught ",
        "exception '",
        "In ",
    ],
    rules: RULES,
};

const STACK: &str = r"^(?:PHP )?Stack trace:$";
const FRAME: &str = r"^\s*#\d+ (?:.*\(\d+\): .*|\[internal function\].*|\{main\}.*|.*\.php:\d+.*|(?:[\w\\]+(?:->|::))?[\w\\{}]+\(.*\) called at \[.*\])$";

const RULES: &[Rule] = &[
    tells(&[Begin], r"^(?:PHP )?Fatal error: +Uncaught ", Head),
    tells(&[Begin], r"^PHP (?:Fatal|Parse) error: ", Head),
    tells(&[Begin], r"^exception '[^']+' with message '", Head),
    held(&[Line, Head, Message], STACK, Block),
    tells(&[Block, Head, Message, Frames, Named, Alarm], FRAME, Frames),
    tells(&[Block, Frames], r"^PHP\s+\d+\. ", Frames),
    sure(&[Block, Frames], r"^\s+\d+\. \S.* \S+:\d+$", Frames),
    held(&[Frames], STACK, Block),
    tells(
        &[Head, Frames, Message, Gap],
        r#"^\s+thrown in .* on line \d+(?:$|" while )"#,
        Tail,
    ),
    held(&[Frames], BLANK, Gap),
    tells(
        &[Frames, Gap],
        r"^Next (?:[\w\\]+: |[\w\\]+Exception|exception ')",
        Head,
    ),
    held(&[Head, Message], TEXT, Message),
    // Laravel and Monolog's line formatter with stack traces.
    tells(&[Line], r"^\[stacktrace\]$", Block),
    tells(&[Frames], r"^\[previous exception\] ", Head),
    tells(&[Head, Message], r"^\[stacktrace\]$", Block),
    sure(&[Frames], r#"^"\}"#, End),
    // Symfony's console.
    held(&[Begin], r"^In [\w.\-]+\.php line \d+:$", Properties),
    held(&[Properties], BLANK, Properties),
    sure(&[Properties], r"^\s+\[?\S|^Exception trace:$", Properties),
    held(&[Alarm], TEXT, Message),
];
