//! The packages' life on a host, on both releases of Debian: installed, set up, upgraded under an app that is being
//! deployed, removed, installed again, purged. What was not there before the installation is not there after the purge.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pp_tests::app::{Attempt, Django, Perl};
use pp_tests::cases;
use pp_tests::forge::{Forge, Tree};
use pp_tests::harness::{self, Needs};
use pp_tests::host::{Host, debs, older_debs};
use pp_tests::lab::{Lab, Suite};
use pp_tests::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(120);

/// What stays by intent after everything is purged: the apps' user keeps its home, as its files may be anybody's data.
const NAMED: &[&str] = &["/var/lib/gunicorn"];

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        // The host of no case: each case boots its own.
        Lab::boot,
        cases![
            on_bookworm_a_whole_life_leaves_nothing,
            on_trixie_a_whole_life_leaves_nothing,
            each_package_alone_comes_and_goes,
            an_app_of_earlier_packages_goes_on_with_the_present_ones,
            an_upgrade_in_the_middle_of_a_restart_leaves_the_unit_restarted_and_the_caller_told,
        ],
    )
}

fn on_bookworm_a_whole_life_leaves_nothing(_: &Lab) -> Result<()> {
    whole_life(Suite::Bookworm)
}

fn on_trixie_a_whole_life_leaves_nothing(_: &Lab) -> Result<()> {
    whole_life(Suite::Trixie)
}

/// Every file and directory of the host, but for what every command of a host writes.
fn files(lab: &Lab) -> Result<BTreeSet<String>> {
    let found = lab.sh(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root \
             -o -path /var/tmp -o -path /var/log/journal -o -path /var/lib/dpkg -o -path /var/cache -o -path /srv/git \
             -o -path /var/lib/systemd -o -path /var/lib/nginx -o -path /var/log/dpkg.log -o -name __pycache__ \\) -prune -o -print",
    )?;
    Ok(found.lines().map(str::to_owned).collect())
}

/// The packages again, as a later version whose own configuration has another comment.
fn later(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    for deb in debs()? {
        let name = deb.file_name().context("a package has a name")?;
        let tree = dir.join(name);
        let run = |arguments: &[&Path]| -> Result<()> {
            let status = Command::new("dpkg-deb").args(arguments).output()?.status;
            ensure!(status.success(), "dpkg-deb {arguments:?}");
            Ok(())
        };
        run(&[Path::new("-R"), &deb, &tree])?;
        let control = tree.join("DEBIAN/control");
        let text = std::fs::read_to_string(&control)?;
        let later = |line: &str| match line.strip_prefix("Version: ") {
            Some(version) => format!("Version: {version}+later\n"),
            None => format!("{line}\n"),
        };
        std::fs::write(&control, text.lines().map(later).collect::<String>())?;
        let config = tree.join("etc/pp-fetcher/config.toml");
        if config.exists() {
            let text = std::fs::read_to_string(&config)? + "# another comment\n";
            std::fs::write(&config, text)?;
        }
        let new = dir.join(format!("later-{}", name.to_string_lossy()));
        run(&[Path::new("-b"), &tree, &new])?;
        made.push(new);
    }
    Ok(made)
}

fn served(lab: &Lab, text: &str) -> Result<()> {
    lab.serves(8000, text, PATIENCE)
}

fn push(lab: &Lab, forge: &Forge, version: Django, subject: &str) -> Result<()> {
    forge.push(lab, "todo", &Tree::from(version), subject)?;
    Ok(())
}

