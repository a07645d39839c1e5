//! What to scan: files, directories, globs and standard input become a list of inputs, each read once.
//!
//! A named file is read whatever it is (a pipe, a device, something odd); in directories and globs only regular files
//! are taken, and those that hold no text are skipped and counted when they are opened. What cannot be read becomes a
//! [`Trouble`] that says what to do, and the rest is scanned.

use super::terminal::visible;
use std::cell::Cell;
use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Directories nested deeper than this are not entered: by then something is a loop.
const DEPTH_MAX: usize = 64;
/// So much of a file is looked at to tell text from anything else.
pub const SAMPLE_BYTES: usize = 8 * 1024;

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub place: InputPlace,
    /// As it lies there, compressed or not; 0 where nobody knows (pipes).
    pub size_bytes: u64,
    /// It was named, not met in a directory or a glob: read whatever it holds.
    pub named: bool,
}

impl Input {
    /// Why this input was not read to its end.
    pub fn trouble(&self, error: &io::Error) -> Trouble {
        Trouble {
            path: visible(&self.place.display()),
            what: advice(error),
            named: self.named,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputPlace {
    Stdin,
    File(PathBuf),
}

impl InputPlace {
    /// As people write it: `-` for standard input.
    pub fn display(&self) -> String {
        match self {
            InputPlace::Stdin => "-".to_owned(),
            InputPlace::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// Something that could not be scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub path: String,
    pub what: String,
    /// It was named by the user: the scan is not what was asked for.
    pub named: bool,
}

impl Trouble {
    pub fn new(path: &Path, error: &io::Error, named: bool) -> Self {
        Self {
            path: visible(&path.to_string_lossy()),
            what: advice(error),
            named,
        }
    }
}

/// What went wrong, and what to do about it.
pub fn advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "permission denied (run it with sudo, or join the group that may read it, often adm or systemd-journal)"
                .to_owned()
        }
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::Unsupported => format!("{error} (decompress it, and pipe it in: … | scan -)"),
        io::ErrorKind::UnexpectedEof => "the archive ends too early: it is damaged, or still being written".to_owned(),
        _ => error.to_string(),
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub inputs: Vec<Input>,
    pub troubles: Vec<Trouble>,
    seen: HashSet<(u64, u64)>,
}

/// Turns arguments into inputs, in the order of the arguments; within a directory or glob by name. `own` are device and
/// inode of what we write ourselves: `scan --json . > found.json` would else read its own output for ever.
pub fn find(arguments: &[String], own: impl IntoIterator<Item = (u64, u64)>) -> Found {
    let mut found = Found {
        seen: own.into_iter().collect(),
        ..Found::default()
    };
    for argument in arguments {
        if argument == "-" {
            found.add_stdin();
            continue;
        }
        let path = Path::new(argument);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => found.add_directory(path, DEPTH_MAX, true, &|_| true),
            Ok(metadata) => found.add_file(path, &metadata, true),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_glob(argument) => found.add_glob(argument),
            Err(error) => found.troubles.push(Trouble::new(path, &error, true)),
        }
    }
    found
}

fn is_glob(argument: &str) -> bool {
    argument.contains(['*', '?', '[', '{'])
}

impl Found {
    fn add_stdin(&mut self) {
        if !self.inputs.iter().any(|input| input.place == InputPlace::Stdin) {
            self.inputs.push(Input {
                place: InputPlace::Stdin,
                size_bytes: 0,
                named: true,
            });
        }
    }

    /// Hard links, symlinks and arguments that overlap lead to the same inode: read once.
    fn add_file(&mut self, path: &Path, metadata: &Metadata, named: bool) {
        if !named && !metadata.is_file() {
            return;
        }
        if !metadata.is_file() || self.seen.insert((metadata.dev(), metadata.ino())) {
            let size_bytes = if metadata.is_file() { metadata.len() } else { 0 };
            self.inputs.push(Input {
                place: InputPlace::File(path.to_owned()),
                size_bytes,
                named,
            });
        }
    }

    /// Links to files are followed (container runtimes link their logs), links to directories are not: they may loop.
    fn add_directory(&mut self, directory: &Path, depth: usize, named: bool, wanted: &dyn Fn(&Path) -> bool) {
        let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.troubles.push(Trouble::new(directory, &error, named)),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => self.add_directory(&path, depth - 1, false, wanted),
                Ok(kind) if kind.is_dir() => {}
                Ok(_) if !wanted(&path) => {}
                Ok(_) => match fs::metadata(&path) {
                    Ok(metadata) => self.add_file(&path, &metadata, false),
                    // A link that leads nowhere, or a file that was rotated away while we looked.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.troubles.push(Trouble::new(&path, &error, false)),
                },
                Err(error) => self.troubles.push(Trouble::new(&path, &error, false)),
            }
        }
    }

    /// A pattern that a shell left alone. `*` stays within a directory, `**` does not.
    fn add_glob(&mut self, pattern: &str) {
        let trouble = |what: String| Trouble {
            path: visible(pattern),
            what,
            named: true,
        };
        let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
        let matcher = match glob {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => {
                return self
                    .troubles
                    .push(trouble(format!("not a valid pattern: {}", error.kind())));
            }
        };
        let (base, rest) = split_glob(pattern);
        let depth = if rest.contains("**") {
            DEPTH_MAX
        } else {
            rest.matches('/').count()
        };
        let start = if base.as_os_str().is_empty() {
            Path::new(".")
        } else {
            base
        };
        let before = self.inputs.len();
        let matched = Cell::new(false);
        if start.is_dir() {
            let relative = base.as_os_str().is_empty();
            // Without a base the walk begins at `.`, and its paths with `./`; the pattern does not.
            let shown = |path: &Path| {
                path.strip_prefix(".")
                    .ok()
                    .filter(|_| relative)
                    .unwrap_or(path)
                    .to_owned()
            };
            self.add_directory(start, depth, false, &|path| {
                let matches = matcher.is_match(shown(path));
                matched.set(matched.get() || matches);
                matches
            });
            for input in &mut self.inputs[before..] {
                if let InputPlace::File(path) = &mut input.place {
                    *path = shown(path);
                }
            }
        }
        if !matched.get() {
            self.troubles.push(trouble("no file matches".to_owned()));
        }
    }
}

