//! Paths of which content cannot tell yet what they are: a copy still being written, an archive still being compressed
//! (see `compressed`), a file that took the name of one that was deleted.

use super::compressed::Proof;
use super::files::{Files, seen_as};
use super::follow::{Content, Life};
use super::identity::{self, HEAD_BYTES, Match, TAIL_BYTES};
use super::ledger::skipped;
use super::origin::{fresh, open_same};
use super::past::{Boot, Recognised};
use super::{Event, FileKey};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A copy or archive that has not grown for so long is whole.
pub const WHOLE_QUIET: Duration = Duration::from_secs(2);

/// After so long it is tried whether an archive is.
const EARLY_QUIET: Duration = Duration::from_millis(400);

/// A path of which it cannot be told yet what it is.
#[derive(Debug)]
pub struct Suspect {
    pub source: usize,
    pub path: PathBuf,
    pub inode: (u64, u64),
    pub kind: Kind,
    pub size: u64,
    since: Instant,
    /// When it was so long, all of it had been read from its original.
    known_to: u64,
    /// It was tried whether it is a whole archive, at this size.
    pub tried: bool,
    /// How far an archive was compared with what was read.
    pub proof: Option<Proof>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may be a copy of a file that is followed, or was before it was truncated.
    Copy,
    /// It took the name of this file, which is deleted: it may hold what was read.
    ReplacementOf(FileKey),
    Archive,
}

/// What comparing with one original says.
enum Likeness {
    /// It holds something else.
    Other,
    /// It begins as the original does, which must be read first, or the original has changed meanwhile.
    Unclear,
    /// All that it holds was read from the original.
    Copy,
}

