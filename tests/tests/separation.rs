//! Root, the apps' user, members of its group, and users with apps of their own: what each tries on the others
//! (rules 35, 36 and 43).
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::lab::{Lab, Output};
use pp_tests::wait::wait_until;

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
            a_user_without_apps_is_told_the_line_that_makes_room_for_them,
            rule_43_two_users_deploy_side_by_side_and_cannot_touch_each_other,
            rule_43_the_same_from_cron,
        ],
    )
}

/// An app whose forge is the lab's, reached by ssh, with nothing pinned.
const APP: &str = "repository = \"ssh://git@127.0.0.1:2222/srv/git/todo.git\"\n[deploy]\nroot = \"/var/www/projects/todo\"\n";

fn start() -> Result<Host> {
    let host = Host::start()?;
    let lab = host.lab();
    lab.write(
        "/etc/pp-fetcher/apps.d/todo.toml",
        APP.as_bytes(),
        0o644,
        "root:root",
    )?;
    lab.sh("useradd -m -G hosted_apps member; useradd -m alice; useradd -m bob")?;
    Ok(host)
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
        lab.write(
            "/etc/pp-fetcher/apps.d/todo.toml",
            text.as_bytes(),
            0o644,
            "root:root",
        )?;
        let refused = pin(lab)?;
        lab.sh(&format!("rm -f {mine} /etc/link /var/lib/gunicorn/config"))?;
        assert_eq!(refused.code, Some(2), "{text}: {refused}");
        assert!(refused.stderr.contains(why), "{why}: {refused}");
        assert_eq!(lab.read("/etc/passwd")?, passwd, "{text}");
    }
    // Which server is meant, a user's own config does not decide.
    lab.write(
        "/etc/pp-fetcher/apps.d/todo.toml",
        APP.as_bytes(),
        0o644,
        "root:root",
    )?;
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
    lab.write(
        "/etc/pp-fetcher/apps.d/todo.toml",
        with.as_bytes(),
        0o644,
        "root:root",
    )?;
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
    lab.write(
        "/etc/pp-fetcher/apps.d/todo.toml",
        APP.as_bytes(),
        0o644,
        "root:root",
    )?;
    // And the advice ends well: as the user that owns the file.
    lab.write(
        "/etc/pp-fetcher/apps.d/todo.toml",
        of(mine).as_bytes(),
        0o644,
        "root:root",
    )?;
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
    lab.write(
        "/etc/pp-fetcher/apps.d/todo.toml",
        APP.as_bytes(),
        0o644,
        "root:root",
    )
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
    root(lab, &["poll", "todo"])?;
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
         pp-fetcher poll built; test -s /var/lib/pp-fetcher/built/logs/1.log")?;
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

fn a_user_without_apps_is_told_the_line_that_makes_room_for_them(host: &Host) -> Result<()> {
    let lab = host.lab();
    let said = root(lab, &["status", "--user", "alice"])?;
    assert_eq!(said.code, Some(2), "{said}");
    let line = said
        .stderr
        .split("as root: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    lab.sh(line)?;
    assert_eq!(root(lab, &["status", "--user", "alice"])?.code, Some(0));
    let said = lab
        .as_user("bob")
        .cmd(["pp-fetcher", "status", "--user", "alice"])
        .output()?;
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.stderr.contains("only root can be alice"), "{said}");
    Ok(())
}