/// The directory that a pattern surely lies in, and the rest of the pattern.
fn split_glob(pattern: &str) -> (&Path, &str) {
    let meta = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
    match pattern[..meta].rfind('/') {
        Some(0) => (Path::new("/"), &pattern[1..]),
        Some(slash) => (Path::new(&pattern[..slash]), &pattern[slash + 1..]),
        None => (Path::new(""), pattern),
    }
}

/// Opens an input as it lies there, still compressed.
///
/// # Errors
/// What opening gave.
pub fn open(place: &InputPlace) -> io::Result<Box<dyn Read + Send>> {
    match place {
        InputPlace::Stdin => Ok(Box::new(io::stdin())),
        InputPlace::File(path) => Ok(Box::new(File::open(path)?)),
    }
}

/// Whether a file that begins so is a log at all. Logs begin with a line of text; binary files have controls in their
/// first line (wtmp, databases) or all over (pictures, ciphers). NULs at the very beginning are what a truncated log
/// holds that was not opened for appending; UTF-16 is text that is half NULs.
pub fn looks_like_text(sample: &[u8]) -> bool {
    const MAGIC: [&[u8]; 6] = [
        b"\x7fELF",
        b"SQLite format 3\0",
        b"LPKSHHRH",
        b"\x89PNG",
        b"%PDF-",
        b"\xff\xd8\xff",
    ];
    if MAGIC.iter().any(|magic| sample.starts_with(magic)) {
        return false;
    }
    if sample.starts_with(b"\xff\xfe") || sample.starts_with(b"\xfe\xff") {
        return true;
    }
    let nuls = sample.iter().take_while(|&&byte| byte == 0).count();
    let text = &sample[nuls..];
    let line = &text[..memchr::memchr(b'\n', text).unwrap_or(text.len())];
    let odd = |byte: &&u8| **byte != 0 && matches!(**byte, 0..=6 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    !line.contains(&0) && text.iter().filter(odd).count() * 50 <= text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "2026-11-23 ok\n").unwrap();
        }
        directory
    }

    fn names(found: &Found, root: &Path) -> Vec<String> {
        let strip = |input: &Input| input.place.display().replace(&format!("{}/", root.display()), "");
        found.inputs.iter().map(strip).collect()
    }

    #[test]
    fn directories_are_entered_and_every_file_is_read_once() {
        let root = tree(&["b.log", "a/deep/x.log", "a/y.log"]);
        std::os::unix::fs::symlink(root.path().join("b.log"), root.path().join("a/link.log")).unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("a/loop")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("dangling.log")).unwrap();
        fs::hard_link(root.path().join("b.log"), root.path().join("hard.log")).unwrap();
        let argument = root.path().display().to_string();
        let found = find(&[format!("{argument}/a/y.log"), argument, "-".into(), "-".into()], []);
        assert_eq!(
            names(&found, root.path()),
            ["a/y.log", "a/deep/x.log", "a/link.log", "-"]
        );
        assert_eq!(found.troubles, []);
    }

    #[test]
    fn quoted_globs_stay_within_a_directory_unless_they_say_otherwise() {
        let root = tree(&["a.log", "a.txt", "x/b.log", "x/y/c.log"]);
        let at = |pattern: &str| {
            names(
                &find(&[format!("{}/{pattern}", root.path().display())], []),
                root.path(),
            )
        };
        assert_eq!(at("*.log"), ["a.log"]);
        assert_eq!(at("*/*.log"), ["x/b.log"]);
        assert_eq!(at("**/*.log"), ["a.log", "x/b.log", "x/y/c.log"]);
        assert_eq!(at("x/**"), ["x/b.log", "x/y/c.log"]);
        assert_eq!(at("{a,b}.{log,txt}"), ["a.log", "a.txt"]);
    }

    #[test]
    fn what_is_not_there_is_told_and_the_rest_is_scanned() {
        let root = tree(&["a.log"]);
        let at = |name: &str| format!("{}/{name}", root.path().display());
        let found = find(&[at("gone.log"), at("*.nothing"), at("a.log")], []);
        assert_eq!(names(&found, root.path()), ["a.log"]);
        assert_eq!(found.troubles.len(), 2, "{:?}", found.troubles);
        assert!(
            found.troubles[0].named && found.troubles[0].what.contains("no such file"),
            "{:?}",
            found.troubles
        );
    }

    #[test]
    fn text_is_told_from_what_is_not() {
        let utf16: Vec<u8> = "\u{feff}2026 error\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for text in [
            &b""[..],
            b"plain\n",
            b"caf\xe9 latin\n",
            b"\x1b[31mcoloured\x1b[0m\n",
            b"\0\0\0\0after truncation\nx\0\n",
            &utf16,
        ] {
            assert!(looks_like_text(text), "{text:?}");
        }
        let noise: Vec<u8> = (0..4096_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for binary in [
            &b"\x7fELF\x02\x01"[..],
            b"\x02\0\0\0tty1\0\0",
            b"\0\0\0\0\x12\x34pts/0\0\0\0",
            b"SQLite format 3\0\x10",
            &noise,
        ] {
            assert!(!looks_like_text(binary), "{binary:?}");
        }
    }
}
