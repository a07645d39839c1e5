//! What a user sees, tested from outside: the real program as a child, real files, real servers.

mod receiver;
mod webhook;