fn whole_life(suite: Suite) -> Result<()> {
    let lab = &Lab::boot_suite(suite)?;
    let forge = &Forge::start(lab)?;
    lab.sh("rm -rf /etc/pp-fetcher")?;
    lab.sh("useradd -m ada")?;
    let before = files(lab)?;
    lab.install(&debs()?)?;
    set_up(lab, forge)?;
    upgrade_in_a_deploy(lab, forge)?;
    remove_and_come_back(lab, forge)?;
    // An agent and an instance that the administrator has started by hand.
    lab.sh("install -d -o ada /etc/pp-fetcher/users/ada/apps.d /var/lib/pp-fetcher-users/ada
            systemctl enable --now --quiet pp-ssh-agent.service pp-ssh-agent@ada.service pp-fetcher@ada.service")?;
    let said = lab
        .cmd(["pp-fetcher", "setup", "todo", "--remove", "--data"])
        .within(PATIENCE)
        .output()?;
    ensure!(said.code == Some(0), "{said}");
    lab.cmd(["dpkg", "--purge", "pp-fetcher", "pp-restarter"])
        .within(PATIENCE)
        .ok()?;
    let after = files(lab)?;
    let named = |path: &&String| !NAMED.iter().any(|named| path.starts_with(named));
    let left: Vec<_> = after.difference(&before).filter(named).collect();
    let gone: Vec<_> = before.difference(&after).collect();
    assert!(left.is_empty(), "left behind: {left:#?}");
    assert!(gone.is_empty(), "taken away: {gone:#?}");
    let processes =
        lab.sh("ps -eo args= | grep -E 'pp-|ssh-agent|gunicorn' | grep -v grep || true")?;
    assert_eq!(processes, "", "processes are left");
    assert_eq!(lab.sh("systemctl --failed --plain --no-legend")?, "");
    assert_eq!(
        lab.sh(
            "systemctl list-units --all --plain --no-legend 'pp-*' | grep -v not-found || true"
        )?,
        ""
    );
    Ok(())
}

fn set_up(lab: &Lab, forge: &Forge) -> Result<()> {
    let url = forge.empty_repository(lab, "todo")?;
    push(lab, forge, Django::version("v1"), "First")?;
    let fingerprint = forge.fingerprint(lab)?;
    let said = lab
        .cmd([
            "pp-fetcher",
            "setup",
            "todo",
            "--repository",
            &url,
            "--gunicorn",
            "todo.wsgi",
            "--port",
            "8000",
            "--build",
            "deploy.sh",
            "--shared",
            "db.sqlite3",
            "--host-key-fingerprint",
            &fingerprint,
        ])
        .within(PATIENCE)
        .output()?;
    ensure!(said.code == Some(0), "{said}");
    forge.register(lab, "todo", &lab.read("/etc/pp-fetcher/keys/todo.pub")?)?;
    served(lab, "todo v1")
}

/// An upgrade while a build is under way, with a configuration that somebody has edited.
fn upgrade_in_a_deploy(lab: &Lab, forge: &Forge) -> Result<()> {
    lab.sh("wait=0; until pp-fetcher history todo | grep -q good; do sleep 1; wait=$((wait + 1)); [ $wait -lt 50 ]; done")?;
    let edited = "# ours\n";
    lab.write(
        "/etc/pp-fetcher/config.toml",
        edited.as_bytes(),
        0o644,
        "root:root",
    )?;
    push(lab, forge, Django::version("v2").building_for(5), "Second")?;
    lab.sh("systemctl restart pp-fetcher")?;
    wait_until("the build is under way", PATIENCE, || {
        let said = lab.cmd(["pp-fetcher", "status", "todo"]).output()?;
        ensure!(said.stdout.contains("build"), "{said}");
        Ok(Some(()))
    })?;
    let work = tempfile::tempdir()?;
    install_keeping_what_is_edited(lab, &later(work.path())?)?;
    served(lab, "todo v2")?;
    assert_eq!(lab.read("/etc/pp-fetcher/config.toml")?, edited.trim_end());
    let versions = lab.sh("dpkg-query -W -f '${Version}\\n' pp-fetcher pp-restarter | sort -u")?;
    assert!(versions.trim().ends_with("+later"), "{versions}");
    assert!(!versions.trim().contains('\n'), "{versions}");
    wait_until("the deploy is recorded", PATIENCE, || {
        let said = lab.cmd(["pp-fetcher", "history", "todo"]).output()?;
        ensure!(said.stdout.matches(" good").count() >= 2, "{said}");
        ensure!(!said.stdout.contains("stuck"), "{said}");
        Ok(Some(()))
    })
}

fn install_keeping_what_is_edited(lab: &Lab, debs: &[PathBuf]) -> Result<()> {
    lab.cmd(["dpkg", "--force-confdef", "--force-confold", "--install"])
        .args(lab.bring(debs)?)
        .within(PATIENCE)
        .ok()?;
    Ok(())
}

/// Removed, the app goes on as it is; installed again, pushes go live again, with all that was set up.
fn remove_and_come_back(lab: &Lab, forge: &Forge) -> Result<()> {
    lab.cmd(["dpkg", "--remove", "pp-fetcher", "pp-restarter"])
        .within(PATIENCE)
        .ok()?;
    served(lab, "todo v2")?;
    assert!(lab.exists("/etc/pp-fetcher/apps.d/todo.toml")?);
    push(lab, forge, Django::version("v3"), "Third")?;
    install_keeping_what_is_edited(lab, &debs()?)?;
    served(lab, "todo v3")?;
    wait_until("the deploy is recorded", PATIENCE, || {
        let said = lab
            .cmd(["pp-fetcher", "doctor", "todo"])
            .within(PATIENCE)
            .output()?;
        ensure!(said.code == Some(0), "{said}");
        Ok(Some(()))
    })
}

fn an_upgrade_in_the_middle_of_a_restart_leaves_the_unit_restarted_and_the_caller_told(
    _: &Lab,
) -> Result<()> {
    let lab = &Lab::boot()?;
    lab.install(&debs()?)?;
    let unit = "[Service]\nExecStartPre=/bin/sleep 5\nExecStart=/bin/sleep infinity\n";
    lab.write(
        "/etc/systemd/system/slow.service",
        unit.as_bytes(),
        0o644,
        "root:root",
    )?;
    let policy = "[[allow]]\nunits = [\"slow.service\"]\ngroups = [\"hosted_apps\"]\n";
    lab.write(
        "/etc/pp-restarter/policy.d/slow.toml",
        policy.as_bytes(),
        0o644,
        "root:root",
    )?;
    lab.sh("systemctl daemon-reload")?;
    let work = tempfile::tempdir()?;
    let restarter = later(work.path())?.remove(0);
    let restarter = lab.bring(&[restarter])?.remove(0);
    let told = lab
        .cmd(["sh", "-c"])
        .args([format!(
            "runuser -u gunicorn -- pp-restart slow.service >/tmp/told 2>&1 & caller=$!
                sleep 1; dpkg --install {restarter} >/dev/null 2>&1
                wait $caller; echo \"ended with $?\"; cat /tmp/told"
        )])
        .within(PATIENCE)
        .ok()?;
    println!("the caller was told: {told}");
    wait_until("the unit runs", PATIENCE, || {
        let state = lab.property("slow.service", "ActiveState")?;
        ensure!(state == "active", "it is {state}");
        Ok(Some(()))
    })?;
    // Either the restarter of before has seen the end, or the caller knows that nobody has.
    let seen = told.starts_with("ended with 0");
    assert!(seen || told.lines().count() > 1, "{told}");
    let again = lab
        .as_user("gunicorn")
        .cmd(["pp-restart", "slow.service"])
        .within(PATIENCE)
        .output()?;
    assert_eq!(again.code, Some(0), "{again}");
    Ok(())
}

/// `PP_OLD_DEBS` names packages of an earlier revision; without it, the present ones are upgraded by themselves.
fn an_app_of_earlier_packages_goes_on_with_the_present_ones(_: &Lab) -> Result<()> {
    let host = Host::start_with(&older_debs()?)?;
    let lab = host.lab();
    let app = host.perl("old")?;
    app.set("interval = \"1m\"", "interval = \"5s\"")?;
    app.deploy(Perl("v1"), "First")?;
    app.deploy(Perl("v2"), "Second")?;
    let before = app.history()?;
    lab.sh("systemctl enable --now --quiet pp-fetcher.service")?;
    let work = tempfile::tempdir()?;
    install_keeping_what_is_edited(lab, &later(work.path())?)?;
    app.serves("hello v2")?;
    app.push(Perl("v3"), "Third")?;
    wait_until(
        "the service of the present packages deploys",
        PATIENCE,
        || {
            let outcomes: Vec<_> = app
                .history()?
                .into_iter()
                .map(|attempt| attempt.outcome)
                .collect();
            ensure!(outcomes == ["good"; 3], "{outcomes:?}");
            Ok(Some(()))
        },
    )?;
    app.serves("hello v3")?;
    let after = app.history()?;
    let revisions = |attempts: &[Attempt]| {
        attempts
            .iter()
            .map(|attempt| attempt.revision.clone())
            .collect::<Vec<_>>()
    };
    assert!(
        revisions(&after).starts_with(&revisions(&before)),
        "{after:?}"
    );
    lab.sh("systemctl stop pp-fetcher; runuser -u gunicorn -- pp-fetcher rollback old")?;
    app.serves("hello v2")?;
    Ok(())
}

fn each_package_alone_comes_and_goes(_: &Lab) -> Result<()> {
    let lab = &Lab::boot()?;
    let before = files(lab)?;
    for deb in debs()? {
        lab.install(std::slice::from_ref(&deb))?;
        let name = deb
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let package = name.split('_').next().unwrap_or_default().to_owned();
        if package == "pp-fetcher" {
            let said = lab.cmd(["pp-fetcher", "status"]).output()?;
            assert_eq!(said.code, Some(0), "{said}");
        } else {
            let said = lab
                .as_user("nobody")
                .cmd(["pp-restart", "--list"])
                .output()?;
            assert_eq!(said.code, Some(5), "{said}");
        }
        lab.cmd(["dpkg", "--purge", &package]).ok()?;
        let after = files(lab)?;
        let named = |path: &&String| !NAMED.iter().any(|named| path.starts_with(named));
        let left: Vec<_> = after.difference(&before).filter(named).collect();
        assert!(left.is_empty(), "{package} leaves behind: {left:#?}");
    }
    Ok(())
}
