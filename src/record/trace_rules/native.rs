//! C and C++: sanitizers, valgrind, glibc, `terminate called`, glog and abseil, V8, gdb, Android tombstones.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Cpp,
    announced: false,
    openings: &[
        "==",
        "AddressSanitizer:DEADLY",
        "MemorySanitizer:DEADLY",
        "ThreadSanitizer:DEADLY",
        "UndefinedBehaviorSanitizer:DEADLY",
        "LeakSanitizer",
        "HWAddressSanitizer",
        "WARNING: ThreadSanitizer",
        "ERROR: ",
        "*** ",
        "free(): ",
        "double free or",
        "malloc(): ",
        "malloc_consolidate",
        "munmap_chunk",
        "corrupted ",
        "realloc(): ",
        "terminate called",
        "libc++abi",
        "#",
        "Received signal",
        "Program received signal",
        "Thread 1 ",
        "Segmentation fault",
        "pure virtual method",
        "Process ",
        "Assertion failed: (",
    ],
    rules: RULES,
};

const RULER: &str = r"^={18,}$";
const SANITIZER: &str = r"^==\d+== ?(?:ERROR|WARNING): \w*Sanitizer";
/// Lines that stand inside of a sanitizer's report.
const SANITIZER_BODY: &str = r"^==\d+==|^\s+\S|^(?:READ|WRITE|SCARINESS|SUMMARY|NOTE: libFuzzer|Shadow byte|=>0x|Hint|HINT|\w+Sanitizer can not|DEDUP_TOKEN|Uninitialized value|Direct leak|Indirect leak|Thread T|0x[0-9a-f]+ is located|freed by|previously allocated|allocated by|Address 0x|MS: )";
const FRAME: &str = r"^\s*#\d+\s+(?:0x[0-9a-f]+|pc [0-9a-f]+|\S+ \(.*\) at )";
const MAP: &str = r"^[0-9a-f]{6,}-[0-9a-f]{6,} [rwxps\-]{4} ";

