//! A set-up that is repeated, refused half-way, interrupted or removed in two goes: what a person has changed is left
//! alone, and what was there before is there again.

use anyhow::{Context, Result};
use pp_tests::host::Host;

use super::{everything, setup};

const FILE: &str = "/etc/pp-fetcher/apps.d/again.toml";
const SITE: &str = "/etc/nginx/sites-available/again.conf";

fn words(site: &str) -> Vec<&str> {
    vec![
        "again",
        "--repository",
        "/srv/again",
        "--port",
        "8041",
        "--nginx",
        site,
        "--health-host",
        "localhost",
    ]
}

pub(super) fn what_a_person_has_changed_is_left_alone(host: &Host) -> Result<()> {
    let lab = host.lab();
    lab.sh("systemctl start nginx.service")?;
    let said = setup(host, &words("again.example.org"))?;
    assert_eq!(said.code, Some(0), "{said}");
    let first = (lab.read(FILE)?, lab.read(SITE)?);
    // Untouched: another wish replaces it.
    let said = setup(host, &words("once-more.example.org"))?;
    assert_eq!(said.code, Some(0), "{said}");
    assert!(
        lab.read(SITE)?
            .contains("server_name once-more.example.org;")
    );
    let said = setup(host, &words("again.example.org"))?;
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!((lab.read(FILE)?, lab.read(SITE)?), first);
    // The app's file says that it is a person's to change.
    lab.sh(&format!(
        "echo 'interval = \"1h\"' | sed -i '2r /dev/stdin' {FILE}"
    ))?;
    let changed = lab.read(FILE)?;
    let said = setup(host, &words("once-more.example.org"))?;
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.stderr.contains("somebody has changed it"), "{said}");
    assert_eq!((lab.read(FILE)?, lab.read(SITE)?), (changed, first.1));
    let line = said
        .stderr
        .split_once("move it away: ")
        .context("advice")?
        .1;
    lab.sh(line)?;
    let said = setup(host, &words("once-more.example.org"))?;
    assert_eq!(said.code, Some(0), "{said}");
    lab.sh(&format!("rm {FILE}.old"))?;
    Ok(())
}

pub(super) fn a_site_that_nginx_refuses_leaves_the_one_before(host: &Host) -> Result<()> {
    let lab = host.lab();
    let before = lab.read(SITE)?;
    let refused = setup(host, &words("\"not;a;name"))?;
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(
        refused.stderr.contains("so the site is as it was before"),
        "{refused}"
    );
    assert_eq!(lab.read(SITE)?, before);
    lab.sh("nginx -t -q")?;
    Ok(())
}

pub(super) fn a_removal_of_data_that_was_cut_short_still_knows_where_the_data_is(
    host: &Host,
) -> Result<()> {
    let lab = host.lab();
    let root = "/var/www/projects/again";
    lab.sh(&format!(
        "install -d -o gunicorn -g hosted_apps {root}/shared {root}/shared/stuck; mount -t tmpfs none {root}/shared/stuck"
    ))?;
    let cut = setup(host, &["again", "--remove", "--data"])?;
    assert_eq!(cut.code, Some(1), "{cut}");
    assert!(!lab.exists(FILE)? && lab.exists(root)?);
    lab.sh(&format!("umount {root}/shared/stuck"))?;
    let done = setup(host, &["again", "--remove", "--data"])?;
    assert_eq!(done.code, Some(0), "{done}");
    assert!(!lab.exists(root)? && !lab.exists("/etc/pp-fetcher/again.removing")?);
    lab.sh("systemctl stop nginx.service")?;
    Ok(())
}

pub(super) fn an_interrupted_question_leaves_nothing(host: &Host) -> Result<()> {
    let lab = host.lab();
    let before = everything(host)?;
    // Ctrl-C is a byte that the terminal makes a signal of.
    let typed = "(sleep 3; printf '\\003'; sleep 1) |
        script -qec 'pp-fetcher setup again --repository /srv/again --unit again.service' /tmp/typed || true
        cat /tmp/typed; ls -d /run/pp-fetcher-setup-* 2>/dev/null || true";
    let said = lab.sh(typed)?;
    assert!(said.contains("[y/N]"), "{said}");
    assert!(!said.contains("/run/pp-fetcher-setup-"), "{said}");
    assert_eq!(everything(host)?, before);
    Ok(())
}
