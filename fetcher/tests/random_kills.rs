//! Rule 28 without fail points: SIGKILL at a random moment of a poll, over and over on one host, in a
//! loop of pushes of which some fail to build and some are not well.
//!
//! `PP_KILLS` says how many kills (40), `PP_SEED` which ones: a run prints its seed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastrand::Rng;
use site::{Site, invariants};

/// The longest time in which a kill is to come.
const LONGEST: Duration = Duration::from_millis(1500);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What is pushed: how it is named, what it answers, how its build ends.
fn push(site: &Site, random: &mut Rng, n: u64) -> (String, bool) {
    let (kind, status, build) = match random.u8(..10) {
        0 => ("sick", "500", "sleep 0.03"),
        1..=3 => (
            "broken",
            "200",
            "sleep 0.02; setsid sleep 600 & sleep 0.02; exit 3",
        ),
        _ => ("good", "200", "sleep 0.03"),
    };
    let name = format!("{kind}{n}");
    site.push(&name, status, build);
    (name, kind == "good")
}

/// Sets a longer trial, so that more of the kills find a release on trial; and time enough for a good one on a host that
/// is busy with other things, as what is good must be deployed.
fn give_time(site: &Site) {
    let file = site.home.path().join("apps.d/todo.toml");
    let mut settings = std::fs::read_to_string(&file).unwrap();
    for (was, is) in [("\"0s\"", "\"200ms\""), ("\"1500ms\"", "\"5s\"")] {
        assert!(settings.contains(was), "{settings}");
        settings = settings.replace(was, is);
    }
    std::fs::write(&file, settings).unwrap();
}

#[test]
fn rule_28_killed_at_random_moments_of_a_loop_of_pushes_it_converges() {
    let kills = number("PP_KILLS").unwrap_or(40);
    let seed = number("PP_SEED").unwrap_or_else(|| Rng::new().u64(..));
    println!("PP_SEED={seed} PP_KILLS={kills}");
    let mut random = Rng::with_seed(seed);
    let site = Site::with_one_live();
    give_time(&site);
    let mut last_good = "one".to_owned();
    let (mut killed, mut n, mut whole) = (0, 0, Duration::from_millis(600));
    let mut during = std::collections::BTreeMap::<String, u32>::new();
    while killed < kills {
        n += 1;
        let (name, good) = push(&site, &mut random, n);
        // Killed up to three times on the way, then let be.
        for _ in 0..random.u8(1..4) {
            let begun = Instant::now();
            let moment = whole.mul_f64(random.f64());
            let mut poll = site.home.fetcher(&["poll", "todo"]);
            let mut poll = poll
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            while begun.elapsed() < moment && poll.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = poll.kill();
            if poll.wait().unwrap().signal() == Some(9) {
                killed += 1;
            } else {
                // It had ended: so long does a poll take here and now. One that waits for a sick release is no measure.
                whole = ((whole * 3 + begun.elapsed() * 5 / 4) / 4).min(LONGEST);
            }
            let trying = site.state().trying;
            let moment = match &trying {
                None => "nothing was begun, or all was done",
                Some(trying) if trying.going_back.is_some() => "going back",
                Some(trying)
                    if site.layout().current().unwrap() == Some(trying.release.clone()) =>
                {
                    "switched"
                }
                Some(_) => "begun, not switched",
            };
            *during.entry(moment.to_owned()).or_default() += 1;
            invariants::always(&site);
            let served = site.served().unwrap();
            // One that is not well may serve while it is tried; one that was not built never.
            assert!(
                served == last_good || served == name,
                "{served}, PP_SEED={seed}"
            );
            assert!(!served.starts_with("broken"), "{served}, PP_SEED={seed}");
        }
        invariants::nothing_runs(&site);
        // One pass finishes or undoes what was cut short, the next deploys.
        let said = [site.poll(), site.poll()];
        if good {
            last_good = name;
        }
        assert_eq!(
            site.served().as_ref(),
            Some(&last_good),
            "PP_SEED={seed}; {said:#?}; {:#?}",
            site.attempts().last()
        );
        invariants::at_rest(&site);
    }
    println!("killed {killed} times in {n} pushes; found: {during:?}");
    site.converges(&last_good);
}
