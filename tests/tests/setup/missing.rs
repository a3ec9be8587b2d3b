//! What a set-up needs and has not: named with what mends it, and the mend ends well.

use anyhow::Result;
use pp_tests::forge::Forge;
use pp_tests::host::Host;

use super::{fingerprint, setup};

/// A set-up that is refused, and one with what the refusal says to do.
fn refused_then(host: &Host, words: &str, said: &str, then: &str) -> Result<()> {
    let words: Vec<_> = words.split(' ').collect();
    let refused = setup(host, &words)?;
    assert!(matches!(refused.code, Some(1 | 2)), "{refused}");
    assert!(refused.stderr.contains(said), "{said:?}: {refused}");
    let then: Vec<_> = then.split(' ').collect();
    let done = setup(host, &then)?;
    assert_eq!(done.code, Some(0), "{done}");
    Ok(())
}

pub(super) fn what_is_missing_is_named_and_ends_well_once_it_is_there(host: &Host) -> Result<()> {
    let cases = [
        (
            "m",
            "say which: --repository",
            "m --repository /srv/x --dry-run",
        ),
        (
            "m --repository /srv/x --nginx m.example",
            "say --port N, or --gunicorn MODULE",
            "m --repository /srv/x --nginx m.example --port 8099 --dry-run",
        ),
        (
            "m --repository /srv/x --gunicorn a --unit b.service",
            "leave --unit out",
            "m --repository /srv/x --gunicorn a --dry-run",
        ),
    ];
    for (words, said, then) in cases {
        refused_then(host, words, said, then)?;
    }
    what_is_not_installed(host)?;
    a_key_with_a_passphrase(host)
}

fn what_is_not_installed(host: &Host) -> Result<()> {
    let lab = host.lab();
    let cases = [
        (
            "/usr/bin/gunicorn",
            "m --repository /srv/x --gunicorn a --dry-run",
            "name the virtual environment that the build makes: --venv .venv",
            "m --repository /srv/x --gunicorn a --venv .venv --dry-run",
        ),
        (
            "/usr/sbin/nginx",
            "m --repository /srv/x --port 8099 --nginx m.example --dry-run",
            "leave --nginx out",
            "m --repository /srv/x --port 8099 --dry-run",
        ),
    ];
    for (program, words, said, then) in cases {
        lab.sh(&format!("mv {program} {program}.away"))?;
        let ended = refused_then(host, words, said, then);
        lab.sh(&format!("mv {program}.away {program}"))?;
        ended?;
    }
    let words = "m --repository /srv/x --unit m.service --dry-run";
    lab.sh("mv /usr/sbin/pp-restarter /usr/sbin/away")?;
    let refused = setup(host, &words.split(' ').collect::<Vec<_>>())?;
    lab.sh("mv /usr/sbin/away /usr/sbin/pp-restarter")?;
    assert!(
        refused.stderr.contains("apt install pp-restarter"),
        "{refused}"
    );
    Ok(())
}

fn a_key_with_a_passphrase(host: &Host) -> Result<()> {
    let lab = host.lab();
    // A key that a person has made, with a passphrase that nobody is there to type.
    let key = "/etc/pp-fetcher/keys/m";
    lab.sh(&format!(
        "ssh-keygen -q -t ed25519 -N secret -f {key}; chown gunicorn: {key} {key}.pub"
    ))?;
    let fingerprint = fingerprint(host)?;
    let words = [
        "m",
        "--repository",
        &Forge::url("m"),
        "--host-key-fingerprint",
        &fingerprint,
    ];
    let refused = setup(host, &words)?;
    assert_eq!(refused.code, Some(1), "{refused}");
    for part in [
        format!("has no passphrase: move {key} away"),
        "the same command goes on from here".to_owned(),
    ] {
        assert!(refused.stderr.contains(&part), "{refused}");
    }
    lab.sh(&format!("mv {key} {key}.old"))?;
    let done = setup(host, &words)?;
    assert_eq!(done.code, Some(0), "{done}");
    let done = setup(host, &["m", "--remove", "--data"])?;
    assert_eq!(done.code, Some(0), "{done}");
    lab.sh(&format!(
        "rm -f {key}.old; rm -rf /etc/pp-fetcher/known_hosts"
    ))?;
    Ok(())
}
