//! A look at a host: which logs there are, how they are written, who may read them.
//!
//! Only looks: opens nothing for writing, follows no link out of a log directory into a device. Bounded: so many entries,
//! so deep, so many bytes of each file. Paths are named as the host names them, whatever the root of the search.

use super::logrotate::{Rotation, Rotations};
use crate::record::format::LineReader;
use crate::record::{self, Level};
use globset::Glob;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const ENTRIES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 4;
/// Files that are opened.
const SAMPLED_MAX: usize = 500;
/// Their newest bytes are looked at: what is written now, not what was written last year.
const SAMPLE_BYTES: u64 = 64 * 1024;

/// Directories of logs, `*` for any one name; each is searched with what is below it.
const PLACES: &[&str] = &[
    "var/log",
    "opt/*/log",
    "opt/*/logs",
    "srv/*/log",
    "srv/*/logs",
    "usr/local/*/logs",
    "var/www/*/logs",
    "var/www/*/storage/logs",
    "var/lib/tomcat*/logs",
    "home/*/logs",
    "home/*/.pm2/logs",
    "root/.pm2/logs",
];

/// Logs of containers: source, pattern.
const CONTAINERS: &[(&str, &str)] = &[
    ("kubernetes", "/var/log/pods/*/*/*.log"),
    ("docker", "/var/lib/docker/containers/*/*-json.log"),
    (
        "podman",
        "/var/lib/containers/storage/overlay-containers/*/userdata/ctr.log",
    ),
];

/// The system's own, directly below /var/log: one source.
const SYSTEM: &[&str] = &[
    "syslog",
    "messages",
    "kern.log",
    "auth.log",
    "secure",
    "daemon.log",
    "user.log",
    "cron",
    "cron.log",
    "maillog",
    "mail.log",
    "mail.err",
    "dmesg",
    "boot.log",
    "debug",
];

/// No logs of something that runs: what packages did, how the system was installed, measurements, and our own.
const NOT_SEARCHED: &[&str] = &[
    "journal",
    "pods",
    "containers",
    "sysstat",
    "sa",
    "atop",
    "pcp",
    "installer",
    "exception-log-collector",
    "apt",
    "dpkg.log",
    "alternatives.log",
    "bootstrap.log",
    "fontconfig.log",
    "dnf.rpm.log",
    "dnf.librepo.log",
    "hawkey.log",
    "pacman.log",
];

#[derive(Debug)]
pub struct Survey {
    pub sources: Vec<Found>,
    /// Logs of requests: no levels, much volume.
    pub access_logs: Vec<String>,
    pub journald: bool,
    pub systemd: bool,
    pub openwrt: bool,
    /// Our own log directory is there: a package made it.
    pub prepared: bool,
    /// There was more than is looked at.
    pub cut_short: bool,
}

/// Logs that make one source.
#[derive(Debug)]
pub struct Found {
    pub name: String,
    pub paths: Vec<String>,
    pub exclude: Vec<String>,
    pub logs: Vec<Log>,
}

#[derive(Debug)]
pub struct Log {
    pub path: String,
    pub size_bytes: u64,
    pub modified: Option<SystemTime>,
    pub reader: Reader,
    pub rotation: Option<Rotation>,
    /// None: it could not be read, is empty, or was one too many.
    pub sample: Option<Sample>,
}

/// What the end of a log shows.
#[derive(Debug)]
pub struct Sample {
    pub format: &'static str,
    pub lines: usize,
    /// Lines at `warn` or above.
    pub warn_lines: usize,
    pub is_utf8: bool,
}

/// Who may read a log besides root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    Everyone,
    Group(String),
    /// Nobody but its owner.
    Owner,
}

/// Looks at the host whose root directory is `root`.
pub fn look(root: &Path) -> Survey {
    let mut search = Search::new(root);
    for place in PLACES {
        for dir in search.expand(place) {
            search.walk(&dir, 0);
        }
    }
    let containers = search.containers();
    let mut sources = search.sources();
    sources.extend(containers);
    let mut taken = BTreeSet::new();
    for source in &mut sources {
        source.name = unique(&source.name, &mut taken);
    }
    let exists = |path: &str| root.join(path).exists();
    Survey {
        sources,
        access_logs: search.access_logs,
        journald: exists("run/systemd/journal") || exists("var/log/journal"),
        systemd: exists("run/systemd/system"),
        openwrt: exists("etc/openwrt_release"),
        prepared: exists("var/log/exception-log-collector"),
        cut_short: search.entries_left == 0,
    }
}

