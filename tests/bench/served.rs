//! From a push to the first answer of the new version, and how long the probe takes to say that an app is well.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use pp_tests::app::{Attempt, Django, Perl, Phase};
use pp_tests::host::Host;
use pp_tests::lab::Lab;
use pp_tests::old_way::OldWay;
use pp_tests::wait::wait_until;
use pp_tests::watch::Watch;

use crate::part::Part;
use crate::sample::Sample;
use crate::service::Pair;

/// The mean wait of a push for cron's next run, five minutes apart, in milliseconds.
const CRON: f64 = 150_000.0;

/// Between two deploys of one app, so that neither systemd's start limit nor ours is in the way.
const PAUSE: Duration = Duration::from_secs(6);

pub(crate) fn measure(host: &Host, pair: &Pair<'_>, rounds: usize) -> Result<Part> {
    let mut part = Part::new(
        "served",
        "From a push to the new version served",
        "The same Django project, with the same build steps (check, migrate, collectstatic), behind gunicorn. Ours is the service\n\
         at an interval of 10 s; pushes come at any moment of the interval. The script's own time is measured from its start; to it\n\
         come the 150 s for which a push waits on average for cron's run each five minutes, which were not waited for here.\n\
         *Beyond waiting* leaves out the time until the service begins its poll (by the times of its steps). Ours also verifies, checks out beside what runs,\n\
         syncs, and after the first answer probes. The shipped example of a deploy.sh has two steps more: it keeps a copy of the\n\
         database, and compiles the bytecode.",
    );
    let [mut ours, mut beyond, mut example, mut script] =
        std::array::from_fn(|_| Sample::default());
    let mut steps: Vec<(String, Sample)> = Vec::new();
    let lab = host.lab();
    pair.ours.set("interval = \"1m\"", "interval = \"10s\"")?;
    lab.cmd(["systemctl", "start", "pp-fetcher.service"]).ok()?;
    for round in 1..=rounds {
        let version = format!("s{round}");
        let same = OldWay::build_script(pair.ours.name());
        let tree = Django::version(&version).building_with(same);
        let pushed = push(lab, pair, tree, &version, round)?;
        ours.add_duration(pushed.served);
        beyond.add_duration(pushed.beyond_waiting);
        add_steps(&mut steps, pushed.phases)?;
        pair.old.push(&version)?;
        let start = Instant::now();
        let text = format!("todo {version},");
        let watch = Watch::start(lab, pair.old.port(), &text, Duration::from_secs(60))?;
        pair.old.poll().ok()?;
        script.add_duration(watch.seen()?.saturating_duration_since(start));
        let version = format!("e{round}");
        let pushed = push(lab, pair, Django::version(&version), &version, round)?;
        example.add_duration(pushed.beyond_waiting);
    }
    lab.cmd(["systemctl", "stop", "pp-fetcher.service"]).ok()?;
    pair.ours.set("interval = \"10s\"", "interval = \"1m\"")?;
    part.figure(
        "push → served, the service at 10 s",
        &ours,
        "ms",
        Some(8_000.0),
    );
    part.compare(
        "the same",
        &ours,
        (
            "script from cron at 5 min (its own time + 150 s)",
            &script.scaled(1.0, CRON),
        ),
        None,
    );
    part.compare(
        "beyond waiting",
        &beyond,
        ("script's own time", &script),
        Some(0.85),
    );
    part.compare(
        "beyond waiting, with the shipped example's deploy.sh",
        &example,
        ("script's own time, without those steps", &script),
        None,
    );
    for (name, sample) in &steps {
        part.figure(&format!("step {name}"), sample, "ms", None);
    }
    Ok(part)
}

/// What came of a push to the app of ours.
struct Pushed {
    served: Duration,
    beyond_waiting: Duration,
    phases: Vec<Phase>,
}

/// Pushes a version at this round's moment of the interval, and waits until it is served and its deploy has ended.
fn push(lab: &Lab, pair: &Pair<'_>, tree: Django, version: &str, round: usize) -> Result<Pushed> {
    let text = format!("todo {version},");
    // Moments spread evenly over the interval, whatever the number of rounds (by the golden ratio).
    let moment = Duration::from_millis(6_180 * round as u64 % 10_000);
    std::thread::sleep(PAUSE + moment);
    pair.ours.push(tree, version)?;
    let pushed = (Instant::now(), SystemTime::now());
    let watch = Watch::start(lab, pair.ours.port(), &text, Duration::from_secs(90))?;
    let served = watch.seen()?.saturating_duration_since(pushed.0);
    let last = wait_until("the deploy has ended", Duration::from_secs(30), || {
        let last = pair.ours.last()?;
        Ok((last.subject == version && last.outcome == "good").then_some(last))
    })?;
    let beyond_waiting = served.saturating_sub(waited(&last, pushed.1)?);
    Ok(Pushed {
        served,
        beyond_waiting,
        phases: last.phases,
    })
}

/// Adds the times of one attempt's steps, in the order of the steps.
fn add_steps(steps: &mut Vec<(String, Sample)>, phases: Vec<Phase>) -> Result<()> {
    for (at, phase) in phases.into_iter().enumerate() {
        let sample = match steps.iter_mut().position(|(name, _)| *name == phase.phase) {
            Some(found) => steps.get_mut(found),
            None => {
                steps.insert(at.min(steps.len()), (phase.phase, Sample::default()));
                steps.get_mut(at)
            }
        };
        let ms = u32::try_from(phase.ms).unwrap_or(u32::MAX);
        sample.context("a step")?.1.add(f64::from(ms));
    }
    Ok(())
}

/// How long the push waited for the poll that found it.
fn waited(attempt: &Attempt, pushed: SystemTime) -> Result<Duration> {
    let began: SystemTime = attempt
        .started_at
        .parse::<jiff::Timestamp>()
        .with_context(|| attempt.started_at.clone())?
        .into();
    // An attempt begins once something new was found and fetched; the steps up to that are no waiting.
    let before = ["poll", "look", "fetch"].map(|step| attempt.phase(step).unwrap_or_default());
    let waited = began.duration_since(pushed).unwrap_or_default();
    Ok(waited.saturating_sub(Duration::from_millis(before.iter().sum())))
}

/// How long the probe of an app takes that is well at once.
pub(crate) fn probe(host: &Host, rounds: usize) -> Result<Part> {
    let mut part = Part::new(
        "probe",
        "From well to told well",
        "A small server in perl that is well as soon as it has started; the time of the probe, without `steady`.",
    );
    let app = host.perl("probe")?;
    app.deploy(Perl("v0"), "v0")?;
    let (mut steady, mut at_once) = (Sample::default(), Sample::default());
    for round in 0..rounds {
        for (setting, less, sample) in [("1s", 1000.0, &mut steady), ("0s", 0.0, &mut at_once)] {
            let now = app.settings().clone();
            let line = now
                .lines()
                .find(|line| line.starts_with("steady"))
                .context("steady")?;
            app.set(line, &format!("steady = \"{setting}\""))?;
            std::thread::sleep(PAUSE);
            let version: &'static str = Box::leak(format!("p{round}-{setting}").into_boxed_str());
            app.deploy(Perl(version), version)?;
            let probe = app.last()?.phase("probe").context("a probe")?;
            sample.add(f64::from(u32::try_from(probe)?) - less);
        }
    }
    part.figure(
        "steady = \"1s\", beyond the second",
        &steady,
        "ms",
        Some(50.0),
    );
    part.figure("steady = \"0s\"", &at_once, "ms", Some(100.0));
    Ok(part)
}
