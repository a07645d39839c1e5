//! What a browser, Prometheus and a supervisor see: `/`, `/metrics`, `/livez`, `/healthz`, `/readyz`; and the text file for
//! node_exporter.
//!
//! A small HTTP/1.1 server: one request a connection, at most [`CONNECTIONS_MAX`] at a time, each with a deadline, so that
//! slow clients hold up only themselves. Without a token it listens on loopback only, answers only to loopback's names (a
//! web page elsewhere may have its own name point here), and tells nothing of what logs say.

mod exposition;
mod http;

use crate::keeper::{Inbox, Recent, Status};
use crate::metrics::{Metrics, Minute};
use anyhow::{Context, Result};
use crossbeam_channel::{Sender, bounded};
use http::{Answer, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS_MAX: usize = 8;
/// A connection from its first byte to its last.
const CONNECTION_MAX: Duration = Duration::from_secs(5);
/// The keeper has so long to answer.
const KEEPER_MAX: Duration = Duration::from_secs(4);
const TEXTFILE_EVERY: Duration = Duration::from_secs(15);
const PAGE: &str = include_str!("status_page/page.html");

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// None: nothing listens.
    pub listen: Option<SocketAddr>,
    /// Who asks must send its first line.
    pub token_file: Option<PathBuf>,
    /// Written anew every 15 s, whole or not at all.
    pub textfile: Option<PathBuf>,
}

/// The listening end. Made before any thread starts, so that a failure is told at start.
#[derive(Debug)]
pub struct StatusPage {
    listener: Option<TcpListener>,
    textfile: Option<PathBuf>,
    shared: Arc<Shared>,
    stop: OwnedFd,
}

#[derive(Debug)]
struct Shared {
    keeper: Sender<Inbox>,
    metrics: Arc<Metrics>,
    token_file: Option<PathBuf>,
    connections: AtomicUsize,
}

/// What `/status.json` tells.
#[derive(Debug, Serialize)]
struct Told {
    status: Status,
    /// Of the last hour, oldest first.
    minutes: Vec<Minute>,
    /// None: without a token nothing is told of what logs say.
    alerts: Option<Vec<Recent>>,
}

impl StatusPage {
    /// None: nothing is asked for. Ringing the eventfd `stop` ends [`StatusPage::run`].
    pub fn bind(
        settings: &Settings,
        keeper: Sender<Inbox>,
        metrics: Arc<Metrics>,
        stop: OwnedFd,
    ) -> Result<Option<Self>> {
        if settings.listen.is_none() && settings.textfile.is_none() {
            return Ok(None);
        }
        let listen = |address: SocketAddr| -> Result<TcpListener> {
            let listener = TcpListener::bind(address).with_context(|| format!("metrics.listen: {address}"))?;
            listener.set_nonblocking(true)?;
            log::info!("status page on http://{}/", listener.local_addr()?);
            Ok(listener)
        };
        Ok(Some(Self {
            listener: settings.listen.map(listen).transpose()?,
            textfile: settings.textfile.clone(),
            shared: Arc::new(Shared {
                keeper,
                metrics,
                token_file: settings.token_file.clone(),
                connections: AtomicUsize::new(0),
            }),
            stop,
        }))
    }

