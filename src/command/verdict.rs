//! `verdict normal | abnormal | forget | list | export | import`: a person's word on a kind of message.
//!
//! A word is kept by the text of the template, whose hash is the same on every host: so a fleet can share the file. A
//! template with variables also speaks for the messages that it covers where another host has learned otherwise.

use super::{Scene, write_table};
use crate::alert::render;
use crate::alert::template::{self, covers};
use crate::alert::verdict::Verdict;
use crate::alert::{Alert, template::normal_form};
use crate::state::{Durability, State, verdicts};
use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Words of people that are kept.
const WORDS_MAX: usize = 10_000;
/// Of a file that is imported.
const FILE_MAX_BYTES: u64 = 3 * 1024 * 1024;
/// Characters of a template in the list.
const CELL_MAX: usize = 120;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    Say {
        subjects: Vec<String>,
        abnormal: bool,
    },
    Forget(Vec<String>),
    List,
    /// The answer is that of `List`; whoever asked writes it to the file.
    Export(PathBuf),
    Import {
        file: PathBuf,
        words: Vec<Shared>,
    },
}

/// One word as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    pub template: String,
    pub verdict: Said,
    /// Of the template, for people; it is made anew when read.
    #[serde(default)]
    pub hash: String,
    pub at: jiff::Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    Normal,
    Abnormal,
}

#[derive(Debug, Serialize, Deserialize)]
struct List {
    verdicts: Vec<Shared>,
}

impl Command {
    pub fn writes(&self) -> bool {
        match self {
            Command::Say { .. } | Command::Forget(_) | Command::Import { .. } => true,
            Command::List | Command::Export(_) => false,
        }
    }

    /// Reads the file of an import.
    ///
    /// # Errors
    /// It cannot be read, or is no export.
    pub fn with_file(self) -> Result<Self> {
        let Command::Import { file, .. } = self else {
            return Ok(self);
        };
        let words = read(&file).with_context(|| format!("reading {}", file.display()))?;
        Ok(Command::Import { file, words })
    }
}

fn read(path: &Path) -> Result<Vec<Shared>> {
    let mut text = String::new();
    let source: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        Some(_) | None => Box::new(File::open(path)?),
    };
    source.take(FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
    ensure!(
        text.len() as u64 <= FILE_MAX_BYTES,
        "it is larger than {FILE_MAX_BYTES} bytes"
    );
    let list: List = serde_json::from_str(&text).context("it is no file of `verdict export`")?;
    Ok(list.verdicts)
}

pub fn execute(state: &mut State, command: &Command, scene: &Scene) -> Result<Value> {
    match command {
        Command::Say { subjects, abnormal } => {
            let texts: Result<Vec<String>> = subjects
                .iter()
                .map(|subject| text_of(state.connection(), subject))
                .collect();
            let at_ms = scene.now.as_millisecond();
            let texts = texts?;
            state.commit(Durability::Full, |connection| {
                texts
                    .iter()
                    .try_for_each(|text| say(connection, text, *abnormal, at_ms))
            })?;
            Ok(json!({ "templates": texts }))
        }
        Command::Forget(subjects) => {
            let forgotten = state.commit(Durability::Full, |connection| {
                for subject in subjects {
                    let said = |word: &verdicts::Word| hash(&word.template) == *subject;
                    let text = match verdicts::words(connection)?.into_iter().find(said) {
                        Some(word) => word.template,
                        None => text_of(connection, subject)?,
                    };
                    ensure!(
                        verdicts::forget_word(connection, &text)?,
                        "nobody has said anything about `{subject}`: see `verdict list`"
                    );
                }
                Ok(subjects.len())
            })?;
            Ok(json!({ "forgotten": forgotten }))
        }
        Command::List | Command::Export(_) => {
            let words = verdicts::words(state.connection())?;
            let verdicts: Result<Vec<Shared>> = words.into_iter().map(shared).collect();
            Ok(serde_json::to_value(List { verdicts: verdicts? })?)
        }
        Command::Import { words, .. } => {
            state.commit(Durability::Full, |connection| {
                for word in words {
                    let abnormal = word.verdict == Said::Abnormal;
                    say(
                        connection,
                        &normal_form(&word.template),
                        abnormal,
                        word.at.as_millisecond(),
                    )?;
                }
                Ok(())
            })?;
            Ok(json!({ "imported": words.len() }))
        }
    }
}

fn shared(word: verdicts::Word) -> Result<Shared> {
    Ok(Shared {
        hash: hash(&word.template),
        verdict: if word.abnormal { Said::Abnormal } else { Said::Normal },
        at: jiff::Timestamp::from_millisecond(word.at_ms)?,
        template: word.template,
    })
}

