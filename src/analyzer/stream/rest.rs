//! A stream that is silent: of thousands of files most are.

use super::super::context::lines_backwards;
use super::Stream;

impl Stream {
    /// Gives back what is only needed while lines come.
    pub fn give_back(&mut self) {
        let history = self.history.make_contiguous();
        let lines = self.position.analyzers.before_lines;
        let kept: usize = lines_backwards(history).take(lines).map(|line| line.len() + 1).sum();
        let excess = history.len().saturating_sub(kept);
        self.history.drain(..excess);
        self.history.shrink_to_fit();
        self.assembler.give_back();
    }
}
