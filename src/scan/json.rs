//! `--json`: one object a line, in file order. The shape is that of [`Alert`]; with `--all` each record has one, and
//! says whether it is exceptional.

use crate::alert::Alert;
use serde::Serialize;
use std::io::{self, Write};

/// What an unremarkable record does not have: it is no alert.
const NOT_OF_RECORDS: [&str; 5] = ["id", "status", "reason", "count", "context"];

/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, alert: &Alert) -> io::Result<()> {
    let mut line = alert.to_json();
    line.push('\n');
    out.write_all(line.as_bytes())
}

/// With `--all`: an exceptional record among all others.
///
/// # Errors
/// Those of `out`.
pub fn write_marked(out: &mut impl Write, alert: &Alert) -> io::Result<()> {
    #[derive(Serialize)]
    struct Marked<'a> {
        #[serde(flatten)]
        alert: &'a Alert,
        exceptional: bool,
    }
    line(
        out,
        &Marked {
            alert,
            exceptional: true,
        },
    )
}

/// With `--all`: a record that nobody would hear of. Its severity is null.
///
/// # Errors
/// Those of `out`.
pub fn write_unremarkable(out: &mut impl Write, alert: &Alert) -> io::Result<()> {
    let mut object = serde_json::to_value(alert)?;
    if let Some(object) = object.as_object_mut() {
        for key in NOT_OF_RECORDS {
            object.shift_remove(key);
        }
        object.insert("severity".to_owned(), serde_json::Value::Null);
        object.insert("exceptional".to_owned(), false.into());
    }
    line(out, &object)
}

fn line(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    // An error of the writer keeps its kind (a closed pipe must be told from a full disk).
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::alert;
    use super::*;
    use crate::record::Level;
    use serde_json::{Value, json};

    #[test]
    fn with_all_every_line_has_the_same_shape_and_says_whether_it_is_exceptional() {
        let alert = alert(Level::Error, "f", "ERROR no", 7, "a.log", 3);
        let mut out = Vec::new();
        write_marked(&mut out, &alert).unwrap();
        write_unremarkable(&mut out, &alert).unwrap();
        let lines: Vec<Value> = out
            .split(|&b| b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[0]["exceptional"], &lines[1]["exceptional"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(
            (&lines[0]["severity"], &lines[1]["severity"]),
            (&json!("error"), &Value::Null)
        );
        assert_eq!(lines[1]["source"], lines[0]["source"]);
        assert!(lines[0]["id"].is_string() && lines[1].get("id").is_none());
    }
}
