//! The grammar of stack traces: one table of transitions per language, data only.
//!
//! A [`Rule`] says: after a line of state `from`, a line that matches `pattern` belongs to the same record, which is then
//! in state `to`. A *sure* rule settles the record up to its line; lines joined by other rules are held, and given back
//! as records of their own unless a sure one follows. A wrong join is worse than a split, so whatever might be an
//! ordinary line is only held. One that *trails* is settled by a line with a head too, where the record began by one: what
//! stands between two heads is one record. `assemble::grammar` runs the tables; a new language is a new
//! table and its fixtures.
//!
//! Patterns are matched against a line without envelope, header, ANSI colours, trailing blanks, and (kernel) stamp.
//! They are byte-wise and ASCII (`(?-u)`).

mod dotnet;
mod erlang;
mod go;
mod java;
mod javascript;
mod kernel;
mod lua;
mod native;
mod perl;
mod php;
mod python;
mod ruby;
mod rust;
mod swift;

use super::Language;

/// Where in a trace the last line stands. The first four are seen from outside: nothing is open yet, or one line is held
/// that may turn out to announce a trace. The others mean what their table makes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No line: the rule's line is the first of its record.
    Begin,
    /// Any held line.
    Line,
    /// A held line that names an exception, error or panic.
    Named,
    /// A held line whose level is warn or worse.
    Alarm,
    Head,
    Message,
    Frames,
    Function,
    Source,
    Caret,
    Gap,
    Cause,
    Properties,
    Block,
    Ruler,
    Tail,
    End,
}

/// One transition.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub from: &'static [State],
    pub pattern: &'static str,
    pub to: State,
    /// The record is whole up to this line; otherwise the line is held until a sure one follows.
    pub sure: bool,
    /// Only this language writes such lines.
    pub tells: bool,
    /// It is held until a line with a head follows: then it goes on with the message of the exception.
    pub trails: bool,
}

/// The grammar of one language.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    pub language: Language,
    /// Traces of this language are written by loggers: the log line above (level warn or worse) announces them.
    pub announced: bool,
    /// Literal beginnings of lines that start a trace by themselves: the gate before the patterns of `Begin`.
    pub openings: &'static [&'static str],
    pub rules: &'static [Rule],
}

/// Any line that is not blank. Matches neither a line with a header nor one that surely begins a trace.
pub const TEXT: &str = r"\S";
/// What java.util.logging writes behind its stamp, on a line of its own: the one held rule that takes a line with a head.
pub const CLASS_AND_METHOD: &str = r"^(?:[\w$]+\.)+[\w$]+ [\w$<>]+$";
/// A blank line.
pub const BLANK: &str = r"^$";

/// A line that surely belongs, in whatever languages.
const fn sure(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule {
        from,
        pattern,
        to,
        sure: true,
        tells: false,
        trails: false,
    }
}

/// A line that surely belongs, and that only this language writes.
const fn tells(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule {
        from,
        pattern,
        to,
        sure: true,
        tells: true,
        trails: false,
    }
}

/// A line that belongs if a sure one follows.
const fn held(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule {
        from,
        pattern,
        to,
        sure: false,
        tells: false,
        trails: false,
    }
}

/// A line that belongs if it fits no other trace and stands between the record's own head and the next one.
const fn trails(from: &'static [State], pattern: &'static str, to: State) -> Rule {
    Rule {
        from,
        pattern,
        to,
        sure: false,
        tells: false,
        trails: true,
    }
}

/// All tables. Where the lines of a trace fit several languages and none tells, the first one has it.
pub static TABLES: &[Table] = &[
    java::TABLE,
    dotnet::TABLE,
    javascript::TABLE,
    python::TABLE,
    go::TABLE,
    rust::TABLE,
    php::TABLE,
    ruby::TABLE,
    swift::DART,
    swift::SWIFT,
    erlang::ERLANG,
    erlang::ELIXIR,
    perl::TABLE,
    lua::TABLE,
    native::TABLE,
    kernel::TABLE,
];
