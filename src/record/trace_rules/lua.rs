//! Lua: the interpreter itself, and what embeds it: OpenResty, HAProxy, Redis, games.

use super::State::*;
use super::{Rule, Table, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Lua,
    announced: false,
    openings: &["lua", "stack traceback:"],
    rules: RULES,
};

const RULES: &[Rule] = &[
    tells(&[Begin], r"^lua(?:jit)?[\d.]*: \S.*:\d+: ", Head),
    tells(&[Begin, Line, Head], r"^stack traceback:$", Frames),
    tells(
        &[Frames],
        r"^\t(?:\[C\]: |\[builtin:|\.\.\.|\S.*:\d+: in |\(\.\.\.tail calls\.\.\.\))",
        Frames,
    ),
    // nginx goes on behind the last frame.
    sure(&[Frames], r"^coroutine \d+:$|^\t\[C\]: .*, client: ", Frames),
];
