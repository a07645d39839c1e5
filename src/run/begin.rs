//! The beginning of a run: the state opened, what happened to it told, first positions written down. A full disk is waited
//! out.

use super::streams::Streams;
use crate::alert::render::Language;
use crate::alert::tidings::Damaged;
use crate::collector::{self, Collector, ReadFrom};
use crate::config::Settings;
use crate::keeper::{self, BOOT_ID, Keeper};
use crate::state::{Durability, INCIDENT, Incident, RUNNING, Recovered, State, outbox, recover};
use anyhow::Result;
use std::time::Duration;

/// A state that cannot be written at the start is tried again after this.
const WRITE_RETRY: Duration = Duration::from_secs(1);

pub fn open_state(settings: &mut Settings, waits: &dyn Fn() -> bool) -> Result<(State, Option<Incident>)> {
    let (mut state, incident) = when_there_is_room(waits, || State::open(&settings.state_dir))?;
    bury_orphans(&mut state, settings)?;
    if incident
        .as_ref()
        .is_some_and(|incident| incident.recovered == Recovered::Nothing)
    {
        // Nobody knows what was read: reading everything again loses nothing.
        settings
            .sources
            .iter_mut()
            .for_each(|source| source.collector.read_from = ReadFrom::Beginning);
    }
    Ok((state, incident))
}

/// Deliveries of alerters that are gone are dead, with the reason.
fn bury_orphans(state: &mut State, settings: &Settings) -> Result<()> {
    let names: Vec<&str> = settings.alerters.iter().map(|alerter| &*alerter.name).collect();
    let orphans = state.commit(Durability::Full, |connection| {
        outbox::orphan(connection, &names, keeper::ORPHANED)
    })?;
    if orphans > 0 {
        log::warn!("{orphans} deliveries of alerters that are no longer configured are dead");
    }
    Ok(())
}

pub fn first_sight(collector: &mut Collector, streams: &Streams) -> Vec<collector::Opened> {
    let mut found = collector.first_sight();
    found.extend(streams.first_sight());
    found
}

/// First positions are durable before reading goes on: a crash then loses nothing. What happened to the state is told in
/// the same transaction.
pub fn begin(
    keeper: &mut Keeper,
    incident: Option<Incident>,
    first_sight: Vec<collector::Opened>,
    once: bool,
    waits: &dyn Fn() -> bool,
) -> Result<()> {
    if let Some(incident) = incident {
        tell_incident(keeper, &incident);
    }
    let notes = [
        (RUNNING, Some("1")),
        (BOOT_ID, Some(&*keeper::boot_id())),
        (INCIDENT, None),
    ];
    if !once {
        keeper.tell_downtime(&first_sight)?;
    }
    let mut first_sight = Some(first_sight);
    when_there_is_room(waits, || match first_sight.take() {
        Some(first_sight) => keeper.adopt(first_sight, &notes),
        None => keeper.write(),
    })?;
    // From here on nobody is told again that it was down.
    keeper.beat();
    Ok(())
}

/// Tries again while the disk is full: supervisors give up on who ends again and again, and a full disk may last.
fn when_there_is_room<T>(waits: &dyn Fn() -> bool, mut work: impl FnMut() -> Result<T>) -> Result<T> {
    let mut told = false;
    loop {
        match work() {
            Err(error) if recover::is_for_want_of_room(&error) && waits() => {
                if !told {
                    log::error!("nothing is read until the state can be written: {error:#}");
                }
                told = true;
                crossbeam_channel::after(WRITE_RETRY).recv().ok();
            }
            outcome => return outcome,
        }
    }
}

fn tell_incident(keeper: &mut Keeper, incident: &Incident) {
    let (aside, cause) = (incident.set_aside.display(), &incident.cause);
    let damaged = match incident.recovered {
        Recovered::Everything => Damaged::Everything,
        Recovered::Backup => Damaged::Backup,
        Recovered::Nothing => Damaged::Nothing,
    };
    let then = damaged.title(Language::English);
    log::error!("{then} ({cause}; the damaged one is set aside as {aside})");
    keeper.tell_damage(damaged, &aside.to_string());
}
