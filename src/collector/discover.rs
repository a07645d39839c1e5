//! Discovery: which paths a source's globs name, and which directories have to be watched to hear of more.
//!
//! Promises: symbolic links to files are followed, loops end; under `**` linked directories are not entered. A path is
//! matched component by component, so that only directories that may lead to a match are read. Whether the path can be
//! read is the reader's question.

use globset::{GlobBuilder, GlobMatcher};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Deeper trees are not walked by `**`.
const DEPTH_MAX: usize = 64;

/// The compiled `paths` and `exclude` of one source.
#[derive(Debug, Clone)]
pub struct Globs {
    patterns: Vec<Pattern>,
    exclude: Vec<Exclude>,
}

/// What a walk found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// Paths that match: files, links to files, FIFOs, whatever has the name; not directories.
    pub paths: BTreeSet<PathBuf>,
    /// Directories in which a match may appear; where one does not exist yet, the nearest that does.
    pub directories: BTreeSet<PathBuf>,
}

#[derive(Debug, Clone)]
struct Pattern {
    whole: GlobMatcher,
    base: PathBuf,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Glob(GlobMatcher),
    AnyDirectories,
}

#[derive(Debug, Clone)]
struct Exclude {
    matcher: GlobMatcher,
    /// The pattern has no slash: it is held against the file name alone.
    name_only: bool,
}

impl Globs {
    /// Compiles globs; relative ones are taken from the working directory.
    ///
    /// # Errors
    ///
    /// The pattern that is no glob, with the reason.
    pub fn new(paths: &[String], exclude: &[String]) -> Result<Self, String> {
        let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let mut patterns = Vec::new();
        for path in paths.iter().flat_map(|path| expand_braces(path)) {
            let absolute = if path.starts_with('/') {
                path
            } else {
                let base = globset::escape(&working_directory.to_string_lossy());
                format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches("./"))
            };
            patterns.push(Pattern::new(&absolute)?);
        }
        let exclude = exclude
            .iter()
            .map(|glob| {
                Ok(Exclude {
                    matcher: compile(glob)?,
                    name_only: !glob.contains('/'),
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { patterns, exclude })
    }

    /// Whether a path, given whole, is one of the source's.
    pub fn matches(&self, path: &Path) -> bool {
        self.patterns.iter().any(|pattern| pattern.whole.is_match(path)) && !self.excludes(path)
    }

    fn excludes(&self, path: &Path) -> bool {
        self.exclude
            .iter()
            .any(|exclude| match (exclude.name_only, path.file_name()) {
                (true, Some(name)) => exclude.matcher.is_match(name),
                (true, None) | (false, _) => exclude.matcher.is_match(path),
            })
    }

    /// Walks the file system and adds what is found.
    pub fn walk(&self, found: &mut Found) {
        for pattern in &self.patterns {
            walk(&pattern.base, &pattern.parts, 0, found);
        }
        found.paths.retain(|path| !self.excludes(path));
    }
}

impl Pattern {
    fn new(glob: &str) -> Result<Self, String> {
        let mut base = PathBuf::from("/");
        let mut parts = Vec::new();
        for part in glob.split('/').filter(|part| !part.is_empty() && *part != ".") {
            let literal = unescaped(part);
            match (literal, part) {
                (Some(literal), _) if parts.is_empty() => base.push(literal),
                (Some(literal), _) => parts.push(Part::Literal(literal)),
                (None, "**") => parts.push(Part::AnyDirectories),
                (None, _) => parts.push(Part::Glob(compile(part)?)),
            }
        }
        if parts.is_empty() {
            let name = base.file_name().map(|name| name.to_string_lossy().into_owned());
            parts.push(Part::Literal(name.ok_or_else(|| format!("{glob}: names no file"))?));
            base.pop();
        }
        Ok(Self {
            whole: compile(glob)?,
            base,
            parts,
        })
    }
}

fn compile(glob: &str) -> Result<GlobMatcher, String> {
    let built = GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    built
        .map(|glob| glob.compile_matcher())
        .map_err(|error| error.to_string())
}

/// The text of a component without wildcards, its backslashes resolved.
fn unescaped(part: &str) -> Option<String> {
    // `globset::escape` writes a wildcard as a class of one.
    let mut literal = String::new();
    let mut chars = part.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => literal.push(chars.next()?),
            '[' => {
                let only = chars.next()?;
                if matches!(only, '!' | '^') || chars.next()? != ']' {
                    return None;
                }
                literal.push(only);
            }
            '*' | '?' | '{' | '}' => return None,
            _ => literal.push(char),
        }
    }
    Some(literal)
}

