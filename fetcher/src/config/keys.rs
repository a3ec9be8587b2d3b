//! All known keys by their table, so that an error about an unknown key can name the table that the key
//! belongs to, or the nearest known key.

/// The tables and their keys; the first entry is the top of the file.
pub(crate) const TABLES: [(&str, &[&str]); 13] = [
    ("", &["repository", "branch", "tag", "ref", "interval"]),
    ("[ssh]", &["identity", "known_hosts", "config", "agent"]),
    ("[https]", &["token_file", "username", "ca_file", "proxy"]),
    ("[fetch]", &["timeout", "limit"]),
    (
        "[verify]",
        &[
            "allowed_signers",
            "fast_forward_only",
            "checks",
            "checks_forge",
            "checks_url",
            "checks_repository",
            "checks_token_file",
            "checks_within",
        ],
    ),
    (
        "[tree]",
        &["leave_out", "outside_links", "lfs_pointers", "unfiltered"],
    ),
    (
        "[deploy]",
        &[
            "root",
            "shared",
            "subdirectory",
            "paths",
            "migrations",
            "build",
            "build_timeout",
            "keep",
            "env",
            "env_files",
        ],
    ),
    ("[restart]", &["units", "reload", "elsewhere"]),
    (
        "[health]",
        &[
            "url", "host", "headers", "expect", "within", "steady", "timeout",
        ],
    ),
    ("[hooks]", &["deployed", "failed", "timeout"]),
    ("[report]", &["metrics", "page"]),
    (
        "[[submodule]]",
        &["path", "repository", "empty", "ssh", "https"],
    ),
    ("[[window]]", &["days", "start", "length", "tz"]),
];

/// Gives the distance of the two words if it is small enough for `wrong` to be a misspelling of `right`.
fn close(wrong: &str, right: &str) -> Option<usize> {
    let distance = strsim::damerau_levenshtein(wrong, right);
    (distance <= 1 + right.len() / 3).then_some(distance)
}

/// Proposes a replacement for the unknown key `wrong` in a table whose known keys are `here`.
pub(super) fn mend(wrong: &str, here: &[String]) -> String {
    let tables = TABLES.iter().filter(|(_, keys)| keys.contains(&wrong));
    let belongs: Vec<_> = tables
        .map(|(table, _)| match *table {
            "" => "at the top of the file, above every [table]".to_owned(),
            table => format!("under {table}"),
        })
        .collect();
    if !belongs.is_empty() {
        return format!("`{wrong}` belongs {}", belongs.join(", or "));
    }
    let nearest = here
        .iter()
        .filter_map(|name| Some((close(wrong, name)?, name)))
        .min();
    if let Some((_, near)) = nearest {
        return format!("did you mean `{near}`?");
    }
    let elsewhere = TABLES.iter().flat_map(|(table, keys)| {
        let near = keys
            .iter()
            .filter_map(|key| Some((close(wrong, key)?, *key, *table)));
        near.collect::<Vec<_>>()
    });
    match elsewhere.min() {
        Some((_, key, table)) if !table.is_empty() => {
            format!("did you mean `{key}` under {table}?")
        }
        _ => format!("known here: {}", here.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fragment::Fragment;

    /// Gives the keys that the parser knows in a table, read from its error about an unknown key.
    fn known(table: &str) -> Vec<String> {
        let required = if table == "[[submodule]]" {
            "path = \"x\"\n"
        } else {
            ""
        };
        let text = format!("{table}\n{required}zzz = 1\n");
        let error = toml::from_str::<Fragment>(&text).unwrap_err().to_string();
        let (_, list) = error.split_once("expected").unwrap();
        let names = list.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    }

    #[test]
    fn the_tables_are_those_of_the_parser() {
        for (table, keys) in TABLES.iter().skip(1) {
            assert_eq!(known(table), *keys, "{table}");
        }
        let top = known("");
        let (plain, tables): (Vec<_>, Vec<_>) = top.into_iter().partition(|name| {
            !TABLES
                .iter()
                .any(|(table, _)| table.trim_matches(['[', ']']) == *name)
        });
        assert_eq!(plain, TABLES[0].1);
        assert_eq!(tables.len(), TABLES.len() - 1, "{tables:?}");
    }

    #[test]
    fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
        let here = known("[health]");
        assert_eq!(mend("keep", &here), "`keep` belongs under [deploy]");
        assert_eq!(
            mend("branch", &here),
            "`branch` belongs at the top of the file, above every [table]"
        );
        assert_eq!(
            mend("timeout", &known("[restart]")),
            "`timeout` belongs under [fetch], or under [health], or under [hooks]"
        );
        assert_eq!(mend("staedy", &here), "did you mean `steady`?");
        assert_eq!(
            mend("build_timout", &here),
            "did you mean `build_timeout` under [deploy]?"
        );
        assert!(mend("qqqqqqqq", &here).starts_with("known here: url, host"));
    }
}