struct Search<'a> {
    root: &'a Path,
    rotations: Rotations,
    groups: BTreeMap<u32, String>,
    seen: BTreeSet<(u64, u64)>,
    by_dir: BTreeMap<String, Vec<Log>>,
    access_logs: Vec<String>,
    entries_left: usize,
    samples_left: usize,
}

impl<'a> Search<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            rotations: Rotations::read(root),
            groups: groups(&root.join("etc/group")),
            seen: BTreeSet::new(),
            by_dir: BTreeMap::new(),
            access_logs: Vec::new(),
            entries_left: ENTRIES_MAX,
            samples_left: SAMPLED_MAX,
        }
    }

    /// The entries of a directory, by name; none where it cannot be listed.
    fn list(&mut self, dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.take(self.entries_left).map(|entry| entry.path()).collect();
        self.entries_left -= paths.len();
        paths.sort();
        paths
    }

    /// What there is of a pattern whose `*` stand within one name.
    fn expand(&mut self, pattern: &str) -> Vec<PathBuf> {
        let mut found = vec![self.root.to_owned()];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let Some(glob) = part.contains('*').then(|| Glob::new(part).ok()).flatten() else {
                found = found
                    .into_iter()
                    .map(|dir| dir.join(part))
                    .filter(|path| path.exists())
                    .collect();
                continue;
            };
            let matcher = glob.compile_matcher();
            let entries: Vec<PathBuf> = found.iter().flat_map(|dir| self.list(dir)).collect();
            let fits = |path: &PathBuf| path.file_name().is_some_and(|name| matcher.is_match(name));
            found = entries.into_iter().filter(fits).collect();
        }
        found
    }

    fn walk(&mut self, dir: &Path, depth: usize) {
        for path in self.list(dir) {
            // A name that is not UTF-8 cannot stand in the configuration.
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            // Not a link to a directory: what it leads to has its own place, or is none of ours.
            if NOT_SEARCHED.contains(&name) || name.starts_with('.') {
                continue;
            }
            let is_dir = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
            if is_dir {
                if depth < DEPTH_MAX {
                    self.walk(&path, depth + 1);
                }
            } else if is_log_name(name) && !is_rotated(name) {
                self.add(&path, name);
            }
        }
    }

    fn add(&mut self, path: &Path, name: &str) {
        let Some(log) = self.log(path) else { return };
        if name.contains("access") {
            self.access_logs.push(log.path);
            return;
        }
        let dir = log.path[..log.path.len() - name.len() - 1].to_owned();
        self.by_dir.entry(dir).or_default().push(log);
    }

    /// A regular file that was not seen yet and holds text.
    fn log(&mut self, path: &Path) -> Option<Log> {
        let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return None;
        }
        let named = format!("/{}", path.strip_prefix(self.root).ok()?.to_str()?);
        let mut sample = None;
        if self.samples_left > 0 && metadata.len() > 0 {
            self.samples_left -= 1;
            match newest(path, metadata.len()) {
                Ok(bytes) if is_text(&bytes) => sample = Some(read_sample(&bytes)),
                Ok(_) => return None,
                // Told by who may read it.
                Err(_) => {}
            }
        }
        Some(Log {
            size_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            reader: self.reader(&metadata),
            rotation: self.rotations.of(&named).cloned(),
            path: named,
            sample,
        })
    }

    fn reader(&self, metadata: &Metadata) -> Reader {
        if metadata.mode() & 0o004 != 0 {
            Reader::Everyone
        } else if metadata.mode() & 0o040 != 0 && metadata.gid() != 0 {
            let gid = metadata.gid();
            Reader::Group(self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string()))
        } else {
            Reader::Owner
        }
    }

    fn containers(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        for (name, pattern) in CONTAINERS {
            let paths = self.expand(pattern);
            let logs: Vec<Log> = paths.iter().filter_map(|path| self.log(path)).collect();
            if !logs.is_empty() {
                found.push(Found {
                    name: (*name).to_owned(),
                    paths: vec![(*pattern).to_owned()],
                    exclude: Vec::new(),
                    logs,
                });
            }
        }
        found
    }

    /// One source for the system's own logs, one for each other log beside them, one for each directory.
    fn sources(&mut self) -> Vec<Found> {
        let mut sources = Vec::new();
        let mut beside = self.by_dir.remove("/var/log").unwrap_or_default();
        let system: Vec<Log> = beside
            .extract_if(.., |log| SYSTEM.contains(&file_name(&log.path)))
            .collect();
        if !system.is_empty() {
            sources.push(Found {
                name: "system".to_owned(),
                paths: system.iter().map(|log| globset::escape(&log.path)).collect(),
                exclude: Vec::new(),
                logs: system,
            });
        }
        let mut by_pattern: BTreeMap<String, Vec<Log>> = BTreeMap::new();
        for log in beside {
            by_pattern.entry(pattern(&log.path)).or_default().push(log);
        }
        for (pattern, logs) in by_pattern {
            sources.push(Found {
                name: word(file_name(&pattern).trim_end_matches(".log")),
                paths: vec![pattern],
                exclude: Vec::new(),
                logs,
            });
        }
        for (dir, logs) in std::mem::take(&mut self.by_dir) {
            let access = self.access_logs.iter().any(|path| path.starts_with(&format!("{dir}/")));
            let all_log = logs.iter().all(|log| log.path.ends_with(".log"));
            let paths = match all_log {
                true => BTreeSet::from([format!("{}/*.log", globset::escape(&dir))]),
                false => logs.iter().map(|log| pattern(&log.path)).collect(),
            };
            sources.push(Found {
                name: dir_name(&dir),
                paths: paths.into_iter().collect(),
                exclude: if access && all_log {
                    vec!["*access*".to_owned()]
                } else {
                    Vec::new()
                },
                logs,
            });
        }
        sources
    }
}

