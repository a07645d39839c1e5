//! Which file is this? A path that leads to an inode we do not follow: something new, something we read before under
//! another name or number, a copy of a file that we follow, or an archive of one.
//!
//! Where content cannot tell yet (a copy still being written, an archive still being compressed), the path is a
//! [`Suspect`] until it can.

use super::archive::{self, Compression};
use super::files::{Files, Refusal, Tracked};
use super::follow::{Archive, Content, Followed, Life};
use super::identity::{self, HEAD_BYTES, Match, TAIL_BYTES};
use super::ledger::{lost, skipped};
use super::past::{Past, Recognised};
use super::{Event, FileKey, FileState, Identity, ReadFrom, Resume, Row, discover};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A copy or archive that has not grown for so long is whole.
const WHOLE_QUIET: Duration = Duration::from_secs(2);
/// Where the last line before the end is looked for, when reading begins at the end.
const LAST_LINE_BYTES: u64 = 64 * 1024;

/// A path of which it cannot be told yet what it is.
#[derive(Debug)]
pub struct Suspect {
    pub source: usize,
    pub path: PathBuf,
    pub inode: (u64, u64),
    kind: Kind,
    size: u64,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It may be a copy of this file.
    CopyOf(FileKey),
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

/// A file that is read from its beginning.
pub fn fresh(key: FileKey, source: usize, path: PathBuf, content: Content, (dev, ino): (u64, u64)) -> Followed {
    let identity = Identity {
        dev,
        ino,
        ..Identity::default()
    };
    let state = FileState {
        identity,
        ..FileState::default()
    };
    Followed::new(
        key,
        source,
        path,
        content,
        Resume {
            line: Some(1),
            ..Resume::default()
        },
        state,
    )
}

impl Tracked {
    /// Why what a file holds at first sight is not read; none: it is read from its beginning.
    fn reason_to_skip(&self, file: &File, metadata: &Metadata) -> Option<&'static str> {
        let born_before = match identity::birth(file) {
            Some(birth) => birth < self.first_start,
            // A file system that does not tell: what was not written to since then was there before.
            None => metadata.modified().is_ok_and(|written| written < self.first_start),
        };
        let age = metadata
            .modified()
            .ok()
            .and_then(|written| SystemTime::now().duration_since(written).ok());
        let too_old = self
            .source
            .ignore_older
            .zip(age)
            .is_some_and(|(limit, age)| age > limit);
        let from_end = born_before && self.source.read_from == ReadFrom::End;
        match (too_old, from_end) {
            (true, _) => Some(skipped::IGNORE_OLDER),
            (false, true) => Some(skipped::READ_FROM_END),
            (false, false) => None,
        }
    }
}

