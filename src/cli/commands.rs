//! Commands of people as they are typed: `outbox`, `silence` … What they mean is [`crate::command::Command`].

use crate::command::{self, outbox};
use clap::Subcommand;

/// What is asked of the service, or of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub command: command::Command,
    /// The answer as one JSON object.
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct TypedOutbox {
    #[command(subcommand)]
    action: OutboxAction,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Only what is meant for this alerter
    #[arg(long, value_name = "NAME", global = true)]
    alerter: Option<String>,
}

#[derive(Debug, Subcommand)]
enum OutboxAction {
    /// List what waits (queued, parked) and what was given up (dead)
    List,
    /// Try deliveries again, now: those that wait, and those that are dead
    Retry(TypedDeliveries),
    /// Take deliveries out: nobody will get them
    Drop(TypedDeliveries),
}

#[derive(Debug, clap::Args)]
struct TypedDeliveries {
    /// Ids of alerts, as `outbox list` shows them
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// All deliveries, of all alerters or of the one named
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

impl From<TypedOutbox> for Asked {
    fn from(typed: TypedOutbox) -> Self {
        let TypedOutbox { action, json, alerter } = typed;
        let chosen = |deliveries: TypedDeliveries| outbox::Chosen {
            ids: deliveries.ids,
            alerter: alerter.clone(),
        };
        let command = match action {
            OutboxAction::List => outbox::Command::List { alerter },
            OutboxAction::Retry(deliveries) => outbox::Command::Retry(chosen(deliveries)),
            OutboxAction::Drop(deliveries) => outbox::Command::Drop(chosen(deliveries)),
        };
        Asked {
            command: command::Command::Outbox(command),
            json,
        }
    }
}
