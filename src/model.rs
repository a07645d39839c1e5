//! `model info FILE` and `model score FILE < lines`: what a model file is, and what it says of lines.
//!
//! A line is a message (what its writer said, without time stamp and level), or an object of `scan --all --json`, whose
//! `message` is taken: so a model is asked about a log just as the service would ask it. Only the first KiB of a message
//! counts for a model, so longer lines are cut; memory does not grow with what is read.

use crate::alert::render;
use crate::analyzer::electra::{Info, Model, Score, Scratch};
use anyhow::Context;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Of a line; an object of `scan --json` holds the record's text and more beside its message.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Characters of a line that are shown beside its score.
const SHOWN_CHARS: usize = 160;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub question: Question,
    pub file: PathBuf,
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Info,
    Score,
}

/// Answers to `out`. `lines` is read for `score` only.
///
/// # Errors
/// A file that cannot be read or is no model; reading and writing.
pub fn run(options: &Options, lines: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<()> {
    let model = load(&options.file)?;
    let mut out = BufWriter::new(out);
    match (options.question, options.json) {
        (Question::Info, false) => write_info(&model.info(), &mut out)?,
        (Question::Info, true) => writeln!(out, "{}", info_json(&model.info()))?,
        (Question::Score, json) => score(&model, json, lines, &mut out)?,
    }
    Ok(out.flush()?)
}

/// # Errors
/// Names the file.
pub fn load(path: &Path) -> anyhow::Result<Model> {
    let open = || -> anyhow::Result<Model> {
        let file = File::open(path)?;
        anyhow::ensure!(file.metadata()?.is_file(), "it is no file");
        Ok(Model::read(file)?)
    };
    open().with_context(|| format!("reading the model {}", path.display()))
}

fn write_info(info: &Info, out: &mut dyn Write) -> std::io::Result<()> {
    let clean = |text: &str| render::one_line(text);
    let percent = |rate: f64| format!("{} %", (rate * 1e6).round() / 1e4);
    writeln!(out, "name         {}", clean(&info.name))?;
    writeln!(out, "version      {}", info.version)?;
    writeln!(out, "origin       {}", clean(&info.origin))?;
    writeln!(
        out,
        "network      ELECTRA discriminator, {} wide, {} layers, {} heads, {} parameters",
        info.width, info.layers, info.heads, info.parameters
    )?;
    writeln!(
        out,
        "vocabulary   {} pieces; a line is cut to {}",
        info.vocabulary, info.positions
    )?;
    writeln!(out, "file         {} KiB", info.file_bytes.div_ceil(1024))?;
    writeln!(
        out,
        "threshold    {:.4}: {} of normal lines score higher",
        info.threshold,
        percent(info.rate)
    )?;
    writeln!(
        out,
        "calibration  {} held-out normal lines, {} distinct",
        info.calibration_lines, info.calibration_strings
    )?;
    for (rate, threshold) in &info.thresholds {
        writeln!(out, "             {threshold:.4} for {}", percent(*rate))?;
    }
    Ok(())
}

fn info_json(info: &Info) -> Value {
    let thresholds = info
        .thresholds
        .iter()
        .map(|(rate, threshold)| json!({"rate": rate, "threshold": threshold}));
    json!({
        "name": info.name, "version": info.version, "origin": info.origin, "width": info.width, "layers": info.layers,
        "heads": info.heads, "parameters": info.parameters, "vocabulary": info.vocabulary, "positions": info.positions,
        "file_bytes": info.file_bytes, "rate": info.rate, "threshold": info.threshold,
        "calibration_lines": info.calibration_lines, "calibration_strings": info.calibration_strings,
        "thresholds": thresholds.collect::<Vec<_>>(),
    })
}

fn score(model: &Model, as_json: bool, lines: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<()> {
    let (mut line, mut scratch) = (Vec::new(), Scratch::default());
    while next_line(lines, &mut line).context("reading standard input")? {
        let text = message(&line);
        let score = model.score(&text, &mut scratch);
        if as_json {
            writeln!(out, "{}", score_json(&text, score))?;
        } else {
            let verdict = if score.abnormal { "abnormal" } else { "normal" };
            let shown = render::cut(&render::one_line(&text), SHOWN_CHARS);
            writeln!(out, "{:8.4} {:6.4} {verdict:8} {shown}", score.score, score.confidence)?;
        }
    }
    Ok(())
}

/// As the service answers, and the line.
fn score_json(text: &str, score: Score) -> Value {
    json!({"label": u8::from(score.abnormal), "confidence": score.confidence, "score": score.score, "log": text})
}

/// The next line without its newline, cut to [`LINE_BYTES_MAX`]; `false` at the end.
fn next_line(lines: &mut dyn BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    if (&mut *lines).take(LINE_BYTES_MAX).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() != Some(&b'\n') {
        lines.skip_until(b'\n')?;
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(true)
}

/// The `message` of an object as `scan --json` prints it, else the line.
fn message(line: &[u8]) -> String {
    let object = line
        .starts_with(b"{")
        .then(|| serde_json::from_slice::<Value>(line).ok());
    let object = object.flatten().filter(|object| object.get("schema").is_some());
    match object.as_ref().and_then(|object| object.get("message")?.as_str()) {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(line).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<String> {
        let (mut input, mut line, mut all) = (text, Vec::new(), Vec::new());
        while next_line(&mut input, &mut line).unwrap() {
            all.push(message(&line));
        }
        all
    }

    #[test]
    fn a_line_is_a_message_or_an_object_of_scan() {
        let text = b"plain\r\n\n{\"schema\": 1, \"message\": \"of scan\"}\n{\"message\": \"a log's own\"}\n\xff last";
        let want = [
            "plain",
            "",
            "of scan",
            "{\"message\": \"a log's own\"}",
            "\u{fffd} last",
        ];
        assert_eq!(lines(text), want);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_whole() {
        let text = [&vec![b'x'; 3 << 20][..], b"\nnext\n"].concat();
        let lines = lines(&text);
        assert_eq!((lines[0].len(), lines[1].as_str(), lines.len()), (1 << 20, "next", 2));
    }
}
