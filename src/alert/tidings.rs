//! What we say of our own: titles and texts of absences, digests and the agent's news, in the language of the people who
//! read them. Pure. One place for all of them, so that no language lacks one.

mod learning;
mod losses;

pub use learning::{Drift, Flood, TableFull};
pub use losses::{Damaged, Loss};

use super::render::{Language, Wording, time};
use super::{Alert, absence};
use std::fmt::Write as _;
use std::time::Duration;

/// A rule that should match again and again, and does not, or does again.
#[derive(Debug, Clone, Copy)]
pub struct Absence<'a> {
    pub rule: &'a str,
    pub absent_for: Duration,
    pub said: &'a absence::Said,
}

impl Absence<'_> {
    pub fn title(&self, wording: &Wording) -> String {
        let Self { rule, said, .. } = self;
        let silence = span(said.silence, wording.language);
        let over = said.status == super::Status::Resolved;
        match (wording.language, over, &said.last) {
            (Language::English, false, Some(_)) => format!("rule {rule} has not matched for {silence}"),
            (Language::English, false, None) => format!("rule {rule} has never matched, for {silence} now"),
            (Language::English, true, _) => format!("rule {rule} matches again, after {silence}"),
            (Language::Chinese, false, Some(_)) => format!("规则 {rule} 已有 {silence}没有匹配"),
            (Language::Chinese, false, None) => format!("规则 {rule} 从未匹配，已等待 {silence}"),
            (Language::Chinese, true, _) => format!("规则 {rule} 恢复匹配，中断了 {silence}"),
        }
    }

    /// What was expected, and what was seen last.
    pub fn text(&self, wording: &Wording) -> String {
        let every = span(self.absent_for, wording.language);
        let rule = self.rule;
        let mut text = match wording.language {
            Language::English => format!("A match of rule {rule} is expected at least every {every}."),
            Language::Chinese => format!("规则 {rule} 至少应每 {every}匹配一次。"),
        };
        if let Some(last) = &self.said.last {
            let at = time(last.at, &wording.zone);
            // Writing to a string cannot fail.
            _ = match wording.language {
                Language::English => write!(text, "\nLast match: {at}, in {} @{}", last.path, last.offset),
                Language::Chinese => write!(text, "\n最后一次匹配：{at}，{} @{}", last.path, last.offset),
            };
        }
        text
    }
}

/// Why messages were held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// `max_per_minute` or `max_per_hour` was reached.
    Rate,
    /// The receiver could not be reached for long (`catch_up: digest`).
    Outage,
    /// A maintenance window (`alerts.quiet`).
    Quiet,
}

impl Held {
    pub const ALL: [Held; 3] = [Held::Rate, Held::Outage, Held::Quiet];

    pub const fn as_str(self) -> &'static str {
        match self {
            Held::Rate => "rate",
            Held::Outage => "outage",
            Held::Quiet => "quiet",
        }
    }
}

/// What a digest says.
#[derive(Debug, Clone, Copy)]
pub struct HeldBack<'a> {
    pub why: Held,
    pub alerter: &'a str,
    pub groups: usize,
    pub records: u64,
    pub since: jiff::Timestamp,
    pub until: jiff::Timestamp,
}

impl HeldBack<'_> {
    pub fn title(&self, wording: &Wording) -> String {
        let Self {
            alerter,
            groups,
            records,
            ..
        } = self;
        match wording.language {
            Language::English => {
                let alerts = if *groups == 1 { "alert" } else { "alerts" };
                match self.why {
                    Held::Rate => format!("{groups} more {alerts}, seen {records} times: too many to send one by one"),
                    Held::Outage => {
                        format!("{groups} {alerts}, seen {records} times, while {alerter} could not be reached")
                    }
                    Held::Quiet => format!("{groups} {alerts}, seen {records} times, during the maintenance window"),
                }
            }
            Language::Chinese => match self.why {
                Held::Rate => format!("另有 {groups} 个告警，共 {records} 次：数量过多，合并发送"),
                Held::Outage => format!("{alerter} 无法送达期间有 {groups} 个告警，共 {records} 次"),
                Held::Quiet => format!("维护时段内有 {groups} 个告警，共 {records} 次"),
            },
        }
    }

    pub fn text(&self, wording: &Wording) -> String {
        let (since, until) = (time(self.since, &wording.zone), time(self.until, &wording.zone));
        match wording.language {
            Language::English => format!("From {since} to {until}; the worst first:"),
            Language::Chinese => format!("{since} 至 {until}，按严重程度排列："),
        }
    }

    pub fn rest_title(&self, groups: usize, wording: &Wording) -> String {
        match wording.language {
            Language::English => format!("… and {groups} more alerts"),
            Language::Chinese => format!("……以及另外 {groups} 个告警"),
        }
    }
}

