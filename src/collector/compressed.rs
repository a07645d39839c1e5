//! Archives: is this one of something that was read? By its content, decompressed: its beginning, and the bytes before the
//! place where reading stopped.
//!
//! A file that was read to its end is not read again from its archive; one that was not is finished from it; an archive
//! of what was never seen is read. The comparison takes small steps, as an archive may hold gigabytes.

use super::archive::{self, Compression};
use super::files::{Files, seen_as};
use super::follow::{Archive, Content, Followed};
use super::identity::{self, HEAD_BYTES, Match, TAIL_BYTES};
use super::ledger::skipped;
use super::origin::fresh;
use super::past::{Past, Recognised};
use super::suspects::{Kind, Suspect, Verdict};
use super::tracked::Refusal;
use super::{Event, FileKey, FileState, Row, Tail};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

/// First bytes that tell a compression.
pub const MAGIC_BYTES: usize = 6;
/// Up to this size it is tried early whether an archive is whole: it is if it can be decompressed to its end.
const EARLY_MAX_BYTES: u64 = 8 * 1024 * 1024;
/// So much is decompressed in one step: about 20 ms.
const STEP_BYTES: usize = 4 * 1024 * 1024;

/// An archive on its way to be compared with what was read.
pub struct Proof {
    archive: Archive,
    candidates: Vec<(Whose, Tail)>,
    same: Vec<Whose>,
    /// All of it was decompressed: so many bytes.
    length: Option<u64>,
    /// It may still grow: only its end tells that it is whole.
    to_the_end: bool,
    /// All is known but whether these, which hold the same, are read so far as they were compressed.
    awaited: Option<Vec<(FileKey, u64)>>,
}

/// What an archive may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Followed(FileKey),
    Past(Row),
    /// What was read of it up to here.
    PartOfPast(Row, u64),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("at", &self.archive.at)
            .field("candidates", &self.candidates.len())
            .finish_non_exhaustive()
    }
}

impl Proof {
    fn new(file: File, candidates: Vec<(Whose, Tail)>, to_the_end: bool) -> io::Result<Self> {
        Ok(Self {
            archive: decompress(file)?,
            candidates,
            same: Vec::new(),
            length: None,
            to_the_end,
            awaited: None,
        })
    }

    /// How long what was compressed is, and the bytes at its end; none: it is not known yet, or empty.
    pub fn end(&self) -> Option<(u64, &[u8])> {
        let length = self.length.filter(|length| *length > 0)?;
        Some((length, &self.archive.carry))
    }

    /// One step; true: all is known.
    fn step(&mut self) -> io::Result<bool> {
        if self.awaited.is_some() {
            return Ok(true);
        }
        let Archive {
            reader,
            carry,
            at,
            ended,
        } = &mut self.archive;
        let read = reader.by_ref().take(STEP_BYTES as u64).read_to_end(carry)?;
        *ended = read < STEP_BYTES;
        let end = *at + carry.len() as u64;
        if *ended {
            self.length = Some(end);
        }
        for (whose, known) in &self.candidates {
            let tail = (known.end - u64::from(known.len)).checked_sub(*at);
            let tail = tail.filter(|_| known.end <= end && !self.same.contains(whose));
            let Some(from) = tail else { continue };
            let tail = &carry[from as usize..(known.end - *at) as usize];
            if identity::content_hash(tail) == known.hash {
                self.same.push(*whose);
            }
        }
        let surplus = carry.len().saturating_sub(TAIL_BYTES);
        carry.drain(..surplus);
        *at += surplus as u64;
        let all_seen = self.candidates.iter().all(|(_, known)| known.end <= end);
        Ok(*ended || all_seen && !self.to_the_end)
    }
}

