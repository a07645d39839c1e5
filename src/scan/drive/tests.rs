use super::super::chunks::{CHUNK_BYTES, Chunks};
use super::super::input::InputPlace;
use super::super::novelty::{Novelty, Shown};
use super::*;
use crate::alert::Alert;
use crate::collector::lines::{Limits, Newline};
use crate::scan::ScanOptions;
use proptest::prelude::*;
use std::io::{Read, Write};

#[derive(Default)]
struct Kept {
    items: Vec<Alert>,
    full_after: Option<usize>,
    totals: Vec<FileTotals>,
}

impl Sink for Kept {
    fn begins(&mut self, _input: &Input) {}

    fn ended(&mut self, _input: &Input, read: io::Result<FileTotals>) {
        self.totals.push(read.unwrap());
    }

    fn take(&mut self, item: Item<'_>) -> io::Result<()> {
        if self.full_after == Some(self.items.len()) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.items.push(item.into_alert());
        Ok(())
    }

    fn chunk_done(&mut self, _raw_bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

fn plan(options: &ScanOptions) -> Plan {
    Plan::new(options, &crate::config::defaults(), jiff::Timestamp::UNIX_EPOCH).unwrap()
}

fn nothing_new() -> Across {
    Across::new(&[], Novelty::new(crate::alert::novelty::Settings::default()))
}

/// One input, by one reader.
fn read(input: &Input, options: &ScanOptions, kept: &mut Kept) -> io::Result<()> {
    let input = std::slice::from_ref(input);
    scan(input, &plan(options), 1, Cut::default(), &mut nothing_new(), kept)
}

fn input(bytes: &[u8]) -> (tempfile::NamedTempFile, Input) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let place = InputPlace::File(file.path().to_owned());
    let input = Input {
        place,
        size_bytes: bytes.len() as u64,
        named: true,
    };
    (file, input)
}

/// Totals, and (first line, last line, offset, text) of every record.
fn all(bytes: &[u8]) -> (FileTotals, Vec<(u64, u64, u64, String)>) {
    let options = ScanOptions {
        json: true,
        all: true,
        ..ScanOptions::default()
    };
    let (_file, input) = input(bytes);
    let mut kept = Kept::default();
    read(&input, &options, &mut kept).unwrap();
    let record = |alert: &Alert| {
        let source = alert.source.clone().unwrap();
        (
            source.first_line.unwrap(),
            source.last_line.unwrap(),
            source.offset,
            alert.text.clone().unwrap(),
        )
    };
    (kept.totals[0], kept.items.iter().map(record).collect())
}

#[test]
fn every_line_is_seen_once_in_order_across_many_chunks() {
    let mut log = String::new();
    for n in 1..=20_000 {
        log.push_str(&format!("2026-11-23 06:00:00 INFO message number {n} of many\n"));
    }
    log.push_str("2026-11-23 06:00:01 INFO no newline at the end");
    let (totals, records) = all(log.as_bytes());
    assert_eq!((totals.lines, totals.bytes), (20_001, log.len() as u64));
    assert_eq!(records.len(), 20_001);
    for (n, (first, last, offset, text)) in records.iter().enumerate() {
        assert_eq!((*first, *last), (n as u64 + 1, n as u64 + 1));
        assert!(log[*offset as usize..].starts_with(text.as_str()), "{offset}: {text}");
    }
}

#[test]
fn a_line_longer_than_a_chunk_is_cut_and_the_next_line_is_read_whole() {
    let log = format!("short\n{}\nafter\nERROR end\n", "y".repeat(3 * CHUNK_BYTES));
    let (totals, records) = all(log.as_bytes());
    assert_eq!(totals.bytes, log.len() as u64);
    let ends: Vec<(u64, &str)> = records
        .iter()
        .rev()
        .take(2)
        .map(|(.., offset, text)| (*offset, text.as_str()))
        .collect();
    let after = (log.find("after").unwrap() as u64, "after");
    assert_eq!(ends, [(log.find("ERROR").unwrap() as u64, "ERROR end"), after]);
    assert!(records.iter().all(|(.., text)| text.len() <= CHUNK_BYTES));
}

#[test]
fn chunks_are_the_same_whatever_the_reads() {
    struct Dribble<'a>(&'a [u8], usize);
    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }
    let utf16: Vec<u8> = "one\u{a0a}\ntwo\u{0a00}\n\nlast"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (newline, bytes) in [(Newline::Byte, &b"one\ntwo\n\nlast"[..]), (Newline::Utf16Le, &utf16)] {
        for size in 1..bytes.len() + 1 {
            let limits = Limits {
                newline,
                max_line_bytes: 1024,
            };
            let mut chunks = Chunks::new(Dribble(bytes, size), limits);
            let mut whole = Vec::new();
            while let Some(chunk) = chunks.read().unwrap() {
                assert_eq!(chunk.offset, whole.len() as u64);
                whole.extend_from_slice(&chunk.bytes);
                let end = newline.last_end(&chunk.bytes);
                assert!(
                    end == Some(chunk.bytes.len()) || whole.len() == bytes.len(),
                    "{size}: {:?}",
                    chunk.bytes
                );
                chunks.recycle(chunk);
            }
            assert_eq!(whole, bytes);
        }
    }
}

#[test]
fn who_no_longer_listens_ends_the_scan() {
    let options = ScanOptions {
        json: true,
        all: true,
        ..ScanOptions::default()
    };
    let (_file, input) = input(&b"line\n".repeat(1000));
    let mut kept = Kept {
        full_after: Some(3),
        ..Kept::default()
    };
    let end = read(&input, &options, &mut kept);
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(kept.items.len(), 3);
}

