//! Reads the makeshift's own text: lines of crontabs, and the script that such a line runs. Pure.

use serde::{Deserialize, Serialize};

/// A line of a crontab that updates the checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The crontab.
    pub file: String,
    /// The whole line, as it stands there.
    pub line: String,
    /// The script that the line runs, if it is a script's path.
    pub script: Option<String>,
}

/// Gives the user and the first word of the command of a line of /etc/crontab or of a file of /etc/cron.d: crontab(5).
/// `None` for comments, settings of variables and what is too short.
#[must_use]
pub(crate) fn job(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut words = line.split_whitespace();
    let first = words.next()?;
    if first.contains('=') {
        return None;
    }
    // `@daily` and its like stand for all five fields of the time.
    let skipped = if first.starts_with('@') { 0 } else { 4 };
    let mut words = words.skip(skipped);
    Some((words.next()?, words.next()?))
}

/// Gives the words of a command line that may be the paths of scripts: `flock -n /run/lock /opt/poll.sh >>/var/log/poll`
/// has two of them.
pub(crate) fn scripts(line: &str) -> impl Iterator<Item = &str> {
    let mut redirected = false;
    line.split_whitespace().filter(move |word| {
        let is_target = std::mem::replace(&mut redirected, word.ends_with(['>', '<']));
        !is_target && word.starts_with('/')
    })
}

/// Whether a text has git change a checkout, and not only look at one.
#[must_use]
pub(crate) fn updates(text: &str) -> bool {
    let verbs = ["pull", "fetch", "reset", "checkout", "merge", "switch"];
    text.contains("git") && verbs.iter().any(|verb| text.contains(verb))
}

/// Gives the words after `ssh` of the command that a script has git reach its server with: `GIT_SSH_COMMAND`.
#[must_use]
pub(crate) fn ssh_words(script: &str) -> Vec<String> {
    let value = script.lines().find_map(|line| {
        let line = line.trim();
        let (_, value) = line
            .split_once("GIT_SSH_COMMAND=")
            .filter(|_| !line.starts_with('#'))?;
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        match quote {
            Some(quote) => value.get(1..)?.split(quote).next(),
            None => value.split_whitespace().next(),
        }
    });
    words_after_ssh(value.unwrap_or_default())
}

/// Gives the words of an ssh command line after the program.
#[must_use]
pub(crate) fn words_after_ssh(command: &str) -> Vec<String> {
    let mut words = command.split_whitespace();
    match words.next() {
        Some(program) if program == "ssh" || program.ends_with("/ssh") => {
            words.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a build script restarts units itself, through sudo or systemctl: pp-fetcher does that after the switch, and
/// no sudo works in its sandbox.
#[must_use]
pub(crate) fn restarts_units(script: &str) -> bool {
    let code = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    code.into_iter()
        .any(|line| line.contains("systemctl") || line.contains("sudo "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_and_the_command_of_a_line_are_found() {
        let line =
            "*/5 * * * * gunicorn /opt/poller/todo/poll_git.sh >> /var/log/git_poller.log 2>&1";
        assert_eq!(
            job(line),
            Some(("gunicorn", "/opt/poller/todo/poll_git.sh"))
        );
        assert_eq!(job("@hourly\tada  git -C /srv pull"), Some(("ada", "git")));
        for none in [
            "# */5 * * * * gunicorn x",
            "",
            "PATH=/usr/bin:/bin",
            "MAILTO = x y",
            "* * *",
        ] {
            assert_eq!(job(none), None, "{none}");
        }
    }

    #[test]
    fn a_script_is_found_behind_another_program_and_a_log_is_none() {
        let line = "*/5 * * * * ada flock -n /run/lock /opt/poll.sh >> /var/log/a 2>>/var/log/b < /dev/null";
        assert_eq!(
            scripts(line).collect::<Vec<_>>(),
            ["/run/lock", "/opt/poll.sh"]
        );
        assert!(updates("cd /srv; git -c x=y fetch"));
        assert!(!updates("git -C /srv log --oneline") && !updates("pull the lever"));
    }

    #[test]
    fn the_ssh_command_of_a_script_is_found() {
        let script = "#!/bin/sh\n# GIT_SSH_COMMAND=\"ssh -F /old\"\nexport GIT_SSH_COMMAND=\"ssh -F /etc/x/config -o IdentitiesOnly=yes -i /k\"\n";
        assert_eq!(
            ssh_words(script),
            [
                "-F",
                "/etc/x/config",
                "-o",
                "IdentitiesOnly=yes",
                "-i",
                "/k"
            ]
        );
        assert!(ssh_words("git pull\n").is_empty());
        assert!(words_after_ssh("plink -x").is_empty());
    }

    #[test]
    fn a_restart_in_a_build_script_is_seen_and_a_comment_is_not() {
        assert!(restarts_units(
            "set -e\nsudo -n /bin/systemctl restart x.service\n"
        ));
        assert!(!restarts_units("# no sudo systemctl in here\nmake\n"));
    }
}
