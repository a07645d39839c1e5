//! The Linux kernel: oopses, BUG, WARNING, KASAN and its kin, lockups, lockdep, the dump of the OOM killer.

use super::State::*;
use super::{BLANK, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Kernel,
    announced: false,
    openings: &[
        "BUG: ",
        "kernel BUG at ",
        "------------[ cut",
        "====",
        "WARNING: ",
        "Unable to handle kernel",
        "general protection fault",
        "divide error",
        "invalid opcode",
        "Oops",
        "Internal error: ",
        "INFO: task ",
        "INFO: rcu",
        "rcu: INFO",
        "watchdog: BUG",
        "NMI watchdog",
        "Kernel panic - ",
        "UBSAN: ",
        "Call Trace:",
        "Call trace:",
        "double fault",
        "stack segment",
        "page fault",
        "traps: PANIC",
        "Modules linked in",
        "------------",
        "Unhandled fault",
        "Unhandled prefetch",
        "int3: ",
        "CPU: ",
        "panic: ",
    ],
    rules: RULES,
};

const CUT: &str = r"^-+\[ cut here \]-+$";
const RULER: &str = r"^={20,}$|^-{20,}$";
const SANITIZER: &str = r"^BUG: K\w+SAN?: |^BUG: K(?:FENCE|ASAN|CSAN|MSAN|TSAN)";
/// Words at the head of a report.
const REPORT: &str = r"^(?:(?:watchdog: )?BUG: (?:soft lockup|unable to handle|kernel NULL|scheduling while atomic|sleeping function|Bad (?:page|rss)|workqueue lockup|spinlock|using |non-zero|stack guard|looking up|Dentry|memory leak|corrupted|MAX_)|kernel BUG at |Unable to handle kernel |general protection fault|[\w ]+: [0-9a-f]{4,16} \[#\d+\]|WARNING: CPU: \d+ PID: \d+ at |INFO: task .* blocked for more than|(?:rcu: )?INFO: rcu\w* (?:self-)?detected|NMI watchdog: (?:BUG|Watchdog detected)|Kernel panic - not syncing|Oops|Internal error: |UBSAN: |Unhandled (?:fault|prefetch)|double fault: )";
/// Lines that only stand inside a report.
const BODY: &str = r"^\s*(?:(?:<[\w#]+>|</[\w#]+>|\?|\[<[0-9a-f]+>\]|\[<0x[0-9a-f]+>\]) ?|[\w.$<>\[\]]+\+0x[0-9a-f]+/0x[0-9a-f]+|Modules linked in|CPU: \d+|Hardware name: |RIP|EIP|RSP|ESP|[ER][A-D0-9][A-Z0-9]\s?:|FS: |CS: |CR\d: |DR\d: |PKRU|Code: |Call [Tt]race|Stack:|Process |Dumping |Tainted|task(?:\.|: )|Task|Workqueue: |Comm|pc : |lr : |sp : |x\d+ ?: |pstate|r\d+ ?: |PC is at|LR is at|Flags: |Exception stack|(?:[RW]\w* |\w*access )(?:of size|at addr|to 0x)|read to|write to|Pointer tag|Allocated(?: by|:)|Freed(?: by|:)|Last potentially|Second to last|The buggy address|The buggy|which belongs|\w+ bytes? (?:inside|region)|page:|page dumped|flags: |raw: |head: |Memory state|[> ]?[0-9a-f]{12,16}: |>?[0-9a-f]{16} [0-9a-f]{16}|\^+$|PID = |\(stack is not|Kernel Offset|Showing all locks|irq event|hardirqs|softirqs|Object |Reported by|value changed|bpf prog|\d+ locks? held|#\d+: |Sending NMI|NMI backtrace|Kernel panic|Oops|invalid opcode|.*\[#\d+\])";
/// The second line of a report that began with `cut here` or a warning.
const REPORT_INSIDE: &str =
    r"^(?:kernel BUG at |invalid opcode|WARNING: CPU: |Oops: |Oops - |general protection fault|.*\[#\d+\])";
const OOM: &str = r"^.{0,64} invoked oom-killer: ";
const OOM_BODY: &str = r"^\s*(?:Mem-Info:|active_anon|\s*(?:in)?active_file|unevictable|slab_|mapped|kernel_misc|free:|Node \d|lowmem_reserve|DMA|DMA32|Normal|HighMem|\d+ (?:total )?pagecache|\d+ pages|Swap cache|Free swap|Total swap|Tasks state|\[ *(?:pid|\d+) *\]|oom-kill:|Out of memory: |Memory cgroup|Killed process|memory: usage|memory\+swap|kmem: |swap: usage|anon \d|Purging|Unreclaimable|oom_reaper|.*cpuset=|\d+ hugepages)";

const RULES: &[Rule] = &[
    held(&[Begin], RULER, Ruler),
    tells(&[Begin, Ruler], SANITIZER, Block),
    tells(&[Ruler], r"^(?:WARNING: |\[ BUG: |\[ INFO: |INFO: |UBSAN: )", Block),
    // Lockdep draws a line below its title.
    sure(&[Block], r"^-{20,}$", Block),
    sure(&[Block], RULER, End),
    tells(&[Begin], CUT, Frames),
    tells(&[Begin], REPORT, Frames),
    tells(&[Begin], r"^Call [Tt]race:$", Frames),
    tells(&[Begin], r"^CPU: \d+ PID: \d+ Comm: ", Frames),
    tells(&[Frames, Block], r"^-+\[ end (?:trace|Kernel panic)", End),
    sure(&[Frames], REPORT_INSIDE, Frames),
    sure(&[Frames], BODY, Frames),
    sure(&[Block], BODY, Block),
    // Other messages of the kernel come in between; they belong if the report goes on.
    held(&[Frames], TEXT, Frames),
    held(&[Frames], BLANK, Frames),
    held(&[Block], TEXT, Block),
    held(&[Block], BLANK, Block),
    // The BSDs; what Go's panics look like too until the second line.
    sure(&[Begin], r"^panic: ", Properties),
    tells(
        &[Properties],
        r"^(?:Stopped at |cpuid = |time = \d|KDB: |ddb\{|Starting stack trace|fatal (?:page fault|trap)|panic\(.*\) at |\S+\(.*\) at \S+\+0x|\S+ at \S+\+0x[0-9a-f]+$|end trace frame|End of stack trace|--- |\s+TID +PID |\*?\s*\d+ +\d+ +0|cpu\d+: )",
        Properties,
    ),
    tells(&[Begin], OOM, Tail),
    sure(&[Tail], OOM_BODY, Tail),
    sure(&[Tail], BODY, Tail),
];
