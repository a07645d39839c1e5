//! Novelty: when a template that was never seen before is news. Pure; time is an argument.
//!
//! A source learns first. It has learned when new templates have become rare (under 1 in 1,000 records, over at least
//! 10,000 records and an hour), or after a given time. From then on a new template is news; more news than
//! `max_per_hour` are one digest, and the source learns again: a new release is learned, not told line by line. A source
//! whose table of templates is full is told once and has no news any more.

use crate::record::Level;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A source has learned over at least so many records …
pub const LEARN_RECORDS_MIN: u64 = 10_000;
/// … with fewer than one new template in so many …
pub const LEARN_RECORDS_PER_NEW: u64 = 1_000;
/// … and over at least this time.
pub const LEARN_TIME_MIN: Duration = Duration::from_secs(3600);
/// The hour of `max_per_hour`.
const HOUR_MS: i64 = 3_600_000;
/// A stamp so far ahead of its arrival is not believed.
const AHEAD_MAX_MS: i64 = 24 * HOUR_MS;
/// Titles kept for a digest.
const TITLES_MAX: usize = 100;

/// `analyzers.novelty` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub enabled: bool,
    pub learn_for: LearnFor,
    pub severity: Level,
    pub max_per_hour: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            learn_for: LearnFor::Auto,
            severity: Level::Warn,
            max_per_hour: 10,
        }
    }
}

/// How long a source learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearnFor {
    Auto,
    Duration(Duration),
}

/// When a record came, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// By the host's clock (in `scan`: the log's).
    pub arrived_ms: i64,
    /// By the record's own stamp.
    pub stamp_ms: Option<i64>,
}

/// What is to be done about a new template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// Nothing: the source learns, or its table is full.
    Quiet,
    News,
    /// There were more news within an hour than anybody wants to read. These are their titles, and the source learns.
    Flood {
        titles: Vec<String>,
        ordinal: u32,
    },
}

/// How far a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Learning,
    Learned,
    /// Its table is full.
    Shadow,
}

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Learning => "learning",
            Phase::Learned => "learned",
            Phase::Shadow => "shadow",
        }
    }
}

/// What is kept of one source in the state besides its templates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learner {
    learned: bool,
    /// Since it began to learn (`auto`: since new templates were frequent last); none: nothing came yet.
    since: Option<Since>,
    /// Since then.
    records: u64,
    new: u64,
    /// When it began to learn.
    began_ms: Option<i64>,
    /// News of the last hour, with their titles.
    news: Vec<(i64, String)>,
    floods: u32,
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Since {
    arrived_ms: i64,
    stamp_ms: Option<i64>,
}

impl Learner {
    /// So many more records, the last of them now.
    pub fn saw(&mut self, records: u64, at: At) {
        self.records += records;
        if records > 0 {
            self.begin(at);
        }
    }

    /// A template was made of the message of a record that nobody else found: `title` tells what it is.
    pub fn new_template(&mut self, at: At, settings: &Settings, title: &str) -> Opinion {
        self.begin(at);
        self.settle(at, settings);
        if self.full {
            return Opinion::Quiet;
        }
        if !self.learned {
            self.learn(at);
            return Opinion::Quiet;
        }
        self.news.retain(|(ms, _)| (0..HOUR_MS).contains(&(at.arrived_ms - ms)));
        if self.news.len() < settings.max_per_hour as usize {
            self.news.push((at.arrived_ms, title.to_owned()));
            return Opinion::News;
        }
        let mut titles: Vec<String> = self.news.drain(..).map(|(_, title)| title).collect();
        titles.push(title.to_owned());
        titles.truncate(TITLES_MAX);
        self.floods += 1;
        self.learn_again();
        self.begin(at);
        Opinion::Flood {
            titles,
            ordinal: self.floods,
        }
    }

    /// The same of a record that somebody else has found: what they say of it will say that it is new, too. That is no
    /// alert more, so it is not counted.
    pub fn new_template_found_by_others(&mut self, at: At, settings: &Settings) -> Opinion {
        self.begin(at);
        self.settle(at, settings);
        match (self.full, self.learned) {
            (true, _) => Opinion::Quiet,
            (false, true) => Opinion::News,
            (false, false) => {
                self.learn(at);
                Opinion::Quiet
            }
        }
    }

    /// A record of a rare template came; whether it may be told: rare ones share `max_per_hour` with the new, and are no
    /// reason to learn again.
    pub fn tells_rare(&mut self, at: At, settings: &Settings, title: &str) -> bool {
        self.news.retain(|(ms, _)| (0..HOUR_MS).contains(&(at.arrived_ms - ms)));
        let has_room = self.news.len() < settings.max_per_hour as usize;
        if has_room {
            self.news.push((at.arrived_ms, title.to_owned()));
        }
        has_room
    }

    /// The table is full; whether that is to be told (once).
    pub fn table_full(&mut self) -> bool {
        !std::mem::replace(&mut self.full, true)
    }

    pub fn phase(&mut self, at: At, settings: &Settings) -> Phase {
        self.settle(at, settings);
        match (self.full, self.learned) {
            (true, _) => Phase::Shadow,
            (false, true) => Phase::Learned,
            (false, false) => Phase::Learning,
        }
    }

    /// Forgets how far it was; what it knows stays known.
    pub fn learn_again(&mut self) {
        self.learned = false;
        (self.records, self.new) = (0, 0);
        (self.since, self.began_ms) = (None, None);
    }