/// Alternatives that span a slash become patterns of their own; the others are left to the matcher.
fn expand_braces(glob: &str) -> Vec<String> {
    let Some((open, close)) = outer_braces(glob) else {
        return vec![glob.to_owned()];
    };
    let inside = &glob[open + 1..close];
    if !inside.contains('/') {
        let rest = expand_braces(&glob[close + 1..]);
        return rest
            .into_iter()
            .map(|rest| format!("{}{rest}", &glob[..=close]))
            .collect();
    }
    let (mut depth, mut from, mut alternatives) = (0usize, 0, Vec::new());
    for (at, char) in inside.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                alternatives.push(&inside[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    alternatives.push(&inside[from..]);
    let expanded = alternatives
        .iter()
        .map(|text| format!("{}{text}{}", &glob[..open], &glob[close + 1..]));
    expanded.flat_map(|glob| expand_braces(&glob)).collect()
}

fn outer_braces(glob: &str) -> Option<(usize, usize)> {
    let (mut depth, mut open, mut escaped) = (0usize, 0, false);
    for (at, char) in glob.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => {
                if depth == 0 {
                    open = at;
                }
                depth += 1;
            }
            '}' if depth == 1 => return Some((open, at)),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn walk(directory: &Path, parts: &[Part], depth: usize, found: &mut Found) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    if depth > DEPTH_MAX {
        return;
    }
    match part {
        Part::Literal(name) => {
            watch_nearest(directory, found);
            take(&directory.join(name), rest, depth, found);
        }
        Part::Glob(matcher) => {
            watch_nearest(directory, found);
            for entry in entries(directory) {
                if matcher.is_match(Path::new(&entry.file_name())) {
                    take(&entry.path(), rest, depth, found);
                }
            }
        }
        Part::AnyDirectories => {
            walk(directory, rest, depth + 1, found);
            watch_nearest(directory, found);
            for entry in entries(directory) {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory {
                    walk(&entry.path(), parts, depth + 1, found);
                } else if rest.is_empty() {
                    found.paths.insert(entry.path());
                }
            }
        }
    }
}

/// `path` matched its component: a result if it was the last one, else a directory to go on in.
fn take(path: &Path, rest: &[Part], depth: usize, found: &mut Found) {
    if !rest.is_empty() {
        if path.is_dir() {
            walk(path, rest, depth + 1, found);
        }
        return;
    }
    // What cannot be examined (a link that leads nowhere yet) is kept: the reader tries it again.
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            found.paths.insert(path.to_owned());
        }
        Err(_) if path.symlink_metadata().is_ok() => {
            found.paths.insert(path.to_owned());
        }
        Err(_) => {}
    }
}

fn watch_nearest(directory: &Path, found: &mut Found) {
    let nearest = directory.ancestors().find(|ancestor| ancestor.is_dir());
    if let Some(nearest) = nearest {
        found.directories.insert(nearest.to_owned());
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    std::fs::read_dir(directory).into_iter().flatten().flatten()
}

/// Where a symbolic link leads in the end, also when nothing is there yet; none for what is no link, and for loops.
pub fn link_target(path: &Path) -> Option<PathBuf> {
    /// As many as Linux follows.
    const LINKS_MAX: usize = 40;
    let mut at = path.to_owned();
    for followed in 0..LINKS_MAX {
        match std::fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) if followed == 0 => return None,
            Err(_) => {
                let parent = at.parent()?.canonicalize().ok()?;
                return Some(parent.join(at.file_name()?));
            }
        }
    }
    None
}

/// Whether `name` may be a rotated generation of `original`: `a.log.1`, `a.log-20260101.gz`, `a-20260101.log`.
pub fn is_generation(name: &OsStr, original: &OsStr) -> bool {
    let (name, original) = (name.as_encoded_bytes(), original.as_encoded_bytes());
    let separated = |rest: &[u8]| rest.first().is_some_and(|byte| b".-_~".contains(byte));
    if name.strip_prefix(original).is_some_and(separated) {
        return true;
    }
    let Some(dot) = original.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return false;
    };
    let (stem, extension) = original.split_at(dot);
    let rest = name.strip_prefix(stem).filter(|rest| separated(rest));
    rest.is_some_and(|rest| rest.len() > extension.len() && memchr::memmem::find(rest, extension).is_some())
}

/// The same by a number or a date, as rotation does it; what else begins so may be anybody's.
pub fn is_numbered_generation(name: &OsStr, original: &OsStr) -> bool {
    let (bytes, of) = (name.as_encoded_bytes(), original.as_encoded_bytes());
    let dot = of.iter().rposition(|byte| *byte == b'.').unwrap_or(of.len());
    let behind = bytes.strip_prefix(of);
    let within = || bytes.strip_prefix(&of[..dot])?.strip_suffix(&of[dot..]);
    let is_number = |added: &[u8]| {
        let is_part = |byte: &u8| byte.is_ascii_digit() || b".-_T:".contains(byte);
        added.iter().any(u8::is_ascii_digit) && added.iter().all(is_part)
    };
    is_generation(name, original) && behind.or_else(within).is_some_and(is_number)
}

