//! What `rollback`, `retry`, `pause`, `resume` say, and who comes while a pass is at work.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod stage;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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

fn wait_until(what: &str, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_there() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Pushes a build that makes the file `go.begun`, waits for the file `go`, and has `end` as its last line; and begins to deploy it.
fn build_that_waits(stage: &mut Stage, end: &str) -> Child {
    // Relative, so that the revision is the same on every run.
    let script = format!(
        "#!/bin/sh\ncd ../../..\ntouch go.begun\nwhile ! test -e go; do sleep 0.05; done\n{end}\n"
    );
    stage.push(&[("deploy.sh", &script)], "The first version");
    let mut busy = stage.command(&["poll", "-qq"]);
    let busy = busy.stdout(Stdio::null()).spawn().unwrap();
    let begun = stage.path("go.begun");
    wait_until("the build begins", || begun.exists());
    busy
}

/// A command that waits for the end of the build, and has shown that it does.
struct Waiting {
    child: Child,
    out: PathBuf,
}

impl Waiting {
    fn begin(stage: &Stage, line: &str) -> Self {
        let arguments: Vec<_> = line.split(' ').collect();
        let out = stage.path("waits");
        let mut command = stage.command(&arguments);
        command.stdout(File::create(&out).unwrap());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the build is shown", || {
            fs::read_to_string(&out).unwrap().contains("deploying")
        });
        Self { child, out }
    }

    fn end(self) -> Output {
        let mut output = self.child.wait_with_output().unwrap();
        output.stdout = fs::read(self.out).unwrap();
        output
    }
}

/// Begins a command, lets the build go on once the command waits for its end, and writes down what comes of the command.
fn types_meanwhile(stage: &mut Stage, line: &str) {
    let waiting = Waiting::begin(stage, line);
    fs::write(stage.path("go"), "").unwrap();
    stage.saw(line, &waiting.end());
}

#[test]
fn a_poll_that_waits_shows_the_deploy_of_another_pass_and_ends_as_that_has_ended() {
    for (name, code) in [("waits_good", 0), ("waits_failed", 3)] {
        let mut stage = Stage::new("build = \"deploy.sh\"\n");
        let mut busy = build_that_waits(&mut stage, &format!("exit {code}"));
        types_meanwhile(&mut stage, "poll todo --wait");
        assert_eq!(busy.wait().unwrap().code(), Some(i32::from(code != 0)));
        stage.types("poll todo --wait");
        // As the message to a command that came while a pass was at work advises.
        assert!(stage.types("retry todo").status.success());
        stage.is_as_before(name);
    }
}

#[test]
fn a_forced_poll_deploys_after_the_pass_that_it_has_waited_for() {
    let mut stage = Stage::new("build = \"deploy.sh\"\n");
    let mut busy = build_that_waits(&mut stage, "exit 0");
    types_meanwhile(&mut stage, "poll todo --force");
    assert!(busy.wait().unwrap().success());
    stage.is_as_before("waits_forced");
}

#[test]
fn a_forced_poll_ends_as_its_own_attempt_whatever_became_of_the_one_before() {
    let mut stage = Stage::new("build = \"deploy.sh\"\n");
    let mut busy = build_that_waits(&mut stage, "test -e failed || { touch failed; exit 3; }");
    let waiting = Waiting::begin(&stage, "poll todo --force");
    fs::write(stage.path("go"), "").unwrap();
    let output = waiting.end();
    assert_eq!(busy.wait().unwrap().code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    let [failed, good] = ["todo: failed: ", "todo: good: "].map(|end| said.find(end).unwrap());
    assert!(failed < good, "{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn a_poll_that_waits_and_is_told_to_stop_does_not_say_that_all_is_well() {
    let mut stage = Stage::new("build = \"deploy.sh\"\n");
    let mut busy = build_that_waits(&mut stage, "exit 0");
    let waiting = Waiting::begin(&stage, "poll todo --wait");
    let pid = Pid::from_raw(i32::try_from(waiting.child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let output = waiting.end();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.ends_with("another pass is at work, left to it\n"),
        "{said}"
    );
    fs::write(stage.path("go"), "").unwrap();
    assert!(busy.wait().unwrap().success());
}

#[test]
fn what_a_person_types_while_a_pass_only_polls_is_done_after_it() {
    let mut stage = Stage::new("");
    stage.push(&[("app.py", "v1\n")], "The first version");
    stage.types("poll -qq");
    for line in [
        "pause todo --reason exams",
        "resume todo",
        "retry todo",
        "redeploy todo",
    ] {
        let lock = File::open(stage.path("state/todo/lock")).unwrap();
        let held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(held);
        });
        let output = stage.types(line);
        assert!(output.status.success(), "{line}: {output:?}");
        ends.join().unwrap();
    }
}

#[test]
fn somebody_who_comes_while_a_pass_is_at_work() {
    let mut stage = Stage::new("build = \"deploy.sh\"\n");
    let mut busy = build_that_waits(&mut stage, "exit 0");
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
    fs::write(stage.path("go"), "").unwrap();
    assert!(busy.wait().unwrap().success());
    stage.is_as_before("busy");
}
