//! An alert as an e-mail: RFC 5322 headers, multipart/alternative of text and HTML (RFC 2046). Pure.
//!
//! Both parts are base64, so that no line of a log can be too long, hold a control, or look like the end of the message.
//! Subjects are RFC 2047 encoded words. `Message-ID` comes from the alert's id; what goes on or is over refers to the
//! firing's, so that mail programs show one thread.

use super::{Wording, body, clean, cut, facts, headline, one_line};
use crate::alert::{Alert, Status};
use crate::record::Level;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fmt::Write as _;

const SUBJECT_MAX_CHARS: usize = 150;
/// Of the record; mail servers take 10 MB and more, people read less.
const TEXT_MAX_CHARS: usize = 200_000;
/// Bytes of UTF-8 in one encoded word: 39 make 52 characters of base64, which with `=?UTF-8?B?…?=` and `Subject: ` stay
/// under the 76 that RFC 2047 allows a line.
const ENCODED_WORD_MAX_BYTES: usize = 39;

/// From whom and to whom; header values without line breaks.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pub from: &'a str,
    pub to: &'a [String],
}

/// The whole message, lines ended by CRLF.
pub fn message(alert: &Alert, envelope: Envelope<'_>, wording: &Wording, now: jiff::Timestamp) -> String {
    let boundary = format!("=_elc_{}", word(&alert.id));
    let mut out = String::new();
    let mut header = |name: &str, value: &str| _ = write!(out, "{name}: {value}\r\n");
    header("From", envelope.from);
    header("To", &envelope.to.join(",\r\n "));
    header("Subject", &encoded(&headline(alert, wording, SUBJECT_MAX_CHARS)));
    header(
        "Date",
        &jiff::fmt::rfc2822::to_string(&now.to_zoned_datetime(wording.zone.clone())).unwrap_or_default(),
    );
    header("Message-ID", &message_id(&alert.id, alert));
    if let Some(firing_id) = &alert.firing_id {
        header("In-Reply-To", &message_id(firing_id, alert));
        header("References", &message_id(firing_id, alert));
    }
    // Out-of-office programs answer nobody who says this (RFC 3834).
    header("Auto-Submitted", "auto-generated");
    if alert.severity == Level::Fatal && alert.status == Status::Firing {
        header("Importance", "high");
    }
    header("MIME-Version", "1.0");
    header(
        "Content-Type",
        &format!("multipart/alternative; boundary=\"{boundary}\""),
    );
    for (kind, text) in [("plain", text(alert, wording)), ("html", html(alert, wording))] {
        _ = write!(
            out,
            "\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            folded(&text)
        );
    }
    _ = write!(out, "\r\n--{boundary}--\r\n");
    out
}

fn message_id(id: &str, alert: &Alert) -> String {
    let host = word(&alert.host.id);
    let host = if host.is_empty() { "host" } else { &host };
    format!("<{}@{host}.exception-log-collector>", word(id))
}

/// What may stand in a message id and a boundary.
fn word(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
        .take(64)
        .collect()
}

/// As it is where it is ASCII and short; else encoded words, folded.
fn encoded(text: &str) -> String {
    let text = one_line(text);
    if text.len() <= 66 && text.bytes().all(|b| matches!(b, b' '..=b'~')) && !text.contains("=?") {
        return text;
    }
    let mut words = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let room = rest.len().min(ENCODED_WORD_MAX_BYTES);
        let end = (1..=room)
            .rev()
            .find(|&end| rest.is_char_boundary(end))
            .unwrap_or(rest.len());
        words.push(format!("=?UTF-8?B?{}?=", BASE64_STANDARD.encode(&rest[..end])));
        rest = &rest[end..];
    }
    words.join("\r\n ")
}

/// Base64 in lines of 76.
fn folded(text: &str) -> String {
    let encoded = BASE64_STANDARD.encode(text);
    let lines: Vec<&str> = (0..encoded.len())
        .step_by(76)
        .map(|at| &encoded[at..encoded.len().min(at + 76)])
        .collect();
    lines.join("\r\n") + "\r\n"
}

/// The text part.
pub fn text(alert: &Alert, wording: &Wording) -> String {
    let mut out = headline(alert, wording, 500);
    out.push_str("\r\n\r\n");
    for fact in facts(alert, wording) {
        _ = write!(out, "{}: {}\r\n", fact.name, fact.value);
    }
    out.push_str("\r\n");
    for (mark, line) in record(alert, wording) {
        let mark = if mark { "> " } else { "| " };
        _ = write!(out, "{mark}{line}\r\n");
    }
    out
}

