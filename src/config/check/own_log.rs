//! The section `log`: the program's own log.

use crate::config::file;
use crate::config::place::Inputs;
use crate::own_log::{Format, Settings};
use log::LevelFilter;

/// Below this, rotation would be all that it does.
const MAX_SIZE_MIN_BYTES: u64 = 64 * 1024;
const KEEP_MAX: u32 = 100;

pub fn own_log(log: &file::Log, inputs: &mut Inputs) -> Settings {
    let default = Settings::default();
    if let Some((at, path)) = log.file.placed().filter(|(_, path)| !path.starts_with('/')) {
        inputs.fault(
            at,
            format!("`{}` is not an absolute path", crate::config::decode::clip(path)),
            "services do not start in the directory of this file",
        );
    }
    if let Some((at, size)) = log.max_size.placed()
        && size.0 < MAX_SIZE_MIN_BYTES
    {
        inputs.fault(
            at,
            "must be at least 64KiB",
            "what is kept in all is max_size × (keep + 1)",
        );
    }
    if let Some((at, keep)) = log.keep.placed()
        && *keep > KEEP_MAX
    {
        inputs.fault(at, format!("{keep} is more than {KEEP_MAX}"), "");
    }
    Settings {
        level: log.level.get().map(|level| match level {
            file::LogLevel::Off => LevelFilter::Off,
            file::LogLevel::Error => LevelFilter::Error,
            file::LogLevel::Warn => LevelFilter::Warn,
            file::LogLevel::Info => LevelFilter::Info,
            file::LogLevel::Debug => LevelFilter::Debug,
            file::LogLevel::Trace => LevelFilter::Trace,
        }),
        file: log.file.get().map(Into::into),
        format: match log.format.or(file::LogFormat::Text) {
            file::LogFormat::Text => Format::Text,
            file::LogFormat::Json => Format::Json,
        },
        max_size_bytes: log.max_size.get().map_or(default.max_size_bytes, |size| size.0),
        keep: log.keep.or(default.keep),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Request, load};
    use crate::own_log::{Format, Settings};

    fn loaded(log: &str) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, format!("log: {log}\n")).unwrap();
        let request = Request {
            path: Some(path),
            ..Request::default()
        };
        load(&request)
            .map(|loaded| loaded.settings.log)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_keys_of_our_own_log_arrive() {
        assert_eq!(loaded("{}"), Ok(Settings::default()));
        let wanted = Settings {
            level: Some(log::LevelFilter::Warn),
            file: Some("/var/log/elc.log".into()),
            format: Format::Json,
            max_size_bytes: 1024 * 1024,
            keep: 0,
        };
        let given = "{level: warn, file: /var/log/elc.log, format: json, max_size: 1MiB, keep: 0}";
        assert_eq!(loaded(given), Ok(wanted));
        assert_eq!(loaded("{file: null}"), Ok(Settings::default()));
    }

    #[test]
    fn a_log_that_could_not_be_is_refused_at_its_place() {
        for (log, key) in [
            ("{file: elc.log}", "log.file"),
            ("{max_size: 1KiB}", "log.max_size"),
            ("{keep: 1000}", "log.keep"),
            ("{format: xml}", "log.format"),
        ] {
            let problems = loaded(log).unwrap_err();
            assert!(problems.contains(&format!("{key}: ")), "{log}: {problems}");
        }
    }
}
