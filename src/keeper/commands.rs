//! Commands of people, done between two commits: what they see is all that was found, what they change is seen at once.

use super::{Keeper, now};
use crate::command::{self, Command, Scene};
use crate::state::outbox;
use serde_json::Value;

impl Keeper {
    /// Does it and answers, or says why not.
    pub(super) fn obey(&mut self, command: &Command) -> Result<Value, String> {
        self.commit_or_wait().map_err(|error| format!("{error:#}"))?;
        if self.pending.failed_at.is_some() && command.writes() {
            return Err("the state cannot be written: see the log of the service".to_owned());
        }
        let scene = Scene {
            now: now().wall,
            alerters: self.queues.iter().map(|queue| queue.settings.name.clone()).collect(),
        };
        let answer = command::execute(&mut self.state, command, &scene).map_err(|error| format!("{error:#}"))?;
        if command.writes() {
            self.refresh(command).map_err(|error| format!("{error:#}"))?;
        }
        Ok(answer)
    }

    /// What is kept in memory of what the command has changed.
    fn refresh(&mut self, command: &Command) -> anyhow::Result<()> {
        match command {
            Command::Outbox(_) => {
                let fill = outbox::fill(self.state.connection())?;
                for queue in &mut self.queues {
                    queue.bytes = fill.get(&*queue.settings.name).map_or(0, |fill| fill.bytes);
                    // Whoever says "try again" does not mean in five minutes.
                    queue.feeder.interrupt();
                    queue.bell.hurry();
                }
            }
            Command::Explain(_) => {}
            Command::Silence(_) => self.load_silences()?,
            Command::Verdict(_) => self.load_words()?,
        }
        Ok(())
    }
}
