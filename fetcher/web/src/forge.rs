//! Forges: where their API is, and how they want to be told who asks.

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::Url;

/// A kind of forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forge {
    /// GitHub, or GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
}

impl Forge {
    /// The address of the public forge of this kind, if there is one.
    #[must_use]
    pub fn public(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("https://api.github.com"),
            Self::Gitlab => Some("https://gitlab.com"),
            Self::Gitea => None,
        }
    }

    /// The API of the forge at `url`. GitHub's is an address of its own.
    #[must_use]
    pub fn api(self, url: &Url) -> Url {
        match self {
            Self::Github => url.clone(),
            Self::Gitlab => url.join(&["api", "v4"]),
            Self::Gitea => url.join(&["api", "v1"]),
        }
    }

    /// The headers of a request: the token, if there is one, and the version of the API where the forge wants one.
    ///
    /// # Errors
    /// A sentence: the token cannot be part of a header.
    pub fn headers(
        self,
        token: Option<&str>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, &'static str> {
        let mut headers = Vec::new();
        if let Some(token) = token {
            headers.push(match self {
                Self::Github => secret(AUTHORIZATION, &format!("Bearer {token}"))?,
                Self::Gitlab => secret(HeaderName::from_static("private-token"), token)?,
                Self::Gitea => secret(AUTHORIZATION, &format!("token {token}"))?,
            });
        }
        if self == Self::Github {
            let version = HeaderName::from_static("x-github-api-version");
            headers.push((version, HeaderValue::from_static("2022-11-28")));
        }
        Ok(headers)
    }
}

/// A header with a secret in it, which is never printed.
///
/// # Errors
/// A sentence: the secret cannot be part of a header.
pub fn secret(name: HeaderName, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let value = HeaderValue::from_str(value);
    let mut value = value.map_err(|_| "the token cannot be part of a header")?;
    value.set_sensitive(true);
    Ok((name, value))
}
