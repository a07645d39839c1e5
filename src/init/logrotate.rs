//! What logrotate does with which log: read off `/etc/logrotate.conf` and what it includes (logrotate(8)).
//!
//! Only what matters to a reader of the logs: how often, and whether by rename or by `copytruncate`, which loses lines that
//! are written between the copy and the truncation, to every reader there is. What is not understood is passed over.

use globset::{Glob, GlobSet, GlobSetBuilder};
use std::path::Path;

const MAIN: &str = "etc/logrotate.conf";
const DROP_INS: &str = "etc/logrotate.d";
const INTERVALS: [&str; 5] = ["hourly", "daily", "weekly", "monthly", "yearly"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// `daily`, …, where it says so.
    pub interval: Option<String>,
    pub copytruncate: bool,
    /// The file that says so, as the host names it.
    pub said_by: String,
}

/// All rotations of a host.
#[derive(Debug, Default)]
pub struct Rotations {
    blocks: Vec<(GlobSet, Rotation)>,
}

impl Rotations {
    /// Reads them below `root`; files that are not there or cannot be read have no rules.
    pub fn read(root: &Path) -> Self {
        let mut rotations = Self::default();
        let mut defaults = Rotation {
            interval: None,
            copytruncate: false,
            said_by: String::new(),
        };
        rotations.read_file(root, MAIN, &mut defaults);
        let mut names: Vec<String> = std::fs::read_dir(root.join(DROP_INS))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.ends_with('~') && !name.contains(".dpkg-") && !name.contains(".rpm"))
            .collect();
        names.sort();
        for name in names {
            rotations.read_file(root, &format!("{DROP_INS}/{name}"), &mut defaults.clone());
        }
        rotations
    }

    /// What is done with the log of this path.
    pub fn of(&self, path: &str) -> Option<&Rotation> {
        let block = self.blocks.iter().find(|(globs, _)| globs.is_match(path));
        block.map(|(_, rotation)| rotation)
    }

    fn read_file(&mut self, root: &Path, name: &str, defaults: &mut Rotation) {
        let Ok(bytes) = std::fs::read(root.join(name)) else {
            return;
        };
        defaults.said_by = format!("/{name}");
        self.read_text(&String::from_utf8_lossy(&bytes), defaults);
    }

    fn read_text(&mut self, text: &str, defaults: &mut Rotation) {
        let mut names: Vec<String> = Vec::new();
        let mut block: Option<Rotation> = None;
        let mut in_script = false;
        for line in text.lines().map(str::trim) {
            if in_script {
                in_script = line != "endscript";
            } else if line.starts_with('#') || line.is_empty() {
            } else if let Some(rotation) = &mut block {
                if line.starts_with('}') {
                    self.push(&names, rotation.clone());
                    names.clear();
                    block = None;
                } else if is_script(line) {
                    in_script = true;
                } else {
                    directive(line, rotation);
                }
            } else if let Some(before) = line.strip_suffix('{') {
                names.extend(words(before));
                block = Some(defaults.clone());
            } else if line.starts_with('/') || line.starts_with('"') || line.starts_with('\'') {
                names.extend(words(line));
            } else {
                directive(line, defaults);
            }
        }
    }

    fn push(&mut self, names: &[String], rotation: Rotation) {
        let mut globs = GlobSetBuilder::new();
        for glob in names.iter().filter_map(|name| Glob::new(name).ok()) {
            globs.add(glob);
        }
        if let Ok(globs) = globs.build() {
            self.blocks.push((globs, rotation));
        }
    }
}

fn is_script(line: &str) -> bool {
    ["prerotate", "postrotate", "firstaction", "lastaction", "preremove"].contains(&line)
}

fn directive(line: &str, rotation: &mut Rotation) {
    let word = line.split_whitespace().next().unwrap_or_default();
    match word {
        "copytruncate" => rotation.copytruncate = true,
        "nocopytruncate" => rotation.copytruncate = false,
        word if INTERVALS.contains(&word) => rotation.interval = Some(word.to_owned()),
        _ => {}
    }
}

/// Words between blanks; quoted ones may hold blanks.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_log_has_the_rotation_of_its_block_over_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc/logrotate.d");
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::write(
            dir.path().join(MAIN),
            "weekly\nrotate 4\ncreate\ninclude /etc/logrotate.d\n",
        )
        .unwrap();
        std::fs::write(
            etc.join("app"),
            "# ours\n/var/log/app/*.log\n\"/var/log/with blank.log\" {\n  daily\n  copytruncate\n  postrotate\n    nocopytruncate }\n  endscript\n}\n/var/log/other.log { \n}\n",
        )
        .unwrap();
        std::fs::write(etc.join("app.dpkg-old"), "/var/log/other.log {\ncopytruncate\n}\n").unwrap();
        let rotations = Rotations::read(dir.path());
        let rotation = |interval: &str, copytruncate| {
            Some(Rotation {
                interval: Some(interval.to_owned()),
                copytruncate,
                said_by: "/etc/logrotate.d/app".to_owned(),
            })
        };
        assert_eq!(rotations.of("/var/log/app/web.log").cloned(), rotation("daily", true));
        assert_eq!(
            rotations.of("/var/log/with blank.log").cloned(),
            rotation("daily", true)
        );
        assert_eq!(rotations.of("/var/log/other.log").cloned(), rotation("weekly", false));
        assert_eq!(rotations.of("/var/log/unknown.log"), None);
    }

    #[test]
    fn whatever_stands_there_is_read_without_complaint() {
        for text in [
            "{",
            "}",
            "/a {",
            "\"/a",
            "/a {\n/b {\n}\n}\n}",
            "\u{0}",
            "/var/log/[ {\n}\n",
        ] {
            Rotations::default().read_text(
                text,
                &mut Rotation {
                    interval: None,
                    copytruncate: false,
                    said_by: String::new(),
                },
            );
        }
    }
}
