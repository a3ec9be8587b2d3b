//! Lines of cron that poll: cron finds a program by the PATH of its own table, and by nothing else. HOME decides nothing:
//! pp-fetcher takes this user's directory from the user database, and builds get it from there.

use std::path::{Path, PathBuf};

use super::Finding;
use crate::adopt::jobs;
use crate::adopt::poller::job;
use crate::util::text;

const LINK: &str = "cron";

/// The search path of cron where a table has none: crontab(5).
const USUAL: &str = "/usr/bin:/bin";

/// Tells whether cron finds pp-fetcher; nothing where no line of the host's tables polls.
pub(super) fn look(tell: &mut dyn FnMut(Finding)) {
    for table in jobs::crontabs() {
        let lines = jobs::read(&table).unwrap_or_default();
        for (path, program) in polling(&lines) {
            let shown = text::typed(&table);
            tell(match is_found(&path, &program) {
                true => Finding::ok(LINK, format!("{shown} polls, and cron finds {program}")),
                false => Finding::fault(
                    LINK,
                    format!(
                        "{shown} polls by {program}, and cron finds no such program in PATH={path}\n  in {shown}: write the \
                         program with its directory, /usr/bin/pp-fetcher"
                    ),
                ),
            });
        }
    }
}

/// Finds the lines that poll: the search path at that line, and the program as it is written there.
fn polling(table: &str) -> Vec<(String, String)> {
    let mut path = USUAL.to_owned();
    let mut found = Vec::new();
    for line in table.lines() {
        let setting = line.trim().strip_prefix("PATH").map(str::trim_start);
        if let Some(value) = setting.and_then(|rest| rest.strip_prefix('=')) {
            path = text::line(value.trim().trim_matches(['"', '\'']).as_bytes());
        }
        let Some((_, program)) = job(line) else {
            continue;
        };
        let ours = Path::new(program)
            .file_name()
            .is_some_and(|name| name == "pp-fetcher");
        if ours && line.split_whitespace().any(|word| word == "poll") {
            found.push((path.clone(), text::line(program.as_bytes())));
        }
    }
    found
}

fn is_found(path: &str, program: &str) -> bool {
    let is_there = |path: PathBuf| path.is_file();
    match program.contains('/') {
        true => is_there(program.into()),
        false => path
            .split(':')
            .any(|above| is_there(Path::new(above).join(program))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_polls_is_found_with_the_search_path_that_it_has() {
        let table = "# */5 * * * * gunicorn pp-fetcher poll\n*/5 * * * * gunicorn pp-fetcher poll -q\n\
                     PATH = \"/opt/bin\"\nHOME=/nowhere\n@hourly ada /usr/bin/pp-fetcher poll todo\n* * * * * ada pp-fetcher status\n";
        let found = polling(table);
        let found: Vec<_> = found
            .iter()
            .map(|(path, program)| (&**path, &**program))
            .collect();
        assert_eq!(
            found,
            [
                ("/usr/bin:/bin", "pp-fetcher"),
                ("/opt/bin", "/usr/bin/pp-fetcher")
            ]
        );
    }

    #[test]
    fn a_program_is_found_in_the_path_or_where_it_is_named() {
        assert!(is_found("/nowhere:/bin", "sh") && is_found("", "/bin/sh"));
        assert!(!is_found("/nowhere", "sh") && !is_found("/bin", "/nowhere/sh"));
    }
}
