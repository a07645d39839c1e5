//! The command line: what was typed, by clap ([`Args`]), and what it means ([`Cli`]).
//!
//! Only commands that are built stand here. Values are parsed once, at this edge: whatever is wrong with them is a usage
//! error (exit status 2) that names the option. Completions and the man page come from the same description as the help.

mod commands;
mod model;
mod upkeep;

pub use commands::{Asked, ExplainOptions, Explained};

use crate::config::{self, RecordKeys, Span};
use crate::record::{self, Level};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Cli {
    pub config: Option<PathBuf>,
    /// `--set KEY=VALUE`, in order.
    pub set: Vec<String>,
    /// The level of our own log, where the command line says it.
    pub log_level: Option<log::LevelFilter>,
    pub command: Command,
}

#[derive(Debug, Clone)]
pub enum Command {
    Run(RunOptions),
    Scan(Box<ScanOptions>),
    Check(CheckOptions),
    Init(InitOptions),
    Status(StatusOptions),
    Ask(Box<Asked>),
    Explain(ExplainOptions),
    Model(crate::model::Options),
    State(crate::upkeep::Question),
    Completions(clap_complete::Shell),
    Man,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    /// Read what is new since the last run, one try per due delivery, return.
    pub once: bool,
    /// With `once`: the longest that all of it may take.
    pub deadline: Duration,
    /// Another instance that holds the state directory is no error.
    pub single_instance: bool,
}

