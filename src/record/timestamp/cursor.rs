//! Digits, signs and names of months, read from left to right.

/// What has been read so far.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl Cursor<'_> {
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    pub fn eat_spaces(&mut self) -> usize {
        let from = self.at;
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
        self.at - from
    }

    /// Up to `max` digits as a number, and how many there were.
    pub fn digits(&mut self, max: usize) -> (u64, usize) {
        let from = self.at;
        let mut number = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at - from == max {
                break;
            }
            number = number * 10 + u64::from(digit - b'0');
            self.at += 1;
        }
        (number, self.at - from)
    }

    /// A number of exactly `count` digits, at most `limit`.
    pub fn exactly(&mut self, count: usize, limit: u64) -> Option<u64> {
        let (number, got) = self.digits(count);
        (got == count && number <= limit).then_some(number)
    }

    /// A number of one or two digits, `low` to `high`.
    pub fn small(&mut self, low: u64, high: u64) -> Option<i8> {
        let (number, got) = self.digits(2);
        if got == 0 || number < low || number > high {
            return None;
        }
        i8::try_from(number).ok()
    }

    pub fn month_name(&mut self) -> Option<i8> {
        let name = self.bytes.get(self.at..self.at + 3)?;
        let month = month(name)?;
        self.at += 3;
        Some(month)
    }

    pub fn year(&mut self) -> Option<i16> {
        let year = self.exactly(4, 2199).filter(|year| *year >= 1900)?;
        i16::try_from(year).ok()
    }
}

pub(super) fn month(name: &[u8]) -> Option<i8> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}
