//! `--html`: to come.
use super::report::{Report, Totals};
use std::io::{self, Write};

pub fn write(out: &mut impl Write, report: &mut Report, totals: &Totals, zone: &jiff::tz::TimeZone) -> io::Result<()> {
    let _ = (report, totals, zone);
    out.write_all(b"")
}
