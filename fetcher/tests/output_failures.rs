//! What a failed pass says: what happened, to what, why, and what to do.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

mod stage;

use std::fs;
use std::os::unix::fs::symlink;

use stage::Stage;

const BUILD: &str = "build = \"deploy.sh\"\n";
const GOOD: (&str, &str) = ("deploy.sh", "#!/bin/sh\necho built\n");

#[test]
fn a_build_that_fails() {
    let mut stage = Stage::new(BUILD);
    stage.push(&[GOOD], "The first version");
    stage.types("poll -qq");
    let script = "#!/bin/sh\nfor n in 1 2 3 4 5 6 7; do echo \"step $n\"; done\n\
                  printf '\\033[31mno such module: django\\n' >&2\nexit 3\n";
    stage.push(&[("deploy.sh", script)], "The second version");
    stage.types("poll");
    stage.types("poll");
    stage.types("poll --dry-run");
    stage.types("logs todo");
    stage.types("retry todo");
    stage.push(&[("deploy.sh", "#!/bin/sh\nkill -9 $$\n")], "Killed");
    stage.types("poll -qq");
    stage.push(&[("deploy.sh", "#!/no/such/shell\n")], "No such shell");
    stage.types("poll -qq");
    stage.push(&[("deploy.sh", "echo not executable\n")], "Not executable");
    stage.types("poll -qq");
    stage.git(&["-C", "forge", "rm", "-q", "deploy.sh"]);
    stage.push(&[("app.py", "\n")], "No script");
    stage.types("poll -qq");
    stage.configure(&format!("{BUILD}build_timeout = \"1s\"\n"));
    stage.push(&[("deploy.sh", "#!/bin/sh\nsleep 60\n")], "Too slow");
    stage.types("poll -qq");
    stage.is_as_before("failed_build");
}

/// Answers 500 as long as `current/app.py` says `bad`, on a port of its own.
fn serve(root: std::path::PathBuf) -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let app = fs::read_to_string(root.join("current/app.py")).unwrap_or_default();
            let code = if app == "bad\n" { "500 No" } else { "200 OK" };
            let answer =
                format!("HTTP/1.1 {code}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn an_app_that_is_not_well_and_goes_back() {
    let mut stage = Stage::new("");
    let port = serve(stage.path("root"));
    let health =
        format!("url = \"http://127.0.0.1:{port}/healthz\"\nwithin = \"3s\"\nsteady = \"1s\"\n");
    stage.configure(&format!("[health]\n{health}"));
    stage.push(&[("app.py", "good\n")], "The first version");
    stage.types("poll -qq");
    stage.push(&[("app.py", "bad\n")], "The second version");
    stage.types("poll");
    stage.types("poll");
    stage.types("status");
    stage.is_as_before("not_well");
}

#[test]
fn an_app_that_is_not_well_and_neither_is_the_way_back() {
    let mut stage = Stage::new("");
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types("poll -qq");
    stage.configure(
        "[health]\nurl = \"http://127.0.0.1:1/healthz\"\nwithin = \"1s\"\nsteady = \"1s\"\n",
    );
    stage.push(&[("app.py", "v2\n")], "The second version");
    stage.types("poll");
    stage.types("status");
    stage.is_as_before("stuck");
}

#[test]
fn a_first_release_that_is_not_well() {
    let mut stage =
        Stage::new("[health]\nurl = \"http://127.0.0.1:1/\"\nwithin = \"1s\"\nsteady = \"1s\"\n");
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types("poll -qq");
    stage.types("status");
    stage.is_as_before("not_well_first");
}

#[test]
fn a_tree_that_is_refused() {
    let mut stage = Stage::new("");
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types("poll -qq");
    symlink("/etc/passwd", stage.path("forge/passwd")).unwrap();
    stage.push(&[], "A link that leads out");
    stage.types("poll");
    stage.is_as_before("refused_tree");
}

