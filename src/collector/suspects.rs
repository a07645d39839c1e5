//! Paths of which content cannot tell yet what they are: a copy still being written, an archive still being compressed,
//! a file that took the name of one that was deleted.

use super::archive::{self, Compression};
use super::files::Files;
use super::follow::{Archive, Content, Followed, Life};
use super::identity::{self, HEAD_BYTES, Match, TAIL_BYTES};
use super::ledger::skipped;
use super::origin::{fresh, open, open_same};
use super::past::{Past, Recognised};
use super::tracked::Refusal;
use super::{Event, FileKey, FileState, Row};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A copy or archive that has not grown for so long is whole.
pub const WHOLE_QUIET: Duration = Duration::from_secs(2);

/// A path of which it cannot be told yet what it is.
#[derive(Debug)]
pub struct Suspect {
    pub source: usize,
    pub path: PathBuf,
    pub inode: (u64, u64),
    pub kind: Kind,
    size: u64,
    since: Instant,
    /// So much of it was seen to be the same as its original.
    same_to: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may be a copy of this file.
    CopyOf(FileKey),
    /// The same of a file that was truncated meanwhile.
    CopyOfPast,
    /// It took the name of this file, which is deleted: it may hold what was read.
    ReplacementOf(FileKey),
    Archive,
}

/// What a suspect turned out to be.
enum Verdict {
    Undecided,
    New,
    /// It goes on where this file is.
    GoesOn(FileKey),
    /// All of it is, or will be, read from another file.
    Known(&'static str),
    Gone,
}

impl Files {
    pub fn suspect(&mut self, source: usize, path: &Path, inode: (u64, u64), kind: Kind, now: Instant) {
        if self
            .suspects
            .iter()
            .any(|known| known.source == source && known.inode == inode)
        {
            return;
        }
        // The size is not known yet: the first look counts as a change.
        self.suspects.push(Suspect {
            source,
            path: path.to_owned(),
            inode,
            kind,
            size: u64::MAX,
            since: now,
            same_to: 0,
        });
    }

    /// Decides what can be decided now.
    pub fn resolve_suspects(&mut self, now: Instant) {
        for mut suspect in std::mem::take(&mut self.suspects) {
            match self.judge(&mut suspect, now) {
                Verdict::Undecided => self.suspects.push(suspect),
                Verdict::Gone => {}
                Verdict::New => {
                    let opened = open_same(&suspect.path, suspect.inode)
                        .and_then(|file| file.metadata().map(|metadata| (file, metadata)));
                    if let Ok((file, metadata)) = opened {
                        self.begin(suspect.source, &suspect.path, file, &metadata);
                    }
                }
                Verdict::GoesOn(key) => self.move_to(key, &suspect),
                Verdict::Known(reason) => self.insert_known(&suspect, reason),
            }
        }
    }

    fn judge(&mut self, suspect: &mut Suspect, now: Instant) -> Verdict {
        let Ok(metadata) = std::fs::metadata(&suspect.path) else {
            return Verdict::Gone;
        };
        if (metadata.dev(), metadata.ino()) != suspect.inode {
            return Verdict::Gone;
        }
        if metadata.size() != suspect.size {
            (suspect.size, suspect.since) = (metadata.size(), now);
        }
        let is_whole = now.saturating_duration_since(suspect.since) >= WHOLE_QUIET;
        let Ok(file) = open_same(&suspect.path, suspect.inode) else {
            return Verdict::Gone;
        };
        let judged = match suspect.kind {
            Kind::Archive => return self.judge_archive(suspect, file, is_whole, now),
            Kind::ReplacementOf(key) => self.judge_replacement(key, &file, suspect.size),
            Kind::CopyOf(key) => match self.judge_copy(key, suspect, &file, is_whole, now) {
                // Truncated while they were compared: that it differs says nothing.
                Ok(Verdict::New)
                    if self
                        .files
                        .get(&key)
                        .is_some_and(|original| !original.is_intact().unwrap_or(true)) =>
                {
                    self.enqueue(key);
                    Ok(Verdict::Undecided)
                }
                judged => judged,
            },
            Kind::CopyOfPast => self.judge_copy_of_past(suspect, &file, is_whole, now),
        };
        judged.unwrap_or(Verdict::New)
    }

    fn judge_replacement(&self, key: FileKey, file: &File, size: u64) -> io::Result<Verdict> {
        let Some(old) = self.files.get(&key) else {
            return Ok(Verdict::New);
        };
        if self.is_queued(key) {
            return Ok(Verdict::Undecided);
        }
        let content = old
            .state
            .identity
            .holds(size, |offset, length| identity::read_at(file, offset, length))?;
        Ok(match content {
            Match::Same => Verdict::GoesOn(key),
            Match::Shorter { .. } | Match::Differs => Verdict::New,
        })
    }

