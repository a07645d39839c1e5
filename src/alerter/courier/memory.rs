//! What a courier remembers between sweeps: what the outbox cannot know yet because the keeper has not committed it.
//!
//! Bounded by the outbox, whose size is: every entry goes when the outbox no longer returns its delivery.

use super::Delivery;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// A dead delivery that the outbox returns as queued so long after we told the keeper was queued again by a person.
const DEAD_REMEMBERED: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Delivered,
    Dead { at: Duration },
}

/// What to do with a queued delivery now.
#[derive(Debug)]
pub(super) enum Verdict {
    Due(Delivery),
    NotBefore(Duration),
    /// Sent already, parked, or behind another of its fingerprint.
    Skip,
}

#[derive(Debug, Clone, Copy)]
struct PutOff {
    tries: u32,
    not_before: Duration,
    /// In which it failed; none: all fail alike.
    round: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Parked {
    tries: u32,
    fingerprint: String,
    /// The outbox may still return it as queued: our mark is not committed yet.
    queued: bool,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// In order per fingerprint, parked ones included. Where every record goes by itself, a parked one is overtaken:
    /// else one that a receiver cannot digest would hold back all of its kind.
    grouped: bool,
    /// A round ends when all that is due was tried. Until then what failed in it is not tried again where deliveries go
    /// one by one: a few that a receiver cannot digest would else share all tries among them.
    round: u64,
    one_by_one: bool,
    /// Everything up to this seq was delivered: sweeps begin behind it, however long the keeper takes to commit that.
    settled: i64,
    done: BTreeMap<i64, Done>,
    /// Done while it was parked: the outbox may still return it as such.
    done_parked: BTreeSet<i64>,
    put_off: HashMap<i64, PutOff>,
    pub(super) parked: BTreeMap<i64, Parked>,
    /// Of this sweep: fingerprints of which an earlier delivery waits.
    held: HashSet<String>,
}

impl Memory {
    pub(super) fn new(grouped: bool, one_by_one: bool) -> Self {
        Self {
            grouped,
            one_by_one,
            ..Self::default()
        }
    }

    /// Another way of sending from now on (reload).
    pub(super) fn set_way(&mut self, grouped: bool, one_by_one: bool) {
        (self.grouped, self.one_by_one) = (grouped, one_by_one);
    }

    /// All that was due has been tried.
    pub(super) fn end_round(&mut self) {
        self.round += 1;
    }

    pub(super) fn begin_sweep(&mut self) {
        self.held.clear();
        if self.grouped {
            self.held.extend(self.parked.values().map(|p| p.fingerprint.clone()));
        }
    }

    pub(super) fn settled(&self) -> i64 {
        self.settled
    }

    /// Moves the beginning of the next sweep behind what was delivered in one run at the beginning of `page`, if all before
    /// the page was. A seq never comes again, so that what is behind need not be remembered.
    pub(super) fn settle(&mut self, after_seq: i64, page: &[Delivery]) {
        if after_seq != self.settled {
            return;
        }
        let is_delivered = |delivery: &&Delivery| matches!(self.done.get(&delivery.seq), Some(Done::Delivered));
        if let Some(last) = page.iter().take_while(is_delivered).last() {
            self.settled = last.seq;
            self.done = self.done.split_off(&(last.seq + 1));
        }
    }

    /// What the outbox does not return within the stretch it was asked for is gone: marked, dropped or compacted.
    pub(super) fn forget_absent(&mut self, after_seq: i64, reached: i64, page: &[Delivery]) {
        let absent = |seq: i64| page.binary_search_by_key(&seq, |d| d.seq).is_err();
        let covers = |seq: i64| seq > after_seq && seq <= reached;
        // Only the stretch itself is looked at: thousands may be done that the keeper has not committed.
        let stretch = (std::ops::Bound::Excluded(after_seq), std::ops::Bound::Included(reached));
        let gone: Vec<i64> = self
            .done
            .range(stretch)
            .map(|(&seq, _)| seq)
            .filter(|&seq| absent(seq))
            .collect();
        for seq in gone {
            self.done.remove(&seq);
        }
        self.put_off.retain(|&seq, _| !(covers(seq) && absent(seq)));
        for (_, parked) in self.parked.iter_mut().filter(|(seq, _)| covers(**seq) && absent(**seq)) {
            parked.queued = false;
        }
    }

