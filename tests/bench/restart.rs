//! Restarting a unit: `pp-restart` against `sudo -n systemctl restart`.

use anyhow::Result;
use pp_tests::host::Host;

use crate::record::Record;
use crate::sample::{Costs, timed};

const UNIT: &str = "[Service]\nType=notify\nNotifyAccess=all\n\
                    ExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep infinity'\n";

pub(crate) fn measure(host: &Host, rounds: usize, record: &mut Record) -> Result<()> {
    let lab = host.lab();
    // A unit a round: neither systemd's start limit nor ours is what is measured.
    let unit = |round: usize| format!("bench-{round}.service");
    let units: Vec<_> = (0..rounds).map(unit).collect();
    for unit in &units {
        lab.write(
            &format!("/etc/systemd/system/{unit}"),
            UNIT.as_bytes(),
            0o644,
            "root:root",
        )?;
    }
    lab.cmd(["systemctl", "daemon-reload"]).ok()?;
    lab.cmd(["systemctl", "start"])
        .args(units.iter().cloned())
        .ok()?;
    let rules: String = units
        .iter()
        .map(|unit| format!("%hosted_apps ALL = NOPASSWD: /bin/systemctl restart {unit}\n"))
        .collect();
    lab.write("/etc/sudoers.d/bench", rules.as_bytes(), 0o440, "root:root")?;
    host.policy(
        "bench-units",
        &format!("[[allow]]\nunits = {units:?}\ngroups = [\"hosted_apps\"]\n"),
    )?;
    // The first request starts the restarter; it stays for five minutes after the last.
    lab.as_user("gunicorn").cmd(["pp-restart", "--list"]).ok()?;

    let (mut ours, mut old) = (Costs::default(), Costs::default());
    for unit in &units {
        ours.add(timed(lab, "gunicorn", &format!("pp-restart {unit}"))?);
        old.add(timed(
            lab,
            "gunicorn",
            &format!("sudo -n /bin/systemctl restart {unit}"),
        )?);
    }
    record.section(
        "Restarting a small unit of type notify",
        "As the user gunicorn, timed inside of the host by bash. CPU is the caller's side: what systemd,\n\
         dbus and the restarter use meanwhile is not in it.",
    );
    record.columns(&["", "pp-restart", "sudo systemctl", "old / ours"]);
    record.compare("restart, wall", &ours.wall, &old.wall);
    record.compare("restart, CPU", &ours.cpu, &old.cpu);
    Ok(())
}
