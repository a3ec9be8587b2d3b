//! The suite of figures: ours against the old way, against sudo and git, and against what nobody can beat, in turns. Each
//! part keeps its figures in `results/`; `RESULTS.md` and the pictures are written from all of them.
//!
//! `tests/bench/run.sh [--rounds N] [PART…]` builds what is measured and runs the suite; without a part, all but the
//! flood. `report` only writes the report anew. `PP_BENCH_DISK` names a directory on a disk to work in; without it, a file
//! system with a journal is made in a file.

mod chart;
mod checkout;
mod disk;
mod flood;
mod growth;
mod history;
mod local;
mod many;
mod memory;
mod part;
mod report;
mod restart;
mod sample;
mod served;
mod service;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use part::Part;
use pp_tests::host::Host;
use service::Pair;

/// The parts that need no booted host.
const LOCAL: [&str; 4] = ["checkout-tmpfs", "checkout-disk", "history", "growth"];

/// The parts that share one booted host, in the order in which they build on each other.
const BOOTED: [&str; 6] = ["polls", "served", "restart", "probe", "many", "memory"];

fn main() -> Result<()> {
    let (rounds, parts) = arguments()?;
    for name in LOCAL.into_iter().filter(|name| parts.contains(name)) {
        local(name, rounds)?.write()?;
    }
    if BOOTED.iter().any(|name| parts.contains(name)) {
        let host = Host::start()?;
        let pair = Pair::set_up(&host)?;
        for name in BOOTED.into_iter().filter(|name| parts.contains(name)) {
            let part = match name {
                "polls" => service::measure(&host, &pair, rounds)?,
                "served" => served::measure(&host, &pair, rounds)?,
                "restart" => restart::measure(&host, rounds.max(31))?,
                "probe" => served::probe(&host, rounds)?,
                "many" => many::measure(host.lab(), rounds)?,
                _ => memory::measure(&host)?,
            };
            part.write()?;
        }
    }
    if parts.contains(&"flood") {
        flood::measure(&Host::start()?, rounds)?.write()?;
    }
    report::write()
}

fn local(name: &str, rounds: usize) -> Result<Part> {
    let memory = PathBuf::from("/dev/shm");
    match name {
        "checkout-tmpfs" => checkout::measure(&memory, name, "tmpfs", rounds),
        "checkout-disk" => {
            let disk = disk::Disk::new()?;
            checkout::measure(&disk.path(), name, &disk.description(), rounds)
        }
        "history" => history::measure(&memory, rounds),
        _ => growth::measure(&memory, rounds.min(3)),
    }
}

/// Gives the number of rounds and the names of the parts.
fn arguments() -> Result<(usize, Vec<&'static str>)> {
    let mut rounds = 7;
    let mut parts = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let known = LOCAL.into_iter().chain(BOOTED).chain(["flood"]);
        match known.into_iter().find(|name| *name == argument) {
            Some(name) => parts.push(name),
            None if argument == "report" => return Ok((rounds, vec!["report"])),
            None if argument == "--rounds" => {
                let number = arguments.next().unwrap_or_default();
                rounds = number.parse().context("--rounds takes a number")?;
            }
            None => {
                bail!("usage: bench [--rounds N] [report | PART…]; there is no part {argument:?}")
            }
        }
    }
    if parts.is_empty() {
        parts.extend(LOCAL.into_iter().chain(BOOTED));
    }
    Ok((rounds, parts))
}
