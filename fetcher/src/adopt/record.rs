//! What an adoption has changed, written down before it is changed: `--undo` works from it, also after a crash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::poller::Job;

/// The directory of the records and of the scripts that stand in for parts of the makeshift.
pub(crate) const DIRECTORY: &str = "/etc/pp-fetcher/adopted";

/// What an adoption has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The app's name.
    pub app: String,
    /// The apps' user.
    pub user: String,
    /// The checkout, which is the app's root from now on.
    pub root: PathBuf,
    /// The commit that was live in the checkout.
    pub commit: String,
    /// The units that run the app; the first is the one that is restarted with the data in between.
    pub units: Vec<String>,
    /// The directory below the checkout in which a unit works, of those that do not work at its top.
    pub below: BTreeMap<String, PathBuf>,
    /// Paths of the checkout that were moved to `shared/`.
    pub shared: Vec<PathBuf>,
    /// Lines of crontabs that were switched off.
    pub jobs: Vec<Job>,
    /// The copy that was made of the deploy key.
    pub key: Option<PathBuf>,
}

impl Record {
    /// The file of the record of `app`.
    #[must_use]
    pub(crate) fn path(app: &str) -> PathBuf {
        Path::new(DIRECTORY).join(format!("{app}.json"))
    }

    /// The drop-in of one of the units.
    #[must_use]
    pub(crate) fn drop_in(unit: &str) -> PathBuf {
        PathBuf::from(format!("/etc/systemd/system/{unit}.d/pp-fetcher.conf"))
    }
}

/// Gives the text of a crontab in which `line` is switched off, or on again; `None` if the line is not there.
#[must_use]
pub(crate) fn switch_job(crontab: &str, line: &str, app: &str, off: bool) -> Option<String> {
    let mark = format!("#switched off by pp-fetcher adopt {app}: ");
    let (from, to) = match off {
        true => (line.to_owned(), format!("{mark}{line}")),
        false => (format!("{mark}{line}"), line.to_owned()),
    };
    let mut found = false;
    let mut text = String::new();
    for one in crontab.split_inclusive('\n') {
        let (body, end) = match one.strip_suffix('\n') {
            Some(body) => (body, "\n"),
            None => (one, ""),
        };
        let same = body == from;
        found |= same;
        text.push_str(if same { &to } else { body });
        text.push_str(end);
    }
    found.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_switched_off_and_on_again_and_nothing_else_changes() {
        let line = "*/5 * * * * gunicorn /opt/poll.sh >> /var/log/x 2>&1";
        let crontab = format!("SHELL=/bin/sh\n{line}\n17 * * * * root run-parts\n{line} twice");
        let off = switch_job(&crontab, line, "todo", true).unwrap();
        assert_eq!(off.lines().filter(|found| *found == line).count(), 0);
        assert!(off.ends_with(" twice"), "{off}");
        assert_eq!(switch_job(&off, line, "todo", true), None);
        assert_eq!(
            switch_job(&off, line, "todo", false).as_deref(),
            Some(&*crontab)
        );
    }
}
