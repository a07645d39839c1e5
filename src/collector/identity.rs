//! What makes a file the same file: device, inode, the hash of its head, and the hash of the bytes before the offset.
//!
//! No part is trusted alone: inodes are reused as soon as a file is compressed, heads are alike where every file begins
//! with the same banner, and device numbers change when a file system is mounted again. There is no minimum size: the
//! head grows with the file up to [`HEAD_BYTES`].

use super::{FileState, Identity, Tail};
use rustix::fs::{AtFlags, StatxFlags};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Bytes at the beginning of a file that are hashed.
pub const HEAD_BYTES: usize = 1024;
/// Bytes before the offset that are hashed.
pub const TAIL_BYTES: usize = 512;
/// Earlier places that are kept: the nearest ones, and others each at least twice as far from the end as the next.
const EARLIER_MAX: usize = 8;
/// So many lines may be written between a copy and its original's truncation, and even a short copy is still known.
const LINES_BEFORE: usize = 3;
/// A place nearer to the beginning lies within a banner, maybe, with which every file begins.
const BANNER_BYTES: u64 = 3 * TAIL_BYTES as u64;

/// A hash of content (FNV-1a, 64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>): it tells files apart by accident,
/// not against an attacker, who could write the log anyway.
pub fn content_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Reads up to `length` bytes at `offset`; fewer only at the end of the file.
pub fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match rustix::io::pread(file, &mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl Identity {
    /// Takes the hash of the bytes before `offset`, given those bytes or more of them.
    pub fn set_tail(&mut self, offset: u64, before: &[u8]) {
        let tail = &before[before.len().saturating_sub(TAIL_BYTES)..];
        self.tail_hash = content_hash(tail);
        self.tail_len = tail.len() as u32;
        self.tail_end = offset;
    }

    /// The same at the end of one more chunk, of which `before` holds at least the end; of what was known before, and
    /// of places within the chunk, some are kept: a copy may have been made there, before it was read further.
    pub fn move_tail(&mut self, offset: u64, before: &[u8]) {
        let known = (self.tail_len > 0).then(|| self.tail());
        let mut places: Vec<Tail> = std::mem::take(&mut self.earlier).into_iter().chain(known).collect();
        let begins_file = before.len() as u64 == offset;
        let last_line = before.len().saturating_sub(1);
        let line_ends = memchr::memrchr_iter(b'\n', &before[..last_line]).take(LINES_BEFORE);
        let far = [1, 4, 16, 64].map(|distance| distance * 1024);
        let far = far
            .into_iter()
            .filter_map(|distance| before.len().checked_sub(distance));
        for end in line_ends.map(|at| at + 1).chain(far) {
            let length = end.min(TAIL_BYTES);
            if length == TAIL_BYTES || (begins_file && length > 0) {
                places.push(Tail {
                    end: offset - (before.len() - end) as u64,
                    len: length as u32,
                    hash: content_hash(&before[end - length..end]),
                });
            }
        }
        places.sort_by_key(|place| place.end);
        places.dedup_by_key(|place| place.end);
        let mut nearer = 0;
        for place in places.into_iter().rev() {
            let distance = offset.saturating_sub(place.end);
            let count = self.earlier.len();
            let is_wanted = count < LINES_BEFORE || (distance >= 2 * nearer && count < EARLIER_MAX);
            if distance > 0 && is_wanted {
                self.earlier.push(place);
                nearer = distance;
            }
        }
        self.earlier.reverse();
        self.set_tail(offset, before);
    }

    pub fn tail(&self) -> Tail {
        Tail {
            end: self.tail_end,
            len: self.tail_len,
            hash: self.tail_hash,
        }
    }

    /// The last known place below `size`.
    pub fn last_before(&self, size: u64) -> Option<Tail> {
        self.earlier.iter().rfind(|tail| tail.end <= size).copied()
    }

    /// Whether the head is all that was seen of the file: it is no banner with which every file begins.
    pub fn is_all_head(&self) -> bool {
        (1..HEAD_BYTES).contains(&(self.head_len as usize))
    }

    /// Takes the hash of the head, as long as it still grows.
    pub fn grow_head(&mut self, file: &File, size: u64) -> io::Result<()> {
        if (self.head_len as usize) < HEAD_BYTES && u64::from(self.head_len) < size {
            let head = read_at(file, 0, HEAD_BYTES)?;
            self.head_hash = content_hash(&head);
            self.head_len = head.len() as u32;
        }
        Ok(())
    }

    /// Whether a file that holds `size` bytes and is read by `read` holds what was read under this identity.
    pub fn holds(&self, size: u64, mut read: impl FnMut(u64, usize) -> io::Result<Vec<u8>>) -> io::Result<Match> {
        let head_len = self.head_len as usize;
        // Of a file that was seen and never read nothing is known: then its inode alone tells.
        if head_len > 0 && size >= u64::from(self.head_len) {
            let head = read(0, head_len)?;
            // A log that is kept small by punching a hole into its beginning: then the tail tells.
            let is_hole = head.iter().all(|byte| *byte == 0);
            if head.len() == head_len && content_hash(&head) != self.head_hash && !is_hole {
                return Ok(Match::Differs);
            }
        }
        if size < self.tail_end {
            let head_known = size >= u64::from(self.head_len);
            let is_prefix = match self.last_before(size) {
                Some(place) => place.tells_a_copy_of(size) && place.is_in(&mut read)?,
                None => head_known && self.is_all_head(),
            };
            return Ok(Match::Shorter { head_known, is_prefix });
        }
        Ok(match self.tail().is_in(&mut read)? {
            true => Match::Same,
            false => Match::Differs,
        })
    }
}

impl Tail {
    /// Whether a file of this size that holds it is a copy of what was read: not if it may be a banner that both have.
    pub fn tells_a_copy_of(&self, size: u64) -> bool {
        self.end == size || self.end > BANNER_BYTES
    }

    /// Whether a file that is read by `read` holds it.
    fn is_in(&self, read: &mut impl FnMut(u64, usize) -> io::Result<Vec<u8>>) -> io::Result<bool> {
        let length = self.len as usize;
        if length == 0 {
            return Ok(true);
        }
        let bytes = read(self.end - u64::from(self.len), length)?;
        Ok(bytes.len() == length && content_hash(&bytes) == self.hash)
    }
}

/// What the content of a file says about an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Head and tail are there; the file may go on behind.
    Same,
    /// Shorter than what was read; `head_known`: its head is there, and the same; `is_prefix`: so is what was read up to
    /// there, as far as it is remembered. The head alone does not tell: every file may begin with the same banner.
    Shorter {
        head_known: bool,
        is_prefix: bool,
    },
    Differs,
}

