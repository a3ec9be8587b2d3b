//! The policy's files on a booted host: who may have written them, what a mistake in one does, and when a change
//! counts (rules 9 and 42).
#![allow(clippy::indexing_slicing, reason = "a test stops where it is wrong")]

use std::process::ExitCode;

use anyhow::Result;
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        start,
        cases![
            rule_9_files_that_others_could_have_written_allow_nothing,
            rule_42_a_new_policy_counts_for_the_next_request,
            rule_9_a_file_with_a_mistake_is_left_out_and_told_and_the_others_hold,
            a_refused_policy_denies_everybody_and_does_not_take_the_socket_down,
        ],
    )
}

fn start() -> Result<Host> {
    let host = Host::start()?;
    let unit = b"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n";
    host.lab().write(
        "/etc/systemd/system/simple.service",
        unit,
        0o644,
        "root:root",
    )?;
    host.lab().cmd(["systemctl", "daemon-reload"]).ok()?;
    host.policy(
        "rules",
        "[[allow]]\nunits = [\"simple.service\"]\ngroups = [\"hosted_apps\"]\n",
    )?;
    Ok(host)
}

fn rule_9_files_that_others_could_have_written_allow_nothing(host: &Host) -> Result<()> {
    let file = "/etc/pp-restarter/policy.d/rules.toml";
    for (spoil, mend, words) in [
        ("chmod 0664 F", "chmod 0644 F", "has mode 0664"),
        ("chown gunicorn F", "chown root F", "belongs to uid"),
        (
            "mv F /root/r; ln -s /root/r F",
            "rm F; mv /root/r F",
            "symbolic link",
        ),
        (
            "mv F /root/r; mkfifo -m 600 F",
            "rm F; mv /root/r F",
            "neither a file nor a directory",
        ),
        (
            "chmod 0777 /etc/pp-restarter",
            "chmod 0755 /etc/pp-restarter",
            "has mode 0777",
        ),
    ] {
        host.lab().sh(&spoil.replace('F', file))?;
        let check = host.lab().cmd(["pp-restarter", "--check"]).output()?;
        host.empty_limits()?;
        let asked = host.ask("simple.service")?;
        host.lab().sh(&mend.replace('F', file))?;
        assert_eq!(check.code, Some(1), "{spoil}: {check}");
        assert!(check.stderr.contains(words), "{spoil}: {check}");
        assert_eq!(asked.code, Some(3), "{spoil}: {asked}");
    }
    host.lab().sh(&format!("cp {file} {file}.dpkg-old"))?;
    let check = host.lab().cmd(["pp-restarter", "--check"]).output()?;
    host.lab().sh(&format!("rm {file}.dpkg-old"))?;
    assert!(
        check.code == Some(0) && check.stderr.contains("dpkg-old\" is NOT read"),
        "{check}"
    );
    host.empty_limits()
}

fn rule_42_a_new_policy_counts_for_the_next_request(host: &Host) -> Result<()> {
    let before = host.ask("late.service")?;
    assert_eq!(before.code, Some(3), "{before}");
    let file = "/etc/pp-restarter/policy.d/late.toml";
    let text = "[[allow]]\nunits = [\"late.service\"]\nusers = [\"gunicorn\"]\n";
    // As an editor does it, and as `cp` does; and gone again. No command beside that.
    for write in ["mv /root/late F", "cp /root/late F"] {
        host.lab()
            .write("/root/late", text.as_bytes(), 0o644, "root:root")?;
        host.lab().sh(&write.replace('F', file))?;
        let after = host.ask("late.service")?;
        assert_eq!(
            after.json()?["report"]["refusal"],
            "no-such-unit",
            "{write}: {after}"
        );
        host.lab().sh(&format!("rm {file}"))?;
        let gone = host.ask("late.service")?;
        assert_eq!(gone.code, Some(3), "{write}: {gone}");
    }
    // A user that comes, too: names are numbers since the policy was read.
    host.lab().write(
        file,
        text.replace("gunicorn", "later").as_bytes(),
        0o644,
        "root:root",
    )?;
    assert_eq!(host.ask("late.service")?.code, Some(3));
    host.lab().sh("useradd -M -G hosted_apps later")?;
    let later = host
        .lab()
        .as_user("later")
        .cmd(["pp-restart", "--json", "late.service"])
        .output()?;
    assert_eq!(
        later.json()?["report"]["refusal"],
        "no-such-unit",
        "{later}"
    );
    host.lab().sh("userdel later")?;
    host.no_policy("late")
}

fn rule_9_a_file_with_a_mistake_is_left_out_and_told_and_the_others_hold(
    host: &Host,
) -> Result<()> {
    let lab = host.lab();
    let path = "/etc/pp-restarter/policy.d/zz.toml";
    let text =
        "[[allow]]\nunits = [\"late.service\"]\nusers = [\"gunicorn\"]\n[[allow]]\nunit = []\n";
    lab.write(path, text.as_bytes(), 0o644, "root:root")?;
    host.empty_limits()?;
    assert_eq!(
        host.ask("late.service")?.code,
        Some(3),
        "nothing of the file counts"
    );
    assert_eq!(
        host.ask("simple.service")?.code,
        Some(0),
        "the other file holds"
    );
    let status = lab.property("pp-restarter.service", "StatusText")?;
    let journal = lab.journal(&["PP_EVENT=policy", "-p", "err", "-o", "cat", "-n", "1"])?;
    let check = lab.cmd(["pp-restarter", "--check"]).output()?;
    assert_eq!(check.code, Some(1), "{check}");
    for told in [status, journal, check.stderr] {
        let words = "zz.toml:5:1: unknown key \"unit\": did you mean `units`?";
        assert!(told.contains(words), "{told}");
    }
    assert!(
        check.stdout.contains("may restart simple.service"),
        "what holds is told too"
    );
    lab.cmd(["rm", path]).ok()?;
    Ok(())
}

fn a_refused_policy_denies_everybody_and_does_not_take_the_socket_down(host: &Host) -> Result<()> {
    let lab = host.lab();
    lab.sh("chmod 0777 /etc/pp-restarter/policy.d")?;
    host.empty_limits()?;
    for _ in 0..5 {
        assert_eq!(host.ask("simple.service")?.code, Some(3));
    }
    let status = lab.property("pp-restarter.service", "StatusText")?;
    let journal = lab.journal(&["PP_EVENT=policy", "-p", "err", "-o", "cat", "-n", "1"])?;
    for told in [status, journal] {
        assert!(told.contains("policy.d: has mode 0777"), "{told}");
    }
    assert_eq!(
        lab.property("pp-restarter.socket", "ActiveState")?,
        "active"
    );
    lab.sh("chmod 0755 /etc/pp-restarter/policy.d")?;
    assert_eq!(
        host.ask("simple.service")?.code,
        Some(0),
        "mended, and no more is needed"
    );
    Ok(())
}
