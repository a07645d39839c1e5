//! What was just committed, handed to the courier, so that it need not be read back from the outbox.
//!
//! The outbox stays the truth: a [`Feed`] covers the newest stretch of it, as long as all that is in that stretch came by
//! the feed. After a start, a failure, a command that changed the outbox, or when a courier is too slow to hold all of it
//! in memory, deliveries are read from the disk until the feed covers again what is asked for.

use super::Outbox;
use crate::alerter::Delivery;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Commits on their way to a courier; more are read from the disk.
const PORTIONS_MAX: usize = 64;
/// Payload bytes of what was fed and is not done with.
const FED_MAX_BYTES: usize = 1024 * 1024;

/// What one commit put into one queue.
#[derive(Debug)]
struct Portion {
    /// The delivery fed before, of whichever portion: where it is not the last that the courier has, one is missing.
    after_seq: i64,
    epoch: u64,
    deliveries: Vec<(Delivery, usize)>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Counts the changes of the outbox that did not come by the feed.
    epoch: AtomicU64,
    bytes: AtomicUsize,
}

/// The keeper's end.
#[derive(Debug)]
pub struct Feeder {
    portions: Sender<Portion>,
    shared: Arc<Shared>,
    fed_to: i64,
}

/// The courier's end.
#[derive(Debug)]
pub struct Fed {
    portions: Receiver<Portion>,
    shared: Arc<Shared>,
}

/// `newest_seq`: the highest in the outbox, or one that is as good; what comes is above it.
pub fn feed(newest_seq: i64) -> (Feeder, Fed) {
    let (sender, receiver) = bounded(PORTIONS_MAX);
    let shared = Arc::new(Shared::default());
    let feeder = Feeder {
        portions: sender,
        shared: shared.clone(),
        fed_to: newest_seq,
    };
    let fed = Fed {
        portions: receiver,
        shared,
    };
    (feeder, fed)
}

