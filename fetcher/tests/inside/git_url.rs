//! Which addresses are taken, what becomes of them, and what is never shown of them.

use crate::git::RepositoryUrl;
use crate::git::url::UrlError;

fn ssh(user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> RepositoryUrl {
    RepositoryUrl::Ssh {
        user: user.map(str::to_owned),
        host: host.into(),
        port,
        path: path.into(),
    }
}

#[test]
fn the_forms_git_takes_are_taken() {
    for (text, parsed, shown) in [
        (
            "github.com-repo-todo:me/todo.git",
            ssh(None, "github.com-repo-todo", None, "me/todo.git"),
            "github.com-repo-todo:me/todo.git",
        ),
        (
            "git@forge.example:/srv/todo.git",
            ssh(Some("git"), "forge.example", None, "/srv/todo.git"),
            "forge.example:/srv/todo.git",
        ),
        (
            "git@[::1]:todo.git",
            ssh(Some("git"), "::1", None, "todo.git"),
            "::1:todo.git",
        ),
        (
            "ssh://git@forge.example:2222/srv/my%20todo.git",
            ssh(Some("git"), "forge.example", Some(2222), "/srv/my todo.git"),
            "ssh://forge.example:2222/srv/my todo.git",
        ),
        (
            "ssh://[::1]:22/~me/x",
            ssh(None, "::1", Some(22), "~me/x"),
            "ssh://[::1]:22/~me/x",
        ),
        ("ssh://forge/x", ssh(None, "forge", None, "/x"), "forge:/x"),
        (
            "file:///srv/x.git",
            RepositoryUrl::File {
                path: "/srv/x.git".into(),
            },
            "file:///srv/x.git",
        ),
        (
            "/srv/x.git",
            RepositoryUrl::File {
                path: "/srv/x.git".into(),
            },
            "file:///srv/x.git",
        ),
        (
            "https://forge.example:8443/me/x.git",
            RepositoryUrl::Https {
                host: "forge.example:8443".into(),
                path: "/me/x.git".into(),
            },
            "https://forge.example:8443/me/x.git",
        ),
        (
            "https://[::1]:8443/my%20group/x/",
            RepositoryUrl::Https {
                host: "[::1]:8443".into(),
                path: "/my%20group/x".into(),
            },
            "https://[::1]:8443/my%20group/x",
        ),
    ] {
        let url = RepositoryUrl::parse(text).unwrap();
        assert_eq!(url, parsed, "{text}");
        assert_eq!(url.to_string(), shown, "{text}");
    }
}

#[test]
fn rule_27_what_could_pass_for_an_option_or_a_command_is_refused() {
    for text in [
        "-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/y",
        "ssh://host/-x/../--upload-pack=x",
        "host:--upload-pack=x",
        "host:-x",
        "ext::sh -c touch% /tmp/x",
        "ext::ssh://x",
        "fd::17/foo",
        "a b:c",
        "ho$(id)st:x",
        "host`id`:x",
        "user;id@host:x",
        "-l@host:x",
        "host:a\nb",
        "host:a\0b",
        "ssh://host/a%00b",
        "ssh://host/a%0ab",
        "git://host/x",
        "http://host/x",
        "../relative",
        "relative",
        "./a:b",
        "ssh://host",
        "ssh://host/",
        "ssh://host:0/x",
        "ssh://host:99999/x",
        "file://host/x",
        "ssh://host/%zz",
        "https://host",
        "https://host/",
        "https://host:0/x",
        "https://host:99999/x",
        "https://host:/x",
        "https://::1/x",
        "https://-host/x",
        "https://ho st/x",
        "https://host/a b",
        "https://host/x?token=1",
        "https://host/x#y",
        "https://host/é",
        "host:",
        ":x",
        "",
    ] {
        // A path below a directory named like an option is fine; git itself sees it as one word.
        if text.starts_with("ssh://host/-x") {
            continue;
        }
        assert!(RepositoryUrl::parse(text).is_err(), "{text:?} was taken");
    }
}

#[test]
fn rule_33_a_password_is_refused_and_not_repeated() {
    for text in [
        "ssh://git:hunter2@forge/x",
        "https://me:hunter2@forge/x",
        "https://hunter2@forge/x",
        "https://forge/x?private_token=hunter2",
        "git:hunter2@forge:x",
        "hunter2@forge",
    ] {
        let error: UrlError = RepositoryUrl::parse(text).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