    fn judge_copy(
        &mut self,
        key: FileKey,
        suspect: &mut Suspect,
        file: &File,
        is_whole: bool,
        now: Instant,
    ) -> io::Result<Verdict> {
        if self.is_queued(key) {
            return Ok(Verdict::Undecided);
        }
        let Some(original) = self.files.get(&key) else {
            return self.judge_copy_of_past(suspect, file, is_whole, now);
        };
        if !original.is_intact()? {
            // It was truncated just now: its own turn comes first.
            self.enqueue(key);
            return Ok(Verdict::Undecided);
        }
        let Some(open) = original.file() else {
            return Ok(Verdict::New);
        };
        let length = suspect.size.min(original.state.size_seen);
        if !same_bytes(open, file, 0, length.min(HEAD_BYTES as u64))? {
            return Ok(Verdict::New);
        }
        let tail = length.saturating_sub(TAIL_BYTES as u64);
        let same = same_bytes(open, file, tail, length)?;
        suspect.same_to = if same { length } else { 0 };
        Ok(match (is_whole, same) {
            (false, _) => Verdict::Undecided,
            (true, true) if length > 0 => Verdict::Known(skipped::COPY_KNOWN),
            (true, _) => Verdict::New,
        })
    }

    /// Its original was truncated meanwhile: what that was waits among the ended ones.
    fn judge_copy_of_past(
        &mut self,
        suspect: &Suspect,
        file: &File,
        is_whole: bool,
        now: Instant,
    ) -> io::Result<Verdict> {
        let recognised = self.pasts.recognise(suspect.source, &suspect.path, file, false)?;
        let all_seen = suspect.same_to == suspect.size && suspect.size > 0;
        Ok(match (recognised, is_whole) {
            (Some((row, how @ (Recognised::Same | Recognised::PowerCut))), _) => {
                let content = Content::File(file.try_clone()?);
                self.go_on(row, how, &suspect.path, content, suspect.inode, now);
                Verdict::Gone
            }
            (Some((_, Recognised::PartialCopy)), true) => Verdict::Known(skipped::COPY_KNOWN),
            // Too short to be recognised by its head.
            (None, true) if all_seen => Verdict::Known(skipped::COPY_KNOWN),
            (Some((_, Recognised::PartialCopy)), false) => Verdict::Undecided,
            (None, false) if all_seen => Verdict::Undecided,
            (None, _) => Verdict::New,
        })
    }

    /// An archive is known if its beginning is the beginning of something that was read.
    fn judge_archive(&mut self, suspect: &Suspect, file: File, is_whole: bool, now: Instant) -> Verdict {
        let known = |past: &Past| {
            let identity = &past.state.identity;
            past.source == suspect.source && past.state.finished && (identity.dev, identity.ino) == suspect.inode
        };
        let known = self.pasts.iter().find(|past| known(past)).map(|past| past.row);
        if let Some(row) = known {
            self.keep_known(row, &suspect.path);
            return Verdict::Gone;
        }
        if !is_whole {
            return Verdict::Undecided;
        }
        let Ok(head) = archive_head(&suspect.path) else {
            self.refuse(&suspect.path, Refusal::Error("damaged or not whole".to_owned()));
            return Verdict::Gone;
        };
        let begins_like = |state: &FileState| {
            let length = state.identity.head_len as usize;
            length > 0 && length <= head.len() && identity::content_hash(&head[..length]) == state.identity.head_hash
        };
        let followed = |file: &Followed| file.source == suspect.source && file.position > 0 && begins_like(&file.state);
        // Only what goes on what we read is taken from outside the globs.
        let is_ours = self.tracked[suspect.source].globs.matches(&suspect.path);
        if self.files.values().any(followed) {
            return match is_ours {
                true => Verdict::Known(skipped::ARCHIVE_KNOWN),
                false => Verdict::Gone,
            };
        }
        let stated = gzip_stated_size(&file, suspect.size);
        let Ok(archive) = file.try_clone().and_then(decompress) else {
            return Verdict::Gone;
        };
        let past = self
            .pasts
            .iter()
            .find(|past| past.source == suspect.source && begins_like(&past.state));
        if let Some(past) = past {
            let all = stated == Some(past.resume.committed_to as u32);
            let row = past.row;
            if all && past.state.finished {
                return Verdict::Known(skipped::ARCHIVE_KNOWN);
            }
            let content = Content::Archive(archive);
            self.go_on(row, Recognised::Same, &suspect.path, content, suspect.inode, now);
            return Verdict::Gone;
        }
        let Ok(metadata) = file.metadata() else {
            return Verdict::Gone;
        };
        if !is_ours {
            return Verdict::Gone;
        }
        if let Some(reason) = self.tracked[suspect.source].reason_to_skip(&file, &metadata) {
            return Verdict::Known(reason);
        }
        let name = self.tracked[suspect.source].source.name.clone();
        let key = self.new_key();
        let content = Content::Archive(archive);
        let file = fresh(key, suspect.source, suspect.path.clone(), content, suspect.inode);
        self.out.push_back(Event::Opened(Box::new(file.opened(&name))));
        self.insert(file);
        Verdict::Gone
    }

