//! A million denials, and somebody honest among them: what the log takes, what it costs in memory, how long the
//! honest caller waits, and whether any record of a restart is missing. sudo is asked as often as it can stand, too.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pp_tests::host::Host;
use pp_tests::lab::Lab;

use crate::part::Part;
use crate::sample::{Costs, Sample, Way, in_turns};

/// Denials, by four processes of two callers.
const DENIALS: usize = 1_000_000;

/// Denied commands of sudo: it takes a thousandfold longer.
const SUDO: usize = 500;

const UNIT: &str =
    "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nExecStart=/bin/sleep infinity\n";

#[allow(
    clippy::too_many_lines,
    reason = "one measurement from its beginning to its end"
)]
pub(crate) fn measure(host: &Host, rounds: usize) -> Result<Part> {
    let lab = host.lab();
    let mut part = Part::new(
        "flood",
        "A million denials",
        "By four processes of two members of the group, for units that no policy lists, while gunicorn asks for its list and for\n\
         one restart a round. Records are those of the service since the flood began.",
    );
    lab.write(
        "/opt/caller.py",
        include_bytes!("../fixtures/caller.py"),
        0o755,
        "root:root",
    )?;
    let units: Vec<_> = (0..rounds).map(|n| format!("flood-{n}.service")).collect();
    for unit in &units {
        lab.write(
            &format!("/etc/systemd/system/{unit}"),
            UNIT.as_bytes(),
            0o644,
            "root:root",
        )?;
    }
    lab.sh(
        "systemctl daemon-reload; useradd -m -G hosted_apps mallory; useradd -m -G hosted_apps eve",
    )?;
    host.policy(
        "flood",
        &format!("[[allow]]\nunits = {units:?}\nusers = [\"gunicorn\"]\n"),
    )?;
    lab.as_user("gunicorn").cmd(["pp-restart", "--list"]).ok()?;
    let (mut calm, mut during) = (Costs::default(), Costs::default());
    for _ in 0..rounds {
        add(lab, &mut calm)?;
    }
    let since = lab.sh("sleep 1; date '+%Y-%m-%d %H:%M:%S'")?;
    let each = DENIALS / 4;
    let begun = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let floods: Vec<_> = ["mallory", "mallory", "eve", "eve"]
            .into_iter()
            .enumerate()
            .map(|(n, who)| {
                let line = format!("python3 /opt/caller.py --times {each} no-{n}.service");
                scope.spawn(move || {
                    let call = lab.as_user(who).cmd(["sh", "-c", &line]);
                    call.within(Duration::from_secs(1800)).ok()
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs(2));
        for unit in &units {
            add(lab, &mut during)?;
            lab.as_user("gunicorn").cmd(["pp-restart", unit]).ok()?;
        }
        for flood in floods {
            let replies = flood
                .join()
                .unwrap_or_else(|_| anyhow::bail!("a flood has panicked"))?;
            println!("  replies: {}", replies.replace('\n', ", "));
        }
        Ok(())
    })?;
    let took = begun.elapsed();
    let peaks = [("monitor", "pp-restarter"), ("front", "pp-front")]
        .map(|(what, name)| peak(lab, name).map(|kb| (what, kb)));
    lab.cmd(["systemctl", "stop", "pp-restarter.service"])
        .ok()?;
    lab.sh("journalctl --sync")?;
    let ours = format!("journalctl -q --since '{since}' _SYSTEMD_UNIT=pp-restarter.service");
    let count = |more: &str| number(lab, &format!("{ours} {more} -o cat | wc -l"));
    part.compare(
        "an honest caller's list, wall",
        &during.wall,
        ("before the flood", &calm.wall),
        None,
    );
    let mut once = |what: &str, figure: u64, unit: &str| -> Result<()> {
        part.figure(
            what,
            &Sample::of(f64::from(u32::try_from(figure)?)),
            unit,
            None,
        );
        Ok(())
    };
    once(
        "denials a second",
        DENIALS as u64 / took.as_secs().max(1),
        "",
    )?;
    once("records, all", count("")?, "")?;
    let bytes = number(lab, &format!("{ours} -o export | wc -c"))?;
    once("bytes of them", bytes, "B")?;
    for peak in peaks {
        let (what, kb) = peak?;
        once(&format!("most memory (VmHWM), {what}"), kb, "kB")?;
    }
    for event in [
        "PP_EVENT=decision PP_VERDICT=allowed PP_VERB=restart",
        "PP_EVENT=job",
        "PP_EVENT=outcome",
    ] {
        let found = count(event)?;
        once(&format!("{event}, of {rounds} restarts"), found, "")?;
        ensure!(found == rounds as u64, "{event}: {found} of {rounds}");
    }
    // A user whom sudo knows and does not ask for a password, so that what it refuses is the command.
    let rules = "mallory ALL = NOPASSWD: /bin/true\nDefaults:mallory !authenticate\n";
    lab.write("/etc/sudoers.d/flood", rules.as_bytes(), 0o440, "root:root")?;
    let since = lab.sh("sleep 1; date '+%Y-%m-%d %H:%M:%S'")?;
    let begun = Instant::now();
    let line = format!(
        "for n in $(seq {SUDO}); do sudo -n /bin/systemctl restart no.service || true; done 2>/dev/null"
    );
    lab.as_user("mallory")
        .cmd(["sh", "-c", &line])
        .within(Duration::from_secs(600))
        .ok()?;
    let seconds = begun.elapsed().as_secs().max(1);
    once("sudo: denials a second", SUDO as u64 / seconds, "")?;
    lab.sh("journalctl --sync")?;
    let records = number(
        lab,
        &format!("journalctl -q --since '{since}' -t sudo -o cat | wc -l"),
    )?;
    once(&format!("sudo: records of {SUDO} denials"), records, "")?;
    Ok(part)
}

/// Adds the cost of one list that an honest caller asks for.
fn add(lab: &Lab, costs: &mut Costs) -> Result<()> {
    let [list] = in_turns(lab, "gunicorn", 1, [Way::new("ours", "pp-restart --list")])?;
    costs.wall.add(list.wall.median());
    Ok(())
}

/// Most memory that the process of this name has had, in kB.
fn peak(lab: &Lab, name: &str) -> Result<u64> {
    number(
        lab,
        &format!("sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$(pgrep -x {name})/status"),
    )
}

fn number(lab: &Lab, script: &str) -> Result<u64> {
    Ok(lab.sh(script)?.trim().parse()?)
}
