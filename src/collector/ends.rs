//! How a file ends: renamed or deleted and read to its end, truncated, or vanished while nobody looked.
//!
//! A file that has no name any more is let go soon, because its disk space is waited for; one that was renamed is held
//! longer, because its writer may not know yet. Unread bytes count as lost only after their copy or archive was looked
//! for.

use super::compressed::is_readable_archive;
use super::files::{Files, UNFINISHED_QUIET};
use super::follow::{Content, Followed, Life, Step};
use super::identity;
use super::ledger::{self, lost};
use super::origin::open_same;
use super::past::{Past, Recognised};
use super::suspects::{Kind, WHOLE_QUIET};
use super::{Event, FileKey, Row, discover};
use std::fs::Metadata;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// A deleted file is let go when it has been silent for so long: its disk space is waited for.
const DELETED_QUIET: Duration = Duration::from_secs(2);
/// A renamed file may be written to until its writer is told: some take minutes.
const ROTATED_QUIET: Duration = Duration::from_secs(300);
/// Unread bytes of a truncated file may turn up in a copy for so long.
pub const COPY_GRACE: Duration = Duration::from_secs(5);
/// While archives are undecided their directory is searched so often.
const SEARCHES_MAX: u8 = 5;

impl Files {
    pub fn look_at_held(&mut self, key: FileKey, now: Instant) {
        let Some(file) = self.files.get_mut(&key) else {
            self.held.remove(&key);
            return;
        };
        let stat = file.file().and_then(|open| rustix::fs::fstat(open).ok());
        let size = stat.as_ref().map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
        let read_at = stat
            .as_ref()
            .map(|stat| (size, stat.st_mtime, stat.st_mtime_nsec as u32));
        if (read_at.is_some() && file.read_at != read_at) || self.queued.contains(&key) {
            self.enqueue(key);
            return;
        }
        if stat.is_some_and(|stat| stat.st_nlink == 0) && !matches!(file.life, Life::Deleted(_)) {
            file.life = Life::Deleted(now);
        }
        let quiet = |since: Instant, long: Duration| now.saturating_duration_since(since.max(file.last_data)) >= long;
        let unfinished = size > file.position;
        match file.life {
            Life::Deleted(since) if quiet(since, DELETED_QUIET) => self.let_go(key),
            Life::Rotated(since) if quiet(since, ROTATED_QUIET) => self.let_go(key),
            Life::Named | Life::Rotated(_) | Life::Deleted(_) => {
                let complete = file.renamed.is_some_and(|since| quiet(since, UNFINISHED_QUIET));
                if complete && unfinished {
                    // The step sees that it has been renamed long enough.
                    self.enqueue(key);
                } else if complete && file.life == Life::Named {
                    self.held.remove(&key);
                }
            }
        }
    }

    /// A held file is read to its end, unfinished line and all, and closed.
    fn let_go(&mut self, key: FileKey) {
        let mut buffer = Vec::new();
        while let Some(Step::Chunk(chunk)) = self.step(key, &mut buffer, true) {
            self.out.push_back(Event::Chunk(chunk));
        }
        self.close(key, None);
    }

    /// No more data of this file will come; what is unread is lost for `reason`.
    pub fn close(&mut self, key: FileKey, reason: Option<&'static str>) {
        let Some(mut file) = self.remove(key) else { return };
        if file.is_closed() && !file.state.finished && reason.is_none() {
            // It was gone before it could be opened again: an archive of it may turn up.
            let until = Instant::now() + COPY_GRACE;
            return self.pasts.push(past_of(file, Some(key), Some(until)));
        }
        let was_known = std::mem::replace(&mut file.state.finished, true);
        let unread = file.unread_bytes();
        log::debug!("{}: closed, {unread} bytes unread", file.path.display());
        file.state.ledger.lose(reason.unwrap_or(ledger::lost::DELETED), unread);
        let file_state = Box::new(file.state.clone());
        self.out.push_back(Event::Closed { file: key, file_state });
        if was_known {
            // An archive that was read before: once it is gone there is nothing to recognise it for.
            self.out.push_back(Event::Forgotten(Row::File(key)));
        } else {
            self.pasts.push(past_of(file, None, None));
        }
    }

