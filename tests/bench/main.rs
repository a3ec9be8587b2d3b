//! Figures to keep in `results/`, which each run writes anew; `--rounds N` for other than fifteen.
//!
//! - `PP_DEBS=… cargo run --release -p pp-tests --bin bench`: ours against the old way, on one
//!   booted host, in turns.
//! - `PP_DEBS=… cargo run --release -p pp-tests --bin bench flood`: a million denials, on one booted host.
//! - `cargo run --release -p pp-tests --bin bench checkout`: our checkout against git's, without a
//!   host. `TMPDIR` says where; half a gigabyte of memory (`/dev/shm`) leaves the disk out of it.

mod checkout;
mod flood;
mod idle;
mod push_to_served;
mod record;
mod restart;
mod sample;

use anyhow::{Context, Result, bail};
use pp_tests::host::Host;
use record::Record;

const OLD_WAY: &str = "Ours against the old way";

fn main() -> Result<()> {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let only = match arguments.first().map(String::as_str) {
        Some("checkout" | "flood") => Some(arguments.remove(0)),
        _ => None,
    };
    let rounds = rounds(&arguments)?;
    if only.as_deref() == Some("checkout") {
        return checkout::measure(rounds);
    }
    let host = Host::start()?;
    if only.is_some() {
        let text = format!(
            "On one host in a directory, Debian 12, {}. `tests/bench/flood.rs` measures this.",
            record::machine()
        );
        let mut record = Record::new("The restarter under a flood", &text, rounds);
        flood::measure(&host, rounds, &mut record)?;
        return record.write("flood");
    }
    let mut record = Record::new(
        OLD_WAY,
        &format!(
            "Both on one host in a directory, in turns, {rounds} rounds; milliseconds, medians with the\n\
             least and the most in parentheses. Debian 12, {}. The old way: a shell poller with `git fetch`,\n\
             a checkout in place, a sudoers rule (`tests/fixtures/old-way/`). `tests/bench/` measures this.",
            record::machine()
        ),
        rounds,
    );
    push_to_served::measure(&host, rounds, &mut record)?;
    restart::measure(&host, rounds, &mut record)?;
    idle::measure(&host, &mut record)?;
    record.write("old-way")
}

fn rounds(arguments: &[String]) -> Result<usize> {
    match arguments {
        [] => Ok(15),
        [option, number] if option == "--rounds" => {
            number.parse().context("--rounds takes a number")
        }
        _ => bail!("usage: bench [checkout|flood] [--rounds N]"),
    }
}
