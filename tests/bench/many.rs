//! One pass over many apps: of one forge and key, and with a key each.

use std::time::Duration;

use anyhow::Result;
use pp_tests::forge::{KNOWN_HOSTS, SSH_CONFIG};
use pp_tests::lab::Lab;

use crate::part::Part;
use crate::sample::{Way, in_turns};

/// How long setting up a hundred apps may take.
const LONG: Duration = Duration::from_secs(600);

pub(crate) fn measure(lab: &Lab, rounds: usize) -> Result<Part> {
    let mut part = Part::new(
        "many",
        "One pass over many apps",
        "`pp-fetcher poll` of apps that are all up to date, against as many shell pollers one after the other; started all at\n\
         once, as cron would, these take about as long as two processors need for their CPU time.",
    );
    set_up(lab, 20, false)?;
    a_hundred(lab)?;
    for (count, keys, goals) in [
        (20, "one key", (Some(0.15), Some(0.20))),
        (100, "a key each", (Some(0.4), None)),
    ] {
        let rounds = if count == 100 { rounds.min(3) } else { rounds };
        let at = format!("/opt/many{count}");
        let ours = format!("pp-fetcher poll --config {at}/etc --state {at}/state");
        let one_by_one = format!("for n in $(seq {count}); do {at}/poll.sh $n; done");
        let at_once = format!("for n in $(seq {count}); do {at}/poll.sh $n & done; wait");
        let [ours, shell, parallel] = in_turns(
            lab,
            "gunicorn",
            rounds,
            [
                Way::new("ours", &ours),
                Way::shell("shell", &one_by_one),
                Way::shell("parallel", &at_once),
            ],
        )?;
        let what = format!("{count} apps, {keys}");
        let name = format!("{count} shell pollers");
        part.compare(
            &format!("{what}, wall"),
            &ours.wall,
            (&name, &shell.wall),
            goals.0,
        );
        part.compare(
            &format!("{what}, CPU"),
            &ours.cpu,
            (&name, &shell.cpu),
            goals.1,
        );
        let at_once = format!("{name} at once");
        part.compare(
            &format!("{what}, wall"),
            &ours.wall,
            (&at_once, &parallel.wall),
            None,
        );
        part.figure(
            &format!("{what}, most memory of a process"),
            &ours.rss.scaled(1.0 / 1024.0, 0.0),
            "MB",
            None,
        );
    }
    Ok(part)
}

/// Sets up a hundred apps with a key each, if they are not there.
pub(crate) fn a_hundred(lab: &Lab) -> Result<()> {
    match lab.exists("/opt/many100/poll.sh")? {
        true => Ok(()),
        false => set_up(lab, 100, true),
    }
}

/// Sets up so many apps of small trees, and the same for the shell poller, with a first deploy of each.
fn set_up(lab: &Lab, count: usize, keys: bool) -> Result<()> {
    let at = format!("/opt/many{count}");
    // The first app's repository, key and alias are there already.
    let repository = if keys { "many-$n" } else { "bench" };
    if keys {
        long(lab, &format!(
            "set -e
             for n in $(seq {count}); do
                 su git -c \"git clone -q --bare /srv/git/me/bench.git /srv/git/me/many-$n.git\"
                 ssh-keygen -q -t ed25519 -N '' -C many-$n -f /etc/pp-fetcher/keys/many-$n
                 sed -n '/^Host github.com-repo-bench$/,/IdentitiesOnly/p' {SSH_CONFIG} |
                     sed \"s/bench/many-$n/\" >>/tmp/aliases
                 printf 'restrict,command=\"/usr/local/lib/forge/read-only me/many-%s.git\" %s\\n' $n \
                     \"$(cat /etc/pp-fetcher/keys/many-$n.pub)\" >>/srv/git/.ssh/authorized_keys
             done
             cat /tmp/aliases >>{SSH_CONFIG}; chown gunicorn: /etc/pp-fetcher/keys/*"
        ))?;
    }
    long(lab, &format!(
        "set -e
         install -d {at}/etc/apps.d; install -d -o gunicorn -g hosted_apps {at}/state {at}/old
         for n in $(seq {count}); do
             install -d -o gunicorn -g hosted_apps {at}/root-$n
             printf 'repository = \"github.com-repo-%s:me/%s.git\"\\n[ssh]\\nconfig = \"{SSH_CONFIG}\"\\nknown_hosts = \"{KNOWN_HOSTS}\"\\n[deploy]\\nroot = \"{at}/root-%s\"\\n' \
                 {repository} {repository} $n >{at}/etc/apps.d/many-$n.toml
         done
         sed 's|/var/www/projects/old|{at}/old/$1|' /opt/git_pollers/old/poll_git.sh >{at}/poll.sh; chmod 755 {at}/poll.sh
         export GIT_SSH_COMMAND='ssh -F {SSH_CONFIG} -o UserKnownHostsFile={KNOWN_HOSTS}'
         cd {at}/old
         for n in $(seq {count}); do
             su gunicorn -s /bin/sh -c \"git clone -q github.com-repo-{repository}:me/{repository}.git $n\"
         done"
    ))?;
    lab.as_user("gunicorn")
        .cmd(["pp-fetcher", "poll", "-q", "--config", &format!("{at}/etc")])
        .args(["--state", &format!("{at}/state")])
        .within(LONG)
        .ok()?;
    Ok(())
}

/// Runs a script that takes its time.
fn long(lab: &Lab, script: &str) -> Result<()> {
    lab.cmd(["sh", "-c", script]).within(LONG).ok()?;
    Ok(())
}
