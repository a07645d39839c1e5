//! What `check` prints: per source, rule and alerter what the configuration means, and then each choice that storms,
//! blocks, loses or exposes, also where it was left at its default.

use super::units::{say_size, say_span};
use super::{Settings, Source};
use crate::alerter::{self, Kind, Send, TextFormat, WhenFull, webhook};
use crate::analyzer::Rule;
use crate::collector::ReadFrom;
use crate::collector::piped::Input;
use crate::record::{Format, Level, Multiline, Zone};
use std::fmt::Write as _;

/// Width of the column of names.
const NAME_WIDTH: usize = 12;
/// Longer patterns are cut for the eye.
const PATTERN_CHARS_MAX: usize = 60;

/// Lines for people, ending in a newline. Secrets are masked.
pub fn describe(settings: &Settings) -> String {
    let mut out = Text::default();
    out.head("state");
    out.line("", &format!("kept in {}", settings.state_dir.display()));
    out.head("sources");
    for source in &settings.sources {
        describe_source(&mut out, settings, source);
    }
    if !settings.analyzer.rules.is_empty() {
        out.head("rules");
    }
    for rule in &settings.analyzer.rules {
        out.line(&rule.name, &rule_meaning(rule));
    }
    if !settings.analyzer.ignore.is_empty() {
        out.head("ignored");
    }
    for ignore in &settings.analyzer.ignore {
        out.line(
            "",
            &format!("{} in {}", quoted(ignore.pattern.as_str()), in_sources(&ignore.sources)),
        );
    }
    out.head("alerts");
    let alert = &settings.alert;
    out.line(
        "",
        &format!(
            "said again every {} while they go on, resolved after {} of silence",
            say_span(alert.repeat_after),
            say_span(alert.resolve_after)
        ),
    );
    out.line(
        "",
        &format!(
            "with {} lines before and {} after, for which it waits {}, times in {}",
            alert.context_before_lines,
            alert.context_after_lines,
            say_span(alert.context_wait),
            zone_name(&alert.zone)
        ),
    );
    for silence in &alert.silences {
        let until = match silence.until {
            Some(until) => format!("until {until}"),
            None => "for ever".to_owned(),
        };
        out.line("", &format!("silent about {} {until}", silence.matcher));
    }
    for quiet in &alert.quiet {
        out.line("", &quiet_meaning(quiet));
    }
    out.head("alerters");
    for alerter in &settings.alerters {
        describe_alerter(&mut out, alerter);
    }
    let remarks = remarks(settings);
    if !remarks.is_empty() {
        out.head("mind");
    }
    for remark in &remarks {
        out.line("-", remark);
    }
    out.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, word: &str) {
        self.0.push_str(word);
        self.0.push('\n');
    }

    fn line(&mut self, name: &str, text: &str) {
        let width = if name == "-" { 1 } else { NAME_WIDTH };
        // Writing to a string cannot fail.
        write!(self.0, "  {name:width$} {text}").expect("a string takes all");
        self.0.truncate(self.0.trim_end().len());
        self.0.push('\n');
    }
}

