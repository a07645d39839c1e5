//! Verdicts of models and words of people, and what still waits for the judge. A person's model is the empty string.

use crate::alert::template;
use crate::alert::verdict::Verdict;
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, params};

/// A template (or line) that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub source: String,
    pub subject: u64,
    /// Text of the template.
    pub template: String,
    /// JSON of the alert of the first record, redacted and cut; its detectors are those that found it.
    pub example: String,
    pub count: u64,
    pub first_seen_ms: i64,
    pub last_seen_ms: i64,
}

/// A person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub template: String,
    pub abnormal: bool,
    pub at_ms: i64,
}

pub fn wait(connection: &Connection, waiting: &Waiting) -> Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO unjudged VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    statement.execute(params![
        waiting.source,
        template::hash_of(waiting.subject),
        waiting.template,
        waiting.example,
        i64::try_from(waiting.count).unwrap_or(i64::MAX),
        waiting.first_seen_ms,
        waiting.last_seen_ms
    ])?;
    Ok(())
}

/// How often it has come by now, and when last.
pub fn count(connection: &Connection, source: &str, subject: u64, count: u64, last_seen_ms: i64) -> Result<()> {
    let mut statement = connection
        .prepare_cached("UPDATE unjudged SET count = ?3, last_seen_ms = ?4 WHERE source = ?1 AND template_hash = ?2")?;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    statement.execute(params![source, template::hash_of(subject), count, last_seen_ms])?;
    Ok(())
}

pub fn remove_waiting(connection: &Connection, source: &str, subject: u64) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM unjudged WHERE source = ?1 AND template_hash = ?2")?;
    statement.execute(params![source, template::hash_of(subject)])?;
    Ok(())
}

/// Text of the template and example of one that waits.
pub fn waiting_texts(connection: &Connection, source: &str, subject: u64) -> Result<Option<(String, String)>> {
    let mut statement =
        connection.prepare_cached("SELECT template, example FROM unjudged WHERE source = ?1 AND template_hash = ?2")?;
    let hash = template::hash_of(subject);
    let texts = statement.query_row(params![source, hash], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(texts.optional()?)
}

/// All that wait, without their texts.
pub fn waiting(connection: &Connection) -> Result<Vec<Waiting>> {
    let mut statement =
        connection.prepare("SELECT source, template_hash, count, first_seen_ms, last_seen_ms FROM unjudged")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(2)?;
        let subject = subject(&row.get::<_, String>(1)?);
        all.push(Waiting {
            source: row.get(0)?,
            subject,
            template: String::new(),
            example: String::new(),
            count: u64::try_from(count).unwrap_or(0),
            first_seen_ms: row.get(3)?,
            last_seen_ms: row.get(4)?,
        });
    }
    Ok(all)
}

/// The oldest that wait, each subject once, with its example.
pub fn oldest_waiting(connection: &Connection, limit: usize) -> Result<Vec<(u64, String)>> {
    // Sorted without the examples: of thousands that wait they are many MB, which SQLite would put into a file.
    let mut statement = connection.prepare_cached(
        "SELECT template_hash, example FROM
           (SELECT template_hash, source, MIN(first_seen_ms) AS since FROM unjudged GROUP BY template_hash
            ORDER BY since LIMIT ?1)
         JOIN unjudged USING (source, template_hash) ORDER BY since",
    )?;
    let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((subject(&row.get::<_, String>(0)?), row.get(1)?));
    }
    Ok(all)
}

pub fn save(
    connection: &Connection,
    subject: u64,
    model: &str,
    verdict: &Verdict,
    text: &str,
    at_ms: i64,
) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO verdicts (template_hash, model, abnormal, score, confidence, by_person, at_ms, template, \
         threshold) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute(params![
        template::hash_of(subject),
        model,
        verdict.abnormal,
        verdict.score,
        verdict.confidence,
        model.is_empty(),
        at_ms,
        text,
        verdict.threshold
    ])?;
    Ok(())
}

/// Those of one model.
pub fn of_model(connection: &Connection, model: &str) -> Result<Vec<(u64, Verdict)>> {
    let mut statement = connection.prepare_cached(
        "SELECT template_hash, abnormal, score, confidence, threshold FROM verdicts WHERE model = ?1",
    )?;
    let mut rows = statement.query([model])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let verdict = Verdict {
            abnormal: row.get(1)?,
            score: row.get(2)?,
            confidence: row.get(3)?,
            threshold: row.get(4)?,
        };
        all.push((subject(&row.get::<_, String>(0)?), verdict));
    }
    Ok(all)
}

/// What people have said, the oldest first.
pub fn words(connection: &Connection) -> Result<Vec<Word>> {
    let mut statement = connection.prepare_cached(
        "SELECT template, abnormal, at_ms FROM verdicts WHERE model = '' ORDER BY at_ms, template_hash",
    )?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(Word {
            template: row.get(0)?,
            abnormal: row.get(1)?,
            at_ms: row.get(2)?,
        });
    }
    Ok(all)
}

/// False: nobody had said anything about it.
pub fn forget_word(connection: &Connection, text: &str) -> Result<bool> {
    let mut statement = connection.prepare_cached("DELETE FROM verdicts WHERE template_hash = ?1 AND model = ''")?;
    Ok(statement.execute([template::hash_of(template::subject_of(text))])? > 0)
}

/// Keeps the newest verdicts of models.
pub fn trim(connection: &Connection, max: usize) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM verdicts WHERE model <> '' AND (template_hash, model) IN (SELECT template_hash, model FROM verdicts \
         WHERE model <> '' ORDER BY at_ms DESC LIMIT -1 OFFSET ?1)",
    )?;
    statement.execute([i64::try_from(max).unwrap_or(i64::MAX)])?;
    Ok(())
}

/// A damaged hash is nobody's.
fn subject(hash: &str) -> u64 {
    u64::from_str_radix(hash, 16).unwrap_or(0)
}
