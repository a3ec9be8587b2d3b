//! What the pair does not do, whoever asks.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;

use anyhow::Result;
use pp_tests::app::Perl;
use pp_tests::cases;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        Host::start,
        cases![
            a_member_of_hosted_apps_restarts_what_the_policy_lists,
            a_unit_that_is_not_listed_is_refused_and_not_touched,
            rule_6_what_systemd_would_mangle_into_a_listed_name_is_not_that_name,
            listed_or_unlisted_or_absent_a_stranger_hears_the_same,
            a_stranger_does_not_reach_the_socket,
            rule_1_a_stranger_is_refused_even_when_the_socket_lets_everybody_in,
            a_deploy_whose_unit_is_not_listed_leaves_the_app_as_it_was,
            a_policy_of_try_restart_deploys_what_runs_and_says_what_starts_the_rest,
            a_changed_host_key_is_refused_and_nothing_is_fetched,
            a_forced_push_is_refused_and_the_app_stays,
            a_setting_that_is_misspelt_is_named_with_its_line,
        ],
    )
}

fn a_member_of_hosted_apps_restarts_what_the_policy_lists(host: &Host) -> Result<()> {
    let app = host.perl("by_hand")?;
    app.deploy(Perl("v1"), "First")?;
    let before = host.lab().property(app.unit(), "InvocationID")?;
    host.lab().sh("useradd -G hosted_apps grace")?;
    let grace = host.lab().as_user("grace");
    let output = grace.cmd(["pp-restart", app.unit()]).output()?;
    assert_eq!(output.code, Some(0), "{output}");
    assert_ne!(host.lab().property(app.unit(), "InvocationID")?, before);
    app.serves("hello v1")?;

    let list = grace.cmd(["pp-restart", "--list"]).ok()?;
    assert!(
        list.contains(app.unit()) && list.contains("restart"),
        "{list}"
    );
    let json = grace.cmd(["pp-restart", "--json", app.unit()]).ok()?;
    serde_json::from_str::<serde_json::Value>(&json)?;
    assert_eq!(grace.cmd(["pp-restart"]).output()?.code, Some(2));
    assert_eq!(
        grace
            .cmd(["pp-restart", "--no-such-flag", "x"])
            .output()?
            .code,
        Some(2)
    );
    Ok(())
}

fn a_unit_that_is_not_listed_is_refused_and_not_touched(host: &Host) -> Result<()> {
    let sshd = host.lab().property("ssh.service", "MainPID")?;
    let gunicorn = host.lab().as_user("gunicorn");
    for unit in ["ssh.service", "cron.service", "no-such.service"] {
        let output = gunicorn.cmd(["pp-restart", unit]).output()?;
        assert_eq!(output.code, Some(3), "{unit}: {output}");
    }
    assert_eq!(host.lab().property("ssh.service", "MainPID")?, sshd);
    Ok(())
}

fn rule_6_what_systemd_would_mangle_into_a_listed_name_is_not_that_name(host: &Host) -> Result<()> {
    let app = host.perl("exact")?;
    app.deploy(Perl("v1"), "First")?;
    let before = host.lab().property(app.unit(), "InvocationID")?;
    let stem = app.unit().trim_end_matches(".service");
    let mut taken_by_systemd = 0;
    for spelling in [
        stem.to_owned(),
        format!("{}.*", app.unit().trim_end_matches("service")),
        format!("{stem}*"),
        app.unit().to_uppercase(),
        format!("{} ", app.unit()),
        format!("{}\n", app.unit()),
        format!("./{}", app.unit()),
        format!("/etc/systemd/system/{}", app.unit()),
    ] {
        let mangled = host
            .lab()
            .cmd(["systemd-escape", "--mangle", "--", &spelling])
            .output()?;
        taken_by_systemd += u32::from(mangled.stdout.trim() == app.unit());
        let gunicorn = host.lab().as_user("gunicorn");
        let output = gunicorn.cmd(["pp-restart", "--", &spelling]).output()?;
        assert_ne!(output.code, Some(0), "{spelling:?}: {output}");
    }
    assert!(
        taken_by_systemd > 0,
        "none of these says anything about systemd's mangling"
    );
    assert_eq!(host.lab().property(app.unit(), "InvocationID")?, before);
    Ok(())
}