    /// The file was truncated or rewritten in place: this incarnation waits for a copy to turn up, the next one begins.
    pub fn restart(&mut self, key: FileKey, now: Instant) {
        if self.files.get(&key).is_some_and(|file| file.is_archive()) {
            // It is no archive of what it was taken for.
            return self.close(key, Some(lost::UNREADABLE));
        }
        let Some(mut file) = self.remove(key) else { return };
        log::info!(
            "{}: truncated or rewritten; reading from its beginning",
            file.path.display()
        );
        file.state.truncated = true;
        // The next process, too, knows by this what its copies are.
        self.out.push_back(Event::Changed {
            file: key,
            file_state: Box::new(file.state.clone()),
        });
        file.state.truncations += 1;
        let truncations = file.state.truncations;
        file.state.ledger.possible_losses += 1;
        let Some(open) = file.file().and_then(|open| open.try_clone().ok()) else {
            return;
        };
        let (source, path, life, identity) = (file.source, file.path.clone(), file.life, file.state.identity.clone());
        let first_name = file.first_name.clone();
        let old = past_of(file, Some(key), Some(now + COPY_GRACE));
        self.pasts.push(old);
        let new = self.new_key();
        let mut next = super::origin::fresh(new, source, path, Content::File(open), (identity.dev, identity.ino));
        next.state.truncations = truncations;
        (next.life, next.first_name) = (life, first_name);
        self.out
            .push_back(Event::Opened(Box::new(next.opened(&self.tracked[source].source.name))));
        self.insert(next);
        self.find_elsewhere(Row::File(key), now);
    }

