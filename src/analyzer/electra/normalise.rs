//! A log line as the model sees it: words of lower-case letters, and place holders for what varies.
//!
//! Version 1 of the normaliser; a model file says which version it was trained with. `scripts/log_electra/text.py` is the
//! same in Python, and the golden vectors of the tests hold both together: whoever changes a rule here changes it there,
//! and raises [`VERSION`], because a model does not know words that its normaliser never made.
//!
//! 1. The first [`TEXT_BYTES`] bytes, whole characters; ASCII letters become lower-case.
//! 2. Tokens: runs of letters, digits and `. - : / @ + % \ # $ _ ~`; all other ASCII separates. Bytes outside of ASCII
//!    are letters, but characters from U+2E80 on (CJK) are words of their own.
//! 3. A token that is one thing (URL, UUID, address, time, path, …) is its place holder; else its parts between the joiners
//!    are looked at. Equal place holders that follow each other are one. Stop words are left out.

/// Raised with any change of what comes out.
pub const VERSION: u32 = 1;
/// So much of a line is looked at.
pub const TEXT_BYTES: usize = 1024;
/// Characters from here on are written without spaces between words.
const FIRST_IDEOGRAPH: char = '\u{2E80}';
/// Words that say nothing in a log; sorted.
const STOP_WORDS: [&str; 24] = [
    "a", "an", "and", "are", "as", "at", "be", "been", "by", "for", "from", "has", "in", "is", "it", "its", "of", "on",
    "or", "that", "the", "this", "to", "was",
];

/// Hands the words of `text` to `emit`, in order.
pub fn words(text: &str, mut emit: impl FnMut(&str)) {
    let lower = head(text).to_ascii_lowercase();
    let mut out = Words {
        emit: &mut emit,
        last: "",
    };
    let mut start = None;
    for (at, c) in lower.char_indices() {
        let in_token = is_word(c) || is_joiner(c);
        if in_token {
            start.get_or_insert(at);
            continue;
        }
        if let Some(start) = start.take() {
            token(&lower[start..at], &mut out);
        }
        if c >= FIRST_IDEOGRAPH {
            out.word(&lower[at..at + c.len_utf8()]);
        }
    }
    if let Some(start) = start {
        token(&lower[start..], &mut out);
    }
}

/// Where words go; it knows the place holder that was the last of them.
struct Words<'a> {
    emit: &'a mut dyn FnMut(&str),
    last: &'static str,
}

impl Words<'_> {
    fn word(&mut self, word: &str) {
        if STOP_WORDS.binary_search(&word).is_err() {
            self.last = "";
            (self.emit)(word);
        }
    }

    fn hole(&mut self, hole: &'static str) {
        if self.last != hole {
            self.last = hole;
            (self.emit)(hole);
        }
    }
}

/// The first bytes, up to the border of a character.
fn head(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || (!c.is_ascii() && c < FIRST_IDEOGRAPH)
}

fn is_joiner(c: char) -> bool {
    matches!(
        c,
        '.' | '-' | ':' | '/' | '@' | '+' | '%' | '\\' | '#' | '$' | '_' | '~'
    )
}

fn token(token: &str, out: &mut Words<'_>) {
    let opens_path = |c: char| c == '/' || c == '~';
    let token = token
        .trim_end_matches(is_joiner)
        .trim_start_matches(|c| is_joiner(c) && !opens_path(c));
    if token.is_empty() {
        return;
    }
    match whole(token) {
        Some(hole) => out.hole(hole),
        None => token
            .split(is_joiner)
            .filter(|part| !part.is_empty())
            .for_each(|p| part(p, out)),
    }
}

/// What a whole token is, if it is one thing.
fn whole(token: &str) -> Option<&'static str> {
    let bytes = token.as_bytes();
    let count = |wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count();
    if token.contains("://") {
        Some("<url>")
    } else if is_uuid(bytes) {
        Some("<uuid>")
    } else if is_mac(bytes) {
        Some("<mac>")
    } else if is_ipv4(token) {
        Some("<ip>")
    } else if is_time(bytes) {
        // Before IPv6, which has colons and digits too.
        Some("<time>")
    } else if is_ipv6(bytes) {
        Some("<ip>")
    } else if is_path(bytes) || count(b'/') >= 2 || count(b'\\') >= 1 {
        Some("<path>")
    } else if count(b'@') == 1 && token.contains('.') {
        Some("<email>")
    } else {
        None
    }
}

