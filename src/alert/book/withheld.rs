//! Messages that nobody heard, because a silence covered them: what is said of their groups when it ends.
//!
//! A group remembers what was withheld last. When nothing covers it any more, a group that still fires is said, and one
//! whose firing was told before the silence and that was resolved within it is said to be over.

use super::{Book, Group, Key, Now, Reason, Said, Status, Told, id, say, sequel};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What of a group nobody heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Withheld {
    /// Its firing, and all since.
    Firing(Reason),
    /// Only what followed the firing.
    Sequel,
}

impl Book {
    /// Nobody is told of `said`.
    pub fn withhold(&mut self, said: &Said) {
        let Some(mut group) = self.take(&said.key) else {
            return;
        };
        group.withheld = Some(match (group.withheld, said.status) {
            (_, Status::Firing) => Withheld::Firing(said.reason),
            (Some(Withheld::Firing(reason)), Status::Repeated | Status::Resolved) => Withheld::Firing(reason),
            (Some(Withheld::Sequel) | None, Status::Repeated | Status::Resolved) => Withheld::Sequel,
        });
        // The next message counts what this one would have told.
        if said.status != Status::Firing {
            group.unsaid = said.count;
            group.unsaid_since_ms = said
                .period_ms
                .map_or(0, |period| group.last_said_ms.saturating_sub(period));
        }
        self.put(said.key.clone(), group);
        self.withheld.insert(said.key.clone());
    }

    /// A record of a group that nothing covers: what is said of it, where `said` is what the book says anyway. Who has
    /// not heard of the firing hears of it now.
    pub fn hear(&mut self, source: &Arc<str>, fingerprint: &str, said: Option<Said>, now: Now) -> Option<Said> {
        if self.withheld.is_empty() {
            return said;
        }
        let key = &Key {
            source: source.clone(),
            fingerprint: fingerprint.into(),
        };
        if !self.withheld.contains(key) {
            return said;
        }
        let unheard = self.groups.get(key).and_then(|group| group.withheld);
        match (unheard, &said) {
            (Some(Withheld::Firing(_)), _) => self.release(key, now),
            (Some(Withheld::Sequel) | None, Some(_)) => {
                self.forget_withheld(key);
                said
            }
            (Some(Withheld::Sequel) | None, None) => None,
        }
    }

    /// Groups of which something was withheld.
    pub fn withheld(&self) -> Vec<Key> {
        self.withheld.iter().cloned().collect()
    }

    /// Nothing covers the group any more: what is said of it now, if there is anything left to say.
    pub fn release(&mut self, key: &Key, now: Now) -> Option<Said> {
        let mut group = self.forget_withheld(key)?;
        let said = match (group.withheld.take()?, group.firing) {
            (Withheld::Firing(reason), true) => {
                group.unsaid = 0;
                (group.last_said_ms, group.unsaid_since_ms) = (now.boot_ms, now.boot_ms);
                Some(Told::firing(group.count, group.firing_id.clone(), reason))
            }
            // It came and went unheard.
            (Withheld::Firing(_), false) => None,
            (Withheld::Sequel, true) => Some(sequel(&mut group, Status::Repeated, Reason::Ongoing, now)),
            (Withheld::Sequel, false) => Some(Told {
                id: id::of_sequel(&group.firing_id, Status::Resolved.as_str(), group.ordinal),
                status: Status::Resolved,
                reason: Reason::Quiet,
                count: std::mem::take(&mut group.unsaid),
                period_ms: (group.unsaid_since_ms > 0)
                    .then(|| group.last_said_ms.saturating_sub(group.unsaid_since_ms)),
            }),
        };
        let said = said.map(|told| say(key, &group, told));
        self.replace(key, group);
        said
    }

    /// Takes the mark off; a copy of the group as it was.
    fn forget_withheld(&mut self, key: &Key) -> Option<Group> {
        self.withheld.remove(key);
        let before = self.groups.get(key)?.clone();
        let group = Group {
            withheld: None,
            ..before.clone()
        };
        self.replace(key, group);
        Some(before)
    }

    fn replace(&mut self, key: &Key, group: Group) {
        self.take(key);
        self.put(key.clone(), group);
    }

    fn take(&mut self, key: &Key) -> Option<Group> {
        let group = self.groups.remove(key)?;
        self.timers.remove(&(self.next_ms(&group), key.clone()));
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alert, at, settings};
    use super::super::{BTreeMap, Level};
    use super::*;

