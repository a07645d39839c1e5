//! The console: alerts on standard output, as text or JSON.
//!
//! A reader who closes the pipe (`| head`) makes no error: the console is blocked from then on, and says so.

use super::{Alerter, Delivery, SendError, Sent, TextFormat};
use crate::alert::render::{self, Wording};
use std::io::{ErrorKind, Write};

/// Deliveries written at a time: one `write` on standard output, which a pipe reader may hold up.
const BATCH_MAX: usize = 64;

#[derive(Debug)]
pub struct Console {
    format: TextFormat,
    wording: Wording,
}

impl Console {
    pub fn new(format: TextFormat, wording: Wording) -> Self {
        Self { format, wording }
    }
}

impl Alerter for Console {
    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn send(&mut self, batch: &[Delivery]) -> Sent {
        let bytes: Vec<u8> = batch
            .iter()
            .flat_map(|delivery| entry(delivery, self.format, &self.wording))
            .collect();
        let mut out = std::io::stdout().lock();
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Ok(()) => Sent::all(batch.len()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Sent::failed(
                0,
                SendError::Blocked {
                    reason: "standard output is closed".to_owned(),
                },
            ),
            Err(error) => {
                let reason = format!("writing to standard output: {error}");
                Sent::failed(0, SendError::Retry { after: None, reason })
            }
        }
    }
}

/// One alert as it stands on the console or in a file, with its newline.
pub(super) fn entry(delivery: &Delivery, format: TextFormat, wording: &Wording) -> Vec<u8> {
    let alert = &delivery.alert;
    match format {
        TextFormat::Text => render::console(alert, wording).into_bytes(),
        TextFormat::Json => {
            let mut line = alert.to_json();
            line.push('\n');
            line.into_bytes()
        }
        TextFormat::Raw => {
            let mut text = alert.text.as_deref().unwrap_or(&alert.title).as_bytes().to_vec();
            text.push(b'\n');
            text
        }
    }
}
