//! The report, `tests/bench/RESULTS.md`, and its pictures, from what the parts have kept.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::chart;
use crate::part::{Part, directory};

/// The parts, in the order of the report.
const PARTS: [&str; 10] = [
    "served",
    "polls",
    "many",
    "restart",
    "flood",
    "probe",
    "checkout-tmpfs",
    "checkout-disk",
    "history",
    "memory",
];

const INTRODUCTION: &str = "# Results\n\n\
    Written by `tests/bench/run.sh`, which measures everything on one machine, ours in turns with its peers; after a part's\n\
    name, only that part. A figure is the median of its rounds, with the least and the most in parentheses. A ratio is ours\n\
    to the peer's, and the median of the ratios of each round: 0.10 is a tenth. ✓ and ✗ say whether a goal is met. No check,\n\
    no fsync and no limit is switched off for a figure.\n";

pub(crate) fn write() -> Result<()> {
    let mut text = INTRODUCTION.to_owned();
    let _ = writeln!(text, "\n{}", versions());
    let notes = fs::read_to_string(directory().join("notes.md")).unwrap_or_default();
    for name in PARTS {
        if let Some(part) = Part::read(name)? {
            let _ = write!(text, "\n{}", section(&part));
        }
    }
    if let Some(growth) = Part::read("growth")? {
        let _ = write!(text, "\n## {}\n\n{}\n", growth.title, growth.text);
        for (name, points) in &growth.curves {
            let file = format!("growth-{}.svg", name.replace([' ', ','], "-"));
            fs::write(directory().join(&file), chart::curve(name, points))?;
            let _ = write!(
                text,
                "\n![{name}](results/{file})\n\n| {name} | ours | git | times as many | times the cost |\n|---|---|---|---|---|\n"
            );
            for point in points {
                let first = points.first().unwrap_or(point);
                let peer = point.peer.map_or(String::new(), |ms| format!("{ms:.1} ms"));
                let _ = writeln!(
                    text,
                    "| {} | {:.1} ms | {peer} | {:.0} | {:.1} |",
                    point.at,
                    point.ours,
                    point.at / first.at,
                    point.ours / first.ours
                );
            }
        }
    }
    let _ = write!(text, "\n{notes}");
    pictures()?;
    let path = directory().with_file_name("RESULTS.md");
    fs::write(&path, text)?;
    println!("{}", path.display());
    Ok(())
}

fn section(part: &Part) -> String {
    let mut text = format!(
        "## {}\n\n{}\n\n{}.\n\n",
        part.title, part.text, part.machine
    );
    text.push_str("| what | ours | peer | ratio | goal |\n|---|---|---|---|---|\n");
    for row in &part.rows {
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text
}

/// The pictures of the README.
fn pictures() -> Result<()> {
    let find = |part: &Option<Part>, what: &str| {
        let rows = part.as_ref().map(|part| part.rows.iter());
        let row = rows?.find(|row| row.what.contains(what))?;
        Some((
            row.ours.median,
            row.peer.as_ref().map(|peer| peer.figures.median),
        ))
    };
    let served = Part::read("served")?;
    let polls = Part::read("polls")?;
    if let Some((ours, Some(script))) = find(&served, "the same") {
        let bars = [
            ("pp-fetcher, each 10 s", ours / 1000.0),
            ("git pull from cron, each 5 min", script / 1000.0),
        ];
        let text = chart::bars(
            "From a push to the new version served, seconds on average",
            &bars,
        );
        fs::write(directory().join("served.svg"), text)?;
    }
    if let Some((ours, Some(script))) = find(&polls, "CPU of a day") {
        let bars = [
            ("pp-fetcher, each minute", ours / 6000.0),
            ("pp-fetcher, each 10 s", ours / 1000.0),
            ("git pull from cron, each 5 min", script / 1000.0),
            ("git pull from cron, each minute", script / 1000.0 * 5.0),
        ];
        let text = chart::bars("CPU time of a day of polling, seconds", &bars);
        fs::write(directory().join("day.svg"), text)?;
    }
    Ok(())
}

/// The versions of what was compared.
fn versions() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map_or_else(
            |_| program.to_owned(),
            |output| {
                let text = [output.stdout, output.stderr].concat();
                let text = String::from_utf8_lossy(&text).into_owned();
                text.lines().next().unwrap_or(program).to_owned()
            },
        )
    };
    format!(
        "{}; {}; {}; {}.",
        said("git", &["--version"]),
        said("ssh", &["-V"]),
        said("sudo", &["--version"]),
        said("systemctl", &["--version"])
    )
}
