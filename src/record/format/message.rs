//! Where the message of a record stands, found without building anything: what is masked and looked up for every record.
//!
//! Not always byte for byte what [`Details`](super::Details) will say (escapes are in place), but two records with the
//! same message here have the same one there.

use super::{Format, LineReader, detail, json, json_of, logfmt};
use crate::record::Record;

impl LineReader {
    /// What the record's writer said; empty where a JSON object holds no message.
    pub fn message<'a>(&self, record: &Record<'a>) -> &'a [u8] {
        // Most records are one line, in which no line end has to be looked for.
        let is_line = record.place.first_line == record.place.last_line && std::ptr::eq(record.body, record.text);
        let first = if is_line {
            record.body
        } else {
            detail::first_line(record.body)
        };
        if record.header_len > 0 {
            let message = first.get(record.header_len..).unwrap_or_default().trim_ascii_start();
            return if message.is_empty() { first } else { message };
        }
        let is_keyed = |line: &[u8]| match self.format {
            Format::Logfmt => true,
            Format::Plain | Format::Regex(_) => false,
            Format::Auto | Format::Json | Format::Syslog | Format::Cri | Format::Docker => logfmt::is_probable(line),
        };
        match json_of(record.body) {
            Some(object) => json::raw_message(object).unwrap_or_default(),
            None if is_keyed(first) => logfmt::raw_message(first).unwrap_or(first),
            None => first.trim_ascii_start(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Details;
    use super::*;
    use crate::record::{Assembler, Settings};

    /// The message as it is found in passing, and as the details have it.
    fn messages(text: &str) -> Vec<(String, String)> {
        let mut assembler = Assembler::new(Settings::default(), 1, "");
        let mut both = Vec::new();
        let mut see = |record: Record<'_>, reader: &LineReader| {
            let Details { message, .. } = reader.details(record.text, record.body, jiff::Timestamp::UNIX_EPOCH);
            both.push((String::from_utf8_lossy(reader.message(&record)).into_owned(), message));
        };
        assembler.feed(text.as_bytes(), 0, false, 0, &mut see);
        assembler.close_all(&mut see);
        both
    }

    #[test]
    fn the_message_found_in_passing_is_that_of_the_details() {
        for line in [
            "2026-11-23 06:00:01,123 INFO  [main] checkout took 35 ms",
            "plain words without any head",
            "Nov 23 06:00:01 gw-17 sshd[77]: Accepted publickey for bob",
            r#"{"time":"2026-11-23T06:00:01Z","level":"info","user":"bob","msg":"paid"}"#,
            r#"{"event":"login","message":"bob logged in"}"#,
            r#"{"level":"INFO","fields":{"message":"from tracing","n":3}}"#,
            r#"time=2026-11-23T06:00:01Z level=info msg="two words" n=3"#,
            "2026-11-23T06:00:01.123456789Z stdout F {\"level\":\"info\",\"msg\":\"in a pod\"}",
            r#"{"log":"2026-11-23 06:00:01 INFO up\n","stream":"stdout","time":"2026-11-23T06:00:01Z"}"#,
            r#"{"status":200,"path":"/x"}"#,
        ] {
            let both = messages(&format!("{line}\n"));
            assert_eq!(both.len(), 1, "{line}");
            assert_eq!(both[0].0, both[0].1, "{line}");
        }
    }
}
