//! One line through the core: the record it belongs to, and what each analyzer says of it.

use crate::alert::redact::Redactor;
use crate::alert::template::learnable;
use crate::alert::{Alert, Composer, Host, Origin};
use crate::analyzer::stream::{Analyzers, Seen, Stream, keep};
use crate::analyzer::why::{self, Why};
use crate::collector::{Globs, archive, lines};
use crate::config::{self, Settings};
use crate::record::{self, Details, Level, Record};
use crate::scan::chunks::{Chunks, limits_of};
use crate::scan::input;
use crate::scan::reading::{from_beginning, with_byte_order_mark};
use crate::state;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// The name of the source of a file that none reads.
const NO_SOURCE: &str = "(none)";

#[derive(Debug, Clone, Serialize)]
pub struct LineSaid {
    /// The source that reads it; none: nobody does.
    pub source: Option<String>,
    /// Why the source that names this file does not read it.
    pub excluded: Option<String>,
    /// As it was read: `plain`, `json` …
    pub format: String,
    #[serde(flatten)]
    pub why: Why,
    /// As novelty learns it.
    #[serde(skip)]
    pub mask: String,
    /// The alert that it makes, or would make; redacted.
    pub alert: Box<Alert>,
}

impl LineSaid {
    pub fn is_exceptional(&self) -> bool {
        self.why.severity.is_some() && self.why.ignored_by.is_empty()
    }
}

/// The record that line `number` (from 1) of a file belongs to.
pub fn of_file(settings: &Settings, path: &Path, number: u64, file_id: Option<String>) -> Result<LineSaid> {
    let (source, excluded) = source_of(settings, path)?;
    let named = || format!("reading {}", path.display());
    let mut reader = archive::open(path).with_context(named)?;
    let mut sample = vec![0; input::SAMPLE_BYTES];
    let length = archive::read_full(&mut reader, &mut sample).with_context(named)?;
    sample.truncate(length);
    let mut driver = Driver::new(settings, source, path, number);
    driver.excluded = excluded;
    driver.file_id = file_id.unwrap_or_default();
    driver.record = with_byte_order_mark(&driver.record, &sample);
    let said = driver.drive(Cursor::new(sample).chain(reader)).with_context(named)?;
    match said {
        Some(said) => Ok(said),
        None => bail!("{} has no line {number}", path.display()),
    }
}

/// The first record of a text, as if it stood in a file of the source; with one source, that one.
pub fn of_text(settings: &Settings, text: &str, name: Option<&str>) -> Result<LineSaid> {
    let known: Vec<&str> = settings.sources.iter().map(|source| &*source.collector.name).collect();
    let find = |name: &str| settings.sources.iter().find(|source| &*source.collector.name == name);
    let source = match (name, settings.sources.as_slice()) {
        (Some(name), _) => match find(name) {
            Some(source) => Some(source),
            None => bail!("no source is named `{name}`: there are {}", known.join(", ")),
        },
        (None, [only]) => Some(only),
        (None, []) => None,
        (None, _) => bail!("of which source? name one by --source: {}", known.join(", ")),
    };
    let mut driver = Driver::new(settings, source, Path::new(""), 1);
    driver.record.encodings = vec![encoding_rs::UTF_8];
    match driver.drive(Cursor::new(text.as_bytes().to_vec()))? {
        Some(said) => Ok(said),
        None => bail!("an empty line is no record"),
    }
}

/// The source that reads a file; where one names and excludes it, why.
fn source_of<'s>(settings: &'s Settings, path: &Path) -> Result<(Option<&'s config::Source>, Option<String>)> {
    let mut excluded = None;
    for source in &settings.sources {
        let globs = |exclude: &[String]| Globs::new(&source.collector.paths, exclude).map_err(anyhow::Error::msg);
        if globs(&source.collector.exclude)?.matches(path) {
            return Ok((Some(source), None));
        }
        if globs(&[])?.matches(path) {
            excluded = Some(format!("`exclude` of source {} covers it", source.collector.name));
        }
    }
    Ok((None, excluded))
}