fn describe_source(out: &mut Text, settings: &Settings, source: &Source) {
    let collector = &source.collector;
    let except = match collector.exclude.as_slice() {
        [] => String::new(),
        exclude => format!(" except {}", exclude.join(" ")),
    };
    match &source.input {
        Input::Files => out.line(&collector.name, &format!("{}{except}", collector.paths.join(" "))),
        Input::Journald { units } if units.is_empty() => out.line(&collector.name, "the systemd journal, all units"),
        Input::Journald { units } => out.line(&collector.name, &format!("the systemd journal: {}", units.join(" "))),
        Input::Stdin => {
            let promise = "standard input: what was read and is not committed yet is lost by a kill";
            return out.line(&collector.name, promise);
        }
    }
    let from = match collector.read_from {
        ReadFrom::End => "from the end of the files that are there at the first start, later ones whole",
        ReadFrom::Beginning => "all files from their beginning",
    };
    let older = match collector.ignore_older {
        Some(older) => format!("; not opened if unwritten for {}", say_span(older)),
        None => String::new(),
    };
    let rate = match collector.read_rate {
        0 => String::new(),
        rate => format!("; at most {} a second", say_size(rate)),
    };
    out.line("", &format!("{from}{older}{rate}"));
    let record = &source.record;
    let encodings: Vec<&str> = record.encodings.iter().map(|encoding| encoding.name()).collect();
    let joined = match &record.multiline {
        Multiline::Auto => "stack traces joined".to_owned(),
        Multiline::Off => "each line a record".to_owned(),
        Multiline::Start(pattern) => format!("a record begins at {}", quoted(pattern.as_str())),
    };
    let zone = match &record.zone {
        Zone::Local => "local".to_owned(),
        Zone::Named(zone) => zone_name(zone),
    };
    out.line(
        "",
        &format!(
            "format {}, {}, {joined}, up to {}, closed after {} of silence, times in {zone}",
            format_name(&record.format),
            encodings.join(" or "),
            say_size(record.max_record_bytes as u64),
            say_span(record.flush_after)
        ),
    );
    let at = match source.alert_at.unwrap_or(settings.analyzer.alert_at) {
        Some(level) => format!("exceptional from {level} on"),
        None => "exceptional only by rules (alert_at: off)".to_owned(),
    };
    out.line("", &at);
}

fn format_name(format: &Format) -> String {
    match format {
        Format::Auto => "auto".to_owned(),
        Format::Plain => "plain".to_owned(),
        Format::Json => "json".to_owned(),
        Format::Logfmt => "logfmt".to_owned(),
        Format::Syslog => "syslog".to_owned(),
        Format::Cri => "cri".to_owned(),
        Format::Docker => "docker".to_owned(),
        Format::Regex(pattern) => quoted(pattern.as_str()),
    }
}

fn rule_meaning(rule: &Rule) -> String {
    let fields: Vec<String> = rule
        .fields
        .iter()
        .map(|(name, pattern)| format!(" and {name} matches {}", quoted(pattern.as_str())))
        .collect();
    let lowers = if rule.overrides {
        ", also where others say worse"
    } else {
        ""
    };
    let pattern = quoted(rule.pattern.as_str());
    let fields = fields.concat();
    let sources = in_sources(&rule.sources);
    if let Some(absent_for) = rule.absent_for {
        let absent_for = say_span(absent_for);
        return format!(
            "{} if {pattern} does not match{fields} in {sources} for {absent_for}, from the last match on",
            rule.severity
        );
    }
    let often = rule.threshold.as_ref().map_or_else(String::new, |threshold| {
        let per = threshold
            .per
            .as_ref()
            .map_or_else(String::new, |per| format!(", for each {per} of its own"));
        let within = say_span(threshold.within);
        format!(" at least {} times within {within}{per};", threshold.at_least)
    });
    format!(
        "{} where {pattern} matches{fields}{often} in {sources}{lowers}",
        rule.severity
    )
}

fn in_sources(sources: &[std::sync::Arc<str>]) -> String {
    match sources {
        [] => "all sources".to_owned(),
        sources => sources.join(", "),
    }
}

