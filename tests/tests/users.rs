//! Users with apps of their own, each of whom tries to reach what is the other's (rule 43).
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
            a_user_without_apps_is_told_the_line_that_makes_room_for_them,
            rule_43_two_users_deploy_side_by_side_and_cannot_touch_each_other,
            rule_43_the_same_from_cron,
        ],
    )
}

fn start() -> Result<Host> {
    let host = Host::start()?;
    let lab = host.lab();
    lab.sh("useradd -m -G hosted_apps member; useradd -m alice; useradd -m bob")?;
    Ok(host)
}

fn root(lab: &Lab, arguments: &[&str]) -> Result<Output> {
    lab.cmd(["pp-fetcher"])
        .args(arguments.iter().copied())
        .output()
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
    host.open_restarter_to_callers()?;
    lab.sh("git config --system --replace-all safe.directory '*'")?;
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

#[allow(
    clippy::too_many_lines,
    reason = "one attack after another, on one host"
)]
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
