//! Changed sources while the files go on being read (SIGHUP).
//!
//! A file that no source wants any more is set aside as what was read of it, with its analyzer's stream and its row: when
//! a later reload (or start) wants it again, reading goes on where it was. So a mistake that is mended loses nothing.

use super::discover::Globs;
use super::ends::{COPY_GRACE, past_of};
use super::files::Files;
use super::follow::Life;
use super::past::Past;
use super::tracked::{self, Tracked};
use super::{Collector, Event, FileKey, Resumed, Source};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// What is followed from now on.
#[derive(Debug)]
pub struct Reload {
    /// Those of a known name go on.
    pub sources: Vec<Source>,
    /// What this program writes itself, besides its state: never read.
    pub own: Vec<PathBuf>,
    /// What the state knows of sources that were not followed so far.
    pub resumed: Vec<Resumed>,
    pub first_starts: BTreeMap<String, i64>,
}

impl Collector {
    /// The analyzers hear of it behind all that was read before, and before all that is read after.
    pub(super) fn reload(&mut self, reload: Reload) {
        for path in &reload.own {
            self.never_read(path);
        }
        if let Err(error) = self.files.change_sources(reload, Instant::now()) {
            // `check` has compiled the same globs: it cannot come to this.
            log::error!("reloading sources: {error}");
        }
        self.files.out.extend((0..self.events.len()).map(Event::Reload));
        self.reconcile();
    }
}

impl Files {
    /// Takes over changed sources; files that none of them names any more are set aside.
    pub fn change_sources(&mut self, reload: Reload, now: Instant) -> Result<(), String> {
        let Reload {
            sources,
            resumed,
            first_starts,
            own: _,
        } = reload;
        let compiled = sources
            .into_iter()
            .map(|source| Ok((Globs::new(&source.paths, &source.exclude)?, source)));
        let mut compiled: Vec<(Globs, Source)> = compiled.collect::<Result<_, String>>()?;
        let none = Globs::new(&[], &[])?;
        for tracked in &mut self.tracked {
            let known = |(_, source): &(Globs, Source)| source.name == tracked.source.name;
            match compiled.iter().position(known) {
                Some(at) => (tracked.globs, tracked.source) = compiled.remove(at),
                None => tracked.globs = none.clone(),
            }
        }
        let new = self.tracked.len();
        for (globs, source) in compiled {
            let first_start = tracked::first_start(&first_starts, &source.name);
            self.tracked.push(Tracked::new(source, globs, first_start));
        }
        for resumed in resumed {
            let of_this = |tracked: &Tracked| tracked.source.name == resumed.source;
            if let Some(at) = self.tracked[new..].iter().position(of_this) {
                self.pasts.push(Past::resumed(new + at, resumed, now + COPY_GRACE));
            }
        }
        self.set_aside_unwanted();
        // What was set aside and is wanted again may have moved meanwhile.
        let set_aside = self.pasts.iter().filter(|past| past.is_set_aside());
        let wanted = set_aside.filter(|past| self.tracked[past.source].globs.matches(&past.path));
        for row in wanted.map(|past| past.row).collect::<Vec<_>>() {
            if let Some(past) = self.pasts.take(row) {
                let until = Some(now + COPY_GRACE);
                self.pasts.push(Past { until, ..past });
            }
        }
        Ok(())
    }

    fn set_aside_unwanted(&mut self) {
        let unwanted: Vec<FileKey> = self
            .files
            .values()
            // An archive can be read only once, and one that was renamed has a name that no glob need match.
            .filter(|file| file.life == Life::Named && file.renamed.is_none() && !file.is_archive())
            .filter(|file| !self.tracked[file.source].globs.matches(&file.path))
            .map(|file| file.key)
            .collect();
        for key in unwanted {
            if let Some(file) = self.remove(key) {
                self.pasts.push(past_of(file, Some(key), None));
            }
        }
        self.suspects
            .retain(|suspect| self.tracked[suspect.source].globs.matches(&suspect.path));
    }
}
