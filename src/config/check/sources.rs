//! `sources`: paths, encodings, zones, and how lines become records.

use super::patterns;
use super::{alert_at, list, name, words};
use crate::collector::{self, lines::Newline, piped::Input};
use crate::config::Source;
use crate::config::decode::clip;
use crate::config::file;
use crate::config::key::Key;
use crate::config::place::Inputs;
use crate::config::tree::NodeId;
use crate::config::zones;
use crate::record::{self, Format, Multiline, Zone};
use std::sync::Arc;
use std::time::Duration;

const IGNORE_OLDER_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
const MAX_RECORD_MIN_BYTES: u64 = 1024;
const MAX_RECORD_MAX_BYTES: u64 = 16 * 1024 * 1024;
const FLUSH_AFTER_MAX: Duration = Duration::from_secs(3600);
const ENCODINGS_MAX: usize = 8;

/// All sources, and their names (those of faulty ones too, so that who names them is not blamed).
pub fn sources(key: Key<Vec<Key<file::Source>>>, inputs: &mut Inputs) -> (Vec<Source>, Vec<String>) {
    let mut taken = Vec::new();
    let mut sources = Vec::new();
    for item in key.section() {
        let at = item.at();
        if item.get().is_some() {
            sources.push(source(at, &item.section(), &mut taken, inputs));
            let readers = sources.iter().filter(|source| source.input == Input::Stdin).count();
            if let (2.., Some(at), Some(Input::Stdin)) = (readers, at, sources.last().map(|source| &source.input)) {
                inputs.fault(at, "another source reads standard input already", "there is only one");
            }
        }
    }
    (sources, taken)
}

fn source(at: Option<NodeId>, file: &file::Source, taken: &mut Vec<String>, inputs: &mut Inputs) -> Source {
    let name: Arc<str> = name(at, &file.name, "source", taken, inputs).into();
    let input = input(at, file, inputs);
    let mut record = record_settings(file, inputs);
    if matches!(input, Input::Journald { .. }) {
        // What is read of the journal is written as syslog.
        record.format = Format::Syslog;
    }
    let collector = collector::Source {
        name,
        paths: match &input {
            Input::Files => globs(&file.paths, true, inputs),
            Input::Journald { .. } | Input::Stdin => Vec::new(),
        },
        exclude: globs(&file.exclude, false, inputs),
        read_from: match file.read_from.or(file::ReadFrom::End) {
            file::ReadFrom::End => collector::ReadFrom::End,
            file::ReadFrom::Beginning => collector::ReadFrom::Beginning,
        },
        ignore_older: match super::span(&file.ignore_older, IGNORE_OLDER_DEFAULT) {
            Duration::ZERO => None,
            older => Some(older),
        },
        read_rate: file.read_rate.get().map_or(0, |rate| rate.0),
        newline: newline(&record.encodings),
        max_line_bytes: record.max_record_bytes,
    };
    Source {
        collector,
        input,
        record,
        alert_at: file.alert_at.get().map(|level| alert_at(*level)),
        labels: words(&file.labels),
    }
}

/// Where its lines come from; keys that mean nothing there are faults.
fn input(at: Option<NodeId>, file: &file::Source, inputs: &mut Inputs) -> Input {
    let kinds = [file.paths.is_given(), file.journald.is_given(), file.stdin.is_given()];
    match (kinds.iter().filter(|given| **given).count(), at) {
        (0, Some(at)) => {
            let hint = "add `paths: [/var/log/…/*.log]`, `journald: {}` or `stdin: {}`";
            inputs.fault(at, "this source has no `paths`", hint);
        }
        (2.., Some(at)) => {
            let hint = "a source has one of `paths`, `journald` and `stdin`: make two of it";
            inputs.fault(at, "this source has several inputs", hint);
        }
        (_, _) => {}
    }
    let input = match kinds {
        [false, true, false] => Input::Journald {
            units: file
                .journald
                .get()
                .map_or_else(Vec::new, |journal| units(&journal.units, inputs)),
        },
        [false, false, true] => Input::Stdin,
        _ => Input::Files,
    };
    let journal = matches!(input, Input::Journald { .. });
    let only_files = input != Input::Files;
    let meaningless = [
        (file.exclude.at(), only_files),
        (file.read_rate.at(), only_files),
        (file.read_from.at(), input == Input::Stdin),
        (file.ignore_older.at(), input == Input::Stdin),
        (file.format.at(), journal),
        (file.encoding.at(), journal),
    ];
    for at in meaningless.into_iter().filter(|(_, is)| *is).filter_map(|(at, _)| at) {
        inputs.fault(at, "means nothing for this input", "remove it");
    }
    input
}