/// What to scan, and how to tell of it.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Files, directories, globs, `-`; empty: standard input, unless that is a terminal.
    pub paths: Vec<String>,
    /// One object a line, in file order, instead of the text form.
    pub json: bool,
    /// Also writes one self-contained page there.
    pub html: Option<PathBuf>,
    /// With `json`: every record, not only the exceptional ones.
    pub all: bool,
    /// Over the keys of a source.
    pub format: Option<record::Format>,
    pub encodings: Option<Vec<&'static encoding_rs::Encoding>>,
    pub multiline: Option<record::Multiline>,
    pub timezone: Option<record::Zone>,
    pub min_severity: Option<Level>,
    /// Exit status 3 if anything told is at least so severe.
    pub fail_on: Option<Level>,
    /// Records from here on …
    pub since: Option<jiff::Timestamp>,
    /// … and before.
    pub until: Option<jiff::Timestamp>,
    /// So many threads read; none: as many as there are processors.
    pub threads: Option<usize>,
    /// No progress.
    pub quiet: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOptions {
    /// Also send a test alert to every alerter.
    pub send: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitOptions {
    /// Where the configuration goes; none: standard output.
    pub output: Option<PathBuf>,
    /// Not what to do next.
    pub quiet: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusOptions {
    pub view: StatusView,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusView {
    Text,
    /// One object.
    Json,
    /// One line with performance data, and Nagios' exit status.
    Nagios,
    /// Drawn anew until somebody has seen enough.
    Watch,
}

/// Follows log files, finds what is exceptional in them, and tells people and systems about it.
#[derive(Debug, Parser)]
#[command(name = "exception-log-collector", version, max_term_width = 100, after_help = EXAMPLES)]
struct Args {
    /// Configuration file [default: $ELC_CONFIG, else /etc/exception-log-collector/config.yaml]
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Set one value over file and environment, such as sources.app.read_from=beginning; can be repeated
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
    /// Tell more on standard error; -vv tells everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "quiet")]
    verbose: u8,
    /// Tell only errors, and show no progress
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Option<Typed>,
}

const EXAMPLES: &str = "\
Examples:
  exception-log-collector scan /var/log            what is exceptional in these logs? (needs no configuration)
  exception-log-collector init -o config.yaml      write a configuration for this host
  exception-log-collector check -c config.yaml     is this configuration right, and what does it mean?
  exception-log-collector run -c config.yaml       follow the configured logs and send alerts

Exit status: 0 done, 1 failed, 2 wrong usage, 3 scan --fail-on found something or status finds no service,
78 invalid configuration.";

#[derive(Debug, Subcommand)]
enum Typed {
    /// Follow the configured logs and send alerts: the service. The default command
    Run(TypedRun),
    /// Analyze files once and report what is exceptional in them; needs no configuration, writes no state
    Scan(TypedScan),
    /// Validate the configuration, run the rules' own tests, and say what it means
    Check(TypedCheck),
    /// Look at this host (its logs, their formats, how they rotate) and write a commented configuration
    Init(TypedInit),
    /// Show what a running service does: lag, alerts, outboxes, losses
    Status(TypedStatus),
    /// List what waits for each alerter, try it again, or take it out
    Outbox(commands::TypedOutbox),
    /// Check, back up or restore the state: positions, groups, what waits to be delivered
    State(upkeep::TypedState),
    /// Say what a model file is, or score lines with it
    Model(model::TypedModel),
    /// Tell nobody of certain alerts for a while; list and end such silences
    Silence(commands::TypedSilence),
    /// Say why somebody heard of something, or why not: each stage's word, every delivery try
    Explain(commands::TypedExplain),
    /// A person's word on a kind of message: normal or abnormal, for novelty and the model
    Verdict(commands::TypedVerdict),
    /// Write completions for a shell to standard output
    Completions { shell: clap_complete::Shell },
    /// Write the man page to standard output
    Man,
}

#[derive(Debug, Default, clap::Args)]
struct TypedRun {
    /// Read what is new since the last run, try each due delivery once, and exit: for cron
    #[arg(long)]
    once: bool,
    /// How long --once may take [default: 50s]
    #[arg(long, value_name = "TIME", requires = "once", value_parser = parse_span)]
    deadline: Option<Duration>,
    /// Exit at once, successfully, if another instance holds the state directory: for cron supervision
    #[arg(long)]
    single_instance: bool,
}

#[derive(Debug, Default, clap::Args)]
struct TypedScan {
    /// Files, directories or quoted globs, also .gz and .zst; - is standard input
    #[arg(value_name = "FILE|DIR|GLOB|-")]
    paths: Vec<String>,
    /// Print one JSON object a line, in the order of the files
    #[arg(long)]
    json: bool,
    /// Also write a report as one self-contained page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// With --json: print every record, not only the exceptional ones (how are my logs read?)
    #[arg(long, requires = "json")]
    all: bool,
    /// How lines are written: auto, plain, json, logfmt, syslog, cri, docker, or "{regex: '^(?P<level>\w+) (?P<message>.*)'}"
    #[arg(long)]
    format: Option<String>,
    /// Encoding, such as gb18030, or several tried per line: "[utf-8, gb18030]"
    #[arg(long)]
    encoding: Option<String>,
    /// Which lines belong together: auto (stack traces), off, or "{start: '^\d{4}-'}"
    #[arg(long)]
    multiline: Option<String>,
    /// Zone of time stamps without one: local, UTC, +08:00, Asia/Shanghai
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    timezone: Option<String>,
    /// Report only what is at least so severe
    #[arg(long, value_name = "LEVEL", value_parser = level(), ignore_case = true)]
    min_severity: Option<Level>,
    /// Exit with status 3 if anything is at least so severe
    #[arg(long, value_name = "LEVEL", value_parser = level(), ignore_case = true)]
    fail_on: Option<Level>,
    /// Only records from this time on: 2026-11-23T06:00:00Z, "2026-11-23 06:00", or 2h (ago)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only records before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Read with so many threads; what is found does not depend on it [default: one per processor]
    #[arg(short = 'j', long, value_name = "NUMBER")]
    threads: Option<usize>,
}

#[derive(Debug, Default, clap::Args)]
struct TypedCheck {
    /// Also send a test alert to every alerter, and say what came of each
    #[arg(long)]
    send: bool,
}

#[derive(Debug, Default, clap::Args)]
struct TypedInit {
    /// Write it there instead of standard output; an existing file is never overwritten
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Default, clap::Args)]
struct TypedStatus {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Show it live on this terminal, with the course of each source; q ends it
    #[arg(long, conflicts_with_all = ["json", "nagios"])]
    watch: bool,
    /// Print one line with performance data, and exit as Nagios expects: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    #[arg(long, conflicts_with = "json")]
    nagios: bool,
}

impl From<TypedStatus> for StatusOptions {
    fn from(typed: TypedStatus) -> Self {
        let view = match (typed.json, typed.nagios, typed.watch) {
            (true, _, _) => StatusView::Json,
            (_, true, _) => StatusView::Nagios,
            (_, _, true) => StatusView::Watch,
            (false, false, false) => StatusView::Text,
        };
        Self { view }
    }
}

/// Parses a command line, program name first. `now` is what `--since 2h` counts from.
///
/// # Errors
/// Also help and version: clap's errors know what to print, where, and with which exit status.
pub fn parse(args: impl IntoIterator<Item = OsString>, now: jiff::Timestamp) -> Result<Cli, clap::Error> {
    let matches = Args::command().try_get_matches_from(accept_one_dash(args))?;
    let args = Args::from_arg_matches(&matches)?;
    let quiet = args.quiet;
    let command = match args.command {
        None => Command::Run(TypedRun::default().into()),
        Some(Typed::Run(run)) => Command::Run(run.into()),
        Some(Typed::Scan(scan)) => Command::Scan(Box::new(scan_options(scan, quiet, now)?)),
        Some(Typed::Check(check)) => Command::Check(CheckOptions { send: check.send }),
        Some(Typed::Init(init)) => Command::Init(InitOptions {
            output: init.output,
            quiet,
        }),
        Some(Typed::Status(status)) => Command::Status(status.into()),
        Some(Typed::Outbox(outbox)) => Command::Ask(Box::new(outbox.into())),
        Some(Typed::State(state)) => Command::State(state.into()),
        Some(Typed::Model(model)) => Command::Model(model.into()),
        Some(Typed::Silence(silence)) => Command::Ask(Box::new(silence.asked(now))),
        Some(Typed::Explain(typed)) => Command::Explain(typed.into()),
        Some(Typed::Verdict(verdict)) => Command::Ask(Box::new(verdict.into())),
        Some(Typed::Completions { shell }) => Command::Completions(shell),
        Some(Typed::Man) => Command::Man,
    };
    let log_level = match (quiet, args.verbose) {
        (true, _) => Some(log::LevelFilter::Error),
        (false, 0) => None,
        (false, 1) => Some(log::LevelFilter::Debug),
        (false, _) => Some(log::LevelFilter::Trace),
    };
    Ok(Cli {
        config: args.config,
        set: args.set,
        log_level,
        command,
    })
}

/// Writes completions for `shell`.
pub fn write_completions(shell: clap_complete::Shell, out: &mut dyn Write) -> std::io::Result<()> {
    // The generator panics where its writer fails: a closed pipe must not.
    let mut script = Vec::new();
    let mut command = Args::command();
    clap_complete::generate(shell, &mut command, "exception-log-collector", &mut script);
    if shell == clap_complete::Shell::Bash {
        // clap_complete 4.6 takes the hyphens of our name for borders of subcommands in one half of its script and not in
        // the other, so that no option of a subcommand is ever found.
        let split = "exception__subcmd__log__subcmd__collector";
        script = String::from_utf8_lossy(&script)
            .replace(split, "exception__log__collector")
            .into_bytes();
    }
    out.write_all(&script)
}

/// Writes the man page: every command with its options on one page.
pub fn write_man(out: &mut dyn Write) -> std::io::Result<()> {
    let mut command = Args::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    let mut roff = Vec::new();
    page.render_title(&mut roff)?;
    page.render_name_section(&mut roff)?;
    page.render_synopsis_section(&mut roff)?;
    page.render_options_section(&mut roff)?;
    let is_no_help = |sub: &&clap::Command| sub.get_name() != "help";
    let mut subs = Vec::new();
    for sub in command.get_subcommands().filter(is_no_help) {
        subs.push(sub.clone().bin_name(sub.get_name()));
        let named = |own: &clap::Command| own.clone().bin_name(format!("{} {}", sub.get_name(), own.get_name()));
        subs.extend(sub.get_subcommands().filter(is_no_help).map(named));
    }
    for sub in subs {
        let name = sub.get_bin_name().unwrap_or_default().to_owned();
        // Global options stand above, once.
        let hidden = sub
            .get_arguments()
            .filter(|arg| command.get_arguments().any(|own| own.get_id() == arg.get_id()))
            .map(|arg| arg.get_id().clone());
        let hidden: Vec<clap::Id> = hidden.collect();
        let own = hidden
            .into_iter()
            .fold(sub.clone(), |sub, id| sub.mut_arg(id, |arg| arg.hide(true)));
        let section = clap_mangen::Man::new(own);
        let mut text = Vec::new();
        section.render_description_section(&mut text)?;
        section.render_options_section(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let heading = format!(".SH \"{}\"", name.to_uppercase());
        let text = text
            .replace(".SH DESCRIPTION", &heading)
            .replace(".SH OPTIONS", ".SS Options");
        roff.extend_from_slice(text.as_bytes());
    }
    page.render_extra_section(&mut roff)?;
    page.render_version_section(&mut roff)?;
    out.write_all(&roff)
}

/// `-config FILE`, with one dash, as start scripts of the program that this one succeeds have it.
fn accept_one_dash(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut only_operands = false;
    let accept = |arg: OsString| {
        only_operands |= arg == "--";
        match arg.to_str() {
            Some(text) if !only_operands && (text == "-config" || text.starts_with("-config=")) => {
                format!("-{text}").into()
            }
            Some(_) | None => arg,
        }
    };
    args.into_iter().map(accept).collect()
}

impl From<TypedRun> for RunOptions {
    fn from(run: TypedRun) -> Self {
        const DEADLINE_DEFAULT: Duration = Duration::from_secs(50);
        let deadline = run.deadline.unwrap_or(DEADLINE_DEFAULT);
        Self {
            once: run.once,
            deadline,
            single_instance: run.single_instance,
        }
    }
}

fn scan_options(scan: TypedScan, quiet: bool, now: jiff::Timestamp) -> Result<ScanOptions, clap::Error> {
    let keys = RecordKeys {
        format: scan.format.as_deref(),
        encoding: scan.encoding.as_deref(),
        multiline: scan.multiline.as_deref(),
        timezone: scan.timezone.as_deref(),
    };
    let record = config::record_options(&keys).map_err(|problems| usage(&problems.to_string()))?;
    let zone = match &record.zone {
        Some(record::Zone::Named(zone)) => zone.clone(),
        Some(record::Zone::Local) | None => jiff::tz::TimeZone::system(),
    };
    let time = |option: &str, text: Option<String>| -> Result<Option<jiff::Timestamp>, clap::Error> {
        let Some(text) = text else { return Ok(None) };
        match parse_time(&text, &zone, now) {
            Some(time) => Ok(Some(time)),
            None => Err(usage(&format!(
                "{option}: `{text}` is not a time\n    hint: write 2026-11-23T06:00:00Z, \"2026-11-23 06:00\", or 2h (ago)"
            ))),
        }
    };
    let (since, until) = (time("--since", scan.since)?, time("--until", scan.until)?);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(usage(&format!(
            "--since {since} is not before --until {until}: nothing lies between them"
        )));
    }
    Ok(ScanOptions {
        since,
        until,
        paths: scan.paths,
        json: scan.json,
        html: scan.html,
        all: scan.all,
        format: record.format,
        encodings: record.encodings,
        multiline: record.multiline,
        timezone: record.zone,
        min_severity: scan.min_severity,
        fail_on: scan.fail_on,
        // As ripgrep has it: 0 leaves the choice to us.
        threads: scan.threads.filter(|threads| *threads > 0),
        quiet,
    })
}

/// A usage error as clap shows its own.
fn usage(message: &str) -> clap::Error {
    Args::command().error(ErrorKind::ValueValidation, message)
}

/// A level, which help, errors and completions list.
fn level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(Level::ALL.map(Level::as_str)).try_map(|text| {
        let is_it = |level: &Level| level.as_str().eq_ignore_ascii_case(&text);
        Level::ALL.into_iter().find(is_it).ok_or("no level")
    })
}

fn parse_span(text: &str) -> Result<Duration, String> {
    Span::parse(text)
        .map(|span| span.0)
        .map_err(|error| error.replace('\n', "; "))
}

/// RFC 3339, a civil time or date in `zone`, or a duration before `now`.
fn parse_time(text: &str, zone: &jiff::tz::TimeZone, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time);
    }
    if let Ok(civil) = text.parse::<jiff::civil::DateTime>() {
        return zone.to_timestamp(civil).ok();
    }
    let ago = Span::parse(text.strip_suffix("ago").unwrap_or(text)).ok()?;
    now.checked_sub(ago.0).ok()
}

#[cfg(test)]
mod tests;