/// The HTML part: one column, colours that hold on dark and light, nothing loaded from anywhere.
pub fn html(alert: &Alert, wording: &Wording) -> String {
    let colour = match (alert.status, alert.severity) {
        (Status::Resolved, _) => "#067647",
        (_, Level::Fatal | Level::Error) => "#b42318",
        (_, Level::Warn) => "#b54708",
        (_, Level::Info | Level::Debug | Level::Trace) => "#175cd3",
    };
    let mut out = String::from(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"></head>\
         <body style=\"font-family:-apple-system,'Segoe UI',Roboto,'Noto Sans CJK SC',sans-serif;font-size:14px\">",
    );
    _ = write!(
        out,
        "<div style=\"border-left:6px solid {colour};padding:4px 12px;font-size:17px;font-weight:600\">{}</div>\
         <table style=\"border-collapse:collapse;margin:12px 0\">",
        escaped(&headline(alert, wording, 500))
    );
    for fact in facts(alert, wording) {
        _ = write!(
            out,
            "<tr><td style=\"padding:2px 16px 2px 0;opacity:.7;white-space:nowrap;vertical-align:top\">{}</td>\
             <td style=\"padding:2px 0;word-break:break-word\">{}</td></tr>",
            escaped(fact.name),
            escaped(&fact.value)
        );
    }
    out.push_str("</table>");
    let lines = record(alert, wording);
    if !lines.is_empty() {
        out.push_str(
            "<pre style=\"background:#1d2939;color:#f2f4f7;padding:12px;border-radius:6px;white-space:pre-wrap;tab-size:2;\
             word-break:break-word;font-family:ui-monospace,Consolas,monospace;font-size:12px;line-height:1.45\">",
        );
        for (own, line) in lines {
            let line = escaped(&line);
            if own {
                _ = writeln!(out, "{line}");
            } else {
                _ = writeln!(out, "<span style=\"color:#98a2b3\">{line}</span>");
            }
        }
        out.push_str("</pre>");
    }
    out.push_str("</body></html>");
    out
}

/// The lines of the record (`true`) and of its neighbourhood; none of what is resolved.
fn record(alert: &Alert, wording: &Wording) -> Vec<(bool, String)> {
    let around = |lines: &[String]| {
        lines
            .iter()
            .map(|line| (false, clean(line).replace('\n', " ")))
            .collect::<Vec<_>>()
    };
    match alert.status {
        Status::Resolved => Vec::new(),
        Status::Firing | Status::Repeated => {
            let own = cut(&body(alert, wording), TEXT_MAX_CHARS);
            let own = own.lines().map(|line| (true, clean(line).into_owned()));
            [
                around(&alert.context.before),
                own.collect(),
                around(&alert.context.after),
            ]
            .concat()
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::alert;

    fn made(alert: &Alert) -> String {
        let to = ["ops@example.org".to_owned(), "night@example.org".to_owned()];
        let envelope = Envelope {
            from: "elc@example.org",
            to: &to,
        };
        message(
            alert,
            envelope,
            &Wording::default(),
            "2026-11-23T06:00:05Z".parse().unwrap(),
        )
    }

    #[test]
    fn headers_hold_one_line_each_whatever_was_logged() {
        let hostile = Alert {
            title: "x\r\nBcc: evil@example.org\r\n\r\n<script>\u{202e}\u{6587}".repeat(20),
            id: "a\r\nb<>@".to_owned(),
            host: crate::alert::Host {
                id: "h\r\n1".to_owned(),
                name: "h\nX: y".to_owned(),
            },
            ..alert()
        };
        let made = made(&hostile);
        let (head, parts) = made.split_once("\r\n\r\n").expect("a head");
        assert!(!head.contains("Bcc"), "{head}");
        assert!(
            head.contains("Message-ID: <ab@h1.exception-log-collector>\r\n"),
            "{head}"
        );
        assert!(
            made.split("\r\n")
                .all(|line| line.len() <= 78 && line.chars().all(|c| matches!(c, ' '..='~'))),
            "{made}"
        );
        assert!(!parts.contains("\r\n.\r\n"));
        assert!(!html(&hostile, &Wording::default()).contains("<script"));
    }

    #[test]
    fn what_goes_on_refers_to_the_firing() {
        let firing = made(&alert());
        assert!(
            firing.contains("Message-ID: <k3v9q2@h1.exception-log-collector>\r\n") && !firing.contains("References")
        );
        let sequel = Alert {
            id: "later".to_owned(),
            firing_id: Some("k3v9q2".to_owned()),
            status: Status::Resolved,
            ..alert()
        };
        let sequel = made(&sequel);
        assert!(
            sequel.contains("\r\nReferences: <k3v9q2@h1.exception-log-collector>\r\n"),
            "{sequel}"
        );
        assert!(
            sequel.contains("\r\nMessage-ID: <later@h1.exception-log-collector>\r\n"),
            "{sequel}"
        );
    }
}
