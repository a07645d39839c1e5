//! Reading a compressed file step by step: what was read before it was compressed is passed over, and compared.

use super::super::identity::{self, TAIL_BYTES};
use super::super::lines::{self, Limits};
use super::{Archive, CHUNK_MAX_BYTES, Followed, Step};
use std::io::{self, Read as _};

impl Followed {
    pub(super) fn step_archive(
        &mut self,
        archive: &mut Archive,
        buffer: &mut Vec<u8>,
        limits: Limits,
        host_id: &str,
    ) -> io::Result<Step> {
        let wanted = CHUNK_MAX_BYTES.max(limits.window_bytes() + 1);
        if archive.carry.len() < wanted && !archive.ended {
            let missing = (wanted - archive.carry.len()) as u64;
            let read = archive.reader.by_ref().take(missing).read_to_end(&mut archive.carry)?;
            archive.ended = (read as u64) < missing;
        }
        self.saw_size(archive.at + archive.carry.len() as u64);
        if archive.at < self.position {
            return Ok(match self.pass_over_known(archive) {
                true => Step::Idle,
                false => Step::Restarted,
            });
        }
        let limits = self.state.limits(limits, self.position, &archive.carry);
        let skipping = self.state.cut_at == Some(self.position);
        let offered = self.offered(&archive.carry, limits);
        let ended = archive.ended && offered.len() == archive.carry.len();
        let cut = lines::cut(offered, limits, skipping, ended);
        if cut.next == 0 {
            return Ok(Step::Idle);
        }
        if self.position == 0 {
            let head = &archive.carry[..archive.carry.len().min(identity::HEAD_BYTES)];
            self.state.identity.head_hash = identity::content_hash(head);
            self.state.identity.head_len = head.len() as u32;
            self.state.name_by(host_id, head, limits.newline, archive.ended);
        }
        let next = cut.next;
        self.state
            .identity
            .move_tail(self.position + next as u64, &archive.carry[..next]);
        buffer.extend_from_slice(&archive.carry[..next]);
        archive.carry.drain(..next);
        archive.at += next as u64;
        let size = archive.at + archive.carry.len() as u64;
        Ok(Step::Chunk(self.chunk(std::mem::take(buffer), cut, limits, size)))
    }

    /// Passes over what was read before it was compressed; false: it does not hold what was read.
    fn pass_over_known(&self, archive: &mut Archive) -> bool {
        let known = self.position - archive.at;
        let carried = archive.carry.len();
        if known > carried as u64 {
            // The bytes just before the position are kept, to be compared.
            let done = if archive.ended {
                carried
            } else {
                carried.saturating_sub(TAIL_BYTES)
            };
            archive.carry.drain(..done);
            archive.at += done as u64;
            return true;
        }
        let (known, identity) = (known as usize, &self.state.identity);
        let tail = known
            .checked_sub(identity.tail_len as usize)
            .map(|from| &archive.carry[from..known]);
        let same = match tail {
            Some(tail) if identity.tail_end == self.position => identity::content_hash(tail) == identity.tail_hash,
            Some(_) | None => true,
        };
        archive.carry.drain(..known);
        archive.at += known as u64;
        same
    }
}
