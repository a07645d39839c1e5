//! Perl: `Carp::confess` and `cluck`, failed compilation.

use super::State::*;
use super::{Rule, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Perl,
    announced: true,
    openings: &[
        "BEGIN failed--",
        "Can't locate ",
        "Died at ",
        "Can't call method",
        "syntax error at ",
    ],
    rules: RULES,
};

const CALLED: &str = r"^\s+(?:.*\S )?called at \S.* line \d+\.?(?:, <\w+> (?:line|chunk) \d+\.)?$";

const RULES: &[Rule] = &[
    tells(&[Line, Head, Frames], CALLED, Frames),
    sure(
        &[Begin],
        r"^BEGIN failed--compilation aborted at .* line \d+\.$",
        Frames,
    ),
    sure(&[Begin], r"^Can't locate \S+\.pm in @INC .* at .* line \d+\.$", Head),
    sure(&[Begin], r"^(?:Died|Can't call method .*) at \S.* line \d+\.$", Head),
    held(&[Begin], r"^syntax error at \S.* line \d+, near ", Head),
    tells(
        &[Head, Frames, Named, Alarm],
        r"^(?:BEGIN failed--compilation aborted|Compilation failed in require|Execution of .* aborted due to compilation errors)",
        Frames,
    ),
    sure(&[Frames], r"^\s+\.{3}propagated at .* line \d+", Frames),
];
