//! The grammar of stack traces: one table of states per language, data only.
