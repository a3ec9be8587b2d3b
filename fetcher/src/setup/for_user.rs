//! What the apps' user makes for a set-up, in a process of its own: the deploy key, which root never sees, and
//! directories among those of other apps, whose members could lead a path of root's elsewhere.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::process::ask::ask;
use crate::sanitize::print_prompt;
use crate::state::StateDir;
use crate::state::lock::{Lock, LockAttempt};
use crate::util::text;

/// The time that ssh-keygen has.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time that a pass which is under way has to end.
const PATIENCE_WITH_A_PASS: Duration = Duration::from_secs(300);

/// What ends the comment of a key that a set-up has made.
const MADE_HERE: &str = " (pp-fetcher)";

/// What is asked of the process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The deploy key to make, unless it is there, and its comment.
    pub key: Option<(PathBuf, String)>,
    /// Directories to make, unless they are there, with their modes.
    pub directories: Vec<(PathBuf, u32)>,
    /// A deploy key to remove, if a set-up has made it for the app of this name.
    pub remove_key: Option<(PathBuf, String)>,
    /// The state directory of an app whose pass, if one is under way, has to end first: all state, and the app's name.
    pub wait_for: Option<(PathBuf, String)>,
    /// Directories to remove with all that is in them.
    pub erase: Vec<PathBuf>,
}

/// What the process has done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The public half of the key, as it is given to the forge.
    pub public_key: Option<String>,
    /// Whether the key is new.
    pub key_is_new: bool,
    /// The directories that this user may not make.
    pub left_to_root: Vec<PathBuf>,
    /// The key that was removed.
    pub removed_key: bool,
    /// What could not be removed, and why.
    pub kept: Vec<(PathBuf, String)>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Does what is asked.
#[must_use]
pub(crate) fn carry_out(order: &Order) -> Done {
    let mut done = Done::default();
    if let Err(error) = try_to(order, &mut done) {
        done.error = Some(error);
    }
    done
}