/// Group names by id, of a file as group(5) has it.
fn groups(path: &Path) -> BTreeMap<u32, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(entry).collect()
}

fn newest(path: &Path, size_bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(size_bytes.saturating_sub(SAMPLE_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(SAMPLE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// No NUL but what a power cut leaves behind the text.
fn is_text(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    !bytes[..end].contains(&0)
}

fn read_sample(bytes: &[u8]) -> Sample {
    // The first line may be cut.
    let from = match bytes.len() as u64 >= SAMPLE_BYTES {
        true => memchr::memchr(b'\n', bytes).map_or(0, |newline| newline + 1),
        false => 0,
    };
    let mut reader = LineReader::new(&record::Settings::default(), "");
    let (mut lines, mut warn_lines) = (0, 0);
    for line in bytes[from..]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        lines += 1;
        warn_lines += usize::from(reader.read(line).level >= Some(Level::Warn));
    }
    Sample {
        format: reader.format_name(),
        lines,
        warn_lines,
        is_utf8: std::str::from_utf8(&bytes[from..]).map_or_else(|error| error.error_len().is_none(), |_| true),
    }
}

fn is_log_name(name: &str) -> bool {
    let endings = [".log", ".err", "_log", "-log", ".out"];
    let names = ["mainlog", "rejectlog", "paniclog", "error", "current"];
    endings.iter().any(|ending| name.ends_with(ending))
        || name.starts_with("log.")
        || names.contains(&name)
        || SYSTEM.contains(&name)
}

/// `x.log.1`, `x.log.2.gz`, `x.log-20261123`, `x.log.2026-11-23`: what rotation leaves.
fn is_rotated(name: &str) -> bool {
    let ending = name.rsplit(['.', '-']).next().unwrap_or_default();
    let number = !ending.is_empty() && ending.chars().all(|c| c.is_ascii_digit());
    number || ["gz", "xz", "bz2", "zst", "old", "bak"].contains(&ending)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A path as a glob that also takes tomorrow's file, where a date is in its name.
fn pattern(path: &str) -> String {
    const DATE_LEN_MIN: usize = 8;
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut pattern = String::new();
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let is_date = |c: char| c.is_ascii_digit() || matches!(c, '-' | '_');
        let end = rest.find(|c: char| !is_date(c)).unwrap_or(rest.len());
        let run = rest[..end].trim_end_matches(['-', '_']);
        let date = c.is_ascii_digit() && run.chars().filter(char::is_ascii_digit).count() >= DATE_LEN_MIN;
        let (piece, len) = match date {
            true => ("*".to_owned(), run.len()),
            false => (globset::escape(&rest[..c.len_utf8()]), c.len_utf8()),
        };
        pattern.push_str(&piece);
        rest = &rest[len..];
    }
    format!("{}/{pattern}", globset::escape(dir))
}

/// What a directory of logs is about: the last of its names that says something.
fn dir_name(dir: &str) -> String {
    let says = |name: &&str| !["", "log", "logs", "storage", "var"].contains(name);
    word(dir.rsplit('/').find(says).unwrap_or("logs"))
}

/// A name as the configuration takes it.
fn word(text: &str) -> String {
    const NAME_CHARS_MAX: usize = 60;
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    let name: String = text.chars().map(fits).take(NAME_CHARS_MAX).collect();
    match name.trim_matches(['-', '.']) {
        "" => "log".to_owned(),
        name => name.to_owned(),
    }
}

fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let free = std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(name));
    let free = free.expect("there are more numbers than names");
    taken.insert(free.clone());
    free
}
