//! What a forge's answers mean.

use serde_json::Value;

use super::{Verdict, Which};
use crate::util::text;

/// How one check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Succeeded,
    /// It was left out, or its failure is allowed: as good as success where all are asked for.
    Neutral,
    Pending,
    Failed,
}

/// One check of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) state: State,
}

/// The words of all forges for a state (GitHub's check runs and statuses, GitLab's pipelines and jobs, Gitea's statuses).
pub(super) fn state(word: &str) -> State {
    match word {
        "success" => State::Succeeded,
        "neutral" | "skipped" | "warning" | "manual" => State::Neutral,
        "pending"
        | "queued"
        | "in_progress"
        | "waiting"
        | "requested"
        | "created"
        | "running"
        | "preparing"
        | "waiting_for_resource"
        | "waiting_for_callback"
        | "scheduled" => State::Pending,
        // failure, failed, error, cancelled, canceled, timed_out, action_required, stale, startup_failure; and what a
        // later version of a forge may say.
        _ => State::Failed,
    }
}

/// Reads a list of checks: the name under one key, the state under another. An entry without either is a check that has
/// failed: what cannot be read is not green.
pub(super) fn list(list: &[Value], name: &str, of: &str) -> Vec<Check> {
    let text = |found: &Value, key: &str| found.get(key).and_then(Value::as_str).map(str::to_owned);
    let check = |found: &Value| Check {
        name: text(found, name).unwrap_or_default(),
        state: text(found, of).map_or(State::Failed, |word| state(&word)),
    };
    list.iter().map(check).collect()
}

/// Judges the checks of a commit. Of several with one name, as two workflows may have a job `test`, each counts.
pub(super) fn judge(which: &Which, found: &[Check]) -> Verdict {
    let wanted: Vec<(String, Option<State>)> = match which {
        Which::Named(names) => names
            .iter()
            .flat_map(|name| {
                let of_it = found.iter().filter(move |check| check.name == *name);
                let mut states: Vec<_> = of_it.map(|check| Some(check.state)).collect();
                if states.is_empty() {
                    states.push(None);
                }
                states.into_iter().map(move |state| (name.clone(), state))
            })
            .collect(),
        Which::All if found.is_empty() => {
            return Verdict::Pending("the forge has no check of it yet".to_owned());
        }
        Which::All => {
            let all = found.iter();
            all.map(|check| (check.name.clone(), Some(check.state)))
                .collect()
        }
    };
    let named = |is: &dyn Fn(Option<State>) -> bool| {
        let names: Vec<_> = wanted
            .iter()
            .filter(|(_, state)| is(*state))
            .take(5)
            .map(|(name, _)| text::line(name.as_bytes()))
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    // A named check that was left out has not said that the commit is good.
    let left_out = |state| matches!(which, Which::Named(_)) && state == Some(State::Neutral);
    if let Some(names) = named(&|state| state == Some(State::Failed) || left_out(state)) {
        return Verdict::Failed(format!("not successful: {names}"));
    }
    if let Some(names) = named(&|state| state == Some(State::Pending)) {
        return Verdict::Pending(format!("not ended: {names}"));
    }
    if let Some(names) = named(&|state| state.is_none()) {
        return Verdict::Pending(format!("not begun, or not known at the forge: {names}"));
    }
    Verdict::Green
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, word: &str) -> Check {
        Check {
            name: name.to_owned(),
            state: state(word),
        }
    }

    #[test]
    fn a_commit_is_green_if_what_is_asked_for_has_succeeded() {
        let named = Which::Named(vec!["ci/test".into(), "lint".into()]);
        let found = |test, lint| {
            vec![
                check("ci/test", test),
                check("lint", lint),
                check("other", "failure"),
            ]
        };
        let verdict = |found: &[Check]| judge(&named, found);
        assert_eq!(verdict(&found("success", "success")), Verdict::Green);
        assert_eq!(
            verdict(&found("failure", "in_progress")),
            Verdict::Failed("not successful: ci/test".into())
        );
        assert_eq!(
            verdict(&found("queued", "success")),
            Verdict::Pending("not ended: ci/test".into())
        );
        assert_eq!(
            verdict(&found("skipped", "success")),
            Verdict::Failed("not successful: ci/test".into())
        );
        assert!(
            matches!(verdict(&[check("lint", "success")]), Verdict::Pending(why) if why.contains("ci/test"))
        );
        assert_eq!(
            verdict(&found("a word of the future", "success")),
            Verdict::Failed("not successful: ci/test".into())
        );
        let all = |found: &[Check]| judge(&Which::All, found);
        assert!(matches!(all(&[]), Verdict::Pending(_)));
        assert_eq!(
            all(&[check("a", "success"), check("b", "skipped")]),
            Verdict::Green
        );
        assert!(matches!(
            all(&[check("a", "success"), check("b", "cancelled")]),
            Verdict::Failed(_)
        ));
        // Two workflows have a job of this name.
        let two = [
            check("ci/test", "success"),
            check("ci/test", "failure"),
            check("lint", "success"),
        ];
        assert!(matches!(all(&two), Verdict::Failed(_)));
        assert!(matches!(verdict(&two), Verdict::Failed(_)));
    }
}
