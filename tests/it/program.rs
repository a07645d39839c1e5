//! The real program as a child, in a folder of its own: configured, started, watched, stopped, killed.
//!
//! A [`Home`] holds configuration, logs and state of one test and vanishes with it. A [`Program`] that is dropped is
//! killed, so that a failing test leaves nobody behind. Every wait is for a condition and has a deadline.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes, on a machine that is busy with something else.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds; panics, naming `what`, when it does not before `DEADLINE`.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        wait_until_or(DEADLINE, condition),
        "waited {DEADLINE:?} in vain until {what}"
    );
}

/// Whether `condition` came to hold within `patience`.
pub fn wait_until_or(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if begin.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The program under test: `ELC_PROGRAM` where that is set (a release build), else the one that cargo built.
pub fn program_path() -> PathBuf {
    std::env::var_os("ELC_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_exception-log-collector").into(), PathBuf::from)
}

/// A folder with everything that one installation has: `config.yaml`, `logs/`, `state/`.
#[derive(Debug)]
pub struct Home {
    folder: tempfile::TempDir,
    starts: std::cell::Cell<u32>,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("elc-it-")
            .tempdir()
            .expect("a temporary folder");
        fs::create_dir(folder.path().join("logs")).expect("a new folder takes files");
        Self {
            folder,
            starts: 0.into(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes the configuration; `{home}` in it stands for the folder. `state_dir` is added.
    pub fn configure(&self, yaml: &str) {
        let home = self.folder.path().display().to_string();
        let text = format!("state_dir: {home}/state\n{}", yaml.replace("{home}", &home));
        fs::write(self.path("config.yaml"), text).expect("the configuration is written");
    }

    /// A file that nobody else can read: others are refused as secrets.
    pub fn write_secret(&self, name: &str, text: &str) {
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(self.path(name));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("a new file");
    }

    /// The program with this home's configuration and nothing of the caller's environment that it would listen to.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program_path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ELC_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .arg("-c")
            .arg(self.path("config.yaml"))
            .args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Runs to the end, and gives back all that it printed.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Starts it; what it prints goes to files of this home, one pair per start.
    pub fn start(&self, arguments: &[&str]) -> Program {
        self.start_with(arguments, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_with(&self, arguments: &[&str], variables: &[(&str, String)]) -> Program {
        let mut command = self.command(arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        self.spawn(command)
    }

    /// The same in namespaces of its own, after `before`, a line of shell that is executed there: `{home}` in it stands for
    /// the folder. None: this user may not.
    pub fn start_unshared(&self, arguments: &[&str], namespaces: &[&str], before: &str) -> Option<Program> {
        let may = |then: &str| {
            let mut command = Command::new("unshare");
            let before = before.replace("{home}", &self.folder.path().display().to_string());
            command.args(namespaces).args(["sh", "-c"]);
            command.arg(format!("{before} && {then}")).arg("sh");
            command
        };
        let tried = may("true").output();
        tried.is_ok_and(|tried| tried.status.success()).then(|| {
            let program = self.command(arguments);
            let mut command = may("exec \"$@\"");
            command.arg(program.get_program()).args(program.get_args());
            command.stdin(Stdio::null());
            self.spawn(command)
        })
    }

    fn spawn(&self, mut command: Command) -> Program {
        let start = self.starts.get() + 1;
        self.starts.set(start);
        let (stdout, stderr) = (
            self.path(&format!("stdout.{start}")),
            self.path(&format!("stderr.{start}")),
        );
        let child = command
            .stdout(File::create(&stdout).expect("a new file"))
            .stderr(File::create(&stderr).expect("a new file"))
            .spawn()
            .expect("the program starts");
        Program { child, stdout, stderr }
    }
}

/// A running program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Program {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        read_lossily(&self.stdout)
    }

    pub fn stderr(&self) -> String {
        read_lossily(&self.stderr)
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Waits until `condition` holds; at once a failure when the program ends before.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        let mut ended = None;
        wait_until(what, || {
            ended = self.child.try_wait().expect("our own child");
            condition() || ended.is_some()
        });
        if let Some(status) = ended
            && !condition()
        {
            panic!(
                "the program ended ({status}) before {what}; it said:\n{}",
                self.stderr()
            );
        }
    }

    /// Waits until it has said `text`.
    #[track_caller]
    pub fn wait_until_log(&mut self, text: &str) {
        let stderr = self.stderr.clone();
        self.wait_until(text, || read_lossily(&stderr).contains(text));
    }

    /// Sends it to a program that runs; one that has ended of itself is a failure.
    #[track_caller]
    pub fn signal(&mut self, signal: rustix::process::Signal) {
        if let Some(status) = self.child.try_wait().expect("our own child") {
            panic!(
                "the program has ended of itself ({status}); it said:\n{}",
                self.stderr()
            );
        }
        // Not waited for yet, so that its id cannot be somebody else's.
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a child that can be signalled");
    }

    /// SIGTERM, and the end that follows; with its status.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.stopped()
    }

    /// The end that follows a signal sent before; with its status.
    #[track_caller]
    pub fn stopped(mut self) -> ExitStatus {
        wait_until("it has ended after SIGTERM", || self.has_ended());
        self.child.wait().expect("our own child")
    }

    /// SIGKILL: nothing of it runs when this returns.
    pub fn kill(mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only where it has ended already, which is what is wanted here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn read_lossily(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
