//! JavaScript and TypeScript: V8 (Node, Chrome, Edge), SpiderMonkey (Firefox), JavaScriptCore (Safari), old IE and Opera.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::JavaScript,
    announced: true,
    openings: &[
        "/",
        "file:///",
        "node:",
        "internal/",
        "C:\\",
        "D:\\",
        "Uncaught ",
        "Thrown:",
        "@",
        "[eval]",
        "evalmachine",
        "webpack",
    ],
    rules: RULES,
};

/// A V8 frame: `at f (file:1:2)`, `at file:1:2`, or a place that only engines print; node may open an object behind it.
const FRAME: &str = r"^\s*(?:eval )?at (?:.*[(@ ]|)(?:.*:\d+:\d+\)*|native\)|unknown location\)|<anonymous>\)?|index \d+\)|node:[\w/.:]+\)|\[native code\]\)?)(?: \{)?$";
const FRAME_LIKE: &str = r"^\s+at (?:async |new )?[\w$.<>\[\] ]+(?: \(.*\))?(?: \{)?$";
/// Firefox, Safari, Opera: `f@file:1:2`.
const AT_SIGN: &str = r"^\s*[^\s@]*(?: code|\([^@]*\))?@(?:(?:https?|file|resource|chrome|blob|webpack|webpack-internal|capacitor|ionic|app|moz-extension|safari-extension|safari-web-extension)://?|/|\S+\.[cm]?jsx?)\S*(?: line \d+ > \w+)*\S*:\d+(?::\d+)?$";
const AT_SIGN_REST: &str = r"^(?:\S* ?code@|\S*@?\[native code\]$|\S*@\S*:\d+(?::\d+)?$|@$|(?:global|eval|module) code(?:@.*)?$|promiseReactionJob(?:@.*)?$)";
const HEAD: &str =
    r"^(?:Uncaught )?(?:\(in promise\) )?(?:[\w$.]+)?(?:Error|Exception|Warning|Rejection)\b(?: \[\w+\])?(?:: |:$|$)";

const RULES: &[Rule] = &[
    tells(&[Line, Head, Message, Frames], FRAME, Frames),
    sure(&[Named, Alarm, Head, Message, Frames], FRAME_LIKE, Frames),
    // Only a line that names an error is the head of unindented frames; else they stand alone.
    tells(&[Named, Alarm, Message], AT_SIGN, Block),
    tells(&[Begin], AT_SIGN, Block),
    tells(&[Block], AT_SIGN, Block),
    sure(&[Block], AT_SIGN_REST, Block),
    // Node prints the place, the line and a caret before the error.
    held(
        &[Begin],
        r"^(?:/|file:///|node:|internal/|[A-Z]:\\|webpack|\[eval\]|evalmachine)[^ ].*:\d+$",
        Source,
    ),
    held(&[Source], TEXT, Caret),
    held(&[Source, Caret], r"^\s*\^+$", Gap),
    held(&[Gap], BLANK, Gap),
    held(&[Gap], HEAD, Message),
    held(&[Gap], TEXT, Message),
    held(&[Begin, Alarm], HEAD, Message),
    // The error's own properties, and its cause, after the frames.
    sure(&[Frames, Properties], r"^\s*\[(?:cause|errors?)\]: ", Properties),
    sure(
        &[Frames, Properties],
        r"^\s+(?:\[?[\w$]+\]?|'[^']+'): .*[^)]$",
        Properties,
    ),
    sure(&[Properties], FRAME, Properties),
    sure(&[Properties], r"^\s+\S", Properties),
    sure(&[Frames, Properties], r"^\s*[}\]],?(?: \{)?$", Properties),
    sure(&[Frames], r"^Caused by: ", Message),
    sure(&[Frames], r"^\s+\.\.\. \d+ (?:more|lines matching)", Frames),
    held(&[Frames, Properties, Message], BLANK, Tail),
    tells(&[Tail], r"^Node\.js v\d+", End),
    held(&[Alarm, Message], TEXT, Message),
];