/// What a suspect turned out to be.
pub enum Verdict {
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
        log::debug!("{}: inode {}, may be {kind:?}", path.display(), inode.1);
        // The size is not known yet: the first look counts as a change.
        self.suspects.push(Suspect {
            source,
            path: path.to_owned(),
            inode,
            kind,
            size: u64::MAX,
            since: now,
            known_to: 0,
            tried: false,
            proof: None,
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
                        self.hold_if_unnamed(suspect.source, suspect.inode, &suspect.path, now);
                    }
                }
                Verdict::GoesOn(key) => self.move_to(key, &suspect),
                Verdict::Known(_) if !self.tracked[suspect.source].globs.matches(&suspect.path) => {}
                Verdict::Known(reason) => {
                    log::debug!("{}: {reason}", suspect.path.display());
                    self.insert_known(&suspect, reason);
                }
            }
        }
    }

    fn judge(&mut self, suspect: &mut Suspect, now: Instant) -> Verdict {
        let Ok(metadata) = std::fs::metadata(&suspect.path) else {
            return Verdict::Gone;
        };
        let (device, inode) = (metadata.dev(), metadata.ino());
        let is_followed = self.by_inode.contains_key(&(suspect.source, device, inode));
        if (device, inode) != suspect.inode || is_followed {
            return Verdict::Gone;
        }
        if metadata.size() != suspect.size {
            (suspect.size, suspect.since) = (metadata.size(), now);
            (suspect.proof, suspect.tried) = (None, false);
        }
        let silence = now.saturating_duration_since(suspect.since);
        let (is_quiet, is_whole) = (silence >= EARLY_QUIET, silence >= WHOLE_QUIET);
        let Ok(file) = open_same(&suspect.path, suspect.inode) else {
            return Verdict::Gone;
        };
        let judged = match suspect.kind {
            Kind::Archive if is_whole || is_quiet => return self.judge_archive(suspect, &file, !is_whole, now),
            Kind::Archive => return Verdict::Undecided,
            Kind::ReplacementOf(key) => self.judge_replacement(key, &file, suspect.size),
            Kind::Copy => self.judge_copy(suspect, &file, is_whole, now),
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

    /// Is it a copy of one of the files that have, or had first, the name that it is called after?
    fn judge_copy(&mut self, suspect: &mut Suspect, file: &File, is_whole: bool, now: Instant) -> io::Result<Verdict> {
        if suspect.size == 0 && !is_whole {
            return Ok(Verdict::Undecided);
        }
        let (mut is_known, mut may_be_copy) = (false, false);
        for key in self.originals_of(suspect.source, &suspect.path, suspect.inode) {
            match self.compare(key, suspect, file)? {
                Likeness::Other => {}
                Likeness::Unclear => may_be_copy = true,
                Likeness::Copy => is_known = true,
            }
        }
        if is_known {
            suspect.known_to = suspect.size;
        }
        Ok(match (is_known, may_be_copy) {
            (true, _) if is_whole => Verdict::Known(skipped::COPY_KNOWN),
            (true, _) | (false, true) => Verdict::Undecided,
            (false, false) => return self.judge_copy_of_past(suspect, file, is_whole, now),
        })
    }

    /// A copy is as long as its original at most: that may have grown meanwhile.
    fn compare(&mut self, original: FileKey, suspect: &Suspect, file: &File) -> io::Result<Likeness> {
        self.ensure_open(original);
        let Some(followed) = self.files.get(&original) else {
            return Ok(Likeness::Other);
        };
        let Some(open) = followed.file() else {
            return Ok(Likeness::Other);
        };
        let length = suspect.size;
        let tail = length.saturating_sub(TAIL_BYTES as u64);
        let is_same = length > 0
            && open.metadata()?.len() >= length
            && same_bytes(open, file, 0, length.min(HEAD_BYTES as u64))?
            && same_bytes(open, file, tail, length)?;
        // Asked last: of one that was truncated while they were compared nothing is known.
        let is_intact = followed.is_intact()?;
        Ok(match (is_intact, is_same) {
            (true, false) => Likeness::Other,
            (true, true) if length <= followed.position => Likeness::Copy,
            (false, _) | (true, true) => {
                // Its own turn comes first.
                self.enqueue(original);
                Likeness::Unclear
            }
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
        let recognised = self.pasts.recognise(suspect.source, &suspect.path, file, Boot::Same)?;
        let all_known = suspect.known_to == suspect.size && suspect.size > 0;
        Ok(match (recognised, is_whole) {
            (Some((row, how @ (Recognised::Same | Recognised::PowerCut))), _) => {
                let content = Content::File(file.try_clone()?);
                self.go_on(row, how, &suspect.path, content, suspect.inode, now);
                Verdict::Gone
            }
            (Some((_, Recognised::PartialCopy)), true) => Verdict::Known(skipped::COPY_KNOWN),
            // Too short to be recognised by its head.
            (None, true) if all_known => Verdict::Known(skipped::COPY_KNOWN),
            (Some((_, Recognised::PartialCopy)), false) => Verdict::Undecided,
            (None, false) if all_known => Verdict::Undecided,
            (None, _) => Verdict::New,
        })
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
        let Ok(open) = open_same(&suspect.path, suspect.inode) else {
            return;
        };
        // What is known of an archive is its raw bytes: the next start knows it by them.
        let is_archive = suspect.kind == Kind::Archive;
        let seen = open.metadata().ok().as_ref().map(seen_as);
        let content = Content::File(open);
        let mut file = fresh(key, suspect.source, suspect.path.clone(), content, suspect.inode);
        if file
            .begin_at(suspect.size, reason)
            .and_then(|()| self.know_head(&mut file, suspect.size))
            .is_err()
        {
            return;
        }
        if is_archive {
            file.state.finished = true;
            file.set_content(Content::Closed);
            file.read_at = seen;
        }
        self.out.push_back(Event::Opened(Box::new(
            file.opened(&self.tracked[suspect.source].source.name),
        )));
        self.insert(file);
    }
}

fn same_bytes(one: &File, other: &File, from: u64, to: u64) -> io::Result<bool> {
    let length = (to - from) as usize;
    Ok(identity::read_at(one, from, length)? == identity::read_at(other, from, length)?)
}