impl Files {
    /// An archive that does not grow any more is known if it holds what was read. One that may still grow (`early`) is
    /// tried once.
    pub fn judge_archive(&mut self, suspect: &mut Suspect, file: &File, early: bool, now: Instant) -> Verdict {
        if early && (suspect.size > EARLY_MAX_BYTES || suspect.tried && suspect.proof.is_none()) {
            return Verdict::Undecided;
        }
        let proof = match suspect.proof.take() {
            Some(proof) => Ok(proof),
            None => {
                let known = self.known_archive(suspect, file);
                if let Some(row) = known.filter(|_| !self.may_end_a_past(suspect)) {
                    self.keep_known(row, suspect, file);
                    return Verdict::Gone;
                }
                if self.has_unread_original(suspect, file, now) {
                    return Verdict::Undecided;
                }
                self.begin_proof(suspect, file, early)
            }
        };
        suspect.tried = true;
        if proof
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::Unsupported)
        {
            self.refuse(&suspect.path, Refusal::ManyFiles);
            return Verdict::Gone;
        }
        let stepped = proof.and_then(|mut proof| proof.step().map(|done| (proof, done)));
        match stepped {
            Ok((mut proof, true)) => match self.awaits_original(&mut proof, now) {
                Some(true) => {
                    suspect.proof = Some(proof);
                    Verdict::Undecided
                }
                Some(false) => self.judge_proof(suspect, file, &proof, now),
                None => {
                    suspect.tried = false;
                    Verdict::Undecided
                }
            },
            Ok((proof, false)) => {
                suspect.proof = Some(proof);
                Verdict::Undecided
            }
            Err(_) if early => Verdict::Undecided,
            Err(_) => {
                self.refuse(&suspect.path, Refusal::Error("damaged or not whole".to_owned()));
                Verdict::Gone
            }
        }
    }

    /// Whether a file that holds the same is still being read; none: it ended meanwhile, and how far it was read has to be
    /// asked anew.
    fn awaits_original(&mut self, proof: &mut Proof, now: Instant) -> Option<bool> {
        let followed = proof.same.iter().filter_map(|whose| match whose {
            Whose::Followed(key) => Some(*key),
            Whose::Past(_) | Whose::PartOfPast(..) => None,
        });
        let followed: Vec<FileKey> = followed.collect();
        if followed.iter().any(|key| !self.files.contains_key(key)) {
            return None;
        }
        let lengths = || followed.iter().map(|key| (*key, self.length_of(*key))).collect();
        let awaited: &Vec<(FileKey, u64)> = proof.awaited.get_or_insert_with(lengths);
        Some(awaited.iter().any(|(key, to)| self.is_being_read(*key, *to, now)))
    }

    /// What was taken for a log is an archive: its row goes, and its content decides what it is of.
    pub fn reclassify(&mut self, key: FileKey, now: Instant) {
        let Some(mut file) = self.remove(key) else { return };
        let inode = (file.state.identity.dev, file.state.identity.ino);
        file.state.finished = true;
        file.state.size_seen = 0;
        self.out.push_back(Event::Closed {
            file: key,
            file_state: Box::new(file.state),
        });
        self.out.push_back(Event::Forgotten(Row::File(key)));
        self.suspect(file.source, &file.path, inode, Kind::Archive, now);
    }

    /// Whether an archive is being compared: the next step need not wait.
    pub fn is_proving(&self) -> bool {
        let is_proving = |proof: &Proof| proof.awaited.is_none();
        self.suspects
            .iter()
            .any(|suspect| suspect.proof.as_ref().is_some_and(is_proving))
    }

    fn begin_proof(&self, suspect: &Suspect, file: &File, early: bool) -> io::Result<Proof> {
        let head = archive_head(file)?;
        if holds_many_files(&head) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let begins_like = |state: &FileState| {
            let length = state.identity.head_len as usize;
            length > 0 && length <= head.len() && identity::content_hash(&head[..length]) == state.identity.head_hash
        };
        let followed = self.files.values();
        let followed = followed.filter(|file| file.source == suspect.source && file.position > 0);
        let followed = followed.filter(|file| begins_like(&file.state));
        let followed = followed.map(|file| (Whose::Followed(file.key), file.state.identity.tail()));
        let pasts = self.pasts.iter();
        let pasts = pasts.filter(|past| past.source == suspect.source && begins_like(&past.state));
        let pasts = pasts.flat_map(|past| {
            let known = &past.state.identity;
            let parts = known.earlier.iter();
            let parts = parts.map(|tail| (Whose::PartOfPast(past.row, tail.end), *tail));
            parts.chain([(Whose::Past(past.row), known.tail())])
        });
        // One of a file that grew meanwhile is known by its end.
        let to_the_end = early
            || !self
                .originals_of(suspect.source, &suspect.path, suspect.inode)
                .is_empty();
        Proof::new(reopened(file)?, followed.chain(pasts).collect(), to_the_end)
    }

    fn judge_proof(&mut self, suspect: &Suspect, file: &File, proof: &Proof, now: Instant) -> Verdict {
        // Only what goes on what we read is taken from outside the globs.
        let is_ours = self.tracked[suspect.source].globs.matches(&suspect.path);
        let known = |reason| match is_ours {
            true => Verdict::Known(reason),
            false => Verdict::Gone,
        };
        if proof.same.iter().any(|whose| matches!(whose, Whose::Followed(_))) {
            return known(skipped::ARCHIVE_KNOWN);
        }
        let pasts = proof.same.iter().filter_map(|whose| match whose {
            Whose::Followed(_) | Whose::PartOfPast(..) => None,
            Whose::Past(row) => self.pasts.get(*row),
        });
        let furthest = pasts.max_by_key(|past| (past.state.identity.tail_end, !past.state.finished));
        if furthest.is_none_or(|past| past.state.finished)
            && let Some(row) = self.known_archive(suspect, file)
        {
            self.keep_known(row, suspect, file);
            return Verdict::Gone;
        }
        if let Some(past) = furthest {
            if past.state.finished && proof.length == Some(past.resume.committed_to) {
                return known(skipped::ARCHIVE_KNOWN);
            }
            return self.read_archive(past.row, suspect, file, now);
        }
        if let (Some(length), true) = (proof.length, self.is_shorter_copy(proof)) {
            log::debug!("{}: a copy of {length} bytes", suspect.path.display());
            return known(skipped::ARCHIVE_KNOWN);
        }
        if !is_ours {
            return Verdict::Gone;
        }
        if self.is_of_what_grew(suspect, file, proof) {
            return Verdict::Known(skipped::ARCHIVE_KNOWN);
        }
        // Seen before the last stop, but nothing of it was read.
        let is_it = |past: &&Past| {
            past.source == suspect.source && past.is_unread() && past.is_of(suspect.inode, &suspect.path)
        };
        let unread = self.pasts.of_inode(suspect.inode.1).find(is_it).map(|past| past.row);
        if let Some(row) = unread {
            return self.read_archive(row, suspect, file, now);
        }
        let Ok(metadata) = file.metadata() else {
            return Verdict::Gone;
        };
        if let Some(reason) = self.tracked[suspect.source].reason_to_skip(file, &metadata, self.history(suspect.inode))
        {
            return Verdict::Known(reason);
        }
        if let Some(row) = self.unread_original(suspect, proof.length) {
            return self.read_archive(row, suspect, file, now);
        }
        let Ok(archive) = reopened(file).and_then(decompress) else {
            return Verdict::Gone;
        };
        let name = self.tracked[suspect.source].source.name.clone();
        let key = self.new_key();
        let content = Content::Archive(archive);
        let file = fresh(key, suspect.source, suspect.path.clone(), content, suspect.inode);
        log::debug!("{}: an archive of what was never seen", suspect.path.display());
        self.out.push_back(Event::Opened(Box::new(file.opened(&name))));
        self.insert(file);
        Verdict::Gone
    }

    /// What was read of an ended incarnation is passed over, the rest is read.
    fn read_archive(&mut self, row: Row, suspect: &Suspect, file: &File, now: Instant) -> Verdict {
        if let Ok(archive) = reopened(file).and_then(decompress) {
            let content = Content::Archive(archive);
            self.go_on(row, Recognised::Same, &suspect.path, content, suspect.inode, now);
        }
        Verdict::Gone
    }

    /// Of a copy that was made before its original was truncated, when we had read further already.
    fn is_shorter_copy(&self, proof: &Proof) -> bool {
        let Some(length) = proof.length else { return false };
        proof.candidates.iter().any(|(whose, tail)| {
            let Whose::Past(row) = whose else { return false };
            let Some(past) = self.pasts.get(*row).filter(|_| length < tail.end) else {
                return false;
            };
            let known = &past.state.identity;
            let is_part = match known.last_before(length) {
                Some(part) => part.tells_a_copy_of(length) && proof.same.contains(&Whose::PartOfPast(*row, part.end)),
                None => known.is_all_head(),
            };
            is_part && past.was_truncated_in_place()
        })
    }

    /// The row of an archive that was read, or known, before the last start.
    fn known_archive(&self, suspect: &Suspect, file: &File) -> Option<Row> {
        let is_it = |past: &&Past| {
            let is_candidate = past.source == suspect.source && past.is_of(suspect.inode, &suspect.path);
            is_candidate && past.state.finished && is_known_archive(&past.state, file, suspect.size)
        };
        self.pasts.of_inode(suspect.inode.1).find(is_it).map(|past| past.row)
    }

    /// An archive that was read, or known, before the last start: its state stays as it is.
    fn keep_known(&mut self, row: Row, suspect: &Suspect, open: &File) {
        let Some(past) = self.pasts.take(row) else { return };
        let key = self.new_key();
        let mut file = Followed::new(
            key,
            past.source,
            suspect.path.clone(),
            Content::Closed,
            past.resume,
            past.state,
        );
        file.row = row.stored();
        file.read_at = open.metadata().ok().as_ref().map(seen_as);
        self.out.push_back(Event::Opened(Box::new(
            file.opened(&self.tracked[past.source].source.name),
        )));
        self.insert(file);
    }
}