    struct World {
        book: Book,
        offset: u64,
    }

    /// What a receiver sees of a message.
    type Heard = (Status, Reason, u64);

    impl World {
        fn new() -> Self {
            Self {
                book: Book::new(&settings(), []),
                offset: 0,
            }
        }

        fn key() -> Key {
            Key {
                source: "app".into(),
                fingerprint: "a".into(),
            }
        }

        fn record(&mut self, minute: u64, severity: Level, silenced: bool) -> Option<Heard> {
            self.offset += 1;
            let now = at(minute);
            let said = self
                .book
                .observe(&"app".into(), &alert("a", self.offset, severity, now), now);
            self.pass(said, now, silenced)
        }

        fn pass(&mut self, said: Option<Said>, now: Now, silenced: bool) -> Option<Heard> {
            if silenced {
                said.iter().for_each(|said| self.book.withhold(said));
                return None;
            }
            let said = self.book.hear(&"app".into(), "a", said, now)?;
            Some((said.status, said.reason, said.count))
        }

        fn time_passes(&mut self, minute: u64, silenced: bool) -> Option<Heard> {
            let said = self.book.due(at(minute), &|_| true).pop()?;
            self.pass(Some(said), at(minute), silenced)
        }

        fn silence_ends(&mut self, minute: u64) -> Option<Heard> {
            let keys = self.book.withheld();
            let said = keys.iter().find_map(|key| self.book.release(key, at(minute)))?;
            Some((said.status, said.reason, said.count))
        }
    }

    #[test]
    fn a_group_that_still_fires_when_its_silence_ends_is_said_with_all_that_was_counted() {
        let mut world = World::new();
        for minute in 0..10 {
            assert_eq!(world.record(minute, Level::Error, true), None);
        }
        assert_eq!(world.silence_ends(11), Some((Status::Firing, Reason::New, 10)));
        assert_eq!(world.silence_ends(12), None, "once");
        assert_eq!(world.record(13, Level::Error, false), None, "and counted from then on");
        assert_eq!(world.time_passes(60, false), Some((Status::Resolved, Reason::Quiet, 1)));
    }

    #[test]
    fn what_came_and_went_within_a_silence_is_never_said() {
        let mut world = World::new();
        world.record(0, Level::Error, true);
        assert_eq!(world.time_passes(30, true), None);
        assert_eq!(world.silence_ends(31), None);
        assert_eq!(
            world.record(40, Level::Error, false),
            Some((Status::Firing, Reason::Again, 1))
        );
    }

    #[test]
    fn what_was_told_before_the_silence_and_resolved_within_it_is_said_to_be_over() {
        let mut world = World::new();
        assert_eq!(
            world.record(0, Level::Error, false),
            Some((Status::Firing, Reason::New, 1))
        );
        assert_eq!(world.time_passes(30, true), None);
        assert_eq!(world.silence_ends(40), Some((Status::Resolved, Reason::Quiet, 0)));
    }

    #[test]
    fn a_repetition_that_was_withheld_is_counted_by_the_next_message() {
        let mut world = World::new();
        world.record(0, Level::Error, false);
        for minute in 1..=240 {
            world.record(minute, Level::Error, true);
        }
        assert_eq!(world.time_passes(240, true), None);
        assert_eq!(world.silence_ends(241), Some((Status::Repeated, Reason::Ongoing, 240)));
    }

    #[test]
    fn a_record_that_the_silence_does_not_cover_tells_of_the_firing() {
        let mut world = World::new();
        assert_eq!(world.record(0, Level::Warn, true), None);
        assert_eq!(world.record(1, Level::Warn, true), None);
        assert_eq!(
            world.record(2, Level::Fatal, false),
            Some((Status::Firing, Reason::New, 3))
        );
        assert_eq!(world.record(3, Level::Warn, true), None, "the group fires already");
        assert_eq!(world.record(4, Level::Fatal, false), None);
    }

    #[test]
    fn what_was_withheld_is_known_after_a_restart() {
        let mut world = World::new();
        world.record(0, Level::Error, true);
        let kept: BTreeMap<Key, Group> = world.book.take_changes().0.into_iter().collect();
        let text = serde_json::to_string(&kept[&World::key()]).unwrap();
        world.book = Book::new(&settings(), [(World::key(), serde_json::from_str(&text).unwrap())]);
        assert_eq!(world.silence_ends(1), Some((Status::Firing, Reason::New, 1)));
    }
}
