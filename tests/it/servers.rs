//! Servers that tests need, and the word for a machine that lacks one.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Ends a test that cannot run on this machine: says why to a person, fails where CI is set.
///
/// ```text
/// let Some(python) = python() else { return skipped("no Python with aiosmtpd") };
/// ```
#[expect(dead_code, reason = "no test of a server that a machine may lack yet")]
#[track_caller]
pub fn skipped(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "CI is set, so nothing is skipped: {why}"
    );
    // Past the harness, which would keep it to itself: the test passes.
    writeln!(
        std::io::stderr(),
        "skipped: {why} (`CI=1 scripts/test tools` installs it)"
    )
    .expect("stderr is open");
}

/// A Python with the packages of `tests/servers/requirements.txt`.
#[expect(dead_code, reason = "no test that needs it yet")]
pub fn python() -> Option<PathBuf> {
    installed("venv/bin/python")
}

/// The folder of jars of a Kafka broker; `java -cp 'FOLDER/*' kafka.Kafka server.properties` runs it.
#[expect(dead_code, reason = "no test that needs it yet")]
pub fn kafka() -> Option<PathBuf> {
    installed("kafka")
}

fn installed(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/test-tools")
        .join(name);
    path.exists().then_some(path)
}
