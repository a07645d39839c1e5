//! What was lost of logs and of the state, and what to do about it.

use super::super::render::{Language, Wording};

/// Bytes of a log that nobody judged.
#[derive(Debug, Clone, Copy)]
pub struct Loss<'a> {
    pub path: &'a str,
    pub bytes: u64,
    /// As the ledger has it: `deleted`, `truncated` …
    pub reason: &'a str,
}

impl Loss<'_> {
    pub fn title(&self, wording: &Wording) -> String {
        let Self { path, bytes, reason } = self;
        match (wording.language, *reason) {
            (Language::English, "poison") => {
                format!(
                    "a record of {path} made the process abort again and again: its {bytes} bytes were skipped (poison)"
                )
            }
            (Language::English, _) => format!("{bytes} bytes of {path} were lost ({reason})"),
            (Language::Chinese, "poison") => {
                format!("{path} 中有一条记录反复使进程崩溃，已跳过 {bytes} 字节（poison）")
            }
            (Language::Chinese, _) => format!("{path} 丢失了 {bytes} 字节（{reason}）"),
        }
    }

    /// Why, and what to do.
    pub fn text(&self, wording: &Wording) -> Option<String> {
        let [english, chinese] = match self.reason {
            "deleted" => [
                "The file was removed, or rotated and removed, before it was read to its end.\n\
                 Keep more rotations, and look at `status` for how far reading is behind.",
                "文件在读完之前被删除，或轮转后被删除。\n请保留更多轮转文件，并用 `status` 查看读取滞后了多少。",
            ],
            "truncated" => [
                "The file was emptied before it was read to its end.\n\
                 Rotate it with logrotate's `create` instead of `copytruncate`.",
                "文件在读完之前被清空。\n请让 logrotate 使用 `create` 而不是 `copytruncate`。",
            ],
            "power_cut" => [
                "The end of the file went with the power. What it said was judged before; there is nothing to do.",
                "文件末尾随断电丢失。其内容此前已分析过，无需处理。",
            ],
            "poison" => [
                "Please send the record, or what is like it, to the makers of this program.",
                "请把这条记录（或类似的记录）发给本程序的开发者。",
            ],
            "unreadable" => [
                "Reading failed, or an archive is damaged. Look at permissions and at the disk.",
                "读取失败，或压缩文件已损坏。请检查权限和磁盘。",
            ],
            _ => return None,
        };
        Some(match wording.language {
            Language::English => english.to_owned(),
            Language::Chinese => chinese.to_owned(),
        })
    }
}

/// How much of a damaged state could be used again.
#[derive(Debug, Clone, Copy)]
pub enum Damaged {
    Everything,
    Backup,
    Nothing,
}

impl Damaged {
    pub fn title(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::English, Self::Everything) => {
                "the state was damaged: everything that was written could be read, and nothing is lost"
            }
            (Language::English, Self::Backup) => {
                "the state was damaged: its backup of the last hour took its place: what was read since is read again"
            }
            (Language::English, Self::Nothing) => {
                "the state was damaged: it begins afresh: files are read from their beginning"
            }
            (Language::Chinese, Self::Everything) => "状态库曾损坏：已写入的内容全部读出，没有丢失",
            (Language::Chinese, Self::Backup) => "状态库曾损坏：已用最近一小时内的备份代替，其后读过的内容会重新读取",
            (Language::Chinese, Self::Nothing) => "状态库曾损坏：已重新建立，文件从头读取",
        }
    }
}
