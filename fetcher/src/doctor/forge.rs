//! The forge: the key, the server, the followed branch or tags, the submodules, and that the key cannot push.

use super::Finding;
use crate::config::App;
use crate::config::settings::Follow;
use crate::deploy::source::Source;
use crate::git::RepositoryUrl;
use crate::git::push_access::PushAccess;
use crate::repository::Repository;
use crate::state::{PassedOver, StateDir};

pub(super) fn look(
    app: &App,
    apps: &[App],
    dir: &StateDir,
    passed_over: &[PassedOver],
    tell: &mut dyn FnMut(Finding),
) {
    let ssh = matches!(app.repository, RepositoryUrl::Ssh { .. });
    if ssh {
        tell(key(app, apps));
    }
    let repository = Repository::new(app, dir.mirror());
    let polled = repository.poll(passed_over);
    let reached = polled.is_ok();
    tell(Finding::of(
        "forge",
        polled.map_err(|error| error.what).map(|listing| {
            let found = listing.found();
            let what = match (&app.follow, &found.tag) {
                (_, Some(tag)) => format!("the tag {tag}"),
                (Follow::Branch(name), None) => format!("the branch {name}"),
                (Follow::Tag(name) | Follow::Ref(name), None) => name.clone(),
            };
            format!(
                "{} answers: {what} is {}",
                app.repository,
                found.revision.short()
            )
        }),
    ));
    if ssh && reached {
        tell(push(app, &repository));
    }
    for (submodule, asked) in repository.ask_submodules() {
        let asked = asked.map_err(|error| format!("the submodule {submodule}: {error}"));
        let answers = format!("the submodule {submodule} is reachable");
        tell(Finding::of("submodules", asked.map(|()| answers)));
    }
}

/// Finds another app with the same key for another repository of the same server: GitHub, Gitea and Bitbucket accept a
/// deploy key for one repository only (GitLab lets it be enabled for more).
fn key(app: &App, apps: &[App]) -> Finding {
    let Some(identity) = &app.ssh.identity else {
        let text = match &app.ssh.agent {
            _ if app.ssh.config.is_some() => {
                "no `identity` is named: ssh takes the key that its `config` names".to_owned()
            }
            Some(agent) => format!("no key is named: ssh asks the agent at {}", agent.display()),
            None => "no key is named: ssh takes those of the user's own configuration".to_owned(),
        };
        return Finding::ok("key", text);
    };
    let shown = identity.display();
    let of = |app: &App| match &app.repository {
        RepositoryUrl::Ssh { host, path, .. } => {
            Some((host.clone(), path.trim_matches('/').to_owned()))
        }
        _ => None,
    };
    let own = of(app);
    let same = apps.iter().find(|other| {
        let Some(((host, path), (our_host, our_path))) = of(other).zip(own.clone()) else {
            return false;
        };
        let key = other.ssh.identity.as_ref() == Some(identity);
        other.name != app.name && key && host == our_host && path != our_path
    });
    match same {
        Some(other) => Finding::warning(
            "key",
            format!(
                "{shown} is the key of {} too, whose repository is {}: most forges, GitHub among them, take a \
                 deploy key for one repository only\n  make a key for this one: ssh-keygen -t ed25519 -N '' -f \
                 {shown}_{}; register it, and name it as `identity` in {}",
                other.name,
                other.repository,
                app.name,
                app.path.display()
            ),
        ),
        None => Finding::ok(
            "key",
            format!("{shown} is named; no other app of this server has it"),
        ),
    }
}

/// A deploy key that can push makes the host a way into the repository.
fn push(app: &App, repository: &Repository) -> Finding {
    const LINK: &str = "push access";
    match repository.push_access() {
        Ok(PushAccess::Refused(said)) => Finding::ok(
            LINK,
            format!("the server refuses pushes with this key ({said})"),
        ),
        Ok(PushAccess::Granted) => Finding::warning(
            LINK,
            format!(
                "the key may push to {}: whoever breaks into this host could change the repository\n  register the \
                 key as a deploy key without write access",
                app.repository
            ),
        ),
        Err(error) => Finding::skipped(LINK, format!("it could not be found out: {error}")),
    }
}
