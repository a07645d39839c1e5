//! Access logs: their lines have no level, but a status, in a place of its own. What was answered well is `info`;
//! refusals and failures stay without: whether a 404 or a 502 is news is the user's to say, by a rule.

use super::token;
use crate::record::level::Level;

/// `text` begins at the request: `"GET / HTTP/1.1" 200 512 …` (NCSA common and combined), `GET /a -1 200 512 …`.
pub(super) fn level(text: &[u8]) -> Option<Level> {
    let behind = match text.strip_prefix(b"\"") {
        Some(request) => {
            let blank = request.iter().take(8).position(|byte| *byte == b' ')?;
            if !token::is_http_method(&request[..blank]) {
                return None;
            }
            &request[memchr::memchr(b'"', request)? + 1..]
        }
        None => {
            let blank = text.iter().take(8).position(|byte| *byte == b' ')?;
            if !token::is_http_method(&text[..blank]) {
                return None;
            }
            let path = &text[blank + 1..];
            let behind = match path.strip_prefix(b"\"") {
                Some(quoted) => &quoted[memchr::memchr(b'"', quoted)? + 1..],
                None => &path[memchr::memchr(b' ', path)?..],
            };
            behind.strip_prefix(b" -1").unwrap_or(behind)
        }
    };
    let [b' ', b'1'..=b'3', b'0'..=b'9', b'0'..=b'9', b' ', size, ..] = behind else {
        return None;
    };
    (size.is_ascii_digit() || *size == b'-').then_some(Level::Info)
}
