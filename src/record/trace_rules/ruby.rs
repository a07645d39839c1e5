//! Ruby and Rails: `from` frames, backtraces below a log line, the reversed order of 2.5 to 2.7, old and new quotes.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Ruby,
    announced: true,
    openings: &[
        "Traceback (",
        "ActionController::",
        "ActionView::",
        "ActiveRecord::",
        " Action",
        " Active",
        "#<Thread:0x",
    ],
    rules: RULES,
};

/// Before 3.4 names stand between a backquote and a quote, since then between two quotes.
const FROM: &str = r"^\s*from \S.*:\d+(?::in [`'].*')?$";
const NUMBERED: &str = r"^\s+\d+: from \S.*:\d+:in [`'].*'$";
const FRAME: &str = r"^\s*(?:\[[0-9a-f\-]{8,36}\] )?(?:[\w\-]+ \(\d[\w.\-]*\) )?(?:[A-Za-z]:)?[^\s:`']+(?:\.(?:rb|erb|haml|slim|rake|ru|jbuilder|builder)|/bin/[\w\-]+|bin/\w+|<internal:[^>]+>|\(irb\)|\(eval[^)]*\)):\d+(?::in [`'].*')?$";
const HEAD: &str = r"^\S+:\d+:in [`'].*': .*";
/// All of an uncaught exception: it may have no frames.
const WHOLE: &str = r"^\S+\.rb:\d+:in [`'].*': .*\((?:[A-Z]\w*::)*[A-Z]\w*\)$";
/// Rails' own classes, also behind the id of the request that Rails tags its lines with.
const RAILS_CLASS: &str = r"^\s*(?:\[[0-9a-f\-]{8,36}\] )?(?:[A-Z]\w*::)+[A-Z]\w* \(.*\):$";
const RAILS: &str = r"^\s*(?:[A-Z]\w*::)*[A-Z]\w*(?:Error|Exception|Invalid|NotFound|Missing|Timeout|\w)\s?\(.*\):?$";

const RULES: &[Rule] = &[
    tells(&[Line, Head, Message, Frames], FROM, Frames),
    sure(&[Frames], r"^\s+\.{3} \d+ levels\.{3}$", Frames),
    // The head of a cause, unindented after the frames, cannot be told from that of another trace: they stay two.
    tells(&[Begin, Cause], WHOLE, Head),
    held(&[Begin], HEAD, Head),
    held(&[Head], BLANK, Message),
    tells(
        &[Begin],
        r"^#<Thread:0x.* terminated with exception \(report_on_exception",
        Cause,
    ),
    sure(&[Begin, Head], r"^Traceback \(most recent call last\):$", Caret),
    tells(&[Caret, Source], NUMBERED, Source),
    tells(&[Caret, Source], r"^\S+:\d+:in [`'].*': .*|^\S+:\d+: .*\(\w+\)$", Tail),
    // Rails prints type and message, a blank line, and the frames, some with their gem.
    tells(&[Begin, Alarm], RAILS_CLASS, Properties),
    sure(&[Properties], r"^\s*(?:\[[0-9a-f\-]{8,36}\])?$", Message),
    held(&[Begin, Alarm], RAILS, Message),
    held(&[Message], BLANK, Message),
    tells(&[Line, Named, Alarm, Message, Properties, Block, Gap], FRAME, Block),
    held(&[Block], BLANK, Gap),
    held(&[Gap], r"^(?:Causes:$|\s*(?:[A-Z]\w*::)*[A-Z]\w* \(.*\)$)", Gap),
    held(&[Head, Message, Properties, Alarm], TEXT, Message),
];
