

mod config;
mod crash;
mod email;
mod program;
mod receiver;
mod scan;
mod servers;
mod webhook;