#[test]
fn a_file_without_text_is_left_alone_unless_it_was_named() {
    let (_file, mut input) = input(b"\x7fELF\x02\x01\x01\0\0\0\0");
    input.named = false;
    let mut kept = Kept::default();
    read(&input, &ScanOptions::default(), &mut kept).unwrap();
    input.named = true;
    read(&input, &ScanOptions::default(), &mut kept).unwrap();
    let totals: Vec<(bool, u64)> = kept
        .totals
        .iter()
        .map(|totals| (totals.skipped, totals.bytes))
        .collect();
    assert_eq!(totals, [(true, 0), (false, 11)]);
}

#[test]
fn runs_of_nuls_are_skipped_in_constant_memory_and_offsets_stay_true() {
    let mut log = b"before\n".to_vec();
    log.extend(std::iter::repeat_n(0, 5 * CHUNK_BYTES + 3));
    log.extend(b"after\nERROR end\n");
    let (totals, records) = all(&log);
    assert_eq!(totals.bytes, log.len() as u64);
    let texts: Vec<(u64, &str)> = records
        .iter()
        .map(|(.., offset, text)| (*offset, text.as_str()))
        .collect();
    let after = (log.len() - "after\nERROR end\n".len()) as u64;
    assert_eq!(texts, [(0, "before"), (after, "after"), (after + 6, "ERROR end")]);
}

#[test]
fn records_of_interleaved_streams_come_in_the_order_of_their_first_lines() {
    let cri = |stream: &str, text: &str| format!("2026-11-23T06:00:01.000000001Z {stream} F {text}\n");
    let log = [
        cri("stderr", "java.lang.IllegalStateException: pool exhausted"),
        cri("stdout", "one"),
        cri("stderr", "\tat com.shop.Pool.take(Pool.java:7)"),
        cri("stdout", "two"),
        cri("stdout", "three"),
        cri("stderr", "\tat com.shop.Cart.add(Cart.java:9)"),
        cri("stderr", "next"),
    ]
    .concat();
    let (_, records) = all(log.as_bytes());
    let first_lines: Vec<_> = records.iter().map(|record| record.0).collect();
    assert_eq!(first_lines, [1, 2, 4, 5, 7]);
}

/// What a few lines of some log look like. Five of them fit into the history that context is cut out of, wherever a chunk
/// ends.
fn lines(kind: usize, n: usize) -> String {
    let stamp = format!("2026-11-23 06:{:02}:{:02}", n / 60 % 60, n % 60);
    let word: String = (0..5)
        .map(|at| char::from(b'a' + (n * 7 + at * n) as u8 % 26))
        .collect();
    match kind {
        0..=4 => format!("{stamp} INFO took {n} ms\n"),
        5 => format!("{stamp} WARN queue {word} is full\n"),
        6 => format!(
            "{stamp} ERROR java.lang.IllegalStateException: pool {n}\n{}",
            "\tat com.shop.Pool.take(Pool.java:7)\n".repeat(n % 9)
        ),
        7 => format!("Nov 23 06:00:{:02} host sshd[{}]: Accepted {word}\n", n % 60, n % 3),
        8 => format!("Nov 23 06:00:{:02} host kernel: Oops {n}\n", n % 60),
        9 => format!("{{\"ts\":\"{stamp}\",\"level\":\"error\",\"msg\":\"{word} failed\"}}\n"),
        10 => format!("{word} without a stamp\n"),
        11 => format!("{stamp} INFO user {word} came {}\n", "x".repeat(n % 700)),
        12 => "Traceback (most recent call last):\n  File \"a.py\", line 7, in f\nValueError: no\n".to_owned(),
        13 => format!("{stamp} ERROR {}\n", "long ".repeat(n % 200)),
        _ => "\n".to_owned(),
    }
}

/// Everything that a scan of these files tells, by so many readers.
fn told(
    files: &[(tempfile::NamedTempFile, Input)],
    readers: usize,
    cut: Cut,
    novelty: bool,
) -> (Vec<String>, Vec<FileTotals>, Shown) {
    let inputs: Vec<Input> = files.iter().map(|(_, input)| input.clone()).collect();
    let mut plan = plan(&ScanOptions::default());
    plan.novelty.enabled = novelty;
    let mut across = Across::new(&[], Novelty::new(plan.novelty.clone()));
    let mut kept = Kept::default();
    scan(&inputs, &plan, readers, cut, &mut across, &mut kept).unwrap();
    let items = kept.items.iter().map(|alert| serde_json::to_string(alert).unwrap());
    (items.collect(), kept.totals, across.novelty.shown())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_found_depends_neither_on_the_number_of_readers_nor_on_parts(
        logs in prop::collection::vec(prop::collection::vec((0..15_usize, 0..3000_usize), 1..200), 1..4),
        part_bytes in 500..9000_u64,
        ahead_bytes in 0..4000_u64,
    ) {
        let files: Vec<_> = logs
            .iter()
            .map(|log| input(log.iter().map(|(kind, n)| lines(*kind, *n)).collect::<String>().as_bytes()))
            .collect();
        let cut = Cut { part_bytes, ahead_bytes };
        let one = told(&files, 1, cut, true);
        prop_assert_eq!(&told(&files, 4, cut, true), &one);
        // Times are looked for in the first lines of the first part.
        let sizes = |totals: &[FileTotals]| totals.iter().map(|t| (t.lines, t.bytes)).collect::<Vec<_>>();
        let (whole, parts) = (told(&files, 1, Cut::default(), false), told(&files, 3, cut, false));
        prop_assert_eq!(parts.0, whole.0);
        prop_assert_eq!(sizes(&parts.1), sizes(&whole.1));
    }
}