/// The names of which `name` may be a rotated generation, longest first.
pub fn originals(name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, _) in name
        .char_indices()
        .filter(|(at, char)| *at > 0 && ".-_~".contains(*char))
    {
        let stem = &name[..at];
        found.push(stem.to_owned());
        for (dot, _) in name[at..].char_indices().filter(|(dot, char)| *dot > 0 && *char == '.') {
            let extension = &name[at + dot + 1..];
            let extension = extension.split(['.', '-', '_', '~']).next().unwrap_or(extension);
            found.push(format!("{stem}.{extension}"));
        }
    }
    found.sort_by_key(|original| std::cmp::Reverse(original.len()));
    found.dedup();
    found
}

/// Whether a path goes through `directory`; both without links or dots.
pub fn lies_below(path: &Path, directory: &Path) -> bool {
    let normal = |path: &Path| {
        path.components()
            .filter(|part| *part != Component::CurDir)
            .collect::<PathBuf>()
    };
    normal(path).starts_with(normal(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        directory
    }

    fn found(directory: &Path, glob: &str, exclude: &[&str]) -> Vec<String> {
        let exclude: Vec<String> = exclude.iter().map(|glob| (*glob).to_owned()).collect();
        let globs = Globs::new(&[format!("{}/{glob}", directory.display())], &exclude).unwrap();
        let mut found = Found::default();
        globs.walk(&mut found);
        assert!(found.paths.iter().all(|path| globs.matches(path)), "{found:?}");
        let relative = |path: &PathBuf| path.strip_prefix(directory).unwrap().to_string_lossy().into_owned();
        found.paths.iter().map(relative).collect()
    }

    #[test]
    fn star_stays_in_one_directory_and_two_stars_do_not() {
        let tree = tree(&["a.log", "d/b.log", "d/e/c.log", "d/e/c.txt"]);
        assert_eq!(found(tree.path(), "*.log", &[]), ["a.log"]);
        assert_eq!(found(tree.path(), "**/*.log", &[]), ["a.log", "d/b.log", "d/e/c.log"]);
        assert_eq!(found(tree.path(), "d/**", &[]), ["d/b.log", "d/e/c.log", "d/e/c.txt"]);
        assert_eq!(found(tree.path(), "*/e/c.{log,txt}", &[]), ["d/e/c.log", "d/e/c.txt"]);
        assert_eq!(found(tree.path(), "{a.log,d/b.log}", &[]), ["a.log", "d/b.log"]);
    }

    #[test]
    fn odd_names_are_found_and_escapes_work() {
        let tree = tree(&["with space.log", "ünï.log", "[x].log", "{y}*.log"]);
        assert_eq!(found(tree.path(), "*.log", &[]).len(), 4);
        assert_eq!(found(tree.path(), "\\[x\\].log", &[]), ["[x].log"]);
        assert_eq!(found(tree.path(), "[[]x[]].log", &[]), ["[x].log"]);
    }

    #[test]
    fn exclude_without_slash_is_held_against_the_name() {
        let tree = tree(&["a.log", "a.log.gz", "old/b.log"]);
        assert_eq!(found(tree.path(), "**/*.log*", &["*.gz"]), ["a.log", "old/b.log"]);
        let old = format!("{}/old/**", tree.path().display());
        assert_eq!(found(tree.path(), "**/*.log*", &["*.gz", &old]), ["a.log"]);
    }

    #[test]
    fn missing_directory_is_waited_for_at_the_nearest_that_exists() {
        let tree = tree(&[]);
        let globs = Globs::new(&[format!("{}/x/y/*.log", tree.path().display())], &[]).unwrap();
        let mut found = Found::default();
        globs.walk(&mut found);
        assert_eq!(found.directories, BTreeSet::from([tree.path().to_owned()]));
    }

    #[test]
    fn generations_are_recognised_by_name() {
        for name in [
            "a.log.1",
            "a.log-20260101",
            "a.log.2.gz",
            "a-20260101.log",
            "a.1.log",
            "a-20260101.log.gz",
        ] {
            assert!(is_generation(name.as_ref(), "a.log".as_ref()), "{name}");
            assert!(
                originals(name).contains(&"a.log".to_owned()),
                "{name}: {:?}",
                originals(name)
            );
        }
        for name in ["a.log", "b.log", "aa.log", "a.txt", "ab.log.1"] {
            assert!(!is_generation(name.as_ref(), "a.log".as_ref()), "{name}");
        }
        for name in ["a.log.1", "a.log-20260101", "a.log.2026-01-01", "a-1.log"] {
            assert!(is_numbered_generation(name.as_ref(), "a.log".as_ref()), "{name}");
        }
        for name in ["a.log", "a.log.tmp", "a.log.1.gz", "a-b.log", "b.log.1"] {
            assert!(!is_numbered_generation(name.as_ref(), "a.log".as_ref()), "{name}");
        }
    }
}
