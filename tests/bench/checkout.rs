//! A large tree: a release beside the live one, and a first one, against git's own.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::local::{Local, Numbers};
use crate::part::Part;
use crate::sample::Sample;

const FILES: u64 = 30_000;
const CHANGED: u64 = 10;

/// Measures below `above`, which is in `place`.
pub(crate) fn measure(above: &Path, name: &str, place: &str, rounds: usize) -> Result<Part> {
    let mut numbers = Numbers(1);
    let (local, bytes) = repository(above, &mut numbers)?;
    let mut part = Part::new(
        name,
        &format!("A tree of {FILES} files on {place}"),
        &text(bytes, place),
    );
    let [
        mut update,
        mut first,
        mut one,
        mut two,
        mut synced,
        mut clone,
        mut clone_synced,
        mut shallow,
    ] = std::array::from_fn(|_| Sample::default());
    for _ in 0..rounds {
        local.forget()?;
        local.settle()?;
        first.add_duration(local.poll()?);
        local.settle()?;
        let [cloned, on_the_disk] = local.clone_and_sync()?;
        clone.add_duration(cloned);
        clone_synced.add_duration(on_the_disk);
        local.settle()?;
        shallow.add_duration(local.clone_with("--depth 1")?);
        let changed = (0..CHANGED).map(|n| n * FILES / CHANGED);
        write(&local, changed, &mut numbers)?;
        local.git(&["add", "-A"])?;
        local.git(&["commit", "-q", "-m", "a version"])?;
        local.settle()?;
        update.add_duration(local.poll()?);
        worktrees(&local, [&mut one, &mut two, &mut synced])?;
    }
    let workers = "git worktree add, two workers";
    part.compare(
        "update, poll → switched, synced",
        &update,
        (workers, &two),
        Some(0.5),
    );
    part.compare("the same", &update, ("git worktree add", &one), None);
    part.compare(
        "the same",
        &update,
        ("git worktree add, two workers, and `sync -f`", &synced),
        None,
    );
    part.compare("first deploy", &first, ("git clone", &clone), Some(0.5));
    part.compare(
        "the same",
        &first,
        ("git clone, and `sync -f`", &clone_synced),
        None,
    );
    part.compare(
        "first deploy",
        &first,
        ("git clone --depth 1", &shallow),
        Some(1.2),
    );
    memory(&local, &mut part)?;
    Ok(part)
}

/// The most memory that a first deploy takes.
fn memory(local: &Local, part: &mut Part) -> Result<()> {
    local.forget()?;
    let [fetcher, worker] = local.poll_memory()?;
    let first = "first deploy, most memory";
    part.figure(
        &format!("{first}, pp-fetcher"),
        &Sample::of(fetcher),
        "MB",
        Some(64.0),
    );
    part.figure(
        &format!("{first}, worker without its mapped packs"),
        &Sample::of(worker),
        "MB",
        Some(64.0),
    );
    Ok(())
}

/// Times what git does for a tree beside the live one: with one worker, with two, and with two until all is on the disk.
fn worktrees(local: &Local, [one, two, synced]: [&mut Sample; 3]) -> Result<()> {
    for (workers, sample) in [(1, one), (2, two)] {
        local.settle()?;
        let took = local.script(&format!(
            "git -C repository -c checkout.workers={workers} worktree add -q --detach ../new"
        ))?;
        sample.add_duration(took);
        if workers == 2 {
            synced.add_duration(took + local.settle()?);
        }
        local.script("rm -rf new; git -C repository worktree prune")?;
    }
    Ok(())
}

/// What is measured how.
fn text(bytes: u64, place: &str) -> String {
    format!(
        "{} MiB, {CHANGED} files changed in each round, a warm cache, on {place}. Ours is `pp-fetcher poll`, from the start of the\n\
             program until `current` leads to the new release; every byte of a release is hashed on its way, and the checkout ends\n\
             with `syncfs`. git hashes nothing, and syncs only where a row says so. What earlier steps have left to be written is\n\
             written before each. The repository is one of this machine, served by `git upload-pack` for each; it has one commit\n\
             at first, so that here a clone and a clone of depth 1 are the same.",
        bytes >> 20
    )
}

/// A repository of one commit with all files. Gives their bytes as well.
fn repository(above: &Path, numbers: &mut Numbers) -> Result<(Local, u64)> {
    let local = Local::new(above)?;
    let bytes = write(&local, 0..FILES, numbers)?;
    local.git(&["add", "-A"])?;
    local.git(&["commit", "-q", "-m", "a version"])?;
    local.git(&["repack", "-a", "-d", "-q"])?;
    Ok((local, bytes))
}

/// Writes these files anew, 10 kB on average and a few much longer. Gives their bytes.
fn write(local: &Local, files: impl Iterator<Item = u64>, numbers: &mut Numbers) -> Result<u64> {
    let mut bytes = 0;
    for n in files {
        let length = match numbers.next() % 20 {
            0 => 60_000,
            _ => 800 + numbers.next() % 13_000,
        };
        let text = numbers.text(length);
        bytes += text.len() as u64;
        let directory = format!("repository/d{}/e{}", n % 150, n % 7);
        local.directory(&format!("repository/d{}", n % 150))?;
        local.directory(&directory)?;
        let path = local.at(&directory).join(format!("f{n}.py"));
        fs::write(&path, text)?;
        local.own(&path)?;
    }
    Ok(bytes)
}