fn say(connection: &Connection, text: &str, abnormal: bool, at_ms: i64) -> Result<()> {
    ensure!(!text.is_empty(), "a template without words says nothing");
    let known = verdicts::words(connection)?;
    let is_new = !known.iter().any(|word| word.template == text);
    ensure!(
        !is_new || known.len() < WORDS_MAX,
        "at most {WORDS_MAX} verdicts are kept: forget some"
    );
    let word = Verdict {
        abnormal,
        score: None,
        confidence: None,
        threshold: None,
    };
    verdicts::save(connection, template::subject_of(text), "", &word, text, at_ms)
}

fn hash(text: &str) -> String {
    template::hash_of(template::subject_of(text))
}

/// The template that a fingerprint, the id of an alert or a hash stands for.
fn text_of(connection: &Connection, subject: &str) -> Result<String> {
    let known = "SELECT template FROM templates WHERE fingerprint = ?1 LIMIT 1";
    if let Some(text) = one(connection, known, subject)? {
        return Ok(text);
    }
    for word in verdicts::words(connection)? {
        if hash(&word.template) == subject {
            return Ok(word.template);
        }
    }
    let sample = match one(
        connection,
        "SELECT sample FROM groups WHERE fingerprint = ?1 LIMIT 1",
        subject,
    )? {
        Some(sample) => Some(sample),
        None => {
            let by_id = "SELECT sample FROM groups WHERE json_extract(life, '$.firing_id') = ?1 \
                         OR json_extract(sample, '$.id') = ?1 LIMIT 1";
            let queued = "SELECT payload FROM deliveries WHERE alert_id = ?1 LIMIT 1";
            match one(connection, by_id, subject)? {
                Some(sample) => Some(sample),
                None => one(connection, queued, subject)?,
            }
        }
    };
    let Some(sample) = sample else {
        bail!("no alert and no kind of message is known by `{subject}`: take `fingerprint` or `id` of an alert");
    };
    let alert: Alert = serde_json::from_str(&sample).context("the alert in the state")?;
    let mask = template::learnable(alert.template.as_deref().unwrap_or_default());
    ensure!(!mask.is_empty(), "`{subject}` is no alert of a log line");
    let source = alert.source.map(|source| source.name).unwrap_or_default();
    let mut statement = connection.prepare("SELECT template FROM templates WHERE source = ?1")?;
    let mut rows = statement.query([&source])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if covers(&text, &mask) {
            return Ok(text);
        }
    }
    Ok(mask)
}

fn one(connection: &Connection, query: &str, subject: &str) -> Result<Option<String>> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([subject])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

pub fn show(command: &Command, answer: &Value, out: &mut dyn Write) -> Result<()> {
    let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
    match command {
        Command::Say { abnormal, .. } => {
            let word = if *abnormal { "abnormal" } else { "normal" };
            for text in answer["templates"].as_array().into_iter().flatten() {
                writeln!(out, "{word}: {}", cell(text.as_str().unwrap_or_default()))?;
            }
        }
        Command::Forget(_) => writeln!(out, "{} forgotten", count("forgotten"))?,
        Command::Import { .. } => writeln!(out, "{} taken over", count("imported"))?,
        Command::List => {
            let list: List = serde_json::from_value(answer.clone())?;
            if list.verdicts.is_empty() {
                writeln!(out, "nobody has said anything yet: `verdict normal FINGERPRINT`")?;
                return Ok(());
            }
            let rows: Vec<_> = list.verdicts.iter().map(row).collect();
            write_table(out, ["hash", "verdict", "said at", "template"], &rows)?;
        }
        Command::Export(file) => {
            let text = format!("{}\n", serde_json::to_string_pretty(answer)?);
            match file.to_str() {
                Some("-") => out.write_all(text.as_bytes())?,
                Some(_) | None => {
                    fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
                    let count = answer["verdicts"].as_array().map_or(0, Vec::len);
                    writeln!(out, "{count} written to {}", file.display())?;
                }
            }
        }
    }
    Ok(())
}

fn row(word: &Shared) -> [String; 4] {
    let said = match word.verdict {
        Said::Normal => "normal",
        Said::Abnormal => "abnormal",
    };
    let at = word.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    [word.hash.clone(), said.to_owned(), at, cell(&word.template)]
}

fn cell(text: &str) -> String {
    render::cut(&render::one_line(text), CELL_MAX)
}
