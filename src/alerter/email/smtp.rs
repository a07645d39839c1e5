//! SMTP as a client: RFC 5321, STARTTLS (RFC 3207), AUTH PLAIN and LOGIN (RFC 4954).
//!
//! Promises: no password before TLS where TLS was asked for; a reply is read whole and has limits; every wait has a
//! time-out, and a message a deadline; what was buffered before STARTTLS is not taken for an answer after it
//! (CVE-2011-0411).

use crate::alerter::{SendError, tls};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::ServerName;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

const REPLY_LINE_MAX_BYTES: u64 = 4096;
const REPLY_LINES_MAX: usize = 100;

/// Where to, and how.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// `host:port`
    pub address: String,
    pub mode: super::TlsMode,
    pub tls: Arc<rustls::ClientConfig>,
    /// Of one read or write, and of connecting.
    pub timeout: Duration,
}

/// A connection that is ready for a message.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<Stream>,
    address: String,
    /// Ours: an address literal (RFC 5321, 4.1.3), since an edge host seldom has a name that the server could look up.
    name: String,
    /// Keywords of EHLO, in upper case.
    extensions: Vec<String>,
    /// Replies after this are not waited for.
    deadline: Instant,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
    /// Between plain and TLS.
    Gone,
}

/// What the server said: its code and all lines.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub code: u16,
    text: String,
}

impl Reply {
    fn is(&self, class: u16) -> bool {
        self.code / 100 == class
    }
}

