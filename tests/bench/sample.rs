//! Figures of one kind, and commands that are measured inside of the host.

use std::time::Duration;

use anyhow::{Context, Result};
use pp_tests::lab::Lab;
use serde::{Deserialize, Serialize};

/// The program that runs commands in turns.
const MEASURE: &str = include_str!("measure.py");

/// One kind of figure, in the order of the rounds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn of(figure: f64) -> Self {
        Self(vec![figure])
    }

    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn add_duration(&mut self, duration: Duration) {
        self.add(duration.as_secs_f64() * 1000.0);
    }

    /// Each figure times `factor`, plus `more`.
    pub(crate) fn scaled(&self, factor: f64, more: f64) -> Self {
        Self(self.0.iter().map(|figure| figure * factor + more).collect())
    }

    /// The middle one; the mean of both where there are two.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
            (Some(below), Some(above)) if sorted.len().is_multiple_of(2) => {
                f64::midpoint(*below, *above)
            }
            (_, Some(one)) => *one,
            _ => f64::NAN,
        }
    }

    /// The median of the ratios of each round, or of the medians where the rounds were not as many.
    pub(crate) fn ratio(&self, peer: &Self) -> f64 {
        if self.0.len() != peer.0.len() {
            return self.median() / peer.median();
        }
        let ratios = self.0.iter().zip(&peer.0).map(|(ours, peer)| ours / peer);
        Self(ratios.collect()).median()
    }

    pub(crate) fn figures(&self) -> Figures {
        let fold = |pick: fn(f64, f64) -> f64| self.0.iter().copied().fold(f64::NAN, pick);
        Figures {
            median: self.median(),
            least: fold(f64::min),
            most: fold(f64::max),
            count: self.0.len(),
        }
    }
}

/// The middle, the least and the most of several figures.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) count: usize,
}

impl Figures {
    /// Returns the figures as they are shown.
    pub(crate) fn shown(self, unit: &str) -> String {
        let Self {
            median,
            least,
            most,
            count,
        } = self;
        let digits = usize::from(median < 100.0) + usize::from(median < 10.0);
        match count {
            1 => format!("{median:.digits$} {unit}"),
            _ => format!("{median:.digits$} {unit} ({least:.digits$}–{most:.digits$})"),
        }
    }
}

/// What the runs of one command took.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Costs {
    /// From start to end, in milliseconds.
    pub(crate) wall: Sample,
    /// Of the command and all children that it waited for, in milliseconds.
    pub(crate) cpu: Sample,
    /// The most memory of one of these processes, in kB.
    pub(crate) rss: Sample,
}

/// A command to be measured in turns with others.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Way {
    name: &'static str,
    argv: Vec<String>,
    stdin: Option<&'static str>,
    each: usize,
    codes: Vec<i32>,
    rest: f64,
}

impl Way {
    /// Rests so many seconds before each figure.
    pub(crate) fn after_a_rest_of(mut self, seconds: f64) -> Self {
        self.rest = seconds;
        self
    }

    pub(crate) fn new(name: &'static str, command: &str) -> Self {
        Self {
            name,
            argv: command.split(' ').map(str::to_owned).collect(),
            stdin: None,
            each: 1,
            rest: 0.0,
            codes: vec![0],
        }
    }

    /// A script of the shell.
    pub(crate) fn shell(name: &'static str, script: &str) -> Self {
        let mut way = Self::new(name, "sh -c");
        way.argv.push(script.to_owned());
        way
    }

    pub(crate) fn stdin(mut self, file: &'static str) -> Self {
        self.stdin = Some(file);
        self
    }

    /// Runs it so often for one figure.
    pub(crate) fn each(mut self, each: usize) -> Self {
        self.each = each;
        self
    }

    pub(crate) fn ends_with(mut self, code: i32) -> Self {
        self.codes = vec![code];
        self
    }
}

/// Measures commands in turns inside of the host, as one of its users. Gives their costs in the same order.
pub(crate) fn in_turns<const N: usize>(
    lab: &Lab,
    user: &str,
    rounds: usize,
    ways: [Way; N],
) -> Result<[Costs; N]> {
    lab.write("/opt/measure.py", MEASURE.as_bytes(), 0o644, "root:root")?;
    let asked = serde_json::json!({ "rounds": rounds, "ways": ways.as_slice() }).to_string();
    let said = lab
        .as_user(user)
        .cmd(["python3", "/opt/measure.py"])
        // For ssh alone; git and pp-fetcher set it themselves.
        .env("GIT_PROTOCOL", "version=2")
        .stdin(asked)
        .within(Duration::from_secs(1200))
        .ok()?;
    let mut found: std::collections::HashMap<String, Costs> =
        serde_json::from_str(&said).with_context(|| said.clone())?;
    Ok(ways.map(|way| found.remove(way.name).unwrap_or_default()))
}