    pub fn run(self) {
        let mut textfile_due = Instant::now();
        loop {
            if let Some(path) = self.textfile.as_deref().filter(|_| Instant::now() >= textfile_due) {
                textfile_due = Instant::now() + TEXTFILE_EVERY;
                self.shared.write_textfile(path);
            }
            let left = textfile_due.saturating_duration_since(Instant::now());
            let wait = self.textfile.is_some().then(|| Timespec::try_from(left).ok()).flatten();
            let mut fds = vec![PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN)];
            fds.extend(
                self.listener
                    .iter()
                    .map(|listener| PollFd::new(listener, PollFlags::IN)),
            );
            match poll(&mut fds, wait.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return log::error!("waiting for askers: {error}; the status page is off"),
            }
            if !fds[0].revents().is_empty() {
                return;
            }
            if let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) {
                self.serve(stream);
            }
        }
    }

    fn serve(&self, stream: TcpStream) {
        if self.shared.connections.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            self.shared.connections.fetch_sub(1, Ordering::AcqRel);
            // Dropped: whoever holds the others holds them for seconds at most.
            return;
        }
        let shared = self.shared.clone();
        let work = move || {
            // The client has gone, or was too slow.
            if let Err(error) = shared.answer(stream) {
                log::debug!("an asker of the status page: {error:#}");
            }
            shared.connections.fetch_sub(1, Ordering::AcqRel);
        };
        let builder = std::thread::Builder::new()
            .name("status page".into())
            .stack_size(256 * 1024);
        if let Err(error) = builder.spawn(work) {
            self.shared.connections.fetch_sub(1, Ordering::AcqRel);
            log::warn!("starting a thread for the status page: {error}");
        }
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> Result<()> {
        stream.set_nonblocking(false)?;
        let until = Instant::now() + CONNECTION_MAX;
        let answer = match http::read(&stream, until)? {
            Ok(request) => self.respond(&request),
            Err(status) => Answer::text(status, "not a request\n"),
        };
        stream.set_write_timeout(Some(CONNECTION_MAX))?;
        answer.write(&mut &stream)
    }

    fn respond(&self, request: &Request) -> Answer {
        let is_known = self.token_file.as_deref().map(|path| request.brings(path));
        if is_known.is_none() && !request.is_for_loopback() {
            return Answer::text(403, "this name is not mine: ask by 127.0.0.1 or localhost\n");
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Answer::text(405, "only GET and HEAD\n");
        }
        let answer = match request.path.as_str() {
            "/livez" => verdict(&self.metrics.stuck()),
            "/readyz" => self
                .status()
                .map_or_else(|error| verdict(&[format!("{error:#}")]), |_| verdict(&[])),
            "/healthz" => match self.status() {
                Ok(status) if is_known == Some(false) && !status.reasons.is_empty() => verdict(&["degraded".into()]),
                Ok(status) => verdict(&status.reasons),
                Err(error) => verdict(&[format!("{error:#}")]),
            },
            _ if is_known == Some(false) => Answer::unauthorized(),
            "/" => Answer::page(PAGE),
            "/metrics" => self.exposition().map_or_else(failed, Answer::exposition),
            "/status.json" => self.told(is_known == Some(true)).map_or_else(failed, Answer::json),
            _ => Answer::text(404, "there are /, /metrics, /livez, /healthz and /readyz\n"),
        };
        answer.without_body(request.method == "HEAD")
    }

    fn status(&self) -> Result<Status> {
        self.ask(Inbox::Status)
    }

    fn exposition(&self) -> Result<String> {
        Ok(exposition::text(&self.status()?, &self.metrics))
    }

    fn told(&self, with_content: bool) -> Result<String> {
        let told = Told {
            status: self.status()?,
            minutes: self.metrics.minutes(),
            alerts: with_content.then(|| self.ask(Inbox::Recent)).transpose()?,
        };
        Ok(serde_json::to_string(&told)?)
    }

    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Inbox) -> Result<T> {
        let (reply, answer) = bounded(1);
        let sent = self.keeper.send_timeout(question(reply), KEEPER_MAX);
        sent.ok().context("the keeper takes no messages")?;
        answer
            .recv_timeout(KEEPER_MAX)
            .ok()
            .context("the keeper does not answer")
    }

    fn write_textfile(&self, path: &Path) {
        let write = || -> Result<()> {
            let text = self.exposition()?;
            let new = path.with_extension("prom.new");
            std::fs::File::create(&new)?.write_all(text.as_bytes())?;
            Ok(std::fs::rename(&new, path)?)
        };
        if let Err(error) = write() {
            log::warn!("writing {}: {error:#}", path.display());
        }
    }
}

fn verdict(reasons: &[String]) -> Answer {
    match reasons {
        [] => Answer::text(200, "ok\n"),
        reasons => Answer::text(503, &(reasons.join("\n") + "\n")),
    }
}

fn failed(error: anyhow::Error) -> Answer {
    Answer::text(503, &format!("{error:#}\n"))
}
