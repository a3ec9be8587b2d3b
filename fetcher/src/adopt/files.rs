//! The files that an adoption writes beside those of a set-up: drop-ins of the app's units, and the scripts by which the
//! build script of the makeshift runs without its restart.

use std::path::{Path, PathBuf};

use super::record::DIRECTORY;
use crate::release::Layout;

/// The first words of every file of an adoption.
fn mark(app: &str) -> String {
    format!("# Written by pp-fetcher adopt for {app}.")
}

/// The directory of an app's scripts.
#[must_use]
pub(crate) fn scripts(app: &str) -> PathBuf {
    Path::new(DIRECTORY).join(app)
}

/// Gives the drop-in by which a unit works in the live release, in its directory `below`. With `moves`, the data is moved
/// before the next start.
#[must_use]
pub(crate) fn into_release(app: &str, root: &Path, below: &Path, moves: &[PathBuf]) -> String {
    let live = Layout::new(root).current_link();
    let works_in: PathBuf = live.join(below).components().collect();
    let mut text = format!(
        "{} The unit works in the live release.\n[Service]\nWorkingDirectory={}\n",
        mark(app),
        works_in.display()
    );
    text.push_str(&moving(root, moves, ""));
    text
}

/// Gives the drop-in by which a unit works in the checkout again, and moves the data back before the next start.
#[must_use]
pub(crate) fn into_checkout(app: &str, root: &Path, moves: &[PathBuf]) -> String {
    format!(
        "{} Back to the checkout.\n[Service]\n{}",
        mark(app),
        moving(root, moves, "--back ")
    )
}

/// The line by which systemd has the data moved while the app is stopped. As the user of the unit; `-`, as the app runs
/// with its data in either place.
fn moving(root: &Path, paths: &[PathBuf], how: &str) -> String {
    if paths.is_empty() {
        return String::new();
    }
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!(
        "ExecStartPre=-/usr/bin/pp-fetcher move-data {how}{} {}\n",
        root.display(),
        paths.join(" ")
    )
}

/// The script that runs the makeshift's build script with [`sudo`] in place of sudo(8).
#[must_use]
pub(crate) fn build(app: &str, script: &str) -> String {
    format!(
        "#!/bin/sh\n{} {script} of the repository restarts the app itself, by sudo;\n# pp-fetcher does that after the switch. \
         Take that line out of {script}, then write  build = \"{script}\"  to the app's file.\n\
         PATH={}:$PATH\nexport PATH\nexec ./{script}\n",
        mark(app),
        scripts(app).join("bin").display()
    )
}

/// What the build script finds in place of sudo(8): it says what was left out. It does nothing else, and has no right to.
#[must_use]
pub(crate) fn sudo(app: &str) -> String {
    format!(
        "#!/bin/sh\n{}\necho \"left out, as pp-fetcher restarts the app after the switch: sudo $*\"\n",
        mark(app)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_in_moves_the_data_once_and_the_next_one_only_the_directory() {
        let root = Path::new("/var/www/projects/todo");
        let top = Path::new("");
        let text = into_release("todo", root, top, &["db.sqlite3".into(), "media".into()]);
        assert!(
            text.contains("\nWorkingDirectory=/var/www/projects/todo/current\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\nExecStartPre=-/usr/bin/pp-fetcher move-data /var/www/projects/todo db.sqlite3 media\n"),
            "{text}"
        );
        let below = into_release("todo", root, Path::new("src"), &[]);
        assert!(
            below.ends_with("=/var/www/projects/todo/current/src\n"),
            "{below}"
        );
        let back = into_checkout("todo", root, &["db.sqlite3".into()]);
        assert!(
            back.contains("move-data --back ") && !back.contains("WorkingDirectory"),
            "{back}"
        );
    }
}
