//! Root, the apps' user and members of its group: what each tries on the others (rules 35 and 36).
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::lab::{Lab, Output};

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        start,
        cases![
            rule_35_root_pins_only_what_root_alone_can_write,
            rule_35_a_config_of_gunicorns_runs_nothing_as_root,
            rule_35_what_gunicorn_puts_in_the_states_place_is_of_no_use_to_it,
            rule_35_root_leaves_no_terminal_to_what_runs_as_gunicorn,
            a_user_of_the_old_way_keeps_what_it_is_and_polls,
            members_of_the_group_write_neither_state_nor_logs_nor_home,
        ],
    )
}

/// An app whose forge is the lab's, reached by ssh, with nothing pinned.
const APP: &str = "repository = \"ssh://git@127.0.0.1:2222/srv/git/todo.git\"\n[deploy]\nroot = \"/var/www/projects/todo\"\n";

fn start() -> Result<Host> {
    let host = Host::start()?;
    let lab = host.lab();
    configure(lab, APP)?;
    lab.sh("useradd -m -G hosted_apps member")?;
    Ok(host)
}

/// Writes the app's file as an administrator has it.
fn configure(lab: &Lab, text: &str) -> Result<()> {
    let file = "/etc/pp-fetcher/apps.d/todo.toml";
    lab.write(file, text.as_bytes(), 0o644, "root:root")
}

fn root(lab: &Lab, arguments: &[&str]) -> Result<Output> {
    lab.cmd(["pp-fetcher"])
        .args(arguments.iter().copied())
        .output()
}

fn fingerprint(lab: &Lab) -> Result<String> {
    let listed =
        lab.sh("ssh-keyscan -t ed25519 -p 2222 127.0.0.1 2>/dev/null | ssh-keygen -lf -")?;
    Ok(listed.split(' ').nth(1).unwrap_or_default().to_owned())
}

fn pin(lab: &Lab) -> Result<Output> {
    root(
        lab,
        &[
            "hostkey",
            "pin",
            "todo",
            "--fingerprint",
            &fingerprint(lab)?,
        ],
    )
}

