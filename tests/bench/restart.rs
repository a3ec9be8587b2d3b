//! The restarter: restarts, denials, and how fast the programs start.

use anyhow::{Context, Result};
use pp_tests::host::Host;
use pp_tests::lab::Lab;

use crate::part::Part;
use crate::sample::{Costs, Sample, Way, in_turns};

/// The rest before each restart, in seconds. Moving a process to a control group waits for some ticks of the kernel's clock
/// (4 ms each), and the next one does not if it comes at once: whoever is measured second would gain by that.
const REST: f64 = 0.3;

const UNIT: &str = "[Service]\nType=notify\nExecStart=/usr/local/bin/bare-bus\n";

pub(crate) fn measure(host: &Host, rounds: usize) -> Result<Part> {
    let mut part = Part::new(
        "restart",
        "Restarting and being refused",
        "A small program as a unit of type notify, which is ready at once. The limit is `RestartUnit` asked for by root over the system bus, by a\n\
         client that does no more (`tests/bench/bus/main.rs`). CPU is the caller's; what systemd, the bus and the restarter use\n\
         meanwhile is in the wall time alone.",
    );
    let lab = host.lab();
    let units = set_up(host, rounds)?;
    let (mut ours, mut sudo, mut limit) = (Costs::default(), Costs::default(), Costs::default());
    for (round, unit) in units.iter().enumerate() {
        let mut ways = [
            (&mut ours, "gunicorn", format!("pp-restart {unit}")),
            (
                &mut sudo,
                "gunicorn",
                format!("sudo -n /bin/systemctl restart {unit}"),
            ),
            (&mut limit, "root", format!("bare-bus {unit}")),
        ];
        let first = round % ways.len();
        ways.rotate_left(first);
        for (all, user, command) in ways {
            let way = Way::new("one", &command).after_a_rest_of(REST);
            let [one] = in_turns(lab, user, 1, [way])?;
            all.wall.add(one.wall.median());
            all.cpu.add(one.cpu.median());
        }
    }
    let root = "root over the bus";
    part.exceeds("restart, wall", &ours.wall, (root, &limit.wall), 3.0);
    part.compare(
        "restart, wall",
        &ours.wall,
        ("sudo", &sudo.wall),
        Some(0.75),
    );
    part.figure(
        "what the limit, root over the bus, takes of sudo's wall time",
        &Sample::of(limit.wall.ratio(&sudo.wall)),
        "×",
        None,
    );
    part.compare("restart, CPU", &ours.cpu, ("sudo", &sudo.cpu), None);

    denials(lab, rounds, &mut part)?;
    starts(lab, rounds, &mut part)?;
    Ok(part)
}

/// Makes a unit a round, as neither systemd's start limit nor ours is what is measured, and allows to restart them. Gives
/// their names.
fn set_up(host: &Host, rounds: usize) -> Result<Vec<String>> {
    let lab = host.lab();
    let bus = std::env::current_exe()?.with_file_name("bare-bus");
    let bytes = std::fs::read(&bus).with_context(|| bus.display().to_string())?;
    lab.write("/usr/local/bin/bare-bus", &bytes, 0o755, "root:root")?;
    let units: Vec<_> = (0..rounds).map(|n| format!("bench-{n}.service")).collect();
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
    let mut rules: String = units
        .iter()
        .map(|unit| format!("%hosted_apps ALL = NOPASSWD: /bin/systemctl restart {unit}\n"))
        .collect();
    // sudo refuses the command, and asks for no password first.
    rules.push_str("Defaults:gunicorn !authenticate\n");
    lab.write("/etc/sudoers.d/bench", rules.as_bytes(), 0o440, "root:root")?;
    host.policy(
        "bench-units",
        &format!("[[allow]]\nunits = {units:?}\ngroups = [\"hosted_apps\"]\n"),
    )?;
    // The first request starts the restarter; it stays for five minutes after the last.
    lab.as_user("gunicorn").cmd(["pp-restart", "--list"]).ok()?;
    Ok(units)
}

/// Requests that nobody may make.
fn denials(lab: &Lab, rounds: usize, part: &mut Part) -> Result<()> {
    let [ours, sudo] = in_turns(
        lab,
        "gunicorn",
        rounds,
        [
            Way::new("ours", "pp-restart no.service")
                .each(5)
                .ends_with(3),
            Way::new("sudo", "sudo -n /bin/systemctl restart no.service")
                .each(5)
                .ends_with(1),
        ],
    )?;
    part.compare(
        "a denial, wall",
        &ours.wall,
        ("sudo", &sudo.wall),
        Some(0.3),
    );
    part.compare("a denial, CPU", &ours.cpu, ("sudo", &sudo.cpu), Some(0.3));
    Ok(())
}

/// How fast the programs start.
fn starts(lab: &Lab, rounds: usize, part: &mut Part) -> Result<()> {
    for program in ["pp-fetcher", "pp-restart", "pp-restarter"] {
        let path = match program {
            "pp-restarter" => "/usr/sbin/pp-restarter",
            other => other,
        };
        let [ours, git] = in_turns(
            lab,
            "gunicorn",
            rounds,
            [
                Way::new("ours", &format!("{path} --version")).each(20),
                Way::new("git", "git --version").each(20),
            ],
        )?;
        let what = format!("{program} --version");
        part.compare(&what, &ours.wall, ("git --version", &git.wall), Some(0.8));
    }
    Ok(())
}
