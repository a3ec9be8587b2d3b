//! The configuration: files are read as [`fragment`]s, an app's fragment is merged over the defaults, and the
//! result is validated into [`settings`]. The rest of the program only sees settings.

mod checks;
pub(crate) mod error;
pub(crate) mod expect;
pub(crate) mod fragment;
pub(crate) mod health;
mod https;
pub(crate) mod keys;
mod overlap;
mod path;
pub(crate) mod settings;
pub(crate) mod size;
mod ssh;
pub(crate) mod submodule;
pub(crate) mod tree;
mod window;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub(crate) use error::ConfigError;
use fragment::Fragment;
use pp_trusted::Directory;
pub(crate) use settings::App;
use sha1::{Digest, Sha1};
pub(crate) use ssh::Ssh;

/// The directory of the configuration, unless `--config` names another.
pub(crate) const DIRECTORY: &str = "/etc/pp-fetcher";

/// Size of the largest configuration file that is read, in bytes; a usual one is a page of text.
pub(crate) const LARGEST_FILE: u64 = 256 * 1024;

/// Every configured app, and every file that was not used.
#[derive(Debug)]
pub(crate) struct Config {
    /// The valid apps, in the order of their names.
    pub apps: Vec<App>,
    /// Files of `apps.d` that are not named as an app's file, with the reason. They are reported, because an
    /// administrator would otherwise look for a mistake in a file that is never read.
    pub ignored: Vec<String>,
    /// The mistakes in the files of single apps; the other apps are polled all the same.
    pub broken: Vec<ConfigError>,
}

impl Config {
    /// Gives the mistakes in the files of the apps `names`, or all mistakes if `names` is empty.
    pub(crate) fn broken_of<'a>(
        &'a self,
        names: &'a [String],
    ) -> impl Iterator<Item = &'a ConfigError> {
        let named = |error: &&ConfigError| {
            let app = error.path.file_stem().unwrap_or_default();
            names.is_empty() || names.iter().any(|name| app == name.as_str())
        };
        self.broken.iter().filter(named)
    }
}

/// Reads `config.toml` and `apps.d/*.toml` below `directory`.
///
/// # Errors
/// A mistake in `config.toml`, or an unreadable directory. Mistakes in an app's own file are
/// collected in [`Config::broken`].
pub(crate) fn load(directory: &Path) -> Result<Config, ConfigError> {
    let common = directory.join("config.toml");
    let (defaults, text) = if common.exists() {
        let (defaults, text) = read(&common)?;
        if !defaults.submodule.is_empty() {
            let error = ConfigError::new(&common, "`[[submodule]]` is no default".to_owned());
            return Err(error.mend("write it to the app's file in apps.d"));
        }
        (defaults, text)
    } else {
        Default::default()
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
                let read = read(&path).and_then(|(own, own_text)| {
                    if own.report.metrics.is_some() || own.report.page.is_some() {
                        let error =
                            ConfigError::new(&path, "`[report]` is about all apps".to_owned());
                        return Err(error.mend("write it to config.toml"));
                    }
                    let mut app = App::new(app, &path, own.over(&defaults))?;
                    app.fingerprint = fingerprint(&text, &own_text);
                    Ok(app)
                });
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
    config.broken.extend(overlap::part(&mut config.apps));
    Ok(config)
}

/// Reads the configuration of the app `app` alone, through directories that only root can write: `common` is
/// the open `directory`, `apps` its apps.d. Gives `None` if the app has no file.
///
/// # Errors
/// A mistake in `config.toml` or in the app's file, or one of these files can be written by others than root.
pub(crate) fn one(
    common: &Directory,
    apps: &Directory,
    directory: &Path,
    app: &str,
) -> Result<Option<App>, ConfigError> {
    let read = |from: &Directory, name: String, path: &Path| {
        let found = from.read(OsStr::new(&name), LARGEST_FILE);
        let found = found.map_err(|why| ConfigError::new(path, why.what).mend(why.help))?;
        let Some(bytes) = found else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|error| encoding(path, &error))?;
        let fragment: Fragment =
            toml::from_str(&text).map_err(|e| ConfigError::from_toml(path, &text, &e))?;
        Ok(Some(fragment))
    };
    if !is_app_name(app) {
        return Ok(None);
    }
    let path = directory.join("config.toml");
    let defaults = read(common, "config.toml".to_owned(), &path)?.unwrap_or_default();
    let name = format!("{app}.toml");
    let path = directory.join("apps.d").join(&name);
    let own = read(apps, name, &path)?;
    own.map(|own| App::new(app, &path, own.over(&defaults)))
        .transpose()
}

/// Computes a value that changes when `config.toml` or the app's file changes. It decides whether a revision
/// that was held back because of the configuration is tried again. SHA-1 is enough: no secret is hashed, and
/// a collision gives no advantage to anybody.
fn fingerprint(common: &str, own: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(common);
    hash.update([0]);
    hash.update(own);
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether `name` can name an app: the name is also used as that of a directory and of a file.
#[must_use]
pub(crate) fn is_app_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.bytes().all(legal)
}

fn read(path: &Path) -> Result<(Fragment, String), ConfigError> {
    let unreadable = |e: std::io::Error| {
        let error = ConfigError::new(path, format!("cannot be read: {e}"));
        match e.kind() {
            std::io::ErrorKind::PermissionDenied => error.mend(format!(
                "it must be readable by the user pp-fetcher runs as: chmod 644 {}",
                path.display()
            )),
            _ => error,
        }
    };
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(ConfigError::new(path, "it is no regular file"));
    }
    let size = found.len();
    if size > LARGEST_FILE {
        return Err(ConfigError::new(
            path,
            format!("{size} bytes is no configuration file"),
        ));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| encoding(path, &error))?;
    let fragment = toml::from_str(&text).map_err(|e| ConfigError::from_toml(path, &text, &e))?;
    Ok((fragment, text))
}

/// Makes the error for a file with a byte that is not UTF-8; mostly the editor has written Latin-1.
fn encoding(path: &Path, error: &std::string::FromUtf8Error) -> ConfigError {
    let at = error.utf8_error().valid_up_to();
    let before = String::from_utf8_lossy(error.as_bytes().get(..at).unwrap_or_default());
    let byte = error.as_bytes().get(at).copied().unwrap_or_default();
    let mut wrong = ConfigError::new(
        path,
        format!("the byte 0x{byte:02x} is not UTF-8, in which TOML is written"),
    );
    wrong.position = Some(error::position(&before, before.len()));
    wrong.mend(format!(
        "if the file is Latin-1: iconv -f latin1 -t utf8 {0} >{0}.new && mv {0}.new {0}",
        path.display()
    ))
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
