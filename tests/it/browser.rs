//! The status page in a real browser (headless Chromium): what a person sees of health, sources, alerts, outboxes and the
//! last hour; what logs say only with the token, and then as text whatever it looks like.

use crate::program::{Home, Program, wait_until};
use crate::receiver::{Receiver, answer};
use crate::servers::skipped;
use std::process::Command;

/// As text in a log it is harmless; as part of a page it would change the title.
const HOSTILE: &str = "<img src=x onerror=document.title='owned'>";

/// The page's elements once its script has drawn, as Chromium has them.
fn dom(home: &Home, url: &str, window: &str) -> Option<String> {
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!("--user-data-dir={}", home.path("browser").display()))
        .arg(format!("--window-size={window}"))
        .args(["--virtual-time-budget=4000", "--dump-dom", url])
        .output()
        .ok()?;
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(dom.contains("</html>"), "{output:?}");
    Some(dom)
}

fn port(program: &Program) -> u16 {
    let told = || -> Option<u16> {
        let said = program.stderr();
        said.split("http://127.0.0.1:").nth(1)?.split('/').next()?.parse().ok()
    };
    wait_until("it tells where it listens", || told().is_some());
    told().expect("just told")
}

/// A service with a source that said something, an alerter that gets through and one that is refused.
fn started(home: &Home, refuses: &Receiver, metrics: &str) -> (Program, u16) {
    home.configure(&format!(
        "sources:\n  - {{name: pumps, paths: ['{{home}}/logs/*.log'], read_from: beginning}}\nmetrics: {{{metrics}}}\n\
         alerters:\n  - {{name: archive, file: {{path: '{{home}}/alerts'}}}}\n  - {{name: hook, webhook: {{url: '{}'}}}}\n",
        refuses.url("/")
    ));
    let log = format!("ERROR the pump {HOSTILE} has stopped\nINFO all is well\n");
    std::fs::write(home.path("logs/app.log"), log).expect("a log");
    let mut program = home.start(&["run"]);
    let port = port(&program);
    program.wait_until("the one is delivered, the other blocked", || {
        let status = home.output(&["status", "--json"]).stdout;
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap_or_default();
        status["alerters"][0]["delivered"].as_u64() >= Some(1) && status["alerters"][1]["blocked"].is_string()
    });
    (program, port)
}

#[test]
fn the_status_page_shows_how_it_goes_and_keeps_what_logs_say_to_the_token() {
    let home = Home::new();
    let refuses = Receiver::start(|_| answer(401));
    home.write_secret("token", "s3cret\n");
    let (program, port) = started(&home, &refuses, "listen: '127.0.0.1:0', token_file: '{home}/token'");
    // The password of the browser's dialog.
    let Some(desktop) = dom(&home, &format!("http://me:s3cret@127.0.0.1:{port}/"), "1280,900") else {
        return skipped("no Chromium");
    };
    for shown in [
        ">degraded<",
        "alerter hook is blocked",
        "<td>pumps</td>",
        "<td>archive</td>",
        "the first minute is not over yet",
        "the pump &lt;img src=x onerror=document.title='owned'&gt; has stopped",
        "×1 · firing",
    ] {
        assert!(desktop.contains(shown), "no `{shown}` in\n{desktop}");
    }
    assert!(
        !desktop.contains("<title>owned") && !desktop.contains("<img"),
        "{desktop}"
    );
    assert_eq!(program.stop().code(), Some(0));

    let home = Home::new();
    let (program, port) = started(&home, &refuses, "listen: '127.0.0.1:0'");
    let phone = dom(&home, &format!("http://127.0.0.1:{port}/"), "390,844").expect("it was there");
    assert!(
        phone.contains("<td>pumps</td>") && phone.contains("metrics.token_file"),
        "{phone}"
    );
    assert!(
        !phone.contains("the pump"),
        "no content of logs without a token: {phone}"
    );
    assert_eq!(program.stop().code(), Some(0));
}
