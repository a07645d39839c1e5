use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    newline: Newline::Byte,
    max_line_bytes: 8,
};

/// Reads `bytes` as a follower does, seeing only as much as `sizes` say at each turn; gives lines, cut marks, and how
/// many bytes were skipped.
fn follow(bytes: &[u8], limits: Limits, sizes: &[usize]) -> (Vec<(Vec<u8>, bool)>, usize) {
    let (mut found, mut at, mut skipping, mut skipped) = (Vec::new(), 0, false, 0);
    let (mut visible, mut look) = (0, 0);
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(bytes.len()));
    loop {
        let ended = visible == bytes.len();
        // A reader never offers less than the window when the file holds it.
        let seen = visible.min(at + look + limits.window_bytes().max(32));
        let whole = seen == visible;
        let piece = cut(&bytes[at..seen], limits, skipping, ended && whole);
        let mut run = &bytes[at + piece.start..at + piece.end];
        while !run.is_empty() {
            let end = limits.newline.first_end(run).unwrap_or(run.len());
            found.push((run[..end].to_vec(), piece.cut && end == run.len()));
            run = &run[end..];
        }
        skipped += piece.start + (piece.next - piece.end);
        at += piece.next;
        skipping = piece.skipping;
        look = if piece.next > 0 { 0 } else { look };
        if ended && at == bytes.len() {
            return (found, skipped);
        }
        if piece.next == 0 {
            assert!(!ended || !whole, "no progress at {at} of {} {piece:?}", bytes.len());
            // Only NULs so far: look further.
            look += 32;
            visible = (visible + sizes.next().unwrap()).min(bytes.len());
        }
    }
}

fn texts(bytes: &[u8], limits: Limits) -> Vec<String> {
    let lines = follow(bytes, limits, &[]).0;
    lines
        .iter()
        .map(|(line, _)| String::from_utf8_lossy(line).into_owned())
        .collect()
}

#[test]
fn unfinished_line_is_held_back_until_it_ends() {
    let first = cut(b"one\ntwo", LIMITS, false, false);
    assert_eq!((first.end, first.next, first.cut), (4, 4, false));
    let again = cut(b"two", LIMITS, false, false);
    assert_eq!(again.next, 0);
    let ended = cut(b"two", LIMITS, false, true);
    assert_eq!((ended.end, ended.next), (3, 3));
}

#[test]
fn long_line_is_cut_and_reading_goes_on_at_the_next_newline() {
    let (lines, skipped) = follow(b"a\n0123456789abcdef\nb\n", LIMITS, &[]);
    let expected = [(&b"a\n"[..], false), (b"01234567", true), (b"b\n", false)];
    assert_eq!(lines, expected.map(|(line, cut)| (line.to_vec(), cut)));
    assert_eq!(skipped, 9);
}

#[test]
fn line_of_exactly_the_limit_is_whole() {
    assert_eq!(texts(b"01234567\nx\n", LIMITS), ["01234567\n", "x\n"]);
}

#[test]
fn cut_does_not_split_a_character() {
    assert_eq!(texts("1234567é89\nx\n".as_bytes(), LIMITS), ["1234567", "x\n"]);
}

#[test]
fn nuls_before_a_line_are_skipped_only_when_text_follows() {
    assert_eq!(cut(&[0; 40], LIMITS, false, false).next, 0);
    let mut bytes = vec![0; 40];
    bytes.extend_from_slice(b"text\n");
    let piece = cut(&bytes, LIMITS, false, false);
    assert_eq!((piece.start, piece.end), (40, 45));
}

#[test]
fn run_of_nuls_ends_the_line_before_it() {
    let limits = Limits {
        max_line_bytes: 100,
        ..LIMITS
    };
    let bytes = [&b"torn"[..], &[0; 30], b"next\n"].concat();
    assert_eq!(texts(&bytes, limits), ["torn", "next\n"]);
    assert_eq!(texts(b"a\0b\n", limits), ["a\0b\n"]);
}

#[test]
fn utf16_is_split_in_aligned_units() {
    // U+0A0A and U+0D0A hold the byte 0x0A without being newlines.
    for (newline, encode) in [
        (Newline::Utf16Le, u16::to_le_bytes as fn(u16) -> [u8; 2]),
        (Newline::Utf16Be, u16::to_be_bytes),
    ] {
        let bytes: Vec<u8> = "\u{0A0A}\u{0D0A}x\ny\n".encode_utf16().flat_map(encode).collect();
        let limits = Limits {
            newline,
            max_line_bytes: 64,
        };
        let lines = follow(&bytes, limits, &[]).0;
        let lengths: Vec<usize> = lines.iter().map(|(line, _)| line.len()).collect();
        assert_eq!(lengths, [8, 4], "{newline:?}");
        assert_eq!(newline.trim_end(&lines[1].0).len(), 2);
    }
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-zé]{0,12}".prop_map(String::into_bytes),
        3 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => (1usize..40).prop_map(|n| vec![0; n]),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_gives_the_same_lines_and_every_byte_is_accounted_for(
        bytes in soup(),
        sizes in proptest::collection::vec(1usize..30, 0..40),
        max_line_bytes in 1usize..24,
        newline in prop_oneof![Just(Newline::Byte), Just(Newline::Utf16Le), Just(Newline::Utf16Be)],
    ) {
        let limits = Limits { newline, max_line_bytes };
        let (whole, skipped) = follow(&bytes, limits, &[bytes.len()]);
        let handed_on: usize = whole.iter().map(|(line, _)| line.len()).sum();
        prop_assert_eq!(handed_on + skipped, bytes.len());
        prop_assert_eq!(follow(&bytes, limits, &sizes).0, whole);
    }
}
