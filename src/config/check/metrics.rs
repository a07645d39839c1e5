//! The section `metrics`: where it listens, who may ask, and the file for a collector of text files.

use crate::config::key::Key;
use crate::config::place::Inputs;
use crate::config::{decode, file, secret};
use crate::status_page::Settings;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub fn metrics(metrics: &file::Metrics, inputs: &mut Inputs) -> Settings {
    let token_file = metrics.token_file.placed().map(|(at, path)| {
        secret::first_line(at, Path::new(path), inputs);
        PathBuf::from(path)
    });
    let listen = metrics.listen.placed().and_then(|(at, text)| {
        let address = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let Ok(address) = address.as_deref().unwrap_or(text).parse::<SocketAddr>() else {
            inputs.fault(
                at,
                format!("`{}` is not an address with a port", decode::clip(text)),
                "such as 127.0.0.1:9598 or [::1]:9598",
            );
            return None;
        };
        if !address.ip().is_loopback() && token_file.is_none() {
            inputs.fault(
                at,
                format!("{address} can be reached by others, and there is no `metrics.token_file`"),
                "name a file with a token that askers must send, or listen on 127.0.0.1",
            );
        }
        Some(address)
    });
    Settings {
        listen,
        token_file,
        textfile: absolute(&metrics.textfile, inputs),
    }
}

fn absolute(key: &Key<String>, inputs: &mut Inputs) -> Option<PathBuf> {
    let (at, path) = key.placed()?;
    if !path.starts_with('/') {
        inputs.fault(
            at,
            "must be an absolute path",
            "services do not start in the directory of this file",
        );
    }
    Some(PathBuf::from(path))
}
