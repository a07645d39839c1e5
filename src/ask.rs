//! Commands of people from the side of the command line: what only the configuration can tell, the asking, the answer.

use crate::cli::Asked;
use crate::command::{self, Command, silence};
use crate::config::Settings;
use crate::control;
use anyhow::{Result, bail};
use std::io::Write;

/// Has the command done and writes its answer.
///
/// # Errors
/// It names what the configuration does not have, or what the service or the state refused.
pub fn run(settings: &Settings, asked: &Asked, out: &mut dyn Write) -> Result<()> {
    names_must_be_known(settings, &asked.command)?;
    let command = match &asked.command {
        // The service may not see the files of whoever asks.
        Command::Verdict(asked) => Command::Verdict(asked.clone().with_file()?),
        Command::Explain(_) | Command::Outbox(_) | Command::Silence(_) => asked.command.clone(),
    };
    let alerters = settings.alerters.iter().map(|alerter| alerter.name.clone()).collect();
    let answer = control::perform(&settings.state_dir, &command, alerters)?;
    if asked.json {
        return Ok(writeln!(out, "{answer}")?);
    }
    command::show(&asked.command, &answer, out)
}

/// A silence for a name that nobody has would silence nothing, and nobody would notice.
fn names_must_be_known(settings: &Settings, command: &Command) -> Result<()> {
    let wanted = match command {
        Command::Silence(silence::Command::Add(wanted)) => wanted,
        Command::Silence(silence::Command::List | silence::Command::Remove(_))
        | Command::Outbox(_)
        | Command::Explain(_)
        | Command::Verdict(_) => return Ok(()),
    };
    let rules = settings.analyzer.rules.iter().map(|rule| &*rule.name);
    must_be_one_of("rule", wanted.matcher.rule.as_deref(), rules)?;
    let sources = settings.sources.iter().map(|source| &*source.collector.name);
    must_be_one_of("source", wanted.matcher.source.as_deref(), sources)
}

fn must_be_one_of<'n>(what: &str, name: Option<&str>, known: impl Iterator<Item = &'n str>) -> Result<()> {
    let known: Vec<&str> = known.collect();
    match name {
        Some(name) if known.is_empty() => bail!("no {what} is named `{name}`: there is none"),
        Some(name) if !known.contains(&name) => bail!("no {what} is named `{name}`: there are {}", known.join(", ")),
        Some(_) | None => Ok(()),
    }
}
