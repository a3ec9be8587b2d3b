//! `pp-fetcher setup`: makes everything on this host that a new app needs, and `setup --remove` takes it away again.
//!
//! - [`wanted`]: what the app is to be. [`mod@plan`]: the files and directories that this takes; pure, so that
//!   `--dry-run` shows exactly what would be written. [`places`]: where those files stand.
//! - [`app_file`]: the app's configuration. [`examples`]: units and nginx site, made from the packages' examples.
//! - [`mod@mark`]: the first line of each file, which tells whose the file is. [`host`]: what root finds out about the host before the plan. [`apply`]: what root writes; below /etc alone, but
//!   for directories that the apps' user cannot make. [`commands`]: systemctl and nginx, run by root.
//! - [`for_user`]: what the apps' user makes, in a process of its own: the deploy key, and directories among those of
//!   other apps, where root follows no path.
//! - [`registration`]: where the key is registered at the forge. [`remove`]: whose the files are that `--remove` finds.

pub(crate) mod app_file;
pub(crate) mod apply;
pub(crate) mod commands;
pub(crate) mod examples;
pub(crate) mod for_user;
pub(crate) mod host;
pub(crate) mod mark;
pub(crate) mod places;
pub(crate) mod plan;
pub(crate) mod registration;
pub(crate) mod remove;
pub(crate) mod wanted;

pub(crate) use mark::mark;
pub(crate) use plan::{FileUse, Plan, PlannedFile, plan};
pub(crate) use wanted::{Gunicorn, Listen, Owner, Wanted};
