//! One-shot: the core that `run` drives, driven inline over files that lie there. Needs no configuration, writes no state.
//!
//! Results go to `out` as they are found (`--json`) or grouped at the end (text, `--html`); what could not be read goes
//! to `err`, and the rest is scanned. Memory does not grow with what is read: `drive` holds one chunk and the open
//! records of one file, `report` is bounded. A closed pipe ends the scan and is not an error.

pub mod across;
pub mod chunks;
mod crew;
pub mod drive;
pub mod html;
pub mod input;
pub mod json;
pub mod novelty;
pub mod plan;
pub mod progress;
pub mod reading;
pub mod report;
pub mod terminal;
pub mod text;
pub mod unit;
pub mod visit;

pub use crate::cli::ScanOptions;
pub use terminal::Terminal;

use crate::alert::Alert;
use crate::config;
use crate::record::Level;
use across::Across;
use anyhow::Context;
use drive::FileTotals;
use input::{Input, InputPlace, Trouble};
use novelty::{Novelty, Shown};
use plan::Plan;
use progress::Progress;
use report::{Report, Totals};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;
use unit::Cut;
use visit::Item;

/// Results are written in pieces of this size.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// So many files that could not be read are named; the rest is counted.
const TROUBLES_MAX: usize = 20;

/// What came of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    /// Exceptional records told.
    pub exceptional: u64,
    /// `fail_on` was reached.
    pub fail_on_reached: bool,
    /// Something that was named could not be read, or nothing could.
    pub incomplete: bool,
}

impl Outcome {
    /// What was found outweighs what could not be read: 3 before 1.
    pub const fn exit_status(self) -> u8 {
        match (self.fail_on_reached, self.incomplete) {
            (true, _) => 3,
            (false, true) => 1,
            (false, false) => 0,
        }
    }
}

/// Scans, and tells of it.
///
/// # Errors
/// Nothing to read was named at a terminal; results could not be written (but for a closed pipe).
pub fn run(
    options: &ScanOptions,
    settings: &config::Settings,
    out: &mut dyn Write,
    err: &mut dyn Write,
    terminal: Terminal,
) -> anyhow::Result<Outcome> {
    let standard_input = ["-".to_owned()];
    let paths = match options.paths.as_slice() {
        [] if terminal.stdin_is_tty => {
            anyhow::bail!("nothing to scan: name files, directories or globs (scan /var/log), or pipe a log in")
        }
        [] => &standard_input[..],
        paths => paths,
    };
    // Created before the work, so that a wrong path is told at once.
    let page = options.html.as_deref().map(create_page).transpose()?;
    let found = input::find(paths, own_files(page.as_ref()));
    let draws = terminal.stderr_is_tty && !options.quiet && !(options.json && terminal.stdout_is_tty);
    let plan = Plan::new(options, settings, jiff::Timestamp::now())?;
    let mut scan = Scan {
        options,
        progress: Progress::new(
            draws,
            terminal.width,
            found.inputs.iter().map(|input| input.size_bytes).sum(),
        ),
        out: BufWriter::with_capacity(WRITE_BUFFER_BYTES, out),
        err,
        report: Report::default(),
        shown: Shown::default(),
        totals: Totals::default(),
        told: 0,
        worst: None,
        streaming: false,
        troubles: found.troubles,
    };
    let written = scan.read_all(&plan, &found.inputs);
    let written = written.and_then(|()| scan.tell(&settings.alert.zone, terminal, page));
    let outcome = Outcome {
        exceptional: scan.told,
        fail_on_reached: options.fail_on.is_some_and(|level| scan.worst >= Some(level)),
        incomplete: scan.troubles.iter().any(|trouble| trouble.named)
            || scan.totals.files == 0 && !scan.troubles.is_empty(),
    };
    let told = written.and_then(|()| scan.tell_troubles());
    match told {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("writing the results"),
        Ok(()) | Err(_) => Ok(outcome),
    }
}

/// Creates the page, or writes over an earlier one: never over anything else, such as the log that is to be scanned.
fn create_page(path: &Path) -> anyhow::Result<File> {
    let creating = || format!("creating {}", path.display());
    if path
        .metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
    {
        let mut head = Vec::new();
        let before = File::open(path).with_context(creating)?;
        before
            .take(html::BEGINNING.len() as u64)
            .read_to_end(&mut head)
            .with_context(creating)?;
        anyhow::ensure!(
            head == html::BEGINNING,
            "{}: exists and is no page that scan wrote; nothing is written over it: choose another name for --html",
            path.display()
        );
    }
    File::create(path).with_context(creating)
}

/// Device and inode of the files that we write while we read.
fn own_files(page: Option<&File>) -> Vec<(u64, u64)> {
    let output = rustix::fs::fstat(io::stdout()).ok();
    let output = output.filter(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file());
    let page = page.and_then(|file| file.metadata().ok());
    let output = output.map(|stat| (stat.st_dev, stat.st_ino));
    output
        .into_iter()
        .chain(page.map(|metadata| (metadata.dev(), metadata.ino())))
        .collect()
}

