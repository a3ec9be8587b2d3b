//! The settings of `[https]`, checked and complete.

use std::path::PathBuf;

use super::fragment::Https;
use crate::git::HttpsOptions;
use crate::git::https::Proxy;

/// Checks the table `[https]` as written, and fills in the defaults.
///
/// # Errors
/// A sentence that names the wrong key. A secret in a proxy's address is not repeated in it.
pub(super) fn options(written: Https) -> Result<HttpsOptions, String> {
    let default = HttpsOptions::default();
    let absolute = |key: &str, path: Option<PathBuf>| match path {
        Some(path) if !path.is_absolute() => Err(format!(
            "`https.{key}` is {}, not an absolute path",
            path.display()
        )),
        path => Ok(path),
    };
    let username = written.username.unwrap_or(default.username);
    let fits = |b: u8| b.is_ascii_graphic() && b != b':';
    if username.is_empty() || !username.bytes().all(fits) {
        return Err("`https.username` must be printable, without blanks and without `:`".into());
    }
    Ok(HttpsOptions {
        token_file: absolute("token_file", written.token_file)?,
        username,
        ca_file: absolute("ca_file", written.ca_file)?.unwrap_or(default.ca_file),
        proxy: written.proxy.as_deref().map(proxy).transpose()?,
        ..default
    })
}

fn proxy(written: &str) -> Result<Proxy, String> {
    if written.contains('@') {
        return Err(
            "`https.proxy` has a user in it: a proxy that asks for one is not supported, and a \
             password does not belong in this file"
                .into(),
        );
    }
    let wrong = || format!("`https.proxy` is `{written}`; write it like \"http://proxy:3128\"");
    Proxy::parse(written).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(written: Https) -> String {
        options(written).unwrap_err()
    }

    #[test]
    fn nothing_written_trusts_what_the_system_trusts_and_sends_no_token() {
        let options = options(Https::default()).unwrap();
        assert_eq!(options.token_file, None);
        assert_eq!(
            options.ca_file,
            PathBuf::from(crate::git::https::SYSTEM_ROOTS)
        );
        assert_eq!(options.username, "x-access-token");
        assert!(options.proxy.is_none());
    }

    #[test]
    fn a_mistake_is_told_with_its_key() {
        let relative = Https {
            token_file: Some("token".into()),
            ..Https::default()
        };
        assert!(refused(relative).starts_with("`https.token_file` is token, not"));
        let relative = Https {
            ca_file: Some("ca.pem".into()),
            ..Https::default()
        };
        assert!(refused(relative).starts_with("`https.ca_file` is ca.pem, not"));
        for username in ["", "a:b", "a b", "a\nb"] {
            let written = Https {
                username: Some(username.into()),
                ..Https::default()
            };
            assert!(refused(written).starts_with("`https.username`"));
        }
    }

    #[test]
    fn a_proxy_is_an_http_address_with_a_port() {
        let with = |proxy: &str| Https {
            proxy: Some(proxy.into()),
            ..Https::default()
        };
        let taken = options(with("http://proxy.example:3128/")).unwrap().proxy;
        let taken = taken.unwrap();
        assert_eq!((taken.host(), taken.port()), ("proxy.example", 3128));
        for text in [
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://proxy:0",
            "http://pro xy:1",
            "http://proxy:3128/x",
            "socks5://proxy:1",
        ] {
            assert!(refused(with(text)).contains("http://proxy:3128"), "{text}");
        }
        let secret = refused(with("http://me:hunter2@proxy:3128"));
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}
