//! What an assembler holds between two lines, to be compared with another's.

use super::Assembler;
use super::open::Open;

/// Two assemblers that stand alike make the same records of the same lines, numbers of lines apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    reader: String,
    open: Vec<String>,
    partial: Vec<String>,
    resting: String,
}

impl Assembler {
    pub fn standing(&self) -> Standing {
        // What they print is all they hold; a few kilobytes, once a part.
        let printed = |open: &[Open]| {
            let mut printed: Vec<String> = open
                .iter()
                .map(|open| format!("{:?}", open.numbered_from(self.line)))
                .collect();
            printed.sort_unstable();
            printed
        };
        Standing {
            reader: self.reader.standing(),
            open: printed(&self.open),
            partial: printed(&self.partial),
            resting: format!("{:?}", self.resting),
        }
    }

    /// The number of the next line.
    pub fn next_line(&self) -> u64 {
        self.line
    }
}
