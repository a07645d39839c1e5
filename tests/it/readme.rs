//! What the README tells people to type and to write works, and says the same in both languages.

use crate::program::Home;
use std::path::Path;

/// The code blocks of a page: (language, text).
fn blocks(page: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("the page is there");
    let fenced = text.split("\n```").skip(1).step_by(2);
    let halves = fenced.filter_map(|block| block.split_once('\n'));
    halves
        .map(|(language, block)| (language.to_owned(), block.to_owned()))
        .collect()
}

#[test]
fn both_readmes_give_the_same_commands_and_configuration() {
    let without_comments = |page: &str| -> Vec<_> {
        let uncommented = |line: &str| line.split(" # ").next().unwrap_or_default().trim_end().to_owned();
        let code = blocks(page).into_iter();
        code.map(|(language, block)| (language, block.lines().map(uncommented).collect::<Vec<_>>()))
            .collect()
    };
    let english = without_comments("README.md");
    assert!(english.len() >= 4, "found only {english:?}");
    assert_eq!(english, without_comments("README.zh-CN.md"));
}

#[test]
fn the_configurations_of_the_readme_are_valid() {
    let home = Home::new();
    home.write_secret("url", "http://127.0.0.1:1/\n");
    let url = home.path("url").display().to_string();
    let yaml: Vec<_> = blocks("README.md")
        .into_iter()
        .filter(|(language, _)| language == "yaml")
        .collect();
    assert_eq!(yaml.len(), 2, "a whole configuration and a piece of one");
    // The piece is shown on its own, and belongs to the whole.
    let whole = yaml[0].1.replace("/etc/exception-log-collector/url", &url);
    for text in [whole.clone(), format!("{whole}\n{}", yaml[1].1)] {
        home.configure(&text);
        let output = home.output(&["check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}\n{}\n{said}", output.status);
    }
}
