//! Proxies of the environment, as curl takes them: `HTTPS_PROXY` for https, `HTTP_PROXY` for http, `ALL_PROXY` for both,
//! `NO_PROXY` for neither; in small letters too.
//!
//! What goes to an http URL is handed to an HTTP proxy whole (RFC 9112 section 3.2.2: the target in its absolute form):
//! many proxies open tunnels (CONNECT) to port 443 only. All else is ureq's.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::io;
use ureq::Proxy;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport};

/// What the environment says for a scheme.
pub(super) fn of(scheme: &str) -> Option<Proxy> {
    let names = [format!("{scheme}_proxy"), "all_proxy".to_owned()];
    let given = names.iter().find_map(|name| variable(name).map(|value| (name, value)));
    let (name, value) = given?;
    let Ok(proxy) = Proxy::new(&value) else {
        log::warn!("the environment's {name} is no URL of a proxy, and is not used");
        return None;
    };
    let mut builder = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port())
        .resolve_target(proxy.resolve_target());
    if let Some(username) = proxy.username() {
        builder = builder.username(username);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    let spared = variable("no_proxy").unwrap_or_default();
    let builder = spared
        .split(',')
        .fold(builder, |builder, entry| builder.no_proxy(entry.trim()));
    builder.build().ok()
}

/// In small letters first: what a CGI's client can set is in capitals. An empty one counts as none.
fn variable(name: &str) -> Option<String> {
    let given = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_uppercase()));
    given.ok().filter(|value| !value.is_empty())
}

/// Connections for http URLs: to the HTTP proxy, where there is one and it is not spared.
#[derive(Debug)]
pub(super) struct Forwarding {
    inner: DefaultConnector,
    /// Without the proxy: for the connection to it.
    direct: Config,
    proxy: Uri,
    authorization: Option<String>,
}

impl Forwarding {
    /// None: not an HTTP proxy.
    pub(super) fn new(proxy: &Proxy, direct: Config) -> Option<Self> {
        if !matches!(proxy.protocol(), ureq::ProxyProtocol::Http) {
            return None;
        }
        let credentials = |username| format!("{username}:{}", proxy.password().unwrap_or(""));
        let authorization = proxy
            .username()
            .map(|username| BASE64_STANDARD.encode(credentials(username)));
        Some(Self {
            inner: DefaultConnector::new(),
            direct,
            proxy: proxy.uri().clone(),
            authorization,
        })
    }
}

impl Connector for Forwarding {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        let is_spared = details
            .config
            .proxy()
            .is_none_or(|proxy| proxy.is_no_proxy(details.uri));
        let authority = details.uri.authority().filter(|_| !is_spared && !details.needs_tls());
        let Some(authority) = authority else {
            return self.inner.connect(details, chained);
        };
        let to_proxy = ConnectionDetails {
            uri: &self.proxy,
            addrs: details.resolver.resolve(&self.proxy, &self.direct, details.timeout)?,
            config: &self.direct,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let transport = self.inner.connect(&to_proxy, chained)?;
        let login = self.authorization.as_ref();
        let login = login.map_or_else(String::new, |login| format!("Proxy-Authorization: Basic {login}\r\n"));
        Ok(transport.map(|inner| {
            let (target, is_begun) = (format!("http://{authority}"), false);
            Box::new(Forwarded {
                inner,
                target,
                login,
                is_begun,
            }) as Box<dyn Transport>
        }))
    }
}

/// A connection to a proxy: each request names its target whole.
#[derive(Debug)]
struct Forwarded {
    inner: Box<dyn Transport>,
    /// `http://host:port`
    target: String,
    /// A header line, or nothing.
    login: String,
    /// The head of the request has been sent.
    is_begun: bool,
}

impl Forwarded {
    /// Writes target and login into the head that stands in the buffer; the bytes to send.
    fn complete(&mut self, amount: usize) -> io::Result<usize> {
        let output = self.inner.buffers().output();
        let head = output.get(..amount).unwrap_or(output).to_vec();
        let ends_of = |what: &[u8]| head.windows(what.len()).position(|window| window == what);
        let (Some(blank), Some(line_end)) = (ends_of(b" "), ends_of(b"\r\n")) else {
            return Err(io::Error::other("a request without a head"));
        };
        let (method, rest) = head.split_at(blank + 1);
        let (path, headers) = rest.split_at(line_end + 2 - method.len());
        let whole = [method, self.target.as_bytes(), path, self.login.as_bytes(), headers].concat();
        let Some(room) = output.get_mut(..whole.len()) else {
            return Err(io::Error::other("a request whose head is too long for a proxy"));
        };
        room.copy_from_slice(&whole);
        Ok(whole.len())
    }
}

impl Transport for Forwarded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let amount = if std::mem::replace(&mut self.is_begun, true) {
            amount
        } else {
            self.complete(amount)?
        };
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        // What is sent after an answer is the next request.
        self.is_begun = false;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}
