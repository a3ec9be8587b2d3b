//! Rule 28: SIGKILL around every step of `Step::ALL` and inside of steps, in a first deploy, an update, a deploy that is taken back,
//! a build that fails and a rollback. At each point `current` resolves to one whole release that was
//! good or is being tried; the next polls bring the app to where it would have been without.
//!
//! What must hold is in `site/invariants.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::os::unix::process::ExitStatusExt;
use std::thread;

use pp_fetcher::Step;
use site::{Site, invariants};

/// Every point at which the program can be killed: around each step of the pipeline, at the points inside of
/// steps, and at the second time that the state is written or the link renamed.
fn points() -> Vec<String> {
    let around = Step::ALL
        .iter()
        .flat_map(|step| ["before", "after"].map(|when| format!("{when}-{step}")));
    let within = pp_fetcher::WITHIN_STEPS.iter().map(ToString::to_string);
    let again = pp_fetcher::WITHIN_STEPS
        .iter()
        .filter(|point| point.ends_with("-state") || point.ends_with("-rename"))
        .map(|point| format!("2*{point}"));
    around.chain(within).chain(again).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    FirstDeploy,
    Update,
    TakenBack,
    BuildFails,
    Rollback,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario::FirstDeploy,
    Scenario::Update,
    Scenario::TakenBack,
    Scenario::BuildFails,
    Scenario::Rollback,
];

/// Runs the program; whether it was killed at `point`.
fn run_to(site: &Site, arguments: &[&str], point: &str) -> bool {
    // `2*x`: the second time. fail counts down before it acts: `1*off->return`.
    let action = match point.split_once('*') {
        Some((_, name)) => format!("{name}=1*off->return"),
        None => format!("{point}=return"),
    };
    let mut command = site.home.fetcher(arguments);
    let output = command.env("FAILPOINTS", action).output().unwrap();
    output.status.signal() == Some(9)
}

/// A host at the beginning of a scenario, and what may be expected of it.
struct Case {
    scenario: Scenario,
    host: Site,
    /// What is killed.
    command: &'static [&'static str],
    /// What may serve after the kill.
    meanwhile: Vec<Option<&'static str>>,
    /// What has to serve in the end.
    finally: &'static str,
}

impl Case {
    fn new(scenario: Scenario) -> Self {
        let host = Site::new();
        let poll: &[&str] = &["poll", "todo"];
        if scenario != Scenario::FirstDeploy {
            for name in ["zero", "one", "two"] {
                host.push(name, "200", "");
                host.poll();
                assert_eq!(host.served().as_deref(), Some(name));
            }
        }
        let (command, meanwhile, finally) = match scenario {
            Scenario::FirstDeploy => {
                host.push("one", "200", "");
                (poll, vec![None, Some("one")], "one")
            }
            Scenario::Update => {
                host.push("three", "200", "");
                (poll, vec![Some("two"), Some("three")], "three")
            }
            Scenario::TakenBack => {
                host.push("three", "500", "");
                (poll, vec![Some("two"), Some("three")], "two")
            }
            Scenario::BuildFails => {
                host.push("three", "200", "exit 1");
                (poll, vec![Some("two")], "two")
            }
            Scenario::Rollback => {
                let command: &[&str] = &["rollback", "todo"];
                (command, vec![Some("two"), Some("one")], "one")
            }
        };
        Self {
            scenario,
            host,
            command,
            meanwhile,
            finally,
        }
    }

    /// One cell of the matrix; whether the point was reached.
    fn killed_at(&self, point: &str) -> bool {
        let host = self.host.copy();
        if !run_to(&host, self.command, point) {
            return false;
        }
        let at = format!("{:?} killed at {point}", self.scenario);
        invariants::always(&host);
        let served = host.served();
        assert!(
            self.meanwhile.contains(&served.as_deref()),
            "{at}: {served:?} serves"
        );
        host.poll();
        host.poll();
        // A rollback that was killed before it was written down has not begun: it is asked for again.
        if self.scenario == Scenario::Rollback && host.served().as_deref() == Some("two") {
            assert_eq!(
                point, "before-state",
                "{at}: it was written down, and is lost"
            );
            host.run(self.command);
        }
        assert_eq!(
            host.served().as_deref(),
            Some(self.finally),
            "{at}: in the end"
        );
        invariants::always(&host);
        invariants::nothing_runs(&host);
        host.push("four", "200", "");
        host.poll();
        assert_eq!(
            host.served().as_deref(),
            Some("four"),
            "{at}: the next push"
        );
        invariants::at_rest(&host);
        invariants::tidied(&host);
        true
    }
}

#[test]
fn rule_28_killed_at_every_point_of_every_scenario_it_converges() {
    let reached: Vec<_> = thread::scope(|scope| {
        let row = |scenario| {
            let case = Case::new(scenario);
            let mut reached = points();
            reached.retain(|point| case.killed_at(point));
            println!(
                "{scenario:?}: {} points: {}",
                reached.len(),
                reached.join(" ")
            );
            reached
        };
        let rows: Vec<_> = SCENARIOS
            .into_iter()
            .map(|s| scope.spawn(move || row(s)))
            .collect();
        rows.into_iter()
            .flat_map(|row| row.join().unwrap())
            .collect()
    });
    println!("{} cells", reached.len());
    let mut never = points();
    never.retain(|point| !reached.contains(point));
    assert!(never.is_empty(), "never killed at {never:?}");
}