/// Begins to decompress a file that is already open.
fn decompress(file: File) -> io::Result<Archive> {
    let (compression, reader) = archive::decoded(Box::new(file))?;
    match compression {
        Compression::Gzip | Compression::Zstd => Ok(Archive::new(reader)),
        Compression::None | Compression::Unsupported(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Whether this is the archive of which that is the state: known by its raw bytes, or read and known by what it holds.
pub fn is_known_archive(state: &FileState, file: &File, size: u64) -> bool {
    let known = &state.identity;
    if known.tail_len == 0 {
        return false;
    }
    let raw = known.holds(size, |offset, length| identity::read_at(file, offset, length));
    let holds_it = || {
        let (head, length) = (archive_head(file).unwrap_or_default(), known.head_len as usize);
        let same_head = length <= head.len() && identity::content_hash(&head[..length]) == known.head_hash;
        same_head && gzip_stated_size(file, size).is_none_or(|stated| stated == state.size_seen as u32)
    };
    matches!(raw, Ok(Match::Same)) || holds_it()
}

/// The same file, read from its beginning: what is cloned shares the position.
fn reopened(file: &File) -> io::Result<File> {
    use std::io::Seek;
    let mut again = file.try_clone()?;
    again.rewind()?;
    Ok(again)
}

/// What an archive holds at its beginning.
pub fn archive_head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    decompress(reopened(file)?)?
        .reader
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// Whether what was compressed is a tar archive: its lines are no log, and what was read of each file is not known.
fn holds_many_files(head: &[u8]) -> bool {
    /// POSIX.1-1988, ustar: the magic of a header block.
    const MAGIC_AT: usize = 257;
    head.get(MAGIC_AT..).is_some_and(|from| from.starts_with(b"ustar"))
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

/// Whether a file that begins with these bytes is compressed so that it can be read, whatever its name says: archives are
/// often written under a passing name.
pub fn begins_like_archive(head: &[u8]) -> bool {
    match Compression::of(head) {
        Compression::Gzip | Compression::Zstd => true,
        Compression::None | Compression::Unsupported(_) => false,
    }
}