/// Makes each user an app of a key, a repository, a unit and a policy of its own, as the pages say.
fn two_users(host: &Host) -> Result<()> {
    let lab = host.lab();
    lab.sh("mkdir -p /etc/systemd/system/pp-restarter.socket.d
         cp /usr/share/doc/pp-restarter/examples/users/pp-restarter.socket.d/callers.conf /etc/systemd/system/pp-restarter.socket.d/
         systemctl daemon-reload; systemctl restart pp-restarter.socket
         git config --system --replace-all safe.directory '*'")?;
    for (user, port) in [("alice", 9101), ("bob", 9102)] {
        lab.sh(&format!(
            "adduser --quiet {user} pp-callers
             install -d -m 0755 /etc/pp-fetcher/users/{user} /etc/pp-fetcher/users/{user}/apps.d
             install -d -m 0700 -o {user} -g {user} /etc/pp-fetcher/users/{user}/keys
             install -d -m 0750 -o {user} -g {user} /srv/apps/{user} /var/lib/pp-fetcher-users/{user}
             install -d -m 2770 -o {user} -g {user} /srv/apps/{user}/todo
             runuser -u {user} -- ssh-keygen -q -t ed25519 -N '' -f /etc/pp-fetcher/users/{user}/keys/todo
             rm -rf /srv/git/{user}; mkdir -p /srv/git/{user}; cd /srv/git/{user}; git init -q -b main; git config user.email a@b; git config user.name A
             printf 'hello v1\\n' >index.html; git add -A; git commit -qm one; chmod -R a+rX /srv/git/{user}
             printf '[Service]\\nUser={user}\\nWorkingDirectory=/srv/apps/{user}/todo/current\\nExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 {port}\\n' >/etc/systemd/system/{user}-todo.service
             sed 's/alice/{user}/g' /usr/share/doc/pp-restarter/examples/users/policy.d-alice.toml >/etc/pp-restarter/policy.d/{user}.toml
             systemctl daemon-reload"
        ))?;
        let app = format!(
            "repository = \"file:///srv/git/{user}\"\ninterval = \"5s\"\n[ssh]\nidentity = \"/etc/pp-fetcher/users/{user}/keys/todo\"\n\
             [deploy]\nroot = \"/srv/apps/{user}/todo\"\n[restart]\nunits = [\"{user}-todo.service\"]\n\
             [health]\nurl = \"http://127.0.0.1:{port}/index.html\"\nsteady = \"0s\"\nwithin = \"20s\"\n"
        );
        lab.write(
            &format!("/etc/pp-fetcher/users/{user}/apps.d/todo.toml"),
            app.as_bytes(),
            0o644,
            "root:root",
        )?;
    }
    Ok(())
}

fn push(lab: &Lab, user: &str, text: &str) -> Result<()> {
    lab.sh(&format!(
        "cd /srv/git/{user}; echo '{text}' >index.html; git commit -qam x; chmod -R a+rX /srv/git/{user}"
    ))
    .map(drop)
}

fn serves(lab: &Lab, port: u16, text: &str) -> Result<()> {
    wait_until(text, Duration::from_secs(40), || {
        let out = lab
            .cmd(["curl", "-s", &format!("http://127.0.0.1:{port}/index.html")])
            .output()?;
        Ok(out.stdout.contains(text).then_some(()))
    })
}

fn rule_43_two_users_deploy_side_by_side_and_cannot_touch_each_other(host: &Host) -> Result<()> {
    let lab = host.lab();
    two_users(host)?;
    lab.sh("systemctl start pp-fetcher@alice pp-fetcher@bob")?;
    serves(lab, 9101, "hello v1")?;
    serves(lab, 9102, "hello v1")?;
    push(lab, "alice", "hello v2")?;
    serves(lab, 9101, "hello v2")?;
    serves(lab, 9102, "hello v1")?;
    lab.sh(
        "systemctl reload pp-fetcher@alice; systemctl is-active pp-fetcher@alice pp-fetcher@bob",
    )?;
    for (me, other) in [("alice", "bob"), ("bob", "alice")] {
        let account = lab.as_user(me);
        for file in [
            format!("/etc/pp-fetcher/users/{other}/keys/todo"),
            format!("/var/lib/pp-fetcher-users/{other}/todo/state.json"),
            format!("/srv/apps/{other}/todo/current/index.html"),
        ] {
            assert!(lab.exists(&file)?, "{file}");
            let read = account.cmd(["cat", &file]).output()?;
            assert_ne!(read.code, Some(0), "{me} reads {file}");
        }
        let writable = account.sh(&format!(
            "find / -xdev \\( -path /proc -o -path /sys -o -path /tmp -o -path /var/tmp -o -path /dev -o -path /run/user -o -path /home/{me} \\) -prune \
             -o ! -type l -writable -print 2>/dev/null | grep -v -e '^/srv/apps/{me}/' -e '^/srv/apps/{me}$' -e '^/var/lib/pp-fetcher-users/{me}' \
             -e '^/etc/pp-fetcher/users/{me}/keys' -e '^/run/' -e '^/var/lib/php' -e '^/home/{me}' || true"
        ))?;
        assert_eq!(writable, "", "{me} writes nothing beyond its own");
        let asked = account
            .cmd(["pp-restart", &format!("{other}-todo.service")])
            .output()?;
        assert_eq!(asked.code, Some(3), "{me}: {asked}");
        let own = account.cmd(["pp-restart", "--list"]).ok()?;
        assert!(
            own.contains(&format!("{me}-todo.service")) && !own.contains(other),
            "{own}"
        );
        // Whoever is that user sees its own apps without being told.
        account
            .cmd(["pp-fetcher", "status"])
            .output()?
            .says(&["todo  ok"]);
        let named = root(lab, &["status", "--user", me])?;
        named.says(&["todo  ok"]);
    }
    // An agent of each user's, whose socket is that user's alone.
    lab.sh("systemctl start pp-ssh-agent@alice")?;
    let held = "SSH_AUTH_SOCK=/run/pp-ssh-agent-users/alice/agent.sock ssh-add -l";
    assert!(lab.as_user("alice").sh(held)?.contains("ED25519"));
    assert_ne!(
        lab.as_user("bob").cmd(["sh", "-c", held]).output()?.code,
        Some(0)
    );
    // Neither the apps' user of the host nor its group reaches them, nor they it.
    for file in [
        "/etc/pp-fetcher/users/alice/keys/todo",
        "/var/lib/pp-fetcher-users/alice/todo/state.json",
    ] {
        assert_ne!(
            lab.as_user("gunicorn").cmd(["cat", file]).output()?.code,
            Some(0),
            "{file}"
        );
    }
    let stranger = lab
        .as_user("member")
        .cmd(["pp-restart", "--list"])
        .output()?;
    assert_eq!(
        stranger.code,
        Some(5),
        "the socket is the callers' now: {stranger}"
    );
    lab.sh("systemctl stop pp-fetcher@alice pp-fetcher@bob")
        .map(drop)
}

fn rule_43_the_same_from_cron(host: &Host) -> Result<()> {
    let lab = host.lab();
    push(lab, "alice", "hello v3")?;
    lab.write(
        "/etc/cron.d/alice",
        b"* * * * * alice pp-fetcher poll -q 2>&1 | logger -t pp-fetcher\n",
        0o644,
        "root:root",
    )?;
    lab.sh("systemctl restart cron")?;
    wait_until("cron has polled", Duration::from_secs(90), || {
        let out = lab
            .cmd(["curl", "-s", "http://127.0.0.1:9101/index.html"])
            .output()?;
        Ok(out.stdout.contains("hello v3").then_some(()))
    })?;
    assert_eq!(
        lab.stat("/var/lib/pp-fetcher-users/alice/todo/state.json")?,
        "640 alice alice"
    );
    lab.sh("rm /etc/cron.d/alice").map(drop)
}
