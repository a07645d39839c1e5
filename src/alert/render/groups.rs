//! The groups of a digest for people: one a line, then the text of the worst.

use super::{Wording, clean, one_line, severity};
use serde_json::Value;
use std::fmt::Write as _;

/// So many are shown with their text …
const SHOWN_MAX: usize = 3;
/// … of so many lines each.
const LINES_MAX: usize = 12;

/// Appends them.
pub(super) fn write(text: &mut String, groups: &[Value], wording: &Wording) {
    for group in groups {
        if !text.is_empty() {
            text.push('\n');
        }
        let mark = if group["status"] == "resolved" { "✓ " } else { "" };
        let (severity, title) = (severity(group, wording), one_line(&word(group, "title")));
        // Its records were told before: only that it is over was held back.
        let (count, times) = match word(group, "count").as_str() {
            "0" => (String::new(), ' '),
            count => (count.to_owned(), '×'),
        };
        // Writing to a string cannot fail.
        _ = write!(text, "{count:>6} {times} {severity:<5} {mark}{title}");
    }
    let worst = groups.iter().filter(|group| group["status"] != "resolved");
    for group in worst
        .filter_map(|group| Some((group, group["text"].as_str()?)))
        .take(SHOWN_MAX)
    {
        let (group, own) = group;
        let path = word(&group["source"], "path");
        _ = write!(text, "\n\n{} {}", one_line(&word(group, "title")), one_line(&path));
        for line in clean(own).lines().take(LINES_MAX) {
            _ = write!(text, "\n  {line}");
        }
        if own.lines().count() > LINES_MAX {
            text.push_str("\n  …");
        }
    }
}

fn word(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}
