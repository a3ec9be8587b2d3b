//! The policy that is shipped to be copied is accepted by the restarter, and allows what the example app needs. The
//! example app itself and pp-fetcher.toml(5) are held against pp-fetcher in its own tests.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::path::Path;

use pp_restarter::policy::names::Names;
use pp_restarter::policy::{Decision, Policy, parse};

const POLICY: &str = include_str!("../examples/policy.d/todo_django.toml");

/// Every name exists, as id 1000.
struct Everybody;

impl Names for Everybody {
    fn uid(&self, _: &str) -> nix::Result<Option<u32>> {
        Ok(Some(1000))
    }

    fn gid(&self, _: &str) -> nix::Result<Option<u32>> {
        Ok(Some(1000))
    }
}

#[test]
fn the_example_policy_allows_what_the_example_app_restarts() {
    let mut policy = Policy::default();
    parse::add(&mut policy, Path::new("todo.toml"), POLICY, &Everybody).unwrap();
    let caller = pp_restarter::policy::Caller {
        uid: 1,
        gid: 1,
        groups: vec![1000],
        pid: 1,
    };
    let unit = "gunicorn.todo_django.service";
    let decision = policy.decide(&caller, pp_protocol::Verb::Restart, unit);
    assert_eq!(decision, Decision::Allowed(0));
}
