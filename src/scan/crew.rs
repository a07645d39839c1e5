//! Threads that read parts of inputs ahead. They take the parts in order; what each finds waits in a channel of its own,
//! so that one consumer has it in order, however they keep step.
//!
//! Memory is bounded: whose part is not the one that is being consumed waits while much is held.

use super::input::{Input, InputPlace};
use super::plan::Plan;
use super::reading::{Head, Pass, Reading};
use super::unit::{self, Cut, Part};
use crate::analyzer::stream::Standing;
use crate::analyzer::template::Known;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Of one part: its chunks of 256 KiB and a few words more; a part of another size waits for its consumer.
const WORDS_MAX: usize = 40;
/// Orders that wait to be consumed, per reader.
const ORDERS_PER_READER: usize = 2;
/// So much of what was found may be held for those who are not their turn yet.
const HELD_MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a reader says of its part, in this order: how it begins, chunks, how it ends.
pub enum Word {
    Opened(Box<Head>),
    Skipped,
    /// Within a file: how it stands there, and the number that it gives to the next line.
    Stands(Box<Standing>, u64),
    Pass(Box<Pass>),
    Ended(Box<Reading>),
    Failed(io::Error),
}

/// A part that is next, and what its reader says; none: it can be read once only, and is the consumer's to read.
pub struct Order {
    pub input: usize,
    pub part: Part,
    pub last: bool,
    pub words: Option<Words>,
    number: u64,
}

/// What the reader of one part says.
pub struct Words(Receiver<Word>);

impl Words {
    /// None: it says no more.
    pub fn next(&self) -> Option<Word> {
        self.0.recv().ok()
    }
}

/// What the readers share.
pub struct Crew<'a> {
    inputs: &'a [Input],
    plan: &'a Plan,
    cut: Cut,
    queue: Mutex<Queue>,
    gate: Mutex<Gate>,
    opened: Condvar,
    known: Mutex<BTreeMap<Arc<str>, Arc<Known>>>,
}

/// What is still to be read.
#[derive(Default)]
struct Queue {
    next_input: usize,
    parts: VecDeque<(usize, Part)>,
    number: u64,
}

#[derive(Default)]
struct Gate {
    /// Whose turn it is.
    turn: u64,
    /// What others have handed over and nobody has consumed, by part.
    held_bytes: BTreeMap<u64, usize>,
    closed: bool,
}

/// Nobody consumes any more.
struct Gone;

/// More readers than that wait for the one that consumes.
const READERS_MAX: usize = 16;

/// As many as the machine has processors for.
pub fn readers() -> usize {
    thread::available_parallelism().map_or(1, |processors| processors.get().min(READERS_MAX))
}

