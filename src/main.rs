//! Parses the command line, runs the command, prints an error once, and maps the outcome to an exit status.
//!
//! Exit status: 0 done · 1 failed · 2 wrong usage · 3 `scan --fail-on` found something, `status` finds no service · 78
//! invalid configuration.

use exception_log_collector::cli::{self, Cli, Command};
use exception_log_collector::config::{self, Loaded, Problems, Request};
use exception_log_collector::{ask, check, explain, init, model, own_log, run, scan, status, upkeep};
use std::io::{ErrorKind, Write, stderr, stdin, stdout};
use std::process::ExitCode;

const FAILED: u8 = 1;
const INVALID_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os(), jiff::Timestamp::now()) {
        Ok(cli) => cli,
        Err(usage) => {
            // Help, version or a usage error: clap knows where to print it. A closed pipe is not an error.
            usage.print().ok();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(FAILED));
        }
    };
    let outcome = command(&cli);
    log::logger().flush();
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if stderr is closed too.
            match error.downcast_ref::<Problems>() {
                Some(problems) => {
                    writeln!(stderr(), "{problems}").ok();
                    ExitCode::from(INVALID_CONFIGURATION)
                }
                None => {
                    writeln!(stderr(), "error: {error:#}").ok();
                    ExitCode::from(FAILED)
                }
            }
        }
    }
}

fn command(cli: &Cli) -> anyhow::Result<u8> {
    match &cli.command {
        Command::Run(options) => {
            let loaded = load(cli)?;
            let mut log = loaded.settings.log.clone();
            log.settle_level(cli.log_level, options.once);
            own_log::start(&log)?;
            loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
            let reload = cli.clone();
            run::run(loaded.settings, options, Box::new(move || load(&reload))).map(|_| 0)
        }
        Command::Scan(options) => {
            let settings = if cli.config.is_some() || !cli.set.is_empty() {
                load(cli)?.settings
            } else {
                config::defaults()
            };
            let terminal = scan::Terminal::detect();
            scan::run(options, &settings, &mut stdout().lock(), &mut stderr().lock(), terminal)
                .map(scan::Outcome::exit_status)
        }
        Command::Check(options) => {
            let loaded = load(cli)?;
            let out = &mut stdout().lock();
            check::check(&loaded, out)?;
            if options.send {
                check::send(&loaded.settings, out)?;
            }
            Ok(0)
        }
        Command::Init(options) => init::run(options, &mut stdout().lock(), &mut stderr().lock()).map(|()| 0),
        Command::Status(options) => status::run(load(cli), options, &mut stdout().lock()),
        Command::Ask(asked) => ask::run(&load(cli)?.settings, asked, &mut stdout().lock()).map(|()| 0),
        Command::Model(options) => model::run(options, &mut stdin().lock(), &mut stdout().lock()).map(|()| 0),
        Command::Explain(options) => explain::run(&load(cli)?.settings, options, &mut stdout().lock()).map(|()| 0),
        Command::State(question) => upkeep::run(&load(cli)?.settings, question, &mut stdout().lock()),
        Command::Completions(shell) => Ok(cli::write_completions(*shell, &mut stdout().lock()).map(|()| 0)?),
        Command::Man => Ok(cli::write_man(&mut stdout().lock()).map(|()| 0)?),
    }
}

fn load(cli: &Cli) -> Result<Loaded, Problems> {
    let environment =
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    config::load(&Request {
        path: cli.config.clone(),
        set: cli.set.clone(),
        environment: environment.collect(),
    })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    kind == Some(ErrorKind::BrokenPipe)
}
