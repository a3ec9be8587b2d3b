//! Redirections of a repository that has moved: they are followed only to another path on the same server.

use hyper::Uri;

use super::error::HttpsError;

/// The end of the first request's address; the address of a redirection must have the same end.
pub(super) const GREETING: &str = "/info/refs?service=git-upload-pack";

/// Returns the new base address if the answer to the first request of `base` is a redirection to
/// `location`. Neither a token nor any other request is sent to another server.
///
/// # Errors
/// [`HttpsError::Redirected`].
pub(super) fn followed(base: &str, location: &str) -> Result<String, HttpsError> {
    let refused = || HttpsError::Redirected {
        to: display_location(location),
    };
    let origin = origin(base).ok_or_else(refused)?;
    let absolute = if location.starts_with('/') && !location.starts_with("//") {
        format!("{origin}{location}")
    } else if location.contains("://") || location.starts_with("//") {
        location.to_owned()
    } else {
        relative(base, origin, location)
    };
    let to: Uri = absolute.parse().map_err(|_| refused())?;
    let same = to.scheme_str() == Some("https")
        && to.authority().is_some_and(|a| {
            !a.as_str().contains('@') && format!("https://{a}").eq_ignore_ascii_case(origin)
        });
    match to
        .path_and_query()
        .and_then(|p| p.as_str().strip_suffix(GREETING))
    {
        Some(path) if same && !path.is_empty() => Ok(format!("{origin}{path}")),
        _ => Err(refused()),
    }
}

/// Resolves a relative `location` against the address of the first request of `base` (RFC 3986, 5.2).
fn relative(base: &str, origin: &str, location: &str) -> String {
    let asked = format!("{base}{GREETING}");
    let path = asked.strip_prefix(origin).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let (to, query) = location.split_once('?').unwrap_or((location, ""));
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            "." => {}
            ".." if parts.len() > 1 => {
                parts.pop();
            }
            ".." => {}
            part => parts.push(part),
        }
    }
    format!("{origin}{}?{query}", parts.join("/"))
}

/// Returns `https://host[:port]` of a base address.
fn origin(base: &str) -> Option<&str> {
    let start = "https://".len();
    let end = base.get(start..)?.find('/')? + start;
    base.get(..end)
}

/// Returns an address fit to be shown: no user, no query, only printable characters.
fn display_location(location: &str) -> String {
    let plain = location.split(['?', '#']).next().unwrap_or_default();
    let plain = plain.trim_end_matches("/info/refs");
    let plain = match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => plain.to_owned(),
    };
    crate::util::text::line(plain.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://forge.example:8443/me/old.git";

    #[test]
    fn a_relative_address_begins_where_the_request_was_made() {
        let to = |location: &str| followed(BASE, location).unwrap();
        let query = "?service=git-upload-pack";
        assert_eq!(
            to(&format!("../../new.git/info/refs{query}")),
            "https://forge.example:8443/me/new.git"
        );
        assert_eq!(
            to(&format!("../../../../../you/new.git/info/refs{query}")),
            "https://forge.example:8443/you/new.git"
        );
    }

    #[test]
    fn a_repository_that_moved_on_the_same_server_is_followed() {
        for (to, base) in [
            ("/me/new.git", "https://forge.example:8443/me/new.git"),
            (
                "https://forge.example:8443/new",
                "https://forge.example:8443/new",
            ),
            (
                "https://FORGE.example:8443/new",
                "https://forge.example:8443/new",
            ),
        ] {
            let location = format!("{to}{GREETING}");
            assert_eq!(followed(BASE, &location).unwrap(), base);
        }
    }

    #[test]
    fn rule_33_nothing_is_sent_to_another_server_port_or_scheme() {
        for to in [
            "https://elsewhere.example/me/x.git",
            "https://forge.example/me/old.git",
            "https://forge.example:8444/me/old.git",
            "http://forge.example:8443/me/old.git",
            "https://user@forge.example:8443/me/old.git",
            "https://forge.example:8443@elsewhere.example/x",
            "//elsewhere.example/me/x.git",
            "ftp://x/y",
            "",
        ] {
            let refused = followed(BASE, &format!("{to}{GREETING}"));
            assert!(
                matches!(refused, Err(HttpsError::Redirected { .. })),
                "{to}"
            );
        }
        assert!(followed(BASE, "/login").is_err(), "not a repository");
        assert!(followed(BASE, "/login?next=/info/refs").is_err());
    }

    #[test]
    fn rule_33_what_is_shown_of_a_redirection_has_no_user_and_no_query() {
        let to = display_location(
            "https://me:hunter2@x.example/a.git/info/refs?service=x&token=hunter2",
        );
        assert_eq!(to, "https://x.example/a.git");
        assert_eq!(display_location("/a\x1b[2J#hunter2"), "/a [2J");
    }
}
