//! The metrics as Prometheus reads them (text format 0.0.4). Names and labels are a promise: dashboards hang on them.

use crate::collector::ledger::lost;
use crate::keeper::Status;
use crate::metrics::{AI_SECONDS, ANALYZERS, Metrics, STATUSES, Suppressed};
use crate::record::Level;
use std::fmt::Write as _;

/// The whole text.
pub fn text(status: &Status, metrics: &Metrics) -> String {
    let mut out = Out::default();
    sources(&mut out, status, metrics);
    findings(&mut out, status, metrics);
    alerters(&mut out, status, metrics);
    judge(&mut out, status, metrics);
    out.family(
        "state_written_bytes_total",
        "counter",
        "Bytes that the state and its backups gave storage to write",
    );
    out.value("", status.state_written_bytes);
    out.family(
        "config_last_reload_successful",
        "gauge",
        "0: the last reload failed, and the old settings stay",
    );
    out.value("", u64::from(status.config_reloaded));
    out.family("uptime_seconds", "gauge", "Since the start");
    out.value("", status.uptime_seconds);
    out.family("build_info", "gauge", "The version that runs");
    out.value(&labels(&[("version", &status.version)]), 1);
    out.text
}

#[derive(Default)]
struct Out {
    text: String,
    name: &'static str,
}

impl Out {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        writeln!(self.text, "# HELP elc_{name} {help}\n# TYPE elc_{name} {kind}").expect("a string takes all");
    }

    fn value(&mut self, labels: &str, value: u64) {
        self.line("", labels, value);
    }

    /// `suffix`: of one of the series that make up a histogram.
    fn line(&mut self, suffix: &str, labels: &str, value: impl std::fmt::Display) {
        writeln!(self.text, "elc_{}{suffix}{labels} {value}", self.name).expect("a string takes all");
    }
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn level_name(level: Option<Level>) -> String {
    level.map_or_else(|| "unknown".to_owned(), |level| level.to_string())
}

fn sources(out: &mut Out, status: &Status, metrics: &Metrics) {
    let counts = metrics.sources();
    let of = |name: &str| counts.get(name);
    out.family("read_bytes_total", "counter", "Bytes of logs that were read");
    for source in &status.sources {
        out.value(&labels(&[("source", &source.name)]), source.read_bytes);
    }
    out.family("read_lines_total", "counter", "Lines that were read");
    for (name, counts) in &counts {
        out.value(&labels(&[("source", name)]), counts.read_lines.get());
    }
    out.family("lag_bytes", "gauge", "Bytes written and not yet read");
    for source in &status.sources {
        out.value(&labels(&[("source", &source.name)]), source.lag_bytes);
    }
    out.family(
        "lost_bytes_total",
        "counter",
        "Bytes that were in the log and could not be read, by reason",
    );
    for source in &status.sources {
        // Also what is 0: of a series that begins with a loss, Prometheus' `increase` is 0.
        for reason in lost::ALL {
            let bytes = source.lost_bytes.get(reason).copied().unwrap_or(0);
            out.value(&labels(&[("source", &source.name), ("reason", reason)]), bytes);
        }
    }
    out.family("records_total", "counter", "Log entries, by level");
    for source in &status.sources {
        for level in Level::ALL.iter().map(|level| Some(*level)).chain([None]) {
            let count = of(&source.name).map_or(0, |counts| counts.records.of(level).get());
            out.value(
                &labels(&[("source", &source.name), ("level", &level_name(level))]),
                count,
            );
        }
    }
    out.family("templates", "gauge", "Kinds of messages that are known");
    for source in &status.sources {
        out.value(&labels(&[("source", &source.name)]), source.templates);
    }
}

