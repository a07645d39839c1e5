//! Zone abbreviations that mean one offset only. `CST`, `IST`, `BST` and the like mean several: the source's zone holds.

/// Offset in seconds east of UTC (none: ambiguous, but a zone), and the length of the name at the beginning of `bytes`.
pub(super) fn scan(bytes: &[u8]) -> Option<(Option<i32>, usize)> {
    let len = bytes.iter().take(6).take_while(|b| b.is_ascii_uppercase()).count();
    if bytes.get(len).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let hours_x4 = match &bytes[..len] {
        b"UTC" | b"GMT" | b"Z" | b"WET" => 0,
        b"CET" | b"WEST" => 4,
        b"CEST" | b"EET" => 8,
        b"EEST" | b"MSK" => 12,
        b"EST" => -20,
        b"EDT" => -16,
        b"CDT" => -20,
        b"MST" => -28,
        b"MDT" => -24,
        b"PST" => -32,
        b"PDT" => -28,
        b"AKST" => -36,
        b"AKDT" => -32,
        b"HST" => -40,
        b"JST" | b"KST" => 36,
        b"HKT" | b"SGT" | b"AWST" => 32,
        b"AEST" => 40,
        b"AEDT" => 44,
        b"ACST" => 38,
        b"ACDT" => 42,
        b"NZST" => 48,
        b"NZDT" => 52,
        b"CST" | b"IST" | b"BST" | b"AST" => return Some((None, len)),
        _ => return None,
    };
    Some((Some(hours_x4 * 900), len))
}
