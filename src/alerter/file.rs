//! The file: alerts appended as JSON lines, text, or the records themselves.
//!
//! Promises: a batch is one write and is on the disk when it counts as delivered; whole lines only: what a full disk cut
//! is taken back, or closed by a newline. Rotated away by rename or removal, the file is made anew under its name.

use super::console::entry;
use super::{Alerter, Delivery, SendError, Sent, TextFormat};
use crate::alert::render::Wording;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Deliveries in one write: `send: each` in a burst would else pay one sync per record.
const BATCH_MAX: usize = 512;

#[derive(Debug)]
pub struct File {
    path: PathBuf,
    format: TextFormat,
    wording: Wording,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: std::fs::File,
    /// The last line has no end: of a cut write, or of somebody else's.
    line_open: bool,
}

impl File {
    pub fn new(path: PathBuf, format: TextFormat, wording: Wording) -> Self {
        Self {
            path,
            format,
            wording,
            open: None,
        }
    }

    /// The file under our name, opened anew when another one, or none, stands there now.
    fn current(&mut self) -> std::io::Result<&mut Open> {
        let same = match (&self.open, std::fs::metadata(&self.path)) {
            (Some(open), Ok(there)) => {
                let ours = open.file.metadata()?;
                (ours.dev(), ours.ino()) == (there.dev(), there.ino())
            }
            (Some(_), Err(_)) | (None, _) => false,
        };
        match (same, self.open.take()) {
            (true, Some(open)) => Ok(self.open.insert(open)),
            (true, None) | (false, _) => {
                let mut file = std::fs::OpenOptions::new()
                    .read(true)
                    .append(true)
                    .create(true)
                    .open(&self.path)?;
                let line_open = !ends_with_newline(&mut file)?;
                Ok(self.open.insert(Open { file, line_open }))
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let open = self.current()?;
        let before = open.file.metadata()?.len();
        let mut bytes = std::borrow::Cow::Borrowed(bytes);
        if open.line_open {
            bytes.to_mut().insert(0, b'\n');
        }
        // One call, not `write_all`: what a second call would add could stand behind another writer's line.
        let result = match open.file.write(&bytes) {
            Ok(written) if written == bytes.len() => synced(&open.file),
            Ok(_) => Err(std::io::Error::from(ErrorKind::StorageFull)),
            Err(error) => Err(error),
        };
        match &result {
            Ok(()) => open.line_open = false,
            Err(_) => {
                // Only our own bytes may be taken back; if the file is not as long as they make it, somebody else wrote.
                let length = open.file.metadata()?.len();
                let ours = length >= before && length - before <= bytes.len() as u64;
                open.line_open = !(ours && open.file.set_len(before).is_ok()) && length > before;
            }
        }
        result
    }
}

/// Pipes and devices cannot be synced, and need not be.
fn synced(file: &std::fs::File) -> std::io::Result<()> {
    match file.sync_data() {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

fn ends_with_newline(file: &mut std::fs::File) -> std::io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == [b'\n'])
}

impl Alerter for File {
    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn send(&mut self, batch: &[Delivery]) -> Sent {
        let bytes: Vec<u8> = batch
            .iter()
            .flat_map(|delivery| entry(delivery, self.format, &self.wording))
            .collect();
        let error = match self.append(&bytes) {
            Ok(()) => return Sent::all(batch.len()),
            Err(error) => error,
        };
        let reason = format!("writing {}: {error}", self.path.display());
        // What somebody has to mend waits for it; a full disk or a failing one gets tried with back-off.
        let wants_mending = matches!(
            error.kind(),
            ErrorKind::PermissionDenied
                | ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
                | ErrorKind::ReadOnlyFilesystem
        );
        let error = if wants_mending {
            SendError::Blocked { reason }
        } else {
            SendError::Retry { after: None, reason }
        };
        Sent::failed(0, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::alert;
    use std::sync::Arc;

    fn deliveries(titles: &[&str]) -> Vec<Delivery> {
        let one = |(seq, title): (usize, &&str)| Delivery {
            seq: seq as i64 + 1,
            tries: 0,
            alert: Arc::new(crate::alert::Alert {
                title: (*title).to_owned(),
                ..alert()
            }),
        };
        titles.iter().enumerate().map(one).collect()
    }

    fn titles(path: &std::path::Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|l| serde_json::from_str::<crate::alert::Alert>(l).unwrap().title)
            .collect()
    }

    #[test]
    fn a_file_that_was_rotated_away_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("alerts.jsonl"), dir.path().join("alerts.jsonl.1"));
        let mut file = File::new(path.clone(), TextFormat::Json, Wording::default());
        assert_eq!(file.send(&deliveries(&["a", "b"])).delivered, 2);
        std::fs::rename(&path, &old).unwrap();
        assert_eq!(file.send(&deliveries(&["c"])).delivered, 1);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.send(&deliveries(&["d"])).delivered, 1);
        assert_eq!(
            (titles(&old), titles(&path)),
            (vec!["a".into(), "b".into()], vec!["d".into()])
        );
    }

    #[test]
    fn a_line_that_was_cut_is_closed_before_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.jsonl");
        std::fs::write(&path, "{\"half").unwrap();
        let mut file = File::new(path.clone(), TextFormat::Json, Wording::default());
        assert!(file.send(&deliveries(&["whole"])).error.is_none());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"half\n{\"schema\":1"), "{text}");
    }

    #[test]
    fn a_full_disk_is_tried_again_and_a_missing_directory_waits_for_somebody() {
        let full = File::new("/dev/full".into(), TextFormat::Json, Wording::default()).send(&deliveries(&["x"]));
        assert!(matches!(full.error, Some(SendError::Retry { .. })), "{full:?}");
        let missing =
            File::new("/nonexistent/x".into(), TextFormat::Json, Wording::default()).send(&deliveries(&["x"]));
        assert!(matches!(missing.error, Some(SendError::Blocked { .. })), "{missing:?}");
    }

    #[test]
    fn raw_is_the_text_of_the_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw.log");
        File::new(path.clone(), TextFormat::Raw, Wording::default()).send(&deliveries(&["x"]));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{}\n", alert().text.unwrap())
        );
    }
}
