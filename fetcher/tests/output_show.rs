//! What `status`, `history` and `logs` show.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

mod stage;

use stage::Stage;

const BUILD: &str = "build = \"deploy.sh\"\n";

fn shown(stage: &mut Stage) {
    for line in [
        "status",
        "status --json",
        "history todo",
        "history todo --json",
        "logs todo",
    ] {
        stage.types(line);
    }
}

#[test]
fn before_anything_was_deployed() {
    let mut stage = Stage::new(BUILD);
    shown(&mut stage);
    stage.is_as_before("show_none");
}

#[test]
fn after_a_good_deploy() {
    let mut stage = Stage::new(BUILD);
    stage.push(
        &[("deploy.sh", "#!/bin/sh\necho built\n")],
        "The first version",
    );
    stage.types("poll -qq");
    shown(&mut stage);
    stage.types("logs todo 1");
    stage.types("logs todo 7");
    stage.types("--color always status");
    stage.is_as_before("show_good");
}

#[test]
fn after_a_failed_one() {
    let mut stage = Stage::new(BUILD);
    stage.push(
        &[("deploy.sh", "#!/bin/sh\necho built\n")],
        "The first version",
    );
    stage.types("poll -qq");
    stage.push(
        &[("deploy.sh", "#!/bin/sh\necho broken; exit 1\n")],
        "The second version",
    );
    stage.types("poll -qq");
    shown(&mut stage);
    stage.types("--color always status todo");
    stage.types("--color always history todo");
    stage.is_as_before("show_quarantined");
}

#[test]
fn while_paused_and_with_another_app() {
    let mut stage = Stage::new(BUILD);
    stage.push(
        &[("deploy.sh", "#!/bin/sh\necho built\n")],
        "The first version",
    );
    stage.types("poll -qq");
    let text =
        "repository = \"/srv/git/a_longer_name.git\"\n[deploy]\nroot = \"/srv/a_longer_name\"\n";
    stage.home.app(
        "a_longer_name",
        &text.replace("\"/srv/git", "\"file:///srv/git"),
    );
    stage.types("pause todo --reason \"exams until Friday\"");
    stage.types("status");
    stage.types("status todo --json");
    stage.is_as_before("show_paused");
}
