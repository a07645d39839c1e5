//! `engine: electra`: the model file of this device, loaded when it is needed and again when it has changed.

use super::{Answer, Unavailable};
use crate::alert::verdict::Verdict;
use crate::analyzer::electra::{Model, Scratch};
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A file that is missing or bad is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    loaded: Option<Model>,
    /// Length and modification time of the file that was looked at last.
    stamp: Option<(u64, SystemTime)>,
    scratch: Scratch,
    trouble: Option<String>,
}

impl Device {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            loaded: None,
            stamp: None,
            scratch: Scratch::default(),
            trouble: None,
        }
    }

    /// The share of normal lines that the model is calibrated to find abnormal.
    pub fn rate(&self) -> f64 {
        self.loaded.as_ref().map_or(0.01, Model::rate)
    }

    /// Loads the model if the file has changed; then its name and version. A bad file that took the place of a good one
    /// leaves the good one at work.
    pub fn look(&mut self) -> Result<Option<String>, Unavailable> {
        let stamp = fs::metadata(&self.path).and_then(|metadata| Ok((metadata.len(), metadata.modified()?)));
        let changed = match stamp {
            Ok(stamp) if self.stamp == Some(stamp) => false,
            Ok(stamp) => {
                self.stamp = Some(stamp);
                self.load()
            }
            Err(error) => {
                self.trouble = Some(format!("reading the model {}: {error}", self.path.display()));
                false
            }
        };
        match (&self.loaded, &self.trouble) {
            (Some(model), _) if changed => Ok(Some(name(model))),
            (Some(_), _) => Ok(None),
            (None, trouble) => Err(Unavailable {
                retry_after: LOOK_AGAIN,
                reason: trouble.clone().unwrap_or_default(),
            }),
        }
    }

    pub fn judge(&mut self, messages: &[String]) -> Result<Answer, Unavailable> {
        self.look()?;
        let Some(model) = &self.loaded else {
            return Err(Unavailable {
                retry_after: LOOK_AGAIN,
                reason: "no model is loaded".to_owned(),
            });
        };
        let verdicts = messages.iter().map(|message| {
            let score = model.score(message, &mut self.scratch);
            Some(Verdict {
                abnormal: score.abnormal,
                score: Some(score.score),
                confidence: Some(score.confidence),
                threshold: Some(model.threshold()),
            })
        });
        Ok(Answer {
            model: name(model),
            verdicts: verdicts.collect(),
        })
    }

    fn load(&mut self) -> bool {
        let read = File::open(&self.path)
            .map_err(|error| error.to_string())
            .and_then(|file| Model::read(file).map_err(|error| error.to_string()));
        match read {
            Ok(model) => {
                self.loaded = Some(model);
                self.trouble = None;
                true
            }
            Err(error) => {
                let trouble = format!("the model {}: {error}", self.path.display());
                if self.loaded.is_some() {
                    log::error!("{trouble}; the one before goes on judging");
                }
                self.trouble = Some(trouble);
                false
            }
        }
    }
}

fn name(model: &Model) -> String {
    format!("{} {}", model.name(), model.version())
}
