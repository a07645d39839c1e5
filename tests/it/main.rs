

mod config;
mod crash;
mod email;
mod program;
mod receiver;
mod servers;
mod webhook;
