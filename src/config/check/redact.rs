//! What is redacted: built-in sets by their names, and patterns of one's own.

use super::{Inputs, patterns};
use crate::alert::redact::{Pattern, Set};
use crate::config::file;
use crate::config::key::{Key, ShortName};
use crate::config::problem::nearest;

const SETS: [(&str, Set); 4] = [
    ("secrets", Set::Secrets),
    ("emails", Set::Emails),
    ("ips", Set::Ips),
    ("cards", Set::Cards),
];

/// Without the key: secrets.
pub fn redact(key: &Key<Vec<Key<ShortName<file::Redact>>>>, inputs: &mut Inputs) -> Vec<Pattern> {
    match key.get() {
        None => vec![Pattern::Builtin(Set::Secrets)],
        Some(items) => items
            .iter()
            .filter_map(|item| item.get())
            .filter_map(|item| pattern(&item.0, inputs))
            .collect(),
    }
}

fn pattern(item: &file::Redact, inputs: &mut Inputs) -> Option<Pattern> {
    let (at, name) = item.name.placed()?;
    if let Some((at, pattern)) = item.pattern.placed() {
        let regex = patterns::text(at, pattern, inputs)?;
        if regex.is_match("") {
            inputs.fault(
                at,
                "this pattern matches an empty text",
                "it would redact between any two letters",
            );
        }
        return Some(Pattern::Own {
            name: name.clone(),
            regex,
        });
    }
    let known = SETS
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, set)| Pattern::Builtin(*set));
    if known.is_none() {
        let hint = match nearest(name, SETS.iter().map(|(name, _)| *name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "built-in are secrets, emails, ips, cards; one of your own needs a `match`".to_owned(),
        };
        inputs.fault(at, format!("`{name}` is not a built-in set"), hint);
    }
    known
}
