//! What packages install: a configuration that is valid, a man page and completions that know every command, and `init`,
//! which proposes a valid configuration on whatever host this is.

use crate::program::Home;
use crate::servers::skipped;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_configuration_of_the_packages_is_valid() {
    let home = Home::new();
    let yaml = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/config.yaml"));
    let log = "/var/log/exception-log-collector/";
    let yaml = yaml.expect("packaging/config.yaml");
    assert!(yaml.contains(log), "{yaml}");
    home.configure(&yaml.replace(log, "{home}/logs/"));
    let output = home.output(&["check"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn init_writes_a_valid_configuration_of_this_host_and_says_what_is_next() {
    let home = Home::new();
    let output = home.output(&["init", "-o", "proposed.yaml"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), String::new()));
    assert!(
        stderr(&output).contains("check -c proposed.yaml"),
        "{}",
        stderr(&output)
    );
    let proposed = fs::read_to_string(home.path("proposed.yaml")).expect("it was written");
    home.configure(&proposed);
    let checked = home.output(&["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}{proposed}", stderr(&checked));
    let again = home.output(&["init", "-o", "proposed.yaml"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("is not overwritten"), "{}", stderr(&again));
}

#[test]
fn man_page_and_completions_know_the_commands() {
    let home = Home::new();
    let man = stdout(&home.output(&["man"]));
    assert!(man.contains(".TH exception-log-collector 1"), "{man}");
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&home.output(&["completions", shell]));
        for command in ["run", "scan", "check", "init", "status"] {
            assert!(script.contains(command), "{shell}: no {command}");
            assert!(man.contains(command), "man: no {command}");
        }
    }
}

/// What the shell completes of each line.
fn completed(shell: &str, script: &Path, lines: &[&str]) -> Option<Vec<String>> {
    // Bash has no way of its own to ask: its function is called as the line editor does.
    const BASH: &str = r#"
source "$0"
function=$(complete -p exception-log-collector | sed 's/.*-F \([^ ]*\).*/\1/')
for line; do
    read -ra COMP_WORDS <<<"$line"
    [[ $line != *' ' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    $function "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[*]}"
done"#;
    const FISH: &str = "source $argv[1]; for line in $argv[2..]; complete -C $line | string replace -r '\t.*' '' | string join ' '; end";
    let mut command = Command::new(shell);
    match shell {
        "bash" => command.args(["-c", BASH]).arg(script),
        "fish" => command.args(["-c", FISH]).arg(script),
        other => panic!("no way to ask {other}"),
    };
    let output = command.args(lines).output().ok()?;
    assert_eq!(stderr(&output), "", "{shell}");
    Some(stdout(&output).lines().map(str::to_owned).collect())
}

#[test]
fn shells_complete_commands_options_and_values() {
    let home = Home::new();
    for shell in ["bash", "fish"] {
        let script = home.path(shell);
        fs::write(&script, stdout(&home.output(&["completions", shell]))).expect("writing the completions");
        let cases = [
            ("exception-log-collector expl", "explain"),
            ("exception-log-collector scan --js", "--json"),
            ("exception-log-collector outbox re", "retry"),
            (
                "exception-log-collector scan --fail-on ",
                "trace debug info warn error fatal",
            ),
        ];
        let Some(completed) = completed(shell, &script, &cases.map(|(line, _)| line)) else {
            return skipped(&format!("no {shell}"));
        };
        for ((line, wanted), got) in cases.iter().zip(completed) {
            let mut got: Vec<&str> = got.split_whitespace().collect();
            let mut wanted: Vec<&str> = wanted.split_whitespace().collect();
            got.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(got, wanted, "{shell}: {line}");
        }
    }
}