fn try_to(order: &Order, done: &mut Done) -> Result<(), String> {
    // Held to the end: nothing is taken away under a pass that begins meanwhile.
    let _held = match &order.wait_for {
        Some((states, app)) => lock(&StateDir::new(states, app))?,
        None => None,
    };
    for (path, mode) in &order.directories {
        match make(path, *mode) {
            Ok(()) => {}
            Err(error) if is_roots(&error) => done.left_to_root.push(path.clone()),
            Err(error) => return Err(format!("{} cannot be made: {error}", path.display())),
        }
    }
    if let Some((path, comment)) = &order.key {
        done.key_is_new = make_key(path, comment)?;
        done.public_key = Some(public_half(path)?);
    }
    if let Some((path, app)) = &order.remove_key {
        done.removed_key = remove_key(path, app);
    }
    for path in &order.erase {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                done.kept.push((path.clone(), error.to_string()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives the comment of the key that a set-up of `app` makes on this host: a person knows the key by it at the forge.
#[must_use]
pub(crate) fn comment(app: &str) -> String {
    format!("{app}@{}{MADE_HERE}", pp_events::host_name())
}

/// Removes a key that a set-up of `app` has made. Gives whether there was one.
fn remove_key(path: &Path, app: &str) -> bool {
    let Ok(line) = public_half(path) else {
        return false;
    };
    let comment = line.splitn(3, ' ').nth(2).unwrap_or_default();
    let ours = comment.starts_with(&format!("{app}@")) && comment.ends_with(MADE_HERE);
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    ours && fs::remove_file(path).is_ok() && {
        // The public half alone opens nothing.
        let _ = fs::remove_file(public);
        true
    }
}

/// Waits for the end of a pass of the app. Gives the app's lock, or nothing if the app has no state.
fn lock(state: &StateDir) -> Result<Option<Lock>, String> {
    let started = Instant::now();
    let mut told = false;
    loop {
        match state.lock_if_there().map_err(|error| error.to_string())? {
            None => return Ok(None),
            Some(LockAttempt::Held(lock)) => return Ok(Some(lock)),
            Some(LockAttempt::Busy) if started.elapsed() > PATIENCE_WITH_A_PASS => {
                return Err("a pass of this app is still under way".into());
            }
            Some(LockAttempt::Busy) => {}
        }
        if !told {
            print_prompt("a pass of this app is under way; waiting for its end\n");
            told = true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn is_roots(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound
    )
}

fn make(path: &Path, mode: u32) -> std::io::Result<()> {
    match fs::DirBuilder::new().mode(mode & 0o777).create(path) {
        // The umask has taken bits away, and mkdir(2) leaves setgid to the directory above.
        Ok(()) => fs::set_permissions(path, PermissionsExt::from_mode(mode)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the key, unless there is one. Gives whether it is new.
fn make_key(path: &Path, comment: &str) -> Result<bool, String> {
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]);
    keygen.arg(path);
    run(&keygen).map(|_| true)
}

/// Reads the public half of a key from the key itself: the file beside it may be another key's.
fn public_half(path: &Path) -> Result<String, String> {
    let mut keygen = Command::new("ssh-keygen");
    // An empty passphrase: one that a person would have to type is no use to a service.
    keygen.args(["-y", "-P", "", "-f"]).arg(path);
    let line = run(&keygen).map_err(|why| {
        format!(
            "{why}\n  a deploy key has no passphrase: move {} away",
            path.display()
        )
    })?;
    Ok(line.trim().to_owned())
}

fn run(keygen: &Command) -> Result<String, String> {
    let output = ask(keygen, b"", PATIENCE).map_err(|error| error.to_string())?;
    if output.code == 0 {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = text::line(&output.stderr);
    Err(format!("ssh-keygen failed{}", text::in_parentheses(&said)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_its_public_half_is_the_keys_own() {
        let place = tempfile::tempdir().unwrap();
        let key = place.path().join("todo");
        let order = Order {
            key: Some((key.clone(), "todo@host".into())),
            directories: vec![(place.path().join("root"), 0o2775)],
            ..Order::default()
        };
        let first = carry_out(&order);
        assert_eq!(first.error, None);
        assert!(first.key_is_new);
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
        let mode = fs::metadata(place.path().join("root")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o2775);
        fs::write(key.with_extension("pub"), "ssh-ed25519 AAAA another\n").unwrap();
        let second = carry_out(&order);
        assert!(!second.key_is_new);
        assert_eq!(second.public_key, first.public_key);
        assert!(first.public_key.unwrap().starts_with("ssh-ed25519 AAAA"));
    }

    #[test]
    fn a_file_that_is_no_key_is_told_and_stays() {
        let place = tempfile::tempdir().unwrap();
        let key = place.path().join("todo");
        fs::write(&key, "x").unwrap();
        let done = carry_out(&Order {
            key: Some((key.clone(), "todo@host".into())),
            ..Order::default()
        });
        let error = done.error.unwrap();
        assert!(error.contains("ssh-keygen failed"), "{error}");
        assert_eq!(fs::read_to_string(&key).unwrap(), "x");
    }

    #[test]
    fn a_directory_that_the_user_may_not_make_is_left_to_root() {
        let order = Order {
            directories: vec![("/proc/nothing/here".into(), 0o755)],
            ..Order::default()
        };
        let done = carry_out(&order);
        assert_eq!(done.left_to_root, [Path::new("/proc/nothing/here")]);
        assert_eq!(done.error, None);
    }

    #[test]
    fn a_key_is_removed_only_where_a_set_up_of_this_app_has_made_it() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str, comment: &str| {
            let key = place.path().join(name);
            make_key(&key, comment).unwrap();
            key
        };
        let (ours, theirs) = (make("todo", &comment("todo")), make("old", "deploy-todo"));
        for (key, removed) in [(&ours, true), (&theirs, false)] {
            let done = carry_out(&Order {
                remove_key: Some((key.clone(), "todo".into())),
                ..Order::default()
            });
            assert_eq!((done.removed_key, key.exists()), (removed, !removed));
        }
        assert!(!place.path().join("todo.pub").exists());
    }
}