impl Feeder {
    /// Hands on what was committed, ascending, each with the bytes of its payload. Never waits.
    pub fn feed(&mut self, deliveries: Vec<(Delivery, usize)>) {
        let Some(last_seq) = deliveries.last().map(|(delivery, _)| delivery.seq) else {
            return;
        };
        let bytes: usize = deliveries.iter().map(|(_, bytes)| bytes).sum();
        let after_seq = std::mem::replace(&mut self.fed_to, last_seq);
        if self.shared.bytes.load(Ordering::Relaxed) + bytes > FED_MAX_BYTES {
            return self.interrupt();
        }
        let portion = Portion {
            after_seq,
            epoch: self.shared.epoch.load(Ordering::Acquire),
            deliveries,
        };
        match self.portions.try_send(portion) {
            Ok(()) => {
                self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Err(_) => self.interrupt(),
        }
    }

    /// The outbox has changed otherwise, or a portion found no room: what was fed is no longer the whole truth.
    pub fn interrupt(&self) {
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

/// An outbox whose newest stretch is in memory.
#[expect(missing_debug_implementations, reason = "holds a trait object")]
pub struct Feed {
    outbox: Box<dyn Outbox>,
    fed: Fed,
    epoch: u64,
    /// All that is queued above this is in `known`, if anything is.
    covers_above: Option<i64>,
    known: VecDeque<(Delivery, usize)>,
    /// The last answer was not a full page: the next question begins a sweep.
    through: bool,
}

impl Feed {
    pub fn new(outbox: Box<dyn Outbox>, fed: Fed) -> Self {
        Self {
            outbox,
            fed,
            epoch: 0,
            covers_above: None,
            known: VecDeque::new(),
            through: true,
        }
    }

    fn take_in(&mut self) {
        let epoch = self.fed.shared.epoch.load(Ordering::Acquire);
        if epoch != self.epoch {
            self.forget();
            self.epoch = epoch;
        }
        while let Ok(portion) = self.fed.portions.try_recv() {
            let follows = self.covers_above.is_some_and(|above| {
                let known_to = self.known.back().map_or(above, |(last, _)| last.seq);
                known_to == portion.after_seq
            });
            if !follows {
                self.forget();
                self.covers_above = Some(portion.after_seq);
            }
            self.known.extend(portion.deliveries);
            if portion.epoch != self.epoch {
                self.forget();
            }
        }
    }

    fn forget(&mut self) {
        let bytes = self.known.drain(..).map(|(_, bytes)| bytes).sum();
        self.fed.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.covers_above = None;
    }

    /// What lies before the beginning of a sweep will not be asked for again.
    fn settle(&mut self, seq: i64) {
        let settled = self.known.partition_point(|(delivery, _)| delivery.seq <= seq);
        let bytes = self.known.drain(..settled).map(|(_, bytes)| bytes).sum();
        self.fed.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.covers_above = self.covers_above.map(|above| above.max(seq));
    }
}

impl Outbox for Feed {
    fn next(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>> {
        self.take_in();
        let page = if self.covers_above.is_none_or(|above| after_seq < above) {
            self.outbox.next(after_seq, limit)?
        } else {
            if self.through {
                self.settle(after_seq);
            }
            let asked = self.known.iter().filter(|(delivery, _)| delivery.seq > after_seq);
            asked.take(limit).map(|(delivery, _)| delivery.clone()).collect()
        };
        self.through = page.len() < limit;
        Ok(page)
    }

    fn parked(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>> {
        self.outbox.parked(after_seq, limit)
    }

    fn doubt(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// The disk: what is queued, and how often it was asked.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<i64>, usize)>>);

    impl Outbox for Disk {
        fn next(&mut self, after_seq: i64, limit: usize) -> anyhow::Result<Vec<Delivery>> {
            let mut disk = self.0.lock().unwrap();
            disk.1 += 1;
            let above = disk.0.iter().filter(|&&seq| seq > after_seq);
            Ok(above.take(limit).map(|&seq| delivery(seq)).collect())
        }

        fn parked(&mut self, _: i64, _: usize) -> anyhow::Result<Vec<Delivery>> {
            Ok(Vec::new())
        }
    }

    fn delivery(seq: i64) -> Delivery {
        Delivery {
            seq,
            tries: 0,
            alert: Arc::new(crate::sample::alert()),
        }
    }

    struct World {
        disk: Disk,
        feeder: Feeder,
        feed: Feed,
    }

    fn world() -> World {
        let disk = Disk::default();
        let (feeder, fed) = feed(0);
        let feed = Feed::new(Box::new(disk.clone()), fed);
        World { disk, feeder, feed }
    }

    impl World {
        fn commit(&mut self, seqs: &[i64], bytes: usize) {
            self.disk.0.lock().unwrap().0.extend(seqs);
            self.feeder
                .feed(seqs.iter().map(|&seq| (delivery(seq), bytes)).collect());
        }

        fn next(&mut self, after_seq: i64) -> Vec<i64> {
            let found = self.feed.next(after_seq, 100).unwrap();
            found.iter().map(|delivery| delivery.seq).collect()
        }

        fn reads(&self) -> usize {
            self.disk.0.lock().unwrap().1
        }
    }

    #[test]
    fn what_was_fed_is_not_read_from_the_disk() {
        let mut world = world();
        world.commit(&[3, 5], 10);
        assert_eq!(world.next(0), [3, 5]);
        world.commit(&[8], 10);
        assert_eq!(world.next(5), [8]);
        assert_eq!(world.next(8), [0; 0]);
        assert_eq!(world.reads(), 0);
    }

    #[test]
    fn what_was_committed_before_the_feed_began_is_read_from_the_disk() {
        let mut world = world();
        world.disk.0.lock().unwrap().0.extend([1, 2]);
        world.feeder.fed_to = 2;
        world.commit(&[7], 10);
        assert_eq!(world.next(0), [1, 2, 7]);
        assert_eq!(world.reads(), 1);
        assert_eq!(world.next(2), [7]);
        assert_eq!(world.reads(), 1);
    }

    #[test]
    fn a_courier_too_slow_to_hold_all_of_it_misses_nothing() {
        let mut world = world();
        for seq in 1..=200 {
            world.commit(&[seq], FED_MAX_BYTES / 50);
        }
        let mut seen = Vec::new();
        loop {
            let found = world.next(seen.last().copied().unwrap_or(0));
            if found.is_empty() {
                break;
            }
            seen.extend(found);
        }
        assert_eq!(seen, (1..=200).collect::<Vec<i64>>());
        world.commit(&[201], 10);
        let reads = world.reads();
        assert_eq!(world.next(200), [201]);
        world.commit(&[202], 10);
        assert_eq!(
            (world.next(201), world.reads()),
            (vec![202], reads),
            "the feed covers again"
        );
        world.next(202);
        assert_eq!(
            world.feeder.shared.bytes.load(Ordering::Relaxed),
            0,
            "what is done with is let go"
        );
    }

    #[test]
    fn after_a_change_from_elsewhere_or_a_failure_the_disk_is_asked() {
        let mut world = world();
        world.commit(&[1, 2, 3], 10);
        assert_eq!(world.next(0), [1, 2, 3]);
        world.disk.0.lock().unwrap().0.retain(|&seq| seq != 2);
        world.feeder.interrupt();
        assert_eq!((world.next(0), world.reads()), (vec![1, 3], 1));
        world.commit(&[4], 10);
        assert_eq!(world.next(3), [4]);
        world.feed.doubt();
        assert_eq!((world.next(3), world.reads()), (vec![4], 2));
    }
}
