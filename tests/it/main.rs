//! Behaviour as users meet it: one file per subject.

mod config;
