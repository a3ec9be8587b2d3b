//! Carries an adoption out. Until the one restart the app serves from its checkout as before; whatever fails, the way
//! back is gone by itself, and leads to exactly that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::ask_user;
use super::find::Found;
use super::steps::{restart_with, switch_jobs, undo_command, write_drop_in};
use super::undo;
use crate::account::{Account, keep};
use crate::adopt::files;
use crate::adopt::for_user::Task;
use crate::adopt::record::Record;
use crate::cli::args::Arguments;
use crate::cli::output::say;
use crate::cli::setup::host_key::ConfirmedKey;
use crate::cli::setup::left;
use crate::cli::setup::make::{own_directories, tell_service, write_policy};
use crate::cli::setup::stage::Staged;
use crate::setup::apply::{self, Written};
use crate::setup::commands::Program;
use crate::setup::{FileUse, Plan, PlannedFile, plan};
use crate::util::text::typed;

/// Everything that an adoption works with.
pub(super) struct Adoption<'a> {
    pub(super) found: &'a Found,
    pub(super) planned: &'a Plan,
    pub(super) staged: &'a Staged,
    pub(super) account: &'a Account,
    pub(super) host_key: Option<&'a ConfirmedKey>,
}

/// Adopts the app. Gives what a person is told in the end.
///
/// # Errors
/// What failed; the app is back in its checkout then, or the error says that it is not.
pub(super) fn carry_out(arguments: &Arguments, work: &Adoption<'_>) -> Result<String, String> {
    let found = work.found;
    let mut record = Record {
        app: found.wanted.app.clone(),
        user: found.wanted.owner.user.clone(),
        root: found.wanted.root.clone(),
        commit: found.commit.clone(),
        units: found.units.clone(),
        below: found.below.clone(),
        shared: shared(work),
        jobs: found.jobs.clone(),
        key: None,
    };
    let owner = &found.wanted.owner;
    let reaches = match owner.own {
        true => own_directories(owner, work.account)?,
        false => true,
    };
    write_record(&record)?;
    let done = prepare(work, &mut record)
        .and_then(|()| make_release(arguments, work))
        .and_then(|()| go_over(&record))
        .and_then(|()| prove(work));
    let not_moved = match done {
        Ok(not_moved) => not_moved,
        Err(why) => {
            say("That failed; back to the checkout.\n");
            return Err(match undo::go_back(work.account, owner, &record) {
                Ok(()) => {
                    format!("{why}\n  the app is as it was, in its checkout, and so is its data")
                }
                Err(error) => format!(
                    "{why}\n  and the way back failed as well: {error}\n  when that is mended: {}",
                    undo_command(&record.app, &record.user)
                ),
            });
        }
    };
    let polls = finish(work, &record).map_err(|why| {
        format!(
            "{why}\n  the app runs from its release, and nothing polls it yet; back: {}",
            undo_command(&record.app, &record.user)
        )
    })?;
    let mut told = told(work, &not_moved);
    if !reaches {
        told.push_str(&format!("Left to do: {}\n", left::reach_restarter(owner)));
    }
    if !polls {
        told.push_str(&format!("Left to do: {}\n", left::have_it_polled(owner)));
    }
    Ok(told)
}

/// The paths of the data, without the mark of a directory.
fn shared(work: &Adoption<'_>) -> Vec<PathBuf> {
    let paths = work.found.wanted.shared.iter();
    paths
        .map(|path| path.trim_end_matches('/').into())
        .collect()
}

fn write_record(record: &Record) -> Result<(), String> {
    let text = serde_json::to_string_pretty(record).map_err(|error| error.to_string())?;
    apply::write(&PlannedFile {
        path: Record::path(&record.app),
        text,
        used_by: FileUse::App,
    })?;
    Ok(())
}

/// Stops the poller, and makes everything that does not touch the running app.
fn prepare(work: &Adoption<'_>, record: &mut Record) -> Result<(), String> {
    let (found, wanted) = (work.found, &work.found.wanted);
    switch_jobs(record, &work.account.name, true)?;
    let scripts: Vec<_> = record
        .jobs
        .iter()
        .filter_map(|job| job.script.clone())
        .collect();
    if !record.jobs.is_empty() {
        say("The poller is switched off.\n");
    }
    let wait = Task::Await {
        scripts,
        directory: record.root.clone(),
    };
    let now = ask_user(work.account, &wait, None)?;
    if now.commit.as_deref() != Some(found.commit.as_str()) {
        return Err(
            "another commit has just been checked out\n  run the same command again".into(),
        );
    }
    let key = found.key.clone().map(|key| (key, wanted.key()));
    let task = Task::Prepare {
        root: record.root.clone(),
        shared: record.shared.clone(),
        key: key.clone(),
    };
    let done = ask_user(work.account, &task, None)?;
    if done.key_copied {
        record.key = key.map(|(_, copy)| copy);
        write_record(record)?;
    }
    if let Some(script) = &found.restarts_itself {
        let scripts = files::scripts(&record.app);
        apply::write_program(&scripts.join("build"), &files::build(&record.app, script))?;
        apply::write_program(&scripts.join("bin/sudo"), &files::sudo(&record.app))?;
    }
    for file in work.planned.used_by(FileUse::Policy) {
        write_policy(file)?;
    }
    if let Some(key) = work.host_key {
        key.pin(&work.staged.app)?;
    }
    Ok(())
}

