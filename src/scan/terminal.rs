//! What a person sees: colours, widths, and log text made harmless.
//!
//! Log text is hostile: what is printed of it has gone through [`visible`], so that nothing in a log can move the cursor,
//! set a title, hide or reorder text.

use crate::alert::render::clean;
use crate::record::Level;
use std::fmt::Write;
use std::io::IsTerminal;

/// Columns of a terminal that does not tell.
const WIDTH_DEFAULT: usize = 100;

/// What is at the other end of our output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    pub stdin_is_tty: bool,
    pub stdout_is_tty: bool,
    pub stderr_is_tty: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Whether results may be coloured.
    pub colour: bool,
}

impl Terminal {
    /// Looks at the three standard streams, and at `NO_COLOR` (<https://no-color.org>) and `TERM`.
    pub fn detect() -> Self {
        let stdout = std::io::stdout();
        let stdout_is_tty = stdout.is_terminal();
        let size = rustix::termios::tcgetwinsize(&stdout).or_else(|_| rustix::termios::tcgetwinsize(std::io::stderr()));
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            stdin_is_tty: std::io::stdin().is_terminal(),
            stdout_is_tty,
            stderr_is_tty: std::io::stderr().is_terminal(),
            width: size
                .map(|size| usize::from(size.ws_col))
                .ok()
                .filter(|&columns| columns > 0)
                .unwrap_or(WIDTH_DEFAULT),
            colour: stdout_is_tty && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        }
    }

    /// Nobody looks: a pipe or a file at every end.
    pub const fn none() -> Self {
        Self {
            stdin_is_tty: false,
            stdout_is_tty: false,
            stderr_is_tty: false,
            width: WIDTH_DEFAULT,
            colour: false,
        }
    }
}

/// How a piece of text looks (ECMA-48 SGR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    /// The word of a severity, as a badge.
    Badge(Level),
    /// In the colour of a severity.
    Severity(Level),
}

impl Style {
    const fn sgr(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Badge(Level::Fatal) => "1;97;45",
            Style::Badge(Level::Error) => "1;97;41",
            Style::Badge(Level::Warn) => "1;30;43",
            Style::Badge(Level::Info | Level::Debug | Level::Trace) => "1;30;46",
            Style::Severity(Level::Fatal) => "1;35",
            Style::Severity(Level::Error) => "31",
            Style::Severity(Level::Warn) => "33",
            Style::Severity(Level::Info | Level::Debug | Level::Trace) => "36",
        }
    }
}

/// Puts text into a style, or leaves it as it is where there are no colours.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    pub colour: bool,
}

impl Paint {
    pub fn put(self, into: &mut String, style: Style, text: &str) {
        let sgr = style.sgr();
        if self.colour && !sgr.is_empty() && !text.is_empty() {
            let _infallible = write!(into, "\x1b[{sgr}m{text}\x1b[0m");
        } else {
            into.push_str(text);
        }
    }
}

/// Text of a log as a person may see it on a terminal: nothing that controls it, and a tab is four columns.
pub fn visible(text: &str) -> String {
    clean(text).replace('\t', "    ")
}

/// Cuts a line to `width` columns, the last one an ellipsis. Wide characters of East Asia count two.
pub fn fit(line: &str, width: usize) -> String {
    if line.len() <= width || line.chars().map(columns).sum::<usize>() <= width {
        return line.to_owned();
    }
    let mut used = 0;
    let keep = line.chars().take_while(|&c| {
        used += columns(c);
        used < width
    });
    let mut cut: String = keep.collect();
    cut.push('…');
    cut
}

/// Breaks a line into rows of `width` columns, at most `most` of them; the last one ends in an ellipsis if more follows.
pub fn wrap(line: &str, width: usize, most: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut rest = line;
    while !rest.is_empty() && rows.len() + 1 < most {
        let mut used = 0;
        let end = rest.char_indices().find(|&(_, c)| {
            used += columns(c);
            used > width.max(2)
        });
        let (row, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rows.push(row.to_owned());
        rest = after;
    }
    if !rest.is_empty() {
        rows.push(fit(rest, width));
    }
    rows
}

/// Columns that a string takes.
pub fn columns_of(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// UAX #11, wide and full-width ranges in the rough; combining marks of Latin none.
fn columns(c: char) -> usize {
    match c {
        '\u{0300}'..='\u{036f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `18 files`, `1 file`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `512 B`, `1.4 KiB`, `231 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 9.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_columns_not_by_bytes() {
        assert_eq!(fit("short", 10), "short");
        assert_eq!(fit("exactly ten", 11), "exactly ten");
        assert_eq!(fit("exactly ten", 10), "exactly t…");
        assert_eq!(fit("漢字漢字", 8), "漢字漢字");
        assert_eq!(fit("漢字漢字", 6), "漢字…");
    }

    #[test]
    fn long_lines_are_broken_into_a_few_rows() {
        assert_eq!(wrap("abcdefghij", 4, 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("abcdefghij", 4, 2), ["abcd", "efg…"]);
        assert_eq!(wrap("漢字漢字", 5, 3), ["漢字", "漢字"]);
        assert!(wrap("", 4, 4).is_empty());
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0, 999, 1434, 10 * 1024, 242_221_056, 5 << 30].map(bytes),
            ["0 B", "999 B", "1.4 KiB", "10 KiB", "231 MiB", "5.0 GiB"]
        );
        assert_eq!(counted(1, "file", "files"), "1 file");
    }
}
