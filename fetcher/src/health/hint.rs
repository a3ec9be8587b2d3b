//! Hints on an unexpected status of the health URL: its likely cause, and the key of the configuration to change.

use crate::config::health::Health;

/// Gives a line to put below the message, for a status that is often not the app's fault.
#[must_use]
pub(crate) fn hint(status: u16, location: Option<&str>, health: &Health) -> Option<String> {
    let path = health.url.as_ref().map_or("/", |url| url.path.as_str());
    let text = match status {
        400 => match &health.host {
            None => "Django answers 400 to a name that its ALLOWED_HOSTS does not list: write the app's name as \
                 host = \"todo.example.org\" under [health]"
                .to_owned(),
            Some(host) => format!(
                "Django answers 400 to a name that its ALLOWED_HOSTS does not list: is `host` under \
                 [health], {host}, among them?"
            ),
        },
        301 | 302 | 303 | 307 | 308 => redirected(path, location.unwrap_or_default(), status),
        401 | 403 => format!(
            "{path} is not for everybody: name one in `url` under [health] that needs no login, or take the answer \
             for good with expect = {status}"
        ),
        404 => format!(
            "the app has nothing at {path}: is the path of `url` under [health] right, and `host` the name of this \
             app?"
        ),
        _ => return None,
    };
    Some(text)
}

fn redirected(path: &str, location: &str, status: u16) -> String {
    let to = location.split(['?', '#']).next().unwrap_or_default();
    let own = path.split('?').next().unwrap_or_default();
    if to.starts_with("https://") {
        return "the app sends everybody to https (SECURE_SSL_REDIRECT): say that its proxy has done that, with \
                headers = { X-Forwarded-Proto = \"https\" } under [health]"
            .to_owned();
    }
    let without_host = to.find("://").and_then(|at| to.get(at + 3..));
    let target = without_host.map_or(to, |rest| {
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
    });
    if target == format!("{own}/") {
        return format!(
            "the app has it at {target}: write the path of `url` under [health] with / at its end"
        );
    }
    let to = if to.is_empty() {
        "elsewhere".to_owned()
    } else {
        format!("to {to}")
    };
    format!(
        "the app sends us {to}, to a login perhaps: name a path in `url` under [health] that answers itself, or take \
         the answer for good with expect = {status}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fragment;

    fn told(status: u16, location: Option<&str>, more: &str) -> String {
        let text = format!("url = \"http://127.0.0.1:8000/healthz?x=1\"\n{more}");
        let written: fragment::Health = toml::from_str(&text).unwrap();
        let health = crate::config::health::health(written).unwrap();
        hint(status, location, &health).unwrap_or_default()
    }

    #[test]
    fn a_status_that_is_often_no_fault_names_the_key_that_has_to_do_with_it() {
        for (status, location, more, expected) in [
            (400, None, "", "host = \"todo.example.org\""),
            (
                400,
                None,
                "host = \"todo.example.org\"",
                "todo.example.org, among them",
            ),
            (
                301,
                Some("https://127.0.0.1/healthz"),
                "",
                "X-Forwarded-Proto = \"https\"",
            ),
            (301, Some("/healthz/?x=1"), "", "with / at its end"),
            (
                301,
                Some("http://127.0.0.1:8000/healthz/"),
                "",
                "with / at its end",
            ),
            (302, Some("/login?next=/healthz"), "", "sends us to /login"),
            (302, None, "", "expect = 302"),
            (401, None, "", "expect = 401"),
            (403, None, "", "needs no login"),
            (404, None, "", "nothing at /healthz?x=1"),
        ] {
            let told = told(status, location, more);
            assert!(told.contains(expected), "{status}: {told}");
        }
        assert_eq!(told(500, None, ""), "");
    }
}
