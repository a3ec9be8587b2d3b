//! Configuration in three layers: [`fragment`]s as written, merged, validated to [`settings`].
//! The rest of the program only ever sees settings.

pub mod duration;
pub mod error;
pub mod fragment;
mod https;
pub mod settings;
pub mod submodule;

use std::path::{Path, PathBuf};

pub use error::ConfigError;
use fragment::Fragment;
pub use settings::App;

/// Where the configuration is unless told otherwise.
pub const DIRECTORY: &str = "/etc/pp-fetcher";

/// Largest file read, in bytes: a configuration is a page of text.
const LARGEST: u64 = 256 * 1024;

/// Every app that is configured, and what was passed over.
#[derive(Debug)]
pub struct Config {
    /// Apps in the order of their names.
    pub apps: Vec<App>,
    /// Files of `apps.d` that were not read, and why; a file silently ignored is a trap.
    pub ignored: Vec<String>,
    /// Apps whose file has a mistake; the others work on.
    pub broken: Vec<ConfigError>,
}

/// Reads `config.toml` and `apps.d/*.toml` below `directory`.
///
/// # Errors
/// A mistake in `config.toml`, or an unreadable directory. Mistakes in an app's own file are
/// collected in [`Config::broken`].
pub fn load(directory: &Path) -> Result<Config, ConfigError> {
    let common = directory.join("config.toml");
    let defaults = if common.exists() {
        let defaults = read(&common)?;
        if !defaults.submodule.is_empty() {
            let error = ConfigError::new(&common, "`[[submodule]]` is no default".to_owned());
            return Err(error.mend("write it to the app's file in apps.d"));
        }
        defaults
    } else {
        Fragment::default()
    };
    let mut config = Config {
        apps: Vec::new(),
        ignored: Vec::new(),
        broken: Vec::new(),
    };
    for path in files(&directory.join("apps.d"))? {
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        match name.strip_suffix(".toml") {
            Some(app) if is_app_name(app) => {
                let read = read(&path).and_then(|own| App::new(app, &path, own.over(&defaults)));
                match read {
                    Ok(app) => config.apps.push(app),
                    Err(error) => config.broken.push(error),
                }
            }
            _ => config.ignored.push(format!(
                "{}: ignored, an app's file is named [a-z0-9_-]+.toml",
                path.display()
            )),
        }
    }
    Ok(config)
}

/// Whether `name` can name an app: it becomes a directory and a file name.
#[must_use]
pub fn is_app_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.bytes().all(legal)
}

fn read(path: &Path) -> Result<Fragment, ConfigError> {
    let unreadable = |e: std::io::Error| {
        ConfigError::new(path, format!("cannot be read: {e}"))
            .mend("it must be readable by the user pp-fetcher runs as")
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(ConfigError::new(
            path,
            format!("{size} bytes is no configuration file"),
        ));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    toml::from_str(&text).map_err(|e| ConfigError::from_toml(path, &text, &e))
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable =
        |e: std::io::Error| ConfigError::new(directory, format!("cannot be read: {e}"));
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(e)),
    };
    let mut paths = entries
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}
