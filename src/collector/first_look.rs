//! How long the files were when the program was started, for sources that are read from the end.
//!
//! Deciding where thousands of files begin takes a while (each is opened, its head and tail are hashed); a line that is
//! written meanwhile is no old one. So all sizes are taken first, by one quick walk.

use super::{Globs, ReadFrom, Source};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

/// Sizes by device and inode.
#[derive(Debug, Default)]
pub struct FirstLook(HashMap<(u64, u64), u64>);

impl FirstLook {
    /// A file that is not there, or a glob that is none, is somebody else's question.
    pub fn at<'a>(sources: impl Iterator<Item = &'a Source>) -> Self {
        let mut sizes = HashMap::new();
        for source in sources.filter(|source| source.read_from == ReadFrom::End) {
            let Ok(globs) = Globs::new(&source.paths, &source.exclude) else {
                continue;
            };
            let mut found = super::discover::Found::default();
            globs.walk(&mut found);
            for metadata in found.paths.iter().filter_map(|path| path.metadata().ok()) {
                sizes.insert((metadata.dev(), metadata.ino()), metadata.size());
            }
        }
        Self(sizes)
    }

    /// How long this file was then; `size` if it was not there, or has become shorter.
    pub fn size(&self, inode: (u64, u64), size: u64) -> u64 {
        self.0.get(&inode).map_or(size, |then| size.min(*then))
    }
}
