

mod config;
mod crash;
mod program;
mod receiver;
mod servers;
mod webhook;
