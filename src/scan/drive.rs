//! All inputs of a scan, one after the other, each part by part: read here, or ahead by a crew of threads.
//!
//! What is found is the same whoever reads. A reader who began within a file guessed what is open there, and did not know
//! what those before it would find; what it gives counts only where its guess was right. Else the part is read again
//! here, on from the end of the one before; where the guess was about what is open, so is all that follows of that file.

use super::across::Across;
use super::crew::{self, Order, Word, Words};
use super::input::Input;
use super::plan::Plan;
use super::reading::{Pass, Reading};
use super::report::Span;
use super::unit::{self, Cut, Part};
use super::visit::{Item, Visit};
use crate::analyzer::template::Known;
use std::io;
use std::sync::Arc;

/// What was read of one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileTotals {
    pub lines: u64,
    pub bytes: u64,
    pub span: Span,
    /// It holds no text and was not named: nothing was read.
    pub skipped: bool,
}

/// Why a file was not scanned to its end.
#[derive(Debug)]
pub enum Interrupted {
    Reading(io::Error),
    /// Nobody takes our results: the whole scan ends.
    Writing(io::Error),
}

/// Takes what a scan finds.
pub trait Sink {
    /// An input is next.
    fn begins(&mut self, input: &Input);

    /// One record, in file order.
    ///
    /// # Errors
    /// It could not be passed on: the scan ends.
    fn take(&mut self, item: Item<'_>) -> io::Result<()>;

    /// A chunk is done; so many raw bytes of this input have been read by now.
    ///
    /// # Errors
    /// As `take`.
    fn chunk_done(&mut self, raw_bytes: u64) -> io::Result<()>;

    /// The input is done, or could not be read to its end (what was found before has been handed on).
    fn ended(&mut self, input: &Input, read: io::Result<FileTotals>);
}

/// Scans all inputs by so many readers.
///
/// # Errors
/// Those of the sink.
pub fn scan(
    inputs: &[Input],
    plan: &Plan,
    readers: usize,
    cut: Cut,
    across: &mut Across,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut walk = Walk {
        plan,
        across,
        sink,
        under_way: None,
    };
    let parts = inputs
        .iter()
        .map(|input| if input.size_bytes < 2 * cut.part_bytes { 1 } else { 2 });
    // Whoever wants every record wants them as they come: a reader ahead would tell some of them later.
    if readers < 2 || plan.all || parts.sum::<usize>() < 2 {
        for input in inputs {
            let parts = unit::parts(input, plan, cut);
            let last = parts.len() - 1;
            for (number, part) in parts.into_iter().enumerate() {
                walk.part(input, part, number == last, None, &mut |_, _| {})?;
            }
        }
        return Ok(());
    }
    crew::read(inputs, plan, readers, cut, |order: Order, crew| {
        let input = &inputs[order.input];
        walk.part(input, order.part, order.last, order.words, &mut |source, known| {
            crew.publish(source, known);
        })
    })
}

/// The inputs, as far as they have been read.
struct Walk<'a> {
    plan: &'a Plan,
    across: &'a mut Across,
    sink: &'a mut dyn Sink,
    under_way: Option<UnderWay<'a>>,
}

/// One input.
#[derive(Default)]
struct UnderWay<'a> {
    visit: Option<Visit<'a>>,
    /// Who read the last part, with what is to be added to its numbers of lines.
    before: Option<(Box<Reading>, u64)>,
    /// Guesses about what is open have proved wrong: it is read here.
    alone: bool,
    skipped: bool,
    failed: Option<io::Error>,
}

/// Told what is known of the templates of a source, whenever that has changed.
type Publish<'a> = &'a mut dyn FnMut(&Arc<str>, Arc<Known>);

/// Who has read a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Ahead,
    Here,
}

/// A part whose reader has guessed wrong: so many of its chunks were right.
struct Wrong {
    after: usize,
    about: About,
}

/// What its guess was about.
enum About {
    /// What is open where it began: those of the parts behind it will be no better.
    Standing,
    /// What is known there: later readers know more.
    Known,
}

impl<'a> Walk<'a> {
    fn part(
        &mut self,
        input: &Input,
        part: Part,
        last: bool,
        words: Option<Words>,
        publish: Publish<'_>,
    ) -> io::Result<()> {
        let mut under_way = self.under_way.take().unwrap_or_else(|| {
            self.sink.begins(input);
            UnderWay::default()
        });
        if under_way.failed.is_none() && !under_way.skipped {
            match self.read(&mut under_way, input, part, words, publish) {
                Ok(()) => {}
                Err(Interrupted::Reading(error)) => under_way.failed = Some(error),
                Err(Interrupted::Writing(error)) => return Err(error),
            }
        }
        if !last {
            self.under_way = Some(under_way);
            return Ok(());
        }
        let totals = match (under_way.failed, under_way.visit) {
            (Some(error), _) => Err(error),
            (None, Some(visit)) => Ok(visit.end(self.across)),
            (None, None) => Ok(FileTotals {
                skipped: true,
                ..FileTotals::default()
            }),
        };
        self.sink.ended(input, totals);
        Ok(())
    }

