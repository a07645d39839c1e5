//! `control.sock`: other processes speak to the running service: `status`, `ping`, and the commands of people.
//!
//! One request a line, JSON (`{"command":"status"}`), one answer a line: `{"ok":…}` or `{"error":"…"}`. The thread ends
//! when its stop channel is closed and the eventfd is rung. A client that hangs loses its connection, not the service.

use crate::command::{self, Command, Scene};
use crate::keeper::{Inbox, Status};
use crate::state::{self, State};
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Sender, bounded};
use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A client has so long to say and to hear something.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// The keeper has so long to answer: longer than its longest commit on a slow card.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// An import of verdicts is the longest.
const REQUEST_MAX_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Request {
    Status,
    Ping,
    Do(Command),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(serde_json::Value),
    Error(String),
}

/// Where the socket of a state directory is.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// The listening end. Made before any thread starts, so that a failure is told at start.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    keeper: Sender<Inbox>,
    stop: OwnedFd,
}

impl Control {
    /// The caller holds the lock of the directory, so that a socket that is there already is a dead one. Ringing the
    /// eventfd `stop` ends [`Control::run`].
    pub fn bind(state_dir: &Path, keeper: Sender<Inbox>, stop: OwnedFd) -> Result<Self> {
        let path = socket_path(state_dir);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("removing the old {}", path.display()));
        }
        let listener = UnixListener::bind(&path).with_context(|| format!("listening on {}", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))
            .with_context(|| format!("setting the mode of {}", path.display()))?;
        Ok(Self {
            listener,
            path,
            keeper,
            stop,
        })
    }

    pub fn run(self) {
        loop {
            let mut fds = [
                PollFd::new(&self.listener, PollFlags::IN),
                PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => {
                    log::error!(
                        "waiting on {}: {error}; status and other commands are off",
                        self.path.display()
                    );
                    break;
                }
            }
            if !fds[1].revents().is_empty() {
                break;
            }
            if let Ok((client, _)) = self.listener.accept()
                && let Err(error) = self.serve(&client)
            {
                log::debug!("a client of {}: {error:#}", self.path.display());
            }
        }
        // The next start removes it too: a failure here only leaves a dead socket behind.
        std::fs::remove_file(&self.path).ok();
    }

    fn serve(&self, client: &UnixStream) -> Result<()> {
        client.set_read_timeout(Some(CLIENT_TIMEOUT))?;
        client.set_write_timeout(Some(CLIENT_TIMEOUT))?;
        let mut line = String::new();
        BufReader::new(client.take(REQUEST_MAX_BYTES)).read_line(&mut line)?;
        let answer = match serde_json::from_str(&line) {
            Ok(request) => self
                .answer(&request)
                .map_or_else(|error| Answer::Error(format!("{error:#}")), Answer::Ok),
            Err(error) => Answer::Error(format!("not a request: {error}")),
        };
        let mut text = serde_json::to_string(&answer)?;
        text.push('\n');
        let mut client = client;
        Ok(client.write_all(text.as_bytes())?)
    }

    fn answer(&self, request: &Request) -> Result<serde_json::Value> {
        match request {
            Request::Status => Ok(serde_json::to_value(self.ask(Inbox::Status)?)?),
            Request::Ping => {
                self.ask(Inbox::Ping)?;
                Ok(serde_json::Value::from("pong"))
            }
            Request::Do(command) => {
                let command = Box::new(command.clone());
                self.ask(|reply| Inbox::Command(command, reply))?
                    .map_err(anyhow::Error::msg)
            }
        }
    }

    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Inbox) -> Result<T> {
        let (reply, answer) = bounded(1);
        self.keeper
            .send_timeout(question(reply), ANSWER_TIMEOUT)
            .ok()
            .context("the keeper takes no messages")?;
        answer
            .recv_timeout(ANSWER_TIMEOUT)
            .ok()
            .context("the keeper does not answer")
    }
}

/// Asks the service that runs on `state_dir`. `None`: no service runs there.
pub fn ask(state_dir: &Path, request: &Request) -> Result<Option<serde_json::Value>> {
    let path = socket_path(state_dir);
    let stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("connecting to {}", path.display())),
    };
    stream.set_read_timeout(Some(ANSWER_TIMEOUT * 2))?;
    writeln!(&stream, "{}", serde_json::to_string(request)?).with_context(|| format!("asking {}", path.display()))?;
    let mut line = String::new();
    BufReader::new(&stream)
        .read_line(&mut line)
        .with_context(|| format!("waiting for {}", path.display()))?;
    match serde_json::from_str(&line).with_context(|| format!("an answer of {}", path.display()))? {
        Answer::Ok(value) => Ok(Some(value)),
        Answer::Error(error) => bail!("{error}"),
    }
}

/// The status of the service that runs on `state_dir`, if one does.
pub fn status(state_dir: &Path) -> Result<Option<Status>> {
    ask(state_dir, &Request::Status)?
        .map(|value| serde_json::from_value(value).context("the status of another version"))
        .transpose()
}

/// Has a command done by the service that runs on `state_dir`, or, where none runs, does it here, under its lock.
pub fn perform(state_dir: &Path, command: &Command, alerters: Vec<Arc<str>>) -> Result<serde_json::Value> {
    if let Some(answer) = ask(state_dir, &Request::Do(command.clone()))? {
        return Ok(answer);
    }
    let exists = state_dir.join("state.db").exists();
    if !(exists || command.writes() && is_ours(state_dir)) {
        bail!("no state in {}: nothing has run there yet", state_dir.display());
    }
    let _lock = state::lock(state_dir)?.map_err(|held| {
        let who = held.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let dir = state_dir.display();
        anyhow::anyhow!("another instance{who} holds {dir} and does not listen: it starts or stops; try again")
    })?;
    let (mut state, _) = State::open(state_dir)?;
    let scene = Scene {
        now: jiff::Timestamp::now(),
        alerters,
    };
    command::execute(&mut state, command, &scene)
}

/// A state that root makes for a service of another user is one that the service cannot open.
fn is_ours(state_dir: &Path) -> bool {
    let owner = std::fs::metadata(state_dir).map(|metadata| metadata.uid());
    owner.is_err() || owner.is_ok_and(|owner| owner == rustix::process::geteuid().as_raw())
}
