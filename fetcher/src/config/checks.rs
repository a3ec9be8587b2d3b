//! The keys `checks…` of `[verify]`, checked.

use std::time::Duration;

use pp_web::{Forge, Url};

use super::fragment::{self, Verify};
use crate::checks::{Checks, Which};
use crate::git::RepositoryUrl;

/// Default of `checks_within`.
const WITHIN: Duration = Duration::from_secs(3600);

/// Which checks of a commit of `repository` are asked for, and where; `None` if none is.
///
/// # Errors
/// A sentence that names the wrong key.
pub(super) fn checks(
    written: &Verify,
    repository: &RepositoryUrl,
) -> Result<Option<Checks>, String> {
    let which = match &written.checks {
        None => return Ok(None),
        Some(fragment::Checks::Word(word)) if word == "all" => Which::All,
        Some(fragment::Checks::Word(word)) => {
            return Err(format!(
                "`verify.checks`: {word:?} is neither \"all\" nor a list of names such as [\"ci/test\"]"
            ));
        }
        Some(fragment::Checks::Names(names)) if names.is_empty() => {
            return Err("`verify.checks` is empty: leave it out, or name a check".to_owned());
        }
        Some(fragment::Checks::Names(names)) => Which::Named(names.clone()),
    };
    let (host, path) = match repository {
        RepositoryUrl::Ssh { host, path, .. } => (host.as_str(), path.as_str()),
        RepositoryUrl::Https { host, path } => (host.as_str(), path.as_str()),
        RepositoryUrl::File { .. } => ("", ""),
    };
    let forge = forge(written, host)?;
    let address = address(written, forge)?;
    let url = Url::parse(address).map_err(|why| format!("`verify.checks_url`: {why}"))?;
    let url = forge.api(&url);
    let named = path
        .trim_start_matches(['/', '~'])
        .trim_end_matches('/')
        .trim_end_matches(".git");
    let repository = written
        .checks_repository
        .clone()
        .unwrap_or_else(|| named.to_owned());
    if repository
        .split('/')
        .filter(|part| !part.is_empty())
        .count()
        < 2
    {
        return Err(format!(
            "`verify.checks_repository` is missing: the forge's name of the repository, owner/name ({repository:?} is not that)"
        ));
    }
    Ok(Some(Checks {
        which,
        forge,
        url,
        repository,
        token_file: written.checks_token_file.clone(),
        within: written.checks_within.map_or(WITHIN, |within| within.0),
    }))
}

/// Which forge is asked.
fn forge(written: &Verify, host: &str) -> Result<Forge, String> {
    match written.checks_forge.as_deref() {
        Some("github") => Ok(Forge::Github),
        Some("gitlab") => Ok(Forge::Gitlab),
        Some("gitea" | "forgejo") => Ok(Forge::Gitea),
        Some(other) => Err(format!(
            "`verify.checks_forge`: {other:?} is none of github, gitlab and gitea (which is forgejo, too)"
        )),
        // An alias of ssh mostly has the forge's name in it.
        None if host.contains("github") => Ok(Forge::Github),
        None if host.contains("gitlab") => Ok(Forge::Gitlab),
        None => Err("`verify.checks_forge` is missing: github, gitlab or gitea".to_owned()),
    }
}

/// The address of the forge.
fn address(written: &Verify, forge: Forge) -> Result<&str, String> {
    let own = written.checks_url.as_deref();
    own.or(forge.public()).ok_or_else(|| {
        "`verify.checks_url` is missing: the forge's address, such as https://git.example.org"
            .to_owned()
    })
}
