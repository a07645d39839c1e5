//! Erlang and Elixir: reports of SASL and of the shell, `** (Error)` of Elixir, terminating servers.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const ERLANG: Table = Table {
    language: Language::Erlang,
    announced: true,
    openings: &[
        "=CRASH REPORT",
        "=ERROR REPORT",
        "=SUPERVISOR REPORT",
        "** Generic server",
        "** State machine",
        "** gen_event",
        "** exception ",
        "Error in process <",
        "CRASH REPORT Process",
        "{\"init terminating",
        "** Task ",
        "<0.",
    ],
    rules: ERLANG_RULES,
};

const ERLANG_RULES: &[Rule] = &[
    tells(&[Begin], r"^=(?:CRASH|ERROR|SUPERVISOR) REPORT==== ", Block),
    sure(&[Block], r"^\s+\S|^\*\* |^Error in process <|^[\[{}\]]", Block),
    sure(&[Block], TEXT, Block),
    tells(
        &[Begin, Alarm],
        r"^\*\* (?:Generic server|State machine|gen_event handler|Task) .* (?:terminating|crashed)",
        Frames,
    ),
    sure(&[Frames], r"^\*\* |^\s+\S", Frames),
    tells(
        &[Begin, Alarm],
        r"^(?:.* -{8} )?Error in process <[\d.]+>.* with exit value:$",
        Frames,
    ),
    sure(&[Frames], r"^[\[{]", Frames),
    tells(&[Begin, Alarm], r"^\*\* exception (?:error|exit|throw): ", Source),
    sure(&[Source], r"^\s+(?:in (?:function|call)|called as|\S)", Source),
    tells(&[Begin], r"^(?:<[\d.]+>(?:@\S+)? )?CRASH REPORT Process <", Source),
    tells(
        &[Alarm],
        r"^\s+(?:crasher|initial call|pid|registered_name|exception (?:error|exit|throw)|ancestors): ?",
        Properties,
    ),
    sure(&[Properties], r"^\s+\S", Properties),
];

pub(super) const ELIXIR: Table = Table {
    language: Language::Elixir,
    announced: true,
    openings: &["** (", "    ** ("],
    rules: ELIXIR_RULES,
};

const HEAD: &str = r"^\s*\*\* \((?:EXIT from .*|exit|throw|stop|(?:[A-Z]\w*\.)*[A-Z]\w*)\) ?";
const FRAME: &str = r"^\s+(?:\([\w.]+ [\w.\-+]+\) )?(?:\S+\.(?:exs?|erl|eex|heex|leex):\d+: .*|:?[\w.]+\.\w+/\d+|\(\w+\) \S+:\d+: .*|anonymous fn/.*)$";

const ELIXIR_RULES: &[Rule] = &[
    tells(&[Begin, Alarm, Named, Message], HEAD, Head),
    tells(&[Head, Frames, Source, Named, Alarm, Tail], FRAME, Frames),
    tells(&[Head, Frames, Source], HEAD, Head),
    sure(
        &[Head, Frames, Source, Tail],
        r"^\s*(?:Last message(?: \(from [^)]*\))?: |State: |Function: |Args: |\s*Args: |Initial Call: |Ancestors: |Message Queue|Neighbours|Start Call: |Client )",
        Tail,
    ),
    sure(&[Tail], r"^\s+\S", Tail),
    held(&[Head, Source], TEXT, Source),
    held(&[Head, Source, Tail], BLANK, Source),
    held(&[Alarm, Message], TEXT, Message),
];
