//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::sample::Sample;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Record {
    markdown: String,
    json: Map<String, Value>,
}

impl Record {
    /// An empty one, whose text begins with a title and what was compared how.
    pub(crate) fn new(title: &str, text: &str, rounds: usize) -> Self {
        let json = Map::from_iter([
            ("machine".to_owned(), json!(machine())),
            ("rounds".to_owned(), json!(rounds)),
        ]);
        Self {
            markdown: format!("# {title}\n\n{text}\n"),
            json,
        }
    }

    /// A heading, and a sentence that says what is compared.
    pub(crate) fn section(&mut self, title: &str, text: &str) {
        println!("{title}");
        let _ = write!(self.markdown, "\n## {title}\n\n{text}\n\n");
    }

    /// The first row of a table.
    pub(crate) fn columns(&mut self, names: &[&str]) {
        let _ = writeln!(
            self.markdown,
            "| {} |\n|{}",
            names.join(" | "),
            "---|".repeat(names.len())
        );
    }

    /// A row that compares: ours, the old way's, and how many times less ours is.
    pub(crate) fn compare(&mut self, what: &str, ours: &Sample, old: &Sample) {
        let ratio = old.median() / ours.median();
        let row = format!("| {what} | {} | {} | {ratio:.2} |", cell(ours), cell(old));
        self.row(&row);
        self.keep(
            what,
            &json!({ "ours": figures(ours), "old": figures(old), "ratio": ratio }),
        );
    }

    /// A row of one figure.
    pub(crate) fn single(&mut self, what: &str, sample: &Sample) {
        self.row(&format!("| {what} | {} |", cell(sample)));
        self.keep(what, &figures(sample));
    }

    /// A row of one way's wall time and how many times less another's is.
    pub(crate) fn against(&mut self, what: &str, sample: &Sample, best: &Sample) {
        let ratio = sample.median() / best.median();
        self.row(&format!("| {what} | {} | {ratio:.2} |", cell(sample)));
        self.keep(what, &figures(sample));
    }

    /// A row of a figure that is measured once, in its own unit.
    pub(crate) fn once(&mut self, what: &str, value: u64, unit: &str) {
        self.row(&format!("| {what} | {value} {unit} |"));
        self.keep(what, &json!({ "value": value, "unit": unit }));
    }

    /// Writes both files of that name.
    pub(crate) fn write(self, name: &str) -> Result<()> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
        std::fs::create_dir_all(&dir)?;
        let json = serde_json::to_string_pretty(&Value::Object(self.json))? + "\n";
        for (ending, text) in [("md", self.markdown), ("json", json)] {
            let path = dir.join(format!("{name}.{ending}"));
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        println!("written to {}", dir.display());
        Ok(())
    }

    fn row(&mut self, row: &str) {
        println!("  {row}");
        self.markdown.push_str(row);
        self.markdown.push('\n');
    }

    fn keep(&mut self, what: &str, value: &Value) {
        self.json.insert(what.to_owned(), value.clone());
    }
}

fn cell(sample: &Sample) -> String {
    format!(
        "**{:.0}** ({:.0}–{:.0})",
        sample.median(),
        sample.least(),
        sample.most()
    )
}

fn figures(sample: &Sample) -> Value {
    let round = |ms: f64| (ms * 10.0).round() / 10.0;
    json!({ "median_ms": round(sample.median()), "least_ms": round(sample.least()), "most_ms": round(sample.most()) })
}

pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores, Linux {}",
        kernel.split('-').next().unwrap_or_default().trim()
    )
}
