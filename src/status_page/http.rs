//! As much of HTTP/1.1 (RFC 9112) as a status page needs: the head of one request in, one answer out, then the end.

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const HEAD_MAX_BYTES: usize = 8 * 1024;

#[derive(Debug, Default)]
pub struct Request {
    pub method: String,
    /// Without its query.
    pub path: String,
    headers: Vec<(String, String)>,
}

/// Reads a head; the inner error is the status for what is none.
pub fn read(stream: &TcpStream, until: Instant) -> Result<Result<Request, u16>> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("too slow");
        }
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut reader = stream;
        let length = reader.read(&mut buffer)?;
        head.extend_from_slice(&buffer[..length]);
        if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            return Ok(parse(&String::from_utf8_lossy(&head[..end])).ok_or(400));
        }
        if length == 0 {
            bail!("ended within a request");
        }
        if head.len() > HEAD_MAX_BYTES {
            return Ok(Err(431));
        }
    }
}

fn parse(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return None;
    }
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Request {
        method: method.to_owned(),
        path: target.split('?').next()?.to_owned(),
        headers: lines.filter_map(header).collect(),
    })
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether it was asked for by a name that only this host can have.
    pub fn is_for_loopback(&self) -> bool {
        let Some(host) = self.header("host") else { return true };
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => host.split(':').next().unwrap_or_default(),
        };
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether it brings the token of this file: as a bearer, or as the password of a browser's dialog.
    pub fn brings(&self, token_file: &Path) -> bool {
        let text = std::fs::read_to_string(token_file).unwrap_or_default();
        let token = text.lines().map(str::trim).find(|line| !line.is_empty());
        let (Some(token), Some(given)) = (token, self.header("authorization")) else {
            return false;
        };
        let Some((scheme, value)) = given.split_once(' ') else {
            return false;
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            return is_same(value.trim(), token);
        }
        let decoded = BASE64_STANDARD.decode(value.trim()).unwrap_or_default();
        let decoded = String::from_utf8_lossy(&decoded);
        let password = decoded.split_once(':').map(|(_, password)| password);
        scheme.eq_ignore_ascii_case("basic") && password.is_some_and(|password| is_same(password, token))
    }
}

/// In a time that tells nothing of where they differ.
fn is_same(given: &str, token: &str) -> bool {
    let differences = given.bytes().zip(token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == token.len() && differences == 0
}

#[derive(Debug)]
pub struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
    head_only: bool,
}

impl Answer {
    pub fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            body: body.to_owned(),
            head_only: false,
        }
    }

    pub fn page(body: &str) -> Self {
        Self {
            kind: "text/html; charset=utf-8",
            ..Self::text(200, body)
        }
    }

    pub fn json(body: String) -> Self {
        Self {
            kind: "application/json",
            ..Self::text(200, &body)
        }
    }

    pub fn exposition(body: String) -> Self {
        Self {
            kind: "text/plain; version=0.0.4; charset=utf-8",
            ..Self::text(200, &body)
        }
    }

    pub fn unauthorized() -> Self {
        Self::text(401, "a token is needed: Authorization: Bearer …\n")
    }

    pub fn without_body(self, head_only: bool) -> Self {
        Self { head_only, ..self }
    }

    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let words = match self.status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        let challenge = if self.status == 401 {
            "WWW-Authenticate: Basic realm=\"exception-log-collector: the token as password\"\r\n"
        } else {
            ""
        };
        let head = format!(
            "HTTP/1.1 {} {words}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'; connect-src 'self'; img-src data:\r\n{challenge}\r\n",
            self.status,
            self.kind,
            self.body.len()
        );
        let body = if self.head_only { "" } else { &self.body };
        Ok(out.write_all((head + body).as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(header: &str) -> Request {
        parse(&format!("GET /metrics?x=1 HTTP/1.1\r\n{header}")).unwrap()
    }

    #[test]
    fn only_names_of_loopback_are_ours() {
        for host in ["localhost:9598", "127.0.0.1", "127.8.8.8:80", "[::1]:9598", "LOCALHOST"] {
            assert!(with(&format!("Host: {host}")).is_for_loopback(), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:9598", "10.0.0.1", ""] {
            assert!(!with(&format!("Host: {host}")).is_for_loopback(), "{host}");
        }
    }

    #[test]
    fn a_token_is_taken_as_bearer_and_as_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "s3cret\n").unwrap();
        assert!(with("Authorization: Bearer s3cret").brings(&file));
        assert!(with("authorization: basic YW55Ym9keTpzM2NyZXQ=").brings(&file));
        for wrong in ["Bearer s3cre", "Bearer s3crets", "Bearer ", "Basic s3cret", "s3cret"] {
            assert!(!with(&format!("Authorization: {wrong}")).brings(&file), "{wrong}");
        }
        std::fs::write(&file, "\n").unwrap();
        assert!(
            !with("Authorization: Bearer ").brings(&file),
            "an empty token opens nothing"
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for head in ["", "GET", "GET / FTP/1.0", "GET http://elsewhere/ HTTP/1.1"] {
            assert!(parse(head).is_none(), "{head}");
        }
        assert_eq!(with("a: b").path, "/metrics");
    }
}