#[allow(
    clippy::too_many_lines,
    reason = "one attack after another, on one host"
)]
fn rule_35_root_pins_only_what_root_alone_can_write(host: &Host) -> Result<()> {
    let lab = host.lab();
    let known = "/etc/pp-fetcher/known_hosts";
    let pinned = pin(lab)?;
    assert_eq!(pinned.code, Some(0), "{pinned}");
    assert_eq!(lab.stat(known)?, "644 root root");
    // One file for everybody who asks.
    for user in ["root", "gunicorn", "member"] {
        let shown = lab
            .as_user(user)
            .cmd(["pp-fetcher", "hostkey", "show", "todo"])
            .output()?;
        assert_eq!(shown.code, Some(0), "{user}: {shown}");
        shown.says(&[known]);
    }
    let passwd = lab.read("/etc/passwd")?;
    let mine = "/var/lib/gunicorn/known_hosts";
    let of = |file: &str| format!("{APP}[ssh]\nknown_hosts = \"{file}\"\n");
    for (text, spoil, why) in [
        (of(mine), "ln -s /etc/passwd F", "belongs to uid"),
        (of(mine), "mkfifo F", "belongs to uid"),
        (of(mine), ":", "belongs to uid"),
        (
            of("/opt/shared/known_hosts"),
            "install -d -m 0775 -g hosted_apps /opt/shared",
            "has mode",
        ),
        (of("/root/known_hosts"), ":", "below /etc alone"),
        (
            of("/etc/link"),
            "ln -s /etc/passwd /etc/link",
            "symbolic link",
        ),
        (
            format!("{APP}[ssh]\nconfig = \"/var/lib/gunicorn/config\"\n"),
            "touch /var/lib/gunicorn/config",
            "belongs to uid",
        ),
    ] {
        lab.sh(&spoil.replace('F', mine))?;
        configure(lab, &text)?;
        let refused = pin(lab)?;
        lab.sh(&format!("rm -f {mine} /etc/link /var/lib/gunicorn/config"))?;
        assert_eq!(refused.code, Some(2), "{text}: {refused}");
        assert!(refused.stderr.contains(why), "{why}: {refused}");
        assert_eq!(lab.read("/etc/passwd")?, passwd, "{text}");
    }
    // Which server is meant, a user's own config does not decide.
    configure(lab, APP)?;
    lab.sh("install -d -m 0700 -o gunicorn -g hosted_apps /var/lib/gunicorn/.ssh
         printf 'Host *\n  HostKeyAlias github.com\n' >/var/lib/gunicorn/.ssh/config; chown gunicorn /var/lib/gunicorn/.ssh/config")?;
    let before = lab.read(known)?;
    let refused = pin(lab)?;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(
        refused
            .stderr
            .contains("ssh reaches this server as github.com"),
        "{refused}"
    );
    assert_eq!(lab.read(known)?, before);
    // The advice ends well: the alias in a config of root's.
    lab.write(
        "/etc/pp-fetcher/ssh_config",
        b"Host *\n  HostKeyAlias github.com\n",
        0o644,
        "root:root",
    )?;
    let with = format!("{APP}[ssh]\nconfig = \"/etc/pp-fetcher/ssh_config\"\n");
    configure(lab, &with)?;
    let pinned = pin(lab)?;
    assert_eq!(pinned.code, Some(0), "{pinned}");
    assert!(
        lab.read(known)?.contains("github.com ssh-ed25519 "),
        "{pinned}"
    );
    lab.sh("rm -r /var/lib/gunicorn/.ssh /etc/pp-fetcher/ssh_config")?;
    // A configuration that somebody else could have written is none for root.
    lab.write(
        "/etc/pp-fetcher/apps.d/todo.toml",
        APP.as_bytes(),
        0o664,
        "root:hosted_apps",
    )?;
    let refused = pin(lab)?;
    assert_eq!(refused.code, Some(2), "{refused}");
    let copied = "rm -rf /tmp/etc; cp -r /etc/pp-fetcher /tmp/etc; chmod -R a+rX /tmp/etc";
    lab.sh(copied)?;
    let refused = root(
        lab,
        &[
            "hostkey",
            "pin",
            "todo",
            "--fingerprint",
            "SHA256:x",
            "--config",
            "/tmp/etc",
        ],
    )?;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(
        refused
            .stderr
            .contains("root reads a configuration that only root can write"),
        "{refused}"
    );
    configure(lab, APP)?;
    // And the advice ends well: as the user that owns the file.
    configure(lab, &of(mine))?;
    let finger = fingerprint(lab)?;
    let as_user = lab.as_user("gunicorn");
    as_user
        .cmd([
            "pp-fetcher",
            "hostkey",
            "pin",
            "todo",
            "--fingerprint",
            &finger,
        ])
        .ok()?;
    configure(lab, APP)
}

fn rule_35_a_config_of_gunicorns_runs_nothing_as_root(host: &Host) -> Result<()> {
    let lab = host.lab();
    let config = "Match exec \"id -u >>/var/lib/gunicorn/ran\"\nHost *\n  ProxyCommand sh -c 'id -u >>/var/lib/gunicorn/ran; exec nc %h %p'\n";
    // What ssh reads by itself of whoever runs it.
    lab.sh("install -d -m 0700 -o gunicorn -g hosted_apps /var/lib/gunicorn/.ssh")?;
    lab.write(
        "/var/lib/gunicorn/.ssh/config",
        config.as_bytes(),
        0o600,
        "gunicorn:hosted_apps",
    )?;
    for arguments in [
        &["hostkey", "show", "todo"][..],
        &["poll", "todo"],
        &["poll", "--dry-run", "todo"],
    ] {
        root(lab, arguments)?;
    }
    let pinned = pin(lab)?;
    let uid = lab.cmd(["id", "-u", "gunicorn"]).ok()?;
    let ran = lab.read("/var/lib/gunicorn/ran")?;
    assert!(
        !ran.is_empty() && ran.lines().all(|line| line == uid),
        "{ran}; {pinned}"
    );
    lab.sh("rm -r /var/lib/gunicorn/.ssh /var/lib/gunicorn/ran")
        .map(drop)
}

fn rule_35_what_gunicorn_puts_in_the_states_place_is_of_no_use_to_it(host: &Host) -> Result<()> {
    let lab = host.lab();
    lab.sh("echo secret >/root/secret; chmod 600 /root/secret; rm -rf /var/lib/pp-fetcher/todo")?;
    root(lab, &["poll", "todo", "--wait"])?;
    let state = "/var/lib/pp-fetcher/todo";
    let as_gunicorn = lab.as_user("gunicorn");
    for file in ["state.json", "history.jsonl", "lock", "logs/1.log"] {
        for spoil in [
            "ln -s /root/secret F",
            "mkfifo F",
            "truncate -s 20G F",
            "ln -s /root/made F",
        ] {
            as_gunicorn.sh(&format!(
                "rm -rf {state}/{file}; {}",
                spoil.replace('F', &format!("{state}/{file}"))
            ))?;
            for arguments in [
                &["status"][..],
                &["history", "todo"],
                &["logs", "todo"],
                &["logs", "todo", "1"],
                &["pause", "todo", "--reason", "x"],
                &["resume", "todo"],
                &["retry", "todo"],
            ] {
                let said = root(lab, arguments)?;
                assert!(
                    said.took < Duration::from_secs(5),
                    "{file} {spoil} {arguments:?}: {said}"
                );
                assert!(
                    !format!("{said}").contains("secret\n"),
                    "{file} {spoil}: {said}"
                );
            }
            assert!(!lab.exists("/root/made")?, "{file} {spoil}");
        }
        as_gunicorn.sh(&format!("rm -rf {state}/{file}"))?;
    }
    assert_eq!(lab.read("/root/secret")?.trim(), "secret");
    as_gunicorn.sh(&format!("rm -rf {state}; ln -s /root {state}"))?;
    let said = root(lab, &["pause", "todo", "--reason", "x"])?;
    assert_eq!(said.code, Some(1), "{said}");
    as_gunicorn.sh(&format!("rm {state}"))?;
    assert_eq!(
        root(lab, &["pause", "todo", "--reason", "x"])?.code,
        Some(0)
    );
    assert_eq!(
        lab.stat(&format!("{state}/state.json"))?,
        "640 gunicorn hosted_apps"
    );
    root(lab, &["resume", "todo"]).map(drop)
}

/// What is run as gunicorn could otherwise type a command into the shell that root comes back to.
fn rule_35_root_leaves_no_terminal_to_what_runs_as_gunicorn(host: &Host) -> Result<()> {
    let lab = host.lab();
    lab.sh("install -d -m 0700 -o gunicorn -g hosted_apps /var/lib/gunicorn/.ssh")?;
    let probe = "Match exec \"(: </dev/tty) 2>/dev/null && echo terminal >>/var/lib/gunicorn/tty || echo none >>/var/lib/gunicorn/tty\"\n";
    lab.write(
        "/var/lib/gunicorn/.ssh/config",
        probe.as_bytes(),
        0o600,
        "gunicorn:hosted_apps",
    )?;
    lab.sh("script -qec 'pp-fetcher hostkey show todo' /dev/null </dev/null || true")?;
    let seen = lab.read("/var/lib/gunicorn/tty")?;
    assert!(!seen.is_empty() && !seen.contains("terminal"), "{seen}");
    lab.sh("rm -r /var/lib/gunicorn/.ssh /var/lib/gunicorn/tty")
        .map(drop)
}

fn a_user_of_the_old_way_keeps_what_it_is_and_polls(host: &Host) -> Result<()> {
    let lab = host.lab();
    // Its state is another user's: that one is meant, whatever its name.
    lab.sh(
        "useradd -m -G hosted_apps legacy; install -d -m 2750 -o legacy -g hosted_apps /opt/legacy",
    )?;
    let said = root(
        lab,
        &["pause", "todo", "--reason", "x", "--state", "/opt/legacy"],
    )?;
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!(
        lab.stat("/opt/legacy/todo/state.json")?,
        "640 legacy hosted_apps"
    );
    Ok(())
}

fn members_of_the_group_write_neither_state_nor_logs_nor_home(host: &Host) -> Result<()> {
    let lab = host.lab();
    root(lab, &["pause", "todo", "--reason", "x"])?;
    root(lab, &["resume", "todo"])?;
    // An app with a build script, so that there is a log and a mirror.
    lab.sh("git config --system --replace-all safe.directory '*'; rm -rf /srv/git/built; mkdir -p /srv/git/built; cd /srv/git/built; git init -q -b main
         git config user.email a@b; git config user.name A; printf '#!/bin/sh\necho built\n' >build; chmod +x build
         git add -A; git commit -qm one; chmod -R a+rX /srv/git/built
         printf 'repository = \"file:///srv/git/built\"\n[deploy]\nroot = \"/var/www/projects/built\"\nbuild = \"build\"\n' >/etc/pp-fetcher/apps.d/built.toml
         pp-fetcher poll built --wait; test -s /var/lib/pp-fetcher/built/logs/1.log")?;
    let writable = lab
        .as_user("member")
        .sh("find /var/lib/pp-fetcher /var/log/pp-fetcher /var/lib/gunicorn /etc/pp-fetcher /run/pp-restarter ! -type l ! -type s -writable 2>/dev/null || true")?;
    assert_eq!(writable, "");
    assert_eq!(lab.stat("/var/lib/gunicorn")?, "700 gunicorn hosted_apps");
    assert_eq!(
        lab.sh("getent passwd gunicorn | cut -d: -f6")?,
        "/var/lib/gunicorn"
    );
    // It looks, and does not change.
    for arguments in ["status", "history todo", "logs todo"] {
        lab.as_user("member")
            .sh(&format!("pp-fetcher {arguments}"))?;
    }
    let said = lab
        .as_user("member")
        .cmd(["pp-fetcher", "pause", "todo", "--reason", "x"])
        .output()?;
    assert_eq!(said.code, Some(1), "{said}");
    assert!(
        said.stderr.contains("run the same command as root"),
        "{said}"
    );
    Ok(())
}