    fn learn(&mut self, at: At) {
        self.new += 1;
        if self.new * LEARN_RECORDS_PER_NEW >= self.records.max(LEARN_RECORDS_MIN) {
            // Still frequent: what counts begins behind it.
            (self.records, self.new) = (0, 0);
            self.since = None;
            self.begin(at);
        }
    }

    fn begin(&mut self, at: At) {
        self.began_ms.get_or_insert(at.arrived_ms);
        self.since.get_or_insert(Since {
            arrived_ms: at.arrived_ms,
            stamp_ms: believed(at),
        });
    }

    /// Ends the learning when it is time.
    fn settle(&mut self, at: At, settings: &Settings) {
        let (Some(since), Some(began_ms), false) = (self.since, self.began_ms, self.learned) else {
            return;
        };
        self.learned = match settings.learn_for {
            LearnFor::Duration(duration) => at.arrived_ms - began_ms >= millis(duration),
            LearnFor::Auto => {
                let by_stamps = believed(at).zip(since.stamp_ms).map(|(now, then)| now - then);
                let passed_ms = by_stamps.unwrap_or(0).max(at.arrived_ms - since.arrived_ms);
                self.records >= LEARN_RECORDS_MIN
                    && self.new * LEARN_RECORDS_PER_NEW < self.records
                    && passed_ms >= millis(LEARN_TIME_MIN)
            }
        };
    }
}

fn believed(at: At) -> Option<i64> {
    at.stamp_ms.filter(|stamp| *stamp <= at.arrived_ms + AHEAD_MAX_MS)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> At {
        At {
            arrived_ms: minute * 60_000,
            stamp_ms: None,
        }
    }

    fn stamped(arrived_minute: i64, stamp_minute: i64) -> At {
        At {
            stamp_ms: Some(stamp_minute * 60_000),
            ..at(arrived_minute)
        }
    }

    fn learned() -> Learner {
        let mut learner = Learner::default();
        learner.saw(20_000, at(0));
        assert_eq!(learner.phase(at(61), &Settings::default()), Phase::Learned);
        learner
    }

    #[test]
    fn a_fresh_host_does_not_storm() {
        let (mut learner, settings) = (Learner::default(), Settings::default());
        for n in 0..3_000 {
            learner.saw(10, at(n / 10));
            let told = learner.new_template(at(n / 10), &settings, "x");
            assert_eq!(
                told,
                Opinion::Quiet,
                "template {n} of a source whose every tenth record is new"
            );
        }
        learner.saw(9_000, at(301));
        assert_eq!(
            learner.phase(at(900), &settings),
            Phase::Learning,
            "too few records since"
        );
        learner.saw(1_100, at(901));
        assert_eq!(learner.phase(at(901), &settings), Phase::Learned);
        assert_eq!(learner.new_template(at(902), &settings, "x"), Opinion::News);
    }

    #[test]
    fn an_hour_must_pass_by_the_host_or_by_the_log() {
        let settings = Settings::default();
        let mut learner = Learner::default();
        learner.saw(50_000, stamped(0, -6000));
        assert_eq!(learner.phase(stamped(1, -5990), &settings), Phase::Learning);
        assert_eq!(
            learner.clone().phase(stamped(1, 50_000), &settings),
            Phase::Learning,
            "a stamp of next month is not believed"
        );
        assert_eq!(learner.clone().phase(stamped(1, -5900), &settings), Phase::Learned);
        assert_eq!(learner.phase(at(60), &settings), Phase::Learned);
    }

    #[test]
    fn a_new_release_is_one_digest_and_is_learned() {
        let (mut learner, settings) = (learned(), Settings::default());
        let told: Vec<Opinion> = (0..50)
            .map(|n| learner.new_template(at(100), &settings, &format!("t{n}")))
            .collect();
        assert!(told[..10].iter().all(|opinion| *opinion == Opinion::News), "{told:?}");
        let Opinion::Flood { titles, ordinal: 1 } = &told[10] else {
            panic!("{:?}", told[10])
        };
        assert_eq!((titles.len(), titles[10].as_str()), (11, "t10"));
        assert!(told[11..].iter().all(|opinion| *opinion == Opinion::Quiet), "{told:?}");
        assert_eq!(learner.phase(at(101), &settings), Phase::Learning);
    }

    #[test]
    fn news_spread_over_the_day_are_all_told() {
        let (mut learner, settings) = (learned(), Settings::default());
        for n in 0..200 {
            learner.saw(1, at(100 + 7 * n));
            assert_eq!(learner.new_template(at(100 + 7 * n), &settings, "x"), Opinion::News);
        }
    }

    #[test]
    fn a_duration_is_kept_whatever_comes() {
        let settings = Settings {
            learn_for: LearnFor::Duration(Duration::from_secs(120)),
            ..Settings::default()
        };
        let mut learner = Learner::default();
        assert_eq!(
            learner.new_template(stamped(10, 9000), &settings, "x"),
            Opinion::Quiet,
            "the first record begins it"
        );
        assert_eq!(learner.new_template(at(11), &settings, "x"), Opinion::Quiet);
        assert_eq!(learner.new_template(at(12), &settings, "x"), Opinion::News);
    }

    #[test]
    fn a_restart_goes_on_where_it_was() {
        let mut learner = learned();
        learner.new_template(at(70), &Settings::default(), "x");
        let stored = serde_json::to_string(&learner).unwrap();
        assert_eq!(serde_json::from_str::<Learner>(&stored).unwrap(), learner);
        assert!(learner.table_full() && !learner.table_full(), "told once");
        assert_eq!(learner.phase(at(71), &Settings::default()), Phase::Shadow);
    }
}
