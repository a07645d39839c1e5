//! One entry of the journal as lines of syslog (RFC 5424): what `journalctl -o json` prints, in a form that is read
//! already. Each line of a message gets the header, as when a program writes line by line; its traces are joined as those.
//!
//! Fields: systemd.journal-fields(7); the JSON: systemd's "Journal JSON Format" (a value that is no text is an array of
//! bytes, one that occurs twice an array of values).

use serde_json::{Map, Value};

/// The fields that are asked for.
pub const FIELDS: &str = "MESSAGE,PRIORITY,SYSLOG_FACILITY,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,_SYSTEMD_UNIT,\
_SYSTEMD_USER_UNIT,_HOSTNAME,_TRANSPORT";
const OWN_NAME: &str = "exception-log-collector";
/// PRIORITY where an entry has none: info, as journald itself assumes.
const PRIORITY_DEFAULT: u64 = 6;
/// SYSLOG_FACILITY where an entry has none: user.
const FACILITY_DEFAULT: u64 = 1;
const NAME_BYTES_MAX: usize = 64;

/// An entry.
#[derive(Debug)]
pub struct Entry {
    fields: Map<String, Value>,
}

impl Entry {
    pub fn parse(line: &[u8]) -> Option<Self> {
        match serde_json::from_slice(line) {
            Ok(Value::Object(fields)) => Some(Self { fields }),
            Ok(_) | Err(_) => None,
        }
    }

    pub fn cursor(&self) -> Option<&str> {
        self.fields.get("__CURSOR")?.as_str()
    }

    /// Said by this program: reading it would make it say more.
    pub fn is_own(&self, own_pid: u32) -> bool {
        let is = |name: &str, value: &str| self.text(name).is_some_and(|text| text == value);
        is("SYSLOG_IDENTIFIER", OWN_NAME)
            || is("_SYSTEMD_UNIT", &format!("{OWN_NAME}.service"))
            || self.number("_PID") == Some(u64::from(own_pid))
    }

    /// Appends it as lines; an entry without a message gives none.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Some(message) = self.fields.get("MESSAGE").and_then(bytes) else {
            return;
        };
        let header = self.header();
        let message = message.strip_suffix(b"\n").unwrap_or(&message);
        for line in message.split(|byte| *byte == b'\n') {
            out.extend_from_slice(header.as_bytes());
            // A NUL ends a text for whoever reads lines.
            out.extend(line.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }));
            out.push(b'\n');
        }
    }

    fn header(&self) -> String {
        let priority = self.number("PRIORITY").unwrap_or(PRIORITY_DEFAULT).min(7);
        let facility = self.number("SYSLOG_FACILITY").unwrap_or(FACILITY_DEFAULT).min(23);
        let micros = self
            .number("__REALTIME_TIMESTAMP")
            .and_then(|micros| i64::try_from(micros).ok());
        let time = micros.and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
        let time = time.map_or_else(|| "-".to_owned(), |time| format!("{time:.6}"));
        let of_kernel = self.text("_TRANSPORT").is_some_and(|transport| transport == "kernel");
        let app = match (self.text("SYSLOG_IDENTIFIER").or_else(|| self.text("_COMM")), of_kernel) {
            (Some(name), _) => word(&name),
            (None, true) => "kernel".to_owned(),
            (None, false) => "-".to_owned(),
        };
        let pid = self.number("_PID").or_else(|| self.number("SYSLOG_PID"));
        let pid = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let host = self
            .text("_HOSTNAME")
            .map_or_else(|| "-".to_owned(), |host| word(&host));
        let unit = self.text("_SYSTEMD_USER_UNIT").or_else(|| self.text("_SYSTEMD_UNIT"));
        let data = unit.map_or_else(
            || "-".to_owned(),
            |unit| format!("[journald unit=\"{}\"]", unit.replace(['"', '\\', ']'], "_")),
        );
        let printed = self.text("_TRANSPORT").is_some_and(|transport| transport == "stdout");
        if printed && priority == PRIORITY_DEFAULT {
            // journald gives it to all that a service prints: it is nobody's word. The line itself may say its level.
            let pid = if pid == "-" { String::new() } else { format!("[{pid}]") };
            let data = if data == "-" { String::new() } else { format!("{data} ") };
            return format!("{time} {host} {app}{pid}: {data}");
        }
        let priority = facility * 8 + priority;
        format!("<{priority}>1 {time} {host} {app} {pid} - {data} ")
    }

    fn text(&self, name: &str) -> Option<String> {
        let bytes = self.fields.get(name).and_then(bytes)?;
        Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }
}

/// A value: text, bytes, or the first of several.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(items) => match items.first() {
            Some(Value::Number(_)) => items.iter().map(|item| u8::try_from(item.as_u64()?).ok()).collect(),
            Some(first) => bytes(first),
            None => Some(Vec::new()),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// A word of a header: printable, without blanks.
fn word(text: &str) -> String {
    let word = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' });
    word.take(NAME_BYTES_MAX).collect()
}