const RULES: &[Rule] = &[
    // Sanitizers. The report ends with its summary, its shadow bytes, or ABORTING.
    held(&[Begin], RULER, Ruler),
    tells(&[Begin], r"^\w+Sanitizer:DEADLYSIGNAL$", Head),
    sure(&[Head], RULER, Head),
    tells(&[Begin, Ruler, Head], SANITIZER, Block),
    // Behind the trace of a language it tells no more than that the fuzzer has seen it.
    held(&[Begin], r"^==\d+== ?ERROR: libFuzzer: ", Block),
    tells(&[Begin, Ruler], r"^(?:WARNING|ERROR): \w+Sanitizer: ", Caret),
    tells(&[Begin], r"^\S+:\d+:\d+: runtime error: .*", Tail),
    sure(&[Caret], RULER, End),
    sure(&[Block], r"^==\d+==\s*ABORTING", End),
    // ThreadSanitizer's ends with a ruler.
    sure(&[Caret], SANITIZER_BODY, Caret),
    held(&[Caret], BLANK, Caret),
    sure(&[Block], SANITIZER_BODY, Block),
    held(&[Block], BLANK, Block),
    held(&[Block], TEXT, Block),
    sure(&[Tail], FRAME, Tail),
    sure(&[Tail], r"^SUMMARY: \w+Sanitizer", End),
    sure(&[Tail], r"^\S+:\d+:\d+: note: |^\s+\^|^ [0-9a-f]{2} ", Tail),
    // valgrind
    tells(
        &[Begin],
        r"^==\d+== (?:Invalid |Conditional jump|Use of uninit|Process terminating|Syscall param|Mismatched free|Jump to the invalid|Argument '|Source and dest)",
        Properties,
    ),
    sure(&[Properties], r"^==\d+==  +\S", Properties),
    // glibc
    tells(&[Begin], r"^\*\*\* Error in `.*': .*: 0x[0-9a-f]+ \*\*\*$", Source),
    tells(
        &[Begin],
        r"^\*\*\* (?:stack smashing|buffer overflow) detected \*\*\*",
        Source,
    ),
    tells(
        &[Begin],
        r"^(?:free\(\): |double free or corruption|malloc\(\): |malloc_consolidate\(\)|munmap_chunk\(\)|corrupted (?:size|double)|realloc\(\): )",
        Source,
    ),
    sure(
        &[Source],
        r"^=+ (?:Backtrace|Memory map): =+$|^\S+?(?:\(.*\))? ?\[0x[0-9a-f]+\]$",
        Source,
    ),
    sure(&[Source], MAP, Source),
    sure(&[Source], r"^Aborted|^Abort trap", End),
    // The run-time library of C++
    tells(
        &[Begin],
        r"^(?:terminate called (?:after throwing|without an active)|libc\+\+abi(?:\.dylib)?: |pure virtual method called)",
        Message,
    ),
    // assert(3) of glibc and musl, of macOS
    tells(
        &[Begin],
        r"^(?:\S+: )?\S+:\d+: .*: Assertion [`'].*' failed\.$|^Assertion failed: .* \(\S+: .*: \d+\)$|^Assertion failed: \(.*\), function .*, file .*, line \d+\.$",
        Message,
    ),
    sure(&[Message], r"^\s+what\(\): |^terminate called", Message),
    sure(&[Message], r"^Aborted|^Abort trap", End),
    held(&[Message], TEXT, Cause),
    sure(&[Cause], r"^Aborted(?: \(core dumped\))?$", End),
    // glog, abseil, folly
    tells(&[Line, Frames], r"^\*\*\* Check failure stack trace: \*\*\*$", Frames),
    tells(
        &[Begin],
        r"^\*\*\* (?:Aborted at \d+|SIG[A-Z]+ (?:received|\(@))",
        Frames,
    ),
    sure(&[Frames], r"^\s+@\s+(?:0x)?[0-9a-f]+|^PC: @|^\*\*\* SIG|^\s+@ ", Frames),
    // V8 and Chromium
    held(&[Begin], r"^#$", Ruler),
    tells(&[Begin, Ruler], r"^# Fatal error in ", Gap),
    sure(
        &[Gap],
        r"^#|^==== (?:C|JS) stack trace ={5,}|^\s*\d+: \S|^\s+\S.*\[0x",
        Gap,
    ),
    held(&[Gap], BLANK, Gap),
    tells(&[Begin], r"^Received signal \d+ ", Function),
    sure(&[Line, Function], r"^\s*#\d+ 0x[0-9a-f]{6,} ", Function),
    sure(
        &[Function],
        r"^\s+\w{2,3}: [0-9a-f]{8,}|^\[end of stack trace\]|^Calling _exit",
        Function,
    ),
    // gdb
    tells(&[Begin], r"^(?:Program|Thread \d+ .*) received signal SIG", Cause),
    sure(&[Cause], r"^\[Switching to|^0x[0-9a-f]+ in |^#\d+ |^\d+\s", Cause),
    // systemd-coredump
    tells(
        &[Begin],
        r"^Process \d+ \(.*\) of user \d+ (?:dumped core|terminated abnormally)",
        Properties,
    ),
    // Android: debuggerd
    tells(&[Begin], r"^(?:\*\*\* ){5,}", Properties),
    sure(
        &[Properties],
        r"^(?:Build fingerprint|Revision|ABI|Timestamp|Process uptime|Cmdline|pid|uid|Abort message|backtrace|stack|memory near|memory map|Cause): ?|^signal \d+ \(|^\s+\S|^backtrace:|^\s*#\d+ pc ",
        Properties,
    ),
    held(&[Properties], BLANK, Properties),
    tells(&[Line], r"^\s*#\d\d pc [0-9a-f]{8,}", Function),
    sure(&[Function], r"^\s*#\d\d pc [0-9a-f]{8,}", Function),
    sure(&[Begin], r"^Segmentation fault(?: \(core dumped\))?$", End),
];
