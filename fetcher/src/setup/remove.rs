//! `setup --remove`: what of an app's files setup has written, so that it may take them away again.

use std::path::{Path, PathBuf};

use super::apply;
use super::mark;
use super::wanted::Owner;

/// The files that a set-up may have made for an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// The app's configuration.
    pub app: PathBuf,
    /// Units of gunicorn: the socket before the service, so that nothing starts the service again.
    pub units: Vec<PathBuf>,
    /// The drop-in of the service that polls.
    pub drop_in: PathBuf,
    /// The policy.
    pub policy: PathBuf,
    /// The site of nginx.
    pub site: PathBuf,
}

/// Gives the files that a set-up of `app` for `owner` may have made.
#[must_use]
pub(crate) fn candidates(app: &str, owner: &Owner) -> Candidates {
    let name = match owner.own {
        true => format!("{}-{app}", owner.user),
        false => app.to_owned(),
    };
    let units = Path::new("/etc/systemd/system");
    let unit = |ending: &str| units.join(format!("gunicorn.{name}.{ending}"));
    Candidates {
        app: owner.config().join(format!("apps.d/{app}.toml")),
        units: vec![unit("socket"), unit("service")],
        drop_in: units.join(format!("{}.d/{app}.conf", owner.service())),
        policy: format!("/etc/pp-restarter/policy.d/{name}.toml").into(),
        site: format!("/etc/nginx/sites-available/{name}.conf").into(),
    }
}

/// What stands at the path of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nothing stands there.
    Nobodys,
    /// Setup has written the file for this app.
    Ours,
    /// Somebody else has written the file.
    Foreign,
}

/// Finds out who has written the file `path`.
///
/// # Errors
/// Others than root can write it.
pub(crate) fn whose(path: &Path, app: &str) -> Result<Whose, String> {
    Ok(match apply::read(path)? {
        None => Whose::Nobodys,
        Some(text) if text.starts_with(&mark(app)) => Whose::Ours,
        Some(_) => Whose::Foreign,
    })
}

#[cfg(test)]
mod tests {
    use super::super::plan::{plan, tests::wanted};
    use super::super::wanted::Listen;
    use super::*;

    #[test]
    fn every_file_of_a_plan_is_a_candidate() {
        let mut wanted = wanted();
        wanted.listen = Some(Listen::Socket);
        wanted.root = "/srv/todo".into();
        let planned = plan(&wanted, &[]);
        let found = candidates("todo", &wanted.owner);
        let mut all = vec![found.app, found.drop_in, found.policy, found.site];
        all.extend(found.units);
        assert_eq!(planned.files.len(), all.len());
        for file in planned.files {
            assert!(all.contains(&file.path), "{}", file.path.display());
        }
    }
}
