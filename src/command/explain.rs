//! `explain`, the state's part: what is known of an alert or a fingerprint, and how far a file is read.
//!
//! The command line adds what the configuration and the analyzers say: see `explain`.

use super::Scene;
use crate::alert::book::{Group, Key};
use crate::alert::novelty::Learner;
use crate::alert::silence::Silence;
use crate::alert::template::{Learned, Template, Templates};
use crate::alert::verdict::Words;
use crate::alert::{Alert, Status, id};
use crate::state::history::{self, Event};
use crate::state::outbox::review::{self, Listed, Which};
use crate::state::{State, checkpoints, groups, silences, templates, verdicts};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// Messages of one group whose history is looked up: the newest.
const SEQUELS_MAX: u32 = 200;
const DELIVERIES_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    Alert(String),
    Fingerprint(String),
    File(PathBuf),
    /// What is known of a kind of message: the source, and its mask as it is learned.
    Template {
        source: String,
        mask: String,
    },
}

/// What the state knows; the answer to [`Command::Alert`] and [`Command::Fingerprint`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The message itself, as far as it is kept: of a group its first, of what waits each.
    pub alert: Option<Alert>,
    /// Lives with this fingerprint, or the one that the alert belongs to.
    pub groups: Vec<Life>,
    pub events: Vec<Event>,
    /// What waits, is parked or dead.
    pub deliveries: Vec<Listed>,
    /// What silences the alert now.
    pub silence: Option<Silence>,
    /// Of a digest: ids of the messages that it told of.
    #[serde(default)]
    pub told_of: Vec<String>,
}

/// What a source has learned, and of one kind of message; the answer to [`Command::Template`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    pub learner: Learner,
    /// None: nothing like it came yet.
    pub template: Option<Template>,
    /// A person's word: whether it is abnormal.
    pub word: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    pub source: String,
    pub fingerprint: String,
    #[serde(flatten)]
    pub group: Group,
}

/// How far a file is read; the answer to [`Command::File`], none: it was never seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub source: String,
    /// For the ids of its alerts.
    pub file_id: Option<String>,
    /// Everything before was judged.
    pub committed_to: u64,
    /// Reading goes on here.
    pub offset: u64,
    pub updated: jiff::Timestamp,
}

pub fn execute(state: &State, command: &Command, scene: &Scene) -> Result<Value> {
    match command {
        Command::Alert(id) => {
            let groups = groups::load(state.connection())?;
            let group = groups.into_iter().find(|(_, group)| messages(group).contains(id));
            let which = Which {
                id: Some(id),
                ..Which::default()
            };
            let ids = group
                .as_ref()
                .map_or_else(|| vec![id.clone()], |(_, group)| messages(group));
            known(state, group.into_iter().collect(), &ids, &which, scene)
        }
        Command::Fingerprint(fingerprint) => {
            let mut groups = groups::load(state.connection())?;
            groups.retain(|(key, _)| *key.fingerprint == **fingerprint);
            let which = Which {
                fingerprint: Some(fingerprint),
                ..Which::default()
            };
            let ids: Vec<String> = groups.iter().flat_map(|(_, group)| messages(group)).collect();
            known(state, groups, &ids, &which, scene)
        }
        Command::File(path) => {
            let files = checkpoints::load(state.connection())?;
            let file = files.into_iter().rev().find(|(_, file)| file.path == *path);
            let reading = file.map(|(_, file)| {
                Ok::<_, jiff::Error>(Reading {
                    source: file.source,
                    file_id: file.file_state.id,
                    committed_to: file.resume.committed_to,
                    offset: file.resume.offset,
                    updated: jiff::Timestamp::from_millisecond(file.updated_ms)?,
                })
            });
            Ok(serde_json::to_value(reading.transpose()?)?)
        }
        Command::Template { source, mask } => Ok(serde_json::to_value(learnt(state, source, mask, scene)?)?),
    }
}

fn learnt(state: &State, source: &str, mask: &str, scene: &Scene) -> Result<Learnt> {
    let stored = templates::load(state.connection())?.remove(source).unwrap_or_default();
    // Looked for as the service does it, in a copy that nobody keeps.
    let mut known = Templates::new(stored.templates);
    let template = match known.learn(mask, "", scene.now.as_millisecond()) {
        Learned::Known(id) | Learned::Merged { into: id, .. } => known.get(id).cloned(),
        Learned::New(_) | Learned::Full => None,
    };
    let words = verdicts::words(state.connection())?;
    let words = Words::new(words.into_iter().map(|word| (word.template, word.abnormal)));
    let text = template.as_ref().map_or(mask, |template| &template.text);
    Ok(Learnt {
        learner: stored.learner,
        word: words.about(text),
        template,
    })
}

fn known(state: &State, groups: Vec<(Key, Group)>, ids: &[String], which: &Which<'_>, scene: &Scene) -> Result<Value> {
    let connection = state.connection();
    let (deliveries, _) = review::list(connection, which, DELIVERIES_MAX)?;
    let alert = match (review::payload(connection, which)?, groups.first()) {
        (Some(alert), _) => Some(alert),
        (None, Some((key, _))) => groups::sample(connection, key)?,
        (None, None) => None,
    };
    let silence = alert.as_ref().and_then(|alert| {
        let all = silences::load(connection).ok()?;
        all.into_iter()
            .find(|silence| !silence.has_ended(scene.now) && silence.matcher.fits(alert))
    });
    let events = history::of_alerts(connection, ids)?;
    let told_of = match which.id {
        Some(id) => history::of_digest(connection, id)?,
        None => Vec::new(),
    };
    let life = |(key, group): (Key, Group)| Life {
        source: key.source.to_string(),
        fingerprint: key.fingerprint.to_string(),
        group,
    };
    Ok(serde_json::to_value(Known {
        alert,
        groups: groups.into_iter().map(life).collect(),
        events,
        deliveries,
        silence,
        told_of,
    })?)
}

/// Ids of all messages of a group: its firing, and what followed.
fn messages(group: &Group) -> Vec<String> {
    let followed = group.ordinal.saturating_sub(SEQUELS_MAX)..=group.ordinal;
    let sequels = followed.filter(|ordinal| *ordinal > 0).flat_map(|ordinal| {
        [Status::Repeated, Status::Resolved].map(|status| id::of_sequel(&group.firing_id, status.as_str(), ordinal))
    });
    std::iter::once(group.firing_id.clone()).chain(sequels).collect()
}
