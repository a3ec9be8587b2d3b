//! A deploy up to the switch, on a host with no more than a directory, against git's own checkout: a new release
//! beside the live one, and a first one.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::record::{self, Record};
use crate::sample::Sample;

const FILES: u64 = 30_000;
const CHANGED: u64 = 10;

/// Whom everything runs as where this is root's: pp-fetcher does nothing for root itself.
const NOBODY: u32 = 65534;

/// Ways to the same tree, in turns.
pub(crate) fn measure(rounds: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let at = directory.path();
    println!("a repository of {FILES} files in {}", at.display());
    let mut bench = Bench::new(at)?;
    let (mut update, mut first) = (Sample::default(), Sample::default());
    let (mut files, mut first_files) = (Sample::default(), Sample::default());
    let (mut git, mut workers) = (Sample::default(), Sample::default());
    for round in 0..rounds {
        println!("round {}", round + 1);
        bench.forget()?;
        let phases = bench.poll()?;
        first.add_duration(phases.ready);
        first_files.add_duration(phases.checkout);
        bench.change()?;
        let phases = bench.poll()?;
        update.add_duration(phases.ready);
        files.add_duration(phases.checkout);
        git.add_duration(bench.worktree(1)?);
        workers.add_duration(bench.worktree(2)?);
    }
    let mib = bench.bytes >> 20;
    let mut record = Record::new(
        "A checkout: ours against git's",
        &format!(
            "{FILES} files, {mib} MiB, {CHANGED} of them changed; warm cache, in turns, {rounds} rounds;\n\
             milliseconds, medians with the least and the most in parentheses. {}, {}.\n\
             Ours is `pp-fetcher poll` of a repository of this host, in the times that its history has: *ready to\n\
             switch* is poll, look, fetch, verify, checkout and shared together. Every byte of a release is hashed on\n\
             its way to the disk, and the checkout ends with `syncfs`; git's does neither.\n\
             `cargo run --release -p pp-tests --bin bench checkout` measures this.",
            record::machine(),
            file_system(at)?
        ),
        rounds,
    );
    record.section(
        "A new release's files",
        "The last column: how many times as long as `git worktree add` with two workers.",
    );
    record.columns(&["way", "wall", "ratio"]);
    for (what, sample) in [
        ("ours, an update: poll to ready to switch", &update),
        ("of that, the checkout beside the live release", &files),
        ("ours, a first deploy: the checkout", &first_files),
        ("ours, a first deploy: poll to ready to switch", &first),
        ("`git worktree add`", &git),
        ("`git worktree add`, `checkout.workers=2`", &workers),
    ] {
        record.against(what, sample, &workers);
    }
    record.write("checkout")
}

struct Bench {
    at: PathBuf,
    numbers: Numbers,
    bytes: u64,
}

/// How long the steps of an attempt took.
struct Phases {
    checkout: Duration,
    ready: Duration,
}

impl Bench {
    fn new(at: &Path) -> Result<Self> {
        let mut bench = Self {
            at: at.to_owned(),
            numbers: Numbers(1),
            bytes: 0,
        };
        bench.directory("")?;
        for name in ["etc", "etc/apps.d", "repository"] {
            bench.directory(name)?;
        }
        for name in ["pp-fetcher", "pp-git-worker"] {
            let built = std::env::current_exe()?.with_file_name(name);
            fs::copy(&built, at.join(name)).with_context(|| {
                format!("{}: cargo build --release --workspace", built.display())
            })?;
        }
        let shown = at.display();
        fs::write(
            at.join("etc/apps.d/todo.toml"),
            format!(
                "repository = \"file://{shown}/repository\"\n[deploy]\nroot = \"{shown}/root\"\nkeep = 2\n"
            ),
        )?;
        bench.git(&["init", "-q", "-b", "main"])?;
        for n in 0..FILES {
            let text = bench.numbers.text();
            bench.bytes += text.len() as u64;
            write(&at.join("repository"), n, &text)?;
        }
        bench
            .command("chown")
            .args(["-R", "65534:65534"])
            .arg(at.join("repository"))
            .uid(0)
            .gid(0)
            .status()?;
        bench.commit()?;
        bench.git(&["repack", "-a", "-d", "-q"])?;
        Ok(bench)
    }

