//! Hosts that are not quite as the book has it: each difference is asked about, and the answer ends well.

use anyhow::{Context, Result};
use pp_tests::app::Perl;
use pp_tests::host::Host;
use pp_tests::old_way::OldWay;

use super::{PATIENCE, adopt, directory, everything, old_way};

const NAME: &str = "unusual";
const PORT: u16 = 8107;

/// A unit with a program and variables in the checkout, that works in a directory of the checkout; a poller behind
/// flock in cron, and another by a timer; a renamed file, and one that git is told to skip.
fn set_up(host: &Host) -> Result<OldWay<'_>> {
    let lab = host.lab();
    let old = old_way(host, NAME, PORT)?;
    let dir = directory(NAME);
    lab.as_user("gunicorn").sh(&format!(
        "cd {dir}; mkdir -p venv/bin; ln -s /usr/bin/gunicorn venv/bin/gunicorn; touch venv/pyvenv.cfg
         echo GREETING=hello >unit.conf
         git -c user.name=A -c user.email=a@b commit -q --allow-empty -m Empty
         echo '# of this host' >>todo/urls.py; git update-index --skip-worktree todo/urls.py
         git mv manage.py moved.py"
    ))?;
    lab.sh(&format!(
        "sed -i 's|gunicorn /opt/\\(.*/{NAME}/\\)|gunicorn flock -n /run/lock/{NAME} /opt/\\1|' /etc/crontab
         cd /etc/systemd/system
         sed -i 's|^ExecStart=/usr/bin/gunicorn|EnvironmentFile={dir}/unit.conf\\nExecStart={dir}/venv/bin/gunicorn|' {unit}
         printf '#!/bin/sh\\ncd {dir} && git pull\\n' >/usr/local/bin/pull-{NAME}; chmod 755 /usr/local/bin/pull-{NAME}
         printf '[Service]\\nUser=gunicorn\\nExecStart=/usr/local/bin/pull-{NAME}\\n' >pull-{NAME}.service
         printf '[Timer]\\nOnActiveSec=1d\\n[Install]\\nWantedBy=timers.target\\n' >pull-{NAME}.timer
         systemctl daemon-reload; systemctl enable --now --quiet pull-{NAME}.timer
         systemctl restart {unit}",
        unit = old.unit()
    ))?;
    lab.serves(PORT, "todo v0", PATIENCE)?;
    Ok(old)
}

pub(super) fn what_is_not_as_the_book_has_it_is_asked_and_ends_well(host: &Host) -> Result<()> {
    let lab = host.lab();
    let old = set_up(host)?;
    let dir = directory(NAME);
    let before = everything(host, NAME)?;
    let said = adopt(host, &[NAME, "--from", &dir, "--shared", "nowhere"])?;
    assert_eq!(said.code, Some(2), "{said}");
    let unit = old.unit();
    for part in [
        &*format!("{unit} uses {dir}/unit.conf of the checkout: --keep unit.conf lets it stay"),
        &format!("{unit} uses {dir}/venv/bin/gunicorn of the checkout: --keep venv lets it stay"),
        &format!(
            "pull-{NAME}.service updates the checkout: systemctl disable --now pull-{NAME}.timer"
        ),
        "is moved.py data?",
        "is manage.py data?",
        "nowhere is not there, in the checkout",
    ] {
        assert!(said.stderr.contains(part), "{part}: {said}");
    }
    assert_eq!(everything(host, NAME)?, before);
    let line = said
        .stderr
        .split_once("the checkout: systemctl ")
        .context("advice")?
        .1;
    let line = line.split_once(" first").context("advice")?.0;
    lab.sh(&format!("systemctl {line}"))?;
    let mut words = vec![NAME, "--from", &dir];
    for (option, path) in [
        ("--keep", "unit.conf"),
        ("--keep", "venv"),
        ("--leave", "moved.py"),
        ("--leave", "manage.py"),
        ("--shared", "todo/urls.py"),
    ] {
        words.extend([option, path]);
    }
    let said = adopt(host, &words)?;
    assert_eq!(said.code, Some(0), "{said}");
    let crontab = lab.read("/etc/crontab")?;
    assert!(
        crontab.contains(&format!("#switched off by pp-fetcher adopt {NAME}: ")),
        "{crontab}"
    );
    said.says(&[
        "todo/urls.py",
        &format!("{unit} goes on using {dir}/venv/bin/gunicorn"),
        "! -name unit.conf ! -name venv -exec",
    ]);
    assert!(
        lab.readlink(&format!("{dir}/current/todo/urls.py"))?
            .ends_with("shared/todo/urls.py")
    );
    assert!(
        lab.read(&format!("{dir}/shared/todo/urls.py"))?
            .contains("# of this host")
    );
    // What is named for deletion goes, and the unit starts again without it.
    let line = said
        .stdout
        .split_once("the old checkout: ")
        .context("advice")?
        .1;
    lab.sh(line.lines().next().context("advice")?)?;
    lab.sh(&format!("systemctl restart {unit}"))?;
    lab.serves(PORT, "todo v0", PATIENCE)?;
    lab.sh(&format!(
        "rm /usr/local/bin/pull-{NAME} /etc/systemd/system/pull-{NAME}.*; systemctl daemon-reload"
    ))?;
    Ok(())
}

