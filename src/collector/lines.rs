//! Lines: where one ends, in any encoding. Pure; `record` uses it too.

/// Width and byte order of the newline, by the source's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Newline {
    /// One byte 0x0A: UTF-8 and every encoding that keeps ASCII.
    #[default]
    Byte,
    Utf16Le,
    Utf16Be,
}
