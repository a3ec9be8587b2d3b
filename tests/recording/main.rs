//! Records the way from two packages to the first deploy: what is typed, and everything that is printed.
//!
//! `record DIRECTORY` writes `first-deploy.txt`, the whole of it with nothing left out, and `first-deploy.svg`, a picture
//! for the README in which long output is cut. Both come from a run on a fresh host; nothing in them is written by hand.

mod picture;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pp_tests::doc_host::DocHost;

/// The longest time for one command.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is typed, in order. A line that begins with `#` is done elsewhere.
const STEPS: &[&str] = &[
    "apt-get install -y ./pp-restarter_*.deb ./pp-fetcher_*.deb",
    "pp-fetcher setup todo --repository git@git.example.org:me/todo.git --gunicorn todo.wsgi \
     --build deploy.sh --shared db.sqlite3 --nginx todo.example.org --host-key-fingerprint SHA256:…",
    "# the deploy key is registered at the forge",
    "pp-fetcher status todo",
    "curl -s -H 'Host: todo.example.org' http://127.0.0.1/",
    "# somebody pushes",
    "pp-fetcher poll todo",
    "# somebody pushes a version that answers 500",
    "pp-fetcher poll todo || true",
    "pp-fetcher history todo",
    "curl -s -H 'Host: todo.example.org' http://127.0.0.1/",
];

/// A command and what it has printed.
struct Recorded {
    command: String,
    printed: String,
}

fn main() -> ExitCode {
    match record() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("record: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn record() -> Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .context("usage: record DIRECTORY")?;
    let directory = Path::new(&directory);
    let host = DocHost::start("new")?;
    let mut all = Vec::new();
    for step in STEPS {
        let printed = match step.strip_prefix("# ") {
            Some(what) => elsewhere(&host, what)?,
            None => typed(&host, step)?,
        };
        all.push(Recorded {
            command: (*step).to_owned(),
            printed,
        });
    }
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("first-deploy.txt"), text(&all))?;
    std::fs::write(directory.join("first-deploy.svg"), picture::svg(&all))?;
    println!(
        "{}: first-deploy.txt, first-deploy.svg",
        directory.display()
    );
    Ok(())
}

/// Types a command as root, in root's home.
fn typed(host: &DocHost, command: &str) -> Result<String> {
    let script = format!("cd /root; {}", host.as_here(command)?);
    let output = host
        .lab()
        .cmd(["bash", "-c", &script])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .within(PATIENCE)
        .output()?;
    ensure!(output.code == Some(0), "{command}: {output}");
    // Of a line that was written over, what a terminal shows in the end.
    let shown = |line: &str| line.rsplit('\r').next().unwrap_or_default().to_owned() + "\n";
    let lines = output.stdout.lines().chain(output.stderr.lines());
    Ok(lines.map(shown).collect())
}

/// Does what somebody does at the forge, and waits for what comes of it. Gives the time that took.
fn elsewhere(host: &DocHost, what: &str) -> Result<String> {
    if what.starts_with("the deploy key") {
        host.at_the_forge("register todo")?;
        let begun = Instant::now();
        while !typed(host, "pp-fetcher history todo")?.contains(" good ") {
            ensure!(begun.elapsed() < PATIENCE, "nothing was deployed");
            std::thread::sleep(Duration::from_secs(1));
        }
        let seconds = begun.elapsed().as_secs();
        return Ok(format!("(the service has deployed it {seconds} s later)\n"));
    }
    host.at_the_forge(if what.contains("500") {
        "break todo"
    } else {
        "push todo v2"
    })?;
    Ok(String::new())
}

/// The whole recording.
fn text(all: &[Recorded]) -> String {
    all.iter()
        .map(|one| match one.command.strip_prefix('#') {
            Some(_) => format!("{}\n{}\n", one.command, one.printed),
            None => format!("root@web:~# {}\n{}\n", one.command, one.printed),
        })
        .collect()
}
