//! Finds apps whose root directories are the same or lie one inside the other: each would switch, prune and
//! remove the releases of the other app.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::settings::App;

/// Removes the apps whose roots overlap from `apps`. Gives an error for each of them, which names the file of
/// the other app.
pub(super) fn part(apps: &mut Vec<App>) -> Vec<ConfigError> {
    let roots: Vec<_> = apps.iter().map(|app| real(&app.deploy.root)).collect();
    let clash = |at: usize| {
        let mine = roots.get(at)?;
        let mut others = roots.iter().zip(apps.iter()).enumerate();
        others.find_map(|(n, (root, app))| {
            let overlap = root.starts_with(mine) || mine.starts_with(root);
            (n != at && overlap).then(|| (app.path.clone(), root.clone()))
        })
    };
    let clashes: Vec<_> = (0..apps.len()).map(clash).collect();
    let errors = apps
        .iter()
        .zip(&clashes)
        .filter_map(|(app, clash)| {
            let (file, root) = clash.as_ref()?;
            let mine = &app.deploy.root;
            let how = if *root == real(mine) {
                "is also the root of"
            } else {
                "and the root of another app lie one inside the other:"
            };
            let what = format!(
                "`deploy.root` {} {how} {} ({}): neither app is polled",
                mine.display(),
                file.display(),
                root.display()
            );
            let error = ConfigError::new(&app.path, what);
            Some(error.mend("give each app a directory of its own"))
        })
        .collect();
    let mut clashes = clashes.into_iter();
    apps.retain(|_| clashes.next().flatten().is_none());
    errors
}

/// Resolves the symbolic links in the part of `path` that exists; the rest is used as written.
fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            // The part that does not exist has no links; `..` in it is refused when the directory is made.
            return real.join(rest).components().collect();
        }
    }
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_is_what_its_links_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("a")).unwrap();
        symlink("a", base.join("link")).unwrap();
        for (written, meant) in [
            ("a", "a"),
            ("a/", "a"),
            ("link", "a"),
            ("link/new", "a/new"),
            ("none/new/", "none/new"),
        ] {
            assert_eq!(real(&base.join(written)), base.join(meant), "{written}");
        }
    }
}