/// Units as `journalctl --unit` takes them.
fn units(key: &Key<Vec<Key<String>>>, inputs: &mut Inputs) -> Vec<String> {
    for item in key.get().into_iter().flatten() {
        if let Some((at, unit)) = item.placed()
            && (unit.is_empty() || unit.contains(char::is_whitespace))
        {
            inputs.fault(at, "is not a unit", "write it as systemctl does: nginx.service");
        }
    }
    list(key)
}

/// How a source's lines become records.
pub fn record_settings(file: &file::Source, inputs: &mut Inputs) -> record::Settings {
    let default = record::Settings::default();
    let max_record = file
        .max_record
        .get()
        .map_or(default.max_record_bytes as u64, |size| size.0);
    if let (false, Some(at)) = (
        (MAX_RECORD_MIN_BYTES..=MAX_RECORD_MAX_BYTES).contains(&max_record),
        file.max_record.at(),
    ) {
        inputs.fault(
            at,
            "is not between 1KiB and 16MiB",
            "records are held in memory while they are open",
        );
    }
    let flush_after = super::span(&file.flush_after, default.flush_after);
    if let (true, Some(at)) = (flush_after > FLUSH_AFTER_MAX, file.flush_after.at()) {
        inputs.fault(at, "is longer than 1h", "the last record of a quiet file waits so long");
    }
    record::Settings {
        format: file
            .format
            .get()
            .map_or(Some(default.format), |value| format(value, inputs))
            .unwrap_or(Format::Auto),
        multiline: multiline(&file.multiline, inputs),
        zone: match file.timezone.placed() {
            None => Zone::Local,
            Some((_, name)) if name == "local" => Zone::Local,
            Some((at, name)) => zone(at, name, inputs).map_or(Zone::Local, Zone::Named),
        },
        max_record_bytes: usize::try_from(max_record).unwrap_or(default.max_record_bytes),
        flush_after,
        encodings: encodings(file, inputs),
    }
}

fn format(value: &file::Format, inputs: &mut Inputs) -> Option<Format> {
    Some(match value {
        file::Format::Auto => Format::Auto,
        file::Format::Plain => Format::Plain,
        file::Format::Json => Format::Json,
        file::Format::Logfmt => Format::Logfmt,
        file::Format::Syslog => Format::Syslog,
        file::Format::Cri => Format::Cri,
        file::Format::Docker => Format::Docker,
        file::Format::Regex(key) => {
            let (at, pattern) = key.placed()?;
            let compiled = patterns::bytes(at, pattern, inputs)?;
            if compiled.capture_names().flatten().next().is_none() {
                let hint = "name what it finds: (?P<level>…), (?P<timestamp>…), (?P<message>…), or any field";
                inputs.fault(at, "the pattern has no named group", hint);
            }
            Format::Regex(compiled)
        }
    })
}

fn multiline(key: &Key<file::Multiline>, inputs: &mut Inputs) -> Multiline {
    match key.get() {
        None | Some(file::Multiline::Auto) => Multiline::Auto,
        Some(file::Multiline::Off) => Multiline::Off,
        Some(file::Multiline::Start(key)) => {
            let compiled = key
                .placed()
                .and_then(|(at, pattern)| patterns::bytes(at, pattern, inputs));
            compiled.map_or(Multiline::Auto, Multiline::Start)
        }
    }
}