    /// A directory that is nobody's.
    fn directory(&self, name: &str) -> Result<()> {
        let path = self.at.join(name);
        fs::create_dir_all(&path)?;
        Ok(chown(path, Some(NOBODY), Some(NOBODY))?)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.at).env("HOME", &self.at);
        command.uid(NOBODY).gid(NOBODY);
        command
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command("git");
        command.args([
            "-C",
            "repository",
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.org",
        ]);
        let output = command.args(arguments).output().context("git")?;
        if !output.status.success() {
            bail!(
                "git {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    fn commit(&self) -> Result<()> {
        self.git(&["add", "-A"])?;
        self.git(&["commit", "-q", "-m", "a version"])
    }

    /// Pushes a commit that changes some files.
    fn change(&mut self) -> Result<()> {
        for n in 0..CHANGED {
            let text = self.numbers.text();
            let path = write(&self.at.join("repository"), n * FILES / CHANGED, &text)?;
            chown(path, Some(NOBODY), Some(NOBODY))?;
        }
        self.commit()
    }

    /// Forgets all that was deployed.
    fn forget(&self) -> Result<()> {
        for name in ["root", "state"] {
            let _ = fs::remove_dir_all(self.at.join(name));
            self.directory(name)?;
        }
        Ok(())
    }

    fn fetcher(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(self.at.join("pp-fetcher"));
        command
            .args(arguments)
            .args(["--config", "etc", "--state", "state"]);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}{complaint}");
        Ok(said)
    }

    /// Deploys what is there, and reads the times from the history.
    fn poll(&self) -> Result<Phases> {
        self.fetcher(&["poll"])?;
        let history: serde_json::Value =
            serde_json::from_str(&self.fetcher(&["history", "todo", "--json"])?)?;
        let attempts = history
            .get("attempts")
            .and_then(|all| all.as_array())
            .context("attempts")?;
        let last = attempts.last().context("an attempt")?;
        ensure!(last.get("outcome").is_some_and(|o| o == "good"), "{last}");
        let time = |names: &[&str]| {
            let phases = last
                .get("phases")
                .and_then(|all| all.as_array())
                .into_iter()
                .flatten();
            let named = phases.filter(|p| {
                names
                    .iter()
                    .any(|name| p.get("phase").is_some_and(|n| n == name))
            });
            Duration::from_millis(named.filter_map(|p| p.get("ms")?.as_u64()).sum())
        };
        Ok(Phases {
            checkout: time(&["checkout"]),
            ready: time(&["poll", "look", "fetch", "verify", "checkout", "shared"]),
        })
    }

    /// Times git's own checkout, and removes what it has made.
    fn worktree(&self, workers: u32) -> Result<Duration> {
        let workers = format!("checkout.workers={workers}");
        let began = Instant::now();
        self.git(&[
            "-c", &workers, "worktree", "add", "-q", "--detach", "../new",
        ])?;
        let took = began.elapsed();
        fs::remove_dir_all(self.at.join("new"))?;
        self.git(&["worktree", "prune"])?;
        Ok(took)
    }
}

fn write(repository: &Path, n: u64, text: &str) -> Result<PathBuf> {
    let directory = repository.join(format!("d{}/e{}", n % 150, n % 7));
    fs::create_dir_all(&directory)?;
    let path = directory.join(format!("f{n}.py"));
    fs::write(&path, text)?;
    Ok(path)
}

fn file_system(at: &Path) -> Result<String> {
    let output = Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(at)
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The same numbers in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Lines of words, as compressible as source is; 10 kB on average, a few much longer.
    fn text(&mut self) -> String {
        let length = match self.next() % 20 {
            0 => 60_000,
            _ => 800 + self.next() % 13_000,
        };
        let mut text = String::new();
        while (text.len() as u64) < length {
            let word = self.next() % 2_000;
            let end = if self.next().is_multiple_of(8) {
                '\n'
            } else {
                ' '
            };
            let _ = write!(text, "word{:x}{end}", word * word);
        }
        text
    }
}
