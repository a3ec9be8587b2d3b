//! What the apps' user does for an adoption, in a process of its own: looking at its checkout, making links and copies
//! among its files, and seeing whether the app is well.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::look::{self, Facts, Places};
use super::moving;
use crate::config::App;
use crate::health::answer::Answer;
use crate::health::http::Question;
use crate::health::probe::probe;
use crate::health::{Host, SystemHost};
use crate::release::{Layout, layout};

/// The longest time for which a poller that is at work is waited for: a build may take as long.
const POLLER: Duration = Duration::from_secs(900);

/// The time in which the app has to answer once.
const ANSWER: Duration = Duration::from_secs(10);

/// What the process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Look at a checkout.
    Look {
        /// Where.
        places: Places,
        /// The directory that the app's state will have.
        state: PathBuf,
    },
    /// Ask the live app once.
    Ask,
    /// Wait until none of the poller's scripts runs, and tell the commit of the checkout then.
    Await {
        /// The scripts.
        scripts: Vec<String>,
        /// The checkout.
        directory: PathBuf,
    },
    /// Make the links of `shared/`, and a copy of the deploy key.
    Prepare {
        /// The checkout.
        root: PathBuf,
        /// The paths that are linked.
        shared: Vec<PathBuf>,
        /// The key, and the place of its copy.
        key: Option<(PathBuf, PathBuf)>,
    },
    /// See whether the app is well in the live release.
    Prove,
    /// Remove what `Prepare` and the first release have made.
    Clear {
        /// The checkout.
        root: PathBuf,
        /// The paths that are linked.
        shared: Vec<PathBuf>,
        /// The app's state.
        state: PathBuf,
        /// The copy of the deploy key.
        key: Option<PathBuf>,
    },
}

/// What the process has found out or done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Of `Look`.
    pub facts: Option<Facts>,
    /// Of `Await`: the commit that is checked out.
    pub commit: Option<String>,
    /// Of `Ask`: the status of the answer, or what came instead.
    pub answer: Option<Result<u16, String>>,
    /// Of `Prepare`: whether the key was copied.
    pub key_copied: bool,
    /// Of `Prove`: paths whose data a process has open, so that they are still links.
    pub not_moved: Vec<PathBuf>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Does the task. `app` is the app as its configuration has it, where there is one.
#[must_use]
pub(crate) fn carry_out(task: &Task, app: Option<&App>) -> Done {
    let mut done = Done::default();
    let ended = match (task, app) {
        (Task::Look { places, state }, _) => {
            let mut facts = look::look(places);
            let made = layout::MADE_IN_ROOT.map(|name| places.directory.join(name));
            let all = made.into_iter().chain([state.clone()]);
            facts.taken = all.filter(|path| path.symlink_metadata().is_ok()).collect();
            done.facts = Some(facts);
            Ok(())
        }
        (Task::Await { scripts, directory }, _) => wait_for(scripts)
            .and_then(|()| look::commit(directory))
            .map(|commit| done.commit = Some(commit)),
        (Task::Prepare { root, shared, key }, _) => prepare(root, shared, key.as_ref(), &mut done),
        (
            Task::Clear {
                root,
                shared,
                state,
                key,
            },
            _,
        ) => {
            clear(root, shared, state, key.as_deref());
            Ok(())
        }
        (Task::Ask, Some(app)) => ask(app, &mut done),
        (Task::Prove, Some(app)) => prove(app, &mut done),
        (Task::Ask | Task::Prove, None) => Err("there is no such app".to_owned()),
    };
    done.error = ended.err();
    done
}

fn wait_for(scripts: &[String]) -> Result<(), String> {
    let started = Instant::now();
    while let Some(script) = scripts.iter().find(|script| runs(script)) {
        if started.elapsed() > POLLER {
            return Err(format!("{script} still runs after {} s", POLLER.as_secs()));
        }
        sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Whether a process of this user runs the script.
fn runs(script: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| {
        line.split(|b| *b == 0)
            .take(3)
            .any(|word| word == script.as_bytes())
    })
}

fn prepare(
    root: &Path,
    shared: &[PathBuf],
    key: Option<&(PathBuf, PathBuf)>,
    done: &mut Done,
) -> Result<(), String> {
    moving::link(root, shared)
        .map_err(|(path, error)| format!("{} cannot be made: {error}", path.display()))?;
    if let Some((from, to)) = key {
        let text = fs::read(from)
            .map_err(|error| format!("the key {} cannot be read: {error}", from.display()))?;
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to);
        match made.and_then(|mut file| file.write_all(&text)) {
            Ok(()) => done.key_copied = true,
            // Copied by an adoption that was cut short, or put there by a person.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{} cannot be written: {error}", to.display())),
        }
    }
    Ok(())
}

fn ask(app: &App, done: &mut Done) -> Result<(), String> {
    let host = SystemHost::new().map_err(|error| error.to_string())?;
    let Some(question) = Question::of(&app.health) else {
        return Ok(());
    };
    let answer = host.ask(&question, ANSWER);
    done.answer = Some(match answer {
        Answer::Status { status, .. } => Ok(status),
        Answer::Failed(why) => Err(why),
        Answer::Waiting(time) => Err(format!("no answer within {} s", time.as_secs())),
    });
    Ok(())
}

fn prove(app: &App, done: &mut Done) -> Result<(), String> {
    let layout = Layout::new(&app.deploy.root);
    let live = layout.current().map_err(|error| error.to_string())?;
    let live = live.ok_or("`current` leads to no release")?;
    let host = SystemHost::new().map_err(|error| error.to_string())?;
    probe(&host, app, &layout.release(&live)).map_err(|illness| illness.what)?;
    for shared in &app.deploy.shared {
        let path = &shared.path;
        let (kept, old) = (layout.shared().join(path), layout.root().join(path));
        if kept.is_symlink() && kept.exists() {
            done.not_moved.push(path.clone());
        } else if !(old.is_symlink() && kept.symlink_metadata().is_ok()) {
            return Err(format!("{} is not in its new place", path.display()));
        }
    }
    Ok(())
}

fn clear(root: &Path, shared: &[PathBuf], state: &Path, key: Option<&Path>) {
    moving::unlink(root, shared);
    let layout = Layout::new(root);
    // Nothing of this is data: releases are made from git, and `shared` goes only if it is empty.
    let _ = fs::remove_file(layout.current_link());
    let _ = fs::remove_dir_all(layout.releases());
    let _ = fs::remove_dir(layout.shared());
    let _ = fs::remove_dir_all(state);
    if let Some(key) = key {
        let _ = fs::remove_file(key);
    }
}