    /// Looks beside the last path of an ended incarnation for what was not read of it.
    pub fn find_elsewhere(&mut self, row: Row, now: Instant) {
        let Some(past) = self.pasts.get(row) else { return };
        let (source, last_path) = (past.source, past.path.clone());
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
            let Ok(file) = open_same(&path, inode) else { continue };
            let found = self.pasts.recognise(source, &path, &file, self.boot());
            if let Ok(Some((found, how))) = found
                && found == row
                && how != Recognised::PartialCopy
            {
                let named = self.tracked[source].globs.matches(&path);
                self.go_on(row, how, &path, Content::File(file), inode, now);
                if let (false, Some(key)) = (named, self.by_inode.get(&(source, inode.0, inode.1)).copied()) {
                    self.hold_as_rotated(key, now);
                    self.find_between(key, &last_path, now);
                }
                return;
            }
        }
    }

    /// `path` was the name of `old`, and another file has it now. Of those that had it in between, and were renamed
    /// before we looked, none may have a name that a glob matches: they are found by when they were born.
    pub fn find_between(&mut self, old: FileKey, path: &Path, now: Instant) {
        let Some(file) = self.files.get(&old) else { return };
        let (source, born) = (file.source, file.file().and_then(identity::birth));
        let newest = self.by_path.get(&(source, path.to_owned())).filter(|key| **key != old);
        let newest = newest.and_then(|key| self.files.get(key)?.file());
        let (Some(after), Some(before)) = (born, newest.and_then(identity::birth)) else {
            return;
        };
        for entry in path
            .parent()
            .and_then(|parent| parent.read_dir().ok())
            .into_iter()
            .flatten()
            .flatten()
        {
            let is_theirs = path
                .file_name()
                .is_some_and(|name| discover::is_numbered_generation(&entry.file_name(), name));
            if is_theirs && !self.tracked[source].globs.matches(&entry.path()) {
                self.admit_generation(source, &entry.path(), after..=before, now);
            }
        }
    }

    /// A path that no glob matches was renamed to: it may be a generation of one that does, born since our start and never
    /// seen under its first name.
    pub fn look_at_generation(&mut self, source: usize, path: &Path, now: Instant) {
        let Some(name) = path.file_name() else { return };
        let originals = name.to_str().map(discover::originals).unwrap_or_default();
        let is_generation = originals.iter().any(|original| {
            discover::is_numbered_generation(name, original.as_ref())
                && self.tracked[source].globs.matches(&path.with_file_name(original))
        });
        if is_generation {
            self.admit_generation(source, path, self.began..=SystemTime::now(), now);
        }
    }

    fn admit_generation(&mut self, source: usize, path: &Path, born: RangeInclusive<SystemTime>, now: Instant) {
        let Some(metadata) = path.symlink_metadata().ok().filter(Metadata::is_file) else {
            return;
        };
        let inode = (metadata.dev(), metadata.ino());
        let birth = || open_same(path, inode).ok().and_then(|file| identity::birth(&file));
        let is_followed = self.by_inode.contains_key(&(source, inode.0, inode.1));
        if !is_followed && birth().is_some_and(|birth| born.contains(&birth)) {
            self.admit(source, path, &metadata, now);
            self.hold_if_unnamed(source, inode, path, now);
        }
    }

    /// No glob leads to this path: its file is held only until it is read.
    pub fn hold_if_unnamed(&mut self, source: usize, (device, inode): (u64, u64), path: &Path, now: Instant) {
        let key = self.by_inode.get(&(source, device, inode)).copied();
        if let Some(key) = key.filter(|_| !self.tracked[source].globs.matches(path)) {
            self.hold_as_rotated(key, now);
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
        let is_due = |past: &&Past| past.until.is_some_and(|until| now >= until);
        let due = self
            .pasts
            .waiting()
            .filter(is_due)
            .map(|past| (past.row, past.searches));
        for (row, searches) in due.collect::<Vec<_>>() {
            self.find_elsewhere(row, now);
            if self.pasts.get(row).is_none() {
                continue;
            }
            let undecided = self.suspects.iter().any(|suspect| suspect.kind == Kind::Archive);
            if undecided && searches < SEARCHES_MAX {
                // Archives are judged when they have not grown for a while.
                self.pasts.wait_on(row, now + 2 * WHOLE_QUIET);
                continue;
            }
            self.give_up(row);
        }
        while let Some(past) = self.pasts.take_surplus() {
            self.out.push_back(Event::Forgotten(past.row));
        }
    }

    fn give_up(&mut self, row: Row) {
        let Some(mut past) = self.pasts.take(row) else { return };
        past.until = None;
        let reason = match past.open.is_some() && past.state.truncated {
            true => lost::TRUNCATED,
            false => lost::DELETED,
        };
        if past.open.is_some() && !past.state.truncated {
            // It was gone before it could be opened again: nobody saw how long it was.
            past.state.ledger.possible_losses += 1;
        }
        let key = past.open.take().unwrap_or_else(|| self.new_key());
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
        // After it was opened: a loss is told by what a file's state says before and after it.
        past.state.finished = true;
        let mut unread = past.state.pending_bytes();
        if let Row::Stored(_) = row {
            // What was written to it while we were away nobody has seen; and a record that was left open was never told.
            past.state.ledger.possible_losses += 1;
            let open = past.resume.committed_to.saturating_sub(past.resume.offset);
            let open = open.min(past.state.ledger.handed_on);
            past.state.ledger.handed_on -= open;
            unread += open;
        }
        log::debug!("{}: given up, {unread} bytes {reason}", past.path.display());
        past.state.ledger.lose(reason, unread);
        past.row = Row::File(key);
        let file_state = Box::new(past.state.clone());
        self.out.push_back(Event::Closed { file: key, file_state });
        self.pasts.push(past);
    }
}

/// What is left of a file that is no longer read.
pub fn past_of(file: Followed, open: Option<FileKey>, until: Option<Instant>) -> Past {
    let resume = super::Resume {
        offset: file.position,
        committed_to: file.position,
        ..file.resume.clone()
    };
    Past {
        source: file.source,
        row: Row::File(file.key),
        path: file.path,
        first_name: file.first_name,
        resume,
        state: file.state,
        open,
        until,
        searches: 0,
    }
}
