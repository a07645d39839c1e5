//! Java, Kotlin, Scala, Android: `Throwable.printStackTrace`, logback and log4j layouts, logcat.

use super::State::*;
use super::{BLANK, CLASS_AND_METHOD, Rule, TEXT, Table, held, sure, tells};
use crate::record::Language;

pub(super) const TABLE: Table = Table {
    language: Language::Java,
    announced: true,
    openings: &[
        "Exception in thread \"",
        "FATAL EXCEPTION: ",
        "Caused by: ",
        "\t",
        "Exception: ",
        "java.",
        "javax.",
        "# A fatal",
        "#",
        "Full thread dump",
    ],
    rules: RULES,
};

/// `at` and a place that only the JVM prints; logback adds ` ~[a.jar:1.0]` behind it.
const FRAME: &str = r"^\s*at (?:[\w.$\-@]+/+)*(?:[\w$.<>\-]*\.[\w$.<>\-]+(?:/0x[0-9a-f]+)?[\w$.<>\-]*|[\w$<>\-]+/0x[0-9a-f]+\.[\w$.<>\-]+)\s?\((?:[\w$.\- ]*\.(?:java|kt|kts|scala|groovy|clj|aj)(?::-?\d+)?|Native Method|Unknown Source(?::\d+)?|<generated>|SourceFile(?::\d+)?|<unknown>(?::\d+)?|[\w$]+\.dex|[\w:. /\-]+\.(?:jar|apk|so|odex)[^()]*|[\w.]{1,12}:\d+)\)(?: ?~?\[.*\])?$";
/// The same, abridged or hand-written.
const FRAME_LIKE: &str = r"^\s+at [A-Za-z_$][\w$.<>/\-@]*(?:\([^()]*\)|:\d+\)|\.\.\.)?$";
const MORE: &str = r"^\s*\.\.\. (?:\d+ (?:more|common frames omitted|lines matching|frames? (?:truncated|excluded|omitted))|.*frames.*omitted)";
const CAUSE: &str = r"^\s*(?:Caused by|Suppressed|Wrapped by|Caused By|\[CIRCULAR REFERENCE): ?\S";
const LOCK: &str = r"^\s+- (?:locked|waiting on|waiting to lock|parking to wait|eliminated|None)";

/// `a.b.SomeException: message`, also elastic's `SomeException[message]` and what stands before it.
const HEAD: &str = r"^\s*(?:[\w$]+\.)*[\w$]*(?:Exception|Error|Throwable|Failure|Interrupt|Death|Killed)\b(?:[\[:;]|$)";

const RULES: &[Rule] = &[
    sure(&[Begin], r#"^Exception in thread ""#, Message),
    sure(&[Begin], r"^FATAL EXCEPTION: ", Head),
    sure(&[Head], r"^(?:Process: |PID: )", Head),
    sure(&[Head], HEAD, Message),
    // The JVM itself died: a banner of `#` lines.
    tells(
        &[Begin],
        r"^# A fatal error has been detected by the Java Runtime",
        Block,
    ),
    held(&[Begin], r"^#$", Ruler),
    tells(
        &[Ruler],
        r"^# A fatal error has been detected by the Java Runtime",
        Block,
    ),
    tells(&[Ruler], r"^# There is insufficient memory for the Java Runtime", Block),
    sure(&[Block], r"^#", Block),
    // A dump of all threads is one record, not one for each thread.
    tells(&[Begin], r"^Full thread dump ", Properties),
    sure(
        &[Properties],
        r#"^"|^\s+\S|^(?:JNI global|Found |Java stack information|No deadlock|Threads class SMR|_java_thread_list|Locked ownable|Heap$|=+$|0x|})"#,
        Properties,
    ),
    held(&[Properties], BLANK, Properties),
    // java.util.logging writes two lines: stamp, class and method; level and message.
    held(&[Begin], CLASS_AND_METHOD, Source),
    held(&[Source], r"^(?:[A-Z]{4,7}|[\x80-\xff]{6,24}): ", Message),
    tells(&[Line, Head, Message, Frames, Cause, Gap], FRAME, Frames),
    sure(&[Named, Alarm, Head, Message, Frames, Cause], FRAME_LIKE, Frames),
    sure(&[Frames, Cause], MORE, Frames),
    sure(&[Frames], LOCK, Frames),
    sure(&[Frames], CAUSE, Cause),
    tells(&[Message], r"^\s*Caused by: (?:[\w$]+\.)+[\w$]+", Cause),
    sure(&[Begin], r"^Caused by: (?:[\w$]+\.)+[\w$]+(?:Exception|Error)\b", Cause),
    // Tomcat and Spring end their message with a blank line.
    held(&[Alarm], BLANK, Tail),
    held(&[Tail], HEAD, Message),
    // An exception under a log line, or one whose message has several lines.
    held(&[Begin, Alarm], HEAD, Message),
    held(&[Line], r"^\t(?:[\w$]+\.)+[\w$]*(?:Exception|Error)\b", Message),
    held(&[Alarm, Message, Cause], TEXT, Message),
    // Oracle ends its messages with a newline of their own.
    held(&[Message, Cause], BLANK, Gap),
];
