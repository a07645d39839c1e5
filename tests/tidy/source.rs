//! Rust source seen from far: comments and literals blanked, tests cut out, functions measured, paths spelled out.
//!
//! Not a parser. It reads what rustfmt leaves, line by line what the compiler has accepted; where it could be fooled
//! (a module renamed on import, a macro that writes paths) a reviewer sees it too. All positions are 1-based lines.

/// One Rust file.
#[derive(Debug)]
pub struct Source {
    /// Below the repository's root, with `/`.
    pub path: String,
    pub text: String,
    /// `text` with comments and literals blanked, line for line.
    pub code: String,
    /// `code` without `#[cfg(test)]` items; empty where the whole file is one.
    pub live: String,
}

#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub first_line: usize,
    pub last_line: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank_comments_and_literals(text);
        let live = blank_tests(&code);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            live,
        }
    }

    /// Files of the modules that this one declares as tests: `#[cfg(test)] mod tests;`.
    pub fn test_children(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "core.rs" | "main.rs")) => folder.to_owned(),
            Some(_) | None => self.path.trim_end_matches(".rs").to_owned(),
        };
        let items = self
            .code
            .match_indices(TEST_MARK)
            .map(|(at, mark)| &self.code[at + mark.len()..]);
        items
            .filter_map(|item| item.split_once(';')?.0.trim_start().rsplit_once("mod "))
            .filter(|(visibility, name)| name.chars().all(is_word) && !visibility.contains(['{', ']', '=']))
            .flat_map(|(_, name)| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")])
            .collect()
    }

    /// Modules from the crate's root down to this file: `src/record/mod.rs` gives `record`.
    fn module(&self) -> Vec<&str> {
        let inner = self
            .path
            .strip_prefix("src/")
            .unwrap_or(&self.path)
            .trim_end_matches(".rs");
        inner
            .split('/')
            .filter(|part| !["mod", "lib", "core", "main"].contains(part))
            .collect()
    }

    /// Every path of at least two words in the live code, `use` trees spelled out, `self` and `super` resolved.
    pub fn paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.live.len() {
            let rest = &self.live[at..];
            let word: &str = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
            if word == "use" && rest[3..].starts_with(' ') {
                let tree = &rest[3..rest.find(';').unwrap_or(rest.len())];
                spell_out("", tree, &mut |path| {
                    found.push((line_of(&self.live, at), self.absolute(path)))
                });
                at += 3 + tree.len();
            } else if word.is_empty() {
                at += 1;
            } else {
                let path = &rest[..rest.find(|c| !is_word(c) && c != ':').unwrap_or(rest.len())];
                if path.contains("::") {
                    found.push((line_of(&self.live, at), self.absolute(path.trim_end_matches(':'))));
                }
                at += path.len();
            }
        }
        found
    }

    fn absolute(&self, path: &str) -> String {
        let mut words: Vec<&str> = path.split("::").collect();
        if !["self", "super"].contains(&words[0]) {
            return path.to_owned();
        }
        let mut module = self.module();
        while let Some(&("self" | "super")) = words.first() {
            if words.remove(0) == "super" {
                module.pop();
            }
        }
        ["crate"]
            .into_iter()
            .chain(module)
            .chain(words)
            .collect::<Vec<_>>()
            .join("::")
    }
}

/// Functions with a body, in the order of their heads; nested ones too.
pub fn functions(code: &str) -> Vec<Function> {
    let heads = code
        .match_indices("fn ")
        .filter(|(at, _)| !code[..*at].ends_with(is_word));
    heads
        .filter_map(|(at, word)| {
            let name: String = code[at + word.len()..].chars().take_while(|c| is_word(*c)).collect();
            let open = body_start(code, at)?;
            let close = matching_brace(code, open);
            Some(Function {
                name,
                first_line: line_of(code, at),
                last_line: line_of(code, close),
            })
        })
        .filter(|function| !function.name.is_empty())
        .collect()
}

