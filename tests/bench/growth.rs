//! How cost grows: with files, refs, apps and history.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::local::{Local, Numbers};
use crate::part::Part;
use crate::sample::Sample;

pub(crate) fn measure(above: &Path, rounds: usize) -> Result<Part> {
    let mut part = Part::new(
        "growth",
        "How cost grows",
        "Each point is `pp-fetcher poll` with a repository of this machine, until `current` leads to the new release or, where\n\
         nothing is new, to its end; medians of the rounds, in milliseconds. The peer does the same with git. A curve is linear or better if its cost grows no faster than what it is drawn over.",
    );
    files(above, rounds, &mut part)?;
    refs(above, rounds, &mut part)?;
    apps(above, rounds, &mut part)?;
    history(above, rounds, &mut part)?;
    for (name, points) in &part.curves {
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            let (cost, size) = (last.ours / first.ours, last.at / first.at);
            println!("  {name}: {size:.0} times as many, {cost:.1} times the cost");
            anyhow::ensure!(cost <= size, "{name} grows faster than linear");
        }
    }
    Ok(part)
}

fn files(above: &Path, rounds: usize, part: &mut Part) -> Result<()> {
    for count in [1_000_u32, 10_000, 100_000] {
        let (local, mut numbers) = (Local::new(above)?, Numbers(5));
        local.commits(1, count.into(), &mut Numbers(3))?;
        local.gc()?;
        let [mut first, mut update, mut worktree] = std::array::from_fn(|_| Sample::default());
        for _ in 0..rounds {
            local.forget()?;
            first.add_duration(local.poll()?);
            local.commits(10, 10, &mut numbers)?;
            update.add_duration(local.poll()?);
            worktree.add_duration(local.script(
                "git -C repository -c checkout.workers=2 worktree add -q --detach ../new main",
            )?);
            local.script("rm -rf new; git -C repository worktree prune")?;
        }
        let at = f64::from(count);
        part.point("first deploy, by files", at, &first, None);
        part.point("update, by files", at, &update, Some(&worktree));
    }
    Ok(())
}

fn refs(above: &Path, rounds: usize, part: &mut Part) -> Result<()> {
    let local = Local::new(above)?;
    local.commits(2, 10, &mut Numbers(3))?;
    let tip = local.git(&["rev-parse", "main"])?;
    local.poll()?;
    let url = local.url();
    local.script(&format!("git clone -q {url} peer"))?;
    let mut have = 0;
    for count in [10_u32, 1_000, 10_000, 100_000] {
        let mut lines = String::new();
        for n in have..count {
            let _ = writeln!(lines, "create refs/heads/other-{n} {tip}");
        }
        have = count;
        local.git_with(&["update-ref", "--stdin"], lines.as_bytes())?;
        local.git(&["pack-refs", "--all"])?;
        let (mut ours, mut git) = (Sample::default(), Sample::default());
        for _ in 0..rounds {
            ours.add_duration(local.poll()?);
            git.add_duration(local.script("git -C peer fetch -q origin main")?);
        }
        part.point(
            "poll without news, by refs",
            f64::from(count),
            &ours,
            Some(&git),
        );
    }
    Ok(())
}

fn apps(above: &Path, rounds: usize, part: &mut Part) -> Result<()> {
    let local = Local::new(above)?;
    local.commits(2, 10, &mut Numbers(3))?;
    let url = local.url();
    let mut have = 1;
    for count in [1_u32, 10, 100] {
        for n in have..count {
            local.app(&format!("app-{n}"), "")?;
        }
        have = count;
        local.poll()?;
        local.script(&format!(
            "for n in $(seq {count}); do [ -e peer-$n ] || git clone -q {url} peer-$n; done"
        ))?;
        let (mut ours, mut git) = (Sample::default(), Sample::default());
        for _ in 0..rounds {
            ours.add_duration(local.poll()?);
            git.add_duration(local.script(&format!(
                "for n in $(seq {count}); do git -C peer-$n fetch -q origin main; done"
            ))?);
        }
        part.point(
            "poll without news, by apps",
            f64::from(count),
            &ours,
            Some(&git),
        );
    }
    Ok(())
}

fn history(above: &Path, rounds: usize, part: &mut Part) -> Result<()> {
    for count in [100_u32, 1_000, 10_000, 100_000] {
        let local = Local::new(above)?;
        local.commits(count.into(), 500.min(count.into()), &mut Numbers(3))?;
        local.gc()?;
        let [mut first, mut clone, mut update] = std::array::from_fn(|_| Sample::default());
        for _ in 0..rounds {
            local.git(&["update-ref", "refs/heads/next", "main"])?;
            local.git(&["update-ref", "refs/heads/main", "main~1"])?;
            local.forget()?;
            first.add_duration(local.poll()?);
            clone.add_duration(local.clone_with("")?);
            local.git(&["update-ref", "refs/heads/main", "next"])?;
            update.add_duration(local.poll()?);
        }
        let at = f64::from(count);
        part.point("first deploy, by commits", at, &first, Some(&clone));
        part.point("update, by commits", at, &update, None);
    }
    Ok(())
}
