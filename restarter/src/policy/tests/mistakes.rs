//! Rule 9: every mistake in a policy file is refused with its place and with what would be right.

use super::*;

#[allow(clippy::too_many_lines, reason = "a table of mistakes, not steps")]
#[test]
fn rule_9_every_mistake_is_refused_with_its_place_and_what_would_be_right() {
    let entry = |line: &str| {
        format!("[[allow]]\nunits = [\"a.service\"]\ngroups = [\"hosted_apps\"]\n{line}\n")
    };
    for (text, at, what, help) in [
        (
            entry("verb = [\"restart\"]"),
            (4, 1),
            "unknown key \"verb\"",
            "did you mean `verbs`?",
        ),
        (
            entry("limit = { burts = 3 }"),
            (4, 11),
            "unknown key \"burts\"",
            "did you mean `burst`?",
        ),
        ("allow = 3".into(), (1, 1), "no list", "[[allow]]"),
        (
            "[[alow]]\n".into(),
            (1, 3),
            "unknown key \"alow\"",
            "did you mean `allow`?",
        ),
        (
            "[[allow]]\nunits = [".into(),
            (2, 10),
            "unclosed array",
            "TOML",
        ),
        (
            entry("units = [\"b.service\"]"),
            (4, 1),
            "duplicate key",
            "TOML",
        ),
        (entry("verbs = []"), (4, 9), "empty", "leave the line out"),
        ("[[allow]]\nunits = []\n".into(), (2, 9), "empty", "name"),
        (
            "[[allow]]\nunits = [\"a.service\"]\n".into(),
            (1, 1),
            "neither `users` nor `groups`",
            "hosted_apps",
        ),
        (
            "[[allow]]\ngroups = [\"hosted_apps\"]\n".into(),
            (1, 1),
            "no `units`",
            "units = ",
        ),
        (
            "[[allow]]\nunits = [\"a.service\"]\nusers = []\ngroups = []".into(),
            (1, 1),
            "neither",
            "groups",
        ),
        (
            entry("verbs = [\"stop\"]"),
            (4, 10),
            "unknown verb \"stop\"",
            "\"reload\"",
        ),
        (
            entry("verbs = \"restart\""),
            (4, 9),
            "not a list",
            "list of strings",
        ),
        (
            entry("verbs = [1]"),
            (4, 10),
            "not a string",
            "list of strings",
        ),
        (
            entry("verbs = [\"reload\", \"reload\"]"),
            (4, 20),
            "twice",
            "remove",
        ),
        (
            entry("limit = { burst = 0 }"),
            (4, 19),
            "1 to 100",
            "burst = 3",
        ),
        (
            entry("limit = { burst = 5 }"),
            (4, 9),
            "5 restarts in ten seconds",
            "allow 4 at most",
        ),
        (
            entry("limit = { burst = 3, every = \"2s\" }"),
            (4, 9),
            "8 restarts in ten",
            "allow 4 at most",
        ),
        (
            entry("limit = { every = \"15\" }"),
            (4, 19),
            "no time",
            "15s",
        ),
        (
            entry("limit = { every = \"+15s\" }"),
            (4, 19),
            "no time",
            "15s",
        ),
        (
            entry("limit = { every = \"0s\" }"),
            (4, 19),
            "no time",
            "15s",
        ),
        (
            entry("limit = { every = \"1h\" }"),
            (4, 9),
            "more than an hour",
            "lower",
        ),
        (entry("limit = 3"), (4, 9), "not a table", "burst"),
        (
            entry("[[allow]]\nunits = [\"a.service\"]\ngroups = [\"hosted_apps\"]"),
            (6, 11),
            "already",
            "remove",
        ),
        (
            entry("[[allow]]\nunits = [\"a.service\"]\nusers = [\"root\"]\nlimit = { burst = 1 }"),
            (5, 10),
            "another limit",
            "the same",
        ),
    ] {
        let problem = parsed(&text).unwrap_err();
        let seen = problem.to_string();
        assert_eq!(problem.at, Some(at), "{seen}");
        assert!(problem.what.contains(what), "{seen}, expected {what:?}");
        assert!(problem.help.contains(help), "{seen}, expected {help:?}");
        assert!(
            seen.starts_with(&format!("p.toml:{}:{}: ", at.0, at.1)),
            "{seen}"
        );
    }
}
