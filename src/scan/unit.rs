//! What is read in one go: a whole input, or a part of a large file. Parts begin and end between lines, at places that
//! depend on the file alone, so that what is found does not depend on how many threads read them.

use super::chunks::limits_of;
use super::input::{self, Input, InputPlace, SAMPLE_BYTES};
use super::plan::Plan;
use super::reading::with_byte_order_mark;
use crate::collector::archive::{self, Compression};
use crate::collector::lines::Newline;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// So far from where a part should begin a line may end; where none does, the parts stay one.
const BORDER_WITHIN_BYTES: usize = 64 * 1024;

/// How large files are cut.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    pub part_bytes: u64,
    /// Who begins within a file reads so much before it, to know what is open there.
    pub ahead_bytes: u64,
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            part_bytes: 8 * 1024 * 1024,
            ahead_bytes: 256 * 1024,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where one begins to read who has not read the part before.
    pub ahead_from: u64,
    pub from: u64,
    /// None: to the end of the input, wherever that is by then.
    pub to: Option<u64>,
}

/// The parts of an input, in order; the last one has no end.
pub fn parts(input: &Input, plan: &Plan, cut: Cut) -> Vec<Part> {
    // What cannot be read now is told when it is.
    let borders = borders(input, plan, cut).unwrap_or_default();
    let ends = borders.iter().map(|border| Some(border.1)).chain([None]);
    let begins = [(0, 0)].into_iter().chain(borders.iter().copied());
    begins
        .zip(ends)
        .map(|((ahead_from, from), to)| Part { ahead_from, from, to })
        .collect()
}

/// Where parts begin, but for the first: where reading begins for it, and where the part does.
fn borders(input: &Input, plan: &Plan, cut: Cut) -> io::Result<Vec<(u64, u64)>> {
    let mut borders = Vec::new();
    let InputPlace::File(path) = &input.place else {
        return Ok(borders);
    };
    if input.size_bytes < 2 * cut.part_bytes {
        return Ok(borders);
    }
    let mut file = File::open(path)?;
    let mut sample = vec![0; SAMPLE_BYTES];
    let length = archive::read_full(&mut file, &mut sample)?;
    sample.truncate(length);
    let settings = with_byte_order_mark(&plan.source_of(&input.place).record, &sample);
    let splits = file.metadata()?.is_file()
        && Compression::of(&sample) == Compression::None
        && (input.named || input::looks_like_text(&sample))
        && limits_of(&settings).newline == Newline::Byte;
    if !splits {
        return Ok(borders);
    }
    for number in 1..input.size_bytes / cut.part_bytes {
        let Some(from) = line_begin(&file, number * cut.part_bytes)? else {
            continue;
        };
        let ahead = from.saturating_sub(cut.ahead_bytes);
        let ahead_from = line_begin(&file, ahead)?.filter(|begin| *begin < from).unwrap_or(0);
        if borders.last().is_none_or(|(_, before)| *before < from) && from < input.size_bytes {
            borders.push((ahead_from, from));
        }
    }
    Ok(borders)
}

/// Where the first line at or behind `offset` begins.
fn line_begin(file: &File, offset: u64) -> io::Result<Option<u64>> {
    let Some(before) = offset.checked_sub(1) else {
        return Ok(Some(0));
    };
    let mut bytes = vec![0; BORDER_WITHIN_BYTES];
    let length = file.read_at(&mut bytes, before)?;
    let newline = memchr::memchr(b'\n', &bytes[..length]);
    Ok(newline.map(|at| before + at as u64 + 1))
}
