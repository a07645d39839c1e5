//! Threads of the service: named, spawned in one place; signals as messages.

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::thread::JoinHandle;

/// Signals to stop that wait for main: two kinds, each once.
const SIGNALS: usize = 2;

/// The threads that were spawned. They end by their channels; whoever still waits for a network at the end of main ends
/// with the process.
#[derive(Debug, Default)]
pub struct Threads {
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    pub fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let builder = std::thread::Builder::new().name(name.to_string());
        let handle = builder
            .spawn(work)
            .with_context(|| format!("starting the thread {name}"))?;
        self.handles.push(handle);
        Ok(())
    }

    /// Spawns a thread whose outcome is sent when it ends.
    pub fn spawn_with<T: Send + 'static>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Receiver<T>> {
        let (outcome, receiver) = bounded(1);
        self.spawn(name, move || {
            let result = work();
            // Main may be gone already: then nobody misses the outcome.
            outcome.try_send(result).ok();
        })?;
        Ok(receiver)
    }
}

/// Signals as messages.
#[derive(Debug)]
pub struct Signals {
    /// SIGTERM and SIGINT.
    pub stop: Receiver<i32>,
    /// SIGHUP; several at once are one.
    pub reload: Receiver<()>,
}

pub fn signals() -> Result<Signals> {
    let (stop, stopped) = bounded(SIGNALS);
    let (reload, reloaded) = bounded(1);
    let mut signals =
        signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP]).context("listening for signals")?;
    let builder = std::thread::Builder::new().name("signals".to_string());
    builder
        .spawn(move || {
            for signal in signals.forever() {
                // Full: main knows already.
                match signal {
                    SIGHUP => drop(reload.try_send(())),
                    signal => drop(stop.try_send(signal)),
                }
            }
        })
        .context("starting the thread signals")?;
    Ok(Signals {
        stop: stopped,
        reload: reloaded,
    })
}

pub fn signal_name(signal: i32) -> &'static str {
    match signal {
        SIGTERM => "SIGTERM",
        SIGINT => "SIGINT",
        _ => "a signal",
    }
}