impl FileState {
    /// Gives the file its id as soon as its first line is known (`head`: the bytes at its beginning).
    pub(super) fn name_by(&mut self, host_id: &str, head: &[u8], newline: super::lines::Newline, ended: bool) {
        let end = newline
            .first_end(head)
            .or((ended || head.len() >= HEAD_BYTES).then_some(head.len()));
        if let (None, Some(end)) = (&self.id, end) {
            self.id = Some(self.id_of(host_id, &head[..end]));
        }
    }

    /// Whether it got its id by the line at the beginning of `head`.
    pub(super) fn is_named_by(&self, host_id: &str, head: &[u8]) -> bool {
        let newline = self.marked.unwrap_or(super::lines::Newline::Byte);
        let end = newline.first_end(head);
        end.is_some_and(|end| self.id == Some(self.id_of(host_id, &head[..end])))
    }

    fn id_of(&self, host_id: &str, first_line: &[u8]) -> String {
        crate::alert::id::of_file(host_id, self.identity.ino, first_line, self.truncations)
    }
}

/// When the file was born, as far as its file system tells.
pub fn birth(file: &File) -> Option<SystemTime> {
    let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
    let known = stat.stx_mask & StatxFlags::BTIME.bits() != 0 && stat.stx_btime.tv_sec > 0;
    let since_epoch = Duration::new(u64::try_from(stat.stx_btime.tv_sec).ok()?, stat.stx_btime.tv_nsec);
    known.then(|| SystemTime::UNIX_EPOCH + since_epoch)
}

/// Whether `path` lies on a file system whose changes may not be told by inotify, and whose device numbers may change.
pub fn is_network(path: &Path) -> bool {
    // statfs(2): NFS, CIFS, SMB2, FUSE, 9p, Ceph, AFS, Coda.
    const MAGICS: [u32; 8] = [
        0x6969,
        0xff53_4d42,
        0xfe53_4d42,
        0x6573_5546,
        0x0102_1997,
        0x00c3_6400,
        0x5346_414f,
        0x7375_7245,
    ];
    rustix::fs::statfs(path).is_ok_and(|stat| MAGICS.contains(&(stat.f_type as u32)))
}

