//! Which model's word counts while instances of the service are brought up to date one by one, and two models answer.
//!
//! The one that came last. What it has replaced is not listened to while it answers itself: else each answer would change
//! the model, and each change lets everything be judged anew. Time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Replaced models that are remembered.
const REPLACED_MAX: usize = 8;
/// A model that has not answered for so long has gone: one that it had replaced may come back.
const GONE_AFTER: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub struct Versions {
    /// With the time of its last answer.
    current: Option<(String, Instant)>,
    replaced: VecDeque<String>,
}

impl Versions {
    /// Whether the answer of `model` counts. Else: by which model it was replaced.
    pub fn admit(&mut self, model: &str, now: Instant) -> Result<(), String> {
        if let Some((current, seen)) = &mut self.current {
            if current == model {
                *seen = now;
                return Ok(());
            }
            if now.duration_since(*seen) < GONE_AFTER && self.replaced.iter().any(|old| old == model) {
                return Err(current.clone());
            }
        }
        self.replaced.retain(|old| old != model);
        if let Some((old, _)) = self.current.replace((model.to_owned(), now)) {
            self.replaced.push_back(old);
            if self.replaced.len() > REPLACED_MAX {
                self.replaced.pop_front();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replaced_is_not_listened_to_while_the_newer_one_answers() {
        let (mut versions, begin) = (Versions::default(), Instant::now());
        let minute = |minutes: u64| begin + Duration::from_secs(60 * minutes);
        let mut says = |model: &str, minutes| versions.admit(model, minute(minutes));
        assert_eq!(says("shop 1", 0), Ok(()));
        assert_eq!(says("shop 2", 1), Ok(()), "an instance was brought up to date");
        assert_eq!(says("shop 1", 2), Err("shop 2".to_owned()), "another was not yet");
        assert_eq!(says("shop 2", 9), Ok(()));
        assert_eq!(says("shop 1", 18), Err("shop 2".to_owned()));
        assert_eq!(says("shop 1", 19), Ok(()), "the newer one was taken back");
        assert_eq!(says("shop 3", 20), Ok(()));
        assert_eq!(says("shop 2", 21), Err("shop 3".to_owned()));
    }
}