struct Driver<'s> {
    settings: &'s Settings,
    source: Option<&'s config::Source>,
    excluded: Option<String>,
    record: record::Settings,
    path: &'s Path,
    file_id: String,
    /// The line that is looked for.
    number: u64,
    format: String,
    found: Option<LineSaid>,
}

impl<'s> Driver<'s> {
    fn new(settings: &'s Settings, source: Option<&'s config::Source>, path: &'s Path, number: u64) -> Self {
        Self {
            record: source.map_or_else(record::Settings::default, |source| source.record.clone()),
            settings,
            source,
            excluded: None,
            path,
            file_id: String::new(),
            number,
            format: String::new(),
            found: None,
        }
    }

    fn drive(mut self, reader: impl Read) -> Result<Option<LineSaid>> {
        // Nobody finds anything, so that every record is shown with its details.
        let nobody = Analyzers::new(&crate::analyzer::Settings::default(), "", Some(None), 0, 0).wanting_all(true);
        let now = jiff::Timestamp::now();
        let limits: lines::Limits = limits_of(&self.record);
        let mut chunks = Chunks::new(reader, limits);
        let mut stream = Stream::new(Arc::new(nobody), self.record.clone(), &from_beginning(""));
        while let Some(chunk) = chunks.read()? {
            stream.feed(chunk.run(), 0, now, &mut |seen| self.see(seen));
            self.format = stream.resume().format;
            chunks.recycle(chunk);
            if self.found.is_some() {
                break;
            }
        }
        stream.close_all(&mut |seen| self.see(seen));
        let format = self.format;
        Ok(self.found.map(|found| LineSaid { format, ..found }))
    }

    fn see(&mut self, seen: Seen<'_>) {
        let (record, details) = match seen {
            Seen::Unremarkable { record, details, .. } => (record, details),
            Seen::Exceptional(_) | Seen::Unfamiliar(_) | Seen::Skipped(_) => return,
        };
        let place = &record.place;
        let holds = match &place.line_numbers {
            Some(numbers) => numbers.contains(&self.number),
            None => (place.first_line..=place.last_line).contains(&self.number),
        };
        if self.found.is_none() && holds {
            self.found = Some(self.explain(record, details()));
        }
    }

    fn explain(&self, record: &Record<'_>, details: Details) -> LineSaid {
        let name = self.source.map_or(NO_SOURCE, |source| &source.collector.name);
        let analyzer = &self.settings.analyzer;
        let own_level = self.source.and_then(|source| source.alert_at);
        let why = why::why(analyzer, name, own_level.unwrap_or(analyzer.alert_at), record, &details);
        let severity = why.severity.unwrap_or(Level::Info);
        let kept = keep(record, details, why.findings.clone(), severity);
        let mut labels = self.settings.alert.host_labels.clone();
        labels.extend(self.source.into_iter().flat_map(|source| source.labels.clone()));
        let origin = Origin {
            source: name,
            path: &self.path.to_string_lossy(),
            file_id: &self.file_id,
            labels: &labels,
        };
        let composer = Composer {
            host: Host::default(),
            redactor: Redactor::new(&self.settings.alert.redact, redaction_key(self.settings).as_bytes()),
            wording: crate::alert::render::Wording::default(),
        };
        let mut mask = kept.template.clone();
        composer.redactor.redact_template(&kept.details.message, &mut mask);
        LineSaid {
            mask: learnable(&mask),
            source: self.source.map(|source| source.collector.name.to_string()),
            excluded: self.excluded.clone(),
            format: String::new(),
            alert: Box::new(composer.compose(kept, origin, jiff::Timestamp::now())),
            why,
        }
    }
}

/// That of this host, so that a mask here is the mask in its alerts. Whoever may not read the state sees other masks.
fn redaction_key(settings: &Settings) -> String {
    let connection = state::open_read_only(&settings.state_dir.join("state.db")).ok();
    let key = connection.and_then(|connection| {
        let sql = "SELECT value FROM meta WHERE key = 'redaction_key'";
        connection.query_row(sql, [], |row| row.get(0)).ok()
    });
    key.unwrap_or_default()
}
