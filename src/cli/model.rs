//! `model info` and `model score` as they are typed.

use crate::model::{Options, Question};
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct TypedModel {
    #[command(subcommand)]
    question: TypedQuestion,
    /// Print JSON: one object, or one for each line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum TypedQuestion {
    /// Say what a model file holds: name, version, sizes, thresholds and what they were calibrated on
    Info {
        /// A file that train_log_electra.py wrote, model.elc
        file: PathBuf,
    },
    /// Score the lines of standard input: messages, or what scan --all --json prints
    Score {
        /// A file that train_log_electra.py wrote, model.elc
        file: PathBuf,
    },
}

impl From<TypedModel> for Options {
    fn from(typed: TypedModel) -> Self {
        let (question, file) = match typed.question {
            TypedQuestion::Info { file } => (Question::Info, file),
            TypedQuestion::Score { file } => (Question::Score, file),
        };
        Options {
            question,
            file,
            json: typed.json,
        }
    }
}
