//! `alerts.quiet` and `alerts.heartbeat`: when nobody is told, and how often that all is well.

use super::known_names;
use crate::alert::Heartbeat;
use crate::alert::quiet::{DAY_MINUTES, Quiet};
use crate::config::file::{self, Day};
use crate::config::key::{Key, Switch};
use crate::config::place::Inputs;
use crate::record::Level;
use jiff::civil::Weekday;
use std::time::Duration;

/// More often it would be a storm of its own.
const EVERY_MIN: Duration = Duration::from_secs(1);

pub fn quiet(key: Key<Vec<Key<file::Quiet>>>, inputs: &mut Inputs) -> Vec<Quiet> {
    let windows = key.section().into_iter().filter(|item| item.get().is_some());
    windows
        .map(|item| {
            let at = item.at();
            let file = item.section();
            let from = minutes(&file.from, 0, inputs);
            let to = minutes(&file.to, DAY_MINUTES, inputs);
            if let (true, Some(at)) = (from == to, file.to.at().or(file.from.at()).or(at)) {
                inputs.fault(
                    at,
                    "ends where it begins",
                    "a whole day is `from: '00:00', to: '24:00'`",
                );
            }
            Quiet {
                days: super::list(&file.days).into_iter().map(weekday).collect(),
                from,
                to,
                below: file.below.or(Level::Fatal),
            }
        })
        .collect()
}

/// `HH:MM`, up to `24:00`.
fn minutes(key: &Key<String>, default: u16, inputs: &mut Inputs) -> u16 {
    let Some((at, text)) = key.placed() else { return default };
    let number = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let parsed = text
        .split_once(':')
        .and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?)));
    match parsed {
        Some((hours @ 0..=23, minutes @ 0..=59)) => hours * 60 + minutes,
        Some((24, 0)) => DAY_MINUTES,
        Some(_) | None => {
            inputs.fault(
                at,
                "is not a time of day",
                "write '22:00'; '24:00' is the end of the day",
            );
            default
        }
    }
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

/// `alerters` are the names that it may have.
pub fn heartbeat(key: &Key<Switch<file::Heartbeat>>, alerters: &[String], inputs: &mut Inputs) -> Option<Heartbeat> {
    let file = key.get()?.0.as_ref()?;
    let names = known_names(&file.alerters, "alerter", alerters, inputs);
    let Some((at, every)) = file.every.placed() else {
        if let (Some(at), false) = (key.at(), file.every.is_given()) {
            inputs.fault(at, "`every` is missing", "add `every: 24h`, or say `off`");
        }
        return None;
    };
    if every.0 < EVERY_MIN {
        inputs.fault(at, "is less than 1s", "");
    }
    Some(Heartbeat {
        every: every.0,
        alerters: names,
    })
}