/// Whether writing to `path` may not be told to the watchers of its directory: it has other names, or it is mounted.
pub fn is_told_of_elsewhere(path: &Path) -> bool {
    let mount = |path: &Path| {
        let wanted = StatxFlags::NLINK | StatxFlags::MNT_ID;
        rustix::fs::statx(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted).ok()
    };
    let Some(file) = mount(path) else { return false };
    let directory = path.parent().and_then(mount);
    file.stx_nlink > 1 || directory.is_some_and(|directory| directory.stx_mnt_id != file.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn identity(content: &[u8], offset: usize) -> Identity {
        let mut identity = Identity::default();
        identity.grow_head(&file(content), content.len() as u64).unwrap();
        identity.set_tail(offset as u64, &content[..offset]);
        identity
    }

    fn matching(identity: &Identity, content: &[u8]) -> Match {
        let file = file(content);
        identity
            .holds(content.len() as u64, |offset, length| read_at(&file, offset, length))
            .unwrap()
    }

    #[test]
    fn file_that_only_grew_is_the_same() {
        let known = identity(b"one\ntwo\n", 8);
        assert_eq!(matching(&known, b"one\ntwo\nthree\n"), Match::Same);
    }

    #[test]
    fn identical_head_is_not_enough() {
        let banner = "x".repeat(2 * HEAD_BYTES);
        let known = identity(format!("{banner}one\n").as_bytes(), banner.len() + 4);
        assert_eq!(matching(&known, format!("{banner}two\n").as_bytes()), Match::Differs);
        let banner_alone = Match::Shorter {
            head_known: true,
            is_prefix: false,
        };
        assert_eq!(matching(&known, banner.as_bytes()), banner_alone);
    }

    #[test]
    fn shorter_file_is_a_prefix_if_it_holds_what_was_read_up_to_there() {
        let text = |lines: &[&str]| format!("{}\n{}", "x".repeat(BANNER_BYTES as usize - 9), lines.concat());
        let read = text(&["one\n", "two\n", "three\n"]);
        let mut known = identity(read.as_bytes(), text(&["one\n"]).len());
        for lines in [&["one\n", "two\n"][..], &["one\n", "two\n", "three\n"]] {
            let end = text(lines).len();
            known.move_tail(end as u64, &read.as_bytes()[..end]);
        }
        let is_prefix = |content: &str| match matching(&known, content.as_bytes()) {
            Match::Shorter { is_prefix, .. } => is_prefix,
            other => panic!("{other:?}"),
        };
        assert!(is_prefix(&text(&["one\n", "two\n"])));
        assert!(!is_prefix(&text(&["two\n", "one\n"])));
        assert!(!is_prefix(&text(&["on"])));
        let long = format!("{read}{}", "y".repeat(8 * HEAD_BYTES));
        known.move_tail(long.len() as u64, &long.as_bytes()[read.len()..]);
        let is_prefix = |content: &str| match matching(&known, content.as_bytes()) {
            Match::Shorter { is_prefix, .. } => is_prefix,
            other => panic!("{other:?}"),
        };
        assert!(is_prefix(&long[..long.len() - 300]));
        assert!(is_prefix(&long[..long.len() - 3000]));
        assert!(!is_prefix(&format!("{read}{}", "z".repeat(6 * HEAD_BYTES))));
        assert!(known.earlier.len() <= EARLIER_MAX, "{known:?}");
    }

    #[test]
    fn file_with_a_hole_at_its_beginning_is_known_by_its_tail() {
        let text = "a line\n".repeat(1000);
        let known = identity(text.as_bytes(), text.len());
        let with_hole = |hole: usize| [&vec![0; hole], &text.as_bytes()[hole..], b"more\n"].concat();
        assert_eq!(matching(&known, &with_hole(4096)), Match::Same);
        assert_eq!(matching(&known, &with_hole(7000)), Match::Differs);
    }

    #[test]
    fn other_beginning_under_the_same_inode_is_another_file() {
        assert_eq!(
            matching(&identity(b"one\ntwo\n", 8), b"uno\ntwo\nthree\n"),
            Match::Differs
        );
    }
}
