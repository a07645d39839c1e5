//! Archives: logs that rotation or people have compressed (.gz, .zst), read as what they were.
//!
//! Promises: the compression is told by the first bytes, never by the name; several members or frames one behind the
//! other (`cat a.gz b.gz`, `pigz`, `zstd --append`) are read to the end; memory is bounded by the window of the format,
//! whatever the size. What is not compressed passes through unchanged.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// zstd windows above this are refused: `zstd --long=31` would else ask for 2 GiB on a small host.
const ZSTD_WINDOW_MAX_BYTES: u64 = 128 * 1024 * 1024;
/// Decoders read their input in pieces of this size.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// How a file is compressed, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Known, but not read here: its name.
    Unsupported(&'static str),
}

impl Compression {
    /// `head`: the first bytes of the file; 6 are enough.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Unsupported("xz"),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Self::Unsupported("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Unsupported("lz4"),
            [0x1f, 0x9d, ..] => Self::Unsupported("compress"),
            [b'P', b'K', 3, 4, ..] => Self::Unsupported("zip"),
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Self::Unsupported("7z"),
            _ => Self::None,
        }
    }
}

/// Opens a file and reads what it holds, decompressed.
///
/// # Errors
/// What opening and reading the first bytes gave; `Unsupported` for a compression that is known and not read.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    decoded(Box::new(File::open(path)?)).map(|(_, reader)| reader)
}

/// The same over any reader.
///
/// # Errors
/// As [`open`].
pub fn decoded(mut raw: Box<dyn Read + Send>) -> io::Result<(Compression, Box<dyn Read + Send>)> {
    let mut head = [0; 6];
    let length = read_full(&mut raw, &mut head)?;
    let compression = Compression::of(&head[..length]);
    let whole = io::Cursor::new(head[..length].to_vec()).chain(raw);
    let reader: Box<dyn Read + Send> = match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(whole))),
        Compression::Zstd => Box::new(ZstdFrames::new(buffered(whole))),
        Compression::Unsupported(name) => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("compressed with {name}, which is not read here"),
            ));
        }
    };
    Ok((compression, reader))
}

fn buffered<R: Read>(raw: R) -> BufReader<R> {
    BufReader::with_capacity(READ_AHEAD_BYTES, raw)
}

/// Reads until `buffer` is full or the input has ended; returns how much is in it.
///
/// # Errors
/// The first error of the reader but interruptions.
pub fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// The frames of a zstd file one after the other; ruzstd's own reader ends with the first.
struct ZstdFrames<R: io::BufRead> {
    state: ZstdState<R>,
}

enum ZstdState<R: io::BufRead> {
    Between(R),
    Within(Box<ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>),
    Ended,
}

impl<R: io::BufRead> ZstdFrames<R> {
    fn new(raw: R) -> Self {
        Self {
            state: ZstdState::Between(raw),
        }
    }
}

impl<R: io::BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, ZstdState::Ended) {
                ZstdState::Ended => return Ok(0),
                ZstdState::Between(mut raw) => {
                    if let Some(raw) = skip_to_frame(&mut raw)?.then_some(raw) {
                        let decoder =
                            ruzstd::decoding::StreamingDecoder::new_with_max_window_size(raw, ZSTD_WINDOW_MAX_BYTES)
                                .map_err(io::Error::other)?;
                        self.state = ZstdState::Within(Box::new(decoder));
                    }
                }
                ZstdState::Within(mut decoder) => match decoder.read(buffer)? {
                    0 if !buffer.is_empty() => self.state = ZstdState::Between(decoder.into_inner()),
                    length => {
                        self.state = ZstdState::Within(decoder);
                        return Ok(length);
                    }
                },
            }
        }
    }
}

/// Skips skippable frames (RFC 8878, 3.1.2); whether a frame with data follows.
fn skip_to_frame(raw: &mut impl io::BufRead) -> io::Result<bool> {
    loop {
        let ahead = raw.fill_buf()?;
        if ahead.is_empty() {
            return Ok(false);
        }
        // A magic number that is split between two reads of the file is not worth a state of its own: the frame
        // decoder then reads it, and refuses a skippable frame with an error.
        let [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, ..] = *ahead else {
            return Ok(true);
        };
        let length = 8 + u64::from(u32::from_le_bytes([a, b, c, d]));
        io::copy(&mut raw.take(length), &mut io::sink())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zst(text: &str) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn text_of(bytes: Vec<u8>) -> String {
        let (_, mut reader) = decoded(Box::new(io::Cursor::new(bytes))).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn every_member_and_frame_is_read_in_order() {
        assert_eq!(text_of([gz("one\n"), gz("two\n")].concat()), "one\ntwo\n");
        assert_eq!(text_of([zst("one\n"), zst("two\n")].concat()), "one\ntwo\n");
        let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'x', b'y', b'z'];
        assert_eq!(
            text_of([zst("one\n"), skippable.to_vec(), zst("two\n"), skippable.to_vec()].concat()),
            "one\ntwo\n"
        );
    }

    #[test]
    fn plain_text_passes_unchanged_however_short() {
        for text in ["", "a", "2026-11-23 ok\n"] {
            assert_eq!(text_of(text.as_bytes().to_vec()), text);
        }
    }

    #[test]
    fn other_compressions_are_named_and_damage_is_an_error() {
        let xz = vec![0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4];
        let error = decoded(Box::new(io::Cursor::new(xz))).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("xz"), "{error}");
        for mut damaged in [gz(&"a line\n".repeat(1000)), zst(&"a line\n".repeat(1000))] {
            damaged.truncate(damaged.len() / 2);
            let (_, mut reader) = decoded(Box::new(io::Cursor::new(damaged))).unwrap();
            assert!(reader.read_to_end(&mut Vec::new()).is_err());
        }
    }
}
