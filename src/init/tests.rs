//! What an administrator of a host gets: hosts are built in a directory.

use super::*;
use crate::config::{self, Request};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use tempfile::TempDir;

struct Host(TempDir);

impl Host {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        for (path, content) in files {
            host.write(path, content);
        }
        host
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    /// The configuration and the advice.
    fn init(&self) -> (String, String) {
        let (mut out, mut advice) = (Vec::new(), Vec::new());
        let options = InitOptions {
            output: None,
            quiet: false,
        };
        init(&options, self.0.path(), &mut out, &mut advice).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(advice).unwrap())
    }
}

/// Each source's name with its paths, as the program understands what was written.
fn sources(yaml: &str) -> Vec<(String, Vec<String>)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, yaml).unwrap();
    let request = Request {
        path: Some(path),
        ..Request::default()
    };
    let loaded = config::load(&request).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    assert!(loaded.warnings.is_empty(), "{:?}\n{yaml}", loaded.warnings);
    let source = |source: &config::Source| (source.collector.name.to_string(), source.collector.paths.clone());
    loaded.settings.sources.iter().map(source).collect()
}

fn source(name: &str, paths: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), paths.iter().map(|path| (*path).to_owned()).collect())
}

#[test]
fn a_host_gets_a_valid_configuration_of_its_logs() {
    let host = Host::new(&[
        ("/var/log/syslog", b"Nov 23 06:00:01 gw cron[7]: (root) CMD (true)\n"),
        ("/var/log/auth.log", b"Nov 23 06:00:01 gw sshd[7]: Accepted\n"),
        ("/var/log/auth.log.1", b"old\n"),
        ("/var/log/wtmp", b"\0\0\0"),
        ("/var/log/worker.log", b"2026-11-23 06:00:01 INFO started\n"),
        ("/var/log/nginx/error.log", b"2026/11/23 06:00:01 [error] 7#7: boom\n"),
        (
            "/var/log/nginx/access.log",
            b"1.2.3.4 - - [23/Nov/2026:06:00:01 +0000] \"GET / HTTP/1.1\" 200 1\n",
        ),
        ("/var/log/nginx/error.log.2.gz", b"\x1f\x8b"),
        (
            "/opt/shop/logs/shop-2026-11-22.log",
            b"{\"level\":\"info\",\"msg\":\"x\"}\n",
        ),
        (
            "/opt/shop/logs/shop-2026-11-23.log",
            b"{\"level\":\"info\",\"msg\":\"x\"}\n",
        ),
        ("/var/log/journal/ab/system.journal", b"LPKSHHRH\0"),
    ]);
    let (yaml, advice) = host.init();
    let mut found = sources(&yaml);
    found.sort();
    assert_eq!(
        found,
        [
            source("nginx", &["/var/log/nginx/*.log"]),
            source("shop", &["/opt/shop/logs/*.log"]),
            source("system", &["/var/log/auth.log", "/var/log/syslog"]),
            source("worker", &["/var/log/worker.log"]),
        ],
        "{yaml}"
    );
    assert!(yaml.contains("exclude: ['*access*']"), "{yaml}");
    assert!(yaml.contains("#   /var/log/nginx/access.log"), "{yaml}");
    assert!(advice.contains("found 6 logs"), "{advice}");
}

#[test]
fn a_host_without_logs_gets_a_valid_configuration_too() {
    let (yaml, advice) = Host::new(&[("/etc/openwrt_release", b"")]).init();
    assert_eq!(sources(&yaml), [source("app", &["/var/log/*.log"])]);
    assert!(advice.contains("uci set system"), "{advice}");
}

#[test]
fn copytruncate_and_logs_that_the_service_may_not_read_are_warned_of() {
    let host = Host::new(&[
        (
            "/etc/logrotate.d/app",
            b"/var/log/app/*.log {\n daily\n copytruncate\n}\n",
        ),
        ("/var/log/app/app.log", b"INFO x\n"),
        ("/var/log/app/secret.log", b"INFO x\n"),
    ]);
    fs::set_permissions(host.path("/var/log/app/secret.log"), fs::Permissions::from_mode(0o600)).unwrap();
    let (yaml, advice) = host.init();
    assert!(
        yaml.contains("# logrotate: daily, copytruncate (/etc/logrotate.d/app)"),
        "{yaml}"
    );
    assert!(advice.contains("copytruncate loses lines"), "{advice}");
    assert!(
        advice.contains("/var/log/app/secret.log: only its owner may read it"),
        "{advice}"
    );
    assert!(!advice.contains("/var/log/app/app.log: only"), "{advice}");
    assert_eq!(sources(&yaml), [source("app", &["/var/log/app/*.log"])]);
}