/// One scan under way.
struct Scan<'a> {
    options: &'a ScanOptions,
    progress: Progress,
    out: BufWriter<&'a mut dyn Write>,
    err: &'a mut dyn Write,
    report: Report,
    shown: Shown,
    totals: Totals,
    /// Exceptional records.
    told: u64,
    worst: Option<Level>,
    /// Standard input is being read: somebody may wait for each line.
    streaming: bool,
    /// What could not be read.
    troubles: Vec<Trouble>,
}

impl Scan<'_> {
    /// Reads all inputs. Files that cannot be read become troubles.
    fn read_all(&mut self, plan: &Plan, inputs: &[Input]) -> io::Result<()> {
        let started = Instant::now();
        let mut across = Across::new(&plan.rules, Novelty::new(plan.novelty.clone()));
        let readers = self.options.threads.unwrap_or_else(crew::readers);
        drive::scan(inputs, plan, readers, Cut::default(), &mut across, self)?;
        self.shown = across.novelty.shown();
        for alert in across.absences(plan) {
            self.note(alert.severity);
            if self.reports() {
                self.report.add(&alert);
            }
            if self.options.json {
                self.write(&alert)?;
            }
        }
        self.totals.seconds = started.elapsed().as_secs_f64();
        self.progress.clear(self.err)
    }

    /// One more is exceptional.
    fn note(&mut self, severity: Level) {
        self.told += 1;
        self.worst = self.worst.max(Some(severity));
    }

    /// Something is told at the end.
    fn reports(&self) -> bool {
        !self.options.json || self.options.html.is_some()
    }

    fn write(&mut self, alert: &Alert) -> io::Result<()> {
        if self.options.all {
            json::write_marked(&mut self.out, alert)
        } else {
            json::write(&mut self.out, alert)
        }
    }

    /// What is told at the end: the text form and the page.
    fn tell(&mut self, zone: &jiff::tz::TimeZone, terminal: Terminal, page: Option<File>) -> io::Result<()> {
        let Some((file, path)) = page.zip(self.options.html.as_ref()) else {
            if !self.options.json {
                text::write(&mut self.out, &self.report, &self.totals, zone, terminal)?;
                novelty::write(&mut self.out, &self.shown, zone, terminal)?;
            }
            return self.out.flush();
        };
        if !self.options.json {
            text::head(&mut self.out, &self.report, &self.totals, zone, terminal)?;
        }
        let mut file = BufWriter::new(file);
        html::write(&mut file, &mut self.report, &self.shown, &self.totals, zone)?;
        file.flush()?;
        if !self.options.json {
            writeln!(
                self.out,
                "The report is in {}",
                terminal::visible(&path.to_string_lossy())
            )?;
        }
        self.out.flush()
    }

    fn tell_troubles(&mut self) -> io::Result<()> {
        let troubles = &self.troubles;
        for trouble in troubles.iter().take(TROUBLES_MAX) {
            writeln!(self.err, "{}: {}", trouble.path, trouble.what)?;
        }
        if troubles.len() > TROUBLES_MAX {
            writeln!(
                self.err,
                "… and {} more that could not be read",
                troubles.len() - TROUBLES_MAX
            )?;
        }
        if self.totals.skipped_files > 0 && !self.options.quiet {
            let files = terminal::counted(self.totals.skipped_files, "file", "files");
            writeln!(
                self.err,
                "{files} without text skipped (name one to read it all the same)"
            )?;
        }
        Ok(())
    }
}

impl drive::Sink for Scan<'_> {
    fn begins(&mut self, input: &Input) {
        self.streaming = input.place == InputPlace::Stdin;
    }

    fn ended(&mut self, input: &Input, read: io::Result<FileTotals>) {
        match read {
            Ok(totals) if totals.skipped => self.totals.skipped_files += 1,
            Ok(totals) => self.totals.add(&totals),
            Err(error) => self.troubles.push(input.trouble(&error)),
        }
        self.progress.file_done(input.size_bytes);
    }

    fn take(&mut self, item: Item<'_>) -> io::Result<()> {
        if !item.exceptional {
            return json::write_unremarkable(&mut self.out, &item.into_alert());
        }
        self.note(item.severity());
        if self.reports() {
            self.report.count(&item.sighting(), || Box::new(item.compose()));
        }
        match self.options.json {
            true => self.write(&item.into_alert()),
            false => Ok(()),
        }
    }

    fn chunk_done(&mut self, raw_bytes: u64) -> io::Result<()> {
        if self.streaming && self.options.json {
            self.out.flush()?;
        }
        self.progress.update(self.err, raw_bytes)
    }
}