impl Files {
    /// A path that matches leads to an inode that is not followed.
    pub fn admit(&mut self, source: usize, path: &Path, metadata: &Metadata, now: Instant) {
        let inode = (metadata.dev(), metadata.ino());
        if self
            .suspects
            .iter()
            .any(|suspect| suspect.source == source && suspect.inode == inode)
        {
            return;
        }
        if self
            .own
            .iter()
            .any(|own| path.canonicalize().is_ok_and(|path| discover::lies_below(&path, own)))
        {
            return self.refuse(path, Refusal::OurOwn);
        }
        if !metadata.is_file() {
            let kind = metadata.file_type();
            if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
                self.refuse(path, Refusal::NoRegularFile);
            }
            return;
        }
        let file = match open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return self.refuse(path, Refusal::Permission);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.refuse(path, Refusal::Error(error.to_string())),
        };
        self.refused.remove(path);
        match is_readable_archive(path) {
            Some(true) => return self.suspect(source, path, inode, Kind::Archive, now),
            Some(false) => return self.refuse(path, Refusal::UnreadableArchive),
            None => {}
        }
        match self.pasts.recognise(source, path, &file, self.boot_changed) {
            Ok(Some((row, recognised))) => return self.go_on(row, recognised, path, Content::File(file), inode, now),
            Ok(None) => {}
            Err(error) => return self.refuse(path, Refusal::Error(error.to_string())),
        }
        if let Some(kind) = self.original_of(source, path) {
            self.suspect(source, path, inode, kind, now);
            return self.resolve_suspects(now);
        }
        self.begin(source, path, file, metadata);
    }

    fn suspect(&mut self, source: usize, path: &Path, inode: (u64, u64), kind: Kind, now: Instant) {
        // The size is not known yet: the first look counts as a change.
        self.suspects.push(Suspect {
            source,
            path: path.to_owned(),
            inode,
            kind,
            size: u64::MAX,
            since: now,
        });
    }

    /// The file of which this new path may hold a copy.
    fn original_of(&self, source: usize, path: &Path) -> Option<Kind> {
        if let Some(key) = self.by_path.get(&(source, path.to_owned())) {
            // Its name was taken. If it lives on under another name this is simply the next generation.
            let file = self.files.get(key).filter(|file| file.position > 0)?;
            let links = file
                .file()
                .and_then(|open| rustix::fs::fstat(open).ok())
                .map_or(0, |stat| stat.st_nlink);
            return (links == 0).then_some(Kind::ReplacementOf(*key));
        }
        let name = path.file_name()?.to_str()?;
        discover::originals(name).into_iter().find_map(|original| {
            let key = self.by_path.get(&(source, path.with_file_name(original)))?;
            let file = self.files.get(key)?;
            (file.position > 0 && !file.is_archive()).then_some(Kind::CopyOf(*key))
        })
    }

    /// Follows a file that is new to us from where it has to be read.
    fn begin(&mut self, source: usize, path: &Path, file: File, metadata: &Metadata) {
        let tracked = &self.tracked[source];
        let reason = tracked.reason_to_skip(&file, metadata);
        let (newline, name) = (tracked.source.newline, tracked.source.name.clone());
        let key = self.new_key();
        let size = metadata.size();
        let end = if reason.is_some() {
            last_line_end(&file, size, newline).unwrap_or(size)
        } else {
            0
        };
        let mut followed = fresh(
            key,
            source,
            path.to_owned(),
            Content::File(file),
            (metadata.dev(), metadata.ino()),
        );
        followed.saw_size(size);
        if let Some(reason) = reason.filter(|_| end > 0) {
            if let Err(error) = followed
                .begin_at(end, reason)
                .and_then(|()| self.know_head(&mut followed, size))
            {
                return self.refuse(path, Refusal::Error(error.to_string()));
            }
        }
        self.out.push_back(Event::Opened(Box::new(followed.opened(&name))));
        self.insert(followed);
    }

    fn know_head(&self, file: &mut Followed, size: u64) -> io::Result<()> {
        let limits = self.tracked[file.source].limits();
        let Some(open) = file.file() else { return Ok(()) };
        let head = identity::read_at(open, 0, HEAD_BYTES)?;
        let mut identity = file.state.identity.clone();
        identity.grow_head(open, size)?;
        file.state.identity = identity;
        file.state.name_by(&self.host_id, &head, limits.newline, false);
        Ok(())
    }

    /// `content` holds what an ended incarnation was read up to: it is read on from there.
    fn go_on(&mut self, row: Row, how: Recognised, path: &Path, content: Content, inode: (u64, u64), now: Instant) {
        let Some(past) = self.pasts.take(row) else { return };
        let key = past.open.unwrap_or_else(|| self.new_key());
        let mut file = Followed::new(key, past.source, path.to_owned(), content, past.resume, past.state);
        file.row = row.stored();
        (file.state.identity.dev, file.state.identity.ino) = inode;
        file.state.finished = false;
        if how == Recognised::PowerCut {
            resume_at_end(&mut file);
        }
        if path != past.path {
            file.renamed = Some(now);
        }
        if past.open.is_some() {
            let file_state = Box::new(file.state.clone());
            self.out.push_back(Event::Changed { file: key, file_state });
        } else {
            let name = &self.tracked[past.source].source.name;
            self.out.push_back(Event::Opened(Box::new(file.opened(name))));
        }
        self.insert(file);
    }

    /// Decides what can be decided now.
    pub fn resolve_suspects(&mut self, now: Instant) {
        for mut suspect in std::mem::take(&mut self.suspects) {
            match self.judge(&mut suspect, now) {
                Verdict::Undecided => self.suspects.push(suspect),
                Verdict::Gone => {}
                Verdict::New => {
                    let opened = open(&suspect.path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
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
        let Ok(file) = open(&suspect.path) else {
            return Verdict::Gone;
        };
        let judged = match suspect.kind {
            Kind::Archive => return self.judge_archive(suspect, file, is_whole, now),
            Kind::ReplacementOf(key) => self.judge_replacement(key, &file, suspect.size),
            Kind::CopyOf(key) => self.judge_copy(key, suspect, &file, is_whole, now),
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
        suspect: &Suspect,
        file: &File,
        is_whole: bool,
        now: Instant,
    ) -> io::Result<Verdict> {
        if self.is_queued(key) {
            return Ok(Verdict::Undecided);
        }
        let Some(original) = self.files.get(&key) else {
            // It was truncated meanwhile: what it was waits among the ended ones.
            return Ok(
                match self.pasts.recognise(suspect.source, &suspect.path, file, false)? {
                    Some((row, how)) => {
                        let content = Content::File(file.try_clone()?);
                        self.go_on(row, how, &suspect.path, content, suspect.inode, now);
                        Verdict::Gone
                    }
                    None => Verdict::New,
                },
            );
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
        Ok(match (is_whole, same_bytes(open, file, tail, length)?) {
            (false, _) => Verdict::Undecided,
            (true, true) if length > 0 => Verdict::Known(skipped::COPY_KNOWN),
            (true, _) => Verdict::New,
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
        if self.files.values().any(followed) {
            return Verdict::Known(skipped::ARCHIVE_KNOWN);
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
        let (Ok(open), Some(mut file)) = (open(&suspect.path), self.remove(key)) else {
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
        let content = match (suspect.kind, open(&suspect.path)) {
            (Kind::Archive, _) => Content::Closed,
            (Kind::CopyOf(_) | Kind::ReplacementOf(_), Ok(file)) => Content::File(file),
            (Kind::CopyOf(_) | Kind::ReplacementOf(_), Err(_)) => return,
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

    /// Looks beside the last path of an ended incarnation for what was not read of it.
    pub fn find_elsewhere(&mut self, row: Row, now: Instant) {
        let Some(past) = self.pasts.iter().find(|past| past.row == row) else {
            return;
        };
        let source = past.source;
        for path in past.candidates() {
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            let inode = (metadata.dev(), metadata.ino());
            let taken = self.by_inode.contains_key(&(source, inode.0, inode.1));
            if taken || !metadata.is_file() {
                continue;
            }
            if is_readable_archive(&path).is_some() {
                self.suspect(source, &path, inode, Kind::Archive, now);
                continue;
            }
            let Ok(file) = open(&path) else { continue };
            let found = self.pasts.recognise(source, &path, &file, self.boot_changed);
            if let Ok(Some((found, how))) = found {
                if found == row {
                    let named = self.tracked[source].globs.matches(&path);
                    self.go_on(row, how, &path, Content::File(file), inode, now);
                    if let (false, Some(key)) = (named, self.by_inode.get(&(source, inode.0, inode.1)).copied()) {
                        self.hold_as_rotated(key, now);
                    }
                    return;
                }
            }
        }
    }

    fn hold_as_rotated(&mut self, key: FileKey, now: Instant) {
        if let Some(mut file) = self.remove(key) {
            file.life = Life::Rotated(now);
            file.renamed = Some(now);
            self.insert(file);
        }
    }

    /// Gives up the unread bytes of what did not turn up again, and forgets what is too old to be recognised.
    pub fn settle_pasts(&mut self, now: Instant) {
        let waiting = |past: &Past| past.until.is_some_and(|until| now >= until);
        let due: Vec<Row> = self
            .pasts
            .iter()
            .filter(|past| waiting(past))
            .map(|past| past.row)
            .collect();
        for row in due {
            self.find_elsewhere(row, now);
            let undecided = self.suspects.iter().any(|suspect| suspect.kind == Kind::Archive);
            let Some(past) = self.pasts.iter_mut().find(|past| past.row == row) else {
                continue;
            };
            if undecided {
                past.until = Some(now + WHOLE_QUIET);
                continue;
            }
            past.until = None;
            past.state.finished = true;
            let unread = past.state.pending_bytes();
            let reason = if past.open.is_some() {
                lost::TRUNCATED
            } else {
                lost::DELETED
            };
            past.state.ledger.lose(reason, unread);
            self.give_up(row);
        }
        while let Some(past) = self.pasts.take_surplus() {
            self.out.push_back(Event::Forgotten(past.row));
        }
    }

    fn give_up(&mut self, row: Row) {
        let Some(mut past) = self.pasts.take(row) else { return };
        let key = past.open.take().unwrap_or_else(|| self.new_key());
        let file_state = Box::new(past.state.clone());
        if let Row::Stored(stored) = row {
            let content = Content::Closed;
            let mut file = Followed::new(
                key,
                past.source,
                past.path.clone(),
                content,
                past.resume.clone(),
                past.state.clone(),
            );
            file.row = Some(stored);
            self.out.push_back(Event::Opened(Box::new(
                file.opened(&self.tracked[past.source].source.name),
            )));
        }
        past.row = Row::File(key);
        self.out.push_back(Event::Closed { file: key, file_state });
        self.pasts.push(past);
    }
}

/// Opens a log without waiting for a writer, and without becoming a controlling terminal's reader.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    File::options().read(true).custom_flags(flags.bits() as i32).open(path)
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
fn is_readable_archive(path: &Path) -> Option<bool> {
    const UNREADABLE: [&str; 7] = ["bz2", "xz", "lz4", "zip", "7z", "lzma", "Z"];
    let extension = path.extension()?.to_str()?;
    match extension {
        "gz" | "zst" => Some(true),
        _ => UNREADABLE.contains(&extension).then_some(false),
    }
}

/// The end of the last complete line, so that a line being written when we come is read whole.
fn last_line_end(file: &File, size: u64, newline: super::lines::Newline) -> io::Result<u64> {
    let width = newline.width() as u64;
    let from = size.saturating_sub(LAST_LINE_BYTES);
    let from = from - from % width;
    let bytes = identity::read_at(file, from, (size - from) as usize)?;
    Ok(match newline.last_end(&bytes) {
        Some(end) => from + end as u64,
        None if from == 0 => 0,
        None => size - size % width,
    })
}

/// Its tail went with the power: what is left was read already.
fn resume_at_end(file: &mut Followed) {
    let size = file
        .file()
        .and_then(|open| open.metadata().ok())
        .map_or(0, |metadata| metadata.size());
    let gone = file.state.identity.tail_end.saturating_sub(size);
    log::warn!(
        "{}: {gone} bytes went with the power; reading on at its end",
        file.path.display()
    );
    file.resume = Resume {
        offset: size,
        committed_to: size,
        ..Resume::default()
    };
    file.resume_at(size, lost::POWER_CUT, gone);
}
