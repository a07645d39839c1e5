//! One connection to one Kafka broker: framing, versions, correlation.
//!
//! Promises: one request at a time, its answer read whole and checked by its correlation id; after any error the
//! connection is to be dropped, for nobody knows what it still holds. Versions are the broker's and ours at most, and
//! under a cap: never the broker's least, which Kafka 4 advertises for others and refuses (KAFKA-18659).

use super::sasl;
use crate::alerter::{SendError, tls};
use bytes::{Buf as _, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, HeaderVersion as _, Request, StrBytes};
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A longer answer is not one to a request of ours.
const ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;
const CLIENT: &str = "exception-log-collector";
/// Error code of a broker that does not know our version of `ApiVersions`; the answer is then in version 0.
const UNSUPPORTED_VERSION: i16 = 35;

/// How brokers are reached.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub tls: Option<Arc<rustls::ClientConfig>>,
    pub login: Option<sasl::Login>,
    /// Of connecting, of one write, of one read.
    pub timeout: Duration,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    address: String,
    /// Of each API: the broker's least and greatest version.
    versions: HashMap<i16, (i16, i16)>,
    correlation: i32,
    pub used: Instant,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Connection {
    /// Connected, its versions known, logged in.
    pub(super) fn open(address: &str, access: &Access) -> Result<Self, SendError> {
        let stream = connect(address, access.timeout).map_err(|error| retry(address, &error.to_string()))?;
        let stream = match &access.tls {
            None => Stream::Plain(stream),
            Some(config) => {
                let host = address
                    .rsplit_once(':')
                    .map_or(address, |(host, _)| host)
                    .trim_matches(['[', ']']);
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|_| blocked(address, "not a host name that a certificate could be for"))?;
                let session =
                    rustls::ClientConnection::new(config.clone(), name).map_err(|error| tls::judge(&error, address))?;
                let mut secured = rustls::StreamOwned::new(session, stream);
                while secured.conn.is_handshaking() {
                    secured
                        .conn
                        .complete_io(&mut secured.sock)
                        .map_err(|error| failed(address, &error))?;
                }
                Stream::Tls(Box::new(secured))
            }
        };
        let address = address.to_owned();
        let (versions, correlation, used) = (HashMap::new(), 0, Instant::now());
        let mut connection = Self {
            stream,
            address,
            versions,
            correlation,
            used,
        };
        connection.learn_versions()?;
        if let Some(login) = &access.login {
            sasl::log_in(&mut connection, login)?;
        }
        Ok(connection)
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// One request and its answer, in the greatest version that both know, at most `cap`.
    pub(super) fn call<R: Request>(&mut self, cap: i16, request: &R) -> Result<R::Response, SendError> {
        let Some(&(_, broker_max)) = self.versions.get(&R::KEY) else {
            return Err(blocked(
                &self.address,
                &format!("the broker does not know API {}", R::KEY),
            ));
        };
        let version = broker_max.min(R::VERSIONS.max).min(cap);
        if version < R::VERSIONS.min {
            let what = format!("too old: of API {} it knows version {broker_max} at most", R::KEY);
            return Err(blocked(&self.address, &what));
        }
        let mut answer = self.exchange(version, request)?;
        R::Response::decode(&mut answer, version)
            .map_err(|error| retry(&self.address, &format!("an answer that cannot be read: {error:#}")))
    }

    fn learn_versions(&mut self) -> Result<(), SendError> {
        let text = StrBytes::from_static_str;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text(CLIENT))
            .with_client_software_version(text(env!("CARGO_PKG_VERSION")));
        let mut version = 3;
        let mut answer = self.exchange(version, &request)?;
        if answer.get(..2) == Some(&UNSUPPORTED_VERSION.to_be_bytes()) {
            version = 0;
            answer = self.exchange(version, &ApiVersionsRequest::default())?;
        }
        let response = ApiVersionsResponse::decode(&mut answer, version)
            .map_err(|error| retry(&self.address, &format!("its versions cannot be read: {error:#}")))?;
        if response.error_code != 0 {
            return Err(retry(
                &self.address,
                &format!("asked for versions it said error {}", response.error_code),
            ));
        }
        self.versions = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        Ok(())
    }

    /// The body of the answer.
    fn exchange<R: Request>(&mut self, version: i16, request: &R) -> Result<Bytes, SendError> {
        self.correlation = self.correlation.wrapping_add(1);
        self.used = Instant::now();
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str(CLIENT)));
        let mut frame = BytesMut::new();
        frame.extend_from_slice(&[0; 4]);
        header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version))
            .map_err(|error| retry(&self.address, &format!("a request that cannot be written: {error:#}")))?;
        let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
        frame[..4].copy_from_slice(&length.to_be_bytes());
        let mut answer = self.transfer(&frame).map_err(|error| failed(&self.address, &error))?;
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version));
        match header {
            Ok(header) if header.correlation_id == self.correlation => Ok(answer),
            Ok(header) => {
                let what = format!("answer {} to request {}", header.correlation_id, self.correlation);
                Err(retry(&self.address, &what))
            }
            Err(error) => Err(retry(
                &self.address,
                &format!("an answer that cannot be read: {error:#}"),
            )),
        }
    }

    fn transfer(&mut self, frame: &[u8]) -> std::io::Result<Bytes> {
        let stream: &mut dyn ReadWrite = match &mut self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &mut **stream,
        };
        stream.write_all(frame)?;
        stream.flush()?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > ANSWER_MAX_BYTES {
            return Err(std::io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        Ok(Bytes::from(answer).copy_to_bytes(length))
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn connect(address: &str, timeout: Duration) -> std::io::Result<TcpStream> {
    let mut tried = Err(std::io::Error::other("no address"));
    for address in address.to_socket_addrs()? {
        tried = TcpStream::connect_timeout(&address, timeout);
        if tried.is_ok() {
            break;
        }
    }
    let stream = tried?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

pub(super) fn retry(address: &str, what: &str) -> SendError {
    SendError::Retry {
        after: None,
        reason: format!("{address}: {what}"),
    }
}

pub(super) fn blocked(address: &str, what: &str) -> SendError {
    SendError::Blocked {
        reason: format!("{address}: {what}"),
    }
}

fn failed(address: &str, error: &std::io::Error) -> SendError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => tls::judge(inner, address),
        None if matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ) =>
        {
            retry(address, "timed out")
        }
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => retry(address, "the broker closed the connection"),
        None => retry(address, &error.to_string()),
    }
}