    /// A followed file goes on in another inode that holds the same content.
    fn move_to(&mut self, key: FileKey, suspect: &Suspect) {
        let (Ok(open), Some(mut file)) = (open_same(&suspect.path, suspect.inode), self.remove(key)) else {
            return;
        };
        file.set_content(Content::File(open));
        (file.state.identity.dev, file.state.identity.ino) = suspect.inode;
        file.path = suspect.path.clone();
        (file.life, file.renamed) = (Life::Named, None);
        let file_state = Box::new(file.state.clone());
        self.out.push_back(Event::Changed { file: key, file_state });
        self.insert(file);
    }

    /// All of it is read elsewhere: only what may still be appended is read here; an archive not at all.
    fn insert_known(&mut self, suspect: &Suspect, reason: &'static str) {
        let key = self.new_key();
        let content = match (suspect.kind, open_same(&suspect.path, suspect.inode)) {
            (Kind::Archive, _) => Content::Closed,
            (Kind::CopyOf(_) | Kind::CopyOfPast | Kind::ReplacementOf(_), Ok(file)) => Content::File(file),
            (Kind::CopyOf(_) | Kind::CopyOfPast | Kind::ReplacementOf(_), Err(_)) => return,
        };
        let is_archive = suspect.kind == Kind::Archive;
        let mut file = fresh(key, suspect.source, suspect.path.clone(), content, suspect.inode);
        if file
            .begin_at(suspect.size, reason)
            .and_then(|()| self.know_head(&mut file, suspect.size))
            .is_err()
        {
            return;
        }
        file.state.finished = is_archive;
        self.out.push_back(Event::Opened(Box::new(
            file.opened(&self.tracked[suspect.source].source.name),
        )));
        self.insert(file);
    }

    /// An archive that was read, or known, before the last start: its state stays as it is.
    fn keep_known(&mut self, row: Row, path: &Path) {
        let Some(past) = self.pasts.take(row) else { return };
        let key = self.new_key();
        let mut file = Followed::new(
            key,
            past.source,
            path.to_owned(),
            Content::Closed,
            past.resume,
            past.state,
        );
        file.row = row.stored();
        self.out.push_back(Event::Opened(Box::new(
            file.opened(&self.tracked[past.source].source.name),
        )));
        self.insert(file);
    }
}

fn same_bytes(one: &File, other: &File, from: u64, to: u64) -> io::Result<bool> {
    let length = (to - from) as usize;
    Ok(identity::read_at(one, from, length)? == identity::read_at(other, from, length)?)
}

/// Begins to decompress a file that is already open.
fn decompress(file: File) -> io::Result<Archive> {
    let (compression, reader) = archive::decoded(Box::new(file))?;
    match compression {
        Compression::Gzip | Compression::Zstd => Ok(Archive::new(reader)),
        Compression::None | Compression::Unsupported(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// What an archive holds at its beginning.
fn archive_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    decompress(open(path)?)?
        .reader
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// The uncompressed size that the last four bytes of a gzip file state, modulo 2³² (RFC 1952).
fn gzip_stated_size(file: &File, size: u64) -> Option<u32> {
    let magic = identity::read_at(file, 0, 3).ok()?;
    let trailer = identity::read_at(file, size.checked_sub(4)?, 4).ok()?;
    let stated = <[u8; 4]>::try_from(trailer).ok().map(u32::from_le_bytes);
    stated.filter(|_| Compression::of(&magic) == Compression::Gzip)
}

/// Whether the name says that this is compressed: `Some(false)` where it cannot be read.
pub fn is_readable_archive(path: &Path) -> Option<bool> {
    const UNREADABLE: [&str; 7] = ["bz2", "xz", "lz4", "zip", "7z", "lzma", "Z"];
    let extension = path.extension()?.to_str()?;
    match extension {
        "gz" | "zst" => Some(true),
        _ => UNREADABLE.contains(&extension).then_some(false),
    }
}