/// Nobody looked at the logs for a while.
#[derive(Debug, Clone, Copy)]
pub struct Downtime {
    pub from: jiff::Timestamp,
    pub to: jiff::Timestamp,
    /// It was stopped, and did not break off.
    pub in_order: bool,
    pub rebooted: bool,
    pub waiting_bytes: u64,
    pub lost_bytes: u64,
}

impl Downtime {
    pub fn title(&self, wording: &Wording) -> String {
        let away = Duration::try_from(self.to.duration_since(self.from)).unwrap_or_default();
        let away = span(away, wording.language);
        let (from, to) = (time(self.from, &wording.zone), time(self.to, &wording.zone));
        match wording.language {
            Language::English => format!("logs were not watched for {away}: down from {from} to {to}"),
            Language::Chinese => format!("日志有 {away}无人监看：{from} 至 {to} 未运行"),
        }
    }

    pub fn text(&self, wording: &Wording) -> String {
        let Self {
            waiting_bytes,
            lost_bytes,
            ..
        } = self;
        let why = match (wording.language, self.rebooted, self.in_order) {
            (Language::English, true, _) => "The host was restarted meanwhile.",
            (Language::English, false, true) => "It was stopped.",
            (Language::English, false, false) => "It ended unexpectedly, or was killed.",
            (Language::Chinese, true, _) => "期间主机重启过。",
            (Language::Chinese, false, true) => "程序被正常停止。",
            (Language::Chinese, false, false) => "程序意外终止或被杀死。",
        };
        match (wording.language, lost_bytes) {
            (Language::English, 0) => {
                format!("{why}\n{waiting_bytes} bytes wait to be read; nothing is known to be lost.")
            }
            (Language::English, lost) => {
                format!("{why}\n{waiting_bytes} bytes wait to be read; {lost} bytes are lost.")
            }
            (Language::Chinese, 0) => format!("{why}\n有 {waiting_bytes} 字节等待读取，未发现丢失。"),
            (Language::Chinese, lost) => format!("{why}\n有 {waiting_bytes} 字节等待读取，丢失 {lost} 字节。"),
        }
    }
}

/// That all is well.
#[derive(Debug, Clone, Copy)]
pub struct Alive {
    pub since: jiff::Timestamp,
    pub alerts: u64,
    /// Deliveries that were shed, or that a receiver will never take.
    pub undelivered: u64,
    pub lost_bytes: u64,
}

impl Alive {
    pub fn title(&self, wording: &Wording) -> String {
        let Self {
            alerts,
            undelivered,
            lost_bytes,
            ..
        } = self;
        match wording.language {
            Language::English => {
                let alerts = if *alerts == 1 {
                    "1 alert".to_owned()
                } else {
                    format!("{alerts} alerts")
                };
                match (lost_bytes, undelivered) {
                    (0, 0) => format!("alive: {alerts}, nothing lost"),
                    (0, gone) => format!("alive: {alerts}, {gone} of them never delivered"),
                    (lost, gone) => {
                        format!("alive: {alerts}, {lost} bytes of logs lost, {gone} alerts never delivered")
                    }
                }
            }
            Language::Chinese => match (lost_bytes, undelivered) {
                (0, 0) => format!("运行正常：{alerts} 个告警，无丢失"),
                (lost, gone) => format!("运行中：{alerts} 个告警，日志丢失 {lost} 字节，{gone} 个告警未送达"),
            },
        }
    }

    pub fn text(&self, wording: &Wording) -> String {
        let since = time(self.since, &wording.zone);
        match wording.language {
            Language::English => format!("Since {since}."),
            Language::Chinese => format!("自 {since} 起。"),
        }
    }
}

/// An alerter that does not get through, or does again.
#[derive(Debug, Clone, Copy)]
pub struct Trouble<'a> {
    pub alerter: &'a str,
    /// Somebody has to mend it; else it fails for long.
    pub blocked: bool,
    pub reason: &'a str,
    pub over: bool,
}

