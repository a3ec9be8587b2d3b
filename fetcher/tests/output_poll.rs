//! What `poll` says, as cron's log has it and as programs read it.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

mod stage;

use stage::Stage;

const BUILD: &str = "build = \"deploy.sh\"\n";
const SCRIPT: (&str, &str) = ("deploy.sh", "#!/bin/sh\necho Collecting static files\n");

#[test]
fn a_first_deploy_a_no_op_and_an_update() {
    let mut stage = Stage::new(BUILD);
    stage.push(&[SCRIPT, ("app.py", "v1\n")], "The first version");
    stage.types("poll --dry-run");
    stage.types("poll");
    stage.types("poll");
    stage.types("poll --dry-run");
    stage.push(&[("app.py", "v2\n")], "The second version");
    stage.types("poll --dry-run todo");
    stage.types("poll todo");
    stage.types("poll --force");
    stage.is_as_before("poll");
}

#[test]
fn quiet_is_silent_about_nothing_and_twice_quiet_about_success() {
    let mut stage = Stage::new(BUILD);
    stage.push(&[SCRIPT, ("app.py", "v1\n")], "The first version");
    stage.types("poll -q");
    assert!(stage.types("poll -q").stdout.is_empty());
    stage.push(&[("app.py", "v2\n")], "The second version");
    assert!(stage.types("poll -qq").stdout.is_empty());
    stage.push(&[("deploy.sh", "#!/bin/sh\nexit 1\n")], "The third version");
    assert!(!stage.types("poll -qq").stdout.is_empty());
    assert!(stage.types("poll -q").stdout.is_empty());
    stage.push(
        &[("deploy.sh", "#!/bin/sh\nexit 2\n")],
        "The fourth version",
    );
    stage.types("poll -q");
    stage.is_as_before("poll_quiet");
}

#[test]
fn json_is_one_line_an_app() {
    let mut stage = Stage::new(BUILD);
    let text = format!(
        "repository = \"file://{0}/none\"\n[deploy]\nroot = \"{0}/other\"\n",
        stage.home.path().display()
    );
    stage.push(&[SCRIPT, ("app.py", "v1\n")], "The first version");
    stage.types("poll --json --dry-run");
    stage.types("poll --json");
    stage.types("poll --json");
    stage.types("poll --json -q");
    stage.types("poll --json --dry-run");
    stage.push(
        &[("deploy.sh", "#!/bin/sh\necho no; exit 1\n")],
        "The second version",
    );
    stage.types("poll --json");
    stage.types("poll --json");
    stage.types("pause todo --reason exams");
    stage.types("poll --json");
    stage.home.app("other", &text);
    for output in [
        stage.types("poll other --json"),
        stage.types("poll other --json --dry-run"),
    ] {
        assert_eq!(output.status.code(), Some(1));
    }
    stage.is_as_before("poll_json");
}

#[test]
fn a_reader_that_leaves_ends_nothing() {
    let mut stage = Stage::new(BUILD);
    stage.push(&[SCRIPT], "The first version");
    for arguments in [
        &["poll"][..],
        &["history", "todo"],
        &["status"],
        &["logs", "todo"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = stage.command(arguments).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?} {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?} {output:?}");
    }
    assert!(stage.path("root/current").exists());
}

#[test]
fn another_programs_journal_is_not_ours() {
    let mut stage = Stage::new(BUILD);
    stage.push(&[SCRIPT], "The first version");
    let mut command = stage.command(&["poll"]);
    let output = command.env("JOURNAL_STREAM", "1:1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("20") && text.contains("Z todo: good"),
        "{text}"
    );
}
