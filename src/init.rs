//! `init`: looks at the host and proposes a configuration, then says what to do next.
//!
//! Promises: what it writes is valid; no file is overwritten; the host is only looked at. `survey` looks, `logrotate`
//! reads how logs are rotated, `draft` writes.

mod draft;
mod logrotate;
mod survey;

use crate::cli::InitOptions;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;
use survey::Survey;

/// Logs that a warning names one by one.
const NAMED_MAX: usize = 5;

/// Writes the configuration to its file or `out`, and what to do next to `advice`.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn run(options: &InitOptions, out: &mut dyn Write, advice: &mut dyn Write) -> Result<()> {
    init(options, Path::new("/"), out, advice)
}

/// `root`: the root directory of the host.
fn init(options: &InitOptions, root: &Path, out: &mut dyn Write, advice: &mut dyn Write) -> Result<()> {
    let survey = survey::look(root);
    let yaml = draft::draft(&survey, SystemTime::now());
    match &options.output {
        Some(path) => write_new(path, &yaml)?,
        None => out
            .write_all(yaml.as_bytes())
            .and_then(|()| out.flush())
            .context("writing the configuration")?,
    }
    if options.quiet {
        return Ok(());
    }
    advise(&survey, options.output.as_deref(), advice).context("writing what to do next")
}

fn write_new(path: &Path, yaml: &str) -> Result<()> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder
            .create(dir)
            .with_context(|| format!("making {}", dir.display()))?;
    }
    // A configuration may come to hold secrets.
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o640).open(path);
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{} exists already, and is not overwritten: name another file with -o",
                path.display()
            )
        }
        file => file.with_context(|| format!("making {}", path.display()))?,
    };
    file.write_all(yaml.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("writing {}", path.display()))
}

fn advise(survey: &Survey, output: Option<&Path>, advice: &mut dyn Write) -> std::io::Result<()> {
    let logs: usize = survey.sources.iter().map(|source| source.logs.len()).sum();
    let sources = survey.sources.len();
    let size: u64 = survey
        .sources
        .iter()
        .flat_map(|source| &source.logs)
        .map(|log| log.size_bytes)
        .sum();
    let size = draft::human_size(size);
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    writeln!(
        advice,
        "found {logs} log{} ({size}), which make {sources} source{}",
        plural(logs),
        plural(sources)
    )?;
    if survey.cut_short {
        writeln!(
            advice,
            "warning: there is more than was looked at: see whether your logs are among them"
        )?;
    }
    warn(
        advice,
        "copytruncate loses lines that are written while it copies",
        survey
            .sources
            .iter()
            .flat_map(draft::copytruncated)
            .map(|log| draft::comment(&log.path))
            .collect(),
    )?;
    warn(
        advice,
        "the service may not read",
        survey
            .sources
            .iter()
            .flat_map(draft::restricted)
            .map(|(log, who)| format!("{}: {who}", draft::comment(&log.path)))
            .collect(),
    )?;
    if survey.openwrt && survey.sources.is_empty() {
        writeln!(
            advice,
            "warning: OpenWrt keeps its log in memory: uci set system.@system[0].log_file=/var/log/messages"
        )?;
    }
    let file = output.map_or_else(|| "FILE".to_owned(), |path| path.display().to_string());
    writeln!(advice, "\nnext:")?;
    writeln!(
        advice,
        "  exception-log-collector scan -c {file} /var/log   what it would have told of the logs so far"
    )?;
    writeln!(advice, "  edit {file}: who shall hear of it (alerters)")?;
    writeln!(advice, "  exception-log-collector check -c {file}")?;
    if survey.systemd {
        writeln!(
            advice,
            "  systemctl enable --now exception-log-collector   (it reads {})",
            crate::config::DEFAULT_PATH
        )
    } else {
        writeln!(
            advice,
            "  exception-log-collector -c {file} run   (from cron: `run --once` each minute)"
        )
    }
}

fn warn(advice: &mut dyn Write, what: &str, about: Vec<String>) -> std::io::Result<()> {
    if about.is_empty() {
        return Ok(());
    }
    writeln!(advice, "warning: {what}:")?;
    about
        .iter()
        .take(NAMED_MAX)
        .try_for_each(|line| writeln!(advice, "  {line}"))?;
    match about.len().checked_sub(NAMED_MAX) {
        Some(more @ 1..) => writeln!(advice, "  and {more} more"),
        Some(0) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
