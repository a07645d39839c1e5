//! What novelty and the model say of themselves: too much that is new, too much to learn, a model that does not fit.

use super::super::render::{Language, Wording};

/// A source said more that is new within an hour than anybody wants to read.
#[derive(Debug, Clone, Copy)]
pub struct Flood<'a> {
    pub source: &'a str,
    pub messages: usize,
}

impl Flood<'_> {
    pub fn title(&self, wording: &Wording) -> String {
        let Self { source, messages } = self;
        match wording.language {
            Language::English => {
                format!("{source}: {messages} messages never seen before within an hour; it learns again")
            }
            Language::Chinese => format!("{source}：一小时内出现 {messages} 种新消息，重新开始学习"),
        }
    }

    pub fn text(&self, wording: &Wording) -> &'static str {
        match wording.language {
            Language::English => "After a new release that is usual. Until it has learned, no message of it is news:",
            Language::Chinese => "新版本发布后这很常见。学习完成之前，不再把其消息当作新消息：",
        }
    }
}

/// A source says more kinds of messages than are kept.
#[derive(Debug, Clone, Copy)]
pub struct TableFull<'a> {
    pub source: &'a str,
    pub templates_max: usize,
}

impl TableFull<'_> {
    pub fn title(&self, wording: &Wording) -> String {
        let Self { source, templates_max } = self;
        match wording.language {
            Language::English => {
                format!("{source}: more than {templates_max} templates: its new messages are not told any more")
            }
            Language::Chinese => format!("{source}：模板超过 {templates_max} 个，其新消息不再告警"),
        }
    }

    pub fn text(&self, wording: &Wording) -> String {
        let source = self.source;
        match wording.language {
            Language::English => format!(
                "The messages of {source} differ too much to learn them. Rules and levels go on; `novelty: {{enabled: false}}` \
                 ends this for good."
            ),
            Language::Chinese => format!(
                "{source} 的消息差异太大，无法学习。规则和级别照常工作；设置 `novelty: {{enabled: false}}` 可彻底关闭。"
            ),
        }
    }
}

/// A model finds far more abnormal than it was calibrated to.
#[derive(Debug, Clone, Copy)]
pub struct Drift<'a> {
    pub model: &'a str,
}

impl Drift<'_> {
    pub fn title(&self, wording: &Wording) -> String {
        let model = self.model;
        match wording.language {
            Language::English => format!("the model {model} does not know these logs: retrain it"),
            Language::Chinese => format!("模型 {model} 不认识这些日志：请重新训练"),
        }
    }

    pub fn text(&self, wording: &Wording) -> &'static str {
        match wording.language {
            Language::English => {
                "It finds far more messages abnormal than it was calibrated to. Until another model takes its place its \
                 verdicts are counted, and nobody is told."
            }
            Language::Chinese => "它判为异常的消息远多于校准时的比例。在换上新模型之前，只统计其结论，不再告警。",
        }
    }
}