fn listed_or_unlisted_or_absent_a_stranger_hears_the_same(host: &Host) -> Result<()> {
    let app = host.perl("secret")?;
    host.lab()
        .sh("useradd eve; chmod 666 /run/pp-restarter/restarter.sock")?;
    let mut heard = Vec::new();
    for unit in [app.unit(), "cron.service", "no-such.service"] {
        let output = host
            .lab()
            .as_user("eve")
            .cmd(["pp-restart", "--json", unit])
            .output()?;
        assert_eq!(output.code, Some(3), "{output}");
        heard.push((output.stdout + &output.stderr).replace(unit, "UNIT"));
    }
    host.lab()
        .sh("chmod 660 /run/pp-restarter/restarter.sock")?;
    heard.dedup();
    assert_eq!(heard.len(), 1, "{heard:?}");
    Ok(())
}

fn a_stranger_does_not_reach_the_socket(host: &Host) -> Result<()> {
    let app = host.perl("far")?;
    host.lab().sh("useradd mallory")?;
    let output = host
        .lab()
        .as_user("mallory")
        .cmd(["pp-restart", app.unit()])
        .output()?;
    assert_eq!(output.code, Some(5), "{output}");
    // The line that makes a member of her, as root; it counts from the next login on.
    let line = output.stderr.split("as root: ").nth(1).unwrap();
    let line = line.split(';').next().unwrap();
    assert_eq!(line, "adduser mallory hosted_apps", "{output}");
    // As that does; this small host has no adduser.
    host.lab().sh("usermod -aG hosted_apps mallory")?;
    app.deploy(Perl("v1"), "First")?;
    let output = host
        .lab()
        .as_user("mallory")
        .cmd(["pp-restart", app.unit()])
        .output()?;
    assert_eq!(output.code, Some(0), "{output}");
    Ok(())
}

fn rule_1_a_stranger_is_refused_even_when_the_socket_lets_everybody_in(host: &Host) -> Result<()> {
    let app = host.perl("near")?;
    app.deploy(Perl("v1"), "First")?;
    let before = host.lab().property(app.unit(), "InvocationID")?;
    host.lab()
        .sh("useradd trudy; chmod 666 /run/pp-restarter/restarter.sock")?;
    let output = host
        .lab()
        .as_user("trudy")
        .cmd(["pp-restart", app.unit()])
        .output()?;
    host.lab()
        .sh("chmod 660 /run/pp-restarter/restarter.sock")?;
    assert_eq!(output.code, Some(3), "{output}");
    assert_eq!(host.lab().property(app.unit(), "InvocationID")?, before);
    Ok(())
}

fn a_deploy_whose_unit_is_not_listed_leaves_the_app_as_it_was(host: &Host) -> Result<()> {
    let app = host.perl("unlisted")?;
    let first = app.deploy(Perl("v1"), "First")?;
    let before = host.lab().property(app.unit(), "InvocationID")?;
    app.forbid()?;
    app.push(Perl("v2"), "Second")?;
    let output = app.poll_exits(1)?;
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains(app.unit()), "it names the unit: {said}");
    assert!(
        said.contains("/etc/pp-restarter/policy.d"),
        "and where to allow it: {said}"
    );
    assert_eq!(app.current_revision()?, first);
    assert_eq!(host.lab().property(app.unit(), "InvocationID")?, before);
    app.serves("hello v1")?;
    let status = app.status()?;
    assert!(
        status.state == "failing" && status.quarantined.is_empty(),
        "{status:?}"
    );
    app.allow("burst = 3, every = \"10s\"")?;
    app.poll_exits(0)?;
    app.serves("hello v2")
}

