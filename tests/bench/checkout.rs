//! Our checkout, from the object database and beside the live release, against git's own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use pp_fetcher::checkout::{Budget, CheckedOut, check_out};
use pp_fetcher::config::tree::TreeRules;
use pp_fetcher::git::{Mirror, Oid, Remote, RemoteOptions, RepositoryUrl, Wanted};
use pp_fetcher::proof::{Id, written};

use crate::record::{self, Record};
use crate::sample::Sample;

const FILES: u64 = 30_000;
const CHANGED: u64 = 10;

/// Ways to the same tree, in turns.
pub(crate) fn measure(rounds: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let at = directory.path();
    println!("a repository of {FILES} files in {}", at.display());
    let bench = Bench::new(at)?;
    let live = bench.ours(bench.first, None, "live")?;
    ensure!(live.copied == 0, "there was nothing to copy from");
    let kept = at.join("live");
    let (mut beside, mut fresh) = (Sample::default(), Sample::default());
    let mut proven = Sample::default();
    let (mut git, mut workers) = (Sample::default(), Sample::default());
    for round in 0..rounds {
        println!("round {}", round + 1);
        bench.time(&mut beside, |b| {
            let done = b.ours(b.second, Some(&kept), "new")?;
            ensure!(done.copied == FILES - CHANGED, "{done:?}");
            Ok(())
        })?;
        bench.time(&mut proven, |b| {
            b.ours(b.second, Some(&kept), "new")?;
            b.prove(b.second, "new")
        })?;
        bench.time(&mut fresh, |b| b.ours(b.second, None, "new").map(drop))?;
        bench.time(&mut git, |b| b.worktree(1))?;
        bench.time(&mut workers, |b| b.worktree(2))?;
    }
    let mib = live.bytes >> 20;
    let mut record = Record::new(
        "A checkout: ours against git's",
        &format!(
            "{FILES} files, {mib} MiB, {CHANGED} of them changed; warm cache, in turns, {rounds} rounds;\n\
             milliseconds, medians with the least and the most in parentheses. {}, {}.\n\
             Ours looks at the whole tree first, sets modes and ends with `syncfs`; git's does not. A deploy also\n\
             reads every file back in a second process and compares it with the commit: the second line.\n\
             `cargo run --release -p pp-tests --bin bench checkout` measures this.",
            record::machine(),
            file_system(at)?
        ),
        rounds,
    );
    record.section(
        "A new release's files",
        "The last column: how many times longer than beside the live release.",
    );
    record.columns(&["way", "wall", "ratio"]);
    for (what, sample) in [
        ("ours, beside the live release", &beside),
        ("the same, read back and compared", &proven),
        ("ours, from the object database alone", &fresh),
        ("`git worktree add`", &git),
        ("`git worktree add`, `checkout.workers=2`", &workers),
    ] {
        record.against(what, sample, &beside);
    }
    record.write("checkout")
}

struct Bench {
    at: PathBuf,
    mirror: Mirror,
    first: Oid,
    second: Oid,
}

impl Bench {
    fn new(at: &Path) -> Result<Self> {
        let repository = at.join("repository");
        fs::create_dir(&repository)?;
        git(&repository, &["init", "-q", "-b", "main"])?;
        let mut numbers = Numbers(1);
        for n in 0..FILES {
            write(&repository, n, &numbers.text())?;
        }
        commit(&repository)?;
        let wanted = Wanted::Branch("main".into());
        let url = RepositoryUrl::parse(&format!("file://{}", repository.display()))?;
        let mirror = Mirror::open_or_create(&at.join("mirror.git"))?;
        let fetch = || -> Result<Oid> {
            let mut remote = Remote::connect(&url, &RemoteOptions::default())?;
            let revision = wanted.resolve(&remote.list(&wanted)?)?;
            Ok(remote.fetch(&mirror, &revision, &mut |_| {})?.commit)
        };
        let first = fetch()?;
        for n in 0..CHANGED {
            write(&repository, n * FILES / CHANGED, &numbers.text())?;
        }
        commit(&repository)?;
        git(&repository, &["repack", "-a", "-d", "-q"])?;
        let second = fetch()?;
        Ok(Self {
            at: at.to_owned(),
            mirror,
            first,
            second,
        })
    }

    /// Times one way, and removes what it has made.
    fn time(&self, sample: &mut Sample, way: impl Fn(&Self) -> Result<()>) -> Result<()> {
        let began = Instant::now();
        way(self)?;
        sample.add_duration(began.elapsed());
        fs::remove_dir_all(self.at.join("new"))?;
        git(&self.at.join("repository"), &["worktree", "prune"])
    }

    fn ours(&self, commit: Oid, live: Option<&Path>, name: &str) -> Result<CheckedOut> {
        let into = self.at.join(name);
        fs::create_dir(&into)?;
        let budget = Budget::default();
        Ok(check_out(
            &self.mirror,
            commit,
            live,
            &into,
            &budget,
            &|_| {},
        )?)
    }

    /// Compares what was written with what the commit names, as a deploy does.
    fn prove(&self, commit: Oid, name: &str) -> Result<()> {
        let commit = Id::from_bytes(commit.as_bytes()).context("a commit's name")?;
        let get = &mut |id: Id, _| -> Result<Vec<u8>> {
            Ok(self
                .mirror
                .object(Oid::from_bytes(id.as_bytes())?, 16 << 20)?)
        };
        let differs = |what: written::Differs| anyhow::anyhow!("{}: {}", what.path, what.how);
        let rules = TreeRules::default();
        let wanted = written::Wanted {
            submodules: &BTreeSet::new(),
            rules: &rules,
            most: FILES * 2,
        };
        let tree = written::gather(commit, &wanted, get, differs)?;
        written::check(&self.at.join(name), &tree, &rules).map_err(differs)
    }

    fn worktree(&self, workers: u32) -> Result<()> {
        let workers = format!("checkout.workers={workers}");
        let arguments = [
            "-c", &workers, "worktree", "add", "-q", "--detach", "../new",
        ];
        git(&self.at.join("repository"), &arguments)
    }
}

fn write(repository: &Path, n: u64, text: &str) -> Result<()> {
    let directory = repository.join(format!("d{}/e{}", n % 150, n % 7));
    fs::create_dir_all(&directory)?;
    Ok(fs::write(directory.join(format!("f{n}.py")), text)?)
}

fn commit(repository: &Path) -> Result<()> {
    git(repository, &["add", "-A"])?;
    let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
    let what = ["commit", "-q", "-m", "a version"];
    git(repository, &[&who[..], &what].concat())
}

fn git(directory: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .output()
        .context("git")?;
    if !output.status.success() {
        bail!(
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
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
