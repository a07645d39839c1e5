//! A log file that rotates itself: `FILE`, `FILE.1` (the youngest) to `FILE.N`.
//!
//! Each write is taken to be whole lines, and goes into one file. A file that somebody else renamed or removed is made
//! anew under its name, so that logrotate needs no signal. A rotation that fails (a directory that cannot be written)
//! keeps writing where it is: better a long log than none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    max_size_bytes: u64,
    keep: u32,
    file: File,
    size_bytes: u64,
}

impl RotatingFile {
    pub fn open(path: &Path, max_size_bytes: u64, keep: u32) -> io::Result<Self> {
        let (file, size_bytes) = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            max_size_bytes,
            keep,
            file,
            size_bytes,
        })
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size_bytes) = open(&self.path)?;
        Ok(())
    }

    fn is_elsewhere(&self) -> bool {
        let (Ok(here), Ok(there)) = (self.file.metadata(), fs::metadata(&self.path)) else {
            return true;
        };
        (here.dev(), here.ino()) != (there.dev(), there.ino())
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            self.file.set_len(0)?;
            self.size_bytes = 0;
            return Ok(());
        }
        for n in (1..self.keep).rev() {
            match fs::rename(self.numbered(n), self.numbered(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))?;
        self.reopen()
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::options().append(true).create(true).mode(0o640).open(path)?;
    let size_bytes = file.metadata()?.len();
    Ok((file, size_bytes))
}

impl Write for RotatingFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let moved = if self.is_elsewhere() { self.reopen() } else { Ok(()) };
        let full = self.size_bytes > 0 && self.size_bytes + lines.len() as u64 > self.max_size_bytes;
        let rotated = if full { self.rotate() } else { Ok(()) };
        // Whoever reads the log learns of it where he reads.
        if let Err(error) = moved.and(rotated) {
            writeln!(self.file, "this log cannot be rotated: {error}")?;
            // Not again at each line.
            self.size_bytes = 0;
        }
        let written = self.file.write(lines)?;
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| format!("{}: {error}", path.display()))
    }

    #[test]
    fn the_log_rotates_by_size_and_keeps_so_many() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.log");
        let mut file = RotatingFile::open(&path, 10, 2).unwrap();
        for line in ["first\n", "second\n", "third\n", "fourth\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "fourth\n");
        assert_eq!(read(&dir.path().join("own.log.1")), "third\n");
        assert_eq!(read(&dir.path().join("own.log.2")), "second\n");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 3);
    }

    #[test]
    fn a_log_of_the_last_run_is_continued_and_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.log");
        fs::write(&path, "older\n").unwrap();
        let mut file = RotatingFile::open(&path, 14, 1).unwrap();
        file.write_all(b"newer\n").unwrap();
        assert_eq!(read(&path), "older\nnewer\n");
        file.write_all(b"newest\n").unwrap();
        assert_eq!(read(&path), "newest\n");
    }

    #[test]
    fn kept_none_the_file_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.log");
        let mut file = RotatingFile::open(&path, 8, 0).unwrap();
        file.write_all(b"first\n").unwrap();
        file.write_all(b"second\n").unwrap();
        assert_eq!(read(&path), "second\n");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }

    #[test]
    fn a_log_that_logrotate_moved_away_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.log");
        let mut file = RotatingFile::open(&path, 1000, 3).unwrap();
        file.write_all(b"before\n").unwrap();
        fs::rename(&path, dir.path().join("moved")).unwrap();
        file.write_all(b"after\n").unwrap();
        assert_eq!(read(&dir.path().join("moved")), "before\n");
        assert_eq!(read(&path), "after\n");
    }

    #[test]
    fn where_it_cannot_rotate_it_goes_on_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.log");
        // A directory with something in it is in the way of the rename.
        fs::create_dir_all(dir.path().join("own.log.1/in-the-way")).unwrap();
        let mut file = RotatingFile::open(&path, 10, 1).unwrap();
        for line in ["first\n", "second\n", "3\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        let text = read(&path);
        assert!(text.starts_with("first\nthis log cannot be rotated: "), "{text}");
        assert!(text.ends_with("second\n3\n"), "{text}");
    }
}