impl Connection {
    /// Up to and with EHLO (and STARTTLS).
    pub(super) fn open(server: &Server) -> Result<Self, SendError> {
        let retry = |what: String| SendError::Retry {
            after: None,
            reason: format!("{}: {what}", server.address),
        };
        let addresses = server
            .address
            .to_socket_addrs()
            .map_err(|error| retry(error.to_string()))?;
        let mut tried = Err(std::io::Error::other("no address"));
        for address in addresses {
            tried = TcpStream::connect_timeout(&address, server.timeout);
            if tried.is_ok() {
                break;
            }
        }
        let stream = tried.map_err(|error| retry(error.to_string()))?;
        let set = stream
            .set_read_timeout(Some(server.timeout))
            .and(stream.set_write_timeout(Some(server.timeout)));
        set.map_err(|error| retry(error.to_string()))?;
        let name = match stream.local_addr().map(|address| address.ip()) {
            Ok(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
            Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
            Err(error) => return Err(retry(error.to_string())),
        };
        let mut connection = Self {
            name,
            stream: BufReader::new(Stream::Plain(stream)),
            address: server.address.clone(),
            extensions: Vec::new(),
            deadline: Instant::now() + server.timeout * 4,
        };
        if server.mode == super::TlsMode::Implicit {
            connection.secure(server)?;
        }
        let greeting = connection.reply()?;
        connection.expect(&greeting, 2, "greeting", Refusal::Blocks)?;
        connection.hello()?;
        if server.mode == super::TlsMode::Starttls {
            if !connection.offers("STARTTLS") {
                let reason = format!("{}: the server offers no STARTTLS", server.address);
                return Err(SendError::Blocked { reason });
            }
            connection.command("STARTTLS", "STARTTLS", 2, Refusal::Blocks)?;
            connection.secure(server)?;
            connection.hello()?;
        }
        Ok(connection)
    }

    fn hello(&mut self) -> Result<(), SendError> {
        let reply = self.command(&format!("EHLO {}", self.name), "EHLO", 2, Refusal::Blocks)?;
        self.extensions = reply.text.lines().skip(1).map(str::to_ascii_uppercase).collect();
        Ok(())
    }

    fn offers(&self, keyword: &str) -> bool {
        self.extensions
            .iter()
            .any(|line| line.split([' ', '=']).next() == Some(keyword))
    }

    fn secure(&mut self, server: &Server) -> Result<(), SendError> {
        let host = server
            .address
            .rsplit_once(':')
            .map_or(server.address.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| SendError::Blocked {
            reason: format!("{}: not a host name that a certificate could be for", server.address),
        })?;
        let session = rustls::ClientConnection::new(server.tls.clone(), name)
            .map_err(|error| tls::judge(&error, &server.address))?;
        // A new reader: what the old one held came before TLS, from whoever sat on the line.
        let stream = match std::mem::replace(self.stream.get_mut(), Stream::Gone) {
            Stream::Plain(stream) => stream,
            Stream::Tls(_) | Stream::Gone => return Err(self.broken("TLS within TLS")),
        };
        let mut secured = rustls::StreamOwned::new(session, stream);
        while secured.conn.is_handshaking() {
            secured
                .conn
                .complete_io(&mut secured.sock)
                .map_err(|error| self.io(error))?;
        }
        self.stream = BufReader::new(Stream::Tls(Box::new(secured)));
        Ok(())
    }

    /// PLAIN if the server has it, else LOGIN.
    pub(super) fn log_in(&mut self, username: &str, password: &str) -> Result<(), SendError> {
        let mechanisms = self
            .extensions
            .iter()
            .find_map(|line| line.strip_prefix("AUTH"))
            .unwrap_or("")
            .to_owned();
        let has = |name: &str| mechanisms.split([' ', '=']).any(|mechanism| mechanism == name);
        if has("PLAIN") {
            let token = BASE64_STANDARD.encode(format!("\0{username}\0{password}"));
            self.command(&format!("AUTH PLAIN {token}"), "AUTH", 2, Refusal::Blocks)?;
        } else if has("LOGIN") {
            self.command("AUTH LOGIN", "AUTH", 3, Refusal::Blocks)?;
            self.command(&BASE64_STANDARD.encode(username), "AUTH", 3, Refusal::Blocks)?;
            self.command(&BASE64_STANDARD.encode(password), "AUTH", 2, Refusal::Blocks)?;
        } else {
            let reason = format!("{}: the server offers neither AUTH PLAIN nor LOGIN", self.address);
            return Err(SendError::Blocked { reason });
        }
        Ok(())
    }

    /// One message. `Ok` names the recipients that were refused, where others were not.
    pub(super) fn send(
        &mut self,
        from: &str,
        to: &[String],
        message: &str,
        deadline: Duration,
    ) -> Result<Vec<String>, SendError> {
        self.deadline = Instant::now() + deadline;
        let size = if self.offers("SIZE") {
            format!(" SIZE={}", message.len())
        } else {
            String::new()
        };
        self.command(&format!("MAIL FROM:<{from}>{size}"), "MAIL", 2, Refusal::Rejects)?;
        let (mut refused, mut last) = (Vec::new(), None);
        for recipient in to {
            match self.command(&format!("RCPT TO:<{recipient}>"), "RCPT", 2, Refusal::Rejects) {
                Ok(_) => {}
                Err(error @ SendError::Reject { .. }) => {
                    refused.push(recipient.clone());
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = last.filter(|_| refused.len() == to.len()) {
            return Err(error);
        }
        self.command("DATA", "DATA", 3, Refusal::Rejects)?;
        let mut data = String::with_capacity(message.len() + 5);
        for line in message.split_inclusive("\r\n") {
            if line.starts_with('.') {
                data.push('.');
            }
            data.push_str(line);
        }
        data.push_str(".\r\n");
        self.write(data.as_bytes())?;
        let reply = self.reply()?;
        self.expect(&reply, 2, "the message", Refusal::Rejects)?;
        Ok(refused)
    }

    /// Whether the connection still answers, with nothing left of an earlier message.
    pub(super) fn reset(&mut self, deadline: Duration) -> bool {
        self.deadline = Instant::now() + deadline;
        self.command("RSET", "RSET", 2, Refusal::Rejects).is_ok()
    }

    /// Says goodbye without waiting for an answer.
    pub(super) fn quit(mut self) {
        // It is closed in any case.
        drop(self.write(b"QUIT\r\n"));
    }

    /// Errors name `what`, not the line: it may hold a password.
    fn command(&mut self, line: &str, what: &str, class: u16, refusal: Refusal) -> Result<Reply, SendError> {
        self.write(format!("{line}\r\n").as_bytes())?;
        let reply = self.reply()?;
        self.expect(&reply, class, what, refusal)?;
        Ok(reply)
    }

    fn expect(&self, reply: &Reply, class: u16, what: &str, refusal: Refusal) -> Result<(), SendError> {
        if reply.is(class) {
            return Ok(());
        }
        let text = crate::alert::render::cut(&crate::alert::render::one_line(&reply.text), 200);
        let reason = format!("{}: {what}: {} {text}", self.address, reply.code);
        Err(match (reply.code, refusal) {
            (400..=499, _) => SendError::Retry { after: None, reason },
            // Authentication: required, too weak, wrong, encryption required.
            (530 | 534 | 535 | 538, _) | (_, Refusal::Blocks) => SendError::Blocked { reason },
            (_, Refusal::Rejects) => SendError::Reject { reason },
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let stream = self.stream.get_mut();
        let result = stream.write_all(bytes).and_then(|()| stream.flush());
        result.map_err(|error| self.io(error))
    }

    /// All lines of one reply: `250-first`, `250 last`.
    fn reply(&mut self) -> Result<Reply, SendError> {
        let mut reply = Reply {
            code: 0,
            text: String::new(),
        };
        for _ in 0..REPLY_LINES_MAX {
            if Instant::now() > self.deadline {
                return Err(self.broken("timed out"));
            }
            let mut line = Vec::new();
            let read = (&mut self.stream)
                .take(REPLY_LINE_MAX_BYTES)
                .read_until(b'\n', &mut line);
            if read.map_err(|error| self.io(error))? == 0 {
                return Err(self.broken("the server closed the connection"));
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let code = line
                .get(..3)
                .and_then(|code| code.parse().ok())
                .filter(|code| (200..600).contains(code));
            let Some(code) = code else {
                return Err(self.broken("an answer that is not SMTP"));
            };
            reply.code = code;
            reply.text.push_str(line.get(4..).unwrap_or(""));
            reply.text.push('\n');
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
        }
        Err(self.broken("an answer without end"))
    }

    fn broken(&self, what: &str) -> SendError {
        SendError::Retry {
            after: None,
            reason: format!("{}: {what}", self.address),
        }
    }

    fn io(&self, error: std::io::Error) -> SendError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(inner) => tls::judge(inner, &self.address),
            None if matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ) =>
            {
                self.broken("timed out")
            }
            None => self.broken(&error.to_string()),
        }
    }
}

/// What a 5yz at this point means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Nothing gets through until somebody mends it.
    Blocks,
    /// This message is not taken.
    Rejects,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
            Stream::Gone => Ok(0),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
            Stream::Gone => Err(std::io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
            Stream::Gone => Ok(()),
        }
    }
}
