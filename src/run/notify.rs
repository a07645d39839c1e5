//! Tells systemd how it stands: the protocol of sd_notify(3), a datagram to the socket that `$NOTIFY_SOCKET` names.
//!
//! Without the variable nothing is sent. What cannot be sent is not missed: systemd has its own time-outs.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

#[derive(Debug)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok();
        Self::new(
            variable("NOTIFY_SOCKET").as_deref(),
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
        )
    }

    /// `socket`: a path, or an abstract name that begins with `@`.
    fn new(socket: Option<&str>, watchdog_us: Option<&str>, watchdog_pid: Option<&str>) -> Self {
        let address = socket.and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        let is_ours = watchdog_pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let watchdog_us: Option<u64> = watchdog_us.filter(|_| is_ours).and_then(|text| text.parse().ok());
        Self {
            to: address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address))),
            watchdog: watchdog_us.filter(|us| *us > 0).map(Duration::from_micros),
        }
    }

    /// After so long without `WATCHDOG=1` the service is taken for stuck.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    pub fn ready(&self) {
        self.say("READY=1");
    }

    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let us = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={us}"));
    }

    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    pub fn alive(&self, status: &str) {
        self.say(&format!("WATCHDOG=1\nSTATUS={status}"));
    }

    fn say(&self, text: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            log::debug!("telling systemd: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("elc-test-{}", std::process::id());
        let at_path = UnixDatagram::bind(&path).unwrap();
        let at_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::new(path.to_str(), None, None).ready();
        Notifier::new(Some(&format!("@{name}")), None, None).stopping();
        assert_eq!(
            (received(&at_path), received(&at_name)),
            ("READY=1".into(), "STOPPING=1".into())
        );
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let of = |pid: &str| Notifier::new(None, Some("3000000"), Some(pid)).watchdog();
        assert_eq!(of("1"), None);
        assert_eq!(of(&std::process::id().to_string()), Some(Duration::from_secs(3)));
        assert_eq!(
            Notifier::new(None, Some("3000000"), None).watchdog(),
            Some(Duration::from_secs(3))
        );
        assert_eq!(Notifier::new(None, Some("0"), None).watchdog(), None);
    }
}
