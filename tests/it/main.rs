//! What a user sees, tested from outside: the real program as a child, real files, real servers.
//!
//! One binary, one file per behaviour; `program` starts and stops the child, `servers` says what a machine lacks.
//! Tests wait for conditions with a deadline, never for a time.

mod alertmanager;
mod broker;
mod browser;
mod chaos;
mod check_send;
mod config;
mod corpus;
mod crash;
mod email;
mod explain;
mod journal;
mod judge;
mod kafka;
mod life;
mod losses;
mod model;
mod novelty;
mod observed;
mod outbox;
mod packaged;
mod pressure;
mod program;
mod readme;
mod receiver;
mod redaction;
mod reload;
mod same_findings;
mod scan;
mod servers;
mod service;
mod silence;
mod state;
mod status;
mod supervised;
mod tiny_model;
mod watching;
mod ways;
mod webhook;
