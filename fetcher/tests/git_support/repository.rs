//! The one way in which tests make repositories: git as somebody named, and files that are written, committed
//! and pushed. `Forge` has a repository to itself; `Home` has a work tree and the bare repository beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `git`, a command with its directory and user, and gives its output without the newline at its end.
pub fn run_git(mut git: Command, arguments: &[&str], input: &[u8]) -> String {
    git.args([
        "-c",
        "user.name=Ada Example",
        "-c",
        "user.email=ada@example.org",
    ]);
    git.args([
        "-c",
        "protocol.file.allow=always",
        "-c",
        "core.autocrlf=false",
        "-c",
        "init.templateDir=",
    ]);
    git.args(arguments).env("GIT_CONFIG_NOSYSTEM", "1");
    git.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = git.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Writes files below `work`, and the directories that they are in; what begins with `#!` can be executed.
pub fn write_files(work: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let file = work.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        let mode = if content.starts_with("#!") {
            0o755
        } else {
            0o644
        };
        fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    }
}
