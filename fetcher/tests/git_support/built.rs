//! The programs under test, where cargo has built them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// A program of this build.
pub fn built(name: &str) -> PathBuf {
    directory().join(name)
}

/// The git worker, built anew if its sources are newer: it is another package's, which cargo does not build for a
/// test of this one alone.
pub fn built_worker() -> PathBuf {
    static WORKER: OnceLock<PathBuf> = OnceLock::new();
    let worker = WORKER.get_or_init(|| {
        let worker = built("pp-git-worker");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
        let newest =
            ["worker/src", "objects/src", "worker/Cargo.toml"].map(|p| newest(&sources.join(p)));
        let made = worker.metadata().and_then(|found| found.modified());
        if made.is_ok_and(|made| newest.iter().all(|source| *source <= made)) {
            return worker;
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "pp-git-worker",
            "--target-dir",
        ]);
        cargo
            .arg(directory().parent().unwrap())
            .current_dir(sources);
        if directory().ends_with("release") {
            cargo.arg("--release");
        }
        assert!(
            cargo.status().unwrap().success(),
            "the git worker cannot be built"
        );
        // cargo leaves a program alone whose sources have only been touched.
        let now = std::fs::File::options().append(true).open(&worker);
        let _ = now.and_then(|file| file.set_modified(SystemTime::now()));
        worker
    });
    worker.clone()
}

fn newest(path: &Path) -> SystemTime {
    let own = path.metadata().and_then(|found| found.modified()).unwrap();
    let below = std::fs::read_dir(path).into_iter().flatten().flatten();
    below.map(|entry| newest(&entry.path())).fold(own, Ord::max)
}

/// Above `deps/`, where the tests themselves are.
fn directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let beside = test.parent().unwrap();
    let above = beside.ends_with("deps").then(|| beside.parent().unwrap());
    above.unwrap_or(beside).to_owned()
}
