//! The way back of an adoption: to the checkout, with the data, and to the poller.

use std::path::Path;

use super::args::Adopt;
use super::steps::{restart_with, switch_jobs, undo_command};
use super::{ask_user, owner};
use crate::account::Account;
use crate::adopt::files;
use crate::adopt::for_user::Task;
use crate::adopt::record::{DIRECTORY, Record};
use crate::cli::USAGE;
use crate::cli::args::Arguments;
use crate::cli::output::say;
use crate::cli::setup::{self, Refusal, may_go_on, resumable};
use crate::setup::commands::Program;
use crate::setup::for_user::Order;
use crate::setup::places::Places;
use crate::setup::remove::{Whose, whose};
use crate::setup::wanted::KNOWN_HOSTS;
use crate::setup::{Owner, apply, host};

/// Undoes the adoption of the app that `options` names.
pub(super) fn undo(arguments: &Arguments, options: &Adopt) -> Result<(), Refusal> {
    let usage = |why: String| (USAGE, why);
    let (account, owner) = owner(arguments)?;
    let text = apply::read(&Record::path(&options.app)).map_err(usage)?;
    let text = text.ok_or_else(|| usage("was not adopted, so there is nothing to undo".into()))?;
    let record: Record = serde_json::from_str(&text).map_err(|error| {
        usage(format!(
            "{} cannot be read: {error}",
            Record::path(&options.app).display()
        ))
    })?;
    if record.user != owner.user {
        return Err(usage(format!(
            "it was adopted for the apps of {0}, and this would be done for those of {1}\n  {2}",
            record.user,
            owner.user,
            undo_command(&options.app, &record.user)
        )));
    }
    // Only whether it is there: what is in it is the apps' user's.
    if record.root.join(".git").symlink_metadata().is_err() {
        return Err(usage(format!(
            "the checkout {} is gone, so there is no way back any more\n  the record of it may go, too: rm {}",
            record.root.display(),
            Record::path(&options.app).display()
        )));
    }
    say(&format!(
        "back to the checkout {}, as of commit {}, with its data; one restart of {}{}\n\
         what migrations of later releases have changed in a database stays changed: that commit has to run with it\n",
        record.root.display(),
        record.commit,
        record.units.join(", "),
        match record.jobs.is_empty() {
            true => "",
            false => "; the poller is switched on again",
        }
    ));
    if !may_go_on(options.dry_run, options.yes)? {
        return Ok(());
    }
    go_back(&account, &owner, &record).map_err(resumable)?;
    say(match record.jobs.is_empty() {
        true => "The app runs from its checkout again.\n",
        false => "The app runs from its checkout again, and the poller is switched on.\n",
    });
    Ok(())
}

/// Goes back. Each step may have been done before.
pub(super) fn go_back(account: &Account, owner: &Owner, record: &Record) -> Result<(), String> {
    let app = &record.app;
    let service = owner.service();
    let written = Places::of(app, owner);
    let ours = |path| whose(path, app).map(|whose| whose == Whose::Ours);
    if ours(&written.app)? {
        apply::remove(&written.app)?;
        host::tell_service(&service, false)?;
    }
    let wait = Order {
        wait_for: Some((owner.state(), app.clone())),
        ..Order::default()
    };
    setup::ask_user(account, &wait)?;
    let changed = record
        .units
        .iter()
        .any(|unit| apply::read(&Record::drop_in(unit)).is_ok_and(|text| text.is_some()));
    if changed {
        restart_with(record, |_, moves| {
            files::into_checkout(app, &record.root, moves)
        })?;
        for unit in &record.units {
            apply::remove_drop_in(&Record::drop_in(unit))?;
        }
        Program::Systemctl.must(&["daemon-reload"])?;
    }
    if ours(&written.drop_in)? {
        apply::remove_drop_in(&written.drop_in)?;
        Program::Systemctl.must(&["daemon-reload"])?;
    }
    if ours(&written.policy)? {
        apply::remove(&written.policy)?;
    }
    let task = Task::Clear {
        root: record.root.clone(),
        shared: record.shared.clone(),
        state: owner.state().join(app),
        key: record.key.clone(),
    };
    ask_user(account, &task, None)?;
    switch_jobs(record, &account.name, false)?;
    let scripts = files::scripts(app);
    for file in [
        scripts.join("build"),
        scripts.join("bin/sudo"),
        format!("{KNOWN_HOSTS}.{app}").into(),
    ] {
        apply::remove(&file)?;
    }
    apply::remove_empty(&scripts.join("bin"));
    apply::remove_empty(&scripts);
    apply::remove(&Record::path(app))?;
    apply::remove_empty(Path::new(DIRECTORY));
    Ok(())
}
