//! How the demonstration speaks: headings, the command that is run, and what it printed.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use pp_tests::app::Attempt;
use pp_tests::lab::{Call, Output};
use pp_tests::load::Tally;

/// A heading.
pub(crate) fn heading(text: &str) {
    println!("\n{}", styled("1", &format!("== {text}")));
}

/// A sentence of ours.
pub(crate) fn say(text: impl AsRef<str>) {
    for line in text.as_ref().lines() {
        println!("   {line}");
    }
}

/// Runs a command and shows it with all that it printed, whatever its end.
pub(crate) fn show(user: &str, call: Call<'_>, as_typed: &str) -> Result<Output> {
    println!("   {}", styled("36", &format!("{user}$ {as_typed}")));
    let output = call.output()?;
    for line in output.stdout.lines().chain(output.stderr.lines()) {
        println!("     {line}");
    }
    if let Some(code) = output.code.filter(|code| *code != 0) {
        println!("     {}", styled("33", &format!("(exit code {code})")));
    }
    Ok(output)
}

/// The steps of an attempt with their times, the longest ones first seen.
pub(crate) fn phases(attempt: &Attempt) {
    let steps: Vec<_> = attempt
        .phases
        .iter()
        .map(|p| format!("{} {}", p.phase, ms(p.ms)))
        .collect();
    say(format!("step by step: {}", steps.join(", ")));
}

/// What became of the requests.
pub(crate) fn requests(what: &str, tally: &Tally) {
    let mut line = format!(
        "requests {what}: {} sent, {} failed",
        tally.sent(),
        styled(
            if tally.failed() == 0 { "32" } else { "31" },
            &tally.failed().to_string()
        )
    );
    if tally.failed() > 0 {
        let Tally {
            refused,
            broken,
            wrong,
            outage,
            ..
        } = tally;
        line += &format!(
            " ({refused} refused, {broken} cut off, {wrong} errors, in {})",
            seconds(*outage)
        );
    }
    line += &format!("; the slowest answer took {}", seconds(tally.longest));
    say(line);
}

/// A duration as people say it.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn ms(ms: u64) -> String {
    if ms < 1000 {
        format!("{ms} ms")
    } else {
        seconds(Duration::from_millis(ms))
    }
}

fn styled(code: &str, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    if plain {
        text.to_owned()
    } else {
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