/// Has `readers` threads read all inputs ahead, while `consume` takes the parts in order.
///
/// # Errors
/// The first of `consume`; threads that cannot be started.
pub fn read(
    inputs: &[Input],
    plan: &Plan,
    readers: usize,
    cut: Cut,
    mut consume: impl FnMut(Order, &Crew<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let crew = Crew {
        inputs,
        plan,
        cut,
        queue: Mutex::default(),
        gate: Mutex::default(),
        opened: Condvar::new(),
        known: Mutex::default(),
    };
    thread::scope(|scope| {
        let (orders, taken) = bounded(readers * ORDERS_PER_READER);
        let mut started = Ok(());
        for number in 0..readers {
            let (crew, orders) = (&crew, orders.clone());
            let reader = thread::Builder::new().name(format!("reader-{number}"));
            if let Err(error) = reader.spawn_scoped(scope, move || crew.work(&orders)) {
                // Fewer do it too.
                started = if number == 0 { Err(error) } else { Ok(()) };
                break;
            }
        }
        drop(orders);
        let consumed = started.and_then(|()| {
            taken.iter().try_for_each(|order: Order| {
                crew.turn_to(order.number);
                consume(order, &crew)
            })
        });
        lock(&crew.gate).closed = true;
        crew.opened.notify_all();
        consumed
    })
}

impl Crew<'_> {
    pub fn publish(&self, source: &Arc<str>, known: Arc<Known>) {
        lock(&self.known).insert(source.clone(), known);
    }

    fn known(&self, source: &Arc<str>) -> Option<Arc<Known>> {
        if !self.plan.novelty.enabled {
            return None;
        }
        Some(lock(&self.known).entry(source.clone()).or_default().clone())
    }

    /// Until nothing is left to be read, or nobody wants it.
    fn work(&self, orders: &Sender<Order>) {
        while let Some((input, part, words, number)) = self.next(orders) {
            // Nobody listens to this part any more: perhaps to the next.
            self.read(&self.inputs[input], part, &words, number).ok();
        }
    }

    /// The next part, which is ordered under the lock, so that orders are in order.
    fn next(&self, orders: &Sender<Order>) -> Option<(usize, Part, Sender<Word>, u64)> {
        let mut queue = lock(&self.queue);
        loop {
            let (input, part) = self.next_part(&mut queue)?;
            queue.number += 1;
            let can_be_read_twice = match &self.inputs[input].place {
                InputPlace::Stdin => false,
                InputPlace::File(path) => std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()),
            };
            let (words, heard) = bounded(WORDS_MAX);
            let order = Order {
                input,
                part,
                last: part.to.is_none(),
                words: can_be_read_twice.then_some(Words(heard)),
                number: queue.number,
            };
            orders.send(order).ok()?;
            if can_be_read_twice {
                return Some((input, part, words, queue.number));
            }
        }
    }

    fn next_part(&self, queue: &mut Queue) -> Option<(usize, Part)> {
        if queue.parts.is_empty() {
            let number = queue.next_input;
            let input = self.inputs.get(number)?;
            queue.next_input += 1;
            let parts = unit::parts(input, self.plan, self.cut);
            queue.parts = parts.into_iter().map(|part| (number, part)).collect();
        }
        queue.parts.pop_front()
    }

    fn read(&self, input: &Input, part: Part, words: &Sender<Word>, number: u64) -> Result<(), Gone> {
        let say = |word: Word| words.send(word).map_err(|_| Gone);
        match self.try_read(input, part, words, number) {
            Ok(said) => said,
            Err(error) => say(Word::Failed(error)),
        }
    }

    fn try_read(&self, input: &Input, part: Part, words: &Sender<Word>, number: u64) -> io::Result<Result<(), Gone>> {
        let source = &self.plan.source_of(&input.place).name;
        let (begins, mut reading) = if part.from == 0 {
            match Reading::open(input, self.plan, part)? {
                Some((head, reading)) => (Word::Opened(Box::new(head)), reading),
                None => return Ok(words.send(Word::Skipped).map_err(|_| Gone)),
            }
        } else {
            let reading = Reading::open_within(input, self.plan, part, self.known(source))?;
            let standing = Box::new(reading.standing());
            (Word::Stands(standing, reading.stream.next_line()), reading)
        };
        if words.send(begins).is_err() {
            return Ok(Err(Gone));
        }
        while let Some(pass) = reading.next(self.known(source))? {
            if self.hand_over(pass, words, number).is_err() {
                return Ok(Err(Gone));
            }
        }
        let last = reading.finish(input)?;
        let ended = Word::Ended(Box::new(reading));
        let handed_over = self.hand_over(last, words, number);
        Ok(handed_over.and_then(|()| words.send(ended).map_err(|_| Gone)))
    }

    fn hand_over(&self, pass: Pass, words: &Sender<Word>, number: u64) -> Result<(), Gone> {
        let mut gate = lock(&self.gate);
        let is_full = |gate: &Gate| gate.held_bytes.values().sum::<usize>() > HELD_MAX_BYTES;
        while gate.turn != number && !gate.closed && is_full(&gate) {
            gate = self.opened.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        // Whose turn it is holds no more than its channel does.
        if gate.turn != number {
            *gate.held_bytes.entry(number).or_default() += pass.weight();
        }
        drop(gate);
        words.send(Word::Pass(Box::new(pass))).map_err(|_| Gone)
    }

    /// What this part has held is consumed now.
    fn turn_to(&self, number: u64) {
        let mut gate = lock(&self.gate);
        gate.turn = number;
        gate.held_bytes.remove(&number);
        self.opened.notify_all();
    }
}

/// A reader that panics aborts the process: there is no poison.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
