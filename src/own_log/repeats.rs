//! What repeats is told once and then counted.
//!
//! The same message is told once in [`WINDOW`]; one place of the program tells at most [`PLACE_MAX`] different messages
//! in it. What was held back is told as a count with the first message that comes after the window, or at the end.
//! Bounded: at most [`PLACES_MAX`] places and [`PLACE_MAX`] messages of each are remembered.

use log::Level;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
const PLACE_MAX: usize = 10;
const PLACES_MAX: usize = 128;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub level: Level,
    pub target: String,
    pub text: String,
}

/// A line of the program's source.
pub type Place = (String, u32);

#[derive(Debug, Default)]
pub struct Repeats {
    places: HashMap<Place, Recent>,
}

/// What one place has said since `begin`.
#[derive(Debug)]
struct Recent {
    begin: Instant,
    told: Vec<(Said, u64)>,
    /// Different messages beyond [`PLACE_MAX`]: the first, and how many.
    left_out: Option<(Said, u64)>,
}

impl Repeats {
    /// The counts that are due, and `said` itself unless it is held back.
    pub fn say(&mut self, said: Said, place: Place, now: Instant) -> (Vec<Said>, Option<Said>) {
        let mut counts = Vec::new();
        self.places.retain(|_, recent| {
            let over = now.saturating_duration_since(recent.begin) >= WINDOW;
            if over {
                counts.append(&mut recent.counts());
            }
            !over
        });
        if self.places.len() >= PLACES_MAX && !self.places.contains_key(&place) {
            return (counts, Some(said));
        }
        let recent = self.places.entry(place).or_insert_with(|| Recent {
            begin: now,
            told: Vec::new(),
            left_out: None,
        });
        (counts, recent.say(said))
    }

    /// All counts, at the end.
    pub fn take_counts(&mut self) -> Vec<Said> {
        self.places
            .drain()
            .flat_map(|(_, mut recent)| recent.counts())
            .collect()
    }
}

impl Recent {
    fn say(&mut self, said: Said) -> Option<Said> {
        if let Some((_, more)) = self.told.iter_mut().find(|(told, _)| *told == said) {
            *more += 1;
            return None;
        }
        if self.told.len() >= PLACE_MAX {
            self.left_out.get_or_insert((said, 0)).1 += 1;
            return None;
        }
        self.told.push((said.clone(), 0));
        Some(said)
    }

    fn counts(&mut self) -> Vec<Said> {
        let repeated = self.told.drain(..).filter(|(_, more)| *more > 0);
        let repeated = repeated.map(|(said, more)| {
            let text = format!("{} (said {more} times more)", said.text);
            Said { text, ..said }
        });
        let left_out = self.left_out.take().map(|(said, count)| {
            let text = format!("{} (and {} like it, left out)", said.text, count - 1);
            Said { text, ..said }
        });
        repeated.chain(left_out).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        Said {
            level: Level::Warn,
            target: "t".into(),
            text: text.into(),
        }
    }

    fn place(line: u32) -> Place {
        ("src/x.rs".into(), line)
    }

    #[test]
    fn the_same_message_is_told_once_and_its_repeats_are_counted_after_a_minute() {
        let mut repeats = Repeats::default();
        let begin = Instant::now();
        assert_eq!(repeats.say(said("down"), place(1), begin).1, Some(said("down")));
        for _ in 0..3 {
            assert_eq!(repeats.say(said("down"), place(1), begin), (vec![], None));
        }
        let (counts, new) = repeats.say(said("up"), place(2), begin + WINDOW);
        assert_eq!(counts, [said("down (said 3 times more)")]);
        assert_eq!(new, Some(said("up")));
        assert_eq!(repeats.take_counts(), []);
    }

    #[test]
    fn one_place_with_ever_other_messages_is_limited_too() {
        let mut repeats = Repeats::default();
        let begin = Instant::now();
        let told = (0..25).filter_map(|n| repeats.say(said(&format!("file {n}")), place(1), begin).1);
        assert_eq!(told.count(), PLACE_MAX);
        // Another place is not held back by it.
        assert!(repeats.say(said("else"), place(2), begin).1.is_some());
        assert_eq!(repeats.take_counts(), [said("file 10 (and 14 like it, left out)")]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_beyond_is_told() {
        let mut repeats = Repeats::default();
        let begin = Instant::now();
        for line in 0..1000 {
            assert!(repeats.say(said("x"), place(line), begin).1.is_some());
        }
        assert_eq!(repeats.places.len(), PLACES_MAX);
    }
}