fn describe_alerter(out: &mut Text, alerter: &alerter::Settings) {
    let format = |format: TextFormat| match format {
        TextFormat::Text => "text",
        TextFormat::Json => "json",
        TextFormat::Raw => "raw",
    };
    let kind = match &alerter.kind {
        Kind::Console { format: form } => format!("console, as {}", format(*form)),
        Kind::File { path, format: form } => format!("file {}, as {}", path.display(), format(*form)),
        Kind::Webhook(webhook) => {
            let urls: Vec<String> = webhook.urls.iter().map(masked).collect();
            format!("webhook {} to {}", preset_name(&webhook.preset), urls.join(", "))
        }
        Kind::Kafka(kafka) => format!("kafka topic {} at {}", kafka.topic, kafka.brokers.join(", ")),
        Kind::Email(email) => format!("e-mail through {} to {}", email.smtp, email.to.join(", ")),
    };
    out.line(&alerter.name, &kind);
    let send = match alerter.send {
        Send::Grouped => "grouped",
        Send::Each => "every record",
    };
    let resolved = if alerter.send_resolved { ", resolutions too" } else { "" };
    let full = match alerter.when_full {
        WhenFull::Compact => "compacted when full",
        WhenFull::DropOldest => "the oldest dropped when full",
        WhenFull::Block => "the reading stops when full",
    };
    let size = say_size(alerter.outbox_max_bytes);
    out.line(
        "",
        &format!(
            "from {} on, {send}{resolved}; outbox {size}, {full}",
            alerter.min_severity
        ),
    );
    describe_pace(out, alerter);
    let filter = &alerter.filter;
    let labels: Vec<String> = filter
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let detectors: Vec<String> = filter
        .detectors
        .iter()
        .map(|kind| format!("{kind:?}").to_lowercase())
        .collect();
    let only = [
        ("sources", &filter.sources),
        ("rules", &filter.rules),
        ("labels", &labels),
        ("detectors", &detectors),
    ];
    let only: Vec<String> = only
        .iter()
        .filter(|(_, of)| !of.is_empty())
        .map(|(what, of)| format!("{what} {}", of.join(", ")))
        .collect();
    if !only.is_empty() {
        out.line("", &format!("only {}", only.join("; ")));
    }
}

fn quiet_meaning(quiet: &crate::alert::quiet::Quiet) -> String {
    let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let days: Vec<String> = quiet.days.iter().map(|day| format!("{day:?}")).collect();
    let days = if days.is_empty() {
        "every day".to_owned()
    } else {
        days.join(", ")
    };
    format!(
        "quiet below {} from {} to {}, {days}",
        quiet.below,
        time(quiet.from),
        time(quiet.to)
    )
}

/// What is held back, and told in a digest.
fn describe_pace(out: &mut Text, alerter: &alerter::Settings) {
    let limit = |max: Option<u32>, unit: &str| max.map(|max| format!("{max} messages {unit}"));
    let limits = [
        limit(alerter.limits.per_minute, "a minute"),
        limit(alerter.limits.per_hour, "an hour"),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        out.line(
            "",
            &format!("at most {}, what is above in a digest", limits.join(" and ")),
        );
    }
    match alerter.catch_up {
        alerter::CatchUp::Digest => out.line("", "after an outage one digest of all that came meanwhile"),
        alerter::CatchUp::All => {}
    }
}

fn preset_name(preset: &webhook::Preset) -> &'static str {
    match preset {
        webhook::Preset::Generic => "generic",
        webhook::Preset::Alertmanager => "alertmanager",
        webhook::Preset::Slack => "slack",
        webhook::Preset::Teams => "teams",
        webhook::Preset::Discord => "discord",
        webhook::Preset::Telegram { .. } => "telegram",
        webhook::Preset::Pagerduty { .. } => "pagerduty",
        webhook::Preset::Dingtalk { .. } => "dingtalk",
        webhook::Preset::Feishu { .. } => "feishu",
        webhook::Preset::Wecom => "wecom",
    }
}

/// Scheme and host of a URL: the rest may be a secret, and so may what stands before an `@`.
fn masked(url: &webhook::Secret) -> String {
    match url {
        webhook::Secret::File(path) => format!("the URL in {}", path.display()),
        webhook::Secret::Value(url) => {
            let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
            let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
            let host = authority.rsplit('@').next().unwrap_or("");
            format!("{scheme}://{host}/…")
        }
    }
}

fn quoted(pattern: &str) -> String {
    let cut: String = pattern.chars().take(PATTERN_CHARS_MAX).collect();
    let more = if cut.len() < pattern.len() { "…" } else { "" };
    format!("'{cut}{more}'")
}

