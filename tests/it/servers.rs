//! Servers that tests need, and the word for a machine that lacks one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Ends a test that cannot run on this machine: says why to a person, fails where CI is set.
///
/// ```text
/// let Some(broker) = broker() else { return skipped("no Kafka broker") };
/// ```
#[track_caller]
pub fn skipped(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "CI is set, so nothing is skipped: {why}"
    );
    eprintln!("skipped: {why}");
}

/// What `scripts/test` installs below it.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools");

/// Python with the packages of `tests/servers/requirements.txt`; none: not installed here.
pub fn venv_python() -> Option<PathBuf> {
    Some(Path::new(TOOLS).join("venv/bin/python")).filter(|python| python.exists())
}

/// An authority of the test's own: `ca.pem`, `server.pem` and `server.key` for localhost and 127.0.0.1, `client.pem` and
/// `client.key`. Made by OpenSSL.
#[derive(Debug)]
pub struct Certificates(tempfile::TempDir);

impl Certificates {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = "set -e
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca \
                -keyout ca.key -out ca.pem
            for name in server client; do
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
                printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > ext
                openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $name.pem
            done";
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.path())
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