/// Makes the first release of the very commit that is live, out of the checkout itself. `current` leads to it then;
/// nothing is restarted.
fn make_release(arguments: &Arguments, work: &Adoption<'_>) -> Result<(), String> {
    let mut first = work.found.wanted.clone();
    first.repository = format!("file://{}", first.root.display());
    first.by_ssh = false;
    first.units.clear();
    first.health_url = None;
    first.health_host = None;
    let staged = Staged::make(&first, &plan(&first, &[]))?;
    let words = [
        "--config".into(),
        staged.directory.path().as_os_str().to_owned(),
        "--state".into(),
        arguments.state().into_os_string(),
        "poll".into(),
        first.app.clone().into(),
    ];
    let (said, code) = keep::ask(work.account, words.into_iter())
        .map_err(|error| format!("cannot start as {}: {error}", work.account.name))?;
    say(&String::from_utf8_lossy(&said));
    match code {
        0 => Ok(()),
        _ => Err("no release could be made of the live commit; the reason is above".into()),
    }
}

/// Has the units work in the release. The first is restarted, with the data moved while it is stopped; the others are
/// stopped meanwhile, so that no process has the data open.
fn go_over(record: &Record) -> Result<(), String> {
    restart_with(record, |unit, moves| into_release(record, unit, moves))
}

fn into_release(record: &Record, unit: &str, moves: &[PathBuf]) -> String {
    let below = record.below.get(unit).cloned().unwrap_or_default();
    files::into_release(&record.app, &record.root, &below, moves)
}

/// Sees whether the app is well in the release. Gives the paths whose data could not be moved.
fn prove(work: &Adoption<'_>) -> Result<Vec<PathBuf>, String> {
    let app = (work.staged.directory.path(), work.found.wanted.app.as_str());
    let done = ask_user(work.account, &Task::Prove, Some(app))?;
    // What is printed to be typed is what root has planned.
    let planned = shared(work);
    Ok(done
        .not_moved
        .into_iter()
        .filter(|path| planned.contains(path))
        .collect())
}

/// Lets the service take the app up. The data was moved, so no start has to look at it any more. Gives whether a service
/// polls.
fn finish(work: &Adoption<'_>, record: &Record) -> Result<bool, String> {
    for unit in &record.units {
        write_drop_in(unit, into_release(record, unit, &[]))?;
    }
    let mut drop_in = false;
    for file in &work.planned.files {
        let new = apply::write(file)? == Written::New;
        drop_in |= new && file.used_by == FileUse::ServiceDropIn;
    }
    Program::Systemctl.must(&["daemon-reload"])?;
    tell_service(&work.found.wanted.owner, drop_in)
}

fn told(work: &Adoption<'_>, not_moved: &[PathBuf]) -> String {
    let (found, wanted) = (work.found, &work.found.wanted);
    let root = wanted.root.display();
    let mut text = format!(
        "\n{} runs from {root}/current now, and its data is in {root}/shared.\n",
        wanted.app
    );
    for path in not_moved {
        text.push_str(&format!(
            "{root}/{0} stays where it is, behind a link in shared: a process has it open. Do not delete it.\n",
            path.display()
        ));
    }
    if let Some(script) = &found.restarts_itself {
        text.push_str(&format!(
            "Take the restart out of {script} in the repository, then write  build = \"{script}\"  to the app's file.\n"
        ));
    }
    for (unit, path) in &found.kept {
        text.push_str(&format!(
            "{unit} goes on using {root}/{0}. Once a build makes it, change the unit to {root}/current/{0}; until then do not delete it.\n",
            path.display()
        ));
    }
    let kept = found.kept.iter().map(|(_, path)| path);
    let stays: BTreeSet<_> = not_moved
        .iter()
        .chain(kept)
        .filter_map(|path| path.components().next())
        .map(|top| Path::new(top.as_os_str()))
        .collect();
    text.push_str(&format!(
        "Once you are sure, and not before, as then there is no way back any more:\n  \
         the old checkout: find {root} -mindepth 1 -maxdepth 1 ! -name releases ! -name shared ! -name current{} -exec rm -r {{}} +\n  \
         what the doctor names below: the sudo rule, the copy of the key{}\nUntil then, back to the checkout: {}\n",
        stays
            .iter()
            .map(|top| format!(" ! -name {}", typed(top)))
            .collect::<String>(),
        match found.jobs.is_empty() {
            true => "",
            false => "\n  the switched off line of cron, and its script",
        },
        undo_command(&wanted.app, &wanted.owner.user)
    ));
    text
}