    /// The same for parked ones: between `after_seq` and `reached` the outbox has none.
    pub(super) fn forget_absent_parked(&mut self, after_seq: i64, reached: i64) {
        let absent = |seq: i64| seq > after_seq && seq < reached;
        self.parked.retain(|&seq, parked| parked.queued || !absent(seq));
        self.done_parked.retain(|&seq| !absent(seq));
    }

    pub(super) fn verdict(&mut self, delivery: &Delivery, now: Duration) -> Verdict {
        let seq = delivery.seq;
        if seq <= self.settled {
            return Verdict::Skip;
        }
        match self.done.get(&seq) {
            Some(Done::Delivered) => return Verdict::Skip,
            Some(Done::Dead { at }) if now < *at + DEAD_REMEMBERED => return Verdict::Skip,
            Some(Done::Dead { .. }) | None => {}
        }
        // The outbox counts from zero again what a person told it to retry; we are not to hold it back.
        if delivery.tries == 0 && self.tries(delivery) > 1 {
            self.put_off.remove(&seq);
            self.parked.remove(&seq);
        }
        if self.parked.contains_key(&seq) {
            return Verdict::Skip;
        }
        if self.held.contains(&delivery.alert.fingerprint) {
            return Verdict::Skip;
        }
        match self.put_off.get(&seq) {
            Some(put_off) if put_off.not_before > now || self.one_by_one && put_off.round == Some(self.round) => {
                let at = put_off.not_before;
                self.hold(delivery);
                Verdict::NotBefore(at)
            }
            Some(_) | None => Verdict::Due(delivery.clone()),
        }
    }

    pub(super) fn hold(&mut self, delivery: &Delivery) {
        self.held.insert(delivery.alert.fingerprint.clone());
    }

    pub(super) fn is_held(&self, delivery: &Delivery) -> bool {
        self.held.contains(&delivery.alert.fingerprint)
    }

    /// Failed tries: the outbox's count may lag behind ours.
    pub(super) fn tries(&self, delivery: &Delivery) -> u32 {
        let put_off = self.put_off.get(&delivery.seq).map_or(0, |p| p.tries);
        let parked = self.parked.get(&delivery.seq).map_or(0, |p| p.tries);
        delivery.tries.max(put_off).max(parked)
    }

    /// Whatever was put off or parked may be tried again.
    pub(super) fn forget_waits(&mut self) {
        self.put_off.clear();
        self.parked.clear();
    }

    pub(super) fn done(&mut self, seq: i64, done: Done) {
        self.put_off.remove(&seq);
        match self.parked.remove(&seq) {
            Some(_) => {
                self.done_parked.insert(seq);
            }
            None => {
                self.done.insert(seq, done);
            }
        }
    }

    pub(super) fn put_off(&mut self, seq: i64, tries: u32, not_before: Duration) {
        let round = Some(self.round);
        self.put_off.insert(
            seq,
            PutOff {
                tries,
                not_before,
                round,
            },
        );
    }

    /// Failed as all would, and is where it was: queued or parked.
    pub(super) fn tried(&mut self, delivery: &Delivery, tries: u32, not_before: Duration) {
        match self.parked.get_mut(&delivery.seq) {
            Some(parked) => parked.tries = tries,
            None => {
                let put_off = PutOff {
                    tries,
                    not_before,
                    round: None,
                };
                self.put_off.insert(delivery.seq, put_off);
            }
        }
    }

    pub(super) fn park(&mut self, delivery: &Delivery, tries: u32) {
        self.put_off.remove(&delivery.seq);
        let fingerprint = delivery.alert.fingerprint.clone();
        let queued = self.parked.get(&delivery.seq).is_none_or(|parked| parked.queued);
        self.parked.insert(
            delivery.seq,
            Parked {
                tries,
                fingerprint,
                queued,
            },
        );
    }

    /// One that the outbox returned as parked.
    pub(super) fn know_parked(&mut self, delivery: &Delivery) {
        if self.done_parked.contains(&delivery.seq) {
            return;
        }
        let tries = self.tries(delivery);
        self.park(delivery, tries);
        if let Some(parked) = self.parked.get_mut(&delivery.seq) {
            parked.queued = false;
        }
    }

    /// Not sent already, and none of its fingerprint parked before it (where order counts).
    pub(super) fn may_try_parked(&self, delivery: &Delivery) -> bool {
        let earlier = || {
            self.parked
                .range(..delivery.seq)
                .any(|(_, p)| p.fingerprint == delivery.alert.fingerprint)
        };
        !(self.done_parked.contains(&delivery.seq) || self.grouped && earlier())
    }
}