fn zone_name(zone: &jiff::tz::TimeZone) -> String {
    match (zone.iana_name(), zone.to_fixed_offset()) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(offset)) => format!("UTC{offset}"),
        (None, Err(_)) => "local".to_owned(),
    }
}

/// What its writer may not have thought of.
fn remarks(settings: &Settings) -> Vec<String> {
    let mut remarks = Vec::new();
    if settings.sources.is_empty() {
        remarks.push("no sources: `run` has nothing to follow".to_owned());
    }
    for source in &settings.sources {
        remark_source(settings, source, &mut remarks);
    }
    for alerter in &settings.alerters {
        remark_alerter(alerter, &mut remarks);
    }
    let leaves =
        |alerter: &alerter::Settings| matches!(alerter.kind, Kind::Webhook(_) | Kind::Email(_) | Kind::Kafka(_));
    if settings.alert.redact.is_empty() && settings.alerters.iter().any(leaves) {
        remarks.push("exposes: log text leaves this host as it stands (alerts.redact is empty)".to_owned());
    }
    if settings
        .alerters
        .iter()
        .all(|alerter| matches!(alerter.kind, Kind::Console { .. }))
    {
        remarks.push("alerts go to standard output only: nobody is told while nobody looks".to_owned());
    }
    remarks
}

fn remark_source(settings: &Settings, source: &Source, remarks: &mut Vec<String>) {
    let name = &source.collector.name;
    let concerned = |rule: &Rule| rule.sources.is_empty() || rule.sources.contains(name);
    match source.alert_at.unwrap_or(settings.analyzer.alert_at) {
        Some(level @ (Level::Trace | Level::Debug | Level::Info)) => {
            remarks.push(format!(
                "storms: source {name} alerts at {level}: nearly every record is exceptional"
            ));
        }
        Some(Level::Warn | Level::Error | Level::Fatal) => {}
        None if settings.analyzer.rules.iter().any(concerned) => {}
        None => remarks.push(format!(
            "source {name} has no level and no rule: nothing in it is ever found"
        )),
    }
    if source.collector.read_from == ReadFrom::Beginning {
        remarks.push(format!(
            "storms: source {name} is read from its beginning: the first start tells of the past too"
        ));
    }
}

fn remark_alerter(alerter: &alerter::Settings, remarks: &mut Vec<String>) {
    let name = &alerter.name;
    if alerter.send == Send::Each && matches!(alerter.kind, Kind::Webhook(_) | Kind::Email(_) | Kind::Kafka(_)) {
        remarks.push(format!(
            "storms: {name} sends a message for every exceptional record (send: each)"
        ));
    }
    match alerter.when_full {
        WhenFull::Compact => {}
        WhenFull::DropOldest => remarks.push(format!("loses: {name} drops its oldest alerts when its outbox is full")),
        WhenFull::Block => {
            remarks.push(format!(
                "blocks: while {name} is down and its outbox full, no log is read any more"
            ));
        }
    }
    if let Kind::Email(email) = &alerter.kind
        && email.mode == alerter::email::TlsMode::None
    {
        remarks.push(format!("exposes: {name} sends unencrypted (tls: none)"));
    }
    let Kind::Webhook(webhook) = &alerter.kind else { return };
    if webhook.tls.insecure_skip_verify {
        remarks.push(format!(
            "exposes: {name} talks to whoever answers (tls.insecure_skip_verify)"
        ));
    }
    let plain = |url: &webhook::Secret| match url {
        webhook::Secret::Value(url) => url.starts_with("http://") && !is_loopback(url),
        webhook::Secret::File(_) => false,
    };
    if webhook.urls.iter().any(plain) {
        remarks.push(format!("exposes: {name} sends unencrypted (http://)"));
    }
    if webhook.mention.all {
        remarks.push(format!(
            "storms: {name} calls everybody in the chat by name with each alert (mention.all)"
        ));
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.strip_prefix("http://").unwrap_or(url);
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|local| host.starts_with(local))
}
