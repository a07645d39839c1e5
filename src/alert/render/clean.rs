//! Log text made safe to look at, and cut to a limit.
//!
//! Stripped: ANSI escape sequences (ECMA-48), C0 and C1 controls but newline and tab, and the bidi controls of
//! Unicode's UAX #9 ("Trojan Source"). Everything else stays, so that what is read is what was logged.

use std::borrow::Cow;

/// Put where text was cut.
const ELLIPSIS: char = '…';

/// Without escape sequences, controls and bidi controls; newlines and tabs stay.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\u{1b}' => rest = &rest[escape_len(rest)..],
            '\u{9b}' => rest = &rest[csi_len(rest)..],
            c if is_control(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The same on one line: newlines and tabs become spaces.
pub fn one_line(text: &str) -> String {
    clean(text)
        .replace(['\n', '\t', '\u{2028}', '\u{2029}'], " ")
        .trim()
        .to_owned()
}

/// At most so many characters, the last an ellipsis where something was cut.
pub fn cut(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some(_) if max_chars == 0 => String::new(),
        Some(_) => text.chars().take(max_chars - 1).chain([ELLIPSIS]).collect(),
    }
}

/// At most so many bytes of UTF-8, on a character boundary.
pub fn cut_bytes(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let Some(room) = max_bytes.checked_sub(ELLIPSIS.len_utf8()) else {
        return String::new();
    };
    let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let mut out = text[..end].to_owned();
    out.push(ELLIPSIS);
    out
}

fn is_control(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => false,
    }
}

/// Length of an escape sequence, behind its ESC. A string sequence (OSC, DCS …) that does not end on its line is not
/// one: else a single ESC in a log would hide everything after it.
fn escape_len(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    match bytes.first() {
        Some(b'[') => 1 + csi_len(&rest[1..]),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
            let bel = line.find('\u{7}').map(|at| at + 1);
            let st = line.find("\u{1b}\\").map(|at| at + 2);
            bel.into_iter().chain(st).min().unwrap_or(1)
        }
        Some(0x20..=0x2f) => {
            let intermediates = bytes.iter().take_while(|b| matches!(b, 0x20..=0x2f)).count();
            intermediates + usize::from(matches!(bytes.get(intermediates), Some(0x30..=0x7e)))
        }
        Some(0x30..=0x7e) => 1,
        Some(_) | None => 0,
    }
}

/// Length of a control sequence behind its `ESC [`: parameters, intermediates, one final byte.
fn csi_len(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let parameters = bytes.iter().take_while(|b| matches!(b, 0x20..=0x3f)).count();
    match bytes.get(parameters) {
        Some(0x40..=0x7e) => parameters + 1,
        Some(_) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_and_controls_are_gone_and_the_text_stays() {
        for (hostile, harmless) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;owned\u{7}title", "title"),
            ("\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]never closed", "never closed"),
            ("\u{1b}(Bx", "x"),
            ("\u{9b}2Jcleared", "cleared"),
            ("a\r\nb\tc\u{0}d\u{7f}", "a\nb\tcd"),
            ("user\u{202e}nimda\u{202c}", "usernimda"),
            ("\u{2066}x\u{2069}\u{200f}", "x"),
            ("中文 ok", "中文 ok"),
        ] {
            assert_eq!(clean(hostile), harmless);
        }
    }

    #[test]
    fn text_is_cut_on_character_boundaries() {
        assert_eq!(cut("中文字", 2), "中…");
        assert_eq!(cut("中文字", 3), "中文字");
        assert_eq!(cut_bytes("中文字", 8), "中…");
        assert_eq!(cut_bytes("中文字", 2), "");
    }

    proptest! {
        #[test]
        fn whatever_is_logged_no_control_reaches_a_person(text in any::<String>(), max in 0usize..40) {
            let cleaned = clean(&text);
            prop_assert!(!cleaned.chars().any(is_control), "{cleaned:?}");
            prop_assert!(cut(&cleaned, max).chars().count() <= max);
            prop_assert!(cut_bytes(&cleaned, max).len() <= max);
        }
    }
}
