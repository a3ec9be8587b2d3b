//! The settings of `[health]`, checked and complete.

use std::collections::BTreeMap;
use std::time::Duration;

use super::expect::Expect;
use super::fragment;
use crate::health::HealthUrl;
use crate::util::duration::{HumanDuration, human};

/// Default of `health.within`: how long an app may take to become healthy.
const WITHIN: Duration = Duration::from_secs(30);

/// Default of `health.steady`: how long the app must then stay healthy. gunicorn tries for five seconds to
/// bind an address that is in use, and only then ends: the probe must outlast these five seconds and
/// gunicorn's own start before them.
const STEADY: Duration = Duration::from_secs(8);

/// Names of headers that pp-fetcher sets itself, or that change what a request is.
const RESERVED: [&str; 7] = [
    "connection",
    "content-length",
    "expect",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How it is decided that the app is healthy.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    /// The URL to probe; `None`: only the state of the units is looked at.
    pub url: Option<HealthUrl>,
    /// The `Host` header of the probe's requests; `None`: the host of the URL.
    pub host: Option<String>,
    /// Further headers of the probe's requests, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The HTTP statuses that mean that the app is healthy.
    pub expect: Expect,
    /// How long the app may take to become healthy.
    pub within: Duration,
    /// How long the app must then stay healthy.
    pub steady: Duration,
    /// How long one request of the probe may take.
    pub timeout: Duration,
}

/// Checks the table `[health]` as written, and fills in the defaults.
///
/// # Errors
/// A sentence that names the wrong key.
pub(crate) fn health(written: fragment::Health) -> Result<Health, String> {
    let url = written.url.as_deref().map(HealthUrl::parse).transpose();
    let or = |span: Option<HumanDuration>, default| {
        span.map_or(default, |HumanDuration(duration)| duration)
    };
    let within = or(written.within, WITHIN);
    // By default half of `within`, so that a request that is never answered leaves time for a second one.
    let timeout = or(written.timeout, within / 2);
    if timeout > within {
        return Err(format!(
            "`health.timeout` is {}, longer than `health.within` ({}): one request would be all there \
             is time for",
            human(timeout),
            human(within)
        ));
    }
    if let Some(host) = &written.host {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        if host.is_empty() || !host.bytes().all(fits) {
            return Err(format!(
                "`health.host` is `{}`; write a name as it stands in a browser, such as \
                 \"todo.example.org\"",
                host.escape_debug()
            ));
        }
    }
    Ok(Health {
        url: url.map_err(|why| format!("`health.url`: {why}"))?,
        host: written.host,
        headers: headers(written.headers.unwrap_or_default())?,
        expect: written.expect.unwrap_or_default(),
        within,
        steady: or(written.steady, STEADY),
        timeout,
    })
}

fn headers(written: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in written {
        let key = name.to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let why = if key == "host" {
            "write it as `host` under [health]"
        } else if RESERVED.contains(&key.as_str()) {
            "pp-fetcher sets it itself"
        } else if name.is_empty() || !name.bytes().all(token) {
            "it is no header's name"
        } else if value.bytes().any(|b| b.is_ascii_control()) || !value.is_ascii() {
            "its value has a control character, or one that is not ASCII"
        } else if headers.insert(key, value).is_some() {
            "it is there twice"
        } else {
            continue;
        };
        return Err(format!(
            "`health.headers`: `{}`: {why}",
            name.escape_debug()
        ));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Health, String> {
        health(toml::from_str(text).unwrap())
    }

    #[test]
    fn one_request_has_half_of_the_time_unless_it_is_said() {
        let s = Duration::from_secs;
        assert_eq!(read("").unwrap().timeout, s(15));
        assert_eq!(read("within = \"60s\"").unwrap().timeout, s(30));
        let both = read("within = \"60s\"\ntimeout = \"7s\"").unwrap();
        assert_eq!(both.timeout, s(7));
        let why = read("within = \"5s\"\ntimeout = \"7s\"").unwrap_err();
        assert!(why.contains("health.timeout"), "{why}");
    }

    #[test]
    fn a_header_that_would_change_the_request_is_refused() {
        let good = read("host = \"todo.example.org\"\nheaders = { X-Forwarded-Proto = \"https\" }");
        assert_eq!(good.unwrap().headers["x-forwarded-proto"], "https");
        for (text, expected) in [
            ("headers = { Host = \"x\" }", "as `host` under [health]"),
            ("headers = { Connection = \"x\" }", "sets it itself"),
            ("headers = { \"a b\" = \"x\" }", "no header's name"),
            ("headers = { a = \"x\\r\\nb: c\" }", "control character"),
            ("headers = { a = \"1\", A = \"2\" }", "twice"),
            ("host = \"a b\"", "health.host"),
            ("host = \"\"", "health.host"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}
