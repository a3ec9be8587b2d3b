//! `[deploy] env_files`: what a build gets of them, and what is said where they cannot be read. That they are read as
//! systemd reads them is shown against systemd in the lab (`tests/tests/sandboxed.rs`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;

use site::Site;
use site::typed::mode;

/// A site whose build keeps its environment, and with these files under `env_files`.
fn site(files: &[&str]) -> Site {
    let site = Site::with_one_live();
    let at = site.home.path().display().to_string();
    let files: Vec<_> = files.iter().map(|file| file.replace("HERE", &at)).collect();
    site.configure(
        &format!("env_files = {files:?}\n[deploy.env]\nBOTH = \"written\"\n"),
        "",
    );
    site
}

fn built_with(site: &Site) -> String {
    fs::read_to_string(site.root().join("current/environment")).unwrap()
}

#[test]
fn the_build_has_the_files_in_order_and_what_is_written_counts_before_them() {
    let site = site(&["HERE/one.env", "-HERE/two.env", "-HERE/none.env"]);
    let write = |name: &str, text: &str| fs::write(site.home.path().join(name), text).unwrap();
    write(
        "one.env",
        "# for unit and build\nSECRET_KEY='s3 cret'\nTWICE=one\nBOTH=file\nPP_APP=other\n",
    );
    write("two.env", "TWICE=two\n");
    site.push("two", "200", "env >environment");
    let said = site.poll();
    said.ended(0);
    let environment = built_with(&site);
    for line in [
        "SECRET_KEY=s3 cret",
        "TWICE=two",
        "BOTH=written",
        "PP_APP=todo",
    ] {
        assert!(
            environment.lines().any(|l| l == line),
            "{line}: {environment}"
        );
    }
    for shown in [
        &said.text,
        &site.run(&["doctor", "todo"]).text,
        &site.run(&["history", "todo", "--json"]).text,
    ] {
        assert!(!shown.contains("s3 cret"), "{shown}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_found_before_the_fetch_and_the_mend_ends_well() {
    let site = site(&["HERE/one.env"]);
    let path = site.home.path().join("one.env");
    site.push("two", "200", "");
    let absent = site.poll();
    absent
        .ended(1)
        .has(&["failed: look", "one.env", "write the file, or `-"]);
    assert!(site.state().quarantined.is_empty(), "{absent:?}");
    site.run(&["doctor", "todo"])
        .ended(1)
        .has(&["FAULT    environment", "one.env"]);
    site.run(&["poll", "--dry-run"]).ended(1).has(&["one.env"]);
    fs::write(&path, b"NAME=Andr\xe9\n").unwrap();
    site.run(&["poll", "todo", "--force"])
        .ended(1)
        .has(&["must be UTF-8: iconv -f LATIN1 -t UTF-8"]);
    fs::write(&path, "NAME=x\n").unwrap();
    mode(&path, 0o000);
    if nix::unistd::geteuid().is_root() {
        // The file is root's here, and the program runs as nobody.
        site.run(&["poll", "todo", "--force"])
            .ended(1)
            .has(&["as root: chown ", "chmod 400"]);
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    }
    mode(&path, 0o400);
    site.run(&["poll", "todo", "--force"]).ended(0);
    assert_eq!(site.served().as_deref(), Some("two"));
}

#[test]
fn a_path_that_is_none_is_a_mistake_of_the_configuration() {
    let site = site(&["todo.env"]);
    site.poll()
        .ended(2)
        .has(&["`todo.env` is not an absolute path"]);
}
