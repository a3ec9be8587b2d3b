//! What a terminal shows: while a step is under way, and in the end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod stage;

use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stage::{Stage, as_before};

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// All that was written.
    raw: Vec<u8>,
}

impl Terminal {
    fn start(command: Command) -> Self {
        Self::of_size(command, 40, 100)
    }

    fn of_size(mut command: Command, rows: u16, columns: u16) -> Self {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        command.stdin(slave.try_clone().unwrap());
        command.stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = command.spawn().unwrap();
        // Its end of the terminal is the program's alone from now on.
        drop(command);
        let (sender, bytes) = channel();
        let mut master = File::from(master);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The terminal ends with the last who has it open.
            while let Ok(count @ 1..) = master.read(&mut buffer) {
                let read = buffer.get(..count).unwrap_or_default();
                if sender.send(read.to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            bytes,
            screen: vt100::Parser::new(rows, columns, 0),
            raw: Vec::new(),
        }
    }

    /// Reads until the screen shows what is wanted.
    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.shown();
            if wanted(&shown) {
                return shown;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.took(&bytes),
                Err(end) => panic!("{end}: {shown}"),
            }
        }
    }

    /// Reads to the end.
    fn end(&mut self) -> (ExitStatus, String) {
        loop {
            match self.bytes.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => self.took(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(timeout) => panic!("{timeout}: {}", self.shown()),
            }
        }
        (self.child.wait().unwrap(), self.shown())
    }

    /// The lines of the screen, without the empty ones at its end.
    fn shown(&self) -> String {
        let screen = self.screen.screen();
        let rows = screen.rows(0, screen.size().1);
        let rows: Vec<_> = rows.map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    fn took(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.raw.extend_from_slice(bytes);
    }

    fn wrote(&self, what: &str) -> bool {
        String::from_utf8_lossy(&self.raw).contains(what)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";

/// An app whose build says a line, with colour and a bell in it, and waits for the file `go`.
fn building() -> Stage {
    let mut stage = Stage::new("build = \"deploy.sh\"\n");
    // Relative, so that the revision is the same on every run.
    let script = "#!/bin/sh\nprintf 'Collecting \\033[1mdjango\\033[0m\\a\\n'\n\
                  while ! test -e ../../../go; do sleep 0.05; done\n";
    stage.push(&[("deploy.sh", script)], "The first version");
    stage
}

fn on_a_terminal(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = stage.command(arguments);
    command.env("TERM", "xterm-256color");
    command
}

fn building_line(shown: &str) -> bool {
    let line = shown.lines().find(|line| line.contains("build "));
    line.is_some_and(|line| line.contains("Collecting django"))
}

#[test]
fn the_build_is_seen_line_by_line_and_ended_steps_stay() {
    let stage = building();
    let mut terminal = Terminal::start(on_a_terminal(&stage, &["poll"]));
    let shown = terminal.until(building_line);
    assert!(shown.contains("\u{2713} checkout"), "{shown}");
    assert!(
        !terminal.wrote("\u{7}"),
        "a bell of the script's came through"
    );
    fs::write(stage.path("go"), "").unwrap();
    let (status, shown) = terminal.end();
    assert!(status.success(), "{shown}");
    assert!(
        !shown.contains("Collecting"),
        "it is gone in the end: {shown}"
    );
    assert!(terminal.wrote(GREEN) && !terminal.wrote(RED));
    as_before("terminal_good", &shown, stage.home.path());
}

#[test]
fn a_failure_is_red_and_nothing_new_leaves_one_line() {
    let mut stage = building();
    fs::write(stage.path("go"), "").unwrap();
    assert!(
        Terminal::start(on_a_terminal(&stage, &["poll", "-qq"]))
            .end()
            .0
            .success()
    );
    let (_, quiet) = Terminal::start(on_a_terminal(&stage, &["poll", "-q"])).end();
    assert_eq!(quiet.trim(), "", "what is under way is wiped away");
    let (_, nothing) = Terminal::start(on_a_terminal(&stage, &["poll"])).end();
    stage.push(
        &[("deploy.sh", "#!/bin/sh\necho broken; exit 1\n")],
        "The second version",
    );
    let mut terminal = Terminal::start(on_a_terminal(&stage, &["poll"]));
    let (status, failed) = terminal.end();
    assert_eq!(status.code(), Some(1));
    assert!(terminal.wrote(RED));
    let (_, shown) = Terminal::start(on_a_terminal(&stage, &["status"])).end();
    let (_, logs) = Terminal::start(on_a_terminal(&stage, &["logs", "todo", "1"])).end();
    let all = [nothing, failed, shown, logs].map(|text| format!("{}\n", text.trim_end()));
    as_before("terminal_failed", &all.join("--\n"), stage.home.path());
}

#[test]
fn no_color_and_a_plain_locale_are_kept() {
    let stage = building();
    fs::write(stage.path("go"), "").unwrap();
    let mut command = on_a_terminal(&stage, &["poll"]);
    command.env("NO_COLOR", "1").env("LANG", "C");
    let mut terminal = Terminal::start(command);
    let (_, shown) = terminal.end();
    assert!(
        !terminal.wrote("\u{1b}[3") && !terminal.wrote("\u{1b}[0m"),
        "{shown}"
    );
    as_before("terminal_plain", &shown, stage.home.path());
}

#[test]
fn a_terminal_that_only_types_gets_lines() {
    let stage = building();
    fs::write(stage.path("go"), "").unwrap();
    let mut command = stage.command(&["poll"]);
    command.env("TERM", "dumb");
    let mut terminal = Terminal::start(command);
    let (_, shown) = terminal.end();
    assert!(!terminal.wrote("\u{1b}"), "{shown}");
    as_before("terminal_dumb", &shown, stage.home.path());
}

#[test]
fn two_apps_have_a_line_each_while_they_build() {
    let stage = building();
    let text = fs::read_to_string(stage.path("apps.d/todo.toml")).unwrap();
    stage.home.app("blog", &text.replace("/root\"", "/blog\""));
    let mut terminal = Terminal::start(on_a_terminal(&stage, &["poll"]));
    terminal.until(|shown| {
        let building = |app: &str| {
            let of_it = |line: &&str| line.starts_with(app) && line.contains("Collecting django");
            shown.lines().filter(of_it).count() == 1
        };
        building("todo: ") && building("blog: ")
    });
    fs::write(stage.path("go"), "").unwrap();
    let (status, shown) = terminal.end();
    assert!(status.success(), "{shown}");
    for app in ["todo", "blog"] {
        assert!(shown.contains(&format!("{app}: good: ")), "{shown}");
    }
}

#[test]
fn a_step_keeps_to_one_row_of_a_narrow_terminal_and_apps_to_its_rows() {
    let stage = building();
    let text = fs::read_to_string(stage.path("apps.d/todo.toml")).unwrap();
    for app in ["blog", "shop", "wiki"] {
        let root = format!("/{app}\"");
        stage.home.app(app, &text.replace("/root\"", &root));
    }
    let mut terminal = Terminal::of_size(on_a_terminal(&stage, &["poll"]), 4, 34);
    let shown = terminal.until(|shown| shown.matches(" s Coll").count() == 3);
    for line in shown.lines().filter(|line| line.contains(" s Coll")) {
        assert!(line.chars().count() <= 34, "{shown}");
        assert!(!line.contains("Collecting django"), "{shown}");
    }
    fs::write(stage.path("go"), "").unwrap();
    let (status, shown) = terminal.end();
    assert!(status.success(), "{shown}");
    assert!(!shown.contains(" s Coll"), "it is gone in the end: {shown}");
}

#[test]
fn at_a_terminal_a_poll_waits_for_the_deploy_of_another_pass_and_shows_it() {
    let stage = building();
    let mut other = stage.command(&["poll", "-qq"]).spawn().unwrap();
    let is_building = || {
        let status = stage.command(&["status"]).output().unwrap();
        String::from_utf8_lossy(&status.stdout).contains(": build, begun")
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_building() {
        assert!(Instant::now() < deadline, "the build does not begin");
    }
    let mut terminal = Terminal::start(on_a_terminal(&stage, &["poll"]));
    terminal.until(|shown| {
        let running = shown.lines().last().unwrap_or_default();
        running.contains(" build ") && running.ends_with(" s")
    });
    fs::write(stage.path("go"), "").unwrap();
    let (status, shown) = terminal.end();
    assert!(status.success() && other.wait().unwrap().success());
    as_before("terminal_waits", &shown, stage.home.path());
}

#[test]
fn one_that_is_killed_leaves_the_terminal_as_it_was() {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let stage = building();
        let mut terminal = Terminal::start(on_a_terminal(&stage, &["poll"]));
        terminal.until(building_line);
        kill(
            Pid::from_raw(i32::try_from(terminal.child.id()).unwrap()),
            signal,
        )
        .unwrap();
        if signal == Signal::SIGINT {
            let (status, shown) = terminal.end();
            assert_eq!(status.code(), Some(1), "{shown}");
            assert!(!building_line(&shown), "{shown}");
        } else {
            terminal.child.wait().unwrap();
            fs::write(stage.path("go"), "").unwrap();
        }
        let screen = terminal.screen.screen();
        assert!(
            !screen.hide_cursor() && !screen.alternate_screen(),
            "{signal}"
        );
        assert!(
            !terminal.wrote("\u{1b}[?"),
            "no mode was switched on that stays on"
        );
    }
}
