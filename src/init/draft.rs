//! The configuration that `init` proposes: what was found on the host, each source with what is known of it, and the
//! next things to choose as comments.
//!
//! Whatever a host has for file names, the outcome is a valid configuration: values are quoted, comments hold no control
//! characters.

use super::survey::{Found, Log, Reader, Sample, Survey};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// Logs that a comment names one by one.
const NAMED_MAX: usize = 5;
/// Of the newest lines, this share at `warn` or above is a storm of alerts.
const STORM_PERCENT: usize = 10;
const STORM_LINES_MIN: usize = 50;
const SILENT_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

/// The whole file.
pub fn draft(survey: &Survey, now: SystemTime) -> String {
    let mut yaml = String::new();
    write_draft(&mut yaml, survey, now).expect("a string takes all");
    yaml
}

fn write_draft(yaml: &mut String, survey: &Survey, now: SystemTime) -> std::fmt::Result {
    writeln!(
        yaml,
        "# Written by `exception-log-collector init`, for this host as it was then."
    )?;
    writeln!(yaml, "# After each change: exception-log-collector check -c FILE")?;
    writeln!(yaml, "\nsources:")?;
    if survey.sources.is_empty() {
        writeln!(yaml, "  # No logs were found. Name yours:")?;
        writeln!(yaml, "  - {{name: app, paths: ['/var/log/*.log']}}")?;
    }
    for source in &survey.sources {
        write_source(yaml, source, now)?;
    }
    if !survey.access_logs.is_empty() {
        writeln!(
            yaml,
            "  # Left out, since requests have no levels (rules can be written for them):"
        )?;
        for path in survey.access_logs.iter().take(NAMED_MAX) {
            writeln!(yaml, "  #   {}", comment(path))?;
        }
        write_more(yaml, survey.access_logs.len())?;
    }
    if survey.journald && !survey.sources.iter().any(|source| source.name == "system") {
        writeln!(
            yaml,
            "  # This host keeps its logs in the journal. To read what has no file of its own (or only some units of it):"
        )?;
        writeln!(yaml, "  # - {{name: journal, journald: {{units: []}}}}")?;
    }
    yaml.push_str(ANALYZERS);
    yaml.push_str(if survey.prepared { FILE_ALERTER } else { CONSOLE_ALERTER });
    yaml.push_str(OTHER_ALERTERS);
    Ok(())
}

const ANALYZERS: &str = "
analyzers:
  levels: {alert_at: warn}        # trace … fatal: a record at or above this level is exceptional
  # ignore: ['connection reset by peer']
  rules:
    - {name: oom, match: 'Out of memory: Killed process (?P<pid>\\d+)', severity: fatal}
    - {name: disk, match: 'No space left on device|Read-only file system|I/O error, dev', severity: error}
";

/// On a host that the packages have prepared. Not the console there: under systemd it goes to the journal, from there to
/// syslog, and comes back as a log.
const FILE_ALERTER: &str = "
alerters:
  - name: record                  # all alerts, to look them up
    file: {path: /var/log/exception-log-collector/alerts.log, format: text}
";

const CONSOLE_ALERTER: &str = "
alerters:
  - name: screen                  # on standard output
    console: {format: text}
";

const OTHER_ALERTERS: &str = "  # Somebody has to hear of it. One of these, or several:
  # - name: ops
  #   min_severity: error
  #   webhook: {url: 'https://hooks.example.org/alerts'}
  # - name: chat                  # or teams discord telegram dingtalk feishu wecom pagerduty alertmanager
  #   webhook: {preset: slack, url_file: /etc/exception-log-collector/slack-url}
";