    fn read(
        &mut self,
        under_way: &mut UnderWay<'a>,
        input: &Input,
        part: Part,
        words: Option<Words>,
        publish: Publish<'_>,
    ) -> Result<(), Interrupted> {
        // Its templates are counted from here on.
        self.across.novelty.known(&self.plan.source_of(&input.place).name);
        let mut done = 0;
        if let Some(words) = words.filter(|_| !under_way.alone) {
            match self.follow(under_way, input, &words, publish)? {
                Ok(()) => return Ok(()),
                Err(Wrong { after, about }) => (done, under_way.alone) = (after, matches!(about, About::Standing)),
            }
        }
        self.read_here(under_way, input, part, done, publish)
    }

    /// What a reader ahead has found.
    fn follow(
        &mut self,
        under_way: &mut UnderWay<'a>,
        input: &Input,
        words: &Words,
        publish: Publish<'_>,
    ) -> Result<Result<(), Wrong>, Interrupted> {
        let mut shift = 0;
        let mut after = 0;
        loop {
            // Who falls silent is done over.
            let Some(word) = words.next() else {
                return Ok(Err(Wrong {
                    after,
                    about: About::Standing,
                }));
            };
            match word {
                Word::Opened(head) => under_way.visit = Some(Visit::new(input, self.plan, *head)),
                Word::Skipped => {
                    under_way.skipped = true;
                    return Ok(Ok(()));
                }
                Word::Stands(standing, line) => match &under_way.before {
                    Some((before, shifted)) if before.stream.standing() == *standing => {
                        shift = before.stream.next_line().wrapping_add(*shifted).wrapping_sub(line);
                    }
                    Some(_) | None => {
                        return Ok(Err(Wrong {
                            after,
                            about: About::Standing,
                        }));
                    }
                },
                Word::Pass(pass) => {
                    if !self.take(under_way, *pass, shift, Reader::Ahead, publish)? {
                        return Ok(Err(Wrong {
                            after,
                            about: About::Known,
                        }));
                    }
                    after += 1;
                }
                Word::Ended(reading) => {
                    under_way.before = Some((reading, shift));
                    return Ok(Ok(()));
                }
                Word::Failed(error) => return Err(Interrupted::Reading(error)),
            }
        }
    }

    /// Reads a part on from the one before; `done` chunks of it were told already.
    fn read_here(
        &mut self,
        under_way: &mut UnderWay<'a>,
        input: &Input,
        part: Part,
        done: usize,
        publish: Publish<'_>,
    ) -> Result<(), Interrupted> {
        let (mut reading, shift) = match under_way.before.take() {
            Some((mut reading, shift)) => {
                reading.go_on(input, part).map_err(Interrupted::Reading)?;
                (reading, shift)
            }
            None => match Reading::open(input, self.plan, part).map_err(Interrupted::Reading)? {
                Some((head, reading)) => {
                    under_way
                        .visit
                        .get_or_insert_with(|| Visit::new(input, self.plan, head));
                    (Box::new(reading), 0)
                }
                None => {
                    under_way.skipped = true;
                    return Ok(());
                }
            },
        };
        let source = &self.plan.source_of(&input.place).name;
        let mut number = 0;
        loop {
            let known = self.across.novelty.known(source);
            let Some(pass) = reading.next(known).map_err(Interrupted::Reading)? else {
                break;
            };
            if number >= done {
                self.take(under_way, pass, shift, Reader::Here, publish)?;
            }
            number += 1;
        }
        let pass = reading.finish(input).map_err(Interrupted::Reading)?;
        self.take(under_way, pass, shift, Reader::Here, publish)?;
        under_way.before = Some((reading, shift));
        Ok(())
    }

    /// Takes a chunk. False: its reader, who was ahead, missed what it would have asked for, had it known what is known.
    fn take(
        &mut self,
        under_way: &mut UnderWay<'a>,
        mut pass: Pass,
        shift: u64,
        reader: Reader,
        publish: Publish<'_>,
    ) -> Result<bool, Interrupted> {
        let Some(visit) = &mut under_way.visit else {
            return Ok(true);
        };
        let generation = self.across.novelty.generation(visit.source());
        let forgotten = pass.generation.is_some_and(|known| known != generation);
        if reader == Reader::Ahead && (forgotten || pass.counts.left_out > 0) {
            return Ok(false);
        }
        pass.shift_lines(shift);
        if let Some(known) = visit.take(pass, self.across, self.sink)? {
            publish(visit.source(), known);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
