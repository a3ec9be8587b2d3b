//! Makes what is planned, in an order in which nothing is there before what it needs, and the app's own file, which the
//! service acts on, comes last. Each part can be made again: a set-up that was cut short goes on where it ended.

use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};

use super::ask_user;
use super::host_key::ConfirmedKey;
use crate::account::{Account, USERS, groups_of};
use crate::config::App;
use crate::setup::apply::{self, Written};
use crate::setup::commands::Program;
use crate::setup::for_user::{Order, comment};
use crate::setup::{FileUse, Owner, Plan, PlannedFile, Wanted, host};

/// What a set-up makes.
pub(super) struct Making<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) plan: &'a Plan,
    pub(super) account: &'a Account,
    pub(super) app: &'a App,
    pub(super) host_key: Option<&'a ConfirmedKey>,
}

/// What was made that a person has to know.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The public half of the deploy key.
    pub(super) public_key: Option<String>,
    /// Whether the service that polls runs now.
    pub(super) polls: bool,
    /// Units that the app is to restart and that systemd does not know.
    pub(super) missing_units: Vec<String>,
    /// Whether the user of its own is a member of pp-callers and the restarter's socket is that group's.
    pub(super) reaches_restarter: bool,
}

/// Makes everything.
///
/// # Errors
/// What could not be made, and why; what was made until then stays.
pub(super) fn make(making: &Making<'_>) -> Result<Made, String> {
    let (wanted, plan) = (making.wanted, making.plan);
    let mut made = Made {
        reaches_restarter: true,
        ..Made::default()
    };
    if wanted.owner.own {
        made.reaches_restarter = own_directories(&wanted.owner, making.account)?;
    }
    let done = ask_user(
        making.account,
        &Order {
            key: plan.key.clone().map(|key| (key, comment(&wanted.app))),
            directories: plan.directories.clone(),
            ..Order::default()
        },
    )?;
    let (uid, gid) = (making.account.uid, making.account.gid);
    for (path, mode) in &plan.directories {
        if done.left_to_root.contains(path) {
            apply::make_for(path, uid, gid, *mode)?;
        }
    }
    made.public_key = done.public_key;
    let (mut units, mut drop_in) = (false, false);
    for file in plan.used_by(FileUse::Policy) {
        write_policy(file)?;
    }
    for file in plan.used_by(FileUse::Unit) {
        units |= apply::write(file)? == Written::New;
    }
    for file in plan.used_by(FileUse::ServiceDropIn) {
        drop_in |= apply::write(file)? == Written::New;
    }
    if units || drop_in {
        Program::Systemctl.must(&["daemon-reload"])?;
    }
    enable_units(plan)?;
    for file in plan.used_by(FileUse::Site) {
        write_site(file)?;
    }
    if let Some(key) = making.host_key {
        key.pin(making.app)?;
    }
    for file in plan.used_by(FileUse::App) {
        apply::write(file)?;
    }
    let own: Vec<_> = plan.files.iter().filter_map(unit_name).collect();
    made.missing_units = host::missing_units(&wanted.units, &own);
    made.polls = tell_service(&wanted.owner, drop_in)?;
    Ok(made)
}

/// Makes the directories of a user with apps of its own. Gives whether the user reaches the restarter.
pub(in crate::cli) fn own_directories(owner: &Owner, account: &Account) -> Result<bool, String> {
    let (user, group) = (account.uid, account.gid);
    let config = owner.config();
    for path in [Path::new(USERS), &config, &config.join("apps.d")] {
        apply::make_for(path, Uid::from_raw(0), Gid::from_raw(0), 0o755)?;
    }
    apply::make_for(&config.join("keys"), user, group, 0o700)?;
    apply::make_for(&owner.state(), user, group, 0o750)?;
    apply::make_for(&owner.roots(), user, group, 0o750)?;
    let member = |name: &str| {
        let group = Group::from_name(name).ok().flatten();
        let found = User::from_uid(user).ok().flatten();
        group
            .zip(found)
            .is_some_and(|(group, user)| groups_of(&user).contains(&group.gid))
    };
    let socket = std::fs::metadata("/run/pp-restarter/restarter.sock");
    let callers = Group::from_name("pp-callers").ok().flatten();
    let is_callers = socket.ok().zip(callers).is_some_and(|(socket, callers)| {
        use std::os::unix::fs::MetadataExt;
        socket.gid() == callers.gid.as_raw()
    });
    Ok(member("pp-callers") && is_callers)
}

/// Writes the policy, and has the restarter read it. A file that the restarter refuses is taken away again, or gets back
/// the text that it had.
pub(in crate::cli) fn write_policy(file: &PlannedFile) -> Result<(), String> {
    let before = apply::read(&file.path)?;
    let new = apply::write(file)? == Written::New;
    let (taken, said) = Program::Restarter.run(&["--check"]);
    let about_this = said.contains(&*file.path.to_string_lossy());
    if taken || !new || !about_this {
        return Ok(());
    }
    apply::put_back(&file.path, before.as_deref())?;
    Err(format!(
        "the restarter refuses what {} would say, so the file {}\n  {}",
        file.path.display(),
        match before {
            Some(_) => "is as it was before",
            None => "was taken away again",
        },
        said.replace('\n', "\n  ")
    ))
}

fn unit_name(file: &PlannedFile) -> Option<String> {
    let name = file.path.file_name()?.to_string_lossy().into_owned();
    (file.used_by == FileUse::Unit).then_some(name)
}

/// Has the units started at boot. They are not started now: there is no release yet that they could run.
fn enable_units(plan: &Plan) -> Result<(), String> {
    for name in plan.files.iter().filter_map(unit_name) {
        Program::Systemctl.must(&["enable", "--quiet", &name])?;
    }
    Ok(())
}

/// Writes the site, and has nginx take it. A site that nginx refuses is taken away again, or gets back the text that it
/// had, as nginx would not start with it.
fn write_site(file: &PlannedFile) -> Result<(), String> {
    let before = apply::read(&file.path)?;
    apply::write(file)?;
    let (link, target) = apply::site_link(&file.path);
    let new = apply::link(&link, &target)?;
    let (taken, said) = Program::Nginx.run(&["-t", "-q"]);
    if taken {
        return host::if_active("nginx.service", "reload").map(drop);
    }
    if new {
        apply::remove(&link)?;
    }
    apply::put_back(&file.path, before.as_deref())?;
    Err(format!(
        "nginx refuses its configuration with the new site, so the site {}\n  {}",
        match before {
            Some(_) => "is as it was before",
            None => "was taken away again",
        },
        said.replace('\n', "\n  ")
    ))
}

/// Lets the service take up the app. Gives whether a service polls.
pub(in crate::cli) fn tell_service(owner: &Owner, drop_in: bool) -> Result<bool, String> {
    let service = owner.service();
    if owner.own {
        Program::Systemctl.must(&["enable", "--now", "--quiet", &service])?;
    }
    host::tell_service(&service, drop_in)
}
