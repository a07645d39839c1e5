//! The command `check`: what is wrong with a configuration, or what it means; with `--send`, whether alerts arrive.

mod send;

pub use send::send;

use crate::config::{self, Loaded, Problems};
use std::io::Write;

/// Runs the rules' own tests and says what the configuration does.
///
/// # Errors
/// [`Problems`] where a rule's test fails; otherwise the output cannot be written.
pub fn check(loaded: &Loaded, out: &mut dyn Write) -> anyhow::Result<()> {
    let failing = loaded.failing_rule_tests();
    if !failing.is_empty() {
        return Err(Problems::new(failing).into());
    }
    for warning in &loaded.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    write!(out, "{}", config::describe(&loaded.settings))?;
    writeln!(out, "{}: valid", loaded.path.display())?;
    Ok(())
}
