use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;

use super::names::Names;
use super::parse::{self, Problem};
use super::*;

mod mistakes;

/// A fake name service that knows only the names that a test gives it.
struct Fake(HashMap<&'static str, u32>);

impl Fake {
    fn usual() -> Self {
        Self(HashMap::from([
            ("gunicorn", 998),
            ("hosted_apps", 997),
            ("nobody", 65_534),
            ("nogroup", 65_534),
            ("minus", u32::MAX),
            ("root", 0),
        ]))
    }
}

impl Names for Fake {
    fn uid(&self, name: &str) -> nix::Result<Option<u32>> {
        if name == "ldap" {
            return Err(nix::errno::Errno::EIO);
        }
        Ok(self.0.get(name).copied())
    }

    fn gid(&self, name: &str) -> nix::Result<Option<u32>> {
        self.uid(name)
    }
}

fn parsed(text: &str) -> Result<Policy, Problem> {
    let mut policy = Policy::default();
    parse::add(&mut policy, Path::new("p.toml"), text, &Fake::usual())?;
    Ok(policy)
}

/// Returns a caller as after a login: the effective group is among the supplementary groups too.
fn caller(uid: u32, gid: u32, groups: &[u32]) -> Caller {
    Caller {
        groups: [groups, &[gid]].concat(),
        ..effective(uid, gid)
    }
}

/// Returns a caller whose only group is the effective group.
fn effective(uid: u32, gid: u32) -> Caller {
    Caller {
        uid,
        gid,
        groups: Vec::new(),
        pid: 1,
    }
}

const TODO: &str = r#"
[[allow]]
units  = ["gunicorn.todo_django.service"]
verbs  = ["restart"]            # or "reload"; default ["restart"]
users  = []                     # either may be left out
groups = ["hosted_apps"]
limit  = { burst = 3, every = "15s" }
"#;

#[test]
fn the_policy_of_the_design_means_what_it_says() {
    let policy = parsed(TODO).unwrap();
    let unit = "gunicorn.todo_django.service";
    for (who, allowed) in [
        (caller(998, 997, &[]), true),
        (caller(1000, 100, &[4, 997]), true),
        (caller(997, 100, &[4]), false),
        (caller(0, 0, &[]), false),
    ] {
        let decision = policy.decide(&who, Verb::Restart, unit);
        assert_eq!(decision == Decision::Allowed(0), allowed, "{who:?}");
        let reload = policy.decide(&who, Verb::Reload, unit);
        assert_eq!(reload, Decision::Denied(Reason::NotGranted));
    }
    assert_eq!(policy.units[0].limit, Limit::DEFAULT);
    assert_eq!(policy.longest_refill(), Duration::from_secs(45));
}

#[test]
fn rule_39_an_effective_group_counts_only_as_the_users_primary_one() {
    let mut policy = parsed(TODO).unwrap();
    let unit = "gunicorn.todo_django.service";
    // The caller runs a setgid copy of a client: the group is the effective group, but not a supplementary group.
    let copy = effective(1000, 997);
    let decide = |policy: &Policy, who: &Caller| policy.decide(who, Verb::Restart, unit);
    assert_eq!(decide(&policy, &copy), Decision::Denied(Reason::NotGranted));
    policy.people.primary.push((998, 997));
    assert_eq!(decide(&policy, &copy), Decision::Denied(Reason::NotGranted));
    assert_eq!(decide(&policy, &effective(998, 997)), Decision::Allowed(0));
    assert_eq!(
        decide(&policy, &caller(1000, 100, &[997])),
        Decision::Allowed(0)
    );
}

#[test]
fn rule_37_a_subordinate_uid_is_nobody_whatever_it_holds() {
    let mut policy = parsed(TODO).unwrap();
    let (first, last) = (100_000, 165_535);
    policy
        .people
        .subordinate
        .push(people::Range { first, last });
    for (uid, allowed) in [
        (99_999, true),
        (100_000, false),
        (165_535, false),
        (165_536, true),
    ] {
        let decision = policy.decide(
            &caller(uid, 997, &[]),
            Verb::Restart,
            "gunicorn.todo_django.service",
        );
        assert_eq!(decision == Decision::Allowed(0), allowed, "{uid}");
    }
}

#[test]
fn rule_6_a_verb_is_allowed_by_its_own_name_alone() {
    for verb in Verb::ALL {
        let text = TODO.replace("[\"restart\"]  ", &format!("[\"{}\"]", verb.as_str()));
        let policy = parsed(&text).unwrap();
        for asked in Verb::ALL {
            let decision =
                policy.decide(&caller(1, 997, &[]), asked, "gunicorn.todo_django.service");
            assert_eq!(decision == Decision::Allowed(0), asked == verb, "{asked:?}");
        }
    }
}

#[test]
fn an_empty_policy_allows_nobody_anything() {
    let policy = parsed("# nothing yet\n").unwrap();
    let decision = policy.decide(&caller(0, 0, &[]), Verb::Restart, "todo.service");
    assert_eq!(decision, Decision::Denied(Reason::NotListed));
}

#[test]
fn rule_2_the_decision_does_not_change_with_the_pid() {
    let policy = parsed(TODO).unwrap();
    for pid in [-1, 0, 1, 4711, i32::MAX] {
        let who = Caller {
            pid,
            ..caller(1, 997, &[])
        };
        let decision = policy.decide(&who, Verb::Restart, "gunicorn.todo_django.service");
        assert_eq!(decision, Decision::Allowed(0));
    }
}

#[test]
fn rule_3_names_that_are_nobodys_are_refused_at_load() {
    for (who, complaint) in [
        (
            r#"users = ["nosuchuser"]"#,
            "there is no user \"nosuchuser\"",
        ),
        (
            r#"groups = ["nosuchgroup"]"#,
            "there is no group \"nosuchgroup\"",
        ),
        (r#"users = ["nobody"]"#, "is id 65534"),
        (r#"groups = ["nogroup"]"#, "is id 65534"),
        (r#"users = ["minus"]"#, "is id 4294967295"),
        (r#"users = ["ldap"]"#, "cannot be looked up"),
    ] {
        let problem = parsed(&format!("[[allow]]\nunits = [\"a.service\"]\n{who}\n")).unwrap_err();
        assert!(problem.what.contains(complaint), "{problem}");
        assert_eq!(problem.at.map(|(line, _)| line), Some(3), "{problem}");
    }
}

#[test]
fn rule_7_malformed_and_forbidden_units_are_refused_at_load() {
    for (unit, complaint) in [
        ("todo", "only services"),
        ("*.service", "no wildcards"),
        ("foo@.service", "template"),
        ("multi-user.target", "only services"),
        ("ssh.service", "can never be allowed"),
        ("systemd-logind.service", "can never be allowed"),
        ("pp-restarter.service", "can never be allowed"),
        ("dbus.service", "can never be allowed"),
        ("polkit.service", "can never be allowed"),
    ] {
        let text = format!("[[allow]]\nunits = [\"{unit}\"]\ngroups = [\"hosted_apps\"]\n");
        let problem = parsed(&text).unwrap_err();
        assert!(problem.what.contains(complaint), "{problem}");
    }
}

#[test]
fn rule_6_only_the_very_bytes_of_the_list_are_allowed() {
    let policy =
        parsed("[[allow]]\nunits = [\"todo.service\"]\ngroups = [\"hosted_apps\"]\n").unwrap();
    let who = caller(1, 997, &[]);
    let long = "a".repeat(255);
    let longer = "a".repeat(256);
    for name in [
        "todo",
        "TODO.service",
        "Todo.service",
        "todo.service ",
        " todo.service",
        "todo.service\0",
        "todo.service\n",
        "*",
        "*.service",
        "todo.*",
        "../todo.service",
        "/etc/systemd/system/todo.service",
        "a b",
        "-H",
        "--host=x",
        "",
        "todo.service.service",
        "todo@.service",
        &long,
        &longer,
    ] {
        assert_eq!(
            policy.decide(&who, Verb::Restart, name),
            Decision::Denied(Reason::NotListed),
            "{name:?}"
        );
    }
    assert_eq!(
        policy.decide(&who, Verb::Restart, "todo.service"),
        Decision::Allowed(0)
    );
}

proptest! {
    #[test]
    fn rule_6_allowed_is_being_in_the_list(
        listed in proptest::collection::hash_set("[a-c]{1,2}", 1..6), asked in "[a-cA-C*.\\-@ ]{0,3}(\\.service)?",
    ) {
        let names: Vec<String> = listed.iter().map(|name| format!("{name}.service")).collect();
        let text = format!("[[allow]]\nunits = {names:?}\ngroups = [\"hosted_apps\"]\n");
        let policy = parsed(&text).unwrap();
        let allowed = matches!(policy.decide(&caller(1, 997, &[]), Verb::Restart, &asked), Decision::Allowed(_));
        prop_assert_eq!(allowed, names.contains(&asked));
    }

    #[test]
    fn rule_9_any_text_is_a_policy_or_a_complaint_within_it(text in "(\\[\\[allow\\]\\]\n|units|groups|verbs|limit| = |\\[|\\]|\"a.service\"|\"hosted_apps\"|\"|\n|é|,|\\{|\\}|[0-9]){0,30}") {
        if let Err(problem) = parsed(&text) {
            let (line, _) = problem.at.unwrap();
            prop_assert!(line <= text.matches('\n').count() + 1);
        }
    }
}
