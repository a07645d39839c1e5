//! Lines: where one ends, in any encoding, and what of a run of raw bytes may be handed on. Pure; `record` uses it too.
//!
//! Promises: any chunking of the same bytes gives the same lines, because [`cut`] always looks at a line from its
//! beginning and the caller reads an unfinished line again from there. A line is never longer than
//! [`Limits::max_line_bytes`]; the rest of a longer one is skipped up to its newline, in constant memory. Runs of NULs
//! (what a power cut or a truncated file without `O_APPEND` leaves behind) belong to no line. Raw bytes are split
//! before they are decoded, so that offsets stay exact; decoding is left to `record`.

/// Width and byte order of the newline, by the source's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Newline {
    /// One byte 0x0A: UTF-8 and every encoding that keeps ASCII.
    #[default]
    Byte,
    Utf16Le,
    Utf16Be,
}

impl Newline {
    /// Bytes of one newline, and of one code unit.
    pub const fn width(self) -> usize {
        match self {
            Newline::Byte => 1,
            Newline::Utf16Le | Newline::Utf16Be => 2,
        }
    }

    /// The byte order mark that may open a file of this kind; it belongs to no line.
    pub const fn byte_order_mark(self) -> &'static [u8] {
        match self {
            Newline::Byte => b"\xEF\xBB\xBF",
            Newline::Utf16Le => b"\xFF\xFE",
            Newline::Utf16Be => b"\xFE\xFF",
        }
    }

    /// What the byte order mark at the beginning of a file says, whatever its source is configured to be (as in the
    /// WHATWG Encoding Standard); none: it says nothing. `head`: the file's first bytes; 2 are enough.
    pub fn marked_by(head: &[u8]) -> Option<Self> {
        [Newline::Utf16Le, Newline::Utf16Be]
            .into_iter()
            .find(|newline| head.starts_with(newline.byte_order_mark()))
    }

    /// Index just behind the first newline of `bytes`, which begin at the border of a unit.
    pub fn first_end(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Newline::Byte => memchr::memchr(b'\n', bytes).map(|at| at + 1),
            Newline::Utf16Le | Newline::Utf16Be => {
                memchr::memchr_iter(b'\n', bytes).find_map(|at| self.unit_end(bytes, at))
            }
        }
    }

    /// Index just behind the last newline of `bytes`, which begin at the border of a unit.
    pub fn last_end(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Newline::Byte => memchr::memrchr(b'\n', bytes).map(|at| at + 1),
            Newline::Utf16Le | Newline::Utf16Be => memchr::memchr_iter(b'\n', bytes)
                .rev()
                .find_map(|at| self.unit_end(bytes, at)),
        }
    }

    /// `line` without its newline, and without the carriage return before it.
    pub fn trim_end(self, line: &[u8]) -> &[u8] {
        match self {
            Newline::Byte => without_end(line, b"\n", b"\r"),
            Newline::Utf16Le => without_end(line, b"\n\0", b"\r\0"),
            Newline::Utf16Be => without_end(line, b"\0\n", b"\0\r"),
        }
    }

    /// Whether the 0x0A at `at` is a newline unit, and where that unit ends.
    fn unit_end(self, bytes: &[u8], at: usize) -> Option<usize> {
        match self {
            Newline::Byte => Some(at + 1),
            Newline::Utf16Le => (at.is_multiple_of(2) && bytes.get(at + 1) == Some(&0)).then_some(at + 2),
            Newline::Utf16Be => (!at.is_multiple_of(2) && bytes[at - 1] == 0).then_some(at + 1),
        }
    }
}

/// The width is known when this is compiled, so that no call is made for a byte or two.
fn without_end<'a, const WIDTH: usize>(
    line: &'a [u8],
    newline: &[u8; WIDTH],
    carriage_return: &[u8; WIDTH],
) -> &'a [u8] {
    let line = line.strip_suffix(newline).unwrap_or(line);
    line.strip_suffix(carriage_return).unwrap_or(line)
}

/// So many NULs inside a line are no text: the line ends before them.
const NUL_RUN: usize = 16;

/// What bounds a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub newline: Newline,
    /// Longer lines are cut here, newline not counted.
    pub max_line_bytes: usize,
}

impl Limits {
    /// Bytes that a reader must offer [`cut`] at once, so that it can tell a long line from an unfinished one.
    pub fn window_bytes(self) -> usize {
        self.max_line_bytes.max(self.newline.width()) + self.newline.width()
    }
}

