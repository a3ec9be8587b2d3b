//! `pp-fetcher adopt`: an app that is checked out in place, and deployed by a script from cron, becomes releases and
//! shared data under the same path.
//!
//! - [`look`]: what the apps' user finds in the checkout, in crontabs and in ssh's configuration. [`jobs`]: what
//!   updates the checkout. [`poller`]: reading the lines and scripts of the makeshift. [`data`]: which files outlive releases. [`units`]: which units run the app.
//! - [`for_user`]: what the apps' user does for an adoption. [`moving`]: moves the data while the app is stopped. [`record`]: what was changed, for `--undo`.
//! - [`files`]: the files that an adoption writes beside those of a set-up.
//!
//! The order is such that the app serves from the checkout until one restart, and can go back to it by another. First a
//! release is made of the very commit that is live; its data is reached by links that lead to where the data still is. A
//! drop-in then moves the unit's working directory into the release. While systemd has the app stopped for that one
//! restart, and before it starts the app again, the data is renamed to its new place. SQLite finds its journals beside
//! the real file behind a link, so that at no time two processes take different journals for one database.

pub(crate) mod data;
pub(crate) mod files;
pub(crate) mod for_user;
pub(crate) mod jobs;
pub(crate) mod look;
pub(crate) mod moving;
pub(crate) mod poller;
pub(crate) mod record;
pub(crate) mod units;
