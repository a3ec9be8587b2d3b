//! What `rollback`, `retry`, `pause`, `resume` say, and who comes while a pass is at work.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod stage;

use std::fs;
use std::time::{Duration, Instant};

use stage::Stage;

#[test]
fn a_rollback_and_what_comes_after_it() {
    let mut stage = Stage::new("");
    stage.types("rollback todo");
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types("poll -qq");
    stage.types("rollback todo");
    stage.push(&[("app.py", "v2\n")], "The second version");
    stage.types("poll -qq");
    stage.types("rollback todo 1234567");
    stage.types("rollback todo");
    stage.types("poll");
    stage.types("status");
    stage.types("retry todo");
    stage.types("retry todo");
    stage.types("poll");
    stage.is_as_before("rollback");
}

#[test]
fn a_pause_and_its_end() {
    let mut stage = Stage::new("");
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types_bare("pause todo");
    stage.types("pause todo --reason exams --until tomorrow");
    stage.types("pause todo --reason exams --until 2020-01-01T00:00:00Z");
    stage.types("pause todo --reason exams --until 2h");
    stage.types("poll");
    stage.types("poll --dry-run");
    stage.types("resume todo");
    stage.types("resume todo");
    stage.types("poll -qq");
    stage.is_as_before("pause");
}

#[test]
fn somebody_who_comes_while_a_pass_is_at_work() {
    let mut stage = Stage::new("build = \"deploy.sh\"\n");
    let go = stage.path("go");
    let script = format!(
        "#!/bin/sh\ntouch {0}.begun\nwhile ! test -e {0}; do sleep 0.05; done\n",
        go.display()
    );
    stage.push(&[("deploy.sh", &script)], "The first version");
    let mut busy = stage.command(&["poll", "-qq"]).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !stage.path("go.begun").exists() {
        assert!(Instant::now() < until, "the build does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    for line in [
        "poll",
        "poll -q",
        "poll --json",
        "poll --dry-run",
        "rollback todo",
        "retry todo",
        "pause todo --reason exams",
        "status",
    ] {
        stage.types(line);
    }
    fs::write(go, "").unwrap();
    assert!(busy.wait().unwrap().success());
    stage.is_as_before("busy");
}
