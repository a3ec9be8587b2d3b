//! A long history: first deploys, updates over many commits, and the mirror after many deploys.

use std::path::Path;

use anyhow::Result;

use crate::local::{Local, Numbers};
use crate::part::Part;
use crate::sample::Sample;

const COMMITS: u64 = 20_000;
const FILES: u64 = 2_000;
const DEPLOYS: u64 = 1_000;

pub(crate) fn measure(above: &Path, rounds: usize) -> Result<Part> {
    let local = Local::new(above)?;
    let mut part = Part::new(
        "history",
        "A repository with 20,000 commits",
        "2,000 files, one of them changed in each commit. Served by `git upload-pack` of this machine, which leaves out trees when\n\
         it is asked to, as GitHub, GitLab and Gitea do (`uploadpack.allowFilter`); the last rows are without. An update is\n\
         `pp-fetcher poll` until `current` leads to the new release, against `git fetch` in a bare clone and `git worktree add` with two workers.",
    );
    local.commits(COMMITS, FILES, &mut Numbers(7))?;
    local.gc()?;
    let [mut first, mut clone, mut shallow] = std::array::from_fn(|_| Sample::default());
    for _ in 0..rounds {
        local.forget()?;
        first.add_duration(local.poll()?);
        clone.add_duration(local.clone_with("")?);
        shallow.add_duration(local.clone_with("--depth 1")?);
    }
    part.compare("first deploy", &first, ("git clone", &clone), Some(0.5));
    part.compare(
        "first deploy",
        &first,
        ("git clone --depth 1", &shallow),
        Some(1.2),
    );
    for filters in [true, false] {
        let value = if filters { "true" } else { "false" };
        local.git(&["config", "uploadpack.allowFilter", value])?;
        for commits in [1, 100, 10_000] {
            let (ours, git) = updates(&local, commits, rounds)?;
            let how = if filters {
                ""
            } else {
                ", a server that sends all trees"
            };
            part.compare(
                &format!("update of {commits} commits{how}"),
                &ours,
                ("git fetch + worktree add", &git),
                filters.then_some(0.6),
            );
        }
    }
    local.git(&["config", "uploadpack.allowFilter", "true"])?;
    mirror(&local, &mut part)?;
    Ok(part)
}

/// Times updates over so many commits: ours, and git's.
fn updates(local: &Local, commits: u64, rounds: usize) -> Result<(Sample, Sample)> {
    let (mut ours, mut git) = (Sample::default(), Sample::default());
    let tip = local.git(&["rev-parse", "main"])?;
    let url = local.url();
    for _ in 0..rounds {
        local.git(&["update-ref", "refs/heads/main", &format!("{tip}~{commits}")])?;
        local.forget()?;
        local.poll()?;
        local.script(&format!(
            "rm -rf peer.git; git clone -q --bare {url} peer.git"
        ))?;
        local.git(&["update-ref", "refs/heads/main", &tip])?;
        ours.add_duration(local.poll()?);
        git.add_duration(local.script(
            "cd peer.git; git fetch -q origin main
             git -c checkout.workers=2 worktree add -q --detach ../new FETCH_HEAD",
        )?);
        local.script("rm -rf new peer.git")?;
    }
    Ok((ours, git))
}

/// The size of the mirror after one deploy and after many.
fn mirror(local: &Local, part: &mut Part) -> Result<()> {
    let url = local.url();
    let mut numbers = Numbers(11);
    local.forget()?;
    local.poll()?;
    let mut size = |what: &str, most: f64| -> Result<()> {
        local.script(&format!("rm -rf clone; git clone -q --depth 1 {url} clone"))?;
        let (ours, git) = (
            local.size("state/todo/mirror.git")?,
            local.size("clone/.git")?,
        );
        local.script("rm -rf clone")?;
        let name = ".git of git clone --depth 1";
        part.sizes(what, &Sample::of(ours), (name, &Sample::of(git)), most);
        Ok(())
    };
    size("mirror after a deploy", 1.2)?;
    local.git(&["checkout", "-q", "-f", "main"])?;
    for n in 0..DEPLOYS {
        let path = local.at(&format!("repository/d{}/f{}.py", n % 40, n % FILES));
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        std::fs::write(&path, numbers.text(1_500))?;
        local.own(&path)?;
        local.git(&["commit", "-q", "-a", "--allow-empty", "-m", "a version"])?;
        local.poll()?;
    }
    size(&format!("mirror after {DEPLOYS} deploys"), 3.0)
}
