//! Time zones by their names: what the host knows, else what the program brings.
//!
//! Small hosts and containers have no zone data. What the program brings is as old as the program; so the host's own, which
//! its packages keep up to date, comes first.

use jiff::tz::TimeZone;
use std::io::Read as _;

/// Packed by `build.rs`.
const ZONES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.gz"));

/// The zone of that name, whatever its case.
pub fn named(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().or_else(|| brought(name))
}

fn brought(name: &str) -> Option<TimeZone> {
    let mut zones = Vec::new();
    flate2::read::GzDecoder::new(ZONES).read_to_end(&mut zones).ok()?;
    let mut rest = zones.as_slice();
    loop {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (found, after) = (std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..]);
        let (size, after) = after.split_first_chunk()?;
        let (data, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
        if found.eq_ignore_ascii_case(name) {
            return TimeZone::tzif(found, data).ok();
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::offset;

    #[test]
    fn a_host_without_zone_data_knows_every_name_with_its_rules_of_today_and_before() {
        let at = |name: &str, time: &str| {
            let zone = brought(name).unwrap_or_else(|| panic!("{name}"));
            zone.to_offset(time.parse().unwrap())
        };
        for (name, time, hours) in [
            ("Asia/Shanghai", "2026-11-30T00:00:00Z", 8),
            ("asia/shanghai", "1988-07-01T00:00:00Z", 9),
            ("Europe/Berlin", "2026-11-30T00:00:00Z", 1),
            ("Europe/Berlin", "2040-07-01T00:00:00Z", 2),
            ("US/Pacific", "2026-11-30T00:00:00Z", -8),
            ("Etc/GMT+5", "2026-11-30T00:00:00Z", -5),
        ] {
            assert_eq!(at(name, time), offset(hours), "{name} {time}");
        }
        for unknown in ["", "Asia", "Asia/Shangha", "Asia/Shanghai2", "zones.gz"] {
            assert!(brought(unknown).is_none(), "{unknown}");
        }
    }
}
