//! What is parked: deliveries that failed too often, tried behind the others.

use super::Round;
use crate::alerter::{Apart, Delivery, SendError, Sent, backoff};
use crate::keeper::Outcome;

impl Round<'_> {
    /// Parked ones go behind the others, one failure per 5 min: the first that gets through lets the next go at once.
    pub(super) fn sweep_parked(&mut self) -> anyhow::Result<()> {
        if self.memory.parked.is_empty() {
            return Ok(());
        }
        let start = self.parked_cursor;
        self.parked_cursor = 0;
        let mut after_seq = start;
        let mut wrapped = start == 0;
        loop {
            let page = self.courier.outbox.parked(after_seq, 1)?;
            self.memory
                .forget_absent_parked(after_seq, page.first().map_or(i64::MAX, |d| d.seq));
            let Some(delivery) = page
                .into_iter()
                .next()
                .filter(|d| !wrapped || start == 0 || d.seq <= start)
            else {
                if wrapped {
                    return Ok(());
                }
                (wrapped, after_seq) = (true, 0);
                continue;
            };
            after_seq = delivery.seq;
            self.memory.know_parked(&delivery);
            if self.memory.may_try_parked(&delivery) && !self.send_parked(&delivery) {
                return Ok(());
            }
        }
    }

    /// Sends one that is parked; whether the next may go.
    fn send_parked(&mut self, delivery: &Delivery) -> bool {
        if !self.may_go_on() {
            return false;
        }
        let Sent {
            delivered,
            apart,
            error,
        } = self.courier.alerter.send(std::slice::from_ref(delivery));
        let error = match (error, apart.into_iter().next()) {
            (error, None | Some((_, Apart::Arrived))) => error,
            (_, Some((_, Apart::Failed { reason, .. }))) => Some(SendError::Retry { after: None, reason }),
            (_, Some((_, Apart::Waits { .. }))) => return true,
        };
        match error {
            None => {
                if delivered > 0 {
                    self.delivered(delivery);
                }
                delivered > 0
            }
            Some(SendError::Reject { reason }) => {
                self.rejected(delivery, reason);
                true
            }
            Some(SendError::Blocked { reason }) => {
                self.blocked(delivery, reason);
                false
            }
            Some(SendError::Retry { after, reason }) => {
                let tries = self.memory.tries(delivery) + 1;
                self.memory.park(delivery, tries);
                self.mark(
                    delivery.seq,
                    Outcome::Failed {
                        tries,
                        parked: true,
                        error: reason,
                    },
                );
                self.parked_gate = self.clock.now() + after.unwrap_or(backoff::CAP).max(backoff::CAP);
                self.parked_cursor = delivery.seq;
                self.is_last_chance()
            }
        }
    }
}
