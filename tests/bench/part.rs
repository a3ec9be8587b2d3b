//! What one part of the suite has measured: rows that compare with a peer, figures, and points of a curve. Each part is
//! kept as a file of JSON, so that one part can be measured anew and the report be written from all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::sample::{Figures, Sample};

/// A part of the suite.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) title: String,
    /// What was measured how.
    pub(crate) text: String,
    pub(crate) machine: String,
    pub(crate) rows: Vec<Row>,
    #[serde(default)]
    pub(crate) curves: BTreeMap<String, Vec<Point>>,
}

/// A row of a table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) ours: Figures,
    pub(crate) peer: Option<Peer>,
    /// What is to be reached, and whether it is.
    pub(crate) goal: Option<Goal>,
}

/// Another way to do the same, measured in turns with ours.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) figures: Figures,
    /// The median of the ratios, ours to the peer's, of each round.
    pub(crate) ratio: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) text: String,
    pub(crate) met: bool,
}

/// A point of a curve: the cost of ours, and of the peer if it was measured, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) at: f64,
    pub(crate) ours: f64,
    pub(crate) peer: Option<f64>,
}

impl Part {
    pub(crate) fn new(name: &str, title: &str, text: &str) -> Self {
        println!("{title}");
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            text: text.to_owned(),
            machine: machine(),
            rows: Vec::new(),
            curves: BTreeMap::new(),
        }
    }

    /// Ours in turns with a peer; the goal is the most that the ratio may be.
    pub(crate) fn compare(
        &mut self,
        what: &str,
        ours: &Sample,
        (name, peer): (&str, &Sample),
        goal: Option<f64>,
    ) {
        let ratio = ours.ratio(peer);
        let peer = Peer {
            name: name.to_owned(),
            figures: peer.figures(),
            ratio,
        };
        let goal = goal.map(|most| Goal {
            text: format!("≤ {most} ×"),
            met: ratio <= most,
        });
        self.push(what, "ms", ours.figures(), Some(peer), goal);
    }

    /// Ours in turns with a limit, to which a fixed amount may be added.
    pub(crate) fn exceeds(
        &mut self,
        what: &str,
        ours: &Sample,
        (name, limit): (&str, &Sample),
        most: f64,
    ) {
        let met = ours.median() - limit.median() <= most;
        let peer = Peer {
            name: name.to_owned(),
            figures: limit.figures(),
            ratio: ours.ratio(limit),
        };
        let goal = Goal {
            text: format!("≤ + {most} ms"),
            met,
        };
        self.push(what, "ms", ours.figures(), Some(peer), Some(goal));
    }

    /// A figure of ours alone; the goal is the most that it may be.
    pub(crate) fn figure(&mut self, what: &str, ours: &Sample, unit: &str, goal: Option<f64>) {
        let figures = ours.figures();
        let goal = goal.map(|most| Goal {
            text: format!("≤ {most} {unit}"),
            met: figures.median <= most,
        });
        self.push(what, unit, figures, None, goal);
    }

    /// Sizes on the disk, ours and the peer's, in kilobytes.
    pub(crate) fn sizes(
        &mut self,
        what: &str,
        ours: &Sample,
        (name, peer): (&str, &Sample),
        most: f64,
    ) {
        let ratio = ours.ratio(peer);
        let goal = Goal {
            text: format!("≤ {most} ×"),
            met: ratio <= most,
        };
        let peer = Peer {
            name: name.to_owned(),
            figures: peer.figures(),
            ratio,
        };
        self.push(what, "kB", ours.figures(), Some(peer), Some(goal));
    }

    fn push(
        &mut self,
        what: &str,
        unit: &str,
        ours: Figures,
        peer: Option<Peer>,
        goal: Option<Goal>,
    ) {
        let row = Row {
            what: what.to_owned(),
            unit: unit.to_owned(),
            ours,
            peer,
            goal,
        };
        println!("  {}", row.cells().join(" | "));
        self.rows.push(row);
    }

    pub(crate) fn point(&mut self, curve: &str, at: f64, ours: &Sample, peer: Option<&Sample>) {
        let point = Point {
            at,
            ours: ours.median(),
            peer: peer.map(Sample::median),
        };
        println!("  {curve}: {point:?}");
        self.curves.entry(curve.to_owned()).or_default().push(point);
    }

    /// Keeps the part.
    pub(crate) fn write(&self) -> Result<()> {
        let path = directory().join(format!("{}.json", self.name));
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads a part that was kept; `None` if there is none.
    pub(crate) fn read(name: &str) -> Result<Option<Self>> {
        let path = directory().join(format!("{name}.json"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }
}

impl Row {
    /// The row as it is shown: what, ours, the peer's, the ratio, the goal.
    pub(crate) fn cells(&self) -> [String; 5] {
        let goal = self.goal.as_ref();
        [
            self.what.clone(),
            self.ours.shown(&self.unit),
            self.peer.as_ref().map_or_else(String::new, |peer| {
                format!("{}: {}", peer.name, peer.figures.shown(&self.unit))
            }),
            self.peer
                .as_ref()
                .map_or_else(String::new, |peer| format!("**{:.2}**", peer.ratio)),
            goal.map_or_else(String::new, |goal| {
                format!("{} {}", goal.text, if goal.met { "✓" } else { "✗" })
            }),
        ]
    }
}

/// The directory of the results.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results")
}

/// Processors, kernel and memory of this machine.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1))
        .unwrap_or("processors");
    format!(
        "{cores} × {cpu}, Linux {}",
        kernel.split('-').next().unwrap_or_default().trim()
    )
}