pub fn line_of(code: &str, at: usize) -> usize {
    1 + code.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

const TEST_MARK: &str = "#[cfg(test)]";

/// `a::{b, c::{self, d}}` → `a::b`, `a::c`, `a::c::d`.
fn spell_out(prefix: &str, tree: &str, found: &mut dyn FnMut(&str)) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap_or(tree).trim();
        let whole = format!("{prefix}{name}");
        return found(whole.strip_suffix("::self").unwrap_or(&whole));
    };
    let inner_prefix = format!("{prefix}{}", tree[..open].trim());
    let inner = &tree[open + 1..matching_brace(tree, open).min(tree.len())];
    let mut depth = 0;
    let branches = inner.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for branch in branches.map(str::trim).filter(|branch| !branch.is_empty()) {
        spell_out(&inner_prefix, branch, found);
    }
}

/// Where the body of the function whose head begins at `at` opens; none for a declaration. `;` may stand in an array.
fn body_start(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (n, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(n),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The brace that closes the one at `open`; the end of the text where it is missing.
fn matching_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (n, byte) in code.bytes().enumerate().skip(open) {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        if depth == 0 {
            return n;
        }
    }
    code.len()
}

fn blank_tests(code: &str) -> String {
    if code.trim_start().starts_with("#![cfg(test)]") {
        return String::new();
    }
    let mut live = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(TEST_MARK) {
        let item_end = rest[at..].find([';', '{']).map_or(rest.len(), |n| at + n);
        let is_import = rest[at + TEST_MARK.len()..item_end].trim_start().starts_with("use ");
        let end = match rest[item_end..].chars().next() {
            Some('{') if is_import => rest[item_end..].find(';').map_or(rest.len(), |n| item_end + n),
            Some('{') => matching_brace(rest, item_end),
            Some(_) | None => item_end,
        };
        live.push_str(&rest[..at]);
        let blanked = &rest[at..end];
        live.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = rest[end..].strip_prefix([';', '}']).unwrap_or(&rest[end..]);
    }
    live + rest
}

fn blank_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = opaque_end(text, at);
        let visible = usize::from(end == at);
        for &byte in &bytes[at..end + visible] {
            code.push(match byte {
                b'\n' => '\n',
                _ if visible == 0 => ' ',
                _ if byte.is_ascii() => char::from(byte),
                _ => '_',
            });
        }
        at = end + visible;
    }
    code
}

/// The end of the comment or literal that begins at `at`; `at` itself where none begins.
fn opaque_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let rest = &bytes[at..];
    let until = |mark: &str, skip: usize| {
        let from = (at + skip).min(bytes.len());
        bytes[from..]
            .windows(mark.len())
            .position(|w| w == mark.as_bytes())
            .map_or(bytes.len(), |n| from + n)
    };
    let after_word = at > 0 && (bytes[at - 1] == b'_' || bytes[at - 1].is_ascii_alphanumeric());
    match rest {
        [b'/', b'/', ..] => until("\n", 2),
        [b'/', b'*', ..] => until("*/", 2) + 2,
        [b'"', ..] => quoted_end(bytes, at + 1, b'"'),
        [b'\'', b'\\', ..] => quoted_end(bytes, at + 1, b'\''),
        [b'\'', first, ..] if rest.get(1 + utf8_len(*first)) == Some(&b'\'') => at + 2 + utf8_len(*first),
        [b'r', b'"' | b'#', ..] | [b'b' | b'c', b'r', b'"' | b'#', ..] if !after_word => {
            let from = 1 + usize::from(rest[0] != b'r');
            let hashes = rest[from..].iter().take_while(|byte| **byte == b'#').count();
            match rest.get(from + hashes) {
                Some(b'"') => {
                    let mark = format!("\"{}", "#".repeat(hashes));
                    (until(&mark, from + hashes + 1) + mark.len()).min(bytes.len())
                }
                Some(_) | None => at,
            }
        }
        _ => at,
    }
    .min(bytes.len())
}

fn quoted_end(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() && bytes[at] != quote {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    (at + 1).min(bytes.len())
}

fn utf8_len(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}
