//! How open records end: by what follows, by silence, by their length, by want of room.

use super::grammar::Course;
use super::open::{Open, Seen};
use super::{Assembler, LineReader, MAX_OPEN_STREAMS, MAX_SPARE, MAX_SPARE_BYTES};
use crate::record::Record;

impl Assembler {
    /// The record has reached `max_record`: it is cut and handed on; what still comes of it is a continuation.
    pub(super) fn close_full(
        &mut self,
        mut open: Open,
        seen: &Seen<'_>,
        sink: &mut impl FnMut(Record<'_>, &LineReader),
    ) {
        if open.courses.is_empty() {
            open.courses.append(&mut self.eye.courses);
        }
        let room = self.settings.max_record_bytes.saturating_sub(open.len() + 1);
        let mut last = seen.clone();
        last.cut_to(room);
        open.add(&last, true, self.now_ms);
        open.mark_truncated();
        sink(open.as_record(), &self.reader);
        let courses = std::mem::take(&mut open.courses);
        self.rest(open.stream, courses);
        self.recycle(open);
    }

    pub(super) fn recycle(&mut self, open: Open) {
        if self.spare.len() < MAX_SPARE && open.len() <= MAX_SPARE_BYTES {
            self.spare.push(open);
        }
    }

    pub(super) fn rest(&mut self, stream: u64, courses: Vec<Course>) {
        self.resting.retain(|(own, _)| *own != stream);
        if self.resting.len() >= MAX_OPEN_STREAMS {
            self.resting.remove(0);
        }
        self.resting.push((stream, courses));
    }

    pub(super) fn make_room(&mut self, sink: &mut impl FnMut(Record<'_>, &LineReader)) {
        while self.open.len() > MAX_OPEN_STREAMS {
            let open = self.open.swap_remove(oldest(&self.open));
            self.close_whole(open, sink);
        }
    }

    /// Hands on a record, and takes the lines that it only held once more, as lines that come anew.
    pub(super) fn close(&mut self, open: Open, sink: &mut impl FnMut(Record<'_>, &LineReader)) {
        sink(open.as_record(), &self.reader);
        let mut ahead = None;
        for seen in open.held() {
            self.take(seen, &mut ahead, sink);
        }
        if let Some(before) = ahead.take() {
            let parked = self.fresh(&before);
            self.open.push(parked);
        }
        self.recycle(open);
    }

    /// Hands on a record and all that its held lines leave open.
    pub(super) fn close_whole(&mut self, open: Open, sink: &mut impl FnMut(Record<'_>, &LineReader)) {
        let stream = open.stream;
        let mut next = Some(open);
        while let Some(mut open) = next {
            let touched_ms = open.touched_ms;
            let courses = (open.is_trace() && open.held_lines() == 0).then(|| std::mem::take(&mut open.courses));
            self.close(open, sink);
            if let Some(courses) = courses {
                self.rest(stream, courses);
            }
            let left = self.open.iter().position(|open| open.stream == stream);
            next = left.map(|at| self.open.swap_remove(at));
            if let Some(open) = &mut next {
                open.touched_ms = touched_ms;
            }
        }
    }

    pub(super) fn close_where(
        &mut self,
        is_due: impl Fn(&Open) -> bool,
        sink: &mut impl FnMut(Record<'_>, &LineReader),
    ) {
        while let Some(at) = self.partial.iter().position(&is_due) {
            let whole = self.partial.swap_remove(at);
            self.take_pieces(whole, sink);
        }
        loop {
            let due = self.open.iter().enumerate().filter(|(_, open)| is_due(open));
            let Some((at, _)) = due.min_by_key(|(_, open)| open.offset()) else {
                return;
            };
            let open = self.open.swap_remove(at);
            self.close_whole(open, sink);
        }
    }
}

pub(super) fn oldest(open: &[Open]) -> usize {
    let oldest = open
        .iter()
        .enumerate()
        .min_by_key(|(_, open)| (open.touched_ms, open.offset()));
    oldest.map_or(0, |(at, _)| at)
}
