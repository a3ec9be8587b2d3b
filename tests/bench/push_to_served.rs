//! From a push to the first answer of the new version, and a poll that finds nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use pp_tests::app::Django;
use pp_tests::host::Host;
use pp_tests::old_way::OldWay;
use pp_tests::watch::Watch;

use crate::record::Record;
use crate::sample::{Costs, Sample, timed};

/// The old way's port, out of the way of the others.
const OLD_PORT: u16 = 8900;

/// Between two deploys of one app, so that neither systemd's start limit nor ours is in the way.
const PAUSE: Duration = Duration::from_secs(6);

pub(crate) fn measure(host: &Host, rounds: usize, record: &mut Record) -> Result<()> {
    let lab = host.lab();
    let app = host.django("bench")?;
    app.deploy(Django::version("v0"), "v0")?;
    let old = OldWay::set_up(lab, host.forge(), "old", OLD_PORT)?;

    let (mut ours, mut theirs) = (Sample::default(), Sample::default());
    let mut phases = BTreeMap::<(usize, String), Sample>::new();
    for round in 1..=rounds {
        let version = format!("v{round}");
        let text = format!("todo {version},");

        app.push(Django::version(&version), &version)?;
        let start = Instant::now();
        let watch = Watch::start(lab, app.port(), &text, Duration::from_secs(60))?;
        app.poll_exits(0)?;
        ours.add_duration(watch.seen()?.saturating_duration_since(start));
        for (at, phase) in app.last()?.phases.into_iter().enumerate() {
            let ms = u32::try_from(phase.ms).unwrap_or(u32::MAX);
            phases
                .entry((at, phase.phase))
                .or_default()
                .add(f64::from(ms));
        }

        old.push(&version)?;
        let start = Instant::now();
        let watch = Watch::start(lab, old.port(), &text, Duration::from_secs(60))?;
        old.poll().ok()?;
        theirs.add_duration(watch.seen()?.saturating_duration_since(start));
        std::thread::sleep(PAUSE);
    }
    record.section(
        "From a push to the new version served",
        "The same Django project and the same build steps; the poll begins at once after the push. Ours also\n\
         verifies, checks out beside what runs and, after the first answer, probes (last row of the steps).",
    );
    record.columns(&["", "ours", "old way", "old / ours"]);
    record.compare("push to served", &ours, &theirs);
    record.section(
        "The steps of ours",
        "As `pp-fetcher history --json` gives them; `probe` includes `steady = \"1s\"`.",
    );
    record.columns(&["step", "ms"]);
    for ((_, phase), sample) in &phases {
        record.single(phase, sample);
    }

    let (mut ours, mut theirs) = (Costs::default(), Costs::default());
    for _ in 0..rounds {
        ours.add(timed(lab, "gunicorn", "pp-fetcher poll bench")?);
        theirs.add(timed(lab, "gunicorn", "/opt/git_pollers/old/poll_git.sh")?);
    }
    record.section(
        "A poll that finds nothing",
        "Over ssh on loopback; timed inside of the host by bash.",
    );
    record.columns(&["", "ours", "old way", "old / ours"]);
    record.compare("poll, wall", &ours.wall, &theirs.wall);
    record.compare("poll, CPU", &ours.cpu, &theirs.cpu);
    Ok(())
}
