//! What a wrong command line or configuration is answered with, and the help.

#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

mod stage;

use std::fs;

use stage::Stage;

#[test]
fn a_wrong_configuration_is_told_with_its_place_and_the_mend() {
    let mut stage = Stage::new("");
    for text in [
        "repositry = \"file:///srv/git/todo\"\n[deploy]\nroot = \"/srv/todo\"\n",
        "repository = \"file:///srv/git/todo\"\n[deploy]\nroot = 7\n",
        "repository = \"file:///srv/git/todo\"\n",
        "repository = \"ftp://example.org/todo\"\n[deploy]\nroot = \"/srv/todo\"\n",
        "repository = \"file:///srv/git/todo\"\n[deploy]\nroot = \"srv/todo\"\n",
        "repository = \"file:///srv/git/todo\"\ninterval = \"5 minutes\"\n[deploy]\nroot = \"/srv/todo\"\n",
        "repository = \"file:///srv/git/todo\"\nbranch = \"main\"\ntag = \"v*\"\n[deploy]\nroot = \"/srv/todo\"\n",
        "repository = \"file:///srv/git/todo\"\n[deploy]\nroot = \"/srv/todo\"\n[restart]\nunits = [\"../todo\"]\n",
        "repository = \"file:///srv/git/todo\"\n[deploy\n",
        "",
    ] {
        stage.home.app("todo", text);
        let output = stage.types("status");
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(!output.stderr.is_empty(), "{text}");
    }
    assert_eq!(stage.types("poll").status.code(), Some(2));
    assert_eq!(stage.types("poll todo").status.code(), Some(2));
    fs::write(stage.path("config.toml"), "[deploy]\nkep = 5\n").unwrap();
    assert_eq!(stage.types("poll").status.code(), Some(2));
    assert_eq!(stage.types("status").status.code(), Some(2));
    stage.is_as_before("wrong_configuration");
}

#[test]
fn a_configuration_that_is_not_there() {
    let mut stage = Stage::new("");
    fs::remove_file(stage.path("apps.d/todo.toml")).unwrap();
    for line in [
        "poll",
        "poll -q",
        "status",
        "history todo",
        "rollback todo",
        "run --no-such",
    ] {
        stage.types(line);
    }
    fs::remove_dir(stage.path("apps.d")).unwrap();
    stage.types("poll");
    stage.is_as_before("no_configuration");
}

#[test]
fn a_command_line_that_is_not_understood() {
    let mut stage = Stage::new("");
    for line in ["poll tood", "hostkey show tood"] {
        assert_eq!(stage.types(line).status.code(), Some(2), "{line}");
    }
    for line in [
        "pol",
        "poll --dry-run --force",
        "history",
        "logs todo one",
        "--color sometimes status",
        "hostkey",
        "retry",
    ] {
        assert_eq!(stage.types_bare(line).status.code(), Some(2), "{line}");
    }
    stage.is_as_before("wrong_command_line");
}

#[test]
fn the_version_is_the_same_with_the_parser_and_without() {
    let mut stage = Stage::new("");
    for line in ["--version", "-V", "--color never --version"] {
        let output = stage.types_bare(line);
        let said = (output.status.code(), output.stdout, output.stderr);
        let version = format!("pp-fetcher {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(said, (Some(0), version.into_bytes(), Vec::new()), "{line}");
    }
}

#[test]
fn the_help_of_every_command() {
    let mut stage = Stage::new("");
    let commands = pp_fetcher::command();
    let mut lines = vec![String::new()];
    for command in commands.get_subcommands() {
        lines.push(command.get_name().to_owned());
        for below in command.get_subcommands() {
            lines.push(format!("{} {}", command.get_name(), below.get_name()));
        }
    }
    for line in &lines {
        let help = format!("{line} --help");
        assert_eq!(stage.types(help.trim()).status.code(), Some(0), "{line}");
    }
    assert!(lines.len() > 12, "{lines:?}");
    stage.is_as_before("help");
}