/// `local`, `UTC`, `+08:00`, or a name, which needs no zone data of the host's.
pub fn zone(at: NodeId, name: &str, inputs: &mut Inputs) -> Option<jiff::tz::TimeZone> {
    if name == "local" {
        return Some(jiff::tz::TimeZone::system());
    }
    if name.eq_ignore_ascii_case("utc") || name == "Z" {
        return Some(jiff::tz::TimeZone::UTC);
    }
    if let Some(zone) = fixed_zone(name) {
        return Some(zone);
    }
    let found = zones::named(name);
    if found.is_none() {
        let hint = if name.starts_with(['+', '-']) {
            "an offset is written +08:00, up to 14 hours"
        } else {
            "write local, UTC, +08:00, or a name such as Asia/Shanghai"
        };
        inputs.fault(at, format!("`{}` is not a time zone", clip(name)), hint);
    }
    found
}

/// `+08:00`, `-0330`, `+8`.
fn fixed_zone(name: &str) -> Option<jiff::tz::TimeZone> {
    let (sign, digits) = match name.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some(parts), _) => parts,
        (None, 4) if digits.is_ascii() => digits.split_at(2),
        (None, _) => (digits, "0"),
    };
    let number = |text: &str| text.parse::<u8>().ok().map(i32::from).filter(|_| text.len() <= 2);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let offset = jiff::tz::Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(jiff::tz::TimeZone::fixed(offset))
}

fn encodings(file: &file::Source, inputs: &mut Inputs) -> Vec<&'static encoding_rs::Encoding> {
    let mut found: Vec<&'static encoding_rs::Encoding> = Vec::new();
    for item in file.encoding.get().into_iter().flat_map(|list| &list.0) {
        let Some((at, label)) = item.placed() else { continue };
        match encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()) {
            None => inputs.fault(
                at,
                format!("`{}` is not an encoding", clip(label)),
                "write a WHATWG label: utf-8, gb18030, shift_jis, euc-kr, windows-1252, utf-16le, …",
            ),
            Some(encoding) if !found.is_empty() && (is_wide(encoding) || is_wide(found[0])) => inputs.fault(
                at,
                "UTF-16 cannot be one of several encodings",
                "lines of UTF-16 end by two bytes: give such files a source of their own",
            ),
            Some(encoding) => found.push(encoding),
        }
    }
    if let (true, Some(at)) = (found.len() > ENCODINGS_MAX, file.encoding.at()) {
        inputs.fault(
            at,
            format!("more than {ENCODINGS_MAX} encodings"),
            "each is tried on every line",
        );
    }
    if found.is_empty() {
        found.push(encoding_rs::UTF_8);
    }
    found
}

fn is_wide(encoding: &'static encoding_rs::Encoding) -> bool {
    encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE
}

fn newline(encodings: &[&'static encoding_rs::Encoding]) -> Newline {
    match encodings.first() {
        Some(first) if *first == encoding_rs::UTF_16LE => Newline::Utf16Le,
        Some(first) if *first == encoding_rs::UTF_16BE => Newline::Utf16Be,
        Some(_) | None => Newline::Byte,
    }
}

fn globs(key: &Key<Vec<Key<String>>>, is_path: bool, inputs: &mut Inputs) -> Vec<String> {
    if let (true, Some((at, []))) = (is_path, key.placed().map(|(at, items)| (at, items.as_slice()))) {
        inputs.fault(at, "the list is empty", "name at least one file or glob");
    }
    for item in key.get().into_iter().flatten() {
        let Some((at, pattern)) = item.placed() else { continue };
        let what = match globset::GlobBuilder::new(pattern).literal_separator(true).build() {
            Ok(_) if pattern.is_empty() => Some("is empty".to_owned()),
            Ok(_) if is_path && pattern.starts_with("~") => {
                Some("`~` is not expanded: write the whole path".to_owned())
            }
            Ok(_) if is_path && pattern.ends_with('/') => Some("this is a directory: add `*.log` or `**`".to_owned()),
            Ok(_) => None,
            Err(error) => Some(format!("not a valid glob: {}", error.kind())),
        };
        if let Some(what) = what {
            inputs.fault(at, what, "");
        }
    }
    list(key)
}
