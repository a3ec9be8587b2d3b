//! The configuration as it will be once the app's file is there: in a directory of root's in /run, so that it is read by
//! the very loader that the service uses before anything below /etc changes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::unistd::Group;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use crate::config::{self, App};
use crate::setup::{FileUse, Plan, Wanted, apply};
use crate::util::sync::lock;

/// A configuration that has the new app.
pub(in crate::cli) struct Staged {
    /// The directory; removed when this value is dropped.
    pub(in crate::cli) directory: TempDir,
    /// The app as the configuration has it.
    pub(in crate::cli) app: App,
}

impl Staged {
    /// Copies the owner's configuration, adds the app's file, and reads it.
    ///
    /// # Errors
    /// A mistake in the app's file or in config.toml, another app that has the same root or unit, or a file that others
    /// than root can write.
    pub(in crate::cli) fn make(wanted: &Wanted, plan: &Plan) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no directory in /run: {error}");
        let directory = tempfile::Builder::new()
            .prefix("pp-fetcher-setup-")
            .tempdir_in("/run")
            .map_err(failed)?;
        remove_if_interrupted(directory.path()).map_err(failed)?;
        let apps = directory.path().join("apps.d");
        fs::create_dir(&apps).map_err(failed)?;
        // Files of a configuration may be nobody else's to read.
        let group = Group::from_name(&wanted.owner.group).ok().flatten();
        let group = group.map(|group| group.gid.as_raw());
        for path in [directory.path(), &apps] {
            chown(path, None, group).map_err(failed)?;
            fs::set_permissions(path, PermissionsExt::from_mode(0o750)).map_err(failed)?;
        }
        let real = wanted.owner.config();
        copy(&real, &["config.toml".to_owned()], directory.path())?;
        let names = apply::open(&real.join("apps.d"))?.map_or(Ok(Vec::new()), |apps| apps.names());
        copy(
            &real.join("apps.d"),
            &names.map_err(|why| why.to_string())?,
            &apps,
        )?;
        let own = plan.used_by(FileUse::App).next();
        let text = own.map(|file| file.text.as_str()).unwrap_or_default();
        put(&apps, &format!("{}.toml", wanted.app), text.as_bytes())?;
        let as_it_will_be = |text: String| {
            let staged = directory.path().to_string_lossy().into_owned();
            text.replace(&staged, &real.to_string_lossy())
        };
        let mut config = config::load(directory.path())
            .map_err(|error| as_it_will_be(format!("nothing was changed: {error}")))?;
        let name = std::slice::from_ref(&wanted.app);
        if let Some(error) = config.broken_of(name).next() {
            return Err(as_it_will_be(format!("nothing was changed: {error}")));
        }
        let at = config.apps.iter().position(|app| app.name == wanted.app);
        let app = at.map(|at| config.apps.swap_remove(at));
        let app = app.ok_or("the configuration does not have the app")?;
        Ok(Self { directory, app })
    }
}

/// Directories that nobody would remove if a signal ended this process.
static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Has the directory removed when a signal ends this process, such as Ctrl-C at a question.
fn remove_if_interrupted(directory: &Path) -> std::io::Result<()> {
    let mut directories = lock(&DIRECTORIES);
    directories.push(directory.to_owned());
    if directories.len() > 1 {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let directories = lock(&DIRECTORIES);
            for directory in directories.iter() {
                let _ = fs::remove_dir_all(directory);
            }
            // The process has to end as it would without this.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// Copies those of the files `names` that are there.
fn copy(from: &Path, names: &[String], to: &Path) -> Result<(), String> {
    let Some(from) = apply::open(from)? else {
        return Ok(());
    };
    for name in names.iter().filter(|name| name.ends_with(".toml")) {
        let text = from
            .read(OsStr::new(name), config::LARGEST_FILE)
            .map_err(|why| why.to_string())?;
        if let Some(text) = text {
            put(to, name, &text)?;
        }
    }
    Ok(())
}

fn put(directory: &Path, name: &str, text: &[u8]) -> Result<(), String> {
    let path = directory.join(name);
    fs::write(&path, text)
        .and_then(|()| fs::set_permissions(&path, PermissionsExt::from_mode(0o644)))
        .map_err(|error| format!("{}: {error}", path.display()))
}
