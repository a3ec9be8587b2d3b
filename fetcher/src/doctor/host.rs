//! The host: the directories of releases, the disk, the clock, the build script, and the shared paths.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::unistd::{User, geteuid};

use super::Finding;
use crate::config::App;
use crate::deploy::look::look_at_build;
use crate::process::ask::ask;
use crate::process::env_file;
use crate::release::{Layout, place};
use crate::space;
use crate::state::State;
use crate::util::file;
use crate::util::text::typed;

/// How far in the future a time that this host has written may lie: clocks are set while they run.
const TOLERATED: SignedDuration = SignedDuration::from_secs(60);

/// Size of the part of a file that is looked at, in bytes.
const LARGEST: u64 = 256 * 1024;

/// The time that python3 has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn look(app: &App, states: &Path, state: Option<&State>, tell: &mut dyn FnMut(Finding)) {
    let root = &app.deploy.root;
    match place::look(root) {
        Ok(remarks) if remarks.is_empty() => {
            tell(Finding::ok(
                "root",
                format!("{} takes releases", root.display()),
            ));
        }
        Ok(remarks) => remarks
            .iter()
            .for_each(|remark| tell(Finding::warning("root", remark))),
        Err(message) => tell(Finding::fault("root", message)),
    }
    for directory in [states, root] {
        if let Some(full) = place::nearest_directory(directory).and_then(space::is_full) {
            tell(Finding::fault("disk", full.to_string()));
        }
    }
    if let Err(message) = env_file::read(&app.deploy.env_files) {
        tell(Finding::fault("environment", message));
    }
    for remark in place::look_at_environment(&app.deploy.env) {
        tell(Finding::fault("environment", remark));
    }
    home(app, tell);
    clock(state, tell);
    signers(app, tell);
    build(app, tell);
    shared(app, tell);
}

/// Programs such as pip and npm keep files in the home directory, which many users of services do not have.
fn home(app: &App, tell: &mut dyn FnMut(Finding)) {
    let user = User::from_uid(geteuid()).ok().flatten();
    let Some(user) = user.filter(|user| app.deploy.build.is_some() && !user.dir.is_dir()) else {
        return;
    };
    tell(Finding::warning(
        "environment",
        format!(
            "{0}, HOME of the build script, is not there
  where the script needs it, as root: install -d -o {1} {0}",
            typed(&user.dir),
            user.name
        ),
    ));
}

/// Looks whether the state of an app can be written: each pass writes it.
pub(super) fn state_directory(own: &Path, states: &Path) -> Finding {
    let directory = if own.is_dir() { own } else { states };
    match place::nearest_directory(directory).filter(|path| !place::may_write(path)) {
        Some(path) => Finding::fault(
            "state",
            format!(
                "{} cannot be written by this user: {}",
                path.display(),
                place::owned(path)
            ),
        ),
        None => Finding::ok("state", format!("{} can be written", directory.display())),
    }
}

/// The keys that may sign have to be readable, or nothing is deployed.
fn signers(app: &App, tell: &mut dyn FnMut(Finding)) {
    let Some(file) = &app.allowed_signers else {
        return;
    };
    let shown = file.display();
    tell(Finding::of(
        "verify",
        match text_of(file) {
            Ok(_) => Ok(format!("{shown} says who may sign")),
            Err(error) => Err(format!(
                "{shown}, `allowed_signers` under [verify], cannot be read: {error}"
            )),
        },
    ));
}

fn clock(state: Option<&State>, tell: &mut dyn FnMut(Finding)) {
    let Some(live) = state.and_then(|state| state.live.as_ref()) else {
        return;
    };
    let now = Timestamp::now();
    if live.deployed_at.duration_since(now) > TOLERATED {
        tell(Finding::fault(
            "clock",
            format!(
                "this host's clock says {}, and the live release is of {}: the clock was set back\n  timedatectl \
                 shows whether it is synchronized",
                now.strftime("%Y-%m-%d %H:%M UTC"),
                live.deployed_at.strftime("%Y-%m-%d %H:%M UTC")
            ),
        ));
    }
}

fn build(app: &App, tell: &mut dyn FnMut(Finding)) {
    const LINK: &str = "build script";
    let Some(script) = &app.deploy.build else {
        return tell(Finding::skipped(LINK, "none is configured"));
    };
    if script.is_absolute() {
        let shown = script.display();
        tell_venv(script, tell);
        let checked = look_at_build(app).map(|()| format!("{shown} can be run"));
        return tell(Finding::of(LINK, checked));
    }
    let layout = Layout::new(&app.deploy.root);
    match layout.current().ok().flatten() {
        None => tell(Finding::skipped(
            LINK,
            format!("{} comes with the first release", script.display()),
        )),
        Some(release) => {
            let path = layout.release(&release).join(script);
            let found = fs::metadata(&path).is_ok_and(|found| found.is_file());
            tell_venv(&path, tell);
            tell(match found {
                true => Finding::ok(LINK, format!("{} is in the live release", script.display())),
                false => Finding::warning(
                    LINK,
                    format!(
                        "{} is not in the live release, so the next revision has to bring it\n  commit it, or take that line out of {}",
                        script.display(),
                        app.path.display()
                    ),
                ),
            });
        }
    }
}

/// Debian has python3 without what `python3 -m venv` needs.
fn tell_venv(script: &Path, tell: &mut dyn FnMut(Finding)) {
    let text = text_of(script).unwrap_or_default();
    let makes = |line: &str| line.contains("-m venv") && !line.trim_start().starts_with('#');
    if !text.lines().any(makes) {
        return;
    }
    let mut python = Command::new("python3");
    python.args(["-c", "import ensurepip, venv"]);
    if ask(&python, b"", PATIENCE).is_ok_and(|output| output.code != 0) {
        tell(Finding::warning(
            "build script",
            format!(
                "{} makes a virtual environment, and python3 of this host cannot\n  as root: apt-get install \
                 python3-venv",
                script.display()
            ),
        ));
    }
}

/// Reads the beginning of a regular file.
fn text_of(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file::need_regular(path)?
        .take(LARGEST)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn shared(app: &App, tell: &mut dyn FnMut(Finding)) {
    let layout = Layout::new(&app.deploy.root);
    for plan in layout.will_share(&app.deploy.shared) {
        let path = layout.shared().join(&plan.path);
        let shown = path.display();
        if !plan.kept {
            let missing = match plan.directory {
                true => "is made by the first deploy".to_owned(),
                false => format!(
                    "is not there: unless the repository has {}, each release has a link that leads nowhere until the \
                     app makes it",
                    plan.path.display()
                ),
            };
            tell(Finding::warning("shared", format!("{shown} {missing}")));
            continue;
        }
        // SQLite makes its journal beside the database, so the directory has to be writable, too.
        let directory = path.parent().filter(|_| !plan.directory).unwrap_or(&path);
        match place::may_write(directory) {
            true => tell(Finding::ok("shared", format!("{shown} is kept"))),
            false => tell(Finding::warning(
                "shared",
                format!(
                    "{} cannot be written by this user: {}\n  a database in it needs that for its journal",
                    directory.display(),
                    place::owned(directory)
                ),
            )),
        }
    }
}
