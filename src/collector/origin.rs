//! Which file is this? A path that leads to an inode we do not follow: something new, something we read before under
//! another name or number, a copy of a file that we follow, or an archive of one.
//!
//! Where content cannot tell yet (a copy still being written, an archive still being compressed), the path is a
//! [`super::suspects::Suspect`] until it can.

use super::compressed::{MAGIC_BYTES, begins_like_archive, is_readable_archive};
use super::files::{Files, name_of, seen_as};
use super::first_look::Seen;
use super::follow::{Content, Followed};
use super::identity::{self, HEAD_BYTES};
use super::ledger::lost;
use super::lines::Newline;
use super::past::{Boot, Recognised};
use super::suspects::{Kind, Suspect};
use super::tracked::{History, Refusal};
use super::{Event, FileKey, FileState, Identity, Resume, Row, discover};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where the last line before the end is looked for, when reading begins at the end.
const LAST_LINE_BYTES: u64 = 64 * 1024;

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

impl Files {
    /// A path that matches leads to an inode that is not followed.
    pub fn admit(&mut self, source: usize, path: &Path, metadata: &Metadata, now: Instant) {
        let inode = (metadata.dev(), metadata.ino());
        let suspect = |known: &&mut Suspect| known.source == source && known.inode == inode;
        if let Some(suspect) = self.suspects.iter_mut().find(suspect) {
            // It may have moved up a generation before it was judged: under its old name it would be given up.
            path.clone_into(&mut suspect.path);
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
        let file = match open_same(path, inode) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return self.refuse(path, Refusal::Permission);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.refuse(path, Refusal::Error(error.to_string())),
        };
        self.refused.remove(path);
        let magic = identity::read_at(&file, 0, MAGIC_BYTES).unwrap_or_default();
        match (is_readable_archive(path), begins_like_archive(&magic)) {
            (Some(false), _) => return self.refuse(path, Refusal::UnreadableArchive),
            (Some(true), _) | (None, true) => return self.suspect(source, path, inode, Kind::Archive, now),
            (None, false) => {}
        }
        match self.pasts.recognise(source, path, &file, self.boot()) {
            Ok(Some((_, Recognised::PartialCopy))) => return self.suspect(source, path, inode, Kind::Copy, now),
            Ok(Some((row, recognised))) => return self.go_on(row, recognised, path, Content::File(file), inode, now),
            Ok(None) => {}
            Err(error) => return self.refuse(path, Refusal::Error(error.to_string())),
        }
        if let Some(taken) = self.by_path.get(&(source, path.to_owned())) {
            self.ensure_open(*taken);
        }
        let kind = match self.replaced_by(source, path) {
            Some(replaced) => Kind::ReplacementOf(replaced),
            None if self.originals_of(source, path, inode).is_empty() => {
                return self.begin(source, path, file, metadata);
            }
            None => Kind::Copy,
        };
        self.suspect(source, path, inode, kind, now);
        self.resolve_suspects(now);
    }

    /// The file that had this name and has none now. One that lives on under another has simply moved up a generation.
    fn replaced_by(&self, source: usize, path: &Path) -> Option<FileKey> {
        let key = *self.by_path.get(&(source, path.to_owned()))?;
        let file = self.files.get(&key)?;
        (file.position > 0 && !file.is_archive() && file.links() == 0).then_some(key)
    }

