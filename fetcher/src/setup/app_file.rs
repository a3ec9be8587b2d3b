//! The text of an app's configuration file.

use std::fmt::Write;
use std::path::Path;

use super::Wanted;
use super::mark;

/// Gives the text of the app's file. It has only keys whose value is not the default, in the order of
/// pp-fetcher.toml(5).
#[must_use]
pub(crate) fn text(wanted: &Wanted) -> String {
    let mut file = format!(
        "{} Yours to change: pp-fetcher.toml(5) explains every key.\n\n",
        mark(&wanted.app)
    );
    line(&mut file, "repository", &string(&wanted.repository));
    line(&mut file, wanted.follow.0, &string(&wanted.follow.1));
    if let Some(interval) = &wanted.interval {
        line(&mut file, "interval", &string(interval));
    }
    if wanted.by_ssh {
        line(&mut file, "\n[ssh]\nidentity", &path(&wanted.key()));
        line(&mut file, "known_hosts", &path(&wanted.known_hosts));
        if let Some(config) = &wanted.ssh_config {
            line(&mut file, "config", &path(config));
        }
    }
    line(&mut file, "\n[deploy]\nroot", &path(&wanted.root));
    if !wanted.shared.is_empty() {
        line(&mut file, "shared", &list(&wanted.shared));
    }
    if let Some(build) = &wanted.build {
        line(&mut file, "build", &string(build));
    }
    if !wanted.env_files.is_empty() {
        line(&mut file, "env_files", &list(&wanted.env_files));
    }
    let variables = variables(wanted);
    if !variables.is_empty() {
        file.push_str("\n[deploy.env]\n");
    }
    for (name, value) in variables {
        line(&mut file, &name, &string(&value));
    }
    if !wanted.units.is_empty() {
        line(&mut file, "\n[restart]\nunits", &list(&wanted.units));
    }
    if let Some(url) = wanted.probe() {
        line(&mut file, "\n[health]\nurl", &string(&url));
        if let Some(host) = &wanted.health_host {
            line(&mut file, "host", &string(host));
        }
        if let Some(status) = wanted.health_expect {
            line(&mut file, "expect", &status.to_string());
        }
    }
    file
}

fn variables(wanted: &Wanted) -> Vec<(String, String)> {
    let mut variables = wanted.env.clone();
    let said = variables.iter().any(|(name, _)| name == "STATIC_ROOT");
    if let Some(directory) = wanted.static_root.as_ref().filter(|_| !said) {
        let value = directory.to_string_lossy().into_owned();
        variables.insert(0, ("STATIC_ROOT".to_owned(), value));
    }
    variables
}

/// A string of TOML.
fn string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn path(path: &Path) -> String {
    string(&path.to_string_lossy())
}

fn list(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn line(file: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(file, "{key} = {value}");
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::wanted;
    use super::*;
    use crate::config::App;

    #[test]
    fn the_file_is_read_as_it_was_meant() {
        let mut wanted = wanted();
        wanted.shared = vec!["db.sqlite3".into(), "a \"quoted\" \\ name/".into()];
        wanted.env = vec![("LANG".into(), "de_DE.UTF-8".into())];
        wanted.env_files = vec!["/etc/todo/env".into()];
        wanted.interval = Some("2m".into());
        let text = text(&wanted);
        let fragment = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let app = App::new("todo", Path::new("todo.toml"), fragment).unwrap();
        assert_eq!(app.ssh.identity, Some("/etc/pp-fetcher/keys/todo".into()));
        assert_eq!(app.deploy.root, Path::new("/var/www/projects/todo"));
        assert_eq!(app.deploy.shared[1].path, Path::new("a \"quoted\" \\ name"));
        assert_eq!(app.deploy.env["STATIC_ROOT"], "/www/static/todo");
        assert_eq!(app.deploy.env["LANG"], "de_DE.UTF-8");
        assert_eq!(app.restart[0].as_str(), "gunicorn.todo.service");
        assert_eq!(app.interval.as_secs(), 120);
        assert!(text.starts_with(&mark("todo")), "{text}");
    }

    #[test]
    fn what_is_not_wanted_is_not_written() {
        let mut wanted = wanted();
        wanted.units.clear();
        wanted.listen = None;
        wanted.static_root = None;
        wanted.by_ssh = false;
        let text = text(&wanted);
        for table in ["[ssh]", "[restart]", "[health]", "[deploy.env]"] {
            assert!(!text.contains(table), "{text}");
        }
    }
}
