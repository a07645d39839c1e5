//! Servers that tests need, and the word for a machine that lacks one.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Ends a test that cannot run on this machine: says why to a person, fails where CI is set.
///
/// ```text
/// let Some(python) = venv_python() else { return skipped("no Python with aiosmtpd") };
/// ```
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
pub fn venv_python() -> Option<PathBuf> {
    installed("venv/bin/python")
}

/// The folder of jars of a Kafka broker; `java -cp 'FOLDER/*' kafka.Kafka server.properties` runs it.
pub fn kafka() -> Option<PathBuf> {
    installed("kafka")
}

/// The same of the last version before 4.
pub fn kafka_3() -> Option<PathBuf> {
    installed("kafka-3.9")
}

fn installed(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/test-tools")
        .join(name);
    path.exists().then_some(path)
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

    /// A server's certificate that is valid from the one day to the other (`YYMMDDHHMMSSZ`): `NAME.pem`, `server.key`.
    pub fn add(&self, name: &str, from: &str, to: &str) {
        let script = "set -e
            mkdir issued; touch issued/index; echo 01 > issued/serial
            printf '[ca]\ndefault_ca=d\n[d]\ndatabase=issued/index\nserial=issued/serial\nnew_certs_dir=issued\ndefault_md=sha256\n\
                policy=p\n[p]\ncommonName=supplied\n' > ca.cnf
            openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -extfile ext -in server.csr \
                -startdate $1 -enddate $2 -out $0.pem
            rm -r issued";
        let output = Command::new("sh")
            .args(["-c", script, name, from, to])
            .current_dir(self.0.path())
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
