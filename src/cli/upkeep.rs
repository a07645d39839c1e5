//! `state check`, `state backup` and `state restore` as they are typed.

use crate::upkeep::Question;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct TypedState {
    #[command(subcommand)]
    question: TypedQuestion,
}

#[derive(Debug, Subcommand)]
enum TypedQuestion {
    /// Say whether the state is whole, and what it holds; also while the service runs
    Check,
    /// Copy the state, whole, also while the service runs
    Backup {
        /// Where the copy goes; an older backup there is replaced
        file: PathBuf,
    },
    /// Put a backup in the place of the state; the service must be stopped, what was there is kept aside
    Restore {
        /// What `state backup` wrote, or a state.db.prev
        file: PathBuf,
    },
}

impl From<TypedState> for Question {
    fn from(typed: TypedState) -> Self {
        match typed.question {
            TypedQuestion::Check => Question::Check,
            TypedQuestion::Backup { file } => Question::Backup(file),
            TypedQuestion::Restore { file } => Question::Restore(file),
        }
    }
}
