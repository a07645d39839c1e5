//! The command `status`: how the service that runs on a state directory does.

mod nagios;
mod text;
mod watch;

use crate::cli::{StatusOptions, StatusView};
use crate::config::{Loaded, Problems};
use crate::control;
use crate::keeper::Status;
use std::io::Write;
use std::path::Path;

const HEALTHY: u8 = 0;
const DEGRADED: u8 = 1;
const NOT_RUNNING: u8 = 3;

/// Writes the status; the exit status says healthy, degraded or not running. Who reads for Nagios expects one line and
/// Nagios' own exit status whatever happens, also where the configuration is invalid.
pub fn run(loaded: Result<Loaded, Problems>, options: &StatusOptions, out: &mut dyn Write) -> anyhow::Result<u8> {
    if options.view == StatusView::Nagios {
        let answer = loaded
            .map_err(anyhow::Error::from)
            .and_then(|loaded| control::status(&loaded.settings.state_dir));
        return nagios::write(&answer, out);
    }
    let state_dir = loaded?.settings.state_dir;
    let status = match options.view {
        StatusView::Watch => watch::run(&state_dir, out)?,
        StatusView::Json | StatusView::Text | StatusView::Nagios => control::status(&state_dir)?,
    };
    match (&status, options.view) {
        (Some(status), StatusView::Json) => writeln!(out, "{}", serde_json::to_string(status)?)?,
        (None, StatusView::Json) => writeln!(out, r#"{{"running":false}}"#)?,
        (Some(status), StatusView::Text) => text::write(status, None, out)?,
        (None, StatusView::Text) => writeln!(out, "{}", nobody(&state_dir))?,
        (_, StatusView::Watch | StatusView::Nagios) => {}
    }
    Ok(exit_status(status.as_ref()))
}

fn nobody(state_dir: &Path) -> String {
    format!("not running: no service answers in {}", state_dir.display())
}

fn exit_status(status: Option<&Status>) -> u8 {
    match status {
        None => NOT_RUNNING,
        Some(status) if status.reasons.is_empty() => HEALTHY,
        Some(_) => DEGRADED,
    }
}
