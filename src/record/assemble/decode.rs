//! Decoding of raw lines: the first encoding of the source's list that reads a line without error has it, else the last
//! one, with U+FFFD for what it cannot read. Where only UTF-8 is asked for, bytes are handed on as they are.

use crate::collector::lines::Newline;
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

#[derive(Debug)]
pub(super) struct Decoder {
    encodings: Vec<&'static Encoding>,
    newline: Newline,
    buffer: Vec<u8>,
    replaced_bytes: u64,
}

impl Decoder {
    pub fn new(encodings: &[&'static Encoding]) -> Self {
        let encodings = if encodings.is_empty() {
            vec![UTF_8]
        } else {
            encodings.to_vec()
        };
        let newline = match encodings[0] {
            first if first == UTF_16LE => Newline::Utf16Le,
            first if first == UTF_16BE => Newline::Utf16Be,
            _ => Newline::Byte,
        };
        Self {
            encodings,
            newline,
            buffer: Vec::new(),
            replaced_bytes: 0,
        }
    }

    pub fn newline(&self) -> Newline {
        self.newline
    }

    /// From now on lines end so: the file's byte order mark may say something else than its source's encoding.
    pub fn follow(&mut self, newline: Newline) {
        if newline == self.newline {
            return;
        }
        self.newline = newline;
        match newline {
            Newline::Byte => {}
            Newline::Utf16Le => self.encodings = vec![UTF_16LE],
            Newline::Utf16Be => self.encodings = vec![UTF_16BE],
        }
    }

    /// Whether a line is what it will be when decoded. What is not valid of pure UTF-8 is replaced when somebody keeps
    /// it, so that most bytes are looked at once only.
    pub fn keeps(&self, raw: &[u8]) -> bool {
        let ascii_alike = self.newline == Newline::Byte && self.encodings[0].is_ascii_compatible();
        self.keeps_all() || (ascii_alike && raw.is_ascii())
    }

    /// Whether every line is what it will be when decoded.
    pub fn keeps_all(&self) -> bool {
        self.encodings == [UTF_8]
    }

    /// The line in UTF-8. Give the buffer back with [`Self::take_back`].
    pub fn decode(&mut self, raw: &[u8]) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.buffer);
        let last = self.encodings.len() - 1;
        for (at, encoding) in self.encodings.iter().enumerate() {
            out.clear();
            let bad = read(encoding, raw, &mut out);
            if bad == 0 {
                break;
            }
            if at == last {
                self.replaced_bytes += bad;
            }
        }
        out
    }

    pub fn take_back(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    pub fn take_replaced(&mut self) -> u64 {
        std::mem::take(&mut self.replaced_bytes)
    }
}

/// Decodes into `out`; how many bytes could not be read.
fn read(encoding: &'static Encoding, raw: &[u8], out: &mut Vec<u8>) -> u64 {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder
        .max_utf8_buffer_length(raw.len())
        .unwrap_or(raw.len().saturating_mul(3));
    out.resize(room, 0);
    let (mut at, mut written, mut bad) = (0, 0, 0);
    loop {
        let (result, read, wrote) = decoder.decode_to_utf8_without_replacement(&raw[at..], &mut out[written..], true);
        at += read;
        written += wrote;
        match result {
            DecoderResult::InputEmpty => break,
            DecoderResult::OutputFull => out.resize(out.len() + raw.len() + 16, 0),
            DecoderResult::Malformed(len, _) => {
                bad += u64::from(len);
                let replacement = "\u{FFFD}".as_bytes();
                // Over the room, not before it: a line of nothing but bad bytes would else be moved byte by byte.
                let end = written + replacement.len();
                if out.len() < end {
                    out.resize(end, 0);
                }
                out[written..end].copy_from_slice(replacement);
                written = end;
            }
        }
    }
    out.truncate(written);
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it takes grows with the line, not with its square: this would else take minutes.
    #[test]
    fn line_of_nothing_but_bad_bytes_is_replaced_in_one_go() {
        let mut decoder = Decoder::new(&[UTF_8, encoding_rs::EUC_KR]);
        let raw = vec![0xff; 1 << 20];
        let text = decoder.decode(&raw);
        assert_eq!(String::from_utf8(text).unwrap(), "\u{FFFD}".repeat(raw.len()));
        assert_eq!(decoder.take_replaced(), raw.len() as u64);
    }
}
