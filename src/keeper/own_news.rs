//! The agent's own news: that it was down, that it is alive, and that an alerter does not get through, told by the others.

use super::{BOOT_ID, Keeper, boot_id, now};
use crate::alert::book::Now;
use crate::alert::tidings::{Alive, Downtime, Trouble};
use crate::alert::{self, Alert, Heartbeat, Kind, News, Reason, Status, clock, id};
use crate::alerter;
use crate::collector::Opened;
use crate::record::Level;
use crate::state::{State, checkpoints, outbox};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Down for less is no news: a restart, or an upgrade. The heartbeat file is at most a minute old.
const DOWN_MIN: Duration = Duration::from_secs(120);
/// A key of `meta`: what has been told.
const TOLD: &str = "own_news";
/// A key of `meta`: how the last run ended.
const ENDED: &str = "ended";

/// How the last run ended, if it ended in order.
#[derive(Debug, Serialize, Deserialize)]
struct Ended {
    at_ms: i64,
    /// `run --once`: nobody expects it to be there all the time.
    once: bool,
}

/// What has been told, as it is kept in the state.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    heartbeat_ms: Option<i64>,
    /// Alerters that did not get through, with the id of the message and the beginning.
    troubled: BTreeMap<String, (String, jiff::Timestamp)>,
}

#[derive(Debug)]
pub(super) struct OwnNews {
    heartbeat: Option<Heartbeat>,
    told: Told,
    /// On the clock of the boot.
    heartbeat_due_ms: u64,
    since: jiff::Timestamp,
    /// Alerts, deliveries that were shed or are dead, and lost bytes as the last heartbeat saw them.
    before: Sums,
    pub lost_bytes: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    alerts: u64,
    undelivered: u64,
    lost_bytes: u64,
}

impl OwnNews {
    pub fn load(state: &State, settings: &alert::Settings, now: Now) -> Result<Self> {
        let told = state.meta(TOLD)?;
        let told: Told = told
            .and_then(|told| serde_json::from_str(&told).ok())
            .unwrap_or_default();
        let mut news = Self {
            heartbeat: None,
            told,
            heartbeat_due_ms: u64::MAX,
            since: now.wall,
            before: Sums::default(),
            lost_bytes: 0,
        };
        news.configure(settings, now);
        Ok(news)
    }

    /// The heartbeat that is wanted from here on.
    pub fn configure(&mut self, settings: &alert::Settings, now: Now) {
        self.heartbeat.clone_from(&settings.heartbeat);
        self.heartbeat_due_ms = u64::MAX;
        if let Some(heartbeat) = &self.heartbeat {
            let every_ms = millis(heartbeat.every);
            let gone_ms = self
                .told
                .heartbeat_ms
                .map_or(0, |last| now.wall.as_millisecond() - last);
            let left_ms = every_ms.saturating_sub(u64::try_from(gone_ms).unwrap_or(0));
            self.heartbeat_due_ms = now.boot_ms + left_ms.min(every_ms);
        }
    }
}

impl Keeper {
    /// At a start, before anything is read: whether nobody looked for long.
    pub fn tell_downtime(&mut self, found: &[Opened]) -> Result<()> {
        let now = now().wall;
        let ended: Option<Ended> = self
            .state
            .meta(ENDED)?
            .and_then(|ended| serde_json::from_str(&ended).ok());
        let beaten = std::fs::metadata(self.state.directory().join("heartbeat")).and_then(|file| file.modified());
        let beaten = beaten.ok().and_then(|at| jiff::Timestamp::try_from(at).ok());
        let ended_at = ended
            .as_ref()
            .and_then(|ended| jiff::Timestamp::from_millisecond(ended.at_ms).ok());
        let Some(last) = beaten.max(ended_at) else {
            return Ok(());
        };
        let in_order = ended_at == Some(last);
        let by_cron = in_order && ended.is_some_and(|ended| ended.once);
        let gap = Duration::try_from(now.duration_since(last)).unwrap_or(Duration::ZERO);
        if by_cron || gap < DOWN_MIN || !clock::is_possible(last) || !clock::is_possible(now) {
            return Ok(());
        }
        let (mut waiting_bytes, mut lost_bytes) = (0, 0);
        for opened in found {
            let size = std::fs::metadata(&opened.path).map_or(opened.file_state.size_seen, |file| file.len());
            waiting_bytes += size.saturating_sub(opened.resume.committed_to);
            let stored = opened
                .row
                .and_then(|row| checkpoints::one(self.state.connection(), row).ok()?);
            let before = stored.map_or(0, |stored| stored.file_state.ledger.lost_bytes());
            lost_bytes += opened.file_state.ledger.lost_bytes().saturating_sub(before);
        }
        let told = Downtime {
            from: last,
            to: now,
            in_order,
            rebooted: self.state.meta(BOOT_ID)?.is_some_and(|known| known != boot_id()),
            waiting_bytes,
            lost_bytes,
        };
        let wording = self.composer.wording.clone();
        log::warn!("{}", told.title(&crate::alert::render::Wording::default()));
        let news = News {
            kind: Kind::Agent,
            subject: &["agent", "down"],
            occasion: &last.as_millisecond().to_string(),
            severity: Level::Error,
            title: told.title(&wording),
            text: Some(told.text(&wording)),
            place: None,
        };
        self.tell_news(news, "");
        Ok(())
    }

    /// The run ends in order.
    pub(super) fn note_end(&mut self, once: bool) {
        let at_ms = now().wall.as_millisecond();
        self.pending
            .note(ENDED, serde_json::to_string(&Ended { at_ms, once }).ok());
    }