/// Letters, digits or both, between two joiners.
fn part(part: &str, out: &mut Words<'_>) {
    let bytes = part.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        out.word(part);
    } else if digits == bytes.len() {
        out.hole("<num>");
    } else if is_hex(bytes) {
        out.hole("<hex>");
    } else if is_id(bytes) {
        out.hole("<id>");
    } else {
        // `core17`, `35ms`: the letters are words.
        for run in bytes.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
            match std::str::from_utf8(run) {
                Ok(word) if !run[0].is_ascii_digit() => out.word(word),
                // Runs are cut next to ASCII digits, so they are whole characters.
                Ok(_) | Err(_) => out.hole("<num>"),
            }
        }
    }
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

/// A date or a clock time: only digits and `- : . / t z +`, with a colon or two dashes or two slashes.
fn is_time(token: &[u8]) -> bool {
    let shaped = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'/' | b't' | b'z' | b'+');
    let count = |wanted: u8| token.iter().filter(|byte| **byte == wanted).count();
    token.len() >= 5
        && token[0].is_ascii_digit()
        && token.iter().all(shaped)
        && (count(b':') >= 1 || count(b'-') >= 2 || count(b'/') >= 2)
}

/// Four numbers of one to three digits, then perhaps a port or a prefix length.
fn is_ipv4(token: &str) -> bool {
    let address = token.split([':', '/']).next().unwrap_or_default();
    let behind = &token[address.len()..];
    let mut numbers = 0;
    for number in address.split('.') {
        numbers += 1;
        if !(1..=3).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
    }
    numbers == 4 && behind.bytes().skip(1).all(|byte| byte.is_ascii_digit())
}

/// Hexadecimal digits and at least two colons.
fn is_ipv6(token: &[u8]) -> bool {
    token.iter().filter(|byte| **byte == b':').count() >= 2
        && token
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'/'))
}

fn is_path(token: &[u8]) -> bool {
    matches!(token, [b'/' | b'~', _, ..])
}

fn is_hex(part: &[u8]) -> bool {
    let digits = part.strip_prefix(b"0x").unwrap_or(part);
    let enough = if digits.len() < part.len() { 1 } else { 8 };
    digits.len() >= enough && digits.iter().all(u8::is_ascii_hexdigit)
}

/// Letters and digits that change places three times: nobody's word.
fn is_id(part: &[u8]) -> bool {
    let turns = part
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    part.len() >= 8 && turns >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(text: &str) -> String {
        let mut all = Vec::new();
        words(text, |word| all.push(word.to_owned()));
        all.join(" ")
    }

    #[test]
    fn what_varies_becomes_a_place_holder() {
        for (text, want) in [
            ("Took 35 ms, retried 2 times", "took <num> ms retried <num> times"),
            ("took 35ms of 1.5s", "took <num> ms <num> s"),
            ("peer 10.0.0.7:8080 gone", "peer <ip> gone"),
            ("peer 1.2.3.4.5 and 1.2.3.4567", "peer <num>"),
            ("peer fe80::1ff:fe23:4567:890a gone", "peer <ip> gone"),
            ("id 6F1C2D3E-0a1b-4c5d-8e9f-001122334455.", "id <uuid>"),
            ("dev 00:1b:44:11:3a:b7 up", "dev <mac> up"),
            ("open /var/lib/app/data.db: no such file", "open <path> no such file"),
            (r"open C:\app\data.db failed", "open <path> failed"),
            ("GET http://a.example/x?id=7, again", "get <url> id <num> again"),
            ("mail to ops@example.org failed", "mail <email> failed"),
            ("pointer 0x7ffe12 of deadbeef01", "pointer <hex>"),
            ("worker-12 at v1.2.3", "worker <num> v <num>"),
            ("at 2024-05-06T07:08:09Z or 07:08:09", "<time>"),
            ("token a1b2c3z4e5 is read/write", "token <id> read write"),
            ("generating core.2112", "generating core <num>"),
            ("can't stop; x=-17 (99%)", "can t stop x <num>"),
            ("错误 42 发生", "错 误 <num> 发 生"),
            ("Überlauf café2", "Überlauf café <num>"),
            ("/ ~ .. --- :", ""),
            ("", ""),
        ] {
            assert_eq!(normalised(text), want, "{text}");
        }
    }

    #[test]
    fn only_the_head_is_looked_at_and_characters_stay_whole() {
        // The 1,024 bytes end in the middle of a character.
        let long = "é ".repeat(TEXT_BYTES);
        let kept = normalised(&long).chars().filter(|c| *c == 'é').count();
        assert_eq!(kept, TEXT_BYTES / 3);
        assert!(STOP_WORDS.is_sorted());
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_words_without_spaces(text in ".{0,300}") {
            words(&text, |word| assert!(!word.is_empty() && !word.contains(' '), "{word:?}"));
        }
    }
}
