//! Polls that find nothing: in the service and one by one, near and at a distance.

use std::time::Duration;

use anyhow::Result;
use pp_tests::app::{App, Django};
use pp_tests::host::Host;
use pp_tests::lab::Lab;
use pp_tests::old_way::OldWay;
use pp_tests::wait::wait_until;
use serde::Deserialize;

use crate::part::Part;
use crate::sample::{Costs, Sample, Way, in_turns};

const POLLS: &str = include_str!("polls.py");
const DELAY: &str = include_str!("delay.py");

/// How long the service is watched in each round: six polls.
const WATCHED: u32 = 32;

/// Polls of a day at an interval of ten seconds, without the jitter that makes them fewer, and of cron each five minutes.
const DAY: (f64, f64) = (8640.0, 288.0);

/// An app of ours and the same of the old way.
pub(crate) struct Pair<'h> {
    pub(crate) ours: App<'h>,
    pub(crate) old: OldWay<'h>,
}

impl<'h> Pair<'h> {
    /// Sets both up and deploys a first version.
    pub(crate) fn set_up(host: &'h Host) -> Result<Self> {
        let lab = host.lab();
        // As the big forges do: the second version of the protocol, and fetches without trees.
        lab.sh("grep -q GIT_PROTOCOL /etc/forge/sshd_config ||
                    echo 'AcceptEnv GIT_PROTOCOL' >>/etc/forge/sshd_config
                git config --system uploadpack.allowFilter true
                systemctl restart forge.service")?;
        let ours = host.django("bench")?;
        ours.deploy(Django::version("v0"), "v0")?;
        let old = OldWay::set_up(lab, host.forge(), "old", 8900)?;
        Ok(Self { ours, old })
    }
}

pub(crate) const OLD_POLLER: &str = "/opt/git_pollers/old/poll_git.sh";

pub(crate) fn measure(host: &Host, pair: &Pair<'_>, rounds: usize) -> Result<Part> {
    let lab = host.lab();
    let mut part = Part::new(
        "polls",
        "Polls that find nothing, over ssh",
        "The service with one app, watched from outside: a poll is the time in which it holds the pipes to the program at the\n\
         forge, CPU is that of its control group with the master connection in it. The peer is the shell poller of the old way, run as cron\n\
         runs it. The limit of a single poll is the same listing asked for by ssh alone. The delay of 25 ms each way is\n\
         made by a program in user space (`tests/bench/delay.py`).",
    );
    lab.write("/opt/polls.py", POLLS.as_bytes(), 0o644, "root:root")?;
    pair.ours.set("interval = \"1m\"", "interval = \"5s\"")?;
    let (ours, theirs) = in_service(lab, rounds)?;
    let shell = "shell poller";
    let what = "poll in the service";
    part.compare(
        &format!("{what}, CPU"),
        &ours.cpu,
        (shell, &theirs.cpu),
        Some(0.10),
    );
    part.compare(
        &format!("{what}, wall"),
        &ours.wall,
        (shell, &theirs.wall),
        Some(0.10),
    );
    part.compare(
        "CPU of a day: each 10 s, against the script each 5 minutes",
        &ours.cpu.scaled(DAY.0, 0.0),
        ("script", &theirs.cpu.scaled(DAY.1, 0.0)),
        Some(2.5),
    );
    one_by_one(lab, rounds.max(9), &mut part)?;
    far_away(lab, true)?;
    let (ours, theirs) = in_service(lab, rounds)?;
    part.compare(
        "the same at a round trip of 50 ms, wall",
        &ours.wall,
        (shell, &theirs.wall),
        Some(0.15),
    );
    far_away(lab, false)?;
    pair.ours.set("interval = \"5s\"", "interval = \"1m\"")?;
    Ok(part)
}

fn one_by_one(lab: &Lab, rounds: usize, part: &mut Part) -> Result<()> {
    // gitprotocol-v2(5): one command, the end of it, and the end of the conversation.
    let packet = |text: &str| format!("{:04x}{text}\n", text.len() + 5);
    let asked = format!(
        "{}{}0001{}{}{}00000000",
        packet("command=ls-refs"),
        packet("object-format=sha1"),
        packet("peel"),
        packet("symrefs"),
        packet("ref-prefix refs/heads/main")
    );
    lab.write("/opt/ls-refs", asked.as_bytes(), 0o644, "root:root")?;
    let limit = "ssh -F /etc/pp-fetcher/ssh_config -o UserKnownHostsFile=/etc/pp-fetcher/known_hosts -o SendEnv=GIT_PROTOCOL \
                 github.com-repo-bench git-upload-pack 'me/bench.git'";
    let [ours, limit, shell] = in_turns(
        lab,
        "gunicorn",
        rounds,
        [
            Way::new("ours", "pp-fetcher poll bench"),
            Way::new("limit", limit).stdin("/opt/ls-refs"),
            Way::new("shell", OLD_POLLER),
        ],
    )?;
    let alone = "ssh alone";
    part.compare(
        "one poll, wall",
        &ours.wall,
        (alone, &limit.wall),
        Some(1.05),
    );
    part.exceeds("one poll, CPU", &ours.cpu, (alone, &limit.cpu), 8.0);
    part.compare(
        "one poll, wall",
        &ours.wall,
        ("shell poller", &shell.wall),
        None,
    );
    part.compare(
        "one poll, CPU",
        &ours.cpu,
        ("shell poller", &shell.cpu),
        None,
    );
    Ok(())
}

#[derive(Deserialize)]
struct Watched {
    polls: Sample,
    cpu: f64,
}

/// Watches the service and runs the shell poller, in turns. Gives the cost of one poll of each.
fn in_service(lab: &Lab, rounds: usize) -> Result<(Costs, Costs)> {
    lab.cmd(["systemctl", "start", "pp-fetcher.service"]).ok()?;
    let pid = lab.property("pp-fetcher.service", "MainPID")?;
    // The first poll pays for the connection.
    wait_until("the connection is there", Duration::from_secs(30), || {
        let found = lab.cmd(["pgrep", "-P", &pid, "-x", "ssh"]).output()?;
        Ok((found.code == Some(0)).then_some(()))
    })?;
    std::thread::sleep(Duration::from_secs(8));
    let (mut ours, mut theirs) = (Costs::default(), Costs::default());
    for _ in 0..rounds {
        let seconds = WATCHED.to_string();
        let watched = lab
            .cmd(["python3", "/opt/polls.py", &pid, &seconds])
            .within(Duration::from_secs(120))
            .ok()?;
        let watched: Watched = serde_json::from_str(&watched)?;
        let count = watched.polls.figures().count;
        anyhow::ensure!(count > 3, "{count} polls in {WATCHED} s");
        ours.wall.add(watched.polls.median());
        #[allow(clippy::cast_precision_loss, reason = "a handful")]
        ours.cpu.add(watched.cpu / count as f64);
        let [shell] = in_turns(lab, "gunicorn", 5, [Way::new("shell", OLD_POLLER)])?;
        theirs.wall.add(shell.wall.median());
        theirs.cpu.add(shell.cpu.median());
    }
    lab.cmd(["systemctl", "stop", "pp-fetcher.service"]).ok()?;
    Ok((ours, theirs))
}

/// Puts 25 milliseconds between the host and the forge, in each direction, or takes them away.
fn far_away(lab: &Lab, far: bool) -> Result<()> {
    let script = if far {
        lab.write("/opt/delay.py", DELAY.as_bytes(), 0o644, "root:root")?;
        "systemd-run -q --unit delay python3 /opt/delay.py 2223 2222 25
         sed -i 's/Port 2222/Port 2223/' /etc/pp-fetcher/ssh_config
         sed 's/:2222/:2223/' /etc/pp-fetcher/known_hosts >>/etc/pp-fetcher/known_hosts.far
         cat /etc/pp-fetcher/known_hosts.far >>/etc/pp-fetcher/known_hosts"
    } else {
        "systemctl stop delay
         sed -i 's/Port 2223/Port 2222/' /etc/pp-fetcher/ssh_config
         sed -i '/:2223/d' /etc/pp-fetcher/known_hosts"
    };
    lab.sh(script)?;
    Ok(())
}