impl Trouble<'_> {
    pub fn title(&self, wording: &Wording) -> String {
        let alerter = self.alerter;
        match (wording.language, self.over, self.blocked) {
            (Language::English, true, _) => format!("alerter {alerter} gets through again"),
            (Language::English, false, true) => format!("alerter {alerter} is blocked: its alerts wait"),
            (Language::English, false, false) => format!("alerter {alerter} cannot be reached: its alerts wait"),
            (Language::Chinese, true, _) => format!("告警通道 {alerter} 已恢复"),
            (Language::Chinese, false, true) => format!("告警通道 {alerter} 被拒绝，告警排队等待"),
            (Language::Chinese, false, false) => format!("告警通道 {alerter} 无法连接，告警排队等待"),
        }
    }

    pub fn text(&self, wording: &Wording) -> String {
        match (wording.language, self.over, self.blocked) {
            (Language::English, true, _) => "What waited is sent now.".to_owned(),
            (Language::English, false, true) => {
                format!("{}\nIt is tried every 5 minutes until somebody mends it.", self.reason)
            }
            (Language::English, false, false) => format!("{}\nIt is tried again by itself.", self.reason),
            (Language::Chinese, true, _) => "等待的告警正在发送。".to_owned(),
            (Language::Chinese, false, true) => format!("{}\n每 5 分钟重试一次，需要有人修复。", self.reason),
            (Language::Chinese, false, false) => format!("{}\n会自动重试。", self.reason),
        }
    }
}

/// How often: `1834 in 4 h (7.6/min), 2001 in all (from – to)`. None: once.
pub fn count(alert: &Alert, wording: &Wording) -> Option<String> {
    let Alert { count, total, .. } = alert;
    if *count <= 1 && total.is_none() {
        return None;
    }
    let (from, to) = (
        time(alert.first_seen, &wording.zone),
        time(alert.last_seen, &wording.zone),
    );
    let language = wording.language;
    let lately = alert
        .period_ms
        .filter(|period_ms| *count > 0 && *period_ms > 0)
        .map(|ms| {
            let (period, rate) = (span(Duration::from_millis(ms), language), rate(*count, ms, language));
            match language {
                Language::English => format!("{count} in {period} ({rate})"),
                Language::Chinese => format!("{period}内 {count} 次（{rate}）"),
            }
        });
    let in_all = match (language, total) {
        (Language::English, Some(total)) => format!("{total} in all"),
        (Language::Chinese, Some(total)) => format!("共 {total} 次"),
        (_, None) => count.to_string(),
    };
    let said: Vec<String> = lately.into_iter().chain([in_all]).collect();
    Some(match language {
        Language::English => format!("{} ({from} – {to})", said.join(", ")),
        Language::Chinese => format!("{} ({from} – {to})", said.join("，")),
    })
}

/// `7.6/min`, in the shortest unit in which it is at least one.
fn rate(count: u64, period_ms: u64, language: Language) -> String {
    let units = match language {
        Language::English => ["/s", "/min", "/h", "/d"],
        Language::Chinese => ["/秒", "/分钟", "/小时", "/天"],
    };
    let unit_ms = [1_000.0, 60_000.0, 3_600_000.0, 86_400_000.0];
    let per_ms = count as f64 / period_ms as f64;
    let unit = unit_ms
        .iter()
        .position(|ms| per_ms * ms >= 1.0)
        .unwrap_or(units.len() - 1);
    let rate = per_ms * unit_ms[unit];
    let digits = usize::from(rate < 10.0);
    format!("{rate:.digits$}{}", units[unit])
}

/// `45 s`, `5 min`, `2 h 5 min`, `3 d 4 h`: two units say enough.
pub fn span(span: Duration, language: Language) -> String {
    let units = match language {
        Language::English => [" d", " h", " min", " s", " ms"],
        Language::Chinese => [" 天", " 小时", " 分钟", " 秒", " 毫秒"],
    };
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let parts = [
        ms / 86_400_000,
        ms / 3_600_000 % 24,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        if ms < 1000 { ms } else { 0 },
    ];
    let said = parts.iter().zip(units).skip_while(|(number, _)| **number == 0).take(2);
    let words: Vec<String> = said
        .filter(|(number, _)| **number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if words.is_empty() {
        format!("0{}", units[3])
    } else {
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_two_units_at_most() {
        let said = |ms| span(Duration::from_millis(ms), Language::English);
        assert_eq!(said(0), "0 s");
        assert_eq!(said(250), "250 ms");
        assert_eq!(said(61_000), "1 min 1 s");
        assert_eq!(said(3_600_000 + 59_000), "1 h");
        assert_eq!(said(90_061_000), "1 d 1 h");
        assert_eq!(span(Duration::from_secs(300), Language::Chinese), "5 分钟");
    }

    #[test]
    fn a_rate_is_said_in_the_shortest_unit_that_is_not_below_one() {
        let said = |count, seconds: u64| rate(count, seconds * 1000, Language::English);
        assert_eq!(said(1834, 4 * 3600), "7.6/min");
        assert_eq!(said(5000, 10), "500/s");
        assert_eq!(said(3, 3600), "3.0/h");
        assert_eq!(said(1, 10 * 86_400), "0.1/d");
    }
}
