//! What one token of a message is: an address, a time, a path, or nothing that varies as a whole.
//!
//! [`Kinds`] are the kinds of bytes that a token holds, gathered while its end is looked for. Each test below is tried
//! only where they allow it: most tokens that vary are a number, a word with a number, or some names joined by dots.

/// Sets of kinds of bytes, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub const DIGIT: Self = Self(1);
    /// `a`–`f` in either case.
    pub const HEX: Self = Self(1 << 1);
    /// `T` and `Z`, which stand in times.
    pub const STAMP: Self = Self(1 << 2);
    /// Any other letter of ASCII.
    pub const LETTER: Self = Self(1 << 3);
    pub const DOT: Self = Self(1 << 4);
    pub const DASH: Self = Self(1 << 5);
    pub const COLON: Self = Self(1 << 6);
    pub const SLASH: Self = Self(1 << 7);
    pub const BACKSLASH: Self = Self(1 << 8);
    pub const AT: Self = Self(1 << 9);
    pub const PLUS: Self = Self(1 << 10);
    pub const PERCENT: Self = Self(1 << 11);
    /// Bytes beyond ASCII: letters, as far as a mask is concerned.
    pub const BEYOND: Self = Self(1 << 12);
    /// Joiners that have no meaning of their own.
    pub const SIGN: Self = Self(1 << 13);
    pub const QUOTE: Self = Self(1 << 14);
    /// All else: blanks, brackets, control characters, what stands between tokens.
    pub const BREAK: Self = Self(1 << 15);

    pub const LETTERS: Self = Self::HEX.and(Self::STAMP).and(Self::LETTER).and(Self::BEYOND);
    /// Join parts of a token where a letter or digit follows: `. - : / @ + % \ # $ _ ~`.
    pub const JOINER: Self = Self::DOT
        .and(Self::DASH)
        .and(Self::COLON)
        .and(Self::SLASH)
        .and(Self::BACKSLASH)
        .and(Self::AT)
        .and(Self::PLUS)
        .and(Self::PERCENT)
        .and(Self::SIGN);

    pub fn of(byte: u8) -> Self {
        KINDS[usize::from(byte)]
    }

    const fn found(byte: u8) -> Self {
        match byte {
            b'0'..=b'9' => Self::DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => Self::HEX,
            b'T' | b'Z' => Self::STAMP,
            b'g'..=b'z' | b'G'..=b'Y' => Self::LETTER,
            b'.' => Self::DOT,
            b'-' => Self::DASH,
            b':' => Self::COLON,
            b'/' => Self::SLASH,
            b'\\' => Self::BACKSLASH,
            b'@' => Self::AT,
            b'+' => Self::PLUS,
            b'%' => Self::PERCENT,
            b'#' | b'$' | b'_' | b'~' => Self::SIGN,
            b'"' | b'\'' | b'`' => Self::QUOTE,
            0x80.. => Self::BEYOND,
            _ => Self::BREAK,
        }
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    /// Nothing but these.
    pub const fn only(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }
}

const KINDS: [Kinds; 256] = {
    let mut kinds = [Kinds::BREAK; 256];
    let mut byte = 0usize;
    while byte < 256 {
        kinds[byte] = Kinds::found(byte as u8);
        byte += 1;
    }
    kinds
};

const HEX_DIGITS: Kinds = Kinds::DIGIT.and(Kinds::HEX);
const ALPHANUMERIC: Kinds = HEX_DIGITS.and(Kinds::STAMP).and(Kinds::LETTER);
const OF_TIME: Kinds = Kinds::DIGIT
    .and(Kinds::DASH)
    .and(Kinds::COLON)
    .and(Kinds::DOT)
    .and(Kinds::SLASH)
    .and(Kinds::STAMP)
    .and(Kinds::PLUS);
const OF_IP: Kinds = HEX_DIGITS.and(Kinds::DOT).and(Kinds::COLON);

/// The kinds of bytes that a token holds.
pub(super) fn kinds(token: &[u8]) -> Kinds {
    token
        .iter()
        .fold(Kinds::default(), |kinds, byte| kinds.and(Kinds::of(*byte)))
}

/// What a whole token is, if it is one thing.
pub(super) fn whole(token: &[u8], kinds: Kinds) -> Option<&'static str> {
    if !kinds.any(Kinds::JOINER) {
        return single(token, kinds);
    }
    if kinds.only(HEX_DIGITS.and(Kinds::DASH)) && is_uuid(token) {
        return Some("<uuid>");
    }
    if kinds.only(HEX_DIGITS.and(Kinds::DASH).and(Kinds::COLON)) && is_mac(token) {
        return Some("<mac>");
    }
    if kinds.only(OF_TIME) && is_time(token) {
        return Some("<time>");
    }
    let has_tail = kinds.any(Kinds::SLASH.and(Kinds::PERCENT));
    if (has_tail || kinds.only(OF_IP)) && kinds.any(Kinds::DOT.and(Kinds::COLON)) && is_ip(token) {
        return Some("<ip>");
    }
    if kinds.any(Kinds::AT) && is_email(token) {
        return Some("<email>");
    }
    if kinds.any(Kinds::SLASH.and(Kinds::BACKSLASH)) && is_path(token) {
        return Some("<path>");
    }
    single(token, kinds)
}

/// What needs no joiner.
fn single(token: &[u8], kinds: Kinds) -> Option<&'static str> {
    let ends_as_unit = matches!(token, [b'0'..=b'9', .., b's' | b'm' | b'h' | b'd' | b'c' | b'n']);
    if ends_as_unit && is_duration(token) {
        return Some("<dur>");
    }
    whole_part(token, kinds)
}