#[test]
fn a_revision_that_nobody_has_signed() {
    let mut stage = Stage::new("");
    let signers = stage.path("allowed_signers");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3yqzTyPRLZPTrZ3VqhQ3gkoWm1iPFqHPDrq1QwWMBB";
    fs::write(&signers, format!("ada@example.org {key}\n")).unwrap();
    stage.configure(&format!(
        "[verify]\nallowed_signers = \"{}\"\n",
        signers.display()
    ));
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types("poll");
    stage.types("poll --dry-run");
    fs::remove_file(&signers).unwrap();
    stage.push(&[("app.py", "v2\n")], "The second version");
    stage.types("poll -qq");
    stage.is_as_before("refused_unsigned");
}

#[test]
fn a_history_that_was_rewritten() {
    let mut stage = Stage::new("[verify]\nfast_forward_only = true\n");
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types("poll -qq");
    stage.git(&["-C", "forge", "checkout", "-q", "--orphan", "other"]);
    stage.push(&[("app.py", "v2\n")], "Another history");
    stage.git(&["-C", "forge", "branch", "-M", "main"]);
    stage.types("poll");
    stage.types("accept-rewrite todo 0000000");
    stage.types("accept-rewrite todo nonsense");
    let tip = stage.git(&["-C", "forge", "rev-parse", "HEAD"]);
    stage.types(&format!("accept-rewrite todo {tip}"));
    stage.types("poll todo");
    stage.is_as_before("refused_rewrite");
}

#[test]
fn no_restarter_is_there() {
    let mut stage = Stage::new("[restart]\nunits = [\"gunicorn.todo.service\"]\n");
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types("poll --dry-run");
    stage.types("poll");
    stage.is_as_before("no_restarter");
}

#[test]
fn a_forge_that_cannot_be_asked() {
    let mut stage = Stage::new("");
    stage.types("poll todo");
    // While there is no release yet, no poll waits: somebody is setting the app up.
    stage.push(&[("app.py", "v0\n")], "The version before");
    stage.types("poll todo -qq");
    fs::rename(stage.path("forge"), stage.path("gone")).unwrap();
    stage.types("poll");
    stage.types("poll");
    stage.types("poll");
    stage.types("status");
    fs::rename(stage.path("gone"), stage.path("forge")).unwrap();
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.git(&["-C", "forge", "branch", "-M", "trunk"]);
    stage.types("poll todo");
    stage.is_as_before("no_forge");
}

#[test]
fn files_that_are_not_as_they_should_be() {
    let mut stage = Stage::new("");
    stage.push(&[("app.py", "v1\n")], "The first version");
    let state = stage.path("state/todo");
    fs::write(stage.path("root"), "a file\n").unwrap();
    stage.types("poll -qq");
    fs::remove_file(stage.path("root")).unwrap();
    fs::create_dir_all(stage.path("root/current")).unwrap();
    stage.types("poll todo -qq");
    fs::write(state.join("state.json"), "{\"schema\": 1, \"next").unwrap();
    stage.types("poll todo");
    stage.types("status");
    fs::write(state.join("state.json"), "{\"schema\": 99}").unwrap();
    stage.types("poll todo");
    stage.types("rollback todo");
    stage.is_as_before("wrong_files");
}

#[test]
fn directories_that_somebody_else_owns() {
    use std::os::unix::fs::PermissionsExt;
    let mut stage = Stage::new("");
    stage.push(&[("app.py", "v1\n")], "The first version");
    let closed = |name: &str, mode| {
        let path = stage.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    // Closed to whoever the program runs as, also if that is the owner.
    closed("root", 0o555);
    closed("state/todo", 0o777);
    stage.types("poll todo");
    let mut other = Stage::new("");
    fs::set_permissions(other.path("state"), fs::Permissions::from_mode(0o555)).unwrap();
    other.types("poll");
    other.types("status");
    other.types("pause todo --reason exams");
    stage.is_as_before("closed_root");
    other.is_as_before("closed_state");
}