fn findings(out: &mut Out, status: &Status, metrics: &Metrics) {
    out.family("findings_total", "counter", "What analyzers found");
    for (kind, analyzer) in ANALYZERS {
        for severity in Level::ALL {
            let labels = labels(&[("analyzer", analyzer), ("severity", &severity.to_string())]);
            out.value(&labels, metrics.findings(kind, severity).get());
        }
    }
    out.family("alerts_total", "counter", "Alerts that were said");
    for status in STATUSES {
        for severity in Level::ALL {
            let labels = labels(&[("status", status.as_str()), ("severity", &severity.to_string())]);
            out.value(&labels, metrics.alerts(status, severity).get());
        }
    }
    out.family("alerts_firing", "gauge", "Alerts that go on");
    out.value("", status.alerts.firing);
    out.family("suppressed_total", "counter", "What nobody was told of, by reason");
    for reason in Suppressed::ALL {
        out.value(
            &labels(&[("reason", reason.as_str())]),
            metrics.suppressed(reason).get(),
        );
    }
}

fn alerters(out: &mut Out, status: &Status, metrics: &Metrics) {
    out.family("deliveries_total", "counter", "What became of deliveries");
    for alerter in &status.alerters {
        let dead = metrics.alerter(&alerter.name).map_or(0, |counts| counts.dead.get());
        let outcomes = [
            ("delivered", alerter.delivered),
            ("failed", alerter.failed),
            ("dead", dead),
            ("shed", alerter.shed),
        ];
        for (outcome, count) in outcomes {
            out.value(&labels(&[("alerter", &alerter.name), ("outcome", outcome)]), count);
        }
    }
    out.family(
        "last_delivery_timestamp_seconds",
        "gauge",
        "When something was delivered last; 0: not since the start",
    );
    for alerter in &status.alerters {
        let last = metrics
            .alerter(&alerter.name)
            .map_or(0, |counts| counts.last_delivery.get());
        out.value(&labels(&[("alerter", &alerter.name)]), last);
    }
    out.family("outbox_deliveries", "gauge", "Deliveries in the outbox");
    for alerter in &status.alerters {
        for (state, count) in [
            ("queued", alerter.queued),
            ("parked", alerter.parked),
            ("dead", alerter.dead),
        ] {
            out.value(&labels(&[("alerter", &alerter.name), ("state", state)]), count);
        }
    }
    out.family(
        "outbox_oldest_seconds",
        "gauge",
        "Age of the oldest that is not delivered",
    );
    for alerter in &status.alerters {
        out.value(
            &labels(&[("alerter", &alerter.name)]),
            alerter.oldest_seconds.unwrap_or(0),
        );
    }
}

fn judge(out: &mut Out, status: &Status, metrics: &Metrics) {
    out.family(
        "ai_requests_total",
        "counter",
        "Requests for verdicts, by what became of them",
    );
    for (endpoint, outcome, count) in metrics.ai.requests() {
        out.value(&labels(&[("endpoint", &endpoint), ("outcome", outcome)]), count);
    }
    out.family(
        "ai_seconds",
        "histogram",
        "Time until a request for verdicts was answered",
    );
    let (counts, sum) = metrics.ai.seconds();
    let bounds = AI_SECONDS.map(|bound| bound.to_string());
    let mut below = 0;
    for (bound, count) in bounds.iter().map(String::as_str).chain(["+Inf"]).zip(counts) {
        below += count;
        out.line("_bucket", &labels(&[("le", bound)]), below);
    }
    out.line("_sum", "", sum);
    out.line("_count", "", below);
    out.family(
        "ai_verdicts_total",
        "counter",
        "Verdicts of the model, and messages that it refuses to judge",
    );
    let ai = &status.ai;
    let normal = metrics.ai.verdicts.get().saturating_sub(ai.abnormal + ai.refused);
    for (verdict, count) in [("normal", normal), ("abnormal", ai.abnormal), ("refused", ai.refused)] {
        out.value(&labels(&[("verdict", verdict)]), count);
    }
    out.family(
        "ai_shadowed_total",
        "counter",
        "Abnormal verdicts that nobody was told of",
    );
    out.value("", ai.shadowed);
    out.family("ai_pending", "gauge", "Templates that wait for a verdict");
    out.value("", ai.pending);
    out.family(
        "ai_dropped_total",
        "counter",
        "Templates that found no room among those that wait",
    );
    out.value("", ai.dropped);
    out.family("ai_away", "gauge", "1: nobody can judge now");
    out.value("", u64::from(ai.away));
}
