//! A whole deploy over https by the real program, and what becomes of its token.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod program;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use git_support::Forge;
use git_support::https::{Server, backend, reply};
use program::Home;

const TOKEN: &str = "hunter2-in-a-file";

/// Every file below `directory` that holds `what`.
fn holding(directory: &Path, what: &str) -> Vec<String> {
    let found = std::process::Command::new("grep")
        .args(["-rlaF", what])
        .arg(directory)
        .output()
        .unwrap();
    let files = String::from_utf8(found.stdout).unwrap();
    files.lines().map(str::to_owned).collect()
}

#[test]
fn rule_33_a_push_is_deployed_over_https_and_the_token_stays_in_its_file() {
    let forge = Forge::new();
    let build = "#!/bin/sh\nenv\ntr '\\0' '\\n' <\"/proc/$PPID/cmdline\"\n";
    forge.commit("build.sh", build, "a build that looks around");
    let root = forge.dir.path().to_owned();
    let server = Server::start(move |request, stream| {
        if request.header("authorization").is_none() {
            return reply(stream, "401 Unauthorized", "", b"");
        }
        backend(&root, request, stream)
    });
    let home = Home::new();
    fs::copy(server.dir.path().join("ca.pem"), home.path().join("ca.pem")).unwrap();
    let token = home.path().join("todo.token");
    fs::write(&token, format!("{TOKEN}\n")).unwrap();
    fs::set_permissions(&token, PermissionsExt::from_mode(0o600)).unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(&token, Some(65534), Some(65534)).unwrap();
    }
    let app = |token_file: &str| {
        home.app(
            "todo",
            &format!(
                "repository = \"{url}\"\n[https]\nca_file = \"{home}/ca.pem\"\n{token_file}\n\
                 [deploy]\nroot = \"{home}/root\"\nbuild = \"build.sh\"\n",
                url = server.url("/repo"),
                home = home.path().display(),
            ),
        );
    };
    app("");
    let refused = home.fetcher(&["poll"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stdout) + String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("no token is configured"), "{said}");
    assert_eq!(refused.status.code(), Some(1));

    app(&format!("token_file = \"{}\"", token.display()));
    let polled = home.fetcher(&["poll", "todo"]).output().unwrap();
    let said = String::from_utf8_lossy(&polled.stdout) + String::from_utf8_lossy(&polled.stderr);
    assert_eq!(polled.status.code(), Some(0), "{said}");
    let live = home.path().join("root/current/app.py");
    assert_eq!(fs::read_to_string(live).unwrap(), "print('v1')\n");

    let basic = "eC1hY2Nlc3MtdG9rZW46aHVudGVyMi1pbi1hLWZpbGU";
    for command in [&["status"][..], &["history", "todo"], &["logs", "todo"]] {
        let output = home.fetcher(command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!said.is_empty(), "{command:?}");
        assert!(!said.contains(TOKEN) && !said.contains(basic), "{said}");
    }
    let held = holding(home.path(), TOKEN);
    assert_eq!(held, [token.display().to_string()]);
    assert_eq!(holding(home.path(), basic), [""; 0]);
    assert!(
        !holding(&home.path().join("state"), "PP_REVISION").is_empty(),
        "the build's environment was looked at"
    );

    let again = home.fetcher(&["poll", "todo"]).output().unwrap();
    assert_eq!(again.status.code(), Some(0));
    let hostkey = home.fetcher(&["hostkey", "show", "todo"]).output().unwrap();
    let said = String::from_utf8_lossy(&hostkey.stderr);
    assert!(said.contains("ca_file under [https]"), "{said}");
}
