//! What stays in memory while nothing happens.

use std::time::Duration;

use anyhow::{Context, Result};
use pp_tests::host::Host;
use pp_tests::lab::Lab;
use pp_tests::wait::wait_until;

use crate::record::Record;

pub(crate) fn measure(host: &Host, record: &mut Record) -> Result<()> {
    let lab = host.lab();
    record.section(
        "Memory while idle",
        "PSS of each process, in kB. The restarter leaves after five idle minutes; the fetcher's service is\n\
         one process for all apps, and with cron nothing stays.",
    );
    record.columns(&["process", "kB"]);
    lab.as_user("gunicorn")
        .cmd(["pp-restart", "--list"])
        .output()?;
    let monitor = lab.property("pp-restarter.service", "MainPID")?;
    let front = lab.cmd(["pgrep", "-x", "pp-front"]).ok()?;
    let spare = lab.cmd(["pgrep", "-n", "-x", "pp-spare"]).ok()?;
    record.once("restarter, monitor (uid 0)", pss(lab, &monitor)?, "kB");
    record.once(
        "restarter, front (uid pp-restarter)",
        pss(lab, &front)?,
        "kB",
    );
    record.once(
        "restarter, each of two that would take the front's place",
        pss(lab, &spare)?,
        "kB",
    );
    lab.cmd(["systemctl", "start", "pp-fetcher.service"]).ok()?;
    let service = wait_until("the service is idle", Duration::from_secs(60), || {
        let pid = lab.property("pp-fetcher.service", "MainPID")?;
        let busy = lab.cmd(["pgrep", "-P", &pid]).output()?.code == Some(0);
        Ok((!busy && pid != "0").then_some(pid))
    })?;
    record.once("pp-fetcher run", pss(lab, &service)?, "kB");
    lab.cmd(["systemctl", "stop", "pp-fetcher.service"]).ok()?;
    Ok(())
}

fn pss(lab: &Lab, pid: &str) -> Result<u64> {
    let text = lab.read(&format!("/proc/{pid}/smaps_rollup"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .context("no Pss line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
