//! Secrets: given in the configuration, or in a file of their own (`…_file`), which nobody else may read.
//!
//! Files are looked at when the configuration is checked, and read again by the alerter when its receiver refuses what
//! they held. No message of this module holds a secret's value.

use super::key::Key;
use super::place::Inputs;
use super::tree::NodeId;
use crate::alerter::webhook::Secret;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Secrets are words and URLs; a larger file is not one.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Permission to read for everybody.
const OTHERS_READ: u32 = 0o004;

/// The secret of `name`, from its value or its file; none where neither is given.
pub fn either(name: &str, value: &Key<String>, file: &Key<String>, inputs: &mut Inputs) -> Option<Secret> {
    if let (true, Some(at)) = (value.is_given(), file.at()) {
        inputs.fault(
            at,
            format!("`{name}` and `{name}_file` are both given"),
            "keep one of them",
        );
        return None;
    }
    match value.placed() {
        Some((at, value)) => inline(at, value, inputs),
        None => from_file(file, inputs),
    }
}

/// A secret that stands in the configuration itself.
pub fn inline(at: NodeId, value: &str, inputs: &mut Inputs) -> Option<Secret> {
    if value.trim().is_empty() {
        inputs.fault(at, "is empty", "");
        return None;
    }
    if inputs.file_of(at).is_some_and(|path| others_can_read(&path)) {
        inputs.warn(
            at,
            "a secret stands in a file that every user of this host can read",
            "put it into a file of its own (…_file) with mode 0640, or chmod o-r this one",
        );
    }
    Some(Secret::Value(Arc::from(value.trim())))
}

/// A secret in a file of its own.
pub fn from_file(file: &Key<String>, inputs: &mut Inputs) -> Option<Secret> {
    let (at, path) = file.placed()?;
    first_line(at, Path::new(path), inputs)?;
    Some(Secret::File(PathBuf::from(path)))
}

/// The first line of a secret's file, which exists, can be read by us and not by everybody, and is not empty.
pub fn first_line(at: NodeId, path: &Path, inputs: &mut Inputs) -> Option<String> {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => {
            inputs.fault(at, format!("{shown} is not a file"), "");
            return None;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            inputs.fault(
                at,
                format!("there is no file {shown}"),
                "write the secret into it: one line, mode 0640",
            );
            return None;
        }
        Err(error) => {
            inputs.fault(at, format!("{shown} cannot be read: {error}"), "");
            return None;
        }
    };
    if metadata.mode() & OTHERS_READ != 0 {
        inputs.fault(
            at,
            format!("every user of this host can read {shown}"),
            format!("chmod o-r {shown}"),
        );
    }
    if metadata.len() > SECRET_FILE_BYTES_MAX {
        inputs.fault(at, format!("{shown} is too large for a secret"), "one line is read");
        return None;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => match text.lines().map(str::trim).find(|line| !line.is_empty()) {
            Some(line) => Some(line.to_owned()),
            None => {
                inputs.fault(at, format!("{shown} is empty"), "write the secret into it: one line");
                None
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            inputs.fault(
                at,
                format!("{shown} cannot be read by this user"),
                "chgrp exception-log-collector, mode 0640",
            );
            None
        }
        Err(error) => {
            inputs.fault(at, format!("{shown} cannot be read: {error}"), "");
            None
        }
    }
}

/// A file that is not secret (a certificate): it exists and can be read.
pub fn readable(file: &Key<String>, inputs: &mut Inputs) -> Option<PathBuf> {
    let (at, path) = file.placed()?;
    match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => Some(PathBuf::from(path)),
        Ok(_) => {
            inputs.fault(at, format!("{path} is not a file"), "");
            None
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            inputs.fault(at, format!("there is no file {path}"), "");
            None
        }
        Err(error) => {
            inputs.fault(at, format!("{path} cannot be read: {error}"), "");
            None
        }
    }
}

fn others_can_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & OTHERS_READ != 0)
}
