//! Time stamps as logs really write them, and the zone of those that name none.

/// The zone of time stamps without one.
#[derive(Debug, Clone, Default)]
pub enum Zone {
    #[default]
    Local,
    Named(jiff::tz::TimeZone),
}