fn write_source(yaml: &mut String, source: &Found, now: SystemTime) -> std::fmt::Result {
    let size: u64 = source.logs.iter().map(|log| log.size_bytes).sum();
    let mut formats: Vec<&str> = samples(source).map(|sample| sample.format).collect();
    formats.sort_unstable();
    formats.dedup();
    let count = source.logs.len();
    let files = if count == 1 { "file" } else { "files" };
    let formats = if formats.is_empty() {
        String::new()
    } else {
        format!(", {}", formats.join(" and "))
    };
    writeln!(yaml, "  # {count} {files}, {}{formats}", human_size(size))?;
    for line in remarks(source, now) {
        writeln!(yaml, "  # {line}")?;
    }
    let paths: Vec<String> = source.paths.iter().map(|path| quoted(path)).collect();
    let one_line = format!("    paths: [{}]", paths.join(", "));
    writeln!(yaml, "  - name: {}", source.name)?;
    if one_line.len() <= 110 {
        writeln!(yaml, "{one_line}")?;
    } else {
        writeln!(yaml, "    paths:")?;
        paths.iter().try_for_each(|path| writeln!(yaml, "      - {path}"))?;
    }
    if !source.exclude.is_empty() {
        let exclude: Vec<String> = source.exclude.iter().map(|glob| quoted(glob)).collect();
        writeln!(yaml, "    exclude: [{}]", exclude.join(", "))?;
    }
    let (lines, warn_lines) = samples(source).fold((0, 0), |(lines, warn), sample| {
        (lines + sample.lines, warn + sample.warn_lines)
    });
    if lines >= STORM_LINES_MIN && warn_lines * 100 > lines * STORM_PERCENT {
        let share = warn_lines * 100 / lines;
        writeln!(
            yaml,
            "    # alert_at: error            # {share} % of the newest lines are at warn or above"
        )?;
    }
    if samples(source).any(|sample| !sample.is_utf8) {
        writeln!(
            yaml,
            "    # encoding: [utf-8, gb18030] # some lines are not UTF-8: name their encoding"
        )?;
    }
    Ok(())
}

/// What the administrator should know of these logs.
fn remarks(source: &Found, now: SystemTime) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(rotation) = source.logs.iter().find_map(|log| log.rotation.as_ref()) {
        let interval = rotation.interval.as_deref().unwrap_or("by size");
        let how = if rotation.copytruncate {
            "copytruncate"
        } else {
            "rename"
        };
        remarks.push(format!("logrotate: {interval}, {how} ({})", comment(&rotation.said_by)));
    }
    if copytruncated(source).next().is_some() {
        remarks.push(
            "copytruncate loses lines written while it copies, to every reader: prefer `create` with a signal"
                .to_owned(),
        );
    }
    for (log, who) in restricted(source).take(NAMED_MAX) {
        remarks.push(format!("{}: {who}", comment(&log.path)));
    }
    let newest = source.logs.iter().filter_map(|log| log.modified).max();
    if let Some(silent) = newest
        .and_then(|newest| now.duration_since(newest).ok())
        .filter(|age| *age > SILENT_AFTER)
    {
        remarks.push(format!("not written for {} days", silent.as_secs() / (24 * 3600)));
    }
    remarks
}

/// Logs that are rotated by `copytruncate`.
pub fn copytruncated(source: &Found) -> impl Iterator<Item = &Log> {
    let logs = source.logs.iter();
    logs.filter(|log| log.rotation.as_ref().is_some_and(|rotation| rotation.copytruncate))
}

/// Logs that the service, in its groups adm and systemd-journal, may not read, and what would help.
pub fn restricted(source: &Found) -> impl Iterator<Item = (&Log, String)> {
    source.logs.iter().filter_map(|log| match &log.reader {
        Reader::Everyone => None,
        Reader::Group(group) if ["adm", "systemd-journal"].contains(&group.as_str()) => None,
        Reader::Group(group) => Some((
            log,
            format!("only group {group} may read it: add the service's user to it"),
        )),
        Reader::Owner => Some((
            log,
            "only its owner may read it: chgrp adm, chmod g+r, also where it is created anew".to_owned(),
        )),
    })
}

fn samples(source: &Found) -> impl Iterator<Item = &Sample> {
    source.logs.iter().filter_map(|log| log.sample.as_ref())
}

fn write_more(yaml: &mut String, count: usize) -> std::fmt::Result {
    match count.checked_sub(NAMED_MAX) {
        Some(more @ 1..) => writeln!(yaml, "  #   and {more} more"),
        Some(0) | None => Ok(()),
    }
}

/// A YAML value that is only text: `$` begins no variable, `'` ends nothing.
fn quoted(text: &str) -> String {
    let text = text.replace("${", "$${");
    match text.chars().any(char::is_control) {
        // JSON's strings are YAML's double-quoted ones.
        true => serde_json::Value::String(text).to_string(),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// Text of the host that can stand in a comment.
pub fn comment(text: &str) -> String {
    let clean = |c: char| {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            '?'
        } else {
            c
        }
    };
    text.chars().map(clean).collect()
}

pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{size:.1} {}", UNITS[unit]),
    }
}
