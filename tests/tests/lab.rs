//! The lab itself: what the other suites rely on.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use pp_tests::app::Perl;
use pp_tests::cases;
use pp_tests::forge::Forge;
use pp_tests::harness::{self, Needs};
use pp_tests::lab::Lab;
use pp_tests::old_way::OldWay;
use pp_tests::wait::wait_until;

fn main() -> ExitCode {
    harness::run(
        Needs::Lab,
        Lab::boot,
        cases![
            the_host_runs_systemd_and_no_unit_has_failed,
            nothing_but_loopback_is_there,
            a_command_past_its_deadline_is_ended_with_its_children,
            a_user_has_its_own_groups_and_an_empty_environment,
            a_written_file_has_its_mode_owner_and_bytes,
            a_deploy_key_reads_its_repository_and_does_nothing_else,
            the_old_way_deploys_a_push,
        ],
    )
}

fn the_host_runs_systemd_and_no_unit_has_failed(lab: &Lab) -> Result<()> {
    assert_eq!(lab.sh("systemctl is-system-running")?, "running");
    assert_eq!(lab.sh("systemctl --failed --plain --no-legend")?, "");
    assert_eq!(lab.sh("hostname")?, lab.name());
    Ok(())
}

fn nothing_but_loopback_is_there(lab: &Lab) -> Result<()> {
    assert_eq!(lab.sh("ls /sys/class/net")?, "lo");
    assert_eq!(lab.sh("ip route")?, "");
    Ok(())
}

fn a_command_past_its_deadline_is_ended_with_its_children(lab: &Lab) -> Result<()> {
    let start = Instant::now();
    let slow = lab.cmd(["sh", "-c", "echo before; sleep 4321 & sleep 4321"]);
    let error = slow
        .within(Duration::from_millis(300))
        .output()
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(error.to_string().contains("stdout: before"), "{error}");
    let left = lab.cmd(["pgrep", "-x", "sleep"]).output()?;
    assert_eq!(left.stdout, "", "its children are gone too");
    Ok(())
}

fn a_user_has_its_own_groups_and_an_empty_environment(lab: &Lab) -> Result<()> {
    lab.sh("groupadd crew; useradd -G crew ada")?;
    assert_eq!(lab.as_user("ada").sh("id -un; id -Gn")?, "ada\nada crew");
    assert_eq!(lab.as_user("ada").cmd(["id", "-u"]).output()?.code, Some(0));
    let env = lab.as_user("ada").cmd(["env"]).env("A", "b").ok()?;
    assert!(
        env.starts_with("LANG=C.UTF-8\nPATH=/usr/local/sbin:"),
        "{env}"
    );
    assert!(env.ends_with("\nA=b"), "{env}");
    assert_eq!(env.lines().count(), 3, "{env}");
    Ok(())
}

fn a_written_file_has_its_mode_owner_and_bytes(lab: &Lab) -> Result<()> {
    lab.write("/srv/a/b", b"\x00\xff'$x\n", 0o640, "root:www-data")?;
    assert_eq!(lab.stat("/srv/a/b")?, "640 root www-data");
    assert_eq!(lab.sh("od -An -tx1 /srv/a/b")?, " 00 ff 27 24 78 0a");
    assert!(lab.exists("/srv/a")? && !lab.exists("/srv/c")?);
    Ok(())
}

/// A git server, and the user and group that the packages would make.
fn forge(lab: &Lab) -> Result<Forge> {
    lab.sh("groupadd hosted_apps; useradd -g hosted_apps gunicorn; install -d /etc/pp-fetcher")?;
    Forge::start(lab)
}

fn a_deploy_key_reads_its_repository_and_does_nothing_else(lab: &Lab) -> Result<()> {
    let forge = forge(lab)?;
    let url = forge.repository(lab, "mine")?;
    forge.repository(lab, "other")?;
    let first = forge.push(lab, "mine", &Perl("v1").into(), "First")?;
    let second = forge.push(lab, "mine", &Perl("v2").into(), "Second")?;
    assert_ne!(first, second);

    let ssh = "ssh -F /etc/pp-fetcher/ssh_config -o BatchMode=yes \
               -o UserKnownHostsFile=/etc/pp-fetcher/known_hosts -o StrictHostKeyChecking=yes";
    let gunicorn = lab.as_user("gunicorn");
    let git = |args: &str| {
        let call = gunicorn.cmd(["sh", "-c", &format!("cd /tmp && git {args}")]);
        call.env("GIT_SSH_COMMAND", ssh).output()
    };
    assert_eq!(git(&format!("clone -q {url} mine"))?.code, Some(0));
    let log = gunicorn.sh("git -C /tmp/mine log --format='%H %an %s'")?;
    assert_eq!(
        log,
        format!("{second} Ada Example Second\n{first} Ada Example First")
    );

    let push = git(&format!("-C mine push {url} HEAD:refs/heads/evil"))?;
    assert_ne!(push.code, Some(0), "a push is refused: {push}");
    assert!(
        push.stderr
            .contains("this key may read me/mine.git and do nothing else"),
        "{push}"
    );
    let other = git("ls-remote github.com-repo-mine:me/other.git")?;
    assert_ne!(
        other.code,
        Some(0),
        "another repository is refused: {other}"
    );
    let shell = gunicorn
        .cmd(["sh", "-c", &format!("{ssh} github.com-repo-mine id")])
        .output()?;
    assert_ne!(shell.code, Some(0), "a command is refused: {shell}");
    assert_eq!(forge.logins(lab)?, 4, "each of them logged in once");

    forge.change_host_key(lab)?;
    let changed = git(&format!("ls-remote {url}"))?;
    assert!(
        changed.stderr.contains("Host key verification failed"),
        "{changed}"
    );
    Ok(())
}

fn the_old_way_deploys_a_push(_: &Lab) -> Result<()> {
    let lab = Lab::boot()?;
    let forge = forge(&lab)?;
    let old = OldWay::set_up(&lab, &forge, "old", 8000)?;
    let serves = |version: &str| {
        wait_until("it is served", Duration::from_secs(10), || {
            Ok(lab.get(8000, "/")?.body.starts_with(version).then_some(()))
        })
    };
    serves("todo v0")?;
    old.push("v1")?;
    old.poll().ok()?;
    serves("todo v1")?;
    let before = lab.property(&old.unit(), "InvocationID")?;
    old.poll().ok()?;
    assert_eq!(
        lab.property(&old.unit(), "InvocationID")?,
        before,
        "nothing new, nothing done"
    );
    Ok(())
}