/// The same of a part of a token between joiners.
pub(super) fn whole_part(part: &[u8], kinds: Kinds) -> Option<&'static str> {
    if !kinds.only(ALPHANUMERIC) {
        return None;
    }
    if is_hex(part, kinds) {
        return Some("<hex>");
    }
    is_id(part).then_some("<id>")
}

/// Behind a number with its decimals: `1.5`, `1.2.3`.
pub(super) fn number_end(text: &[u8], at: usize, limit: usize) -> usize {
    let mut end = at;
    while end < limit {
        let digit_follows = text.get(end + 1).is_some_and(u8::is_ascii_digit);
        match text[end] {
            b'0'..=b'9' => end += 1,
            b'.' if digit_follows => end += 1,
            _ => break,
        }
    }
    end
}

pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The colon before a port, or before a line number.
pub(super) fn port(token: &[u8]) -> Option<usize> {
    let colon = token.iter().rposition(|byte| *byte == b':')?;
    let digits = &token[colon + 1..];
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(colon)
}

fn is_uuid(token: &[u8]) -> bool {
    token.len() == 36
        && token.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_mac(token: &[u8]) -> bool {
    token.len() == 17
        && token.iter().enumerate().all(|(at, byte)| match at % 3 {
            2 => matches!(byte, b':' | b'-'),
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Dates and clock times: digits between `- : . / T Z +`, with two dashes or slashes or a colon between digits. No other
/// kinds of bytes are in it.
fn is_time(token: &[u8]) -> bool {
    if token.len() < 5 || !token[0].is_ascii_digit() {
        return false;
    }
    let (mut colons, mut dashes, mut run, mut longest) = (0, 0, 0, 0);
    for byte in token {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        longest = longest.max(run);
        colons += u32::from(*byte == b':');
        dashes += u32::from(matches!(byte, b'-' | b'/'));
    }
    let two_first = token.get(2) == Some(&b':') && token.get(5).is_none_or(|byte| !byte.is_ascii_digit());
    longest <= 9 && ((dashes == 2 && longest >= 2) || (colons >= 1 && dashes >= 2) || (colons >= 1 && two_first))
}

fn is_ip(token: &[u8]) -> bool {
    let address = match token.iter().position(|byte| matches!(byte, b'/' | b'%')) {
        Some(0) => return false,
        Some(end) => &token[..end],
        None => token,
    };
    let shaped = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    if !(3..=45).contains(&address.len()) || !address.iter().all(shaped) {
        return false;
    }
    if !address.contains(&b':') {
        return is_ipv4(address);
    }
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<core::net::Ipv6Addr>().is_ok())
}

/// Four numbers up to 255, without zeros before them.
fn is_ipv4(address: &[u8]) -> bool {
    let number = |part: &[u8]| match part {
        [digit] => digit.is_ascii_digit(),
        [b'1'..=b'9', last] => last.is_ascii_digit(),
        [b'1', middle, last] => middle.is_ascii_digit() && last.is_ascii_digit(),
        [b'2', b'0'..=b'4', last] => last.is_ascii_digit(),
        [b'2', b'5', last] => matches!(last, b'0'..=b'5'),
        _ => false,
    };
    let mut parts = address.split(|byte| *byte == b'.');
    parts.by_ref().take(4).filter(|part| number(part)).count() == 4 && parts.next().is_none()
}

fn is_email(token: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', token) else {
        return false;
    };
    let host = &token[at + 1..];
    at > 0 && memchr::memchr(b'.', host).is_some() && !token.iter().any(|byte| matches!(byte, b'/' | b':' | b'#'))
}

fn is_path(token: &[u8]) -> bool {
    let slashes = token.iter().filter(|byte| matches!(byte, b'/' | b'\\')).count();
    let rooted = matches!(token, [b'/', next, ..] if *next != b'/');
    (rooted && !token.contains(&b':'))
        || (slashes > 1
            && (token.get(1) != Some(&b':') || token.get(2) == Some(&b'\\'))
            && !token[2.min(token.len())..].contains(&b':'))
}

fn is_unit(text: &[u8]) -> bool {
    matches!(
        text,
        b"ns"
            | b"us"
            | b"\xC2\xB5s"
            | b"\xCE\xBCs"
            | b"ms"
            | b"s"
            | b"sec"
            | b"secs"
            | b"m"
            | b"min"
            | b"mins"
            | b"h"
            | b"d"
    )
}

/// Numbers, each with its unit of time: `30s`, `1.5h`, `47s730ms`.
fn is_duration(token: &[u8]) -> bool {
    let mut rest = token;
    while rest.first().is_some_and(u8::is_ascii_digit) {
        let unit = &rest[number_end(rest, 0, rest.len())..];
        let unit_end = unit.iter().position(u8::is_ascii_digit).unwrap_or(unit.len());
        if !is_unit(&unit[..unit_end]) {
            return false;
        }
        rest = &unit[unit_end..];
        if rest.is_empty() {
            return true;
        }
    }
    false
}

fn is_hex(token: &[u8], kinds: Kinds) -> bool {
    if let [b'0', b'x' | b'X', digits @ ..] = token {
        return !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    }
    token.len() >= 8 && kinds.only(HEX_DIGITS) && kinds.any(Kinds::HEX) && kinds.any(Kinds::DIGIT)
}

/// Letters and digits that change places three times: nobody's word.
fn is_id(token: &[u8]) -> bool {
    if token.len() < 8 {
        return false;
    }
    let turns = token
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    turns >= 3
}
