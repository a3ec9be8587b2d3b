//! The git worker as its parent sees it: gone with its parent, and never believed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod git_support;
mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use git_support::{Forge, script};
use pp_fetcher::config::App;
use pp_fetcher::deploy::FailureClass;
use pp_fetcher::deploy::source::{Source, SourceError};
use pp_fetcher::repository::Repository;
use pp_fetcher::worker::WorkerError;
use pp_fetcher::worker::child::{Running, Task};
use program::Home;

const REAL: &str = env!("CARGO_BIN_EXE_pp-fetcher");

/// The repository of an app that follows `main`, with a worker that may be another program.
fn repository(forge: &Forge, worker: impl Into<PathBuf>) -> Repository {
    let text = format!(
        "repository = \"file://{}\"\n[deploy]\nroot = \"/srv/todo\"\n",
        forge.repo().display()
    );
    let app = App::new(
        "todo",
        Path::new("todo.toml"),
        toml::from_str(&text).unwrap(),
    )
    .unwrap();
    Repository::new(&app, forge.mirror_path()).with_worker(worker)
}

/// A poll, a fetch and a checkout.
fn deployed(forge: &Forge, mut repository: Repository) -> Result<PathBuf, SourceError> {
    let revision = repository.poll(&[])?;
    repository.fetch(&revision, &mut |_| {})?;
    let into = forge.dir.path().join("release");
    repository.check_out(&revision.revision, None, &into, &mut |_| {})?;
    repository.keep(&revision.revision)?;
    Ok(into)
}

/// A worker of our own making: what it does instead of, or around, the real one.
fn fake(forge: &Forge, body: &str) -> PathBuf {
    let program = forge.dir.path().join("worker");
    // It is started with an empty environment.
    script(&program, &format!("PATH=/usr/bin:/bin\n{body}"));
    program
}

/// Says that it is ready, and answers the first request with what follows.
const READY: &str = "say() { printf \"$1\\\\0\\\\0\\\\0\\\\$(printf %03o ${#2})%s\" \"$2\"; }\n\
                     say J '{\"Ready\":null}'\n";

