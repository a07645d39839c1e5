//! Servers that tests need, and the word for a machine that lacks one.

/// Ends a test that cannot run on this machine: says why to a person, fails where CI is set.
///
/// ```text
/// let Some(broker) = broker() else { return skipped("no Kafka broker") };
/// ```
#[expect(dead_code, reason = "the first server that a machine may lack is a Kafka broker")]
#[track_caller]
pub fn skipped(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "CI is set, so nothing is skipped: {why}"
    );
    eprintln!("skipped: {why}");
}
