//! Where a deploy key is registered: the page of the forge, as far as the address of the repository shows it.

/// A place of the forge, and what to do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The page, or the way to it in words.
    pub page: String,
    /// What is to be left alone there, so that the key stays read-only.
    pub read_only: &'static str,
}

/// Gives the place where the key of the repository `path` at `host` is registered. `host` is the forge's own name, not
/// an alias.
#[must_use]
pub(crate) fn place(host: &str, path: &str) -> Registration {
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let host = host.to_ascii_lowercase();
    // The names under which the forges answer on port 443.
    let host = host.strip_prefix("altssh.").unwrap_or(&host);
    let host = host
        .strip_prefix("ssh.")
        .filter(|rest| *rest == "github.com")
        .unwrap_or(host);
    let (page, read_only) = match host {
        "github.com" => (
            format!("https://github.com/{path}/settings/keys/new"),
            "leave \"Allow write access\" unticked",
        ),
        "bitbucket.org" => (
            format!("https://bitbucket.org/{path}/admin/access-keys/"),
            "access keys of Bitbucket are read-only",
        ),
        _ if host.split('.').any(|part| part == "gitlab") => (
            format!("https://{host}/{path}/-/settings/repository, \"Deploy keys\""),
            "leave \"Grant write permissions to this key\" unticked",
        ),
        "codeberg.org" => gitea(host, path),
        _ if host
            .split('.')
            .any(|part| part == "gitea" || part == "forgejo") =>
        {
            gitea(host, path)
        }
        _ => (
            format!(
                "the settings of {path} at {host}: \"Deploy keys\" (Gitea and Forgejo: https://{host}/{path}/settings/keys; \
                 GitLab: https://{host}/{path}/-/settings/repository)"
            ),
            "without write access",
        ),
    };
    Registration { page, read_only }
}

fn gitea(host: &str, path: &str) -> (String, &'static str) {
    (
        format!("https://{host}/{path}/settings/keys"),
        "leave \"Enable write access\" unticked",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_forge_has_its_page() {
        let page = |host: &str| place(host, "/me/todo.git").page;
        assert_eq!(
            page("github.com"),
            "https://github.com/me/todo/settings/keys/new"
        );
        assert_eq!(page("ssh.github.com"), page("github.com"));
        assert_eq!(
            page("bitbucket.org"),
            "https://bitbucket.org/me/todo/admin/access-keys/"
        );
        assert!(page("gitlab.com").starts_with("https://gitlab.com/me/todo/-/settings/repository"));
        assert!(page("gitlab.example.org").contains("/-/settings/repository"));
        assert_eq!(
            page("codeberg.org"),
            "https://codeberg.org/me/todo/settings/keys"
        );
        assert_eq!(
            page("forgejo.example.org"),
            "https://forgejo.example.org/me/todo/settings/keys"
        );
        let other = page("forge.example.org");
        assert!(
            other.contains("\"Deploy keys\"") && other.contains("Forgejo"),
            "{other}"
        );
    }
}
