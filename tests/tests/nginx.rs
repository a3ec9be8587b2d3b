//! What those see who ask nginx: during many deploys no request is lost behind a socket, and static files of the release
//! before stay there for pages that are still open.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use pp_tests::app::Django;
use pp_tests::cases;
use pp_tests::forge::Tree;
use pp_tests::harness::{self, Needs};
use pp_tests::host::Host;
use pp_tests::load::Load;

const DEPLOYS: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    harness::run(
        Needs::Packages,
        start,
        cases![
            twenty_deploys_behind_nginx_and_a_socket_lose_no_request_and_no_static_file,
            files_below_current_change_with_the_switch,
        ],
    )
}

fn start() -> Result<Host> {
    let host = Host::start()?;
    host.lab()
        .sh("rm -f /etc/nginx/sites-enabled/default; systemctl restart nginx.service")?;
    Ok(host)
}

fn set_up(host: &Host, name: &str, tree: Tree, more: &[&str]) -> Result<()> {
    let lab = host.lab();
    let forge = host.forge();
    forge.empty_repository(lab, name)?;
    forge.push(lab, name, &tree, "First")?;
    let repository = forge.open_locally(lab, name)?;
    let said = lab
        .cmd(["pp-fetcher", "setup", name, "--repository", &repository])
        .args(more.iter().copied())
        .within(PATIENCE)
        .output()?;
    ensure!(said.code == Some(0), "{said}");
    poll(host, name)
}

fn poll(host: &Host, name: &str) -> Result<()> {
    let said = host
        .lab()
        .cmd(["pp-fetcher", "poll", name])
        .within(PATIENCE)
        .output()?;
    ensure!(said.code == Some(0), "{said}");
    Ok(())
}

fn twenty_deploys_behind_nginx_and_a_socket_lose_no_request_and_no_static_file(
    host: &Host,
) -> Result<()> {
    let lab = host.lab();
    let name = "shop";
    let version = |n: u32| Tree::from(Django::version(&format!("v{n}")).hashing_static_files());
    let more = [
        "--gunicorn",
        "todo.wsgi",
        "--build",
        "deploy.sh",
        "--shared",
        "db.sqlite3",
        "--nginx",
        "localhost",
    ];
    set_up(host, name, version(0), &more)?;
    lab.sh(&format!(
        "echo 'steady = \"0s\"' >>/etc/pp-fetcher/apps.d/{name}.toml"
    ))?;
    let load = Load::start(lab, 80, "/")?;
    let deployed = (1..=DEPLOYS).try_for_each(|n| {
        host.forge()
            .push(lab, name, &version(n), &format!("Version {n}"))?;
        poll(host, name)?;
        let got = lab.get(80, "/")?;
        ensure!(
            got.body.starts_with(&format!("todo v{n},")),
            "it serves {got:?}"
        );
        Ok(())
    });
    let tally = load.stop()?;
    println!("{DEPLOYS} deploys: {tally:?}");
    deployed?;
    assert!(tally.sent() > 500, "there was a load: {tally:?}");
    assert_eq!(tally.failed(), 0, "{tally:?}");
    // The style sheet of every version, under the name that its pages have.
    let hashed = lab.sh(&format!(
        "cd /www/static/{name}/todo; ls | grep -E '^style\\.[0-9a-f]{{12}}\\.css$'"
    ))?;
    assert_eq!(hashed.lines().count(), 1 + DEPLOYS as usize, "{hashed}");
    for file in hashed.lines() {
        assert_eq!(
            lab.get(80, &format!("/static/todo/{file}"))?.status,
            200,
            "{file}"
        );
    }
    Ok(())
}

/// The shipped example of a site without a unit.
const SITE: &str = include_str!("../../packaging/examples/site_static/nginx/site_static.conf");

fn files_below_current_change_with_the_switch(host: &Host) -> Result<()> {
    let lab = host.lab();
    let name = "site_static";
    let version = |n: u32| Tree::default().file("public/index.html", format!("page v{n}\n"));
    set_up(host, name, version(0), &[])?;
    let site = SITE.replace("listen 80;", "listen 8081;");
    ensure!(site != SITE, "the example listens at port 80");
    lab.write(
        "/etc/nginx/sites-enabled/site_static.conf",
        site.as_bytes(),
        0o644,
        "root:root",
    )?;
    lab.sh("nginx -t -q; systemctl reload nginx")?;
    // `reload` is over before nginx listens at a new port.
    lab.serves(8081, "page v0", PATIENCE)?;
    let load = Load::start(lab, 8081, "/")?;
    let deployed = (1..=5).try_for_each(|n| {
        host.forge()
            .push(lab, name, &version(n), &format!("Version {n}"))?;
        poll(host, name)?;
        let got = lab.get(8081, "/")?;
        ensure!(got.body == format!("page v{n}"), "it serves {got:?}");
        Ok(())
    });
    let tally = load.stop()?;
    deployed?;
    assert_eq!(tally.failed(), 0, "{tally:?}");
    lab.sh("pp-fetcher rollback site_static")?;
    assert_eq!(lab.get(8081, "/")?.body, "page v4");
    Ok(())
}
