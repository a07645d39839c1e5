//! The sources that are streams (journal, standard input): built beside the collector, one thread each.

use super::threads::Threads;
use crate::cli::RunOptions;
use crate::collector::piped::{self, Input, Parts, Piped, PipedStop};
use crate::collector::{Event, Opened, Resumed};
use crate::config::Settings;
use crate::state::{State, checkpoints};
use anyhow::{Context, Result};
use crossbeam_channel::Sender;

pub struct Streams {
    piped: Vec<Piped>,
    stops: Vec<PipedStop>,
    /// Files are followed too (or nothing is): the service does not end with the streams.
    beside_files: bool,
}

impl Streams {
    pub fn build(
        state: &State,
        settings: &Settings,
        options: &RunOptions,
        host_id: &str,
        events: &[Sender<Event>],
    ) -> Result<Self> {
        let sources = settings.sources.iter().filter(|source| source.input != Input::Files);
        let mut known = checkpoints::load(state.connection())?;
        let (mut piped, mut stops) = (Vec::new(), Vec::new());
        for (number, source) in sources.enumerate() {
            let at = known.iter().position(|(_, known)| {
                known.source == *source.collector.name && !known.path.is_absolute() && !known.file_state.finished
            });
            let resumed = at.map(|at| known.swap_remove(at)).map(|(row, known)| Resumed {
                row,
                source: source.collector.name.clone(),
                path: known.path,
                resume: known.resume,
                file_state: known.file_state,
            });
            let (stream, stop) = Piped::new(Parts {
                source: source.collector.clone(),
                input: source.input.clone(),
                resumed,
                host_id: host_id.to_owned(),
                number: u32::try_from(number).unwrap_or(u32::MAX),
                events: events.to_vec(),
                once: options.once,
                flush_after: source.record.flush_after,
            })
            .with_context(|| format!("source {}", source.collector.name))?;
            piped.push(stream);
            stops.push(stop);
        }
        let all_stdin = settings.sources.iter().all(|source| source.input == Input::Stdin);
        Ok(Self {
            beside_files: piped.is_empty() || !all_stdin,
            piped,
            stops,
        })
    }

    pub fn first_sight(&self) -> impl Iterator<Item = Opened> {
        self.piped.iter().map(Piped::first_sight)
    }

    pub fn is_beside_files(&self) -> bool {
        self.beside_files
    }

    /// Starts the threads; each holds `alive` until it ends.
    pub fn spawn(self, threads: &mut Threads, alive: &Sender<()>) -> Result<Vec<PipedStop>> {
        for stream in self.piped {
            let alive = alive.clone();
            let name = piped::thread_name(&stream.first_sight().source);
            threads.spawn(&name, move || {
                stream.run();
                drop(alive);
            })?;
        }
        Ok(self.stops)
    }
}
