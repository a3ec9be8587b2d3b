//! The files that an adoption writes beside those of a set-up: drop-ins of the app's units, and the scripts by which the
//! build script of the makeshift runs without its restart.

use std::path::{Path, PathBuf};

use super::record::DIRECTORY;

/// The first words of every file of an adoption.
fn mark(app: &str) -> String {
    format!("# Written by pp-fetcher adopt for {app}.")
}

/// The directory of an app's scripts.
#[must_use]
pub(crate) fn scripts(app: &str) -> PathBuf {
    Path::new(DIRECTORY).join(app)
}

/// Gives the drop-in by which a unit works in the live release. With `moves`, the data is moved before the next start.
#[must_use]
pub(crate) fn into_release(app: &str, root: &Path, moves: &[PathBuf]) -> String {
    let root_text = root.display();
    let mut text = format!(
        "{} The unit works in the live release.\n[Service]\nWorkingDirectory={root_text}/current\n",
        mark(app)
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

/// Whether systemd takes this path in a line of a unit as it is.
#[must_use]
pub(crate) fn is_plain(path: &Path) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
    let text = path.as_os_str().as_encoded_bytes();
    !text.is_empty() && !text.starts_with(b"-") && text.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_in_moves_the_data_once_and_the_next_one_only_the_directory() {
        let root = Path::new("/var/www/projects/todo");
        let text = into_release("todo", root, &["db.sqlite3".into(), "media".into()]);
        assert!(
            text.contains("\nWorkingDirectory=/var/www/projects/todo/current\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\nExecStartPre=-/usr/bin/pp-fetcher move-data /var/www/projects/todo db.sqlite3 media\n"),
            "{text}"
        );
        assert!(!into_release("todo", root, &[]).contains("ExecStartPre"));
        let back = into_checkout("todo", root, &["db.sqlite3".into()]);
        assert!(
            back.contains("move-data --back ") && !back.contains("WorkingDirectory"),
            "{back}"
        );
    }

    #[test]
    fn only_paths_that_a_unit_takes_as_they_are_are_plain() {
        assert!(is_plain(Path::new("/var/www/projects/todo-2_x.y")));
        for path in ["/srv/a b", "/srv/%i", "-x", "", "/srv/$x"] {
            assert!(!is_plain(Path::new(path)), "{path}");
        }
    }
}
