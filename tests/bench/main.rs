//! Ours against the old way, on one host, in turns: figures to keep in `results/`.
//!
//! `PP_DEBS=… cargo run --release -p pp-tests --bin bench` measures and writes
//! `tests/bench/results/` anew; `--rounds N` for other than fifteen.

mod idle;
mod push_to_served;
mod record;
mod restart;
mod sample;

use anyhow::{Context, Result, bail};
use pp_tests::host::Host;
use record::Record;

fn main() -> Result<()> {
    let rounds = rounds()?;
    let host = Host::start()?;
    let mut record = Record::new(rounds);
    push_to_served::measure(&host, rounds, &mut record)?;
    restart::measure(&host, rounds, &mut record)?;
    idle::measure(&host, &mut record)?;
    record.write()
}

fn rounds() -> Result<usize> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => Ok(15),
        (Some("--rounds"), Some(number)) => number.parse().context("--rounds takes a number"),
        _ => bail!("usage: bench [--rounds N]"),
    }
}
