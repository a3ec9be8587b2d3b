//! Figures of one kind, and a command's time as the shell's own clock gives it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pp_tests::lab::Lab;

/// One kind of figure, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn add(&mut self, ms: f64) {
        self.0.push(ms);
    }

    pub(crate) fn add_duration(&mut self, duration: Duration) {
        self.add(duration.as_secs_f64() * 1000.0);
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

    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }
}

/// What one run of a command took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall_ms: f64,
    /// Of the command and all its children that it waited for.
    pub(crate) cpu_ms: f64,
}

/// Runs a command as a user inside of the host and lets bash time it there: entering the host is
/// not measured. The command must succeed.
pub(crate) fn timed(lab: &Lab, user: &str, command: &str) -> Result<Cost> {
    let script = r#"TIMEFORMAT="timed %R %U %S"; time eval "$1""#;
    let output = lab
        .as_user(user)
        .cmd(["bash", "-c", script, "bash", command])
        .output()?;
    ensure!(output.code == Some(0), "{command}: {output}");
    let line = output
        .stderr
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("timed "));
    let line = line.with_context(|| format!("bash did not time {command}: {output}"))?;
    let ms = line
        .split(' ')
        .map(|seconds| Ok(seconds.parse::<f64>()? * 1000.0))
        .collect::<Result<Vec<_>>>()?;
    match ms[..] {
        [wall_ms, user, system] => Ok(Cost {
            wall_ms,
            cpu_ms: user + system,
        }),
        _ => anyhow::bail!("bash timed {command} as {line:?}"),
    }
}

/// Samples of both figures of a cost.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    pub(crate) wall: Sample,
    pub(crate) cpu: Sample,
}

impl Costs {
    pub(crate) fn add(&mut self, cost: Cost) {
        self.wall.add(cost.wall_ms);
        self.cpu.add(cost.cpu_ms);
    }
}