#[test]
fn no_name_on_the_host_breaks_the_configuration() {
    let host = Host::new(&[
        ("/var/log/it's ${HOME} [x].log", b"INFO x\n"),
        ("/var/log/two\n- name: forged.log", b"INFO x\n"),
        ("/var/log/日志/应用.log", b"INFO x\n"),
        ("/var/log/日志 2/应用.log", b"INFO x\n"),
        ("/var/log/a/x.log", b"INFO x\n"),
        ("/opt/a/logs/x.log", b"INFO x\n"),
    ]);
    symlink("/dev/zero", host.path("/var/log/endless.log")).unwrap();
    symlink(host.path("/var/log/a/x.log"), host.path("/var/log/again.log")).unwrap();
    let (yaml, _) = host.init();
    let found = sources(&yaml);
    let paths: Vec<&str> = found.iter().flat_map(|(_, paths)| paths).map(String::as_str).collect();
    assert!(paths.contains(&"/var/log/it's $[{]HOME[}] [[]x[]].log"), "{paths:?}");
    assert!(paths.contains(&"/var/log/two\n- name: forged.log"), "{paths:?}");
    assert!(paths.contains(&"/var/log/日志/*.log"), "{paths:?}");
    assert!(!yaml.contains("endless"), "{yaml}");
    assert_eq!(found.len(), 6, "{yaml}");
}

#[test]
fn dates_in_names_become_patterns_and_rotated_files_are_left() {
    let host = Host::new(&[
        ("/var/log/job_20261122_3.log", b"INFO x\n"),
        ("/var/log/job_20261123_3.log", b"INFO x\n"),
        ("/var/log/job2.log", b"INFO x\n"),
        ("/var/log/job2.log-20261101", b"INFO x\n"),
        ("/var/log/job2.log.2026-11-01", b"INFO x\n"),
    ]);
    let (yaml, _) = host.init();
    let paths: Vec<String> = sources(&yaml).into_iter().flat_map(|(_, paths)| paths).collect();
    assert_eq!(paths, ["/var/log/job2.log", "/var/log/job_*.log"], "{yaml}");
}

#[test]
fn containers_are_found_where_they_log() {
    let host = Host::new(&[(
        "/var/log/pods/ns_web_1/web/0.log",
        b"2026-11-23T06:00:01.000000000Z stdout F hello\n",
    )]);
    fs::create_dir_all(host.path("/var/log/containers")).unwrap();
    symlink(
        host.path("/var/log/pods/ns_web_1/web/0.log"),
        host.path("/var/log/containers/web.log"),
    )
    .unwrap();
    let (yaml, _) = host.init();
    assert_eq!(sources(&yaml), [source("kubernetes", &["/var/log/pods/*/*/*.log"])]);
}

#[test]
fn a_log_full_of_warnings_comes_with_a_hint() {
    let mut lines = "2026-11-23 06:00:01 INFO fine\n".repeat(60);
    lines.push_str(&"2026-11-23 06:00:01 WARN again\n".repeat(40));
    let host = Host::new(&[
        ("/var/log/app/app.log", lines.as_bytes()),
        ("/var/log/app/b.log", b"caf\xe9\n"),
    ]);
    let (yaml, _) = host.init();
    assert!(yaml.contains("# alert_at: error"), "{yaml}");
    assert!(yaml.contains("# encoding: [utf-8, gb18030]"), "{yaml}");
}

#[test]
fn a_file_is_written_once_and_never_overwritten() {
    let host = Host::new(&[]);
    let path = host.path("/etc/exception-log-collector/config.yaml");
    let options = InitOptions {
        output: Some(path.clone()),
        quiet: false,
    };
    let root = host.0.path();
    let (mut out, mut advice) = (Vec::new(), Vec::new());
    init(&options, root, &mut out, &mut advice).unwrap();
    assert!(out.is_empty());
    let advice = String::from_utf8(advice).unwrap();
    assert!(advice.contains(&format!("check -c {}", path.display())), "{advice}");
    fs::write(&path, "mine").unwrap();
    let error = init(&options, root, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn where_a_package_made_our_directory_alerts_go_there_and_are_not_followed() {
    let host = Host::new(&[("/var/log/exception-log-collector/alerts.log", b"ERROR\n")]);
    let (yaml, advice) = host.init();
    assert!(
        yaml.contains("file: {path: /var/log/exception-log-collector/alerts.log"),
        "{yaml}"
    );
    assert!(advice.contains("found 0 logs"), "{advice}");
}