    /// What time and couriers have brought.
    pub(super) fn tell_own_news(&mut self) {
        if now().boot_ms >= self.own.heartbeat_due_ms {
            self.tell_alive();
        }
        for index in 0..self.queues.len() {
            self.tell_trouble(index);
        }
    }

    pub(super) fn heartbeat_in(&self) -> Option<Duration> {
        (self.own.heartbeat_due_ms != u64::MAX)
            .then(|| Duration::from_millis(self.own.heartbeat_due_ms.saturating_sub(now().boot_ms)))
    }

    fn tell_alive(&mut self) {
        let Some(heartbeat) = self.own.heartbeat.clone() else {
            return;
        };
        let now = now();
        let sums = Sums {
            alerts: Level::ALL
                .iter()
                .map(|level| self.metrics.alerts(Status::Firing, *level).get())
                .sum(),
            undelivered: self.undelivered(),
            lost_bytes: self.own.lost_bytes,
        };
        let told = Alive {
            since: self.own.since,
            alerts: sums.alerts - self.own.before.alerts,
            undelivered: sums.undelivered.saturating_sub(self.own.before.undelivered),
            lost_bytes: sums.lost_bytes - self.own.before.lost_bytes,
        };
        let wording = &self.composer.wording;
        let news = News {
            kind: Kind::Agent,
            subject: &["agent", "heartbeat"],
            occasion: &now.wall.as_millisecond().to_string(),
            severity: Level::Info,
            title: told.title(wording),
            text: Some(told.text(wording)),
            place: None,
        };
        let alert = Arc::new(self.composer.news(news, &self.host_labels(), now.wall));
        let named = |settings: &alerter::Settings| {
            heartbeat.alerters.is_empty() || heartbeat.alerters.iter().any(|name| **name == *settings.name)
        };
        self.push_to(&alert, &named);
        self.own.before = Sums {
            // It is an alert itself, and not news of the next one.
            alerts: sums.alerts,
            ..sums
        };
        self.own.since = now.wall;
        self.own.heartbeat_due_ms = now.boot_ms + millis(heartbeat.every);
        self.own.told.heartbeat_ms = Some(now.wall.as_millisecond());
        self.note_told();
    }

    /// Deliveries that were shed, or that nobody will ever take.
    fn undelivered(&self) -> u64 {
        let counts = self
            .queues
            .iter()
            .filter_map(|queue| self.metrics.alerter(&queue.settings.name));
        counts.map(|counts| counts.shed.get() + counts.dead.get()).sum()
    }

    /// An alerter that does not get through, or does again: the others say so.
    fn tell_trouble(&mut self, index: usize) {
        let queue = &self.queues[index];
        let name = queue.settings.name.clone();
        let is_bad = queue.blocked.is_some() || queue.holding.out;
        let told = self.own.told.troubled.get(&*name).cloned();
        let (told, over) = match (told, is_bad) {
            (None, true) => (None, false),
            // After a restart nothing is known until something got through.
            (Some(told), false) if queue.holding.well => (Some(told), true),
            (Some(_), _) | (None, false) => return,
        };
        let reason = queue
            .blocked
            .clone()
            .or_else(|| queue.holding.last_error.clone())
            .unwrap_or_default();
        let trouble = Trouble {
            alerter: &name,
            blocked: queue.blocked.is_some(),
            reason: &reason,
            over,
        };
        let (wording, now) = (&self.composer.wording, now().wall);
        let occasion = told.as_ref().map_or(now, |(_, since)| *since);
        let news = News {
            kind: Kind::Agent,
            subject: &["agent", "alerter", &name],
            occasion: &occasion.as_millisecond().to_string(),
            severity: Level::Error,
            title: trouble.title(wording),
            text: Some(trouble.text(wording)),
            place: None,
        };
        let mut alert = self.composer.news(news, &self.host_labels(), now);
        match told {
            None => drop(self.own.told.troubled.insert(name.to_string(), (alert.id.clone(), now))),
            Some((firing_id, since)) => {
                (alert.status, alert.reason, alert.first_seen) = (Status::Resolved, Reason::Quiet, since);
                alert.id = id::of_sequel(&firing_id, Status::Resolved.as_str(), 1);
                alert.firing_id = Some(firing_id);
                self.own.told.troubled.remove(&*name);
            }
        }
        let alert = Arc::new(alert);
        let others = |settings: &alerter::Settings| {
            let hears = over && !settings.send_resolved;
            settings.name != name && !hears && settings.filter.accepts(settings.min_severity, &alert)
        };
        self.push_to(&alert, &others);
        self.note_told();
    }

    pub(super) fn host_labels(&self) -> BTreeMap<String, String> {
        self.labels.get("").cloned().unwrap_or_default()
    }

    /// Queues an alert for those that are chosen, whatever they hold back.
    fn push_to(&mut self, alert: &Arc<Alert>, chosen: &dyn Fn(&alerter::Settings) -> bool) {
        let entry = outbox::Entry::of(alert.clone());
        self.note_said(alert);
        for index in 0..self.queues.len() {
            if chosen(&self.queues[index].settings) {
                self.queues[index].bytes += entry.payload.len() as u64;
                self.pending.push(index, entry.clone());
            }
        }
    }

    fn note_told(&mut self) {
        // Strings and numbers are always JSON.
        self.pending.note(TOLD, serde_json::to_string(&self.own.told).ok());
        self.pending.note_life();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