/// What [`cut`] found: indices into its bytes, `start <= end <= next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    /// Bytes of the rest of an earlier cut line, at the very beginning.
    pub rest: usize,
    /// `rest..start` are NULs.
    pub start: usize,
    /// `start..end` are complete lines. The last one may lack its newline: it was cut, a run of NULs ended it, or the
    /// file has ended.
    pub end: usize,
    /// Reading goes on here; `end..next` is the rest of a line that was cut.
    pub next: usize,
    /// The last line was longer than the limit.
    pub cut: bool,
    /// At `next` the rest of a cut line goes on.
    pub skipping: bool,
}

/// Finds the complete lines of `bytes`, which begin at the beginning of a line or, if `skipping`, within the rest of a
/// line that was cut. `ended`: no more bytes will come, so an unfinished line is complete.
pub fn cut(bytes: &[u8], limits: Limits, skipping: bool, ended: bool) -> Cut {
    let newline = limits.newline;
    let width = newline.width();
    let rest = match (skipping, newline.first_end(bytes)) {
        (false, _) => 0,
        (true, Some(end)) => end,
        (true, None) => {
            let all = if ended {
                bytes.len()
            } else {
                bytes.len() - bytes.len() % width
            };
            return Cut {
                rest: all,
                start: all,
                end: all,
                next: all,
                cut: false,
                skipping: true,
            };
        }
    };
    let nul = leading_nul_bytes(&bytes[rest..], width);
    let start = rest + nul;
    if start == bytes.len() && !ended {
        // What the file holds of NULs up to its end may still be written into: held back like an unfinished line.
        return Cut {
            rest,
            start: rest,
            end: rest,
            next: rest,
            ..Cut::default()
        };
    }
    let mut found = lines(bytes, start, limits);
    if !found.cut && ended && found.end_of_run.is_none() {
        found.end = bytes.len();
    }
    if let Some(end) = found.end_of_run {
        return Cut {
            rest,
            start,
            end,
            next: end,
            ..Cut::default()
        };
    }
    let (next, skipping) = match found.cut {
        false => (found.end, false),
        true => match newline.first_end(&bytes[found.end..]) {
            Some(end) => (found.end + end, false),
            None if ended => (bytes.len(), false),
            None => (bytes.len() - (bytes.len() - found.end) % width, true),
        },
    };
    Cut {
        rest,
        start,
        end: found.end,
        next,
        cut: found.cut,
        skipping,
    }
}

struct Found {
    end: usize,
    cut: bool,
    /// A line ends here because a run of NULs follows.
    end_of_run: Option<usize>,
}

/// Complete lines from `start` on: up to the last newline, or to the first line that is too long.
fn lines(bytes: &[u8], start: usize, limits: Limits) -> Found {
    let window = limits.window_bytes();
    let mut line = start;
    let cut = loop {
        let end = bytes.len().min(line + window);
        match limits.newline.last_end(&bytes[line..end]) {
            Some(next) => line += next,
            None => break end - line == window,
        }
    };
    let seen = bytes.len().min(line + window);
    if let Some(nul) = first_nuls(&bytes[start..seen], limits.newline) {
        return Found {
            end: start + nul,
            cut: false,
            end_of_run: Some(start + nul),
        };
    }
    let end = if cut {
        line + cut_bytes(&bytes[line..], limits)
    } else {
        line
    };
    Found {
        end,
        cut,
        end_of_run: None,
    }
}

/// How much of a too long line is kept: whole units, and in UTF-8 whole characters.
fn cut_bytes(line: &[u8], limits: Limits) -> usize {
    let width = limits.newline.width();
    let max = limits.max_line_bytes.max(width);
    let max = max - max % width;
    if width > 1 {
        return max;
    }
    let is_continuation = |at: usize| line.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (max.saturating_sub(3)..=max)
        .rev()
        .find(|at| *at > 0 && !is_continuation(*at))
        .unwrap_or(max)
}

fn leading_nul_bytes(bytes: &[u8], width: usize) -> usize {
    let nul = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    nul - nul % width
}

/// Where the first NULs begin that are no text: at least [`NUL_RUN`] of them, or at the beginning of a line.
fn first_nuls(bytes: &[u8], newline: Newline) -> Option<usize> {
    let mut from = 0;
    if newline != Newline::Byte {
        while let Some(end) = newline.first_end(&bytes[from..]) {
            from += end;
            if bytes[from..].starts_with(&[0, 0]) {
                return Some(from);
            }
        }
        return None;
    }
    while let Some(at) = memchr::memchr(0, &bytes[from..]) {
        let begin = from + at;
        let length = bytes[begin..].iter().take_while(|byte| **byte == 0).count();
        if length >= NUL_RUN || (begin > 0 && bytes[begin - 1] == b'\n') {
            return Some(begin);
        }
        from = begin + length;
    }
    None
}

#[cfg(test)]
mod tests;