    /// The files of which a path may hold a copy, by their names: those that they have, or had first.
    pub fn originals_of(&self, source: usize, path: &Path, inode: (u64, u64)) -> Vec<FileKey> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Vec::new();
        };
        let mut keys = Vec::new();
        for original in discover::originals(name) {
            keys.extend(self.by_path.get(&(source, path.with_file_name(&original))));
            keys.extend(self.by_first_name.get(&(source, original.into())).into_iter().flatten());
        }
        keys.retain(|key| {
            self.files.get(key).is_some_and(|file| {
                let identity = &file.state.identity;
                !file.is_archive() && (identity.dev, identity.ino) != inode
            })
        });
        keys
    }

    /// Follows a file that is new to us from where it has to be read.
    pub fn begin(&mut self, source: usize, path: &Path, file: File, metadata: &Metadata) {
        let inode = (metadata.dev(), metadata.ino());
        // Of what was there under this inode nothing is left: it was truncated while nobody looked, or is another file.
        let earlier = self.pasts.of_inode(inode.1);
        let earlier = earlier.filter(|past| past.source == source && past.is_of(inode, path));
        let earlier = earlier
            .map(|past| (past.row, past.state.truncations + 1))
            .collect::<Vec<_>>();
        for (row, _) in &earlier {
            self.pasts.note_truncated(*row);
        }
        let left = self.left_by_copies.remove(&(source, inode.1));
        let truncations = earlier.into_iter().map(|(_, ordinal)| ordinal).chain(left).max();
        let tracked = &self.tracked[source];
        let history = match truncations {
            Some(_) => History::Followed,
            None => self.history(inode),
        };
        let reason = tracked.reason_to_skip(&file, metadata, history);
        let name = tracked.source.name.clone();
        let head = identity::read_at(&file, 0, HEAD_BYTES).unwrap_or_default();
        let newline = Newline::marked_by(&head).unwrap_or(tracked.source.newline);
        let key = self.new_key();
        let size = metadata.size();
        let end = match (reason, self.first_look.of(inode)) {
            (None, _) => 0,
            (Some(_), None) => last_line_end(&file, size, newline).unwrap_or(size),
            (Some(_), Some(seen)) => end_at_start(&file, seen, size, newline).unwrap_or(seen.size.min(size)),
        };
        let mut followed = fresh(key, source, path.to_owned(), Content::File(file), inode);
        followed.state.truncations = truncations.unwrap_or(0);
        followed.saw_size(size);
        if let Some(reason) = reason.filter(|_| end > 0)
            && let Err(error) = followed
                .begin_at(end, reason)
                .and_then(|()| self.know_head(&mut followed, size))
        {
            return self.refuse(path, Refusal::Error(error.to_string()));
        }
        if followed.position == size {
            followed.read_at = Some(seen_as(metadata));
        }
        log::debug!("{}: new, inode {}, read from {end}", path.display(), inode.1);
        self.out.push_back(Event::Opened(Box::new(followed.opened(&name))));
        self.insert(followed);
    }

    pub fn boot(&self) -> Boot<'_> {
        match self.boot_changed {
            true => Boot::Changed { host_id: &self.host_id },
            false => Boot::Same,
        }
    }

    pub fn history(&self, inode: (u64, u64)) -> History {
        match self.first_look.of(inode) {
            Some(_) => History::SeenAtStart,
            None => History::Unknown,
        }
    }

    pub fn know_head(&self, file: &mut Followed, size: u64) -> io::Result<()> {
        let Some(open) = file.file() else { return Ok(()) };
        let head = identity::read_at(open, 0, HEAD_BYTES)?;
        let mut state = file.state.clone();
        state.identity.grow_head(open, size)?;
        let limits = state.limits(self.tracked[file.source].limits(), 0, &head);
        state.name_by(&self.host_id, &head, limits.newline, false);
        file.state = state;
        Ok(())
    }

    /// `content` holds what an ended incarnation was read up to: it is read on from there.
    pub fn go_on(&mut self, row: Row, how: Recognised, path: &Path, content: Content, inode: (u64, u64), now: Instant) {
        let Some(mut past) = self.pasts.take(row) else { return };
        if past.state.finished {
            let unread = past.state.size_seen.saturating_sub(past.resume.committed_to);
            past.state.ledger.find(lost::DELETED, unread);
        }
        log::debug!(
            "{}: goes on {} (inode {} then, {} now, {how:?}) at {}",
            path.display(),
            past.path.display(),
            past.state.identity.ino,
            inode.1,
            past.resume.offset
        );
        let known = past.state.identity.ino;
        let has_moved = matches!(&content, Content::File(_)) && known != inode.1;
        let truncations = past.state.truncations + 1;
        let key = past.open.unwrap_or_else(|| self.new_key());
        let mut file = Followed::new(key, past.source, path.to_owned(), content, past.resume, past.state);
        file.row = row.stored();
        (file.state.identity.dev, file.state.identity.ino) = inode;
        (file.state.finished, file.state.truncated) = (false, false);
        if how == Recognised::PowerCut {
            resume_at_end(&mut file);
        }
        file.first_name = past.first_name;
        if path != past.path {
            file.renamed = Some(now);
            file.first_name.get_or_insert_with(|| name_of(&past.path));
        } else if let Some(metadata) = file.file().and_then(|open| open.metadata().ok())
            && metadata.size() == file.position
        {
            // What was read was compared just now: nothing to do until something is written.
            file.read_at = Some(seen_as(&metadata));
        }
        if past.open.is_some() {
            let file_state = Box::new(file.state.clone());
            self.out.push_back(Event::Changed { file: key, file_state });
        } else {
            let name = &self.tracked[past.source].source.name;
            self.out.push_back(Event::Opened(Box::new(file.opened(name))));
            if has_moved {
                // Its original was truncated, or went, while we were away: after it was copied.
                self.left_by_copies.insert((file.source, known), truncations);
                file.state.ledger.possible_losses += 1;
                // After it was opened: it is told by the difference.
                let file_state = Box::new(file.state.clone());
                self.out.push_back(Event::Changed { file: key, file_state });
            }
        }
        self.insert(file);
    }
}

/// Opens a log without waiting for a writer, and without becoming a controlling terminal's reader.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    File::options().read(true).custom_flags(flags.bits() as i32).open(path)
}

/// Opens the file of which `path` was the name a moment ago: while generations move up, another one may lie there by now,
/// which is told as news of its own.
///
/// # Errors
/// `NotFound` if it is another one.
pub fn open_same(path: &Path, inode: (u64, u64)) -> io::Result<File> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    match (metadata.dev(), metadata.ino()) == inode {
        true => Ok(file),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The end of the last complete line, so that a line being written when we come is read whole.
fn last_line_end(file: &File, size: u64, newline: Newline) -> io::Result<u64> {
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

/// The same for what there was when the program was started: what was written after that is no old line.
fn end_at_start(file: &File, seen: Seen, size: u64, newline: Newline) -> io::Result<u64> {
    let end = last_line_end(file, seen.size.min(size), newline)?;
    if !seen.written {
        return Ok(end);
    }
    let from = end.saturating_sub(LAST_LINE_BYTES);
    let bytes = identity::read_at(file, from, (end - from) as usize)?;
    let before = bytes.len().saturating_sub(newline.width());
    Ok(match newline.last_end(&bytes[..before]) {
        Some(begin) => from + begin as u64,
        None if from == 0 => 0,
        None => end,
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
