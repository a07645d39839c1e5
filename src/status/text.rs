//! The status as a person reads it.

use super::watch::Course;
use crate::alert::render::one_line;
use crate::keeper::Status;
use crate::scan::terminal::{bytes, grouped};
use std::io::{self, Write};

/// Who is behind by more than this is catching up.
const CATCHING_UP_BYTES: u64 = 1024 * 1024;

/// All of it; with a course also how fast each source is read, and how that went.
pub fn write(status: &Status, course: Option<&Course>, out: &mut dyn Write) -> io::Result<()> {
    write_health(status, out)?;
    write_sources(status, course, out)?;
    write_known(status, out)?;
    write_alerters(status, out)?;
    write_alerts(status, out)
}

fn write_health(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    let health = if status.reasons.is_empty() {
        "healthy"
    } else {
        "degraded"
    };
    writeln!(
        out,
        "{health}, up {} (pid {}, version {})",
        span(status.uptime_seconds),
        status.pid,
        status.version
    )?;
    for reason in &status.reasons {
        writeln!(out, "  {}", one_line(reason))?;
    }
    Ok(())
}

fn write_sources(status: &Status, course: Option<&Course>, out: &mut dyn Write) -> io::Result<()> {
    let speed = if course.is_some() { "   records/s" } else { "" };
    writeln!(
        out,
        "\n{:<16} {:>6} {:>10} {:>10} {:>13} {:>11} {:>10}{speed}",
        "source", "files", "behind", "read", "records", "exceptional", "lost"
    )?;
    for source in &status.sources {
        let lost: u64 = source.lost_bytes.values().sum();
        let speed = course.map(|course| course.of(&source.name)).unwrap_or_default();
        writeln!(
            out,
            "{:<16} {:>6} {:>10} {:>10} {:>13} {:>11} {:>10}{speed}",
            source.name,
            source.files,
            bytes(source.lag_bytes),
            bytes(source.read_bytes),
            grouped(source.records),
            grouped(source.exceptional),
            bytes(lost)
        )?;
        if source.lag_bytes > CATCHING_UP_BYTES {
            let speed = source.read_bytes_per_s;
            let left = source.lag_bytes.checked_div(speed).map_or_else(|| "-".into(), span);
            writeln!(
                out,
                "  catching up: {} left at {}/s, {left}",
                bytes(source.lag_bytes),
                bytes(speed)
            )?;
        }
    }
    Ok(())
}

/// What each source is known to say, and the judge.
fn write_known(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{:<16} {:>10} {:>10}", "source", "templates", "novelty")?;
    for source in &status.sources {
        writeln!(
            out,
            "{:<16} {:>10} {:>10}",
            source.name, source.templates, source.novelty
        )?;
    }
    let ai = &status.ai;
    if ai.mode != "off" && !ai.mode.is_empty() {
        let away = if ai.away { ", away: templates wait" } else { "" };
        let dropped = match ai.dropped {
            0 => String::new(),
            dropped => format!(" ({dropped} found no room)"),
        };
        writeln!(
            out,
            "\njudge: {} ({}{away}); {} wait{dropped}, {} verdicts, {} abnormal since the start",
            if ai.model.is_empty() {
                "not known yet"
            } else {
                &ai.model
            },
            ai.mode,
            ai.pending,
            ai.verdicts,
            ai.abnormal
        )?;
    }
    Ok(())
}

fn write_alerters(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<16} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10}",
        "alerter", "queued", "parked", "dead", "oldest", "delivered", "failed"
    )?;
    for alerter in &status.alerters {
        writeln!(
            out,
            "{:<16} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10}",
            alerter.name,
            alerter.queued,
            alerter.parked,
            alerter.dead,
            alerter.oldest_seconds.map_or_else(|| "-".into(), span),
            alerter.delivered,
            alerter.failed
        )?;
        if let Some(error) = alerter.blocked.as_ref().or(alerter.last_error.as_ref()) {
            writeln!(out, "  {}", one_line(error))?;
        }
    }
    Ok(())
}

fn write_alerts(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    let worst_first = status.alerts.said.iter().rev();
    let said: Vec<String> = worst_first
        .map(|(severity, count)| format!("{count} {severity}"))
        .collect();
    let said = if said.is_empty() {
        "none".to_owned()
    } else {
        said.join(", ")
    };
    writeln!(
        out,
        "\nalerts: {} firing; said since the start: {said}",
        status.alerts.firing
    )?;
    writeln!(
        out,
        "flash: {} written to the state since the start, in {} commits",
        bytes(status.state_written_bytes),
        status.state_commits
    )?;
    let suppressed = status.alerts.suppressed.iter();
    let suppressed: Vec<String> = suppressed
        .map(|(reason, count)| format!("{count} by {reason}"))
        .collect();
    if !suppressed.is_empty() {
        writeln!(out, "kept from being told: {}", suppressed.join(", "))?;
    }
    if status.alerts.silences > 0 {
        writeln!(out, "silences in force: {}", status.alerts.silences)?;
    }
    Ok(())
}

fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}