#[test]
fn a_revision_is_fetched_and_checked_out_by_workers() {
    let forge = Forge::new();
    forge.commit("bin/run", "#!/bin/sh\n", "a program");
    let release = deployed(&forge, repository(&forge, REAL)).unwrap();
    assert_eq!(
        fs::read_to_string(release.join("app.py")).unwrap(),
        "print('v1')\n"
    );
    let mode = |name: &str| {
        fs::metadata(release.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!((mode("app.py"), mode("bin")), (0o664, 0o775));
}

#[test]
fn a_poll_starts_no_worker() {
    let forge = Forge::new();
    let mut repository = repository(&forge, "/nonexistent");
    let revision = repository.poll(&[]).unwrap();
    assert!(!forge.mirror_path().exists(), "and writes nothing");
    let error = repository.fetch(&revision, &mut |_| {}).unwrap_err();
    assert!(
        error.what.contains("git worker cannot be started"),
        "{}",
        error.what
    );
}

#[test]
fn a_damaged_mirror_is_set_aside_by_the_parent() {
    let forge = Forge::new();
    deployed(&forge, repository(&forge, REAL)).unwrap();
    fs::remove_dir_all(forge.dir.path().join("release")).unwrap();
    fs::remove_file(forge.mirror_path().join("HEAD")).unwrap();
    forge.commit("b", "b\n", "next");
    deployed(&forge, repository(&forge, REAL)).unwrap();
    let names = fs::read_dir(forge.dir.path()).unwrap().flatten();
    let aside = names.filter(|e| e.file_name().to_string_lossy().contains(".broken-"));
    assert_eq!(aside.count(), 1);
}

#[test]
fn a_worker_that_misbehaves_is_a_clear_error_and_the_next_poll_converges() {
    for (body, expected) in [
        (
            "kill -SEGV $$".to_owned(),
            "was ended by signal 11 (SIGSEGV) while opening the mirror",
        ),
        ("kill -KILL $$".to_owned(), "short of memory"),
        ("exit 7".to_owned(), "exit code 7"),
        ("echo it is broken >&2; exit 1".to_owned(), "it is broken"),
        ("echo rubbish".to_owned(), "a frame of an unknown kind"),
        (
            "printf 'J\\377\\377\\377\\377'".to_owned(),
            "a frame that is too long",
        ),
        ("printf 'J\\0\\0\\0\\002no'".to_owned(), "what is no answer"),
        ("cat /dev/zero".to_owned(), "a frame of an unknown kind"),
        (
            format!("{READY} say J '\"Done\"'; cat >/dev/null"),
            "something else than was asked",
        ),
        (
            format!("{READY} say J '{{\"Haves\":[[\"../../etc\"],[]]}}'; cat >/dev/null"),
            "what is no object's name",
        ),
        (
            format!(
                "{READY} say J '{{\"Failed\":[\"Other\",\"\\u001b[31mred\"]}}'; cat >/dev/null"
            ),
            "[31mred",
        ),
        (
            format!("{READY} say J '\"Here\"'; say J '{{\"Commit\":\"x\"}}'; cat >/dev/null"),
            "what is no object's name",
        ),
    ] {
        let forge = Forge::new();
        let program = fake(&forge, &body);
        let error = deployed(&forge, repository(&forge, program)).unwrap_err();
        println!("{}\n", error.what);
        assert!(error.what.contains(expected), "{body}: {}", error.what);
        assert!(!error.what.contains('\u{1b}'), "{}", error.what);
        assert_eq!(error.class, FailureClass::Environment, "{body}");
        deployed(&forge, repository(&forge, REAL)).unwrap();
    }
}

#[test]
fn a_worker_that_hands_over_another_commit_is_found_out() {
    let forge = Forge::new();
    // Everything is here, it says; the commit it gives is not the one of that name.
    let tip = forge.git(&["rev-parse", "HEAD"]);
    let body = format!(
        "{READY} say J '\"Here\"'; say J '{{\"Commit\":\"{tip}\"}}'; say J '\"Bytes\"'\n\
         say B 'tree of another commit'; cat >/dev/null"
    );
    let program = fake(&forge, &body);
    let error = deployed(&forge, repository(&forge, program)).unwrap_err();
    assert!(
        error.what.contains("is not the object of that name"),
        "{}",
        error.what
    );
}

#[test]
fn a_worker_that_writes_other_files_is_found_out_and_nothing_is_left() {
    type Forgery = fn(&Path);
    let forgeries: [Forgery; 5] = [
        |d| fs::write(d.join("app.py"), "evil").unwrap(),
        |d| fs::write(d.join("extra.py"), "evil").unwrap(),
        |d| fs::remove_file(d.join("app.py")).unwrap(),
        |d| {
            fs::remove_file(d.join("app.py")).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", d.join("app.py")).unwrap();
        },
        |d| fs::set_permissions(d.join("app.py"), PermissionsExt::from_mode(0o4755)).unwrap(),
    ];
    for (n, forge_it) in forgeries.into_iter().enumerate() {
        let forge = Forge::new();
        let mut repository = repository(&forge, REAL);
        let revision = repository.poll(&[]).unwrap();
        repository.fetch(&revision, &mut |_| {}).unwrap();
        let into = forge.dir.path().join("release");
        // The one file is there when it is told of, and the worker still at work.
        let tick = &mut |_| forge_it(&into);
        let error = repository
            .check_out(&revision.revision, None, &into, tick)
            .unwrap_err();
        println!("{}\n", error.what);
        assert!(
            error.what.contains("not what the commit names"),
            "{n}: {}",
            error.what
        );
        assert_eq!(error.class, FailureClass::Environment);
        assert!(!into.exists(), "{n}: left behind");
    }
}

#[test]
fn a_worker_that_hangs_is_ended_with_all_it_started() {
    let forge = Forge::new();
    let program = fake(&forge, "trap '' TERM; sleep 300 & echo $! >&2; wait");
    let mut running = Running::start(&program, &[]).unwrap();
    let group = running.id();
    let task = Task::new("opening the mirror", Duration::from_secs(1));
    let error = running.hear(task).unwrap_err();
    assert!(matches!(error, WorkerError::TimedOut { .. }), "{error}");
    println!("{error}");
    git_support::nothing_left(group);
}

#[test]
fn nothing_of_a_worker_is_left_when_its_parent_is_killed() {
    let home = Home::new();
    // Too much to come before the server stalls.
    let noise = (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
    fs::write(home.path().join("noise"), noise.collect::<Vec<u8>>()).unwrap();
    fs::create_dir(home.path().join("bin")).unwrap();
    let make = "git init -q -b main repo && cd repo && mv ../noise . && git add -A && \
                git -c user.name=Ada -c user.email=ada@example.org commit -q -m large";
    assert!(
        home.command("sh")
            .args(["-c", make])
            .status()
            .unwrap()
            .success()
    );
    let stalls = "/usr/bin/git \"$@\" | { dd bs=4096 count=8 2>/dev/null; sleep 20; }";
    script(&home.path().join("bin/git"), stalls);
    let at = home.path().display();
    let text = format!("repository = \"file://{at}/repo\"\n[deploy]\nroot = \"{at}/root\"\n");
    home.app("todo", &text);
    let mut command = home.fetcher(&["poll", "todo"]);
    command.env("PATH", format!("{at}/bin:/usr/bin:/bin"));
    let mut parent = command.stdout(Stdio::null()).spawn().unwrap();
    let worker = worker_of(parent.id());
    let cut = home.path().join("state/todo/mirror.git");
    let until = Instant::now() + Duration::from_secs(20);
    let receiving = || {
        fs::read_dir(&cut).is_ok_and(|d| {
            d.flatten()
                .any(|e| e.file_name().to_string_lossy().starts_with("incoming-"))
        })
    };
    while !receiving() {
        assert!(Instant::now() < until, "it receives nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(gone(worker), "the worker lives on");
}

/// The worker of `parent`, once it has one.
fn worker_of(parent: u32) -> u32 {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < until, "there is no worker");
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parents = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1));
            if line.contains("git-worker") && parents == Some(&parent.to_string()) {
                return entry.file_name().to_str().unwrap().parse().unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn gone(process: u32) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