fn a_policy_of_try_restart_deploys_what_runs_and_says_what_starts_the_rest(
    host: &Host,
) -> Result<()> {
    let app = host.perl("cautious")?;
    app.deploy(Perl("v1"), "First")?;
    let unit = app.unit();
    let policy = format!(
        "[[allow]]\nunits = [\"{unit}\"]\nverbs = [\"try-restart\"]\ngroups = [\"hosted_apps\"]\n"
    );
    app.forbid()?;
    host.policy("cautious", &policy)?;
    app.deploy(Perl("v2"), "Second")?;
    app.serves("hello v2")?;
    // Stopped on purpose: a deploy does not start it, and says what does.
    host.lab().cmd(["systemctl", "stop", unit]).ok()?;
    app.push(Perl("v3"), "Third")?;
    let output = host
        .lab()
        .cmd(["pp-fetcher", "poll", app.name()])
        .output()?;
    assert_eq!(output.code, Some(1), "{output}");
    output.says(&[
        "restart only what runs (try-restart)",
        "as root: systemctl start",
    ]);
    assert_eq!(host.lab().property(unit, "ActiveState")?, "inactive");
    assert_eq!(
        app.last()?.outcome.as_str(),
        "good",
        "nothing was switched, so there is no attempt"
    );
    host.lab().cmd(["systemctl", "start", unit]).ok()?;
    host.lab().cmd(["pp-fetcher", "poll", app.name()]).ok()?;
    app.serves("hello v3")
}

fn a_changed_host_key_is_refused_and_nothing_is_fetched(host: &Host) -> Result<()> {
    let app = host.perl("pinned")?;
    let first = app.deploy(Perl("v1"), "First")?;
    app.push(Perl("v2"), "Second")?;
    host.forge().change_host_key(host.lab())?;
    let logins = host.forge().logins(host.lab())?;
    let output = app.poll_exits(1)?;
    assert_eq!(
        host.forge().logins(host.lab())?,
        logins,
        "the key was not offered to a stranger"
    );
    let said = format!("{}{}", output.stdout, output.stderr).to_lowercase();
    assert!(said.contains("host key"), "{said}");
    assert_eq!(app.current_revision()?, first);
    let pinned = host.lab().read(pp_tests::forge::KNOWN_HOSTS)?;
    assert_eq!(
        pinned.lines().count(),
        1,
        "nothing was pinned by itself: {pinned}"
    );
    app.serves("hello v1")?;

    host.forge().trust(host.lab())?;
    app.poll_exits(0)?;
    app.serves("hello v2")?;
    Ok(())
}

fn a_forced_push_is_refused_and_the_app_stays(host: &Host) -> Result<()> {
    let app = host.perl("forced")?;
    let first = app.push(Perl("v1"), "First")?;
    let second = app.deploy(Perl("v2"), "Second")?;
    host.forge().force(host.lab(), app.name(), &first)?;
    app.poll_exits(1)?;
    assert_eq!(
        app.current_revision()?,
        second,
        "a step back is not a step forward"
    );
    app.serves("hello v2")?;
    host.forge().force(host.lab(), app.name(), &second)?;
    app.deploy(Perl("v3"), "Third")?;
    app.serves("hello v3")?;
    Ok(())
}

fn a_setting_that_is_misspelt_is_named_with_its_line(host: &Host) -> Result<()> {
    let app = host.perl("misspelt")?;
    app.set("keep = 5", "kep = 5")?;
    let line = app.settings().lines().position(|l| l == "kep = 5").unwrap() + 1;
    let output = app.poll_exits(2)?;
    let place = format!("apps.d/misspelt.toml:{line}:");
    assert!(
        output.stderr.contains(&place) && output.stderr.contains("`keep`"),
        "{output}"
    );
    app.set("kep = 5", "keep = 5")?;
    Ok(())
}
