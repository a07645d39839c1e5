//! C#, F#, VB: .NET Framework, .NET and Mono, in the languages that its resources are translated to.

use super::State::*;
use super::{Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::CSharp,
    announced: true,
    openings: &[
        "Unhandled exception. ",
        "Unhandled Exception: ",
        "Unhandled exception: ",
        "[ERROR] FATAL UNHANDLED",
        "System.",
        "Microsoft.",
        "Process terminated.",
    ],
    rules: RULES,
};

/// A frame with its file, or Mono's with its offset.
const FRAME: &str = r"^\s*(?:at|bei|\xe0|\xc3\xa0|en|em|in|w|\xe5\x9c\xa8) .+\)(?: in .+:(?:line|Zeile|ligne|l\xc3\xadnea|linha|riga|\xe8\xa1\x8c\xe5\x8f\xb7|\xe8\xa1\x8c)? ?\d+| ?\[0x[0-9a-f]+\] in .*| <0x[0-9a-f]+ \+ 0x[0-9a-f]+>.*)(?:<---)?$";
/// A frame without its file: parameters are `Type name`.
const FRAME_TYPED: &str =
    r"^\s+at [\w.<>`+|$\[\],&*]+(?:\[[^\]]*\])? ?\((?:[\w.&*\[\],`+<>?]+ \w+(?:, )?)*\)(?:<---)?$";
const FRAME_LIKE: &str = r"^\s+at [\w.<>`+|$\[\],&*]+ ?\(.*\)(?:<---)?$";
const SEPARATOR: &str = r"^\s*-{2,}-? (?:End of|Ende der|Fin de) .*-{2,}";
const INNER: &str = r"^\s*-{3,}> ";
const HEAD: &str = r"^\s*(?:[A-Z][\w`+]*\.)+[\w`+]*(?:Exception|Error)\b.*";

const RULES: &[Rule] = &[
    tells(
        &[Begin],
        r"^Unhandled [Ee]xception[.:] (?:[\w`+]+\.)+[\w`+]*Exception",
        Message,
    ),
    held(&[Begin], r"^Unhandled [Ee]xception[.:]", Message),
    tells(&[Begin], r"^\[ERROR\] FATAL UNHANDLED EXCEPTION: ", Message),
    tells(&[Begin], r"^Process terminated\. ", Message),
    tells(&[Line, Message, Frames, Cause], FRAME, Frames),
    tells(&[Line, Message, Frames, Cause], FRAME_TYPED, Frames),
    sure(&[Named, Alarm, Message, Frames, Cause], FRAME_LIKE, Frames),
    tells(&[Frames, Message, Cause], SEPARATOR, Frames),
    tells(&[Frames, Message, Cause, Named, Alarm], INNER, Cause),
    held(&[Begin, Alarm], HEAD, Message),
    // What SqlClient and Npgsql add below the frames.
    sure(
        &[Frames, Tail],
        r"^(?:ClientConnectionId:|Error Number:|ClientConnectionId before routing:|Routing Destination:|  Exception data:$|    \w+: )",
        Tail,
    ),
    held(&[Frames], r"^$", Gap),
    tells(&[Gap], INNER, Cause),
    held(&[Alarm, Message, Cause], TEXT, Message),
];
