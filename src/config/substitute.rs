//! `${VAR}` and `${VAR:-default}` inside values, from the environment.
//!
//! Replaced in the tree, after YAML was read: whatever a variable holds, it cannot add keys or break quotes. `$${` is a
//! literal `${`; any other `$` stands for itself. `:-` takes the default for an empty variable too, as shells do.

use super::place::{Inputs, item_path, key_path};
use super::tree::{Node, Value};
use std::collections::BTreeMap;

/// Replaces in all values below `node`. A value with a variable that is not set is gone, and reported once.
pub fn substitute(node: &mut Node, path: &str, environment: &BTreeMap<String, String>, inputs: &mut Inputs) {
    match &mut node.value {
        Value::Scalar(text) if text.contains("${") => match replaced(text, environment) {
            Ok(new) if new.is_empty() => node.value = Value::Null,
            Ok(new) => *text = new,
            Err((what, hint)) => {
                inputs.fault_at_key(node.id, path, what, hint);
                node.value = Value::Gone;
            }
        },
        Value::Seq(items) => {
            for (n, item) in items.iter_mut().enumerate() {
                let path = item_path(path, n, item);
                substitute(item, &path, environment, inputs);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                substitute(&mut entry.node, &key_path(path, &entry.key), environment, inputs);
            }
        }
        Value::Scalar(_) | Value::Null | Value::Gone => {}
    }
}

fn replaced(text: &str, environment: &BTreeMap<String, String>) -> Result<String, (String, String)> {
    const LITERAL: &str = "a literal ${ is written $${";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside
            .find('}')
            .ok_or_else(|| ("`${` without its `}`".to_owned(), LITERAL.to_owned()))?;
        let (name, default) = match inside[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        if !is_name(name) {
            return Err(("`${…}` holds no name of a variable".to_owned(), LITERAL.to_owned()));
        }
        match (environment.get(name).map(String::as_str), default) {
            (None | Some(""), Some(default)) => out.push_str(default),
            (Some(value), _) => out.push_str(value),
            (None, None) => {
                let what = format!("the environment variable {name} is not set");
                return Err((what, format!("set it, or give a default: ${{{name}:-…}}")));
            }
        }
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, String> {
        let environment = BTreeMap::from([
            ("A".to_owned(), "x: [1]".to_owned()),
            ("EMPTY".to_owned(), String::new()),
        ]);
        replaced(text, &environment).map_err(|(what, _)| what)
    }

    #[test]
    fn variables_defaults_and_literals_are_replaced() {
        assert_eq!(with("<${A}> ${A}"), Ok("<x: [1]> x: [1]".to_owned()));
        assert_eq!(with("${NO:-d} ${NO:-} ${EMPTY:-e} ${EMPTY}"), Ok("d  e ".to_owned()));
        assert_eq!(with("$${A} $x $ ${A}$"), Ok("${A} $x $ x: [1]$".to_owned()));
        assert_eq!(with("$$${A}"), Ok("$${A}".to_owned()));
    }

    #[test]
    fn what_cannot_be_replaced_is_told() {
        assert_eq!(with("${NO}"), Err("the environment variable NO is not set".to_owned()));
        assert_eq!(with("${A"), Err("`${` without its `}`".to_owned()));
        assert_eq!(with("a${1}"), Err("`${…}` holds no name of a variable".to_owned()));
    }
}
