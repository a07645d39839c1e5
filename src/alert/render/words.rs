//! The words around log lines, per language (`alerts.language`).

use crate::record::Level;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    English,
    Chinese,
}

#[derive(Debug)]
pub(super) struct Words {
    severities: [&'static str; 6],
    pub resolved: &'static str,
    pub test: &'static str,
    pub time: &'static str,
    pub clock_suspect: &'static str,
    pub host: &'static str,
    pub source: &'static str,
    pub place: &'static str,
    pub count: &'static str,
    pub found_by: &'static str,
    pub captures: &'static str,
    pub labels: &'static str,
    pub alert: &'static str,
    pub truncated: &'static str,
    pub by_level: &'static str,
    pub by_rule: &'static str,
    pub by_novelty: &'static str,
    pub by_ai: &'static str,
}

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::Chinese => &CHINESE,
        }
    }

    pub(super) fn severity(&self, severity: Level) -> &'static str {
        let [trace, debug, info, warn, error, fatal] = self.severities;
        match severity {
            Level::Trace => trace,
            Level::Debug => debug,
            Level::Info => info,
            Level::Warn => warn,
            Level::Error => error,
            Level::Fatal => fatal,
        }
    }
}

const ENGLISH: Words = Words {
    severities: ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
    resolved: "RESOLVED",
    test: "TEST",
    time: "Time",
    clock_suspect: "the host's clock is not to be trusted",
    host: "Host",
    source: "Source",
    place: "Place",
    count: "Count",
    found_by: "Found by",
    captures: "Captured",
    labels: "Labels",
    alert: "Alert",
    truncated: "the record was longer and has been cut",
    by_level: "level",
    by_rule: "rule",
    by_novelty: "novelty",
    by_ai: "AI",
};

const CHINESE: Words = Words {
    severities: ["跟踪", "调试", "信息", "警告", "错误", "致命"],
    resolved: "已恢复",
    test: "测试",
    time: "时间",
    clock_suspect: "主机时钟不可信",
    host: "主机",
    source: "来源",
    place: "位置",
    count: "次数",
    found_by: "检出",
    captures: "捕获",
    labels: "标签",
    alert: "告警",
    truncated: "记录过长，已截断",
    by_level: "级别",
    by_rule: "规则",
    by_novelty: "新模式",
    by_ai: "AI",
};
