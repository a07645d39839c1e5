//! Python: tracebacks, chained ones, exception groups (PEP 654), notes (PEP 678), carets (PEP 657), faulthandler.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells, trails};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Python,
    announced: true,
    openings: &[
        "Traceback (",
        "Exception in thread ",
        "Exception ignored in",
        "--- Logging error",
        "Fatal Python error: ",
        "Unhandled error in Deferred",
        "Stack (most",
        "File \"",
        "=== Uncaught Python",
    ],
    rules: RULES,
};

const TRACEBACK: &str = r"^\s*(?:Traceback|Stack) \(most recent call last\):$";
const FRAME: &str = r#"^\s*File ".*", line \d+"#;
const GROUP: &str = r"^\s*(?:\+ Exception Group Traceback|\+[-+]+|\|)";
const CHAIN: &str = r"^\s*(?:The above exception was the direct cause of|During handling of the above exception|.*exception.* was the direct cause of the following)";
/// The last line: a type, and what it has to say.
/// A name of nothing but capitals (`INFO: …`) is a level.
const VERDICT: &str = r"^(?:[A-Z_]{0,24}[a-z]|[A-Za-z_]\w*\.)[\w.]*(?:\[[\w., ]+\])?(?:: .*|:)?$";

const RULES: &[Rule] = &[
    sure(&[Begin, Head, Cause], TRACEBACK, Frames),
    tells(
        &[Begin, Alarm],
        r"^\s+\+ Exception Group Traceback \(most recent call last\):",
        Block,
    ),
    tells(&[Begin, Alarm], r"^\s+\| .*\(\d+ sub-exceptions?\)$", Block),
    tells(&[Block], GROUP, Block),
    tells(&[Cause], GROUP, Block),
    tells(&[Frames, Source, Alarm], FRAME, Source),
    // A syntax error of the main script has no traceback.
    held(&[Begin], r#"^\s+File ".*", line \d+$"#, Caret),
    held(&[Caret], r"^\s+\S", Caret),
    tells(&[Caret], r"^(?:Syntax|Indentation|Tab)Error: ", Tail),
    sure(&[Source], r"^\s+\S", Source),
    sure(&[Source, Frames], VERDICT, Tail),
    // What libraries add below the last line.
    sure(
        &[Tail],
        r"^(?:\[SQL: |\[parameters: |\(Background on this error at: |LINE \d+: |DETAIL: |HINT: |CONTEXT: |DETAIL:)",
        Tail,
    ),
    sure(&[Tail], r"^\s+[\^~]+$", Tail),
    held(&[Tail, Block, Gap], BLANK, Gap),
    held(&[Cause], BLANK, Cause),
    tells(&[Tail, Gap], CHAIN, Cause),
    sure(&[Gap], r"^\[SQL: |^\(Background on this error at: ", Tail),
    tells(&[Tail], r"^Call stack:$", Frames),
    tells(&[Source, Tail], r"^(?:Message: |Arguments: )", Tail),
    trails(&[Tail], TEXT, Tail),
    sure(&[Begin], r#"^Exception in thread [^"].*:$"#, Head),
    tells(&[Begin], r"^Exception ignored in", Head),
    tells(&[Begin], r"^--- Logging error ---$", Head),
    held(&[Begin], r"^Unhandled error in Deferred", Head),
    held(&[Head], BLANK, Head),
    // Atheris puts the last line first.
    tells(&[Begin], r"^\s*=== Uncaught Python exception: ===$", Head),
    held(&[Head], VERDICT, Head),
    tells(&[Begin], r"^Fatal Python error: ", Properties),
    sure(
        &[Properties],
        r"^(?:Python runtime state: |(?:Current thread|Thread) 0x[0-9a-f]+|Extension modules: |\s+File |\s+\.\.\.|\s+<no Python frame>)",
        Properties,
    ),
    held(&[Properties], BLANK, Properties),
    held(&[Alarm, Message], TEXT, Message),
    sure(&[Message], TRACEBACK, Frames),
];