/// A checkout of a user who has had no app of pp-fetcher's so far, on a host where the restarter is for pp-callers.
pub(super) fn a_user_of_its_own_is_polled_from_then_on_and_named_in_the_way_back(
    host: &Host,
) -> Result<()> {
    let (lab, forge, dir) = (host.lab(), host.forge(), "/srv/apps/ada/hers");
    forge.empty_repository(lab, "hers")?;
    forge.push(lab, "hers", &Perl("v1").into(), "First")?;
    let address = forge.open_locally(lab, "hers")?;
    lab.sh(&format!(
        "adduser --quiet --system --group --home /var/lib/ada ada
         install -d -o ada -g ada /srv/apps/ada {dir}"
    ))?;
    lab.as_user("ada")
        .sh(&format!("git clone -q -b main {address} {dir}"))?;
    let unit = format!(
        "[Service]\nUser=ada\nEnvironment=PORT=8108\nWorkingDirectory={dir}\nExecStart=/usr/bin/perl server.pl\n"
    );
    lab.write(
        "/etc/systemd/system/ada-hers.service",
        unit.as_bytes(),
        0o644,
        "root:root",
    )?;
    lab.sh("systemctl daemon-reload; systemctl start ada-hers.service")?;
    lab.serves(8108, "hello v1", PATIENCE)?;
    let said = adopt(
        host,
        &[
            "hers",
            "--user",
            "ada",
            "--from",
            dir,
            "--health-url",
            "http://127.0.0.1:8108/",
        ],
    )?;
    assert_eq!(said.code, Some(0), "{said}");
    said.says(&[
        "switched off nothing: no poller was found",
        "Left to do: let ada reach the restarter: adduser ada pp-callers",
        "pp-fetcher adopt hers --undo --user ada",
    ]);
    assert!(
        !said.stdout.contains("The poller is switched off"),
        "{said}"
    );
    // What is left to do is done, and the service of this user deploys the next push.
    lab.sh("adduser --quiet ada pp-callers")?;
    host.open_restarter_to_callers()?;
    forge.push(lab, "hers", &Perl("v2").into(), "Second")?;
    lab.sh("systemctl restart pp-fetcher@ada.service")?;
    lab.serves(8108, "hello v2", PATIENCE)?;
    let said = adopt(host, &["hers", "--undo"])?;
    assert_eq!(said.code, Some(2), "{said}");
    let line = said.stderr.lines().last().context("advice")?;
    let said = lab.sh(line)?;
    assert!(
        said.contains("what migrations of later releases have changed"),
        "{said}"
    );
    lab.serves(8108, "hello v1", PATIENCE)?;
    lab.sh("systemctl disable --now --quiet pp-fetcher@ada ada-hers; rm -r /etc/systemd/system/pp-restarter.socket.d /etc/systemd/system/ada-hers.service
         systemctl daemon-reload; systemctl restart pp-restarter.socket")?;
    Ok(())
}
