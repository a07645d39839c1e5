//! The stateless mask: numbers, hex, UUIDs, addresses, paths, quoted values and durations replaced by place holders.
