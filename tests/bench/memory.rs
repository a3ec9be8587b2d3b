//! What stays in memory: of the restarter, of the service with one app and with a hundred.

use std::time::Duration;

use anyhow::{Context, Result};
use pp_tests::host::Host;
use pp_tests::lab::Lab;
use pp_tests::wait::wait_until;

use crate::many;
use crate::part::Part;
use crate::sample::Sample;

/// After five idle minutes the restarter leaves.
const LEAVES: Duration = Duration::from_secs(400);

pub(crate) fn measure(host: &Host) -> Result<Part> {
    let lab = host.lab();
    let mut part = Part::new(
        "memory",
        "Memory",
        "Proportional set size (PSS): pages that several processes share count in parts. The master connections of ssh, which the\n\
         service keeps where an app is polled often, are OpenSSH's processes and counted by themselves.",
    );
    many::a_hundred(lab)?;
    lab.cmd(["systemctl", "start", "pp-fetcher.service"]).ok()?;
    let pid = lab.property("pp-fetcher.service", "MainPID")?;
    std::thread::sleep(Duration::from_secs(70));
    idle(lab, &pid, "service, 1 app", 6.0, &mut part)?;
    lab.cmd(["systemctl", "stop", "pp-fetcher.service"]).ok()?;
    lab.sh(
        "systemd-run -q --unit many --uid gunicorn --gid hosted_apps -p RuntimeDirectory=many -p RuntimeDirectoryMode=0700 \
         pp-fetcher run --config /opt/many100/etc --state /opt/many100/state",
    )?;
    let pid = lab.property("many.service", "MainPID")?;
    std::thread::sleep(Duration::from_secs(100));
    idle(
        lab,
        &pid,
        "service, 100 apps with a key each",
        10.0,
        &mut part,
    )?;
    lab.cmd(["systemctl", "stop", "many.service"]).ok()?;

    lab.as_user("gunicorn")
        .cmd(["pp-restart", "--list"])
        .output()?;
    let mut all = 0;
    for name in ["pp-restarter", "pp-front", "pp-spare"] {
        for pid in lab.cmd(["pgrep", "-x", name]).ok()?.lines() {
            all += pss(lab, pid)?;
        }
    }
    part.figure(
        "restarter, active, all its processes",
        &megabytes(all),
        "MB",
        Some(4.0),
    );
    wait_until("the restarter leaves", LEAVES, || {
        let found = lab.cmd(["pgrep", "-x", "pp-restarter"]).output()?;
        Ok((found.code != Some(0)).then_some(()))
    })?;
    part.figure(
        "restarter, after five idle minutes",
        &megabytes(0),
        "MB",
        Some(0.0),
    );
    Ok(part)
}

/// The memory of the service between two polls.
fn idle(lab: &Lab, pid: &str, what: &str, most: f64, part: &mut Part) -> Result<()> {
    let masters = wait_until("the service is idle", Duration::from_secs(60), || {
        let children = lab.sh(&format!("ps -o pid=,stat=,args= --ppid {pid} || true"))?;
        let busy = |line: &str| !line.contains(" -M -N ") && !line.contains(" Z");
        Ok((!children.lines().any(busy)).then_some(children))
    })?;
    part.figure(
        &format!("{what}, pp-fetcher"),
        &megabytes(pss(lab, pid)?),
        "MB",
        Some(most),
    );
    let mut all = 0;
    for line in masters.lines() {
        let pid = line.split_whitespace().next().context("a pid")?;
        all += pss(lab, pid).unwrap_or_default();
    }
    let count = masters.lines().count();
    let what = format!("{what}, {count} master connections of ssh");
    part.figure(&what, &megabytes(all), "MB", None);
    Ok(())
}

fn megabytes(kilobytes: u32) -> Sample {
    Sample::of(f64::from(kilobytes) / 1024.0)
}

/// Proportional set size in kilobytes.
fn pss(lab: &Lab, pid: &str) -> Result<u32> {
    let text = lab.read(&format!("/proc/{pid}/smaps_rollup"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .context("no Pss line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
